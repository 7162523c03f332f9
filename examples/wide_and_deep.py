"""A table with categories: what flats cost a month, from the district, the kind of flat, its size, age and floor.

A wide-and-deep net looks at the table in two ways at once. Its deep branch turns each category into a vector (an
Embedding) and the whole row through two layers; its wide branch passes the numbers on as they are, for what is linear.
The table is made here, so the truth is known: the price of a square metre depends on district *and* kind together, 40
products of which no sum of a district's and a kind's share is right. It is compared with the best linear formula on
indicator columns, which can only add, and with the truth itself, which the noise of 8 % keeps from R² = 1.
"""

import argparse

import numpy as np

from minigrad import (
    Adam,
    Columns,
    Concatenate,
    Dense,
    Embedding,
    Flatten,
    MeanSquaredError,
    ParameterAverage,
    ReLU,
    Sequential,
)
from minigrad.data import LabelEncoder, train_test_split
from minigrad.metrics import mean_absolute_error, r2_score
from minigrad.schedules import cosine

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="fewer rows and epochs, to see that it runs")
arguments = parser.parse_args()
rows, epochs = (1500, 15) if arguments.quick else (8000, 40)

rng = np.random.default_rng(0)
districts = np.array(["Altstadt", "Hafen", "Mitte", "Nord", "Ost", "Park", "See", "Weststadt"])
kinds = np.array(["loft", "maisonette", "old building", "new building", "terrace house"])
district, kind = rng.choice(districts, rows), rng.choice(kinds, rows)
area, age, floor = rng.uniform(25, 160, rows), rng.uniform(0, 120, rows), rng.integers(0, 8, rows)

district_codes, kind_codes = LabelEncoder(districts).encode(district), LabelEncoder(kinds).encode(kind)
metre = rng.uniform(8, 24, (len(districts), len(kinds)))[district_codes, kind_codes]  # € a square metre
truth = area * metre * (1 - 0.002 * age) + 15 * floor
rent = truth * rng.normal(1, 0.08, rows)

numbers = np.column_stack([area, age, floor])
table = np.column_stack([district_codes, kind_codes, numbers, truth])
x, x_test, t, t_test = train_test_split(table, rent, seed=0)
x, x_test, truth_test = x[:, :5], x_test[:, :5], x_test[:, 5]
center, spread = x[:, 2:].mean(axis=0), x[:, 2:].std(axis=0)  # learned from the training rows alone, as all else
for part in (x, x_test):
    part[:, 2:] = (part[:, 2:] - center) / spread
low, scale = t.mean(), t.std()

deep = [
    Concatenate(
        Sequential([Columns(0, 1, integers=True), Embedding(len(districts), 4), Flatten()]),
        Sequential([Columns(1, 2, integers=True), Embedding(len(kinds), 3), Flatten()]),
        Columns(2, 5),
    ),
    Dense(4 + 3 + 3, 32, init="he_uniform"),
    ReLU(),
    Dense(32, 16, init="he_uniform"),
    ReLU(),
]
wide = Columns(2, 5)
model = Sequential([Concatenate(Sequential(deep), wide), Dense(16 + 3, 1)], seed=0, input_shape=(5,))
steps = epochs * -(-len(x) // 32)
optimizer = ParameterAverage(Adam(cosine(0.01, steps)), decay=0.99)
model.fit(x, (t - low) / scale, loss=MeanSquaredError(), optimizer=optimizer, epochs=epochs)
with optimizer.applied(model.theta):
    p = model.predict(x_test)[:, 0] * scale + low


def indicators(part):
    """The two categories as columns of 0 and 1, then the numbers, then a 1."""
    codes = part[:, :2].astype(int)
    columns = [
        np.eye(len(districts))[codes[:, 0]],
        np.eye(len(kinds))[codes[:, 1]],
        part[:, 2:],
        np.ones((len(part), 1)),
    ]
    return np.hstack(columns)


linear, *_ = np.linalg.lstsq(indicators(x), t)
answers = {
    "always the mean": np.full(len(t_test), low),
    "linear formula": indicators(x_test) @ linear,
    "wide and deep": p,
    "the true formula": truth_test,
}
print(f"{model.theta.size} parameters, {steps} steps")
print(f"\n€ a month, {len(t_test)} held-out rows ({len(t)} to train on)\n")
print("                    R²      mean error")
for name, answer in answers.items():
    print(f"{name:<18}{r2_score(t_test, answer):>6.3f}{mean_absolute_error(t_test, answer):>10.0f} €")

vectors = model[0].layers[0][0].layers[0][1].W
near = np.linalg.norm(vectors[:, None] - vectors, axis=2) + 1e9 * np.eye(len(districts))
pair = np.unravel_index(near.argmin(), near.shape)
print(f"\nof all districts, the network holds {' and '.join(districts[list(pair)])} for the most alike")

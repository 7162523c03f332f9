"""A table with a numeric target: how long a falling body takes, with air in its way.

The table is made here, so the truth is known: bodies of known mass and size are dropped from known heights, and the
times are measured with an error of 2 %. With drag c = 0.3 rho A / m the time is arccosh(exp(c h)) / sqrt(c g). The
network is not told the formula. It is compared with the two simplest answers: the mean, and the best linear formula.
"""

import numpy as np

from minigrad import Adam, Dense, MeanSquaredError, Sequential, Tanh
from minigrad.data import train_test_split
from minigrad.metrics import mean_absolute_error, r2_score

rng = np.random.default_rng(0)
height = rng.uniform(5, 300, 1500)  # m
mass = np.exp(rng.uniform(np.log(0.01), np.log(10), 1500))  # kg
radius = rng.uniform(0.02, 0.2, 1500)  # m
drag = 0.3 * 1.2 * np.pi * radius**2 / mass  # 1/m
fallen = drag * height
truth = (fallen + np.log(1 + np.sqrt(1 - np.exp(-2 * fallen)))) / np.sqrt(drag * 9.81)  # log form: exp overflows
seconds = truth * rng.normal(1, 0.02, 1500)

table = np.column_stack([height, np.log(mass), radius, truth])
x, x_test, t, t_test = train_test_split(table, seconds, seed=0)
x, x_test, truth_test = x[:, :3], x_test[:, :3], x_test[:, 3]
center, spread = x.mean(axis=0), x.std(axis=0)  # learned from the training rows alone, as all else
x, x_test = (x - center) / spread, (x_test - center) / spread

model = Sequential([Dense(3, 32), Tanh(), Dense(32, 32), Tanh(), Dense(32, 1)], seed=0)
model.fit(x, t, loss=MeanSquaredError(), optimizer=Adam(0.005), epochs=200)
linear, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), t)

answers = {
    "always the mean": np.full(len(t_test), t.mean()),
    "linear formula": np.column_stack([x_test, np.ones(len(x_test))]) @ linear,
    "network": model.predict(x_test)[:, 0],
    "the true formula": truth_test,
}
print(f"seconds to fall, {len(x_test)} held-out rows ({len(x)} to train on)\n")
print("                    R²      mean error")
for name, p in answers.items():
    print(f"{name:<18}{r2_score(t_test, p):>6.3f}{mean_absolute_error(t_test, p):>10.2f} s")
print("\nEven the true formula is off by the errors of measurement; nothing can be better.")

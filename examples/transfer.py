"""What was learned on the digits 0 to 4 is used for 5 to 9, of which there are three pictures each.

    python examples/transfer.py [--quick]

A convolutional network learns five digits from all of their pictures. Its convolutions are frozen, and get a new end,
which learns the other five digits from fifteen pictures. Beside it stand the same network trained from the start on
those fifteen, and one in which the old convolutions go on learning, ten times as slowly as the new end (ByPart).
"""

import copy
import sys

import numpy as np

from minigrad import (
    Adam,
    ByPart,
    CategoricalCrossEntropy,
    Conv2D,
    Dense,
    Flatten,
    Frozen,
    MaxPool2D,
    ReLU,
    Sequential,
    Softmax,
)
from minigrad.data import load_digits

QUICK = "--quick" in sys.argv[1:]
EPOCHS, REPEATS = (1, 1) if QUICK else (6, 10)
FEW = 3  # pictures of each of the new digits


def convolutions():
    return [
        Conv2D(1, 12, 3, init="he_normal"),
        ReLU(),
        MaxPool2D(2),
        Conv2D(12, 24, 3, init="he_normal"),
        ReLU(),
        MaxPool2D(2),
        Flatten(),
    ]


def end(seed):
    return [Dense(216, 64, init="he_normal", seed=seed), ReLU(), Dense(64, 5, seed=seed), Softmax()]


def train(model, x, labels, epochs, optimizer):
    model.fit(x, labels, loss=CategoricalCrossEntropy(), optimizer=optimizer, epochs=epochs, batch_size=16)
    return model


x, labels = load_digits()
x, digits = x.reshape(-1, 20, 20, 1), labels % 10
first = digits < 5
old = train(Sequential([*convolutions(), *end(0)], seed=0), x[first], digits[first], EPOCHS, Adam(0.002))
print(f"0 to 4: learned from {first.sum():,} pictures")

right = {"from the start": [], "frozen": [], "trained on": []}
for seed in range(REPEATS):
    order = np.random.default_rng(seed).permutation(np.flatnonzero(~first))
    few = np.concatenate([order[digits[order] == digit][:FEW] for digit in range(5, 10)])
    rest = np.setdiff1d(order, few)
    learned = old.layers[:7]
    models = {
        "from the start": (Sequential([*convolutions(), *end(seed)], seed=seed), Adam(0.002)),
        "frozen": (Sequential([Frozen(Sequential(copy.deepcopy(learned))), *end(seed)]), Adam(0.002)),
        "trained on": (
            Sequential([Sequential(copy.deepcopy(learned)), *end(seed)]),
            ByPart({0: Adam(0.0002)}, default=Adam(0.002)),
        ),
    }
    for name, (model, optimizer) in models.items():
        train(model, x[few], digits[few], 10 * EPOCHS, optimizer)
        right[name].append((model.predict_classes(x[rest]) == digits[rest]).mean())

print(f"5 to 9: right of {len(rest):,} pictures after {5 * FEW} (mean of {REPEATS} draws of these):")
for name, shares in right.items():
    print(f"  {name:15} {np.mean(shares):.1%}")

"""A small convolutional network on the tutorial's digits: 4,000 to train on, 1,000 held out, three seeds.

    python examples/digits_cnn.py [--quick]

Two convolutions learn strokes and how these stand together, wherever in the picture they are; pooling halves it after
each. A digit one pixel further is still that digit, so every epoch shows each at another place: without this the
network soon knows the 4,000 by heart. --quick trains once, on fewer digits and for fewer epochs: a few seconds.
"""

import math
import sys
import time

import numpy as np

from minigrad import (
    Adam,
    CategoricalCrossEntropy,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPool2D,
    ReLU,
    Sequential,
    Softmax,
)
from minigrad.data import load_digits, train_test_split
from minigrad.data.augment import shifts
from minigrad.metrics import accuracy
from minigrad.schedules import cosine

QUICK = "--quick" in sys.argv[1:]
SEEDS, EPOCHS, ROWS = (1, 4, 1000) if QUICK else (3, 20, 4000)
BATCH = 64
STEPS = EPOCHS * math.ceil(ROWS / BATCH)


def network(seed):
    return Sequential(
        [
            Conv2D(1, 12, 3, init="he_normal"),  # (20, 20, 1) -> (18, 18, 12)
            ReLU(),
            MaxPool2D(2),  # -> (9, 9, 12)
            Conv2D(12, 24, 3, init="he_normal"),  # -> (7, 7, 24)
            ReLU(),
            MaxPool2D(2),  # -> (3, 3, 24)
            Flatten(),
            Dense(216, 64, init="he_normal"),
            ReLU(),
            Dropout(0.3),
            Dense(64, 10),
            Softmax(),
        ],
        input_shape=(20, 20, 1),
        seed=seed,
    )


x_train, x_test, train_labels, test_labels = train_test_split(*load_digits(), seed=0)
x_train, x_test = x_train[:ROWS].reshape(-1, 20, 20, 1), x_test.reshape(-1, 20, 20, 1)
train_labels = train_labels[:ROWS]

print(network(0).summary())
print(f"\n{len(x_train)} digits to train on, {len(x_test)} held out, {EPOCHS} epochs\n")
scores = []
for seed in range(SEEDS):
    started = time.perf_counter()
    model = network(seed)
    model.fit(
        x_train,
        train_labels,
        loss=CategoricalCrossEntropy(),
        optimizer=Adam(cosine(0.005, STEPS)),
        epochs=EPOCHS,
        batch_size=BATCH,
        augment=shifts(1),
        seed=seed,
    )
    scores.append(accuracy(test_labels, model.predict_classes(x_test)))
    known = accuracy(train_labels, model.predict_classes(x_train))
    spent = time.perf_counter() - started
    print(f"seed {seed}: {scores[-1]:.1%} of the held-out digits right, {known:.1%} of the others, {spent:.0f} s")
print(f"\nmean held-out accuracy {np.mean(scores):.4f}")

"""The tutorial's algorithm beside minigrad, on the same digits: how 100 % accuracy can be chance.

A well-known tutorial builds a 400-25-10 network of sigmoids in Python and reports 100 % accuracy on handwritten digits.
Here its algorithm is written afresh, with its mistakes where it makes them (look for "Mistake"; the numbers are those
of lesson 4), and the right line beside each. Its gradients are sums over all rows, one step an epoch.
"""

import numpy as np

from minigrad import SGD, BinaryCrossEntropy, Dense, Sequential, Sigmoid
from minigrad.data import load_digits, train_test_split
from minigrad.metrics import accuracy

EPOCHS, RATE = 20, 0.003


class Tutorial:
    """The tutorial's network, mistakes and all."""

    def __init__(self):
        rng = np.random.default_rng(0)
        # Mistake 1. The power comes first, so 6**1/2 is (6**1)/2 = 3. Right: 6**0.5, which is 2.45.
        limits = (6**1 / 2 / (400 + 25) ** 0.5, 6**1 / 2 / (25 + 10) ** 0.5)
        self.W1, self.W2 = rng.uniform(-limits[0], limits[0], (400, 25)), rng.uniform(-limits[1], limits[1], (25, 10))
        self.b1, self.b2 = np.zeros(25), np.zeros(10)
        self.costs, self.dropped = [], []

    def forward(self, x):
        self.a1 = 1 / (1 + np.exp(-(x @ self.W1 + self.b1)))
        return 1 / (1 + np.exp(-(self.a1 @ self.W2 + self.b2)))

    def epoch(self, x, t):
        p = self.forward(x)
        terms = -(t * np.log(p) + (1 - t) * np.log(1 - p))
        finite = np.isfinite(terms)
        # Mistake 5. Where p has become 0 or 1, log(0) = -inf and 0 log(0) = NaN; they are left out of the sum. A cost
        # of 0 then means that there is nothing left to add up. Right: terms from z, not from p = sigmoid(z), as
        # BinaryCrossEntropyOnLogits does.
        self.costs.append(terms[finite].sum() / len(x))
        self.dropped.append(1 - finite.mean())

        dz2 = p - t
        dz1 = dz2 @ self.W2.T * self.a1 * (1 - self.a1)
        # Mistake 2. The gradient takes the place of the weights. Right: self.W2 -= RATE * …, from where they were.
        self.W2 = RATE * self.a1.T @ dz2
        self.W1 = RATE * x.T @ dz1
        # Mistake 3. The biases never learn. Right: self.b2 -= RATE * dz2.sum(axis=0), and likewise b1.


def tutorial_metric(p, labels):
    """The share of rows whose true class scores over 0.5."""
    # Mistake 4. The other nine scores are not looked at: a network that always answers 1 to all of them is 100 % right.
    # Right: p.argmax(axis=1), the one class that the network prefers.
    return np.mean(p[np.arange(len(p)), labels - 1] > 0.5)


x_train, x_test, train_labels, test_labels = train_test_split(*load_digits(), seed=0)

tutorial = Tutorial()
with np.errstate(all="ignore"):  # or NumPy would warn of every overflow and every log(0)
    for _ in range(EPOCHS):
        tutorial.epoch(x_train.astype(np.float64), np.eye(10)[train_labels - 1])
    theirs = {"training": tutorial.forward(x_train), "held out": tutorial.forward(x_test)}

model = Sequential([Dense(400, 25), Sigmoid(), Dense(25, 10), Sigmoid()], seed=0)
loss, optimizer = BinaryCrossEntropy(), SGD(learning_rate=0.5)
history = model.fit(x_train, train_labels, loss=loss, optimizer=optimizer, epochs=EPOCHS, seed=0)
ours = {"training": model.predict(x_train), "held out": model.predict(x_test)}

print("4,000 digits to train on, 1,000 held out; a 400-25-10 network of sigmoids, 20 epochs\n")
print("                                    tutorial   minigrad")
for number in (1, 2, 3, 10, 20):
    cost, dropped = tutorial.costs[number - 1], tutorial.dropped[number - 1]
    note = f"   the tutorial left out {dropped:.0%} of its terms" if dropped else ""
    print(f"cost in epoch {number:<4}{'':<18}{cost:>8.2f}{history.loss[number - 1]:>11.2f}{note}")
for rows, labels in (("training", train_labels), ("held out", test_labels)):
    values = [tutorial_metric(p[rows], labels) for p in (theirs, ours)]
    print(f"tutorial's metric, {rows:<16}{values[0]:>9.1%}{values[1]:>11.1%}")
for rows, labels in (("training", train_labels), ("held out", test_labels)):
    values = [accuracy(labels, 1 + p[rows].argmax(axis=1)) for p in (theirs, ours)]
    print(f"accuracy (argmax), {rows:<16}{values[0]:>9.1%}{values[1]:>11.1%}")
scores = [p["held out"][0] for p in (theirs, ours)]
print(f"\nten scores of one held-out digit, a {test_labels[0] % 10}:  (classes 1, 2, …, 9, 0)")
for name, score in zip(("tutorial", "minigrad"), scores, strict=True):
    print(f"  {name}  {'  '.join(f'{value:.2f}' for value in score)}")
print(
    "\nThe tutorial's network answers 1 to every class of every digit. Its cost is 0 since every term is left out, its"
)
print("metric is 100 % since it looks at one score in ten; by the largest score it is at chance, 1 in 10.")

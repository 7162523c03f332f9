"""Exclusive or: the smallest problem that a single layer can't solve, and two can.

(0, 0) and (1, 1) are one class, (0, 1) and (1, 0) the other. No straight line parts them.
"""

import numpy as np

from minigrad import Adam, BinaryCrossEntropy, Dense, Sequential, Sigmoid, Tanh

x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
t = np.array(["equal", "different", "different", "equal"])


def train(model):
    model.fit(x, t, loss=BinaryCrossEntropy(), optimizer=Adam(0.05), epochs=300, batch_size=4)
    return model.predict(x)[:, 0]


one = Sequential([Dense(2, 1), Sigmoid()], seed=0)
two = Sequential([Dense(2, 4), Tanh(), Dense(4, 1), Sigmoid()], seed=0)
columns = zip(x, t, train(one), train(two), two.predict_classes(x), strict=True)

print("               probability of 'equal' from")
print("x       truth        one layer  two layers   two layers answer")
for row, truth, p1, p2, answer in columns:
    print(f"{row}   {truth:<9}{p1:>11.2f}{p2:>12.2f}   {answer}")
print(f"\n{two.summary()}")

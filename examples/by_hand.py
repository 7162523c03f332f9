"""The training loop written by hand: four lines a step, and the same network as `fit` gives.

`fit` differs in one thing: its Objective takes the last Sigmoid and the loss together, which is the same function in a
form that can't overflow. So the two agree up to rounding; in float64, to about fourteen digits.
"""

import numpy as np

from minigrad import SGD, BinaryCrossEntropy, Dense, Sequential, Sigmoid
from minigrad.data import LabelEncoder, load_digits, train_test_split
from minigrad.metrics import accuracy

EPOCHS, BATCH = 3, 32


def network():
    return Sequential([Dense(400, 25), Sigmoid(), Dense(25, 10), Sigmoid()], dtype=np.float64, seed=0)


x_train, x_test, train_labels, test_labels = train_test_split(*load_digits(), seed=0)
x_train, x_test = x_train.astype(np.float64), x_test.astype(np.float64)
encoder = LabelEncoder(train_labels)
t_train = encoder.one_hot(train_labels, np.float64)

model, loss, optimizer = network(), BinaryCrossEntropy(), SGD(learning_rate=0.5)
for epoch in range(EPOCHS):
    order, total = np.random.default_rng((0, epoch)).permutation(len(x_train)), 0.0
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        x, t = x_train[rows], t_train[rows]

        p = model.forward(x)
        value = loss.forward(p, t)
        model.backward(loss.backward(p, t))
        optimizer.step(model.theta, model.dtheta)

        total += value * len(rows)
    print(f"epoch {epoch + 1}: loss {total / len(order):.6f}")

fitted = network()
history = fitted.fit(x_train, train_labels, loss=loss, optimizer=SGD(learning_rate=0.5), epochs=EPOCHS, seed=0)
answers = encoder.decode(model.predict(x_test).argmax(axis=1))
print(f"held-out accuracy: by hand {accuracy(test_labels, answers):.3f}, ", end="")
print(f"by fit {accuracy(test_labels, fitted.predict_classes(x_test)):.3f}")
print(f"loss of the last epoch: by hand {total / len(order):.12f}, by fit {history.loss[-1]:.12f}")
print(f"largest difference of any of the {model.theta.size:,} parameters: {abs(model.theta - fitted.theta).max():.0e}")

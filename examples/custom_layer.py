"""A layer of one's own: declare the parameters, write forward and backward, and have them proved.

`PReLU` (He et al., "Delving deep into rectifiers", 2015) is a ReLU whose slope for negative inputs is learned.
"""

import numpy as np

from minigrad import SGD, BinaryCrossEntropy, Dense, Layer, Sequential, Sigmoid, parameter
from minigrad.data import load_digits, train_test_split
from minigrad.metrics import accuracy
from minigrad.testing import GradientError, check_layer


class PReLU(Layer):
    """y = max(x, 0) + a min(x, 0)      da = Σ_B dy min(x, 0),  dx = dy where x > 0, else a dy"""

    traceable = True  # it depends on nothing but x, dy, a and its argument: training may compile it

    a, da = parameter(decay=False)

    def __init__(self, features):
        self.features = features
        self.a = np.full(features, 0.25)

    def forward(self, x):
        self.x = x
        return np.maximum(x, 0) + self.a * np.minimum(x, 0)

    def backward(self, dy):
        self.da = (dy * np.minimum(self.x, 0)).sum(axis=0)
        return dy * np.where(self.x > 0, 1, self.a)


class Forgetful(PReLU):
    """The same with a bug: the learned slope is left out of dx."""

    def backward(self, dy):
        self.da = (dy * np.minimum(self.x, 0)).sum(axis=0)
        return dy * (self.x > 0)


x_train, x_test, train_labels, test_labels = train_test_split(*load_digits(), seed=0)
model = Sequential([Dense(400, 25), PReLU(25), Dense(25, 10), Sigmoid()], seed=0)
model.fit(x_train, train_labels, loss=BinaryCrossEntropy(), optimizer=SGD(0.1), epochs=5)
print(model.summary())
print(f"held-out accuracy {accuracy(test_labels, model.predict_classes(x_test)):.3f}")
print(f"learned slopes from {model[1].a.min():.2f} to {model[1].a.max():.2f}\n")

print(check_layer(PReLU(4)), end="\n\n")

try:
    check_layer(Forgetful(4))
except GradientError as error:
    print(error)

"""What files are tried with: layers, networks, and a way to write what no `save` would."""

import copy
import hashlib
import json

import numpy as np
import safetensors.numpy

from minigrad import (
    Dense,
    Layer,
    LeakyReLU,
    Sequential,
    Sigmoid,
    Tanh,
    parameter,
    state,
)


class Noise(Layer):
    """A layer with a parameter, arrays of several dtypes, a generator, and arguments of every kind."""

    g, dg = parameter()
    mean = state()
    count = state()
    flags = state()
    rng = state()

    def __init__(self, features, *, shape=(1, 2), text="é", rate=0.1, on=True, nothing=None, seed=None):
        self.features, self.shape, self.text = features, shape, text
        self.rate, self.on, self.nothing, self.seed = rate, on, nothing, seed
        self.g = np.ones(features)
        self.mean, self.count = np.zeros(features), np.array(0)
        self.flags = np.zeros((2, 3), bool)
        self.rng = np.random.default_rng(seed)

    def forward(self, x):
        self.x = x
        self.count = self.count + 1
        self.mean = 0.9 * self.mean + 0.1 * x.mean(axis=0)
        return x * self.g + (0.01 * self.rng.standard_normal(x.shape)).astype(x.dtype)

    def predict(self, x):
        return x * self.g - self.mean

    def backward(self, dy):
        self.dg = (dy * self.x).sum(axis=0)
        return dy * self.g


class Sum(Layer):
    """A container that is built as Sum(*layers)."""

    def __init__(self, *layers):
        self.layers = layers

    def forward(self, x):
        return sum(layer.forward(x) for layer in self.layers)

    def backward(self, dy):
        return sum(layer.backward(dy) for layer in self.layers)


class Pair(Layer):
    """A container that makes its layers itself."""

    def __init__(self, features, *, init="glorot_uniform"):
        self.features, self.init = features, init
        self.layers = (Dense(features, features, init=init), Dense(features, features, init=init))

    def forward(self, x):
        return self.layers[1].forward(self.layers[0].forward(x))

    def backward(self, dy):
        return self.layers[0].backward(self.layers[1].backward(dy))


def everything(dtype=np.float32, **options):
    return Sequential(
        [
            Dense(3, 4, init="he_normal"),
            LeakyReLU(0.2),
            Sequential(
                [Noise(4, shape=(2, (3, 4))), Sum(Dense(4, 4, bias=False), Pair(4, init="lecun_normal"))], dtype
            ),
            Dense(4, 2, init="he_uniform", seed=7),
            Sigmoid(),
        ],
        dtype,
        **options,
    )


def small():
    return Sequential([Dense(3, 2), Tanh(), Dense(2, 1)], seed=0)


def same(a, b):
    """Whether two models are equal to the last bit, generators included."""
    one, two = (copy.deepcopy(model) for model in (a, b))
    x = np.random.default_rng(5).normal(size=(3, 3))
    return (
        repr(a) == repr(b)
        and a.dtype == b.dtype
        and a.theta.tobytes() == b.theta.tobytes()
        and a.predict(x).tobytes() == b.predict(x).tobytes()
        and one.forward(x).tobytes() == two.forward(x).tobytes()
    )


def write_forged(path, metadata, tensors):
    """Write a file with a right checksum, whatever it holds."""
    metadata["sha256"] = "0" * 64
    data = bytearray(safetensors.numpy.save(tensors, {"minigrad": json.dumps(metadata)}))
    start = data.index(b"0" * 64)
    data[start : start + 64] = hashlib.sha256(data).hexdigest().encode()
    path.write_bytes(data)

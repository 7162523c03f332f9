"""Initializers: how a layer draws its first weights, `init(rng, shape)`.

In W of shape (…, in, out), each output unit sums over fan_in = … x in inputs, each input feeds fan_out = … x out units.
A layer names its initializer, `Dense(400, 25, init="he_normal")`, so that its configuration can be written down.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from minigrad.parameter import Array

Initializer: TypeAlias = "Callable[[np.random.Generator, tuple[int, ...]], Array]"


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight array (…, in, out)."""
    field = math.prod(shape[:-2])
    return field * shape[-2], field * shape[-1]


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], variance: float) -> Array:
    limit = math.sqrt(3 * variance)  # the variance of U(-a, a) is a² / 3
    return rng.uniform(-limit, limit, shape)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], variance: float) -> Array:
    return rng.normal(0.0, math.sqrt(variance), shape)


def glorot_uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Var W = 2 / (fan_in + fan_out), uniform. Glorot and Bengio, "Understanding the difficulty of training deep
    feedforward neural networks", AISTATS 2010, equation 16."""
    return _uniform(rng, shape, 2 / sum(fans(shape)))


def glorot_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Var W = 2 / (fan_in + fan_out), normal. Glorot and Bengio, AISTATS 2010, equation 12."""
    return _normal(rng, shape, 2 / sum(fans(shape)))


def he_uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Var W = 2 / fan_in, uniform, for ReLU and its kin. He, Zhang, Ren and Sun, "Delving deep into rectifiers",
    ICCV 2015, equation 10."""
    return _uniform(rng, shape, 2 / fans(shape)[0])


def he_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Var W = 2 / fan_in, normal, for ReLU and its kin. He, Zhang, Ren and Sun, ICCV 2015, equation 10."""
    return _normal(rng, shape, 2 / fans(shape)[0])


def lecun_uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Var W = 1 / fan_in, uniform. LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998, section 4.6."""
    return _uniform(rng, shape, 1 / fans(shape)[0])


def lecun_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Var W = 1 / fan_in, normal. LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998, section 4.6."""
    return _normal(rng, shape, 1 / fans(shape)[0])


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """WᵀW = 1 or W Wᵀ = 1 for W as a matrix (… in, out): no vector grows or shrinks. Saxe, McClelland and Ganguli,
    "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", ICLR 2014."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))  # so that every orthogonal matrix is as probable as any other
    return (q if rows >= columns else q.T).reshape(shape)


def zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """W = 0: for an output layer that is to start from equal scores; a hidden layer of zeros never learns."""
    return np.zeros(shape)


BY_NAME: dict[str, Initializer] = {
    function.__name__: function
    for function in (
        glorot_uniform, glorot_normal, he_uniform, he_normal, lecun_uniform, lecun_normal, orthogonal, zeros,
    )
}  # fmt: skip


def initializer(init: str | Initializer) -> Initializer:
    """The initializer of that name; a function of one's own is returned as it is. Raises ValueError for other names."""
    if callable(init):
        return init
    if init not in BY_NAME:
        raise ValueError(f"there is no initializer {init!r}; there are {', '.join(BY_NAME)}")
    return BY_NAME[init]

"""Every layer, loss and optimizer of the package: its step is shown, or refused by name; this is the list."""

import copy
import json

import numpy as np
import pytest
from engines import in_quickjs

import minigrad
from minigrad import (
    SGD,
    CategoricalCrossEntropy,
    Concatenate,
    Dense,
    Flatten,
    LogSoftmax,
    MeanSquaredError,
    Objective,
    Residual,
    Sequential,
    Sigmoid,
    Softmax,
    Softplus,
    Standardize,
    Tanh,
)
from minigrad.losses import Loss
from minigrad.optimizers import Optimizer
from minigrad.pages import OpenedError
from minigrad.testing.strategies import layer_classes

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(3, 4)), np.eye(3)
IMAGES = RNG.normal(size=(3, 4, 4, 1))
FITTED = Standardize(4).fit(X)

MADE = {
    **{
        name: ([getattr(minigrad, name)(2, 3), Dense(3, 3)], RNG.normal(size=(3, 3, 2)))
        for name in ("SimpleRNN", "LSTM", "GRU")
    },
    "Bidirectional": ([minigrad.Bidirectional(minigrad.GRU(2, 2)), Dense(4, 3)], RNG.normal(size=(3, 3, 2))),
    "MultiHeadAttention": ([minigrad.MultiHeadAttention(2, 1), Flatten(), Dense(6, 3)], RNG.normal(size=(3, 3, 2))),
    "PositionalEncoding": ([minigrad.PositionalEncoding(2), Flatten(), Dense(6, 3)], RNG.normal(size=(3, 3, 2))),
    "GLU": ([Dense(4, 4), minigrad.GLU(), Dense(2, 3)], X),
    "SwiGLU": ([Dense(4, 4), minigrad.SwiGLU(), Dense(2, 3)], X),
    "GroupNorm": ([minigrad.GroupNorm(2, 4), Dense(4, 3)], X),
    "InstanceNorm": ([minigrad.InstanceNorm(1), Flatten(), Dense(16, 3)], IMAGES),
    "UpSampling2D": ([minigrad.UpSampling2D(2), Flatten(), Dense(64, 3)], IMAGES),
    "Frozen": ([minigrad.Frozen(Dense(4, 4)), Dense(4, 3)], X),
    "Tied": ([Dense(4, 4), minigrad.Tied(minigrad.Embedding(3, 4))], X),
    "Columns": ([minigrad.Columns(0, 2), Dense(2, 3)], X),
    "Average": ([minigrad.Average(Sequential([Dense(4, 2), Tanh()]), Dense(4, 2)), Dense(2, 3)], X),
    "Concatenate": ([Concatenate(Sequential([Dense(4, 2), Tanh()]), Dense(4, 2)), Dense(4, 3)], X),
    "Residual": ([Residual(Dense(4, 4), Tanh()), Dense(4, 3)], X),
    "Reshape": ([minigrad.Reshape((2, 2)), Flatten(), Dense(4, 3)], X),
    "Dropout": ([Dense(4, 4), minigrad.Dropout(0.3), Dense(4, 3)], X),
    "Standardize": ([FITTED, Dense(4, 3)], X),
    "Conv1D": ([minigrad.Conv1D(1, 2, 2), Flatten(), Dense(6, 3)], X[:, :, None]),
    "Conv2D": (
        [
            minigrad.Conv2D(1, 2, 2, padding=1),
            minigrad.Conv2D(2, 1, 2, padding=1, padding_mode="reflect"),
            Flatten(),
            Dense(36, 3),
        ],
        IMAGES,
    ),
    "ConvTranspose2D": ([minigrad.ConvTranspose2D(1, 2, 2, padding=1), Flatten(), Dense(18, 3)], IMAGES),
    "MaxPool2D": ([minigrad.MaxPool2D(2, 3, ceil_mode=True), Flatten(), Dense(4, 3)], IMAGES),
    "AvgPool2D": ([minigrad.AvgPool2D(2, 3, ceil_mode=True), Flatten(), Dense(4, 3)], IMAGES),
    "GlobalAvgPool2D": ([minigrad.GlobalAvgPool2D(), Dense(1, 3)], IMAGES),
    "Embedding": ([minigrad.Embedding(5, 2), Flatten(), Dense(8, 3)], RNG.integers(0, 5, (3, 4))),
}
"""Layers that take more than the number of their features, or other rows than of four numbers."""
LAST = {"Poisson": [Softplus()], "KLDivergence": [Softmax()], "NegativeLogLikelihood": [LogSoftmax()],
        "BinaryCrossEntropy": [Sigmoid()], "CategoricalCrossEntropy": [Softmax()]}  # fmt: skip
REFUSED = {"Embedding": "which has no formula"}
WRAPPED = {"ClipByNorm": (1.0,), "ClipByValue": (0.1,), "ParameterAverage": (0.9,)}


def kinds(base):
    found = {}
    for cls in base.__subclasses__():
        found |= kinds(cls)
        if cls.__module__.startswith("minigrad.") and getattr(minigrad, cls.__name__, None) is cls:
            found[cls.__name__] = cls
    return found


def layers(cls):
    if cls.__name__ in MADE:
        return MADE[cls.__name__]
    try:
        layer = cls()
    except TypeError:
        layer = cls(4, 4) if cls is Dense else cls(4)
    return [Dense(4, 4), layer, Dense(4, 3)], X


CASES = {cls.__name__: lambda cls=cls: (*layers(cls), MeanSquaredError(), SGD(0.1)) for cls in layer_classes()}
CASES |= {
    name: lambda name=name, cls=cls: ([Dense(4, 3), *LAST.get(name, [])], X, cls(), SGD(0.1, momentum=0.9))
    for name, cls in kinds(Loss).items()
}
CASES |= {
    name: lambda name=name, cls=cls: (
        [Dense(4, 4), Tanh(), Dense(4, 3), Softmax()],
        X,
        CategoricalCrossEntropy(),
        cls(SGD(0.1), *WRAPPED[name]) if name in WRAPPED else cls(0.1),
    )
    for name, cls in kinds(Optimizer).items()
}
CASES["SumOfLosses"] = lambda: (
    [Dense(4, 3)],
    X,
    minigrad.SumOfLosses([(MeanSquaredError(), 2), (minigrad.Huber(), 1, 0.5)]),
    SGD(0.1),
)
CASES["GaussianNLL"] = lambda: ([Dense(4, 6), Softplus()], X, minigrad.GaussianNLL(), SGD(0.1))
CASES["ByPart"] = lambda: (
    [Dense(4, 3)],
    X,
    MeanSquaredError(),
    minigrad.ByPart({"b": SGD(0.01)}, default=minigrad.Adam(0.1)),
)
CASES |= {  # pairs in which no layer is absorbed
    "BinaryCrossEntropy of Softmax": lambda: ([Dense(4, 3), Softmax()], X, minigrad.BinaryCrossEntropy(), SGD(0.1)),
    "CategoricalCrossEntropy of Sigmoid": lambda: ([Dense(4, 3), Sigmoid()], X, CategoricalCrossEntropy(), SGD(0.1)),
    "Nesterov": lambda: ([Dense(4, 3)], X, MeanSquaredError(), SGD(0.1, 0.9, nesterov=True, weight_decay=0.1)),
}


def test_nothing_of_the_package_is_left_out():
    names = {name for base in (Loss, Optimizer) for name in kinds(base)} | {cls.__name__ for cls in layer_classes()}
    assert names <= set(CASES) and len(names) >= 45


@pytest.mark.parametrize("name", CASES)
def test_a_step_is_shown_or_refused_by_name(name, tmp_path):
    made, x, loss, optimizer = CASES[name]()
    model = Sequential(copy.deepcopy(made), np.float64, seed=3)
    if name in REFUSED:
        with pytest.raises(OpenedError, match=f"{name}.*{REFUSED[name]}"):
            model.lay_open(x, T, loss, optimizer)
        return
    opened = model.lay_open(x, T, loss, optimizer)
    opened.save(tmp_path / "step.xlsx", steps=1)
    opened.save(tmp_path / "step.html")
    if name == "Dropout":
        return  # the layers draw anew in every step
    optimizer.bind(model)
    objective, expected = Objective(model, loss), []
    for _ in range(3):
        expected.append(objective.gradient(model.admit(x), T))
        optimizer.step(model.theta, model.dtheta)
    code = f"[window.minigrad.loss, window.minigrad.step(1), window.minigrad.step(1)].concat({json.dumps(0)})"
    found = in_quickjs((tmp_path / "step.html").read_text(encoding="utf-8"), code)
    np.testing.assert_allclose(found[:3], expected, rtol=1e-11, atol=1e-12)

"""What constructors say to arguments of which nothing can be made: the argument's name, and what it has to be."""

import math
import re

import numpy as np
import pytest

import minigrad
from minigrad import (
    CELU,
    LSTM,
    SGD,
    Adam,
    Average,
    BatchNorm,
    ByPart,
    ClipByNorm,
    Concatenate,
    Conv2D,
    Dense,
    Huber,
    InstanceNorm,
    Layer,
    MaxPool2D,
    MultiHeadAttention,
    Objective,
    ParameterAverage,
    PositionalEncoding,
    Reshape,
    Residual,
    RMSNorm,
    Sequential,
    SumOfLosses,
    UpSampling2D,
    schedules,
)
from minigrad.configured import NUMBERS, Configured
from minigrad.data.augment import rotations, shifts

MADE = [*(getattr(minigrad, name) for name in minigrad.__all__), *vars(schedules).values(), shifts, rotations]
ARGUMENTS = [
    (cls, name, kind.removesuffix(" | None"))
    for cls in dict.fromkeys(made for made in MADE if isinstance(made, type) and issubclass(made, Configured))
    for name, kind in getattr(cls.__init__, "__annotations__", {}).items()
    if kind.removesuffix(" | None") in NUMBERS and name != "seed"
]


def test_what_is_to_be_a_number_and_is_none_is_named():
    assert len(ARGUMENTS) > 100
    for cls, name, kind in ARGUMENTS:
        for wrong in ("a", [1], 1j, *[0.5] * (kind == "int")):
            with pytest.raises(TypeError, match=rf"^{cls.__name__}: {name}={re.escape(repr(wrong))} is n\w+ ") as told:
                cls(**{name: wrong})
            assert NUMBERS[kind] in str(told.value)


def test_numbers_of_numpy_are_numbers_and_none_is_none():
    assert Dense(np.int64(2), np.int8(3)).W.shape == (2, 3)
    assert SGD(np.float32(0.5)).rate(0) == SGD(lambda k: 0.5).rate(0) == 0.5
    assert Conv2D(1, 1, np.int64(3)).W.shape == Conv2D(1, 1, np.array([3, 3])).W.shape
    assert LSTM(2, 3, padding=None, truncate=None).padding is None


def test_a_class_of_ones_own_may_declare_its_arguments_loosely():
    class Named(Layer):
        def __init__(self, name: "float"):
            self.name = name

    assert Named("a").name == "a" and Named(None).name is None


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Residual(3), TypeError, "Residual takes layers, not 3"),
        (lambda: Concatenate(Dense(2, 2), Dense), TypeError, "Concatenate takes layers, not <class"),
        (lambda: Average([Dense(2, 2)]), TypeError, "Average takes layers, no list of them: Average(*layers)"),
        (lambda: PositionalEncoding(4, learned=3), TypeError, "learned is an Embedding, not 3"),
        (lambda: PositionalEncoding(4, padding=math.nan), ValueError, "padding=nan must be a finite number"),
        (lambda: MultiHeadAttention(4, 2, padding=math.inf), ValueError, "padding=inf must be a finite number"),
        (lambda: Reshape(3), TypeError, "Reshape(3): the shape of a row is a tuple, here (3,)"),
        (lambda: Reshape((-1, 2)), ValueError, "a shape consists of whole numbers that are not negative"),
        (lambda: InstanceNorm(0), ValueError, "InstanceNorm(features=0): the width must be at least 1"),
        (lambda: BatchNorm(3, eps=-1), ValueError, "BatchNorm(features=3): eps=-1 must be at least 0"),
        (lambda: RMSNorm(3, math.nan), ValueError, "RMSNorm(features=3): eps=nan must be at least 0"),
        (lambda: CELU(math.inf), ValueError, "CELU(alpha=inf): alpha must be finite and above 0"),
        (lambda: Conv2D(1, 2, 2.5), ValueError, "size is a whole number or 2 of them, of at least 1, not 2.5"),
        (lambda: MaxPool2D(2, stride=(1, 0.5)), ValueError, "stride is a whole number or 2 of them, of at least 1"),
        (lambda: UpSampling2D((1.5, 2)), ValueError, "the size is a whole number of at least 1, or two of them"),
        (lambda: Sequential(3), TypeError, "a Sequential takes a list of layers: Sequential([3, …])"),
        (lambda: SumOfLosses([]), ValueError, "SumOfLosses needs at least one loss"),
        (lambda: SumOfLosses(Huber()), ValueError, "(Huber(),) is no pair of a loss and its number of columns"),
        (lambda: SumOfLosses([(Huber(), 1, "a")]), ValueError, "the weight of a loss is a number"),
        (lambda: ClipByNorm("adam", 1), TypeError, "optimizer='adam' is no optimizer; write optimizer=Adam()"),
        (lambda: ParameterAverage(Adam), TypeError, "optimizer=Adam is a class; make one of it: optimizer=Adam(…)"),
        (
            lambda: ByPart([SGD()], default=SGD()),
            TypeError,
            "ByPart takes a dict of optimizers, such as {0: SGD(",
        ),
        (lambda: schedules.ReduceOnPlateau(3), TypeError, "optimizer=3 is no optimizer; give one, such as SGD("),
        (lambda: Objective(Dense(2, 1), Huber()), TypeError, "model=Dense(2, 1) is no model; give one, such as Seq"),
    ],
)
def test_what_makes_nothing_is_named(make, error, words):
    with pytest.raises(error, match=re.escape(words)):
        make()

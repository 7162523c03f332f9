"""Native lines: the bits of NumPy's calls, one by one and in whole trainings; what they say of errors; how they end."""

import copy
import signal
import threading
import time
import warnings

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from test_program import trainings

import minigrad.programs.arrays
from minigrad import (
    SGD,
    Adam,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Dense,
    Dropout,
    Layer,
    MeanSquaredError,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from minigrad.programs import executor
from minigrad.programs.arrays import address
from minigrad.programs.executor import NotNative
from minigrad.programs.form import Copy, Elementwise, Part, Product, Reduce, Value, View
from minigrad.programs.replay import Forward, StepProgram
from minigrad.programs.running import programs_of
from minigrad.programs.trials import same_bits
from minigrad.programs.writers.native import Lowering, Native, table_of

native_only = pytest.mark.skipif(executor.refusal() is not None, reason="native lines: an engine that is missing here")
PART = Part("forward", 0, "a line")


@pytest.fixture
def as_python(monkeypatch):
    """A function that turns native lines off, for programs made from now on."""
    return lambda: monkeypatch.setattr(executor, "refusal", lambda: "the test says so")


# ---------------------------------------------------------------------------------------------------------- single lines
def view_of(draw, shape, dtype, number):
    """A view of this shape that lies in its memory in any way: turned, reversed, with gaps, broadcast."""
    order = draw(st.permutations(range(len(shape))))
    strides, step = [0] * len(shape), draw(st.sampled_from([1, 1, 1, 2]))
    for axis in order:
        strides[axis] = step * draw(st.sampled_from([1, 1, 1, -1]))
        step *= shape[axis]
    low = sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if s < 0)
    view = View(None, -low, tuple(shape), tuple(strides))
    value = Value(number, number, (view.span[1],), (1,), np.dtype(dtype), "made")
    return View(value, -low, tuple(shape), tuple(strides))


def numbers_for(view, rng):
    numbers = rng.normal(size=view.value.shape[0]) * 3
    numbers[rng.random(numbers.shape) < 0.3] *= 0.0
    numbers[rng.random(numbers.shape) < 0.05] = np.nan
    numbers[rng.random(numbers.shape) < 0.05] = np.inf
    return (numbers > 0) if view.dtype == bool else numbers.astype(view.dtype)


FLOATS = st.sampled_from([np.float32, np.float64])
SHAPES = st.lists(st.integers(1, 5), max_size=4) | st.lists(st.sampled_from([1, 7, 40, 300]), max_size=2)


@st.composite
def lines(draw):
    shape, dtype = draw(SHAPES), draw(FLOATS)
    kind = draw(st.sampled_from(["one", "two", "number", "cast", "copy", "reduce", "product", "outer"]))

    def some(number, dtype=dtype):
        gone = draw(st.integers(0, len(shape)))
        smaller = [draw(st.sampled_from([1, n, n, n])) for n in shape[gone:]]
        return view_of(draw, smaller, dtype, number)

    if kind == "reduce":
        operand = view_of(draw, shape, dtype, 1)
        axes = st.lists(st.sampled_from(range(len(shape))), unique=True, min_size=1) if shape else st.just([])
        axis = draw(st.none() | st.integers(0, len(shape) - 1) | axes.map(tuple)) if shape else None
        keepdims = draw(st.booleans())
        summed = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        left = [1 if n in summed else length for n, length in enumerate(shape) if keepdims or n not in summed]
        function = draw(st.sampled_from([np.add, np.add, np.maximum, np.minimum, np.multiply])).reduce
        options = {"axis": axis} | ({"keepdims": True} if keepdims else {})
        return Reduce(function, (operand,), options, view_of(draw, left, dtype, 0), PART)
    if kind in ("product", "outer"):
        m, k, n = (draw(st.integers(1, 30)) for _ in range(3))
        k = 1 if kind == "outer" else k
        stack = [min(length, 5) for length in shape[:2]] if kind == "product" else []
        a, b = view_of(draw, [*stack, m, k], dtype, 1), view_of(draw, [*stack[-1:], k, n], dtype, 2)
        if kind == "product" and draw(st.booleans()):
            return Product(np.matmul, (a, view_of(draw, [k], dtype, 2)), {}, view_of(draw, [*stack, m], dtype, 0), PART)
        return Product(np.matmul, (a, b), {}, view_of(draw, [*stack, m, n], dtype, 0), PART)
    out = view_of(draw, shape, dtype, 0)
    if kind == "one":
        functions = [np.exp, np.tanh, np.negative, np.sqrt, np.abs, np.log1p, np.square, np.sign, np.reciprocal]
        return Elementwise(draw(st.sampled_from(functions)), (some(1),), {}, out, PART)
    if kind == "copy":
        source = draw(st.sampled_from([dtype, np.float64, np.bool]))
        return Copy(np.copyto, (draw(st.just(some(1, source)) | st.sampled_from([0.0, -0.0, 2])),), {}, out, PART)
    function = draw(st.sampled_from([np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.greater]))
    out = view_of(draw, shape, np.bool if function is np.greater else dtype, 0)
    second = {"number": draw(st.sampled_from([0.0, -1.5, 2])), "cast": some(2, np.bool)}.get(kind) or some(2)
    return Elementwise(function, (some(1), second), {}, out, PART)


@native_only
@given(line=lines(), seed=st.integers(0, 9))
def test_a_line_has_the_bits_of_numpys_call(line, seed):
    rng, lowering = np.random.default_rng(seed), Lowering()
    views = [*line.inputs, line.out]
    homes = [numbers_for(view, rng) if isinstance(view, View) else view for view in views]

    def arrays(homes):
        return [
            np.ndarray(v.shape, v.dtype, h.data, v.offset * h.itemsize, [s * h.itemsize for s in v.strides])
            if isinstance(v, View)
            else v
            for v, h in zip(views, homes, strict=True)
        ]

    try:
        rows = lowering.rows(line)
    except NotNative as refusal:
        event(f"refused: {refusal}")
        return
    event("lowered")
    expected, found = copy.deepcopy(homes), copy.deepcopy(homes)
    *inputs, out = arrays(expected)
    with np.errstate(all="ignore"):
        line.run(inputs, line.options, out)
    bases = {v.memory: address(h) for v, h in zip(views, found, strict=True) if isinstance(v, View)}
    bases |= {number: address(array) for number, array in lowering.constants.items()}
    executor.run(executor.raw_bytes(table_of(rows, bases)))
    for one, two in zip(expected, found, strict=True):
        assert same_bits(one, two)


@native_only
@pytest.mark.parametrize("n", [1, 7, 8, 9, 127, 128, 129, 1000, 8191, 8192, 8193, 20000])
@pytest.mark.parametrize("shape, axis", [((1, 0), None), ((1, 0), 1), ((0, 1), 0), ((3, 0), 1), ((0, 3), 0), ((3, 0), None)])
def test_sums_of_any_length_have_the_bits_of_numpys(n, shape, axis):
    shape = tuple(length or n for length in shape)
    value = Value(1, 1, shape, (shape[1], 1), np.dtype(np.float32), "made")
    left = () if axis is None else (shape[1 - axis],)
    out = Value(0, 0, left, (1,) * len(left), np.dtype(np.float32), "made")
    line = Reduce(np.add.reduce, (value.whole,), {"axis": axis}, out.whole, PART)
    rows, x, y = Lowering(), np.random.default_rng(0).normal(size=shape).astype("f"), np.zeros(left, "f")
    table = table_of(rows.rows(line), {1: address(x), 0: address(y)} | {n: address(a) for n, a in rows.constants.items()})
    executor.run(executor.raw_bytes(table))
    assert same_bits(y, np.asarray(x.sum(axis=axis)))


# -------------------------------------------------------------------------------------------------------- whole trainings
def trained(make, x, t, **options):
    model = make()
    history = model.fit(x, t, **{"epochs": 3, "batch_size": 8, "seed": 1, "verbose": False} | options)
    return model, list(history["loss"])


@given(training=trainings())
def test_a_random_network_trains_to_the_same_bits_with_and_without(training):
    model, optimizer, x, t, options = training
    results = []
    for refusal in (executor.refusal, lambda: "the test says so"):
        before, executor.refusal = executor.refusal, refusal
        try:
            mine = copy.deepcopy(model)
            mine.fit(x, t, optimizer=optimizer(), epochs=3, **options)
            programs = [p for p in programs_of(mine).made if p is not None]
            event(f"native: {[isinstance(p.native, Native) and p.native.whole for p in programs][:1]}")
            results.append((mine.theta, mine.dtheta, mine.predict(x)))
        finally:
            executor.refusal = before
    for one, two in zip(*results, strict=True):
        assert same_bits(one, two)

"""Native lines: the bits of NumPy's calls, one by one and in whole trainings; what they say of errors; how they end."""

import copy
import datetime
import os
import signal
import threading
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import event, given, strategies as st
from test_program import trainings

from minigrad import (
    SGD,
    Adam,
    BinaryCrossEntropy,
    Dense,
    Dropout,
    Layer,
    MeanSquaredError,
    Objective,
    ReLU,
    Sequential,
    Sigmoid,
    programs,
)
from minigrad.blas_threads import one_blas_thread
from minigrad.programs.ir.memory import address
from minigrad.programs.ir.ops import Call, Copy, Elementwise, Product, Reduce, Scope, Value, View, exchange
from minigrad.programs.ir.verification import differences, outcome, same_bits
from minigrad.programs.native import executable as native, extension as executor, products, work_sharing as dividing
from minigrad.programs.native.constants import Constants
from minigrad.programs.native.executable import Native
from minigrad.programs.native.extension import NotNative
from minigrad.programs.native.lowering import Lowering
from minigrad.programs.native.products import Products
from minigrad.programs.native.table import Row, table_of
from minigrad.programs.passes.buffers import lay_out
from minigrad.programs.runtime import compiling as making
from minigrad.programs.runtime.cache import programs_of
from minigrad.programs.runtime.executables import Forward, StepProgram
from minigrad.programs.tracing.steps import Step

native_only = pytest.mark.skipif(executor.refusal() is not None, reason="native: not in use here")
PART = Scope("forward", 0, "a line")


@pytest.fixture
def as_python(monkeypatch):
    """A function that turns native lines off, for programs made from now on."""
    return lambda: monkeypatch.setattr(executor, "refusal", lambda: "the test says so")


# --------------------------------------------------------------------------------------------------------- single lines
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
    numbers = rng.normal(size=view.value.whole.extent) * 3
    numbers[rng.random(numbers.shape) < 0.3] *= 0.0
    numbers[rng.random(numbers.shape) < 0.05] = np.nan
    numbers[rng.random(numbers.shape) < 0.05] = np.inf
    return (numbers > 0) if view.dtype == bool else numbers.astype(view.dtype)


FLOATS = st.sampled_from([np.float32, np.float64])
SHAPES = st.lists(st.integers(1, 5), max_size=4) | st.lists(st.sampled_from([1, 7, 40, 300]), max_size=2)


@st.composite
def lines(draw):
    shape, dtype = draw(SHAPES), draw(FLOATS)
    kind = draw(st.sampled_from(["one", "two", "number", "cast", "copy", "reduce", "product", "outer", "moves"]))

    def some(number, dtype=dtype):
        gone = draw(st.integers(0, len(shape)))
        smaller = [draw(st.sampled_from([1, n, n, n])) for n in shape[gone:]]
        return view_of(draw, smaller, dtype, number)

    if kind == "moves":
        return draw(moves(shape, dtype))
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
    functions = [np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum, np.minimum, np.greater]
    function = draw(st.sampled_from(functions))
    out = view_of(draw, shape, np.bool if function is np.greater else dtype, 0)
    second = {"number": draw(st.sampled_from([0.0, -1.5, 2])), "cast": some(2, np.bool)}.get(kind) or some(2)
    return Elementwise(function, (some(1), second), {}, out, PART)


@st.composite
def moves(draw, shape, dtype):
    """A call that puts numbers elsewhere."""
    function = draw(st.sampled_from([np.zeros_like, np.reshape, np.ndarray.reshape, np.concatenate, np.stack]))
    joining, options = function in (np.concatenate, np.stack), {}
    parts = [
        view_of(draw, shape, dtype, number) for number in range(1, 1 + (draw(st.integers(1, 3)) if joining else 1))
    ]
    inputs = (parts,) if joining else (parts[0],)
    if function is np.concatenate:
        options = {"axis": draw(st.sampled_from([None, *range(-len(shape), len(shape))]))}
    elif function is np.stack:
        options = {"axis": draw(st.integers(-len(shape) - 1, len(shape)))}
    elif function is not np.zeros_like:
        inputs = (parts[0], draw(st.sampled_from([(-1,), (*shape[::-1],), (1, *shape)])))
        inputs += draw(st.sampled_from([(), (), ("F",)])) if function is np.reshape else ()
    zeros = exchange(inputs, lambda view: np.zeros(view.shape))
    made = np.empty_like(function(*zeros, **options), order=draw(st.sampled_from("CF")))
    strides = tuple(stride // made.itemsize for stride in made.strides)
    return Call(function, inputs, options, Value(0, 0, made.shape, strides, np.dtype(dtype), "made").whole, PART)


@native_only
@given(line=lines(), seed=st.integers(0, 9))
def test_a_line_has_the_bits_of_numpys_call(line, seed):
    rng, lowering = np.random.default_rng(seed), Lowering()
    homes = {view.memory: numbers_for(view, rng) for view in (*line.reads, line.out)}

    def array(view):
        home = expected[view.memory]
        bytes_apart = [stride * home.itemsize for stride in view.strides]
        return np.ndarray(view.shape, view.dtype, home.data, view.offset * home.itemsize, bytes_apart)

    try:
        rows = lowering.rows(line)
    except NotNative as refusal:
        event(f"refused: {refusal}")
        return
    event("lowered")
    expected, found = copy.deepcopy(homes), copy.deepcopy(homes)
    with np.errstate(all="ignore"):
        line.run(exchange(line.inputs, array), line.options, array(line.out))
    bases = {number: address(array) for number, array in (found | lowering.constants.arrays).items()}
    executor.run(executor.raw_bytes(table_of(rows, bases)))
    for number, home in expected.items():
        assert same_bits(home, found[number])


@native_only
@given(line=lines())
def test_a_line_that_comes_again_elsewhere_has_the_same_rows_there(line):
    lowering = Lowering()
    further = {view.value: replace(view.value, memory=view.memory + 10) for view in (*line.reads, line.out)}
    elsewhere = line.with_views(lambda view: replace(view, value=further[view.value], offset=view.offset + 3))
    try:
        once, again = lowering.rows(line), lowering.rows(elsewhere)
    except NotNative:
        return
    for row, other in zip(once, again, strict=True):
        moved = zip(row.spots, row.items, strict=True)
        spots = [(memory + 10, start + 3 * item) if memory >= 0 else () for (memory, start), item in moved]
        assert spots == [spot if spot[0] >= 0 else () for spot in other.spots]
        assert replace(row, spots=()) == replace(other, spots=())


@native_only
@pytest.mark.parametrize("n", [1, 7, 8, 9, 127, 128, 129, 1000, 8191, 8192, 8193, 20000])
@pytest.mark.parametrize(
    "shape, axis", [((1, 0), None), ((1, 0), 1), ((0, 1), 0), ((3, 0), 1), ((0, 3), 0), ((3, 0), None)]
)
def test_sums_of_any_length_have_the_bits_of_numpys(n, shape, axis):
    shape = tuple(length or n for length in shape)
    value = Value(1, 1, shape, (shape[1], 1), np.dtype(np.float32), "made")
    left = () if axis is None else (shape[1 - axis],)
    out = Value(0, 0, left, (1,) * len(left), np.dtype(np.float32), "made")
    line = Reduce(np.add.reduce, (value.whole,), {"axis": axis}, out.whole, PART)
    lowering, x, y = Lowering(), np.random.default_rng(0).normal(size=shape).astype("f"), np.zeros(left, "f")
    try:
        rows = lowering.rows(line)
    except NotNative:
        assert np.lib.NumpyVersion(np.__version__) < "2.3.0" and x.size > 8192, "it added up in pieces, until then"
        return
    addresses = {1: address(x), 0: address(y)} | {n: address(a) for n, a in lowering.constants.arrays.items()}
    executor.run(executor.raw_bytes(table_of(rows, addresses)))
    assert same_bits(y, np.asarray(x.sum(axis=axis)))


# ------------------------------------------------------------------------------------------------------ whole trainings
@native_only
def test_the_function_of_a_native_step_is_written_when_it_is_asked_for():
    model = Sequential([Dense(3, 4), Sigmoid(), Dense(4, 2)], input_shape=(3,), seed=0)
    program = model.program(MeanSquaredError(), SGD(0.1))
    assert program._code is None
    assert "= theta - " in str(program) and program._code is not None
    found = [arrays(program, function) for function in (program.native.function, program.code.function)]
    assert same_bits(*found)


def arrays(program, function):
    for value, array in program.given.items():
        array[...] = np.random.default_rng(value.number).normal(size=array.shape)
    function()
    return np.concatenate([array.ravel() for array in program.given.values()])


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


MANY = 20_000  # elements: several pieces


@st.composite
def rows_over_one_memory(draw):
    """Some rows of equally many elements, or of others, that read and write here and there in one memory.

    Operands lie where the result does, or away from it: others are never lowered. Rows meet each other anyhow.
    """
    rows = []
    for ufunc in draw(st.lists(st.sampled_from([np.add, np.multiply, np.maximum]), min_size=2, max_size=6)):
        count, shift = draw(st.sampled_from([MANY, MANY, MANY - 3])), draw(st.sampled_from([0, 0, 0, 1, 4096]))
        parts = draw(st.tuples(*[st.integers(0, 2)] * 3))
        strides = [4 if part == parts[-1] else draw(st.sampled_from([4, 0])) for part in parts]
        spots = tuple((0, 4 * (shift + MANY * part)) for part in parts)
        rows.append(Row(executor.loop_of(ufunc, (np.dtype("f"),) * 3), spots, (4,) * 3, (count,), tuple(strides)))
    return rows


@native_only
@given(rows=rows_over_one_memory())
def test_going_over_elements_piece_by_piece_leaves_what_row_after_row_does(rows):
    left = []
    for together in (False, True):
        memory = np.random.default_rng(0).normal(size=4 * MANY).astype("f")
        table = table_of(rows, {0: address(memory)})
        if not together:
            table["run"] = 1
        event(f"together: {table['run'].max() > 1}")
        executor.run(executor.raw_bytes(table))
        left.append(memory)
    assert same_bits(*left)


def test_what_is_said_of_the_extension_is_what_programs_do():
    program = network().program(BinaryCrossEntropy(), SGD(0.1))
    assert programs.native_available() is isinstance(program.native, Native)
    assert programs.native_available() is ("natively" in str(program))


@native_only
def test_an_update_of_many_weights_goes_piece_by_piece():
    program = Sequential([Dense(200, 100)], seed=0).program(MeanSquaredError(), Adam(), batch_size=4)
    assert np.frombuffer(program.native.table, executor.LINE)["run"].max() > 5


@native_only
@given(training=trainings(), members=st.integers(2, 3))
def test_divided_among_threads_a_network_has_the_same_bits(training, members):
    model, optimizer, x, t, options = training
    objective = Objective(model, options["loss"], options["l2"], options["l1"])
    rng = np.random.default_rng(0)
    x = np.concatenate([x, rng.normal(size=(20, *x.shape[1:]))])
    targets = np.eye(t.shape[1])[rng.integers(0, t.shape[1], len(x))]
    program = StepProgram(Step(objective, optimizer(), model.admit(x), targets.astype(model.dtype)))
    batch = [program.given[value].copy() for value in program.inputs]
    expected = outcome(program, batch)
    before = native.WORTH_DIVIDING, dividing.DIVIDED_FROM
    native.WORTH_DIVIDING = dividing.DIVIDED_FROM = 0
    try:
        tables = native.write(program)
        event(f"divided: {tables.divide(members)}")
    finally:
        native.WORTH_DIVIDING, dividing.DIVIDED_FROM = before
    with one_blas_thread(), np.errstate(all="ignore"):
        result = tables.divided() if tables.members > 1 else tables.function()
    found = {program.names[v.whole.place]: program.homes[v.memory] for v in program.lasting}
    assert differences("same bits", expected, found | {"the result": np.array(result)}) == []


def digits_like(m=64, inputs=6, outputs=3, dtype=np.float32):
    rng = np.random.default_rng(0)
    return rng.random((m, inputs)).astype(dtype), np.eye(outputs, dtype=dtype)[rng.integers(0, outputs, m)]


def network(*between, dtype=np.float32):
    return Sequential([Dense(6, 5), *between, Sigmoid(), Dense(5, 3), Sigmoid()], dtype, seed=0)


def both_ways(as_python, make=network, optimizer=lambda: SGD(0.5), data=None, epochs=3, **options):
    """What training leaves, natively and as Python, and the native programs."""
    x, t = digits_like() if data is None else data
    results, programs = [], []
    for off in (False, True):
        if off:
            as_python()
        model = make()
        model.steps_by_hand = 0
        history = model.fit(x, t, loss=BinaryCrossEntropy(), optimizer=optimizer(), epochs=epochs, **options)
        results.append([model.theta, model.dtheta, np.array(history.loss), model.predict(x[:3])])
        made = [p for p in programs_of(model).made if isinstance(p, StepProgram)]
        assert made and all(isinstance(p.native, Native) != off for p in made)
        programs.append(made)
    for one, two in zip(*results, strict=True):
        assert same_bits(one, two)
    return programs[0]


@native_only
@pytest.mark.parametrize("batch_size", [1, 7, 8, 64])
@pytest.mark.parametrize(
    "optimizer", [lambda: SGD(0.5), lambda: SGD(lambda n: 0.5 / (1 + n)), Adam], ids=["sgd", "schedule", "adam"]
)
def test_whole_runs_of_batches_leave_the_same_bits(batch_size, optimizer, as_python):
    assert all(p.native.whole for p in both_ways(as_python, optimizer=optimizer, batch_size=batch_size))


@native_only
@pytest.mark.parametrize("hidden, outputs", [(1, 1), (2, 3), (4, 5), (7, 8), (16, 9), (25, 10), (33, 40)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gradient_of_a_single_row_is_written_for_the_last_batch_alone(hidden, outputs, dtype, as_python):
    x, t = digits_like(outputs=outputs, dtype=dtype)
    x[::3, ::2] *= -0.0
    layers = [Dense(6, hidden), Sigmoid(), Dense(hidden, outputs), Sigmoid()]
    (program,) = both_ways(as_python, lambda: Sequential(copy.deepcopy(layers), dtype), data=(x, t), batch_size=1)
    loops = np.frombuffer(program.native.before, executor.LINE)["loop"]
    written = np.frombuffer(program.native.table, executor.LINE)["loop"]
    outer, both = (executor.own_loops()[f"{name} {np.dtype(dtype)}"] for name in ("outer", "outer descend"))
    assert (loops == both).sum() == 2 == (written == outer).sum() - (loops == outer).sum()


@native_only
@pytest.mark.parametrize("options", [{"l2": 0.1}, {"optimizer": lambda: SGD(0.5, momentum=0.9)}, {"batch_size": 2}])
def test_a_gradient_that_others_read_is_written_for_every_batch(options, as_python):
    assert all(p.native.before is None for p in both_ways(as_python, **({"batch_size": 1} | options)))


@native_only
def test_batches_with_weights_some_without_any(as_python):
    w = np.random.default_rng(1).random(64) * np.repeat([1, 0, 1, 1], 16)
    assert both_ways(as_python, batch_size=8, sample_weight=w, shuffle=False)[0].native.whole


@native_only
@pytest.mark.parametrize("weights", [None, np.random.default_rng(1).random(64) * np.repeat([1, 0, 1, 1], 16)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])  # of x: the latter is cast by Python
def test_trained_by_several_threads_a_network_has_the_same_bits(weights, dtype, as_python, monkeypatch):
    for module, name in ((native, "WORTH_DIVIDING"), (dividing, "DIVIDED_FROM")):
        monkeypatch.setattr(module, name, 0)
    monkeypatch.setattr(making, "blas_threads", lambda: 3)
    x, t = digits_like()
    for optimizer in (Adam, lambda: SGD(0.5)):
        (program,) = both_ways(
            as_python, optimizer=optimizer, data=(x.astype(dtype), t), batch_size=16, sample_weight=weights
        )
        assert program.native.members == 3
        monkeypatch.setattr(executor, "refusal", lambda: None)


@native_only
@pytest.mark.parametrize("dtype", [np.float64, np.uint8])
def test_rows_of_another_type_are_cast_on_the_way(dtype, as_python):
    x, t = digits_like()
    both_ways(as_python, data=((10 * x).astype(dtype), t), batch_size=8)


class Gram(Layer):
    """x xᵀ x: NumPy multiplies a matrix by its own transpose in a way of its own."""

    traceable = True

    def forward(self, x):
        self.x = x
        return x @ x.T @ x

    def backward(self, dy):
        return dy * self.x  # it only has to be recorded, not to be right


@native_only
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_matrix_by_its_own_transpose_is_neither_turned_nor_divided(dtype, as_python, monkeypatch):
    for module, name in ((native, "WORTH_DIVIDING"), (dividing, "DIVIDED_FROM")):
        monkeypatch.setattr(module, name, 0)
    monkeypatch.setattr(products, "QUICKER", 1e9)  # whatever can be turned is
    both_ways(as_python, lambda: network(Gram(), dtype=dtype), data=digits_like(dtype=dtype), batch_size=23)
    program = network(Gram(), dtype=dtype).program(BinaryCrossEntropy(), SGD(0.1), batch_size=23)
    found = Native(program, lay_out(program)) if not isinstance(program.native, Native) else program.native
    made = [row for stretch in found.stretches for row in stretch.rows if row.kind == "product"]
    gram = [row for row in made if row.spots[0][0] == row.spots[1][0]]
    assert gram and all(next(found._ways(row, [0, 10, 23]), None) is None for row in gram)


@native_only
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows, k, n", [(400, 384, 25), (97, 300, 70), (200, 2000, 1)])
def test_a_product_over_rows_has_its_bits_in_tiles_or_is_not_made_so(rows, k, n, dtype, monkeypatch):
    monkeypatch.setattr(products, "SMALL_PRODUCT", 80 * k * n)
    monkeypatch.setattr(products, "QUICKER", 1e9)  # what has the same bits is taken
    monkeypatch.setattr(products, "_tiled", {})
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(dtype) for shape in ((k, rows), (k, n), (rows, n))]
    values = [Value(m, m, a.shape, (a.shape[1], 1), a.dtype, "made") for m, a in enumerate(arrays)]
    transposed = View(values[0], 0, (rows, k), (1, rows))
    line = Product(np.matmul, (transposed, values[1].whole), {}, values[2].whole, PART)
    tiles = Products(Constants(), tiles=True)._in_tiles(80, line)
    assert sum(row.sizes[1] for row in tiles) == rows and len(tiles) == -(-rows // 80)
    with one_blas_thread() as able:
        assert able
        native.function_of([line], lambda view: view.array(arrays[view.memory]))()
        assert same_bits(arrays[0].T @ arrays[1], arrays[2])
    assert len(products._tiled) == 1


@native_only
def test_python_lines_stand_between_native_ones(as_python):
    (program,) = both_ways(as_python, lambda: network(Dropout(0.5, seed=3)), batch_size=8)
    assert not program.native.whole and "Generator.random, in forward of Dropout(0.5, seed=3)" in str(program)


@native_only
def test_another_optimizer_takes_over(as_python):
    x, t = digits_like()
    thetas = []
    for off in (False, True):
        if off:
            as_python()
        model = network()
        model.steps_by_hand = 0
        for _ in range(2):
            model.fit(x, t, loss=BinaryCrossEntropy(), optimizer=Adam(0.01), epochs=2, batch_size=8)
        assert len(programs_of(model).made) == 1
        thetas.append(model.theta)
    assert same_bits(*thetas)


@native_only
def test_a_schedule_that_fails_stops_after_the_steps_before():
    def failing(step):
        if step == 21:
            raise ValueError("no rate for step 21")
        return 0.5

    x, t = digits_like()
    steps = []
    for by_hand in (0, 10**9):
        model, optimizer = network(), SGD(failing)
        model.steps_by_hand = by_hand
        with pytest.raises(ValueError, match="no rate for step 21"):
            model.fit(x, t, loss=BinaryCrossEntropy(), optimizer=optimizer, epochs=9, batch_size=8)
        steps.append((optimizer.steps, model.theta))
    assert steps[0][0] == steps[1][0] == 21 and same_bits(steps[0][1], steps[1][1])


# ------------------------------------------------------------------------------------------------ what it says, and not
class Inverse(Layer):
    """1 / x"""

    traceable = True

    def forward(self, x):
        self.y = 1 / x
        return self.y

    def backward(self, dy):
        return -dy * self.y * self.y


def predicting(*layers, rows=2):
    model = Sequential(list(layers), input_shape=(3,))
    forward = Forward(model, np.ones((rows, 3), "f"))
    assert executor.refusal() is not None or isinstance(forward.native, Native)
    return forward


def test_a_division_by_zero_warns_as_numpy_does():
    forward, x = predicting(Inverse()), np.zeros((2, 3), "f")
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert np.isinf(forward(x)).all()
    with np.errstate(divide="ignore"):
        forward(x)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError, match="divide by zero"):
        forward(x)
    forward(x + 1)


def test_comparing_what_is_no_number_says_nothing_and_hides_nothing():
    class Masked(Layer):
        traceable = True

        def forward(self, x):
            return (1 / x) * (x > 0)

        def backward(self, dy):
            return dy

    predicting(ReLU())(np.full((2, 3), np.nan, "f"))
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        predicting(Masked())(np.array([[0, np.nan, 1]] * 2, "f"))
    assert ["divide by zero" in str(each.message) for each in noted if "divide" in str(each.message)] == [True]


def test_where_errors_are_to_raise_the_step_stops_in_its_middle():
    model = Sequential([Dense(3, 3, seed=0, bias=False), Inverse()])
    model.steps_by_hand = 0
    x, before = np.ones((16, 3), "f"), model.theta.copy()
    x[:] = 0
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        model.fit(x, x, loss=MeanSquaredError(), optimizer=SGD(0.1), epochs=1, batch_size=4)
    assert same_bits(model.theta, before)


def test_ctrl_c_is_heard_soon(request):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    x, t = digits_like(400_000)
    model = network()
    model.fit(x[:64], t[:64], loss=BinaryCrossEntropy(), optimizer=SGD(0.1), epochs=9, batch_size=1)
    asked = []

    def interrupt():
        asked.append(time.process_time())
        signal.raise_signal(signal.SIGINT)

    timer = threading.Timer(0.6, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, t, loss=BinaryCrossEntropy(), optimizer=SGD(0.1), epochs=100, batch_size=1)
    assert time.process_time() - asked[0] < 0.5  # of the processor's time, which a busy machine does not stretch: 0.05
    assert np.isfinite(model.theta).all()


# ------------------------------------------------------------------------------------------------------ where it is not
def shown():
    return str(network().program(BinaryCrossEntropy(), SGD(0.1), batch_size=4)).splitlines()[-1]


@native_only
def test_a_program_says_how_it_runs(as_python):
    assert shown() == "    # it runs natively: NumPy's own loops without Python between them"
    as_python()
    assert shown() == "    # it runs as Python: the test says so"


@pytest.mark.parametrize(
    "change, said",
    [
        (
            lambda patch: patch.setattr(executor, "_native", None),
            "the extension minigrad.programs.native._native was not built",
        ),
        (lambda patch: patch.setenv("MINIGRAD_NATIVE", "0"), "MINIGRAD_NATIVE=0"),
        pytest.param(
            lambda patch: patch.setattr(executor, "loop_of", lambda *_: {}["add"]),
            "NumPy ",
            marks=pytest.mark.skipif(executor._native is None, reason="native: not built here"),
        ),
    ],
    ids=["not built", "switched off", "another NumPy"],
)
def test_without_the_extension_programs_run_as_python(change, said, monkeypatch):
    executor.refusal.cache_clear()
    try:
        change(monkeypatch)
        if executor.SWITCH not in os.environ or said == "MINIGRAD_NATIVE=0":
            assert said in shown()
        x, t = digits_like()
        model = network()
        model.steps_by_hand = 0
        model.fit(x, t, loss=BinaryCrossEntropy(), optimizer=SGD(0.1), epochs=2, batch_size=8)
    finally:
        monkeypatch.undo()
        executor.refusal.cache_clear()


@native_only
def test_the_extension_refuses_what_is_not_its_own():
    from minigrad.programs.native import _native

    with pytest.raises(ValueError):
        _native.loop_in(datetime.datetime_CAPI)
    with pytest.raises(ValueError, match="another size"):
        _native.run(b"12345")
    with pytest.raises(TypeError):
        _native.run()

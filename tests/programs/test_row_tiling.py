"""A step in tiles of rows, by several threads, leaves the bits that the layers leave, wherever it is cut."""

import itertools
import os
import threading

import numpy as np
import pytest
from hypothesis import event, given, strategies as st
from test_program import ACTIVATIONS, LAST, LOSSES, OPTIMIZERS

from minigrad import (
    SGD,
    Adam,
    BatchNorm,
    BinaryCrossEntropy,
    Dense,
    Layer,
    LayerNorm,
    MeanSquaredError,
    Objective,
    Sequential,
    Sigmoid,
    Tanh,
    blas_threads as blas,
    parameter,
)
from minigrad.blas_threads import blas_threads, one_blas_thread
from minigrad.model import Model
from minigrad.programs import native_available
from minigrad.programs.native import threads
from minigrad.programs.native.threads import share
from minigrad.programs.passes import row_tiling
from minigrad.programs.passes.panels import in_panels
from minigrad.programs.passes.row_tiling import Untiled
from minigrad.programs.runtime import cache, compiling
from minigrad.programs.runtime.compiling import compiled
from minigrad.programs.tracing.steps import Step
from tests.systems import posix

pytestmark = pytest.mark.usefixtures("several_blas_threads")
native_only = pytest.mark.skipif(not native_available(), reason="native: not in use here")


def tried(step, monkeypatch):
    """What a step compiles to, and whether there were tiles before they were tried."""
    made = []

    def tiling_of(program):
        made.append("an error")
        try:
            tiling = row_tiling.tile_rows(program)
        except Untiled:
            made[-1] = False
            raise
        made[-1] = True
        return tiling

    monkeypatch.setattr(compiling, "tile_rows", tiling_of)
    return compiled(step), (*made, False)[0]  # where Python is needed between ops, nobody asks for tiles


@st.composite
def steps(draw):
    """(a step on few rows, where to cut them)"""
    widths = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    between = [*ACTIVATIONS, LayerNorm, BatchNorm]
    layers = []
    for i, o in itertools.pairwise(widths):
        kind = draw(st.sampled_from(between))
        takes_width = kind in (LayerNorm, BatchNorm)
        layers += [Dense(i, o, bias=draw(st.booleans())), kind(o) if takes_width else kind()]
    loss = draw(st.sampled_from(LOSSES))
    if loss in LAST:
        layers[-1] = draw(st.sampled_from(LAST[loss]))()
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    model = Sequential(layers, dtype, seed=draw(st.integers(0, 99)))
    m = draw(st.integers(3, 40))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    w = draw(st.sampled_from([None, rng.random(m).astype(dtype) + dtype(0.1)]))
    objective = Objective(model, loss(), l2=draw(st.sampled_from([0.0, 0.1])))
    x, t = rng.normal(size=(m, widths[0])).astype(dtype), rng.random((m, widths[-1])).astype(dtype)
    cuts = sorted(draw(st.sets(st.integers(1, m - 1), min_size=1)))
    return Step(objective, draw(st.sampled_from(OPTIMIZERS))(), x, t, w), list(itertools.pairwise([0, *cuts, m]))


@given(steps(), st.integers(1, 3), st.integers(1, 3))
def test_tiles_leave_the_same_bits_wherever_they_are_cut(given_step, workers, together):
    step, panels = given_step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_tiling, "_panels", lambda lines, rows: panels)
        patch.setattr(row_tiling, "blas_threads", lambda: workers)
        patch.setattr(row_tiling, "PANELS_IN_A_TILE", together)
        patch.setattr(row_tiling, "MOSTLY", 0)
        found, made = tried(step, patch)
    event(f"tiles: {made}")
    assert made == (found.tiled is not None)


def digits_like(rows, dtype):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 100)).astype(dtype), rng.integers(0, 4, rows)


def network(dtype):
    return Sequential([Dense(100, 16), Sigmoid(), Dense(16, 4), Sigmoid()], dtype, seed=1)


@pytest.mark.parametrize("rows", [1100, 2000, 3001])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_in_tiles_is_the_plain_path_bit_for_bit(dtype, rows, monkeypatch):
    monkeypatch.setattr(row_tiling, "WORTH_IT", 0)
    monkeypatch.setattr(row_tiling, "blas_threads", lambda: 2)
    monkeypatch.setattr(Model, "steps_by_hand", 1)
    x, labels = digits_like(rows, dtype)
    model, plain = network(dtype), network(dtype)
    loss, optimizer, other = BinaryCrossEntropy(), SGD(0.5, momentum=0.9), SGD(0.5, momentum=0.9)
    with one_blas_thread():
        history = model.fit(x, labels, loss=loss, optimizer=optimizer, batch_size=rows, epochs=5)
        objective, t, losses = Objective(plain, loss), np.eye(4, dtype=dtype)[labels], []
        for epoch in range(5):
            order = np.random.default_rng((0, epoch)).permutation(rows)
            losses.append(objective.gradient(x[order], t[order]))
            other.step(plain.theta, plain.dtheta)
    assert history.loss == losses
    np.testing.assert_array_equal(model.theta, plain.theta)
    (made,) = cache.programs_of(model).made
    if made._tiled is None:
        pytest.skip("BLAS: it adds up in panels that are not known here")
    shares = made._tiled._tiling.shares
    tiles = [tile for mine in shares for tile in mine]
    assert str(made).endswith(f"{len(tiles)} tiles of rows by {len(shares)} threads, with the same bits")
    assert [tiles[0].start, *(tile.stop for tile in tiles)][:: len(tiles)] == [0, rows]


def test_rows_of_any_dtype_and_memory_order_train_alike(monkeypatch):
    monkeypatch.setattr(row_tiling, "WORTH_IT", 0)
    monkeypatch.setattr(Model, "steps_by_hand", 1)
    x, labels = digits_like(1100, np.float32)
    thetas = []
    for given_x in (x, np.asfortranarray(x), x.astype(np.float64), np.repeat(x, 2, axis=0)[::2]):
        model = network(np.float32)
        for batch_size in (1100, 64):
            model.fit(given_x, labels, loss=BinaryCrossEntropy(), optimizer=Adam(), batch_size=batch_size, epochs=3)
        thetas.append(model.theta)
    for theta in thetas:
        np.testing.assert_array_equal(theta, thetas[0])


@native_only
@pytest.mark.parametrize("panels", [[(0, 5), (5, 9), (9, 12)], [(0, 6), (6, 12)]])
def test_what_needs_all_rows_waits_for_them(panels, monkeypatch):
    """Batch normalization needs the mean of all rows in the middle of the forward pass: the rest comes after."""
    monkeypatch.setattr(row_tiling, "blas_threads", lambda: 2)
    monkeypatch.setattr(row_tiling, "_panels", lambda lines, rows: panels)
    layers = [Dense(3, 4), BatchNorm(4), Tanh(), Dense(4, 2)]
    step = Step(
        Objective(Sequential(layers, seed=0), MeanSquaredError()), SGD(), np.ones((12, 3), "f"), np.ones((12, 2), "f")
    )
    found, made = tried(step, monkeypatch)
    assert made is False and found.tiled is None, "most of the work would be done in one thread"
    monkeypatch.setattr(row_tiling, "MOSTLY", 0)
    found, made = tried(step, monkeypatch)
    assert made is True and found.tiled is not None


class MinusFirst(Layer):
    """y = x - x₀, the first row of the batch"""

    traceable = True

    def forward(self, x):
        return x - x[0]

    def backward(self, dy):
        dx = dy * 1
        dx[0] = dx[0] - dy.sum(axis=0)
        return dx

    def output_shape(self, input_shape):
        return input_shape


class MinusFirstRows(MinusFirst):
    traceable = True

    def forward(self, x):
        return x - x[:1]


class Scaled(Layer):
    """y = x eˢ: a vector that can be as long as the batch"""

    traceable = True

    s, ds = parameter()

    def __init__(self, width):
        self.width = width
        self.s = np.linspace(-1, 1, width)

    def forward(self, x):
        self.scale, self.x = np.exp(self.s), x
        return x * self.scale

    def backward(self, dy):
        self.ds = (dy * self.x * self.scale).sum(axis=0)
        return dy * self.scale

    def output_shape(self, input_shape):
        return input_shape


class Turned(Scaled):
    traceable = True

    """Scaled, written with the transpose"""

    def forward(self, x):
        self.scale, self.x = np.exp(self.s), x
        return (x.T * self.scale[:, None]).T


@native_only
@pytest.mark.parametrize(
    "layer", [lambda: MinusFirst(), lambda: MinusFirstRows(), lambda: Scaled(12), lambda: Turned(12)]
)
@pytest.mark.parametrize("first", [True, False])
def test_a_layer_that_mixes_rows_or_is_as_wide_as_the_batch_is_right(layer, first, monkeypatch):
    monkeypatch.setattr(row_tiling, "_panels", lambda lines, rows: [(0, 4), (4, 8), (8, rows)])
    monkeypatch.setattr(row_tiling, "PANELS_IN_A_TILE", 1)
    monkeypatch.setattr(row_tiling, "MOSTLY", 0)
    x = np.ones((12, 12), "f")  # rows that are alike would hide a mistake from the trial
    layers = [layer(), Dense(12, 3)] if first else [Dense(12, 12), layer(), Dense(12, 3)]
    step = Step(Objective(Sequential(layers, seed=0), MeanSquaredError()), SGD(), x, np.ones((12, 3), "f"))
    found, made = tried(step, monkeypatch)
    assert made is True and found.tiled is not None
    rng = np.random.default_rng(0)
    x, step.t[...] = rng.normal(size=(12, 12)).astype("f"), rng.normal(size=(12, 3))
    left = []
    for run in (found.tiled, found.function):
        step.model.theta[...] = np.linspace(-1, 1, step.model.theta.size)
        step.x[...] = x
        with one_blas_thread():
            left.append((run(), step.model.theta.copy()))
    assert left[0][0] == left[1][0]
    np.testing.assert_array_equal(left[0][1], left[1][1])


def test_another_number_of_blas_threads_is_another_program(monkeypatch):
    monkeypatch.setattr(Model, "steps_by_hand", 1)
    monkeypatch.setattr(row_tiling, "WORTH_IT", 0)
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(1100, 100)).astype("f"), rng.normal(size=(1100, 32)).astype("f")

    def model():
        return Sequential([Dense(100, 60), Tanh(), Dense(60, 32)], seed=0)

    def fit(model):
        model.fit(x, t, loss=MeanSquaredError(), optimizer=optimizer, batch_size=1100, epochs=3)

    one, optimizer = model(), SGD(0.1)
    with one_blas_thread():
        fit(one)
    middle = one.theta.copy()
    fit(one)
    other, optimizer = model(), SGD(0.1)
    other.theta[...] = middle
    optimizer.epochs = optimizer.steps = 3
    fit(other)
    np.testing.assert_array_equal(one.theta, other.theta)


def test_shares_of_the_work_are_even():
    assert list(map(len, row_tiling._even(12, 2))) == [6, 6]
    assert list(map(len, row_tiling._even(7, 3))) == [2, 2, 3]
    assert list(map(len, row_tiling._even(2, 5))) == [1, 1]
    bounds = [(10 * n, 10 * n + 10) for n in range(7)]
    even, full = (
        [[block.stop - block.start for block in share] for share in way] for way in row_tiling._shares(bounds, 2)
    )
    assert even == [[10, 20], [20, 20]] and full == [[20, 20], [20, 10]]


def test_panels_are_openblas_s():
    assert in_panels(1000, 448, 16) == [(0, 448), (448, 736), (736, 1000)]
    assert in_panels(1001, 448, 1) == [(0, 448), (448, 725), (725, 1001)]
    assert in_panels(900, 448, 16) == [(0, 448), (448, 688), (688, 900)]
    assert in_panels(896, 448, 16) == [(0, 448), (448, 896)]
    assert in_panels(448, 448, 16) == [(0, 448)]


# -------------------------------------------------------------------------------------------------------------- threads
def test_blas_gets_its_threads_back():
    before = blas_threads()
    with one_blas_thread():
        assert blas_threads() == 1
        with one_blas_thread():
            pass
        assert blas_threads() == 1
    assert blas_threads() == before
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        _ = 1 / 0
    assert blas_threads() == before


def in_another_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_only_the_main_thread_changes_blas():
    def inside():
        with one_blas_thread() as able:
            return able, blas_threads()

    several = blas_threads()
    assert in_another_thread(inside) == (several == 1, several)
    assert inside() == (True, 1)


def test_nobody_changes_blas_while_another_thread_trains():
    begun, end = threading.Event(), threading.Event()

    def other():
        with blas.steady_blas_threads():
            begun.set()
            end.wait()

    several, thread = blas_threads(), threading.Thread(target=other)
    thread.start()
    begun.wait()
    with blas.steady_blas_threads(), one_blas_thread() as able:
        assert (able, blas_threads()) == (several == 1, several)
    end.set()
    thread.join()
    with blas.steady_blas_threads(), one_blas_thread() as able:
        assert (able, blas_threads()) == (True, 1)


def test_training_begins_when_blas_has_its_threads_back():
    seen = []

    def other():
        with blas.steady_blas_threads():
            seen.append(blas_threads())

    several, thread = blas_threads(), threading.Thread(target=other)
    with one_blas_thread():
        thread.start()
        seen.append("inside")
    thread.join()
    assert sorted(seen, key=str) == sorted(["inside", several], key=str)


def test_fits_side_by_side_leave_what_each_leaves_alone(monkeypatch):
    monkeypatch.setattr(Model, "steps_by_hand", 1)
    rng = np.random.default_rng(0)
    big = rng.normal(size=(200, 100)).astype("f"), rng.normal(size=(200, 100)).astype("f")
    x, labels = digits_like(256, np.float32)

    def fit_big():
        model = Sequential([Dense(100, 100), Tanh(), Dense(100, 100)], seed=0)
        model.fit(*big, loss=MeanSquaredError(), optimizer=SGD(0.1), batch_size=200, epochs=3)
        return model.theta

    alone = in_another_thread(fit_big)

    def small():
        for _ in range(5):
            network(np.float32).fit(x, labels, loss=BinaryCrossEntropy(), optimizer=SGD(), batch_size=64, epochs=9)

    found = []

    def several():
        for _ in range(2):
            found.append(fit_big())

    thread = threading.Thread(target=several)
    thread.start()
    small()
    thread.join()
    for theta in found:
        np.testing.assert_array_equal(theta, alone)


def test_training_gives_blas_its_threads_back_at_every_epoch():
    before, x = blas_threads(), np.ones((8, 3))
    training = Sequential([Dense(3, 1)], seed=0).epochs(x, x[:, :1], loss=MeanSquaredError(), optimizer=SGD(0.01))
    for _ in range(3):
        next(training)
        assert blas_threads() == before


def test_what_augment_computes_does_not_depend_on_the_threads_of_a_program(monkeypatch):
    monkeypatch.setattr(Model, "steps_by_hand", 1)
    seen = []

    def augment(x, rng):
        seen.append(blas_threads())
        return x

    x, labels = digits_like(64, np.float32)
    network(np.float32).fit(
        x, labels, loss=BinaryCrossEntropy(), optimizer=SGD(), batch_size=32, epochs=9, augment=augment
    )
    assert set(seen) == {blas_threads()}


def test_shared_tasks_keep_the_state_of_errors_and_raise_theirs():
    done = []

    def task(number):
        with np.errstate(divide="ignore"):
            pass
        done.append((number, np.geterr()["over"]))
        if number == 2:
            raise KeyError("the third")

    with pytest.raises(KeyError, match="the third"), np.errstate(over="ignore"):
        share([lambda: task(0), lambda: task(1), lambda: task(2)])
    assert sorted(done) == [(0, "ignore"), (1, "ignore"), (2, "ignore")]


def test_tasks_are_done_when_no_thread_can_be_had(monkeypatch):
    class Shut:
        def submit(self, *_):
            raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(threads, "_helpers", Shut)
    done = []
    share([lambda: done.append(1), lambda: done.append(2)])
    assert done == [1, 2]


@posix
def test_a_forked_process_shares_tasks_with_threads_of_its_own():
    share([lambda: None, lambda: None])
    child = os.fork()
    if child == 0:
        done = []
        share([lambda: done.append(1), lambda: done.append(2)])
        os._exit(0 if sorted(done) == [1, 2] else 1)
    assert os.waitpid(child, 0)[1] == 0


class Library:
    """A BLAS library of two threads."""

    def __init__(self):
        self.threads = 2

    def get_num_threads(self):
        return self.threads

    def set_num_threads(self, number):
        self.threads = number


def in_a_child(function):
    """Whether a forked process of this thread finds what the function returns to be true, within a few seconds."""
    child = os.fork()
    if child == 0:
        found = []
        thread = threading.Thread(target=lambda: found.append(function()), daemon=True)
        thread.start()
        thread.join(5)
        os._exit(0 if found == [True] else 1)
    return os.waitpid(child, 0)[1] == 0


def trains():
    with blas.steady_blas_threads():
        return blas_threads() == 2


@posix
def test_a_process_forked_while_blas_has_one_thread_trains_with_all_of_them(monkeypatch):
    library = Library()
    monkeypatch.setattr(blas, "_libraries", lambda: [library])
    with one_blas_thread() as able:
        assert able and blas_threads() == 1
        assert in_another_thread(lambda: in_a_child(trains))
        child = os.fork()  # by the thread that holds them, which gives them back in the child too
        if child == 0:
            os._exit(0 if blas._users.depth == 1 and blas_threads() == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert blas_threads() == 2

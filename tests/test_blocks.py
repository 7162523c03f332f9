"""A step in blocks of rows, by several threads, leaves the bits that the layers leave, wherever it is cut."""

import itertools
import os
import threading

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from test_program import ACTIVATIONS, LAST, LOSSES, OPTIMIZERS

from minigrad import (
    SGD,
    Adam,
    BatchNorm,
    BinaryCrossEntropy,
    Dense,
    Dropout,
    LayerNorm,
    MeanSquaredError,
    Objective,
    Sequential,
    Sigmoid,
    Tanh,
    program,
    threads,
)
from minigrad.recorder import blocks
from minigrad.recorder.work import Step, write
from minigrad.threads import blas_threads, one_blas_thread, share


def written(step, monkeypatch):
    """What `write` makes of a step, and the blocks that there were before they were tried."""
    made = []
    original = Step.blocks
    monkeypatch.setattr(Step, "blocks", lambda self, plan: made.append(original(self, plan)) or made[-1])
    return write(step), made[0] if made else None


@st.composite
def steps(draw):
    """(a step on few rows, where to cut them)"""
    widths = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    between = [*ACTIVATIONS, LayerNorm, BatchNorm, lambda width: Dropout(0.5, seed=1)]
    layers = []
    for i, o in itertools.pairwise(widths):
        kind = draw(st.sampled_from(between))
        takes_width = kind in (LayerNorm, BatchNorm, between[-1])
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
def test_blocks_leave_the_same_bits_wherever_they_are_cut(given_step, workers, together):
    step, panels = given_step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_panels", lambda lines, rows: panels)
        patch.setattr(blocks, "blas_threads", lambda: workers)
        patch.setattr(blocks, "PANELS_IN_A_BLOCK", together)
        patch.setattr(blocks, "MOSTLY", 0)
        found, made = written(step, patch)
    event(f"blocks: {made is not None}")
    assert found.blocks is made


def digits_like(rows, dtype):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 100)).astype(dtype), rng.integers(0, 4, rows)


def network(dtype):
    return Sequential([Dense(100, 16), Sigmoid(), Dense(16, 4), Sigmoid()], dtype, seed=1)


@pytest.mark.parametrize("rows", [1100, 2000, 3001])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_in_blocks_is_the_plain_path_bit_for_bit(dtype, rows, monkeypatch):
    monkeypatch.setattr(blocks, "WORTH_IT", 0)
    monkeypatch.setattr(blocks, "blas_threads", lambda: 2)
    monkeypatch.setattr(program, "STEPS_BEFORE_RECORDING", 1)
    x, labels = digits_like(rows, dtype)
    model, plain = network(dtype), network(dtype)
    loss, optimizer, other = BinaryCrossEntropy(), SGD(0.5, momentum=0.9), SGD(0.5, momentum=0.9)
    with one_blas_thread():
        history = model.fit(x, labels, loss=loss, optimizer=optimizer, batch_size=rows, epochs=5)
        objective, t, losses = Objective(plain, loss), np.eye(4, dtype=dtype)[labels], []
        for epoch in range(5):
            order = np.random.default_rng((0, epoch)).permutation(rows)
            losses.append(float(objective.differentiate(x[order], t[order])))
            other.step(plain.theta, plain.dtheta)
    assert history.loss == losses
    np.testing.assert_array_equal(model.theta, plain.theta)
    (made,) = program.programs_of(model)._programs.values()
    if made._blocks is None:
        pytest.skip("this machine's BLAS adds up in panels that are not known here")
    rows_of_blocks = [rows for task in made._blocks._tasks for rows, _, _ in task]
    assert str(made).endswith(
        f"{len(rows_of_blocks)} blocks of rows by {len(made._blocks._tasks)} threads, with the same bits"
    )
    assert [rows_of_blocks[0].start, *(rows.stop for rows in rows_of_blocks)][:: len(rows_of_blocks)] == [0, rows]


def test_rows_of_any_dtype_and_memory_order_train_alike(monkeypatch):
    monkeypatch.setattr(blocks, "WORTH_IT", 0)
    monkeypatch.setattr(program, "STEPS_BEFORE_RECORDING", 1)
    x, labels = digits_like(2000, np.float32)
    thetas = []
    for given_x in (x, np.asfortranarray(x), x.astype(np.float64), np.repeat(x, 2, axis=0)[::2]):
        model = network(np.float32)
        for batch_size in (2000, 64):
            model.fit(given_x, labels, loss=BinaryCrossEntropy(), optimizer=Adam(), batch_size=batch_size, epochs=3)
        thetas.append(model.theta)
    for theta in thetas:
        np.testing.assert_array_equal(theta, thetas[0])


@pytest.mark.parametrize("panels", [[(0, 5), (5, 9), (9, 12)], [(0, 6), (6, 12)]])
def test_what_needs_all_rows_waits_for_them(panels, monkeypatch):
    """Batch normalization needs the mean of all rows in the middle of the forward pass: the rest comes after."""
    monkeypatch.setattr(blocks, "_panels", lambda lines, rows: panels)
    layers = [Dense(3, 4), BatchNorm(4), Tanh(), Dense(4, 2)]
    step = Step(
        Objective(Sequential(layers, seed=0), MeanSquaredError()), SGD(), np.ones((12, 3), "f"), np.ones((12, 2), "f")
    )
    found, made = written(step, monkeypatch)
    assert made is found.blocks is None, "most of the work would be done in one thread"
    monkeypatch.setattr(blocks, "MOSTLY", 0)
    found, made = written(step, monkeypatch)
    assert made is found.blocks is not None


def test_panels_are_openblas_s():
    assert blocks._in_panels(1000, 448, 16) == [(0, 448), (448, 736), (736, 1000)]
    assert blocks._in_panels(1001, 448, 1) == [(0, 448), (448, 725), (725, 1001)]
    assert blocks._in_panels(900, 448, 16) == [(0, 448), (448, 688), (688, 900)]
    assert blocks._in_panels(896, 448, 16) == [(0, 448), (448, 896)]
    assert blocks._in_panels(448, 448, 16) == [(0, 448)]


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


def test_other_threads_leave_blas_alone():
    before, found = blas_threads(), []

    def other():
        with one_blas_thread():
            found.append(blas_threads())

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert [*found, blas_threads()] == [before, before]


def test_training_gives_blas_its_threads_back_at_every_epoch():
    before, x = blas_threads(), np.ones((8, 3))
    training = Sequential([Dense(3, 1)], seed=0).epochs(x, x[:, :1], loss=MeanSquaredError(), optimizer=SGD(0.01))
    for _ in range(3):
        next(training)
        assert blas_threads() == before


def test_the_faster_number_of_threads_is_found_and_found_again(monkeypatch):
    if blas_threads() == 1:
        pytest.skip("there is no choice")
    clock, seconds, chosen = [0.0], {1: 1.0, blas_threads(): 2.0}, []
    monkeypatch.setattr(threads.time, "perf_counter", lambda: clock[0])
    pace = threads.Pace()

    def work(times):
        for _ in range(times):
            with pace.choosing(10):
                chosen.append(blas_threads())
                clock[0] += seconds[chosen[-1]]

    several = blas_threads()
    work(5)
    assert chosen == [several, 1, several, 1, 1]
    seconds[1] = 3.0
    work(2)
    assert chosen[5:] == [1, several]
    seconds[1] = 1.0
    work(100)
    assert set(chosen[7:49]) == {several}
    assert set(chosen[50:]) == {1, several} and chosen[50:].count(several) == 1, "every fiftieth run tries the other"


def test_what_augment_computes_does_not_depend_on_the_threads_of_a_program(monkeypatch):
    monkeypatch.setattr(program, "STEPS_BEFORE_RECORDING", 1)
    monkeypatch.setattr(program, "SMALL", 0)
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_shares_tasks_with_threads_of_its_own():
    share([lambda: None, lambda: None])
    child = os.fork()
    if child == 0:
        done = []
        share([lambda: done.append(1), lambda: done.append(2)])
        os._exit(0 if sorted(done) == [1, 2] else 1)
    assert os.waitpid(child, 0)[1] == 0

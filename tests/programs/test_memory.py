"""What programs take: while one is made, and for as long as several are kept."""

import gc
import tracemalloc

import numpy as np
import pytest

from minigrad import SGD, Adam, Dense, MeanSquaredError, ReLU, Sequential, Tanh
from minigrad.blas_threads import one_blas_thread
from minigrad.model import Model

MB = 1 << 20


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(Model, "steps_by_hand", 1)


def rows(count):
    return np.ones((count, 200), np.float32), np.zeros((count, 10), np.float32)


def traced(do):
    """The bytes that something takes at its peak, and those that it keeps."""
    gc.collect()
    tracemalloc.start()
    try:
        with one_blas_thread():
            do()
        gc.collect()
        kept, peak = tracemalloc.get_traced_memory()
        return peak, kept
    finally:
        tracemalloc.stop()


def steps(model, optimizers, sizes, count):
    for optimizer, size in zip(optimizers, sizes, strict=True):
        options = {"loss": MeanSquaredError(), "optimizer": optimizer, "batch_size": size}
        model.fit(*rows(count), epochs=3, progress=False, **options)


def network():
    return Sequential([Dense(200, 300), Tanh(), Dense(300, 300), Tanh(), Dense(300, 10)], seed=0)


def test_a_recording_takes_no_more_than_three_plain_steps(at_once, monkeypatch):
    steps(network(), [SGD(0.001)], [64], 64)  # imports what is needed
    model = network()
    peak, _ = traced(lambda: steps(model, [SGD(0.001)], [2000], 2000))
    assert len(model._programs.made) == 1
    monkeypatch.setattr(Model, "steps_by_hand", 100)
    plain, _ = traced(lambda: steps(network(), [SGD(0.001)], [2000], 2000))
    assert peak < 3 * plain, f"{peak / MB:.0f} MB for {plain / MB:.0f}"


def test_many_programs_keep_no_more_than_two_of_the_largest(at_once):
    def kept(sizes, width=1000):
        model = Sequential([Dense(200, width), ReLU(), Dense(width, 10)], seed=0)
        return traced(lambda: steps(model, [Adam(1e-4) for _ in sizes], sizes, 70))[1]

    kept([32], 10)  # imports what is needed
    most = 2.1 * kept([32])
    assert kept([32] * 4) < most, "one for each optimizer"
    assert kept(range(30, 34)) < most, "one for each size of batches"

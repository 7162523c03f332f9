"""Training written by hand in NumPy: what minigrad's `fit` is measured against, and must equal bit for bit.

Three networks, each in two ways. *Allocating* is how one writes it down first: every operation makes a new array.
*Preallocated* is how one writes it when time matters: arrays made once, every result written where it belongs or over
what is not read again, positional `out`, nothing computed that nobody reads. Formulas and the order of the operations
are those of minigrad's layers, losses and SGD; where the same number comes out bit for bit, the faster operation is
used, and its comment says so.

All of them have one signature. theta holds W1, b1, W2, b2, … of a network of these `widths`, one after the other, and
is changed in place; x (m, I) and t (m, O) have its dtype. They return the mean loss of each epoch, before the updates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy import (
    add,
    divide,
    dot,
    equal,
    exp,
    greater,
    log1p,
    maximum,
    minimum,
    multiply,
    negative,
    reciprocal,
    square,
    subtract,
)

Array: TypeAlias = npt.NDArray[Any]
Pass: TypeAlias = Callable[[Array, float], float]
LARGEST = {"f": 88.7, "d": 709.7}  # exp of it is just below the largest float


def views(vector: Array, widths: Sequence[int]) -> list[Array]:
    """W1, b1, W2, b2, … as views of one vector."""
    arrays, start = [], 0
    for inputs, outputs in pairwise(widths):
        for shape in ((inputs, outputs), (outputs,)):
            stop = start + int(np.prod(shape))
            arrays.append(vector[start:stop].reshape(shape))
            start = stop
    return arrays


def batches(order: Array, batch_size: int) -> Iterator[Array]:
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def column_sums(dz: Array, db: Array) -> Callable[[], Any]:
    """The quicker of two ways to write Σ_B dz into db. Both add row to row, so they agree in every bit; but a single
    column is summed pairwise by `reduce`, and in another order by `einsum`."""
    rows, columns = dz.shape
    if rows >= 100 and columns > 1:
        return partial(np.einsum, "ij->j", dz, out=db)
    return partial(add.reduce, dz, 0, None, db)


def shuffled(seed: int, epoch: int, m: int) -> Array:
    return np.random.default_rng((seed, epoch)).permutation(m)


# ---------------------------------------------------------- sigmoid layers, binary cross-entropy on each of the outputs


def sigmoid_allocating(
    theta: Array, widths: Sequence[int], x: Array, t: Array, *, eta: float, batch_size: int, epochs: int, seed: int = 0
) -> list[float]:
    W1, b1, W2, b2 = views(theta, widths)
    largest, history = LARGEST[theta.dtype.char], []
    for epoch in range(epochs):
        total = 0.0
        for rows in batches(shuffled(seed, epoch, len(x)), batch_size):
            xb, tb = x[rows], t[rows]
            e1 = np.exp(np.minimum(-(xb @ W1 + b1), largest))
            a1 = 1 / (1 + e1)
            z2 = a1 @ W2 + b2
            terms = z2 * ((z2 > 0) - tb) + np.log1p(np.exp(np.minimum(z2, -z2)))
            total += float(terms.sum() / len(rows)) * len(rows)

            dz2 = (1 / (1 + np.exp(np.minimum(-z2, largest))) - tb) / len(rows)
            dz1 = (dz2 @ W2.T) * (e1 * a1 * a1)
            dW2, db2 = a1.T @ dz2, dz2.sum(axis=0)
            dW1, db1 = xb.T @ dz1, dz1.sum(axis=0)
            W1 -= eta * dW1
            b1 -= eta * db1
            W2 -= eta * dW2
            b2 -= eta * db2
        history.append(total / len(x))
    return history


def sigmoid_preallocated(
    theta: Array, widths: Sequence[int], x: Array, t: Array, *, eta: float, batch_size: int, epochs: int, seed: int = 0
) -> list[float]:
    return _train(_sigmoid_pass, theta, widths, x, t, eta, batch_size, epochs, seed)


def _sigmoid_pass(theta: Array, widths: Sequence[int], x: Array, t: Array, eta: float, rows: int) -> Pass:
    dtype, many, add_reduce, take_x, take_t = theta.dtype, rows > 1, add.reduce, x.take, t.take
    dtheta = np.zeros_like(theta)
    (W1, b1, W2, b2), (dW1, db1, dW2, db2) = views(theta, widths), views(dtheta, widths)
    I, H, O = widths  # noqa: E741
    xb, tb = np.empty((rows, I), dtype), np.empty((rows, O), dtype)
    e1, a1, z2, terms, scratch = (np.empty((rows, n), dtype) for n in (H, H, O, O, O))
    dz1, dz2 = np.empty((rows, H), dtype), np.empty((rows, O), dtype)
    positive = np.empty((rows, O), bool)
    if not many:  # the gradient of a bias is the only row of dz, and a bias is added as one row
        dz1, dz2, b1, b2 = db1[None], db2[None], b1[None], b2[None]
    sum_dz1, sum_dz2 = column_sums(dz1, db1), column_sums(dz2, db2)
    xT, a1T, W2T = xb.T, a1.T, W2.T
    one, zero, largest, rate, count = (np.array(c, dtype) for c in (1, 0, LARGEST[dtype.char], eta, rows))
    divisor = dtype.type(rows)

    def run(order: Array, total: float) -> float:
        for batch in order:
            take_x(batch, 0, xb, "clip")
            take_t(batch, 0, tb, "clip")
            dot(xb, W1, e1)
            add(e1, b1, e1)
            negative(e1, e1)
            minimum(e1, largest, out=e1)
            exp(e1, e1)
            add(e1, one, a1)
            reciprocal(a1, a1)
            dot(a1, W2, z2)
            add(z2, b2, z2)

            negative(z2, dz2)
            minimum(z2, dz2, out=scratch)
            exp(scratch, scratch)
            log1p(scratch, scratch)
            greater(z2, zero, positive)
            subtract(positive, tb, terms)
            multiply(z2, terms, terms)
            add(terms, scratch, terms)
            total += float(add_reduce(terms, None) / divisor) * rows

            minimum(dz2, largest, out=dz2)
            exp(dz2, dz2)
            add(dz2, one, dz2)
            reciprocal(dz2, dz2)
            subtract(dz2, tb, dz2)
            if many:
                divide(dz2, count, dz2)
                sum_dz2()
            dot(a1T, dz2, dW2)
            multiply(e1, a1, e1)
            multiply(e1, a1, e1)
            dot(dz2, W2T, a1)
            multiply(a1, e1, dz1)
            if many:
                sum_dz1()
            dot(xT, dz1, dW1)
            multiply(dtheta, rate, dtheta)
            subtract(theta, dtheta, theta)
        return total

    return run


# -------------------------------------------------------- two hidden ReLU layers, softmax and categorical cross-entropy


def softmax_allocating(
    theta: Array, widths: Sequence[int], x: Array, t: Array, *, eta: float, batch_size: int, epochs: int, seed: int = 0
) -> list[float]:
    W1, b1, W2, b2, W3, b3 = views(theta, widths)
    lowest, history = np.finfo(theta.dtype).min / 2, []
    for epoch in range(epochs):
        total = 0.0
        for rows in batches(shuffled(seed, epoch, len(x)), batch_size):
            xb, tb = x[rows], t[rows]
            z1 = xb @ W1 + b1
            a1 = np.maximum(z1, 0)
            z2 = a1 @ W2 + b2
            a2 = np.maximum(z2, 0)
            z3 = a2 @ W3 + b3
            half = z3 * 0.5
            below = half - half.max(axis=-1, keepdims=True)
            e = np.exp(2 * np.maximum(below, -500))
            ones = e * (e == 1)
            log_sum = np.log1p((e - ones).sum(axis=-1, keepdims=True) + (ones.sum(axis=-1, keepdims=True) - 1))
            terms = -tb * (2 * np.maximum(below, lowest) - log_sum)
            total += float(terms.sum() / len(rows)) * len(rows)

            dz3 = (e / e.sum(axis=-1, keepdims=True) * tb.sum(axis=-1, keepdims=True) - tb) / len(rows)
            dz2 = (dz3 @ W3.T) * (z2 > 0)
            dz1 = (dz2 @ W2.T) * (z1 > 0)
            dW3, db3 = a2.T @ dz3, dz3.sum(axis=0)
            dW2, db2 = a1.T @ dz2, dz2.sum(axis=0)
            dW1, db1 = xb.T @ dz1, dz1.sum(axis=0)
            W1 -= eta * dW1
            b1 -= eta * db1
            W2 -= eta * dW2
            b2 -= eta * db2
            W3 -= eta * dW3
            b3 -= eta * db3
        history.append(total / len(x))
    return history


def softmax_preallocated(
    theta: Array, widths: Sequence[int], x: Array, t: Array, *, eta: float, batch_size: int, epochs: int, seed: int = 0
) -> list[float]:
    return _train(_softmax_pass, theta, widths, x, t, eta, batch_size, epochs, seed)


def _softmax_pass(theta: Array, widths: Sequence[int], x: Array, t: Array, eta: float, rows: int) -> Pass:
    dtype, many, take_x, take_t = theta.dtype, rows > 1, x.take, t.take
    add_reduce, maximum_reduce = add.reduce, maximum.reduce
    dtheta = np.zeros_like(theta)
    (W1, b1, W2, b2, W3, b3), (dW1, db1, dW2, db2, dW3, db3) = views(theta, widths), views(dtheta, widths)
    I, H1, H2, O = widths  # noqa: E741
    xb, tb = np.empty((rows, I), dtype), np.empty((rows, O), dtype)
    a1, a2, dz1, dz2 = (np.empty((rows, n), dtype) for n in (H1, H2, H1, H2))
    z3, e, ones, dz3 = (np.empty((rows, O), dtype) for _ in range(4))
    row, others = np.empty((rows, 1), dtype), np.empty((rows, 1), dtype)
    mask1, mask2, largest = (np.empty((rows, n), bool) for n in (H1, H2, O))
    if not many:  # the gradient of a bias is the only row of dz, and a bias is added as one row
        dz1, dz2, dz3, b1, b2, b3 = db1[None], db2[None], db3[None], b1[None], b2[None], b3[None]
    sum_dz1, sum_dz2, sum_dz3 = column_sums(dz1, db1), column_sums(dz2, db2), column_sums(dz3, db3)
    xT, a1T, a2T, W2T, W3T = xb.T, a1.T, a2.T, W2.T, W3.T
    one, zero, half, two, floor, rate, count = (np.array(c, dtype) for c in (1, 0, 0.5, 2, -500, eta, rows))
    lowest = np.asarray(np.finfo(dtype).min / 2)
    divisor = dtype.type(rows)

    def run(order: Array, total: float) -> float:
        for batch in order:
            take_x(batch, 0, xb, "clip")
            take_t(batch, 0, tb, "clip")
            dot(xb, W1, a1)
            add(a1, b1, a1)
            maximum(a1, zero, out=a1)
            dot(a1, W2, a2)
            add(a2, b2, a2)
            maximum(a2, zero, out=a2)
            dot(a2, W3, z3)
            add(z3, b3, z3)

            multiply(z3, half, z3)
            maximum_reduce(z3, -1, None, row, True)
            subtract(z3, row, z3)
            maximum(z3, floor, out=e)
            multiply(e, two, e)
            exp(e, e)

            equal(e, one, largest)
            multiply(e, largest, ones)
            add_reduce(ones, -1, None, row, True)
            subtract(row, one, row)
            subtract(e, ones, ones)
            add_reduce(ones, -1, None, others, True)
            add(others, row, others)
            log1p(others, others)
            maximum(z3, lowest, out=z3)
            multiply(z3, two, z3)
            subtract(z3, others, z3)
            negative(tb, ones)
            multiply(ones, z3, z3)
            total += float(add_reduce(z3, None) / divisor) * rows

            add_reduce(e, -1, None, row, True)
            divide(e, row, dz3)
            add_reduce(tb, -1, None, row, True)
            multiply(dz3, row, dz3)
            subtract(dz3, tb, dz3)
            if many:
                divide(dz3, count, dz3)
                sum_dz3()
            dot(a2T, dz3, dW3)
            greater(a2, zero, mask2)  # max(z, 0) > 0 where z > 0
            dot(dz3, W3T, a2)
            multiply(a2, mask2, dz2)
            if many:
                sum_dz2()
            dot(a1T, dz2, dW2)
            greater(a1, zero, mask1)
            dot(dz2, W2T, a1)
            multiply(a1, mask1, dz1)
            if many:
                sum_dz1()
            dot(xT, dz1, dW1)
            multiply(dtheta, rate, dtheta)
            subtract(theta, dtheta, theta)
        return total

    return run


# -------------------------------------------------------------------- two hidden ReLU layers, mean of the squared error


def regression_allocating(
    theta: Array, widths: Sequence[int], x: Array, t: Array, *, eta: float, batch_size: int, epochs: int, seed: int = 0
) -> list[float]:
    W1, b1, W2, b2, W3, b3 = views(theta, widths)
    history = []
    for epoch in range(epochs):
        total = 0.0
        for rows in batches(shuffled(seed, epoch, len(x)), batch_size):
            xb, tb = x[rows], t[rows]
            z1 = xb @ W1 + b1
            a1 = np.maximum(z1, 0)
            z2 = a1 @ W2 + b2
            a2 = np.maximum(z2, 0)
            z3 = a2 @ W3 + b3
            difference = z3 - tb
            terms = np.square(difference)
            total += float(terms.sum() / len(rows)) * len(rows)

            dz3 = 2 * difference / len(rows)
            dz2 = (dz3 @ W3.T) * (z2 > 0)
            dz1 = (dz2 @ W2.T) * (z1 > 0)
            dW3, db3 = a2.T @ dz3, dz3.sum(axis=0)
            dW2, db2 = a1.T @ dz2, dz2.sum(axis=0)
            dW1, db1 = xb.T @ dz1, dz1.sum(axis=0)
            W1 -= eta * dW1
            b1 -= eta * db1
            W2 -= eta * dW2
            b2 -= eta * db2
            W3 -= eta * dW3
            b3 -= eta * db3
        history.append(total / len(x))
    return history


def regression_preallocated(
    theta: Array, widths: Sequence[int], x: Array, t: Array, *, eta: float, batch_size: int, epochs: int, seed: int = 0
) -> list[float]:
    return _train(_regression_pass, theta, widths, x, t, eta, batch_size, epochs, seed)


def _regression_pass(theta: Array, widths: Sequence[int], x: Array, t: Array, eta: float, rows: int) -> Pass:
    dtype, many, add_reduce, take_x, take_t = theta.dtype, rows > 1, add.reduce, x.take, t.take
    dtheta = np.zeros_like(theta)
    (W1, b1, W2, b2, W3, b3), (dW1, db1, dW2, db2, dW3, db3) = views(theta, widths), views(dtheta, widths)
    I, H1, H2, O = widths  # noqa: E741
    xb, tb = np.empty((rows, I), dtype), np.empty((rows, O), dtype)
    a1, a2, dz1, dz2 = (np.empty((rows, n), dtype) for n in (H1, H2, H1, H2))
    z3, dz3 = np.empty((rows, O), dtype), np.empty((rows, O), dtype)
    mask1, mask2 = np.empty((rows, H1), bool), np.empty((rows, H2), bool)
    if not many:  # the gradient of a bias is the only row of dz, and a bias is added as one row
        dz1, dz2, dz3, b1, b2, b3 = db1[None], db2[None], db3[None], b1[None], b2[None], b3[None]
    sum_dz1, sum_dz2, sum_dz3 = column_sums(dz1, db1), column_sums(dz2, db2), column_sums(dz3, db3)
    xT, a1T, a2T, W2T, W3T = xb.T, a1.T, a2.T, W2.T, W3.T
    zero, two, rate, count = (np.array(c, dtype) for c in (0, 2, eta, rows))
    divisor = dtype.type(rows)

    def run(order: Array, total: float) -> float:
        for batch in order:
            take_x(batch, 0, xb, "clip")
            take_t(batch, 0, tb, "clip")
            dot(xb, W1, a1)
            add(a1, b1, a1)
            maximum(a1, zero, out=a1)
            dot(a1, W2, a2)
            add(a2, b2, a2)
            maximum(a2, zero, out=a2)
            dot(a2, W3, z3)
            add(z3, b3, z3)

            subtract(z3, tb, z3)
            square(z3, tb)
            total += float(add_reduce(tb, None) / divisor) * rows

            multiply(z3, two, dz3)
            if many:
                divide(dz3, count, dz3)
                sum_dz3()
            dot(a2T, dz3, dW3)
            greater(a2, zero, mask2)  # max(z, 0) > 0 where z > 0
            dot(dz3, W3T, a2)
            multiply(a2, mask2, dz2)
            if many:
                sum_dz2()
            dot(a1T, dz2, dW2)
            greater(a1, zero, mask1)
            dot(dz2, W2T, a1)
            multiply(a1, mask1, dz1)
            if many:
                sum_dz1()
            dot(xT, dz1, dW1)
            multiply(dtheta, rate, dtheta)
            subtract(theta, dtheta, theta)
        return total

    return run


# ---------------------------------------------------------------------------- what the preallocated ones have in common


def _train(
    pass_over: Callable[..., Pass],
    theta: Array,
    widths: Sequence[int],
    x: Array,
    t: Array,
    eta: float,
    batch_size: int,
    epochs: int,
    seed: int,
) -> list[float]:
    """Whole batches by one set of buffers, the last, smaller one by another."""
    m, history = len(x), []
    whole = m - m % batch_size
    run = pass_over(theta, widths, x, t, eta, min(batch_size, m))
    run_last = pass_over(theta, widths, x, t, eta, m - whole) if whole < m else None
    for epoch in range(epochs):
        order = shuffled(seed, epoch, m)
        total = run(order[:whole].reshape(-1, batch_size), 0.0)
        if run_last is not None:
            total = run_last(order[whole:].reshape(1, -1), total)
        history.append(total / m)
    return history


def matrix_products(widths: Sequence[int], rows: int, dtype: npt.DTypeLike) -> Callable[[int], None]:
    """The matrix products of a training step and nothing else: `run(steps)`. No NumPy program can be faster."""
    rng = np.random.default_rng(0)
    calls = []
    for position, (inputs, outputs) in enumerate(pairwise(widths)):
        a, dz, W = (rng.random(shape).astype(dtype) for shape in ((rows, inputs), (rows, outputs), (inputs, outputs)))
        calls += [(a, W, np.empty_like(dz)), (a.T, dz, np.empty_like(W))]
        if position:
            calls.append((dz, W.T, np.empty_like(a)))

    def run(steps: int) -> None:
        for _ in range(steps):
            for a, b, out in calls:
                dot(a, b, out)

    return run


# -------------------------------------------------------------------------------------------- inference, sigmoid layers


def predict_allocating(theta: Array, widths: Sequence[int]) -> Callable[[Array], Array]:
    W1, b1, W2, b2 = views(theta, widths)
    largest = LARGEST[theta.dtype.char]

    def predict(x: Array) -> Array:
        a1 = 1 / (1 + np.exp(np.minimum(-(x @ W1 + b1), largest)))
        return 1 / (1 + np.exp(np.minimum(-(a1 @ W2 + b2), largest)))

    return predict


def predict_preallocated(theta: Array, widths: Sequence[int], rows: int) -> Callable[[Array], Array]:
    """For x of so many rows; only the result is a new array."""
    W1, b1, W2, b2 = views(theta, widths)
    dtype, empty, shape = theta.dtype, np.empty, (rows, widths[-1])
    a1 = np.empty((rows, widths[1]), dtype)
    one, largest = np.array(1, dtype), np.array(LARGEST[dtype.char], dtype)
    if rows == 1:
        b1, b2 = b1[None], b2[None]

    def predict(x: Array) -> Array:
        y = empty(shape, dtype)
        for a, W, b, out in ((x, W1, b1, a1), (a1, W2, b2, y)):
            dot(a, W, out)
            add(out, b, out)
            negative(out, out)
            minimum(out, largest, out=out)
            exp(out, out)
            add(out, one, out)
            reciprocal(out, out)
        return y

    return predict

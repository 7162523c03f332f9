"""Networks without hidden layers are solved, not trained: ridge and logistic regression by Newton's method.

Their J(θ) is convex, so there is one best θ, and a few steps find it to the last digits that matter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.functions import log_softmax, softmax
from minigrad.parameter import Array
from minigrad.training.history import History

STEPS, TOLERANCE = 50, 1e-3  # at most, and by how much the gradient is to fall
PRODUCTS = 20  # with the second derivative for one step
ENOUGH, LEAST_RATE = 1e-4, 1e-6  # of a step: the share of the promised gain that it has to bring, its smallest rate


def solve_linear(
    x: Any, t: Array, *, logistic: bool, l2: float, weights: Array | None = None
) -> tuple[Array, Array, History]:
    """W (n, K), b (K,) that make J least, for x (m, n), dense or sparse; the history has J after each step.

        J = Σ_b w_b l_b / Σ_b w_b + l2/2 Σ W²

    With `logistic`, t (m, K) are one-hot and l is the cross-entropy of softmax(x W + b); else l = Σ (x W + b - t)².
    The Newton equations are solved by conjugate gradients, so the second derivative is never written out. Source:
    Nocedal and Wright, "Numerical optimization", 2nd edition, 2006, algorithm 7.1.
    """
    shares = (np.full(len(t), 1 / len(t)) if weights is None else weights / weights.sum())[:, None]
    decays = np.full((x.shape[1] + 1, 1), float(l2))
    decays[-1] = 0  # the bias, which is the last row of θ

    def outputs(theta: Array) -> Array:
        return np.asarray(x @ theta[:-1].astype(x.dtype) + theta[-1])

    def gathered(dz: Array) -> Array:
        return np.vstack([x.T @ dz.astype(x.dtype), dz.sum(axis=0)])

    def value(theta: Array, z: Array) -> float:
        terms = -t * log_softmax(z) if logistic else (z - t) ** 2
        return float((shares * terms).sum() + (decays * theta**2).sum() / 2)

    theta = np.zeros((x.shape[1] + 1, t.shape[1]))
    z, history, first = outputs(theta), History(), 0.0
    for _ in range(STEPS):
        begun = time.perf_counter()
        p = softmax(z) if logistic else z
        gradient = gathered(shares * (p - t) * (1 if logistic else 2)) + decays * theta
        size = float(np.linalg.norm(gradient))
        first = first or size
        if history.loss and size <= TOLERANCE * first:
            break

        def curved(v: Array, p: Array = p) -> Array:
            u = outputs(v)
            dz = p * (u - (p * u).sum(axis=1, keepdims=True)) if logistic else 2 * u
            return gathered(shares * dz) + decays * v

        step = _conjugate(curved, -gradient, min(0.1, math.sqrt(size / first)))
        before, promised, rate = value(theta, z), float((gradient * step).sum()), 1.0
        moved = outputs(step)
        while (after := value(theta + rate * step, z + rate * moved)) > before + ENOUGH * rate * promised:
            if (rate := rate / 2) < LEAST_RATE:
                return theta[:-1], theta[-1], history
        theta, z = theta + rate * step, z + rate * moved
        history.loss.append(after)
        history.seconds.append(time.perf_counter() - begun)
    return theta[:-1], theta[-1], history


def _conjugate(product: Callable[[Array], Array], right: Array, tolerance: float) -> Array:
    """v with product(v) = right, up to a share `tolerance` of it, by conjugate gradients."""
    v, left = np.zeros_like(right), right
    direction, square = left, float((left * left).sum())
    enough = tolerance**2 * square
    for _ in range(PRODUCTS):
        q = product(direction)
        curvature = float((direction * q).sum())
        if square <= enough or curvature <= 0:
            break
        rate = square / curvature
        v, left = v + rate * direction, left - rate * q
        square, before = float((left * left).sum()), square
        direction = left + (square / before) * direction
    return v

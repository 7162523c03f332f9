"""The oracle: the same acts in two worlds, one where minigrad may run programs and one that is written out by hand.

What both leave behind is compared after each act, byte by byte: parameters, gradients, the optimizer's state, the
layers' state declared or not, the losses, predictions, exceptions, and NumPy's and Python's global generators.
"""

import collections
import itertools
import math
import random
import types
from contextlib import contextmanager

import numpy as np

from minigrad import DivergenceError, Objective
from minigrad.layer import run_predict
from minigrad.model import Model, Snapshot
from minigrad.parameter import states_of, walk
from minigrad.programs.runtime import cache

SIGNS_OF_ZEROS_COUNT = True
NEVER = 10**9


@contextmanager
def programs_after(steps):
    """Programs are made after so many steps by hand."""
    before = Model.steps_by_hand, cache.REPAID
    Model.steps_by_hand, cache.REPAID = steps, 0
    try:
        yield
    finally:
        Model.steps_by_hand, cache.REPAID = before


class Ours:
    """The world of `fit` and `predict`."""

    def __init__(self, steps):
        self.steps_by_hand = steps

    def train(self, model, x, t, between=(), **options):
        losses, epochs = [], options.pop("epochs")
        if not between:
            return model.fit(x, t, epochs=epochs, progress=False, **options).loss
        for k, epoch in enumerate(model.epochs(x, t, **options), 1):
            losses.append(epoch.loss)
            if k == epochs:
                return losses
            between[(k - 1) % len(between)]()

    def predict(self, model, x):
        return model.predict(x)


class ByHand:
    """The world of the hand-written loop over the plain layers, as README and DESIGN have it."""

    steps_by_hand = NEVER

    def train(self, model, x, t, between=(), *, epochs, **options):
        losses, penalties = [], {name: options.pop(name) for name in ("l2", "l1")}
        objective = Objective(model, options.pop("loss"), **penalties)
        for k in range(1, epochs + 1):
            losses.append(epoch_by_hand(objective, x, t, **options))
            if k < epochs and between:
                between[(k - 1) % len(between)]()
        return losses

    def predict(self, model, x):
        return run_predict(model.chain(), model.admit(x)).copy()


def epoch_by_hand(
    objective,
    x,
    t,
    *,
    optimizer,
    batch_size,
    shuffle=True,
    sample_weight=None,
    class_weight=None,
    augment=None,
    seed=0,
):
    """One epoch, and its loss. An epoch that leaves the finite numbers is undone, as fit does it."""
    model, loss, m = objective.model, objective.given, len(x)
    optimizer.prepare(model.theta)
    dtype = model.theta.dtype
    before, counted = Snapshot([model]), optimizer.state()
    order = np.random.default_rng((seed, optimizer.epochs)).permutation(m) if shuffle else np.arange(m)
    rng = np.random.default_rng((seed, optimizer.epochs, 2))
    if loss.labels and t.ndim == 1:
        classes, codes = np.unique(t, return_inverse=True)
        targets = np.eye(len(classes), dtype=dtype)[codes]
    else:
        targets = t if t.ndim > 1 else t[:, None]
    total = weight = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, m, batch_size):
            rows, w = order[start : start + batch_size], None
            if sample_weight is not None or class_weight is not None:
                w = np.ones(len(rows)) if sample_weight is None else sample_weight[rows]
                if class_weight is not None:
                    w = w * np.array([class_weight.get(label, 1.0) for label in t[rows].tolist()])
                w = w.astype(dtype)
                if not w.sum():
                    continue
            xb, share = x[rows], len(rows) if w is None else float(w.sum())
            if augment is not None:
                xb = model.admit(xb)
                xb[...] = augment(xb, rng)
            total += objective.gradient(xb, targets[rows].astype(dtype), w) * share
            optimizer.step(model.theta, model.dtheta)
            weight += share
            if not math.isfinite(total):
                break
    if not (math.isfinite(total) and np.isfinite(model.theta).all()):
        before.restore()
        optimizer.load_state(counted)
        raise DivergenceError("by hand")
    optimizer.epochs += 1
    return total / weight


# ------------------------------------------------------------------------------------------------- what is left behind
def frozen(value):
    """A value in a form that later changes leave alone, and that can be compared."""
    if type(value).__module__.startswith("minigrad.programs"):
        return f"a {type(value).__name__} of the recorder"
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.hasobject:
            return "objects", value.tolist()
        kind = "an array" if isinstance(value, np.ndarray) else "a scalar"
        return "array", value.dtype.str, value.shape, as_bytes(value), kind
    if isinstance(value, float):
        return "array", "<f8", (), as_bytes(np.float64(value)), "Python's"
    if isinstance(value, list | tuple | collections.deque):
        return type(value).__name__, [frozen(item) for item in value]
    if isinstance(value, dict):
        return type(value).__name__, {repr(name): frozen(item) for name, item in value.items()}
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return frozen(value.get_state())
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, types.SimpleNamespace):
        return frozen(vars(value))
    if isinstance(value, itertools.count):
        return repr(value)
    return value if isinstance(value, bool | int | str | set | None) else type(value).__name__


def as_bytes(array):
    """The bytes of numbers, with one NaN for all, and one zero unless the signs count."""
    array = np.array(array)
    if array.dtype.kind in "fc":
        array[np.isnan(array)] = np.nan
        if not SIGNS_OF_ZEROS_COUNT:
            array += 0.0
    return array.tobytes()


def left_by(model, optimizer):
    """All that outlives an act, by name."""
    found = {"theta": frozen(model.theta), "dtheta": frozen(model.dtheta)}
    found |= {f"optimizer's {name}": frozen(value) for name, value in optimizer.state().items()}
    for n, layer in enumerate(walk([model])):
        called = f"{type(layer).__name__} {n}"
        found |= {f"{called}'s state {name}": frozen(value) for name, value in states_of(layer).items()}
        look = getattr(layer, "look", dict)
        found |= {f"{called}'s own {name}": frozen(value) for name, value in look().items()}
        found |= {f"{called}.{name}": why for name, value in vars(layer).items() if (why := remains(value))}
    found["NumPy's generator"] = frozen(np.random.get_state())  # noqa: NPY002
    found["Python's generator"] = random.getstate()
    return found


def remains(value, depth=0):
    """What of a recording lies in an attribute; None where nothing does."""
    if type(value).__module__ == "minigrad.programs.tracing.arrays":
        return f"a {type(value).__name__} of the recorder"
    inner = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
    return next((why for item in inner if (why := remains(item, depth + 1))), None) if depth < 4 else None


def first_difference(ours, by_hand):
    """The first act and thing in which the two worlds differ, in words; None where they don't."""
    for n, (one, two) in enumerate(zip(ours, by_hand, strict=False)):
        for name in [*one, *(set(two) - set(one))]:
            a, b = one.get(name), two.get(name)
            if a != b:
                return f"act {n}, {one['act']}: {name} {how(a, b)}"
    if len(ours) != len(by_hand):
        return f"{len(ours)} acts against {len(by_hand)} by hand"
    return None


def how(a, b):
    """How two frozen values differ."""
    if (
        isinstance(a, tuple)
        and isinstance(b, tuple)
        and a[0] == b[0] == "array"
        and a[1:3] == b[1:3]
        and a[1][1] == "f"
    ):
        one, two = (np.frombuffer(frozen_array[3], frozen_array[1]) for frozen_array in (a, b))
        other = (one != two) & ~((one != one) & (two != two))
        if not other.any():
            return f"differs in the sign of {(np.signbit(one) != np.signbit(two)).sum()} of {one.size} zeros"
        place = int(np.flatnonzero(other)[0])
        return f"differs in {other.sum()} of {one.size} numbers, first {one[place]!r} for {two[place]!r}"
    if isinstance(a, tuple) and isinstance(b, tuple) and a[:1] == b[:1] and len(a) == len(b) == 2:
        one, two = a[1], b[1]
        if isinstance(one, dict) and isinstance(two, dict):
            one, two = list(one.values()), list(two.values())
        if isinstance(one, list) and isinstance(two, list):
            if len(one) != len(two):
                return f"has {len(one)} items for {len(two)}"
            n = next(n for n, pair in enumerate(zip(one, two, strict=True)) if pair[0] != pair[1])
            return f"[{n}] {how(one[n], two[n])}"
    return f"is {str(a)[:60]} for {str(b)[:60]}"

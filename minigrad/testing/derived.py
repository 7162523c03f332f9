"""derive: the backward of a layer from its forward alone, as source to paste, and the proof of that source."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import numpy as np

from minigrad.derivation.running import gradients
from minigrad.derivation.source import Written, write
from minigrad.derivation.trace import DerivationError
from minigrad.layer import REGISTRY, Layer, whole_copy
from minigrad.parameter import Array, walk
from minigrad.testing.bench.first_input import find_input
from minigrad.testing.bench.subject import Subject
from minigrad.testing.contract import check
from minigrad.testing.report import Report
from minigrad.testing.rules.protocol import CONTRACT


class Derived:
    """A derived backward: `str()` is its source, a method in plain NumPy.

    Where the layer's forward does not keep what it needs, the forward stands before it, with the lines added. `lines`
    has the line that gives each gradient: `lines["W"]` may be "self.dW = x.T @ dy". `prove()` is `check_layer`'s report
    on the layer with these methods pasted in.
    """

    def __init__(self, layer: Layer, x: Array, written: Written) -> None:
        self.layer = layer
        self.x = x
        self._written = written
        self.lines: dict[str, str] = written.lines

    def __str__(self) -> str:
        return str(self._written)

    def __repr__(self) -> str:
        return f"<the derived backward of {self.layer!r}; print it>"

    def pasted(self) -> Layer:
        """A copy of the layer in which these methods stand in the place of its own."""
        cls, methods = type(self.layer), dict[str, Any]()
        known = {**inspect.unwrap(cls.forward).__globals__, "np": np, "scipy": sys.modules.get("scipy")}
        exec(str(self), known, methods)
        place = f"{cls.__qualname__}.pasted"
        layer = whole_copy(self.layer)
        layer.__class__ = type(cls.__name__, (cls,), {"__module__": cls.__module__, "__qualname__": place} | methods)
        REGISTRY.pop(f"{cls.__module__}.{place}")
        return layer

    def prove(self) -> Report:
        """Check the layer with these methods pasted in, for rows of the shape of x. Raises GradientError."""
        rules = [rule for rule in CONTRACT if "other widths" not in rule.promise]  # the source has this one's
        return check(self.pasted(), self.x, only_here=True, rules=rules)


def derive(layer: Layer, x: Any = None) -> Derived:
    """The backward of a layer, derived from what its forward does with rows like x: `print(derive(layer))`.

    Without x, one is found as `check_layer` finds it. The layer may have a backward of its own; it is not asked. The
    source is for the number of axes that x has, and any number of rows; other lengths, such as that of steps, may stand
    in it as they are in x.

    Raises DerivationError, which names the line, where forward does what has no derivative: decides by a value, writes
    over what stands in an array.
    """
    if not isinstance(layer, Layer):
        hint = f"; write {layer.__name__}(…)" if isinstance(layer, type) else ""
        raise TypeError(f"derive takes a layer, not {layer!r}{hint}")
    if x is None:
        x = find_input(Subject(layer), np.random.default_rng(0))
    x = np.asarray(x)
    if x.ndim == 0:
        raise ValueError(f"x is {x!r}; derive takes rows, x of shape (B, …)")
    written = write(layer, x)
    derived = Derived(layer, x, written)
    if not written.missing:
        _compare(derived)
    return derived


def _compare(derived: Derived) -> None:
    """Raise DerivationError if the source gives other numbers than the walk that it was written from."""
    rng = np.random.default_rng(1)
    for rows in (len(derived.x), len(derived.x) + 2):
        x = np.resize(derived.x, (rows, *derived.x.shape[1:]))
        x = x.astype(np.float64) if x.dtype.kind == "f" else x
        own, pasted = Subject(derived.layer).layer, Subject(derived.pasted()).layer
        dy = rng.standard_normal(pasted.forward(x).shape)
        dx = pasted.backward(dy)
        found = [dx, *(array for inner in walk([pasted]) for array in inner.grads.values())]
        for a, b in zip(found, gradients(own, x, dy, asking=True), strict=True):
            if a is not b and (a is None or b is None or not np.allclose(a, b, 1e-9, 1e-9)):
                raise DerivationError(f"this source of {derived.layer!r} is wrong; please report it\n{derived}")

"""A forward of one's own beside a backward that a layer or a loss of the package has left it: what is said of that."""

from __future__ import annotations

from typing import Any

from minigrad.layer import Layer
from minigrad.testing.bench.code import inherited, methods


def lacks(layer: Layer) -> str:
    """What a layer of one's own lacks; "" where forward and backward are of one hand."""
    return _said(layer, ("forward",), "backward")


def loss_lacks(loss: Any) -> str:
    """What a loss of one's own lacks; "" where value and slopes are of one hand."""
    return _said(loss, ("forward", "value", "terms"), "slopes", "backward")


def _said(thing: Any, ways: tuple[str, ...], *back: str) -> str:
    cls = type(thing)
    behind = [*back, *methods(cls, back)]
    if not all(inherited(cls, name) for name in behind) or all(inherited(cls, name) for name in ways):
        return ""
    base, own = inherited(cls, back[0]), "slopes or a backward" if len(back) > 1 else "a backward"
    return f"{cls.__name__} lacks {own} of its own: what it inherits from {base} belongs to {base}'s {ways[-1]}"

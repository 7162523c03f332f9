"""What is still wrong of a layer once a correction is made: all that the command will ask is asked of it before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MethodType
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array
from minigrad.testing.bench.layers import Bench, LayerBench
from minigrad.testing.naming.corrections import Correction
from minigrad.testing.report import Diagnosis, Report
from minigrad.testing.rule import Evidence, seen

Rules = Iterable[Callable[[LayerBench], object]]
Changed = Mapping[tuple[type, str], Any]

TRIED: dict[bool | None, str] = {
    True: "then it is right",
    False: "then this is right, and something else still wrong",
    None: "then something else is still wrong",
}


def told(evidence: Evidence, bench: Bench | None, read: Diagnosis) -> Diagnosis:
    """A diagnosis with what is right with its correction, and what is not; without it, if it changes nothing."""
    found: Correction | None = read.found
    if found is None:
        return read
    tried = TRIED[found.wholly]
    if isinstance(bench, LayerBench) and found.wholly:
        left = of_bench(bench.home, found)
        if left and (left.what, left.situation) == (evidence.what, evidence.situation):
            return Diagnosis()
        tried = f"{TRIED[False]}: {words(left)}" if left else tried
    return replace(read, right=f"{read.right}   (tried: {tried})", found=None)


def of_bench(bench: LayerBench, found: Correction) -> Evidence | None:
    """What the rules find that the layer on the bench is checked by."""
    rules = [rule for rule in bench.rules if not (found.proved and rule.promise in found.proved)]
    return of(bench.layer, bench.whole if bench.given else None, rules, found.changed, bench.only_here)


def of(layer: Layer, x: Array | None, rules: Rules, changed: Changed, only_here: bool = False) -> Evidence | None:
    """The first that one of the rules finds where the layer's class, or that of a layer in it, has changed methods."""

    def check() -> None:
        bench = LayerBench(layer, x, 0, Report(""), only_here)
        for rule in rules:
            bench.reset()
            with np.errstate(all="ignore"):
                rule(bench)

    with corrected(changed):
        return seen(check)


def words(evidence: Evidence) -> str:
    """What is found, and where, to stand in brackets."""
    return evidence.what + (f" ({evidence.situation})" if evidence.situation else "")


def methods_of(holder: Any) -> Changed:
    """The methods that a layer has in the place of its class's: those of a trial."""
    return {(type(holder), name): held.__func__ for name, held in vars(holder).items() if isinstance(held, MethodType)}


@contextmanager
def corrected(changed: Changed) -> Iterator[None]:
    """In here the classes have these methods."""
    before = {(cls, name): vars(cls)[name] for cls, name in changed if name in vars(cls)}
    for (cls, name), method in changed.items():
        setattr(cls, name, method)
    try:
        yield
    finally:
        for cls, name in changed:
            if (cls, name) in before:
                setattr(cls, name, before[cls, name])
            else:
                delattr(cls, name)

"""From a recording to the fewest lines that do the same.

A result that is only copied elsewhere is computed there, equal lines are merged, and what nobody reads is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad.programs.arrays import Tape
from minigrad.programs.equations import name_values, names_of
from minigrad.programs.form import Copy, Elementwise, Line, Product, Program, Reduce, Value, View


def plan(tape: Tape, result: View, lasting: Iterable[View], hints: Iterable[tuple[View, str]], title: str) -> Program:
    """The program of a tape, with `result` as what it returns.

    `lasting` is what outlives it: what it must leave right. `hints` names views; a first name counts.
    """
    lines, stands_for = merge(tape.lines)

    def current(view: View) -> View:
        return view.of(stands_for.get(view.value, view.value))

    returned = current(result)
    ends = [current(view).value for view in lasting]
    wanted = {*ends, returned.value}
    lines = prune(redirect(lines, {value.memory for value in wanted}), wanted)
    used = {view.memory for line in lines for view in (*line.reads, *line.writes)} | {value.memory for value in wanted}
    given = {value: array for value, array in tape.given.items() if value.memory in used or value.role == "batch"}
    used |= {value.memory for value in given}
    known = {place: array for place, array in tape.known.items() if place[0] in {value.memory for value in given}}
    names = names_of(lines, [(seen, name) for view, name in hints if (seen := current(view)).memory in used])
    program = Program(lines, given, returned, ends, names, title, known)
    name_values(program)
    return program


def merge(lines: Iterable[Line]) -> tuple[list[Line], dict[Value, Value]]:
    """Drop each pure line that computes what an earlier one has; also returns which value stands for which."""
    lines = list(lines)
    followed = {view.value.follows for line in lines for view in line.writes}
    stands_for: dict[Value, Value] = {}
    seen: dict[Any, Value] = {}
    kept = []

    def now(value: Value) -> Value:
        while value in stands_for:
            value = stands_for[value]
        return value

    def current(view: View) -> View:
        value = now(view.value)
        if value.follows is not None and (before := now(value.follows)) is not value.follows:
            stands_for[value] = value = replace(value, follows=before)
        return view.of(value)

    for line in lines:
        line = line.with_views(current)
        made = line.out.value
        if isinstance(line, Copy) and _copies_itself(line):
            stands_for[made] = line.inputs[0].value
            continue
        alone = line.fresh and line.pure and made not in followed
        if alone and _divides_by_one(line) and line.inputs[0].value not in followed:
            stands_for[made] = line.inputs[0].value
            continue
        if alone:
            what = type(line), line.function, _key(line.inputs), _key(line.options), line.out.place[1:], made.dtype
            if what in seen:
                stands_for[made] = seen[what]
                continue
            seen[what] = made
        kept.append(line)
    return kept, {value: now(value) for value in stands_for}


def _key(value: Any) -> Any:
    if isinstance(value, View):
        return value
    if isinstance(value, tuple | list):
        return tuple(map(_key, value))
    if isinstance(value, dict):
        return tuple((name, _key(item)) for name, item in value.items())
    return type(value), repr(value)


def _divides_by_one(line: Line) -> bool:
    """Whether the result is the first operand itself, as in the mean over a single row."""
    if line.function is not np.divide or line.options:
        return False
    dividend, divisor = line.inputs
    return (
        isinstance(dividend, View)
        and isinstance(divisor, int)
        and divisor == 1
        and (dividend.place[1:], dividend.dtype) == (line.out.place[1:], line.out.dtype)
    )


def _copies_itself(line: Copy) -> bool:
    source = line.inputs[0]
    return isinstance(source, View) and source.place == line.out.place and source.value is line.out.value.follows


def redirect(lines: Iterable[Line], wanted: set[int]) -> list[Line]:
    """Where a fresh result is only copied to another place (`dW[...] = x.T @ dy`), compute it there at once.

    `wanted` are the memories whose contents count at the end.
    """
    lines = list(lines)
    touching: dict[int, list[int]] = {}
    for number, line in enumerate(lines):
        for memory in {view.memory for view in (*line.reads, *line.writes)}:
            touching.setdefault(memory, []).append(number)
    dropped = set()
    for number, line in enumerate(lines):
        if not isinstance(line, Copy) or not isinstance(line.inputs[0], View):
            continue
        source, target = line.inputs[0], line.out
        uses = touching[source.memory]
        if len(uses) != 2 or source.memory in wanted:
            continue
        maker = lines[uses[0]]
        between = [n for n in touching[target.memory] if uses[0] <= n < number and n not in dropped]
        if (
            maker.fresh
            and isinstance(maker, Elementwise | Product | Reduce)
            and maker.out == source
            and (source.shape, source.dtype) == (target.shape, target.dtype)
            and all(n == uses[0] and in_place(maker, target) for n in between)
        ):
            lines[uses[0]] = replace(maker, out=target)
            touching[target.memory].append(uses[0])
            dropped.add(number)
    return [line for number, line in enumerate(lines) if number not in dropped]


def in_place(line: Line, target: View) -> bool:
    """Whether the line may write its result over those of its operands that lie in the target's memory."""
    mine = (view for view in line.reads if view.memory == target.memory)
    return isinstance(line, Elementwise) and all(view.place == target.place for view in mine)


def prune(lines: Iterable[Line], wanted: set[Value]) -> list[Line]:
    """Only what the wanted values depend on, and what has effects that can't be seen."""
    needed, kept = set(wanted), []
    for line in reversed(list(lines)):
        if not line.pure or any(view.value in needed for view in line.writes):
            kept.append(line)
            needed.update(view.value for view in line.reads)
            needed.update(view.value.follows for view in line.writes if view.value.follows and not _replaces(view))
    return kept[::-1]


def _replaces(view: View) -> bool:
    """Whether nothing of the version before is left; but a line that makes an array is where it gets its memory."""
    return view.value.role != "made" and view == view.value.whole

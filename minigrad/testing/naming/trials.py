"""Trials of changes of code: one at a time, one at several places, two at once.

A method's source is changed (`slips`), compiled and run on a copy. A change that gives the right
gradient where it was wrong, and at another input with other parameters, is the `Correction`. If there is none, the same
slip is looked for at several places, at all where it can be or at some that bring the gradient nearer to the right one;
then two changes at once are tried: beside those that bring it nearer, all others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MethodType
from typing import Any

import numpy as np

from minigrad.parameter import Array
from minigrad.testing.bench.code import inherited, methods
from minigrad.testing.budget import AS_ASKED, Deadline
from minigrad.testing.naming import corrections
from minigrad.testing.naming.asked import Asked
from minigrad.testing.naming.corrections import Changed, Correction
from minigrad.testing.naming.methods import Method, first_line
from minigrad.testing.naming.templates.edits import Edit, one_at_each_place, statements_of
from minigrad.testing.naming.templates.loops import rows_for_steps
from minigrad.testing.naming.templates.slips import as_asked, edits
from minigrad.testing.oracle.rounding import matches

PAIRED = 12  # changes that others are tried beside: those that come nearest
ALIKE = 24  # places of one slip, of which some are chosen


class Trials:
    """Changes of methods of `holder` that are tried one after the other, and then several at once.

    `run` gives the gradient that is wrong with the holder as it is; it is to be `wanted`. `confirm` then says whether
    it is right elsewhere: None if it is not, False if something else is still wrong. A change that leaves nothing wrong
    is looked for, and one that mends this gradient alone is the second best. Where a layer is `asked` for, the last
    that are tried are those that put there what it has. `proved` are the promises of a layer that `confirm` has tried.
    """

    def __init__(
        self,
        holder: Any,
        run: Callable[[], Array],
        wanted: Array,
        confirm: Callable[[], bool | None],
        deadline: Deadline,
        asked: Asked | None = None,
        proved: tuple[str, ...] = (),
    ) -> None:
        self.holder = holder
        self.run = run
        self.wanted = wanted
        self.confirm = confirm
        self.deadline: Deadline = deadline
        self.asked = asked
        self.proved = proved
        self.count: int = 0
        self.in_time: bool = True
        self.partly: Correction | None = None
        self._partly_at: Changed | None = None
        self._nearer: list[tuple[float, int, Changed]] = []
        self._alike: dict[tuple[str, str], list[Edit]] = {}
        self._distance = self._of_trial()

    def correction(self, *starts: str, blamed: str = "", wrong: frozenset[str] = frozenset()) -> Correction | None:
        """The first change that is right, of the methods named and of those that they call.

        `blamed` is the result of the first of them that is looked at, "return" or "self.dW", `wrong` are all that are
        wrong.
        """
        changed = list[Changed]()
        for name in methods(type(self.holder), starts):
            method = Method.of(getattr(type(self.holder), name))
            if method is not None and not inherited(type(self.holder), name):
                known = method.known(self.holder, self.run, *((blamed, wrong) if name == starts[0] else ()))
                known = self.asked.known(name, method, known) if self.asked else known
                at = Changed(name, method, known)
                found = self._first_right(at) or self._everywhere(at)
                if found is not None:
                    return found
                changed.append(at)
        found = self._in_other_lines()
        return found or next(filter(None, map(self._as_asked, changed)), None) or self.partly

    def correction_at(self, name: str, line: int, alone: bool) -> Correction | None:
        """The first change that is right where shapes are wrong: of the statement in this line, or else of any."""
        safe = name in methods(type(self.holder), (name,)) and not inherited(type(self.holder), name)
        method = Method.of(getattr(type(self.holder), name)) if safe else None
        if method is None:
            return None
        known = replace(method.known(self.holder, self.run), of_any_shape=True)
        steps = tuple(rows_for_steps(method.tree, known.scope))
        if steps and (found := self._tried(Changed(name, method, known, steps))):
            return found
        for only in (method.statement_at(line), None)[: 1 if alone else 2]:
            at = Changed(name, method, replace(known, only=only))
            found = self._first_right(at) or self._everywhere(at) or self.partly
            if found or not self.in_time:
                return found
            if only is not None:
                found = self._of_kinds(at)
                if found or not self.in_time:
                    return found
        return None

    def _of_kinds(self, at: Changed) -> Correction | None:
        """A slip that can be made in the statement that raises, at all places of the method: others raise, too."""
        by_slip: dict[str, list[Edit]] = {}
        for edit in edits(at.method.tree, replace(at.known, only=None)):
            for slip in edit.slips:
                if (at.name, slip) in self._alike:
                    by_slip.setdefault(slip, []).append(edit)
        for alike in by_slip.values():
            places = one_at_each_place(alike)
            if self._is_late():
                return None
            places.sort(key=lambda edit: edit.statement.lineno)
            found = self._tried(replace(at, edits=tuple(places))) if len(statements_of(places)) > 1 else None
            for edit in [*places] if found else ():  # without those that change nothing
                fewer = self._tried(replace(at, edits=tuple(other for other in places if other is not edit)))
                if fewer is not None:
                    found = fewer
                    places.remove(edit)
            if found is not None:
                return found
        return self.partly

    def several(self, deadline: Deadline) -> Correction | None:
        """The first changes at once that are right: of one slip, or one that has come nearer and another after it."""
        self.deadline, self.in_time = deadline, True
        nearest = [first for _, _, first in sorted(self._nearer, key=lambda each: each[:2])]
        firsts = {(each.name, slip): each for each in reversed(nearest) for slip in each.edits[0].slips}
        for (_, slip), first in firsts.items():
            found = self._some_alike(first, slip)
            if found is not None or not self.in_time:
                return found
        for first in nearest[:PAIRED]:
            first = replace(first, before=first_line(first.edits[0].statement))
            with first.made():
                found = self._first_right(first)
            if found is not None or not self.in_time:
                return found
        return None

    def _first_right(self, at: Changed) -> Correction | None:
        for edit in edits(at.method.tree, at.known):
            if self._is_late():
                return None
            for slip in edit.slips if not at.edits else ():
                self._alike.setdefault((at.name, slip), []).append(edit)
            found = self._tried(replace(at, edits=(*at.edits, edit)), made=at.edits)
            if found is not None:
                return found
        return None

    def _as_asked(self, at: Changed) -> Correction | None:
        """The first change that is right, of those that put there what the method asked for has."""
        deadline = Deadline(AS_ASKED)
        for edit in as_asked(at.method.tree, at.known) if at.known.asked else ():
            found = self._tried(replace(at, edits=(edit,)))
            if found is not None or deadline.is_over():
                return found
        return None

    def _everywhere(self, at: Changed) -> Correction | None:
        """The same change at all places, of a statement or of the method."""
        for (name, _), alike in self._alike.items():
            if name != at.name or len(alike) < 2:
                continue
            places = one_at_each_place(alike)
            groups = [[edit for edit in places if edit.statement is each] for each in statements_of(places)]
            for group in [places, *(each for each in groups if len(each) < len(places))]:
                if self._is_late():
                    return None
                found = self._tried(replace(at, edits=tuple(group))) if len(group) > 1 else None
                if found is not None:
                    return found
        return None

    def _in_other_lines(self) -> Correction | None:
        """The change that mends this gradient alone, also where the others come from: at all places, or one more."""
        at = self._partly_at
        if at is None:
            return None
        common = set(at.edits[0].slips).intersection(*(edit.slips for edit in at.edits))
        elsewhere = {id(edit.statement): edit.statement for edit in at.edits}
        alike = [
            edit
            for edit in edits(at.method.tree, replace(at.known, blamed=""))
            if common & {*edit.slips} and id(edit.statement) not in elsewhere
        ]
        others = one_at_each_place(alike)
        for more in [others, *([other] for other in others)] if len(others) <= ALIKE else ():
            found = self._tried(replace(at, edits=(*at.edits, *more))) if more and not self._is_late() else None
            if found is not None:
                return found
        return None

    def _some_alike(self, first: Changed, slip: str) -> Correction | None:
        """A change at one place after the other, as long as each comes nearer."""
        alike = self._alike.get((first.name, slip), [])
        at, nearest = first, np.inf
        while len(alike) <= ALIKE and not self._is_late():
            tried: list[tuple[float, int, Changed]] = []
            for edit in alike:
                if all(edit is not other for other in at.edits):
                    here = replace(at, edits=(*at.edits, edit))
                    found = self._tried(here)
                    if found is not None:
                        return found
                    tried.append((self._last, len(tried), here))
            closest = min(tried, key=lambda each: each[:2], default=None)
            if closest is None or not closest[0] < 0.999 * min(nearest, self._distance):
                return None
            nearest, _, at = closest
        return None

    def _is_late(self) -> bool:
        late = self.deadline.is_over()
        self.in_time = self.in_time and not late
        return late

    def _tried(self, at: Changed, made: tuple[Edit, ...] = ()) -> Correction | None:
        """Try changes at once, of which those `made` are made already."""
        self.count += 1
        self._last = np.inf
        here = replace(at, edits=at.edits[len(made) :])
        try:
            with here.made():
                function = at.method.compiled()
            vars(self.holder)[at.name] = MethodType(function, self.holder)
            given = self.run()
            wholly = self.confirm() if matches(given, self.wanted) else None
            if wholly is None:
                self._last = self._from_wanted(given)
                self._keep(at)
                return None
            with here.made():
                after = here.after()
        except Exception:  # most changes make no sense
            return None
        finally:
            vars(self.holder).pop(at.name, None)
        found = corrections.correction(here, after)
        if made and corrections.replaces(here.edits[0], made[0]):
            return None
        if made:
            found = corrections.both(replace(at, edits=made), found)
        found = replace(found, wholly=wholly, changed={(type(self.holder), at.name): function}, proved=self.proved)
        if self.partly is None:
            self.partly, self._partly_at = found, None if made else at
        return found if wholly else None

    def _keep(self, at: Changed) -> None:
        """Remember a change that has brought the gradient nearer, of those that came equally near the first."""
        nearer = len(at.edits) == 1 and self._last < 0.999 * self._distance
        if nearer and all(abs(self._last - other) > 1e-9 * other for other, *_ in self._nearer):
            self._nearer.append((self._last, self.count, at))

    def _of_trial(self) -> float:
        try:
            return self._from_wanted(self.run())
        except Exception:  # of a backward that raises as it is
            return np.inf

    def _from_wanted(self, given: Array) -> float:
        distance = float(np.linalg.norm(given - self.wanted))
        return distance if np.isfinite(distance) else np.inf

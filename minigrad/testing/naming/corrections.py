"""What trials have found, as a `Correction`: the changes of a method in words, with its lines before and after them."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from minigrad.testing.naming.methods import Method, first_line
from minigrad.testing.naming.templates.edits import Edit, all_made, statements_of
from minigrad.testing.naming.templates.slips import Known
from minigrad.testing.report import Diagnosis


@dataclass(frozen=True)
class Correction:
    """A change with which the gradient is right: words for the slip, its line, that line and what is to stand there.

    `wholly` says whether all gradients are right then; None where something is still wrong, perhaps of the same one.
    `changed` are the methods of classes that it changes; `proved` are promises that were tried with them.
    """

    says: str
    place: str
    written: str
    right: str
    wholly: bool | None = True
    changed: Mapping[tuple[type, str], Any] = field(default_factory=dict)
    proved: tuple[str, ...] = ()


@dataclass(frozen=True)
class Changed:
    """A method, what is known of it, and the changes that are to be made in it, of a line that was as `before`."""

    name: str
    method: Method
    known: Known
    edits: tuple[Edit, ...] = ()
    before: str = ""

    def made(self) -> AbstractContextManager[None]:
        """In there they are made."""
        return all_made(self.edits)

    def statements(self) -> list[Any]:
        """The statements in which they lie; if one is but added, that beside which it is only if there is no other."""
        there = statements_of(edit for edit in self.edits if not edit.only_adds) or statements_of(self.edits)
        there += [edit.moved for edit in self.edits if edit.moved]
        return sorted(there, key=lambda statement: statement.lineno)

    def after(self) -> list[str]:
        """The lines that stand in their place, while the changes are made, and those that are added."""
        after = lines_after(self.edits, self.statements())
        for edit in self.edits:
            if edit.added:
                body = next(new for _, _, new in edit.places if isinstance(new, list))
                around = [each for each in body if edit.statement in ast.walk(each)]
                comes_first = body.index(edit.added) < min(map(body.index, around), default=len(body))
                after.insert(0 if comes_first else len(after), first_line(edit.added))
        return after


def lines_after(edits: Iterable[Edit], statements: list[Any]) -> list[str]:
    """The lines that stand in the place of statements, while these edits are made."""
    whole = {id(edit.statement): edit.places[0][2] for edit in edits}
    whole |= {id(edit.moved): edit.places[1][2] for edit in edits if edit.moved}
    return [first_line(new if isinstance(new := whole.get(id(each)), ast.stmt) else each) for each in statements]


def correction_of(name: str, method: Method, edits: list[Edit], wholly: bool) -> Correction:
    """Changes of a method as a correction."""
    at = Changed(name, method, Known({}, set(), set(), []), tuple(edits))
    with at.made():
        after = at.after()
    return replace(correction(at, after), wholly=wholly)


def replaces(second: Edit, first: Edit) -> bool:
    """Whether a change puts something in the place of another one, which is no slip then."""
    changed = {id(new) for _, _, new in first.places if isinstance(new, ast.AST)}
    replaced = [owner[key] if isinstance(owner, list) else getattr(owner, key) for owner, key, _ in second.places]
    return any(id(node) in changed for old in replaced if isinstance(old, ast.AST) for node in ast.walk(old))


def correction(at: Changed, after: list[str]) -> Correction:
    """The changes as a correction; `after` has the lines as they are then."""
    statements = at.statements()
    alike: dict[str, list[str]] = {}
    in_order = sorted(at.edits, key=lambda edit: edit.statement.lineno)
    for says, count in Counter(edit.says for edit in in_order).items():
        start, colon, end = says.rpartition(": ")
        alike.setdefault(f"{start}{colon}", []).append(f"{end}: at {count} places" if count > 1 else end)
    words = "; ".join(f"{start}{'; '.join(ends)}" for start, ends in alike.items())
    places = dict.fromkeys(at.method.place(each) for each in statements)
    before, right = (";  ".join(lines) for lines in (map(first_line, statements), after))
    moved = next((edit.where for edit in at.edits if edit.where), "in another place")
    return Correction(words, "; ".join(places), before, f"{right}, {moved}" if right == before else right)


def both(at: Changed, second: Correction) -> Correction:
    """A change that is made already and a second one as one correction."""
    (edit,), before, place = at.edits, at.before, at.method.place(at.edits[0].statement)
    says = f"two slips: {edit.says}; and {second.says}"
    if place == second.place:
        return Correction(says, place, before, second.right)
    after = ";  ".join(at.after())
    return Correction(says, f"{place}; {second.place}", f"{before};  {second.written}", f"{after};  {second.right}")


def with_correction(said: str, found: Correction | None, derived: str = "") -> Diagnosis:
    """A sentence with the lines of the change that was found, or else with the derived formula."""
    if found is None:
        return Diagnosis(said, "", derived)
    written = f"{found.written}   ({found.place})" if found.written else ""
    return Diagnosis(said, written, found.right, found)

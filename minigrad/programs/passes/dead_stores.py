"""Dead stores: what nobody reads is not computed (Muchnick, "Advanced Compiler Design and Implementation", 18.10)."""

from __future__ import annotations

from dataclasses import replace

from minigrad.programs.ir.ops import Op, Program, View


def drop_dead_stores(program: Program) -> Program:
    """With those ops alone that its result and its lasting values depend on, or that have effects beside these."""
    needed, kept = {*program.lasting, program.result.value}, list[Op]()
    used = {value.memory for value in needed}
    for op in reversed(program.ops):
        if not op.pure or any(view.value in needed for view in op.writes):
            kept.append(op)
            needed.update(view.value for view in op.reads)
            needed.update(view.value.follows for view in op.writes if view.value.follows and not _replaces(view))
            used.update(view.memory for view in (*op.reads, *op.writes))
    given = {value: array for value, array in program.given.items() if value.memory in used or value.role == "batch"}
    homes = {value.memory for value in given}
    known = {place: array for place, array in program.known.items() if place[0] in homes}
    names = {place: name for place, name in program.names.items() if place[0] in used | homes}
    return replace(program, ops=kept[::-1], given=given, names=names, known=known)


def _replaces(view: View) -> bool:
    """Whether nothing of the version before is left; but an op that makes an array is where it gets its memory."""
    return view.value.role != "made" and view == view.value.whole

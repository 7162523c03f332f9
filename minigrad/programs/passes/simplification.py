"""Simplification: operations that leave their operand as it is."""

from __future__ import annotations

import numpy as np

from minigrad.programs.ir.ops import Copy, Op, Program, View
from minigrad.programs.passes.substitution import Substitution


def simplify(program: Program) -> Program:
    """Without copies of an array to its own place, and divisions by 1, as in the mean over a single row."""
    changed = {view.value.follows for op in program.ops for view in op.writes}
    kept, now = list[Op](), Substitution()
    for op in program.ops:
        op = now.op(op)
        if (isinstance(op, Copy) and _copies_itself(op)) or (
            op.fresh and _divides_by_one(op) and not {op.out.value, op.inputs[0].value} & changed
        ):
            now.replace(op.out.value, op.inputs[0].value)
        else:
            kept.append(op)
    return now.applied(program, kept)


def _copies_itself(op: Op) -> bool:
    source = op.inputs[0]
    return isinstance(source, View) and source.place == op.out.place and source.value is op.out.value.follows


def _divides_by_one(op: Op) -> bool:
    if op.function is not np.divide or op.options:
        return False
    dividend, divisor = op.inputs
    return (
        isinstance(dividend, View)
        and isinstance(divisor, int)
        and divisor == 1
        and (dividend.place[1:], dividend.dtype) == (op.out.place[1:], op.out.dtype)
    )

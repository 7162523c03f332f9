"""Common subexpressions: what is computed twice is computed once (Aho et al., "Compilers", section 8.5)."""

from __future__ import annotations

from typing import Any

from minigrad.programs.ir.ops import Op, Program, Value, View
from minigrad.programs.passes.substitution import Substitution


def merge_common_subexpressions(program: Program) -> Program:
    """Without each pure op that computes a new array that an earlier op has computed; neither may change later."""
    changed = {view.value.follows for op in program.ops for view in op.writes}
    seen: dict[Any, Value] = {}
    kept, now = list[Op](), Substitution()
    for op in program.ops:
        op = now.op(op)
        made = op.out.value
        if op.fresh and op.pure and made not in changed:
            what = type(op), op.function, _key(op.inputs), _key(op.options), op.out.place[1:], made.dtype
            if what in seen:
                now.replace(made, seen[what])
                continue
            seen[what] = made
        kept.append(op)
    return now.applied(program, kept)


def _key(value: Any) -> Any:
    if isinstance(value, View):
        return value
    if isinstance(value, tuple | list):
        return tuple(map(_key, value))
    if isinstance(value, dict):
        return tuple((name, _key(item)) for name, item in value.items())
    return type(value), repr(value)

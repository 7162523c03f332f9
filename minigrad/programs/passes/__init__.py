"""Passes: each is a function from a program to a program that leaves the same bits with less work.

    simplify                      x / 1 is x, and x[...] = x is nothing
    merge_common_subexpressions   what is computed twice is computed once
    forward_copies                a result that is only copied elsewhere is computed there
    drop_dead_stores              what nobody reads is not computed

`optimized` runs them in this order and names what is left. `buffers` decides where results lie: which memory a program
uses again.
"""

from __future__ import annotations

from minigrad.programs.ir.equations import named
from minigrad.programs.ir.ops import Program
from minigrad.programs.passes.common_subexpressions import merge_common_subexpressions
from minigrad.programs.passes.copy_forwarding import forward_copies
from minigrad.programs.passes.dead_stores import drop_dead_stores
from minigrad.programs.passes.simplification import simplify

PASSES = (simplify, merge_common_subexpressions, forward_copies, drop_dead_stores)


def optimized(program: Program) -> Program:
    """The program after all passes, with a name for each of its values."""
    for each in PASSES:
        program = each(program)
    return named(program)

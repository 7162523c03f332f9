"""Copy forwarding: a result that is only copied elsewhere, as in `dW[...] = x.T @ dy`, is computed there."""

from __future__ import annotations

from dataclasses import replace

from minigrad.programs.ir.ops import Copy, Elementwise, Product, Program, Reduce, View, in_place


def forward_copies(program: Program) -> Program:
    """Without each copy of a new array that nothing else reads: the op that makes the array writes into its place."""
    ops, dropped = list(program.ops), set[int]()
    touching: dict[int, list[int]] = {}
    for number, op in enumerate(ops):
        for memory in {view.memory for view in (*op.reads, *op.writes)}:
            touching.setdefault(memory, []).append(number)
    wanted = {value.memory for value in (*program.lasting, program.result.value)}
    for number, op in enumerate(ops):
        if not isinstance(op, Copy) or not isinstance(op.inputs[0], View):
            continue
        source, target = op.inputs[0], op.out
        uses = touching[source.memory]
        if len(uses) != 2 or source.memory in wanted:
            continue
        maker = ops[uses[0]]
        between = [n for n in touching[target.memory] if uses[0] <= n < number and n not in dropped]
        if (
            maker.fresh
            and isinstance(maker, Elementwise | Product | Reduce)
            and maker.out == source
            and (source.shape, source.dtype) == (target.shape, target.dtype)
            and all(n == uses[0] and in_place(maker, target) for n in between)
        ):
            ops[uses[0]] = replace(maker, out=target)
            touching[target.memory].append(uses[0])
            dropped.add(number)
    return replace(program, ops=[op for number, op in enumerate(ops) if number not in dropped])

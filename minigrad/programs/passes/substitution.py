"""Some values of a program in place of others, wherever they are read."""

from __future__ import annotations

from dataclasses import replace

from minigrad.programs.ir.ops import Op, Place, Program, Value, View


class Substitution:
    """Which value stands for which other one. A version of a value that is replaced follows its replacement."""

    def __init__(self) -> None:
        self._stands_for: dict[Value, Value] = {}

    def replace(self, value: Value, by: Value) -> None:
        """From here on read another value in place of this one."""
        self._stands_for[value] = by

    def value(self, value: Value) -> Value:
        """What is to be read in place of a value, of which earlier versions have been asked for before."""
        while value in self._stands_for:
            value = self._stands_for[value]
        if value.follows in self._stands_for:
            self._stands_for[value] = value = replace(value, follows=self.value(value.follows))
        return value

    def view(self, view: View) -> View:
        """The same elements of what is to be read in place of a view's value."""
        return view.of(self.value(view.value))

    def op(self, op: Op) -> Op:
        """The same op on what is to be read."""
        same = all(self.value(view.value) is view.value for view in (*op.reads, *op.writes))
        return op if same else op.with_views(self.view)

    def applied(self, program: Program, ops: list[Op]) -> Program:
        """The program with these ops, its result, lasting values and names as they are now."""
        memories = {old.memory: self.value(old).memory for old in self._stands_for if old.follows is None}
        names: dict[Place, str] = {}
        for (memory, *where), name in program.names.items():
            place: Place = memories.get(memory, memory), *where  # type: ignore[assignment]
            names.setdefault(place, name)
        lasting = [self.value(value) for value in program.lasting]
        return replace(program, ops=ops, result=self.view(program.result), lasting=lasting, names=names)

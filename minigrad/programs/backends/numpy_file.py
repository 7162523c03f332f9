"""A training step as a Python file that needs NumPy alone, with the parameters beside it in a .npz file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.parameter import Array
from minigrad.programs.backends.numpy_source import Code
from minigrad.programs.ir.ops import Program, Unwritable, View

PROMISE = "same bits"


def write(program: Program, code: Code, path: Path, about: str) -> None:
    """Write the step at `path`; `about` is what the file says of itself.

    The file defines `step()`: fill its arrays x, t (and w), call it, and theta has made a step. Raises Unwritable where
    a part of it is code of its own.
    """
    roots = {value.memory: program.names[value.whole.place] for value in program.lasting}
    saved = {name: program.homes[memory] for memory, name in roots.items()}
    for value, array in program.given.items():
        if value.role == "constant":  # such as the mask of causal attention
            roots[value.memory] = name = f"constant_{len(saved)}"
            saved[name] = array.ravel("K")
    text = _text(program, code, roots, saved, about)
    np.savez(path.with_suffix(".npz"), **saved)  # type: ignore[arg-type]
    path.write_text(text, encoding="utf-8")


def _text(program: Program, code: Code, roots: dict[int, str], saved: Mapping[str, Array], about: str) -> str:
    text = [
        f'"""{about}"""',
        "",
        "from pathlib import Path",
        "",
        "import numpy as np",
        "",
        'with np.load(Path(__file__).with_suffix(".npz")) as saved:',
        *(f'    {name} = saved["{name}"]' for name in saved),
    ]
    for value, array in program.given.items():
        if value.role in ("batch", "coefficient"):
            roots[value.memory] = name = program.names[value.whole.place]
            start = array.item() if array.ndim == 0 else 0
            text.append(f"{name} = np.full({array.shape}, {start!r}, np.{array.dtype})")
    text.append(f"block = np.zeros({code.layout.block.nbytes}, np.uint8)  # where the intermediate results lie")
    first: dict[str, str] = {}  # NumPy is quicker where an operand and the result are one object
    for name, value in code.namespace.items():
        if name not in (*roots.values(), "__builtins__"):
            view = code.views.get(name)
            expression = _constant(program, value) if view is None else _array(code, roots, view)
            text.append(f"{name} = {first.get(expression, expression)}")
            first.setdefault(expression, name)
    return "\n".join([*text, "", "", code.source])


def _array(code: Code, roots: Mapping[int, str], view: View) -> str:
    """An expression for an array on the memory of another one."""
    size, start = view.dtype.itemsize, code.layout.starts.get(view.memory, 0)
    base = "block" if view.memory in code.layout.starts else roots[view.memory]
    strides = tuple(stride * size for stride in view.strides)
    return f"np.ndarray({view.shape}, np.{view.dtype}, {base}, {start + view.offset * size}, {strides})"


def _constant(program: Program, value: Any) -> str:
    """An expression for a number, an array of one number, a dtype or a function of NumPy."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"np.full({value.shape}, {value.flat[0].item()!r}, np.{value.dtype})"
    if isinstance(value, np.ndarray | np.generic):
        return f"np.array({value.item()!r}, np.{value.dtype})"
    if isinstance(value, type | np.dtype):
        return f"np.{np.dtype(value).name}"
    home, name = getattr(value, "__self__", None), getattr(value, "__name__", "")
    if isinstance(home, np.ufunc):
        return f"np.{home.__name__}.{name}"
    for prefix, module in (("np", np), ("np.ndarray", np.ndarray)):
        if getattr(module, name, None) is value:
            return f"{prefix}.{name}"
    op = next((op for op in program.ops if op.function == value), program.ops[0])
    raise Unwritable(op, "it is code that can't be written into a file")

"""The methods of a class as trees that can be changed and compiled again, with what is known of them."""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import linecache
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from minigrad.derivation.insertion import definition_of
from minigrad.derivation.profiling import watched
from minigrad.parameter import gradient_name
from minigrad.testing.bench.code import is_unsafe
from minigrad.testing.naming.templates.slips import Known
from minigrad.testing.rules.chance import globals_of

KNOWN = ("sigmoid", "relu", "softplus", "softmax")  # functions that are but a formula
SEEN = "_seen"  # what a watched method hands its values to
LOOKING = ("print", "pprint", "display", "input", "breakpoint", "pdb.set_trace", "ipdb.set_trace")
UNLIKELY = 1.37  # held by the arrays of np.empty


@dataclass
class Method:
    """A method's source as a tree, and what is needed to compile it again."""

    function: FunctionType
    tree: ast.FunctionDef
    module: ast.Module
    first: int
    constants: set[Any]
    functions: set[str]
    scales: list[Any]
    adapt: Any = None
    """What makes a method of it, where it is a function, or that of a class of any kind (`plain`)."""

    @classmethod
    def of(cls, function: Any) -> Method | None:
        """None where there is no source, or a loop that might not end."""
        adapt = getattr(function, "adapt", None)
        function = inspect.unwrap(function)
        found = definition_of(function)
        if found is None or any(isinstance(node, ast.While) for node in ast.walk(found[0])):
            return None
        tree, _, first = found
        tree.decorator_list, tree.returns = [], None
        for argument in (*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs):
            argument.annotation = None
        _Silent().visit(tree)
        cells = dict.fromkeys((*function.__code__.co_freevars, "__class__"))
        module = ast.parse(f"def made({', '.join(cells)}):\n    return {tree.name}")
        (made,) = module.body
        assert isinstance(made, ast.FunctionDef)
        made.body.insert(0, tree)
        ast.fix_missing_locations(module)
        around = _class_of(function)
        values: set[Any] = {node.value for node in ast.walk(around) if isinstance(node, ast.Constant)}
        constants = {value for value in values if type(value) in (int, float) and abs(value) < 1e6}
        calls = [node for node in ast.walk(around) if isinstance(node, ast.Call) and len(node.args) == 1]
        names = {ast.unparse(call.func) for call in calls if not call.keywords}
        named = {
            name for name in names if re.fullmatch(r"np\.\w+", name) or name in function.__globals__ or name == "abs"
        }
        return cls(function, tree, module, first, constants, named | _formulas(function), _scales(around), adapt)

    @property
    def code(self) -> CodeType:
        """The code that runs now."""
        return self.function.__code__

    def compiled(self) -> Any:
        """The function that the tree is now."""
        made: dict[str, Any] = {}
        exec(compile(self.module, "<a change of it>", "exec"), globals_of(self.function, UNLIKELY), made)
        held = zip(self.code.co_freevars, self.function.__closure__ or (), strict=True)
        cells = {name: cell.cell_contents for name, cell in held}
        function = made["made"](**{"__class__": None} | cells)
        return self.adapt(function) if self.adapt else function

    def watched(self) -> Method:
        """The same, but each value that a name is given goes through `self._seen(name, value, line)`."""
        module: Any = copy.deepcopy(self.module)
        tree = module.body[0].body[0]
        last = tree.body[-1]
        _Watched(tree.args.args[0].arg).generic_visit(tree)
        del tree.body[tree.body.index(last) + 1 :]
        return replace(self, tree=tree, module=ast.fix_missing_locations(module))

    def known(
        self, holder: Any, run: Callable[[], Any], blamed: str = "", wrong: frozenset[str] = frozenset()
    ) -> Known:
        """What is known of it once `run` has run it, as a method of `holder`."""
        gradients = {name: gradient_name(holder, name) for name in getattr(holder, "params", ())}
        scope = self._scope(holder, run)
        return Known(scope, self.constants, self.functions, self.scales, blamed, wrong, gradients)

    def _scope(self, holder: Any, run: Callable[[], Any]) -> dict[str, Any]:
        """The values of its names when it returns, and of what self has."""
        seen: dict[str, Any] = {}

        def watch(frame: Any, event: str, _: Any) -> None:
            if event == "return" and frame.f_code is self.code:
                seen.update(frame.f_locals)

        with suppress(Exception), watched(watch):
            run()
        gradients = [gradient_name(holder, name) for name in getattr(holder, "params", ())]
        held = vars(getattr(holder, "thing", holder))
        kept = {key: value for key, value in held.items() if key not in gradients and key[0] != "_"}
        return {key: value for key, value in seen.items() if key != "self"} | {f"self.{k}": v for k, v in kept.items()}

    def statement_at(self, line: int) -> Any:
        """The statement that stands in this line of the file; None if none does."""
        there = line - self.first + 1
        around = [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.stmt) and node is not self.tree and node.lineno <= there <= (node.end_lineno or 0)
        ]
        return max(around, key=lambda node: node.lineno, default=None)

    def place(self, statement: Any) -> str:
        """The file and the line of a statement."""
        file, line = Path(self.code.co_filename), f"line {self.first + statement.lineno - 1}"
        return f"{file.name}, {line}" if file.exists() else line


class _Silent(ast.NodeTransformer):
    """Takes out what is there to look on: prints would come a thousand times, and a breakpoint waits for ever."""

    def visit_Expr(self, node: ast.Expr) -> Any:
        """Pass, in the place of such a line, which it keeps as `silenced`."""
        if not isinstance(node.value, ast.Call) or ast.unparse(node.value.func) not in LOOKING:
            return node
        silent: Any = ast.copy_location(ast.Pass(), node)
        silent.silenced = node
        return silent


class _Watched(ast.NodeTransformer):
    """Puts `name = self._seen('name', name, line)` after what gives a name a value, an attribute of self, or a part."""

    def __init__(self, of_self: str) -> None:
        self._self = of_self

    def visit_Assign(self, node: ast.Assign | ast.AugAssign) -> list[ast.stmt]:
        """The statement and what comes after it."""
        lines = []
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            for each in ast.walk(target):
                part, stored = isinstance(each, ast.Subscript), isinstance(getattr(each, "ctx", None), ast.Store)
                name = ast.unparse(each.value if isinstance(each, ast.Subscript) else each) if stored else ""
                if re.fullmatch(rf"({self._self}\.)?\w+", name):
                    given = f"{self._self}.{SEEN}('{name}', {name}, {node.lineno})"
                    lines.append(given if part else f"{name} = {given}")
        watchers = ast.parse("\n".join(lines)).body
        return [node, *(ast.copy_location(ast.increment_lineno(each, node.lineno), node) for each in watchers)]

    visit_AugAssign = visit_Assign

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """Another function, as it is."""
        return node


@functools.lru_cache(maxsize=4)
def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError:  # of a notebook's own commands, say
        return ast.Module([], [])


def file_of(path: str) -> ast.Module:
    """The source of a file; an empty one where it can't be read."""
    return _parsed("".join(linecache.getlines(path)))


def _class_of(function: Any) -> ast.AST:
    """The source of the class that a method stands in."""
    first = function.__code__.co_firstlineno
    classes = [node for node in ast.walk(file_of(function.__code__.co_filename)) if isinstance(node, ast.ClassDef)]
    around = [cls for cls in classes if cls.lineno <= first <= (cls.end_lineno or 0)]
    return around[-1] if around else ast.Module([], [])


def _formulas(function: Any) -> set[str]:
    """The functions of one argument in a method's file that are but a formula, such as a sigmoid."""
    found = {name for name in KNOWN if isinstance(function.__globals__.get(name), FunctionType)}
    for each in file_of(function.__code__.co_filename).body:
        if isinstance(each, ast.FunctionDef) and len(each.args.args) == 1 and each.name in function.__globals__:
            calls = [ast.unparse(node.func) for node in ast.walk(each) if isinstance(node, ast.Call)]
            alone = isinstance(each.body[-1], ast.Return) and all(map(_is_text, each.body[:-1]))
            if alone and all(call.startswith("np.") or call in ("abs", *KNOWN) for call in calls):
                found.add(each.name)
    return found


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _scales(around: ast.AST) -> list[Any]:
    """What a class multiplies or divides by that is neither a name nor a number: √features, gamma[:, None, None]."""
    products = [n for n in ast.walk(around) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Mult | ast.Div)]
    operands = [each for n in products for each in ((n.left, n.right) if isinstance(n.op, ast.Mult) else (n.right,))]
    held = [each for each in operands if isinstance(each, ast.BinOp | ast.Call | ast.Subscript)]
    return list({ast.unparse(each): each for each in held}.values())


def source_at(code: CodeType, instruction: int) -> Any:
    """The expression, or the statement, of an instruction; None where the source is not known."""
    line, end, column, last = list(code.co_positions())[instruction // 2]
    if line is None or end is None or column is None or last is None:
        return None
    lines = [linecache.getline(code.co_filename, number).encode() for number in range(line, end + 1)]
    lines[-1] = lines[-1][:last]
    text = b"".join([lines[0][column:], *lines[1:]]).decode(errors="replace")
    try:
        found: Any = ast.parse(f"({text})").body[0]
        return found.value
    except SyntaxError:
        pass
    try:
        return ast.parse(text).body[0]
    except SyntaxError:
        return None


def why_unchanged(cls: type, name: str) -> str:
    """Why no change of a method was tried, in the words of its author."""
    if is_unsafe(cls):
        return "it calls what might write beyond an array once it is changed"
    found = definition_of(inspect.unwrap(getattr(cls, name)))
    if found is None:
        return "its source can't be read"
    if any(isinstance(node, ast.While) for node in ast.walk(found[0])):
        return "it has a `while`, which a change might keep from ending"
    return "none of its lines is seen to set this gradient, as one like `self.dW = …` would"


def first_line(statement: Any) -> str:
    """A statement's first line, as it is shown."""
    statement = getattr(statement, "silenced", statement)
    if isinstance(statement, ast.Pass):
        return "nothing: leave the line out"
    line = ast.unparse(statement).splitlines()[0]
    if isinstance(statement, ast.Assign | ast.Return) and isinstance(statement.value, ast.Tuple):
        return line.replace(ast.unparse(statement.value), ast.unparse(statement.value)[1:-1])
    return line

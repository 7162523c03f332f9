"""Public docstrings say which errors are raised: read from the source, with what a constructor or function calls.

A private helper, and a checker (whose docstring begins with "Raise"), speak for who calls them, so that has to say it;
what another public function raises, that one says itself. A constructor's errors stand in the docstring of its class.
"""

import ast
import functools
import re
from dataclasses import dataclass, field

import pytest

from benchmarks.architecture import PACKAGE, modules_of

ROOMS = ("", "data", "data.augment", "metrics", "metrics.streaming", "plots", "schedules", "sklearn", "onnx")
ROOMS += ("spreadsheet", "webpage", "testing")
MODULES = modules_of(PACKAGE)
OTHERS = re.compile("NotImplementedError|ImportError|ModuleNotFoundError")
"""What is no answer to an argument."""


@dataclass(frozen=True)
class Source:
    """The tree of a module's functions and classes, and where the names that it imports come from."""

    defined: dict = field(default_factory=dict)
    imported: dict = field(default_factory=dict)
    exported: tuple = ()


@functools.cache
def source(module):
    """What a module of the package holds; None for other modules. Few are asked for: parsing takes its time."""
    path = MODULES.get(module)
    if path is None:
        return None
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    lines = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported = {a.asname or a.name: (line.module, a.name) for line in lines for a in line.names}
    listed = [n for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"]
    names = ast.literal_eval(listed[0].value) if listed else [name for name in defined or imported if name[0] != "_"]
    return Source(defined, imported, tuple(names))


def find(module, name):
    """The module and the tree of a function or class by the name that it has in a module; else None."""
    here = source(module)
    if here is None or name in here.defined:
        return here and (module, here.defined[name])
    there, own = here.imported.get(name, (None, None))
    return None if there == module else find(there, own)


def lineage(module, cls):
    """A class and its bases in the package, with their modules, the class first."""
    yield module, cls
    for base in cls.bases:
        if isinstance(base, ast.Name) and (found := find(module, base.id)):
            yield from lineage(*found)


def method(module, cls, name, *, after=None):
    """The first class in a lineage, after one of them, that has the method: (module, class, method); else None."""
    line = list(lineage(module, cls))
    start = 0 if after is None else next(i for i, (_, c) in enumerate(line) if c is after) + 1
    for home, each in line[start:]:
        for node in each.body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return home, each, node
    return None


def said(node):
    return ast.get_docstring(node) or ""


def own_words(node):
    """Whether a tree is a `raise` of an error that answers the arguments."""
    return isinstance(node, ast.Raise) and node.exc and not OTHERS.match(ast.unparse(node.exc))


def called_by(module, function, made, here):
    """The functions that a function calls and has to speak for, with their modules and classes.

    `made` is the class, with its module, whose object `self` is, and `here` the class that the function stands in.
    """
    for call in ast.walk(function):
        if not isinstance(call, ast.Call):
            continue
        name = ast.unparse(call.func)
        if isinstance(call.func, ast.Name) and (found := find(module, name)):
            if (name[0] == "_" and found[0] == module) or said(found[1]).startswith("Raise "):
                yield *found, None
        elif made and name.startswith(("self.", "super().")):
            own = name.removeprefix("self.").removeprefix("super().")
            if found := method(*made, own, after=here if name.startswith("super") else None):
                home, cls, node = found
                if own[0] == "_" or said(node).startswith("Raise ") or function.name == "__init__":
                    yield home, node, cls


def raises(module, function, made=None, here=None, *, depth=1):
    """Whether a function, or what it has to speak for, raises an error that answers the arguments."""
    if any(map(own_words, ast.walk(function))):
        return True
    return depth > 0 and any(
        raises(home, node, made if cls else None, cls, depth=depth - 1)
        for home, node, cls in called_by(module, function, made, here)
        if isinstance(node, ast.FunctionDef)
    )


def silent(module, node):
    """The names of what raises in a function or class, and does not say so in its docstring."""
    if isinstance(node, ast.FunctionDef):
        return [node.name] if "aise" not in said(node) and raises(module, node) else []
    found, raised = [], said(node).partition("aises")[2]
    if (init := method(module, node, "__init__")) and not raised:
        home, cls, function = init
        found = [node.name] * raises(home, function, (module, node), cls, depth=4)
    for each in node.body:
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.Name) and (at := find(module, each.value.id)):
            found += silent(*at)  # `fit = fit`
        if isinstance(each, ast.FunctionDef) and each.name[0] != "_" and "aise" not in said(each):
            told = "methods raise" in said(node) or each.name in raised
            found += [f"{node.name}.{each.name}"] * (not told and raises(module, each, (module, node), node))
    return found


@functools.cache
def public():
    rooms = [f"minigrad.{room}".rstrip(".") for room in ROOMS]
    found = [find(room, name) for room in rooms for name in source(room).exported]
    return {(module, node.name): node for module, node in filter(None, found)}


def test_public_docstrings_say_what_is_raised():
    assert {name for _, name in public()} >= {"Dense", "ByPart", "one_cycle", "shifts", "Blocks", "check_layer", "lift"}
    faults = [f"{module}: {name}" for (module, _), node in public().items() for name in silent(module, node)]
    if faults:
        pytest.fail("\n".join([*faults, 'Say it in the docstring: "Raises ValueError for …".']), pytrace=False)


WORDLESS = '''
def _private(x):
    raise ValueError(x)

def check(x):
    """Raise ValueError."""
    raise ValueError(x)

class Base:
    """Raises ValueError."""
    def __init__(self, x):
        self.settle(x)
    def settle(self, x):
        """Raises ValueError."""
        _private(x)

class Silent(Base):
    """Says nothing."""
    def __init__(self, x):
        super().__init__(x)
    def ask(self, x):
        check(x)

class Told(Base):
    """Raises ValueError for an x, and for others to ask for."""
    def ask(self, x):
        check(x)

def one(x):
    raise ValueError(x)

def two(x):
    _private(x)

def three(x):
    raise NotImplementedError
'''


def test_the_walk_sees_what_is_raised_by_others(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text(WORDLESS)
    monkeypatch.setitem(MODULES, "a", tmp_path / "a.py")
    found = {name: silent("a", node) for name, node in source("a").defined.items() if name[0] != "_"}
    faults = {name: silent_ones for name, silent_ones in found.items() if silent_ones}
    assert faults == {"Silent": ["Silent", "Silent.ask"], "one": ["one"], "two": ["two"]} and len(found) == 7

"""How large the package is, and how its files import each other: what tests/test_architecture.py keeps within limits.

    python -m benchmarks.architecture [--package FOLDER] [--imports ROOM] [--way]

A line of code is a line that holds a token of Python: no comment, no docstring, no blank line. A room is a folder of
the package with all that lies in it, or a single file at its top. `__init__.py` and `__main__.py` of the package itself
are the front door: they may import every room, and are counted as files but not as a room.

The *floors* are the longest way down: how many rooms a reader passes who goes from a room to one that it imports, and
so on. Rooms that import each other in a circle cannot be put above one another, so each of them counts as one floor.
"""

from __future__ import annotations

import argparse
import ast
import io
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "minigrad"
TOP = "top level"
TABLES, JOINED = ("data", "tables", "results"), "data, tables and results"
"""The parts that code of tables moves between: the three together have a limit."""
NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT,
    tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- lines
@cache
def code_lines(path: Path) -> int:
    """How many lines of a file hold code; a string of several lines that is no docstring counts with all of them."""
    text = path.read_bytes()
    tokens = (each for each in tokenize.tokenize(io.BytesIO(text).readline) if each.type not in NO_CODE)
    lines = {line for each in tokens for line in range(each.start[0], each.end[0] + 1)}
    return len(lines - docstring_lines(ast.parse(text)))


def docstring_lines(tree: ast.Module) -> set[int]:
    """The lines of the docstrings of a file, its classes and its functions."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [each for each in (tree, *(node for node, _ in statements(tree))) if isinstance(each, documented)]
    found = [each.body[0] for each in nodes if ast.get_docstring(each, clean=False) is not None]
    return {line for each in found for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)}


def part_of(package: Path, path: Path) -> str:
    """The part that a file is counted with: its folder at the top of the package, or "top level"."""
    inside = path.relative_to(package).parts
    return inside[0] if len(inside) > 1 else TOP


def lines_by_part(package: Path) -> Counter[str]:
    """The lines of code of each part."""
    lines: Counter[str] = Counter()
    for path in package.rglob("*.py"):
        lines[part_of(package, path)] += code_lines(path)
    return lines


def files_by_folder(package: Path) -> Counter[str]:
    """How many files lie in each folder itself, by its path in the package."""
    paths = (path.relative_to(package).parent for path in package.rglob("*.py"))
    return Counter(TOP if path == Path() else path.as_posix() for path in paths)


# ------------------------------------------------------------------------------------------------------------ imports
@dataclass(frozen=True)
class Import:
    """A line of the package that imports a module of the package."""

    place: str
    module: str
    imported: str
    at_start: bool
    """Whether it runs when the module is imported: not inside a function, and not for type checkers alone."""

    def __str__(self) -> str:
        return f"{self.place} imports {self.imported}"


def modules_of(package: Path) -> dict[str, Path]:
    """The name of every module of the package, and its file."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def statements(tree: ast.AST, at_start: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """Every statement, at whatever depth, and whether it is run when the module is imported."""
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    for part in ("body", "handlers", "orelse", "finalbody", "cases"):
        checking = part == "body" and isinstance(tree, ast.If) and "TYPE_CHECKING" in ast.unparse(tree.test)
        for node in getattr(tree, part, ()):
            yield node, at_start and not checking
            yield from statements(node, at_start and not checking and not isinstance(node, functions))


def imported_by_name(node: ast.AST) -> list[str]:
    """The modules that calls of `import_module("…")` in a statement itself name."""
    below = [each for _, each in ast.iter_fields(node) if isinstance(each, ast.expr)]
    calls = [each for expression in below for each in ast.walk(expression) if isinstance(each, ast.Call)]
    named = [each.args[0] for each in calls if called(each) in ("import_module", "__import__") and each.args]
    return [str(name.value) for name in named if isinstance(name, ast.Constant)]


def called(call: ast.Call) -> str:
    """The last name of what is called."""
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


@cache
def imports_of(package: Path) -> tuple[Import, ...]:
    """All imports of modules of the package by its modules: at the top, inside functions and for type checkers."""
    modules = modules_of(package)
    found = []
    for module, path in modules.items():
        inside = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
        text = path.read_text(encoding="utf-8")
        by_name = "import_module(" in text or "__import__(" in text
        for node, at_start in statements(ast.parse(text)):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                up = inside[: len(inside) - node.level + 1] if node.level else []
                source = ".".join([*up, *filter(None, [node.module])])
                names = [name if (name := f"{source}.{alias.name}") in modules else source for alias in node.names]
            elif by_name:
                names = imported_by_name(node)
            place = f"{path.relative_to(package.parent).as_posix()}:{getattr(node, 'lineno', 0)}"
            found += [Import(place, module, name, at_start) for name in dict.fromkeys(names) if name in modules]
    return tuple(found)


def room_of(module: str) -> str:
    """The room of a module; "" for the package's own two files."""
    name = module.partition(".")[2].partition(".")[0]
    return "" if name == "__main__" else name


def folder_of(package: Path) -> Callable[[str], str]:
    """The folder that a module lies in, by its path in the package; a file at the top stands for itself."""
    modules = modules_of(package)

    def find(module: str) -> str:
        folder = modules[module].parent.relative_to(package).as_posix()
        return room_of(module) if folder == "." else folder

    return find


def between(imports: Iterable[Import], place: Callable[[str], str]) -> dict[str, dict[str, Import]]:
    """Which place imports which other, each with the first import that does; without the package's own two files."""
    found: dict[str, dict[str, Import]] = {}
    for each in imports:
        here, there = place(each.module), place(each.imported)
        if here and there and here != there:
            found.setdefault(here, {}).setdefault(there, each)
    return found


def reached(graph: dict[str, dict[str, Import]], start: str) -> set[str]:
    """All that is imported from a place, directly or not."""
    found: set[str] = set()
    new = list(graph.get(start, ()))
    while new:
        place = new.pop()
        if place not in found:
            found.add(place)
            new += graph.get(place, ())
    return found


def knots(graph: dict[str, dict[str, Import]]) -> list[set[str]]:
    """The sets of places that all import each other, directly or not: more than one place each."""
    ways = {place: reached(graph, place) for place in graph}
    found = {frozenset(other for other in way if place in ways.get(other, ())) for place, way in ways.items()}
    return sorted((set(each) for each in found if len(each) > 1), key=sorted)


def circles(graph: dict[str, dict[str, Import]]) -> list[list[Import]]:
    """For each knot the shortest circle through its first place, as the imports that close it."""
    found = []
    for knot in knots(graph):
        start = min(knot)
        paths = [[each] for there, each in graph[start].items() if there in knot]
        ends = [there for there in graph[start] if there in knot]
        while ends[0] != start:
            path, end = paths.pop(0), ends.pop(0)
            paths += [[*path, each] for there, each in graph[end].items() if there in knot]
            ends += [there for there in graph[end] if there in knot]
        found.append(paths[0])
    return found


def way_down(graph: dict[str, dict[str, Import]]) -> list[str]:
    """The longest way down, from the top; the places of a knot stand on it together."""
    knot_of = {place: knot for knot in knots(graph) for place in knot}
    known: dict[str, list[str]] = {}

    def down(place: str) -> list[str]:
        if place not in known:
            knot = knot_of.get(place, {place})
            below = {there for each in knot for there in graph.get(each, ())} - knot
            longest = max((down(there) for there in sorted(below)), key=len, default=[])
            known.update((each, [*sorted(knot), *longest]) for each in knot)
        return known[place]

    return max((down(place) for place in sorted(graph)), key=len, default=[])


# -------------------------------------------------------------------------------------------------------------- table
def figures(package: Path) -> dict[str, int]:
    """All that is kept within limits, but for the way of a batch, which benchmarks/walk.py measures."""
    modules, imports = modules_of(package), imports_of(package)
    lines, files = lines_by_part(package), files_by_folder(package)
    at_start = [each for each in imports if each.at_start]
    count = {"code lines: the whole package": sum(lines.values())}
    count |= {f"code lines: {part}": number for part, number in lines.most_common()}
    count |= {"code lines of the largest file": max(map(code_lines, modules.values())), "files": len(modules)}
    count |= {f"files in a folder: {folder}": number for folder, number in files.most_common()}
    count["floors, by imports at the start"] = len(way_down(between(at_start, room_of)))
    count["floors, by all imports"] = len(way_down(between(imports, room_of)))
    for what, place in (("files", str), ("folders", folder_of(package)), ("rooms", room_of)):
        count[f"{what} in a circle"] = sum(map(len, knots(between(imports, place))))
    return count


def limits() -> dict[str, tuple[int, int | None]]:
    """The limit of each figure and what it is to become, as the test has them."""
    tree = ast.parse((ROOT / "tests" / "test_architecture.py").read_text(encoding="utf-8"))
    (table,) = [
        each.value for each in tree.body if isinstance(each, ast.Assign) and "LIMITS" in ast.unparse(each.targets)
    ]
    return dict(ast.literal_eval(table))


def report(package: Path) -> str:
    """A table of the parts with their lines, files and limits, and below it what holds for the whole."""
    lines, modules, limit = lines_by_part(package), modules_of(package), limits()
    files = Counter(part_of(package, path) for path in modules.values())
    rows = [(f"code lines: {part}", number, files[part]) for part, number in lines.most_common()]
    together = [part for part in TABLES if part in lines]
    rows.append((f"code lines: {JOINED}", sum(lines[part] for part in together), sum(files[part] for part in together)))
    rows.append(("code lines: the whole package", sum(lines.values()), len(modules)))
    table = [f"{'part':36}{'code lines':>12}{'limit':>8}{'goal':>8}{'files':>7}"]
    table += [_row(what, number, limit) + f"{count:7}" for what, number, count in rows]
    others = {what: number for what, number in figures(package).items() if not what.startswith("code lines: ")}
    return "\n".join([*table, "", *(_row(what, number, limit) for what, number in others.items())])


def _row(what: str, number: int, limit: dict[str, tuple[int, int | None]]) -> str:
    allowed = ["" if each is None else f"{each:,}" for each in limit.get(what, (None, None))]
    return f"{what.removeprefix('code lines: '):36}{number:12,}" + "".join(f"{each:>8}" for each in allowed)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, default=PACKAGE, metavar="FOLDER", help="another package's folder")
    parser.add_argument("--imports", metavar="ROOM", help="list what a room imports of others, and who imports it")
    parser.add_argument("--way", action="store_true", help="print the longest way down and the circles")
    options = parser.parse_args(arguments)
    package = options.package.resolve()
    imports = imports_of(package)
    if options.imports is not None:
        ends = [(each, {room_of(each.module), room_of(each.imported)}) for each in imports]
        print(*(each for each, rooms in ends if options.imports in rooms and len(rooms - {""}) > 1), sep="\n")
    elif options.way:
        for name, some in (("at the start", [each for each in imports if each.at_start]), ("all", list(imports))):
            graph = between(some, room_of)
            print(f"imports, {name}:", " > ".join(way_down(graph)))
            print(*("a circle: " + ", and ".join(map(str, circle)) for circle in circles(graph)), sep="\n")
    else:
        print(report(package))


if __name__ == "__main__":
    main()

"""The pages that are made from other files: lessons, examples, the reference, the README and the changelog.

Lessons and examples are run while the site is built, and a page has what they printed. A lesson's cells are those that
`minigrad lesson N` prints; an example runs in a folder of its own, as long as it takes: two minutes for all.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mkdocs_gen_files

sys.path.insert(0, str(Path(__file__).parents[1]))
import minigrad
from docs.bugs import BUGS, HEADING
from docs.formulas import is_formula
from minigrad.command.lessons import Lesson, all_lessons, cells
from minigrad.command.main import COMMANDS
from minigrad.command.options import read_options
from minigrad.testing.derived import derive

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
HOLE = "raise NotImplementedError"
SELDOM = "---\nsearch:\n  boost: 0.2\n---\n\n"  # found behind what users meet
WIDE = "---\nhide: [toc]\n---\n\n"
# A layer's methods stand in its code, which its page shows.
SHOWN = "forward|backward|predict|input_shape|output_shape|row_axes"
OPTIONS = {"layers": f"    options:\n      filters: ['!^_', '!^({SHOWN})$']\n"}


def write(path: str, text: str) -> None:
    """A page of the site."""
    with mkdocs_gen_files.open(path, "w") as page:
        page.write(text.rstrip("\n") + "\n")


def copy(source: Path, path: str) -> None:
    """A file of the site."""
    with mkdocs_gen_files.open(path, "wb") as file:
        file.write(source.read_bytes())


def code(text: str, language: str = "python") -> str:
    """A block of code."""
    return f"```{language}\n{text.strip(chr(10))}\n```\n\n"


def shown(output: str) -> str:
    """What was printed, if anything was."""
    return code(output, "text") if output else ""


def indented(text: str) -> str:
    """Text within an admonition."""
    return "".join(f"    {line}\n" if line else "\n" for line in text.splitlines())


def printed(codes: list[str], name: str) -> list[str]:
    """What pieces of code print, one after the other."""
    names, outputs = {"__name__": "__main__"}, []
    for text in codes:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(text, name, "exec"), names)
        outputs.append(output.getvalue())
    return outputs


def lesson_page(lesson: Lesson) -> str:
    """A lesson with what each cell prints, and its solution to unfold, with what the cells print then."""
    solution = cells(lesson.solution.read_text(encoding="utf-8"))
    solved = "\n\n".join(text for kind, text in solution if kind == "code" and "class " in text)
    codes = [text for kind, text in cells(lesson.text) if kind == "code"]
    before = printed(codes, lesson.path.name)
    after = printed([f"{text}\n\n{solved}" if HOLE in text else text for text in codes], lesson.path.name)
    page, outputs = WIDE, iter(before)
    for kind, text in cells(lesson.text):
        page += text + "\n\n" if kind == "markdown" else code(text) + shown(next(outputs))
    below = ""
    for kind, text in solution:
        below += re.sub(r"^# .*\n", "", text) + "\n\n" if kind == "markdown" else code(text)
    below += "With it, these cells print:\n\n"
    below += "".join(shown(now) for now, then in zip(after, before, strict=True) if now != then)
    return page + '\n??? success "The solution"\n\n' + indented(below)


def example_page(path: Path) -> str:
    """An example: what it is for, its code, and what it prints."""
    text = path.read_text(encoding="utf-8")
    purpose = re.match(r'"""(.*?)"""', text, re.S)[1].strip()  # type: ignore[index]
    title, _, rest = purpose.partition("\n")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, shutil.copy(path, folder)]  # what it writes beside itself is not the repository's
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8")
    if done.returncode:
        missing = re.search(r"No module named '(\w+)'|needs (\w+)", done.stderr)
        if missing is None:
            raise RuntimeError(f"{path.name} failed:\n{done.stderr}")
        result = f"*It was not run here: it needs {missing[1] or missing[2]}.*\n"
    else:
        result = "It prints:\n\n" + code(done.stdout, "text")
        result += "".join(f"![What it draws]({name})\n\n" for name in re.findall(r"^\w+\.png", done.stdout))
    body = text.partition('"""\n')[2] if text.count('"""') else text
    return f"{WIDE}# `{path.name}`\n\n{title}\n{rest}\n\n{result}\n## Its code\n\n" + code(body)


def help_page() -> str:
    """What the command says of itself, and of each of its parts."""
    page = "# The command\n\nWhat `minigrad --help` prints, and `minigrad train --help` and so on.\n\n"
    for words in [[], *([name] for name in COMMANDS)]:
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
            read_options([*words, "--help"])
        page += f"## {' '.join(['minigrad', *words])}\n\n" + shown(output.getvalue())
    return page


def rooms() -> list[str]:
    """The modules and folders at the top of the package that exist, in the order of CONTRIBUTING.md's tree."""
    tree = re.search(r"^## The tree$.*?^```text$(.*?)^```$", CONTRIBUTING, re.M | re.S)
    names = re.findall(r"^  ([a-z]\w+)(?:/|\.py)", tree[1], re.M)  # type: ignore[index]
    return [
        name for name in names if any(ROOT.glob(f"minigrad/{name}/*.py")) or (ROOT / f"minigrad/{name}.py").exists()
    ]


def names_by_module() -> dict[str, dict[str, str]]:
    """The names that `minigrad` has, by the module that they come from, and where the reference has each."""
    found: dict[str, dict[str, str]] = {module: {} for module in rooms()}
    for name, value in ({name: getattr(minigrad, name) for name in minigrad.__all__} | {"derive": derive}).items():
        if callable(value):
            found[value.__module__.split(".")[1]][name] = f"{value.__module__}.{name}"
    return {module: names for module, names in found.items() if names}


def for_users() -> set[str]:
    """The modules that users meet: those of public names, those called public, and the textbook's."""
    public = re.search(r"of the modules (.*?) the names in their docstrings", CONTRIBUTING)[1]  # type: ignore[index]
    textbook = README.partition("## How to read it")[2].partition("## What there is")[0]
    rows = re.findall(r"`(\w+)", "".join(line.split("|")[1] for line in textbook.splitlines() if "|" in line))
    return {*names_by_module(), *re.findall(r"`(\w+)`", public), *rows} & set(rooms())


def short(place: str) -> str:
    """What the first line of a docstring says: a formula up to its derivative, or a sentence."""
    module, _, name = place.rpartition(".")
    line = (getattr(sys.modules[module], name).__doc__ or "").partition("\n")[0]
    return f"`{line.partition('      ')[0]}`" if is_formula(line) else line


def module_pages(*names: str) -> dict[str, Any]:
    """The pages of a module, one, or of a package one for each file; and their place in the navigation."""
    folder = ROOT.joinpath("minigrad", *names)
    page = "/".join(("reference", *names, *["index"] * folder.is_dir())) + ".md"
    seldom = "" if names[0] in for_users() else SELDOM
    write(page, f"{seldom}::: minigrad.{'.'.join(names)}\n" + OPTIONS.get(names[0], ""))
    inner = sorted(path.stem for path in folder.glob("[!_]*") if path.suffix == ".py" or path.is_dir())
    own = {names[-1]: page}
    return {names[-1]: [own, *(module_pages(*names, name) for name in inner)]} if inner else own


index = (ROOT / "docs" / "text" / "index.md").read_text(encoding="utf-8")
first = README[README.index("```python") : README.index("With Python 3.11")]
write("index.md", index.replace("<!-- the README's first network -->", first.strip()))
navigation: list[Any] = [{"Home": "index.md"}]

lessons = all_lessons()
pages: list[Any] = [{"Ten lessons": "lessons/index.md"}]
listed = (
    "# Ten lessons\n\n" + README.partition("## Learn backpropagation\n\n")[2].partition("## A layer of your own")[0]
)
listed = listed.replace("](docs/text/", "](../")
for lesson in lessons:
    name = lesson.path.stem
    write(f"lessons/{name}.md", lesson_page(lesson))
    copy(lesson.path.parent / "pictures" / f"{name[:9]}.svg", f"lessons/pictures/{name[:9]}.svg")
    (_, opening), *_ = cells(lesson.text)
    sentence = re.search(r"\n\n(.*?[.?])\s", opening, re.S)[1]  # type: ignore[index]
    listed += f"- [{lesson.title}]({name}.md): {sentence}\n"
    pages.append({lesson.title.removeprefix("Lesson "): f"lessons/{name}.md"})
write("lessons/index.md", listed)
navigation.append(
    {"Lessons": [*pages, {"Bugs and their sentences": "gallery.md"}, {"Teaching with it": "teaching.md"}]}
)

pages = [{"Examples": "examples/index.md"}]
listed = "# Examples\n\n"
examples = sorted((ROOT / "examples").glob("*.py"))
with ThreadPoolExecutor(os.cpu_count()) as pool:
    made = list(pool.map(example_page, examples))
for path, page in zip(examples, made, strict=True):
    write(f"examples/{path.stem}.md", page)
    purpose = re.match(r'"""(.*?)(?:\n|""")', path.read_text(encoding="utf-8"))[1]  # type: ignore[index]
    listed += f"- [`{path.name}`]({path.stem}.md): {purpose}\n"
    pages.append({path.name: f"examples/{path.stem}.md"})
write("examples/index.md", listed)
navigation.append({"Examples": pages})
os.environ["COLUMNS"] = "100"
write("command.md", help_page())
navigation.append({"Guides": [f"{name}.md" for name in ("tables", "command", "coming", "speed", "scale")]})

listed = "# Reference\n\n`from minigrad import …` has these names; a module's page has the rest of it, too.\n\n"
for module, names in names_by_module().items():
    index = "/index" if (ROOT / "minigrad" / module).is_dir() else ""
    listed += f"## [{module}]({module}{index}.md)\n\n"
    for name, place in sorted(names.items(), key=lambda each: each[0].lower()):
        listed += f"- [`{name}`][{place}]: {short(place)}\n"
    listed += "\n"
write("reference/index.md", listed)
met = for_users()
inside = {"Inside": [module_pages(module) for module in rooms() if module not in met]}
pages = [module_pages(module) for module in rooms() if module in met]
navigation.append({"Reference": [{"Reference": "reference/index.md"}, *pages, inside]})

write("gallery.md", "\n".join([HEADING, *(bug.section() for bug in BUGS)]))
teaching = (ROOT / "docs" / "text" / "teaching.md").read_text(encoding="utf-8")
write("teaching.md", teaching.replace("](../bugs.py)", "](gallery.md)"))

readme, pages = README, [{"README": "readme.md"}]
for picture in re.findall(r"!\[[^]]*\]\((\S+)\)", readme):
    copy(ROOT / picture, picture)
for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY"):
    write(f"{name.lower()}.md", (ROOT / f"{name}.md").read_text(encoding="utf-8"))
    pages.append({name.capitalize(): f"{name.lower()}.md"})
    readme = readme.replace(f"]({name}.md)", f"]({name.lower()}.md)")
write("readme.md", readme.replace("](docs/text/", "]("))
navigation.append({"The project": pages})
mkdocs_gen_files.config["nav"] = navigation

"""The engines that pages and workbooks are meant for: a browser and an office suite, where they are installed."""

import html
import json
import re
import shutil
import subprocess
import zipfile
from contextlib import contextmanager

import pytest
import quickjs
from openpyxl.utils.cell import coordinate_to_tuple
from python_calamine import CalamineWorkbook

OFFICE = shutil.which("soffice") or shutil.which("libreoffice")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

DOCUMENT = """
const NOTHING = new Proxy(function () {}, {
  get: (of, name) => name === Symbol.toPrimitive ? () => "" : name === Symbol.iterator ? [][Symbol.iterator] : NOTHING,
  set: () => true, apply: () => NOTHING, construct: () => NOTHING });
var window = globalThis, document = { querySelectorAll: () => [], getElementById: () => NOTHING,
  addEventListener() {}, createElement: () => NOTHING, activeElement: null };
"""


def scripts(page):
    return re.findall(r"<script>(.*?)</script>", page, re.S)


def in_quickjs(page, code):
    """The value of `code` where the page's script has run without a page: its numbers alone."""
    context = quickjs.Context()
    context.eval(DOCUMENT)
    for script in scripts(page):
        context.eval(
            script.replace("build();\nbegin();\npaint();", "begin();\nvar paint = () => {};").replace(
                "if (DATA.side) field(); else { fields(); show(); }", ""
            )
        )
    return json.loads(context.eval(f"JSON.stringify({code})"))


def in_browser(asked, folder):
    """The values of `code` in headless Chromium for each (page, code), all in frames of one page: a start is dear."""
    if BROWSER is None:
        pytest.skip("chromium: it is not installed")
    frames = ""
    for page, code in asked:
        inside = page.replace("</body>", f"<script>var FOUND = (() => {{ {code} }})();</script></body>")
        frames += f'<iframe srcdoc="{html.escape(inside)}" width="1200" height="900"></iframe>'
    collect = "document.title = 'OUT' + JSON.stringify(Array.from(frames, frame => frame.FOUND)) + 'END'"
    path = folder / "pages.html"
    path.write_text(f'<meta charset="utf-8"><body onload="{collect}">{frames}</body>', encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"--user-data-dir={folder / 'profile'}"]
    command = [BROWSER, *options, path.as_uri()]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120)
    found = re.search(r"<title>OUT(.*?)END</title>", done.stdout, re.S)
    assert found, done.stderr[-2000:] + done.stdout[:500]
    return json.loads(html.unescape(found[1]))


def stripped(source, target):
    """A copy without the values that the formulas are stored with: LibreOffice believes them otherwise."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            if name.startswith("xl/worksheets/sheet"):
                data = re.sub(rb"(</f>)<v>[^<]*</v>", rb"\1", data)
            new.writestr(name, data)


def values(path):
    """The values of each sheet, as rows; None for an empty cell. openpyxl takes eight times as long to read them."""
    book = CalamineWorkbook.from_path(path)
    sheets = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}
    return {name: [[None if v == "" else v for v in row] for row in sheet] for name, sheet in sheets.items()}


def formulas(path):
    """The text of all formulas of a workbook."""
    with zipfile.ZipFile(path) as book:
        sheets = [book.read(name).decode() for name in book.namelist() if name.startswith("xl/worksheets/sheet")]
    return [html.unescape(text) for sheet in sheets for text in re.findall("<f.*?</f>", sheet, re.S)]


def area(sheet, first, rows=1, columns=1):
    """The values of so many rows and columns from this cell on."""
    row, column = coordinate_to_tuple(first)
    return [each[column - 1 : column - 1 + columns] for each in sheet[row - 1 : row - 1 + rows]]


def recalculated(paths, folder):
    """The values of each workbook as LibreOffice calculates them, which starts once for all."""
    if OFFICE is None:
        pytest.skip("LibreOffice: it is not installed")
    (folder / "bare").mkdir()
    bare = [folder / "bare" / path.name for path in paths]
    for path, copy in zip(paths, bare, strict=True):
        stripped(path, copy)
    settings = folder.parent / "office"  # of all tests of a process: its first start takes a second to make them
    profile = f"-env:UserInstallation={settings.as_uri()}"
    convert = [OFFICE, profile, "--headless", "--convert-to", "xlsx", "--outdir", folder / "out", *bare]
    done = subprocess.run(convert, capture_output=True, text=True, timeout=300)
    made = [folder / "out" / path.name for path in paths]
    assert all(path.exists() for path in made), done.stderr
    return [values(path) for path in made]


@contextmanager
def told(name):
    """What fails here is told with this name."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"in {name}")
        raise

"""CSV and TSV files: their encoding, their delimiter, and their cells, column by column, however long the file is.

A file is read as a stream, twice where it has to be: a column of plain numbers becomes an array at once, and only
columns of other things are kept as text. So millions of rows take little more memory than their numbers do.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import math
import re
import reprlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from minigrad.tables.reading.footer import Body, end_of
from minigrad.tables.reading.workbooks import WorkbookError

SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
DELIMITERS = (",", ";", "\t", "|")
MISSING = frozenset({"", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "?"})
"""What stands for no value in a cell of any kind."""
CODE = re.compile(r"0\d+|\d{16,}")
CODES = re.compile(rf"^\s*(?:{CODE.pattern})\s*$", re.MULTILINE)
ROWS_AT_ONCE = 8192
BYTES_AT_ONCE = 1 << 20
HEAD = 50  # rows that are looked at to find the header
ENCODINGS = ("cp1252", "gb18030", "cp1250", "cp1251", "big5", "shift_jis", "euc_kr")  # that programs write, beside UTF
SAMPLE = 1 << 16  # bytes that the detector of encodings is given
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class TableError(WorkbookError):
    """What is wrong with a table, in one line: the file, the sheet, the cell or the column, and what to do."""


@dataclass(frozen=True)
class Dialect:
    """How a text file is written: its encoding ("utf-8-sig" with a byte-order mark), delimiter, ends of lines."""

    encoding: str
    delimiter: str
    line_end: str
    guessed: bool = False
    """Whether the encoding was found by its bytes alone, so that it is told."""


def is_text_file(path: Any) -> bool:
    """Whether the name is that of a CSV or TSV file."""
    return Path(path).suffix.lower() in SUFFIXES


def dialect_of(path: Path, encoding: str | None = None, wanted: Collection[str] = ()) -> Dialect:
    """How a file is written; of encodings that may be its, one in which the first rows hold the `wanted` words.

    Raises TableError for what is no text, by its bytes, and for an encoding that is wrong.
    """
    with path.open("rb") as file:
        start = file.read(BYTES_AT_ONCE)
    if start.startswith((b"PK", b"\xd0\xcf\x11\xe0")):
        raise TableError(f"{path} is a workbook or an archive under a text file's name; rename it to .xlsx")
    if start.startswith(b"PAR1"):
        raise TableError(f"{path} is a Parquet file under a text file's name; rename it to .parquet")
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise TableError(f"{path} is a web page or XML text under a table's name; export the table as CSV")
    found, guessed = encoding, False
    if found is None:
        found = next((name for bom, name in BOMS.items() if start.startswith(bom)), "utf-8")
        if problem := _problem(path, found):
            if found != "utf-8" or b"\0" in start:
                raise TableError(f"{path}: {problem}; save it as 'CSV UTF-8', or name its --encoding")
            found, guessed = _detected(path, problem, start, wanted), True
    else:
        try:
            found = codecs.lookup(found).name
        except LookupError:
            raise TableError(f"{path}: there is no encoding {encoding!r}; utf-8, cp1252 and gb18030 are some") from None
        if start.startswith(codecs.BOM_UTF8) and found == "utf-8":
            found = "utf-8-sig"
        if problem := _problem(path, found):
            raise TableError(f"{path}: {problem}; give another --encoding, or none, and it is looked for")
    text = codecs.getincrementaldecoder(found)("replace").decode(start)
    line_end = "\r\n" if "\r\n" in text else "\r" if "\r" in text and "\n" not in text else "\n"
    return Dialect(found, _delimiter(path, text), line_end, guessed)


def _problem(path: Path, encoding: str) -> str | None:
    """What of a file is no text in this encoding; None if all is."""
    decoder, lines, place = codecs.getincrementaldecoder(encoding)(), 1, 0
    with path.open("rb") as file:
        while True:
            block = file.read(BYTES_AT_ONCE)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                # What the decoder had kept of the block before stands before this one, so its place is counted back.
                here = error.start - (len(error.object) - len(block))
                line = lines + block[: max(here, 0)].count(b"\n")
                byte = error.object[error.start]
                name = {"utf-8-sig": "UTF-8", "utf-8": "UTF-8"}.get(encoding, encoding)
                return f"line {line} is not written in {name} (byte {place + here + 1} is {byte:#04x})"
            except UnicodeError as error:
                return f"it is not written in {encoding} ({error})"
            if "\0" in text:
                return f"line {lines + text[: text.index(chr(0))].count(chr(10))} holds a NUL byte, so this is no text"
            if not block:
                return None
            lines, place = lines + block.count(b"\n"), place + len(block)


def _detected(path: Path, problem: str, start: bytes, wanted: Collection[str]) -> str:
    """The encoding that the detector finds for a file that is not UTF-8. Raises TableError if it finds none.

    On few words it may take one for another: what it finds is passed over where another has the wanted words at the
    start.
    """
    from charset_normalizer import from_bytes

    sample = bytearray()
    with path.open("rb") as file:
        for line in file:  # those with letters beyond ASCII tell the most
            if not line.isascii():
                sample += line
            if len(sample) > SAMPLE:
                break
    found = from_bytes(bytes(sample), cp_isolation=list(ENCODINGS))
    for match in found:
        # Where several read the same, it is the commonest; GB2312 and GBK are parts of GB18030.
        same = {match.encoding, *match.could_be_from_charset}
        best = next((known for known in ENCODINGS if known in same), match.encoding)
        if _problem(path, best) is None:
            known = [
                each
                for each in (best, *ENCODINGS)
                if all(word in start.decode(each, "replace") for word in wanted) and _problem(path, each) is None
            ]
            return known[0] if known else best
    raise TableError(f"{path}: {problem}, and no other encoding fits; save it as 'CSV UTF-8', or name its --encoding")


def _delimiter(path: Path, text: str) -> str:
    """What parts the cells: the tab of a .tsv, else the candidate that parts most of the first lines into most."""
    if path.suffix.lower() in (".tsv", ".tab"):
        return "\t"
    lines = text.splitlines(keepends=True)[:HEAD]

    def widths(delimiter: str) -> list[int]:
        found: list[int] = []
        with suppress(csv.Error):  # the reading proper says what is wrong
            found.extend(len(row) for row in csv.reader(lines, delimiter=delimiter))
        return found

    # The first line decides, unless most lines say otherwise: it may be a title above the header.
    found = {delimiter: widths(delimiter) for delimiter in DELIMITERS}
    parted = {delimiter: sum(width > 1 for width in found[delimiter]) for delimiter in DELIMITERS}
    first = max(DELIMITERS, key=lambda delimiter: (found[delimiter] or [0])[0])
    if (found[first] or [0])[0] > 1 and 2 * parted[first] >= max(parted.values()):
        return first
    return max(DELIMITERS, key=lambda delimiter: (parted[delimiter], max(found[delimiter], default=0)))


@contextmanager
def rows_of(path: Path, dialect: Dialect) -> Iterator[Iterator[list[str]]]:
    """The rows of a file, one after the other, blank ones as empty lists. Raises TableError where quotes are wrong."""
    with path.open(encoding=dialect.encoding, newline=None) as file:
        yield _parsed(path, file, dialect)


def _parsed(path: Path, file: IO[str], dialect: Dialect) -> Iterator[list[str]]:
    reader = csv.reader(file, delimiter=dialect.delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            line = reader.line_num
            yield row
    except csv.Error as error:
        raise TableError(f"{path}: line {line} or the next can't be read ({error}); look at its quotes") from error


def head_of(path: Path, dialect: Dialect) -> list[list[str]]:
    """The first rows."""
    with rows_of(path, dialect) as rows:
        return list(itertools.islice(rows, HEAD))


def body_of(path: Path, dialect: Dialect, header: int, width: int, texts: Collection[int] = ()) -> Body:
    """The cells below the header (its row counts from 0), by column: float64 for plain numbers, else texts.

    Missing values are NaN or None. The columns `texts` are text in any case.
    """
    as_text = set(texts)
    while True:
        with rows_of(path, dialect) as rows:
            found, late = _body(path, rows, header, width, as_text, dialect)
        if not late:
            return found
        as_text |= late


def _rows_below(
    path: Path, rows: Iterator[list[str]], header: int, width: int, dialect: Dialect, body: Body
) -> Iterator[list[list[str]]]:
    """The rows below the header, many at a time, without the notes below them; the blank ones become as wide.

    Raises TableError for a row with more or fewer cells than there are names.
    """
    for _ in itertools.islice(rows, header + 1):
        pass
    begin = 0
    for chunk in _without_notes(rows, width, body):
        for place, row in enumerate(chunk):
            if not "".join(row).strip():
                body.blank.append(begin + place)
                chunk[place] = [""] * width
            elif len(row) != width:
                raise TableError(
                    f"{path}: row {header + 2 + begin + place} has {len(row)} values and the header has {width} names, "
                    f"parted by {dialect.delimiter!r}; correct it, or write quotes around a text with the delimiter in "
                    f"it"
                )
        begin += len(chunk)
        if chunk:
            yield chunk


def _without_notes(rows: Iterator[list[str]], width: int, body: Body) -> Iterator[list[list[str]]]:
    """Many rows at a time, to the last that is one; the others are `body.note`."""
    held: list[list[str]] = []
    while chunk := list(itertools.islice(rows, ROWS_AT_ONCE)):
        if len(chunk) == ROWS_AT_ONCE and held:
            yield held
            held = chunk
        else:
            held += chunk
    end = end_of(held, width)
    body.note = next((cell.strip() for row in held[end:] for cell in row if cell.strip()), None)
    yield held[:end]


def _body(
    path: Path, rows: Iterator[list[str]], header: int, width: int, as_text: set[int], dialect: Dialect
) -> tuple[Body, set[int]]:
    """One pass: the body, and the columns of it in which text came up below numbers, to be read anew."""
    body = Body([], 0, [])
    numbers: list[list[npt.NDArray[np.float64]]] = [[] for _ in range(width)]
    texts: dict[int, list[str | None]] = {place: [] for place in as_text}
    known: dict[int, dict[str, str | None]] = {}
    late: set[int] = set()
    total = 0
    for chunk in _rows_below(path, rows, header, width, dialect, body):
        for place, cells in enumerate(zip(*chunk, strict=True)):
            if place in late:
                continue
            if place not in texts:
                parsed = _floats(cells)
                if parsed is not None:
                    numbers[place].append(parsed)
                    continue
                if total:
                    late.add(place)
                    continue
                texts[place] = []
            words = known.setdefault(place, {})
            for cell in cells:
                if cell not in words:
                    stripped = cell.strip()
                    words[cell] = None if stripped in MISSING else stripped
            texts[place].extend(words[cell] for cell in cells)
            if len(words) > ROWS_AT_ONCE * 8:
                words.clear()  # it saves memory where few texts come often, and would take it where all differ
        total += len(chunk)
    body.rows = total
    body.columns = [
        texts[place] if place in texts else np.concatenate(numbers[place] or [np.empty(0)]) for place in range(width)
    ]
    return body, late


def _floats(cells: tuple[str, ...]) -> npt.NDArray[np.float64] | None:
    """Plain numbers, with NaN for missing values; None if a cell is something else, or may be a code such as 01067."""
    try:
        found = np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        try:
            found = np.fromiter((math.nan if c.strip() in MISSING else float(c) for c in cells), np.float64, len(cells))
        except ValueError:
            return None
    return None if any("_" in cell for cell in cells) or CODES.search("\n".join(cells)) else found


def are_codes(texts: Collection[str]) -> bool:
    """Whether these are digits that lose something as numbers: a 0 before them, or the last of very many digits."""
    return all(map(str.isdecimal, texts)) and any(
        CODE.fullmatch(text) and (text[0] == "0" or int(float(text)) != int(text)) for text in texts
    )


def only_column(path: Path, name: str) -> TableError:
    """The error for a table of one column."""
    return TableError(
        f"{path} has one column only, {reprlib.repr(name)}; columns are parted by comma, semicolon, tab or |"
    )

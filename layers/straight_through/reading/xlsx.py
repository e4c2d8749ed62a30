"""An XLSX workbook, read row by row in bounded memory, with every value as the file has it.

What readers of 100,000 rows of 60 cells (35 MB, 298 MB of XML) need, and lose, on one processor of
x86-64 with Python 3.11:

    reader           seconds   MiB   of error cells (#N/A), of text that is only blanks
    this one            18       2   nothing
    openpyxl            75      26   nothing; refuses workbooks for the style of a cell
    python-calamine      5     505   both come out empty, a day before 1900 as midnight

Where two million texts are shared by the cells, as Excel has them, this one takes 141 MiB.

An empty cell where the sender's formula has failed would pass for right, and half a gigabyte would
double what the function costs in every run: so this reads the XML itself, of which a table needs
six elements. The other kinds of workbooks are read by python-calamine (`sheets.py`).
"""

import math
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import IO, Any, TypeVar
from xml.parsers import expat

from straight_through.errors import FileTooLarge, TableUnclear, WrongFormat
from straight_through.reading.delimited import Row

T = TypeVar("T")

PIECE = 256 * 1024  # bytes of XML that are read at a time
SLICE = 16 * 1024  # of them, that are parsed at a time: their rows may be a thousand times as large
MOST_TAG = 1024 * 1024  # bytes of XML in one piece, a tag or so, which the parser keeps
MOST_DEPTH = 100  # elements within each other
LONGEST_CODE = 2000  # characters of a number's format; Excel has 255
MOST_ELEMENTS = 300_000  # of a part that describes a workbook; Excel has 65,490 styles of cells
WANTED = {"Relationship", "workbookPr", "sheet", "numFmt", "cellXfs", "/cellXfs", "xf"}
MOST_CELL = 1024 * 1024  # characters; Excel has 32,767
MOST_PART = 32 * 1024 * 1024  # bytes of XML that describe a workbook: its sheets, its styles
MOST_TEXTS = 512 * 1024 * 1024  # bytes of XML of the texts that the sheets share
WIDEST = 16_384  # columns; what Excel has
NO_DAY = 2_958_466  # the number of 10000-01-01
EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - of no zone, as cells are
ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")

# Formats that every workbook has: which are days, and which are hours (ECMA-376, 18.8.30).
DAYS = {14, 15, 16, 17, 22, *range(27, 32), 36, *range(50, 59)}
HOURS = {18, 19, 20, 21, 32, 33, 34, 35, 45, 47}
ELAPSED = {46}


@dataclass(frozen=True)
class XlsxSheet:
    """One sheet of cells; `hidden` from people."""

    name: str
    hidden: bool
    part: str


@dataclass
class XlsxBook:
    """An open workbook. Raises WrongFormat where it is damaged."""

    archive: zipfile.ZipFile
    sheets: list[XlsxSheet] = field(default_factory=list)
    merged: dict[str, list[str]] = field(default_factory=dict)  # of a sheet that was read whole
    _texts: list[str] = field(
        default_factory=list
    )  # that cells share, as far as they were asked for
    _coming: Iterator[str] = field(default_factory=lambda: iter(()))
    _texts_part: str = ""
    _kinds: list[str] = field(default_factory=list)  # of each style: "", "day", "hour", "elapsed"
    _epoch: datetime = EPOCH

    def __post_init__(self) -> None:
        """Read what there is in the workbook."""
        with damage():
            self._read()

    def rows(self, sheet: XlsxSheet) -> Iterator[Row]:
        """Read the rows of a sheet that have cells, from its start."""
        with damage():
            cells = _Cells(self._text, self._kinds, self._epoch)
            with self.archive.open(sheet.part) as stream:
                yield from cells.read(stream)
            self.merged[sheet.part] = cells.merged

    def _read(self) -> None:
        """Find the parts by their relations, the sheets by their names, and the styles' kinds."""
        root = self._relations("_rels/.rels", "")
        books = [part for kind, part in root.values() if kind.endswith("/officeDocument")]
        book = books[0]
        folder, name = posixpath.split(book)
        related = self._relations(f"{folder}/_rels/{name}.rels".lstrip("/"), folder)
        for element, said in self._elements(book):
            if element == "workbookPr" and said.get("date1904") in ("1", "true"):
                self._epoch = datetime(1904, 1, 1)  # noqa: DTZ001
            if element == "sheet":
                known = next((v for k, v in said.items() if k.endswith(":id")), "")
                kind, part = related.get(known, ("", ""))
                if kind.endswith("/worksheet"):
                    hidden = said.get("state", "visible") != "visible"
                    self.sheets.append(XlsxSheet(said["name"], hidden, part))
        for kind, part in related.values():
            if kind.endswith("/sharedStrings"):
                self._texts_part = part
            if kind.endswith("/styles"):
                self._kinds = _kinds_of(self._elements(part))
        self._coming = self._shared_texts()

    def _text(self, number: int) -> str:
        """Return a text that cells share; those before it are read, and none after it."""
        while number >= len(self._texts):
            text = next(self._coming, None)
            if text is None:
                raise IndexError(number)
            self._texts.append(text)
        return self._texts[number]

    def _relations(self, part: str, folder: str) -> dict[str, tuple[str, str]]:
        """Return the kind and the part of each relation of a part, by its id."""
        return {
            said["Id"]: (
                said["Type"],
                posixpath.normpath(posixpath.join("/", folder, said["Target"])).lstrip("/"),
            )
            for element, said in self._elements(part)
            if element == "Relationship" and said.get("TargetMode") != "External"
        }

    def _elements(self, part: str) -> list[tuple[str, dict[str, str]]]:
        """Return the elements of a small part, by their bare names, and `/name` at their ends."""
        require_size(self.archive, part, MOST_PART)
        found: list[tuple[str, dict[str, str]]] = []
        depth = 0

        def note(name: str, said: dict[str, str]) -> None:
            if name in WANTED:
                found.append((name, said))
            if len(found) > MOST_ELEMENTS:
                raise ValueError(f"its part {part} has too many elements")

        def start(name: str, said: dict[str, str]) -> None:
            nonlocal depth
            depth = _deeper(depth)
            note(name.rpartition(":")[2], said)

        def end(name: str) -> None:
            nonlocal depth
            depth -= 1
            note("/" + name.rpartition(":")[2], {})

        with self.archive.open(part) as stream:
            for _ in _parsed(stream, parser_of(start, end), list):
                pass
        return found

    def _shared_texts(self) -> Iterator[str]:
        """Read the texts that cells share; what only helps to pronounce them is none of them."""
        if not self._texts_part or self._texts_part not in self.archive.namelist():
            return
        require_size(self.archive, self._texts_part, MOST_TEXTS)
        texts = _Texts()
        with self.archive.open(self._texts_part) as stream:
            yield from _parsed(stream, texts.parser, texts.taken)


@contextmanager
def damage() -> Iterator[None]:
    """Raise WrongFormat for what a damaged workbook, or none, is met with."""
    try:
        yield
    except (
        expat.ExpatError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        LookupError,
        ValueError,
        NotImplementedError,
        RuntimeError,  # a part has a password of its own
        struct.error,
    ) as error:
        raise WrongFormat(
            f"The workbook is damaged or has a form of its own: it cannot be read ({error!r:.80}). "
            "Open it with a spreadsheet program, save it as XLSX, and drop that. Nothing was "
            "uploaded."
        ) from None


def _kinds_of(elements: list[tuple[str, dict[str, str]]]) -> list[str]:
    """Return what numbers of each style are."""
    codes: dict[int, str] = {}
    kinds: list[str] = []
    within = False
    for element, said in elements:
        if element == "numFmt":
            code = codes[int(said["numFmtId"])] = said.get("formatCode", "")
            if len(code) > LONGEST_CODE:
                raise ValueError(f"it has a format of {len(code):,} characters")
        elif element in ("cellXfs", "/cellXfs"):
            within = element == "cellXfs"
        elif element == "xf" and within:
            number = int(said.get("numFmtId", 0))
            kinds.append(kind_of(codes[number]) if number in codes else _built_in(number))
    return kinds


def _built_in(number: int) -> str:
    """Return what numbers of a built-in format are."""
    for kind, numbers in (("day", DAYS), ("hour", HOURS), ("elapsed", ELAPSED)):
        if number in numbers:
            return kind
    return ""


def kind_of(code: str) -> str:
    """Return what numbers of a format's code are: "day", "hour", "elapsed" or ""."""
    # Only the first section counts, without what is quoted, escaped, padded, or in brackets.
    bare = re.sub(r'"[^"]*"|\\.|_.|\*.', "", code).partition(";")[0].lower()
    if re.search(r"\[(h+|m+|s+)\]", bare):
        return "elapsed"
    bare = re.sub(r"\[[^\]]*\]|general|am/pm|a/p", "", bare)
    if re.search("[#?]", bare) or ("0" in bare and not re.search("s[.,]0", bare)):
        return ""
    if re.search("[yd]", bare):
        return "day"
    if re.search("[hs]", bare):
        return "hour"
    return "day" if "m" in bare else ""


class _Texts:
    """Takes the texts of `si` elements, their runs joined."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._pieces: list[str] = []
        self._takes = False
        self._spoken = False
        self._depth = 0
        self.parser = parser_of(self._start, self._end, self._take)

    def taken(self) -> list[str]:
        """Return what has been found since, and forget it."""
        _require_cell(self._pieces)
        found, self.found = self.found, []
        return found

    def _start(self, name: str, _said: dict[str, str]) -> None:
        bare = name.rpartition(":")[2]
        self._depth = _deeper(self._depth)
        self._spoken |= bare == "rPh"
        self._takes = bare == "t" and not self._spoken

    def _end(self, name: str) -> None:
        bare = name.rpartition(":")[2]
        self._depth -= 1
        self._takes = False
        if bare == "rPh":
            self._spoken = False
        if bare == "si":
            self.found.append(unescaped("".join(self._pieces)))
            self._pieces = []

    def _take(self, text: str) -> None:
        if self._takes:
            self._pieces.append(text)


class _Cells:
    """Takes the rows of a sheet while its XML goes by."""

    def __init__(self, text: Callable[[int], str], kinds: list[str], epoch: datetime) -> None:
        self._text, self._kinds, self._epoch = text, kinds, epoch
        self._columns: dict[str, int] = {}  # by their letters
        self._found: list[Row] = []
        self.merged: list[str] = []  # the ranges of cells that are shown as one
        self._row: list[str] = []
        self._number, self._at = 0, -1  # of the row and of the column
        self._cell: dict[str, str] = {}
        self._value: list[str] = []
        self._takes = False
        self._spoken = False
        self._formula = False
        self._valued = False
        self._in_row = self._in_cell = self._in_text = False
        self._depth = 0  # of all other elements
        self._names = ("row", "c", "v", "t", "rPh", "f")
        self._parser = parser_of(self._root, self._end, self._take)

    def read(self, stream: IO[bytes]) -> Iterator[Row]:
        """Read all rows that have cells."""
        return _parsed(stream, self._parser, self._taken)

    def _taken(self) -> list[Row]:
        _require_cell(self._value)
        found, self._found = self._found, []
        return found

    def _root(self, name: str, _said: dict[str, str]) -> None:
        """Take the prefix that all elements have, if there is one."""
        prefix = name[: name.rfind(":") + 1]
        self._names = tuple(prefix + bare for bare in self._names)  # type: ignore[assignment]
        self._parser.StartElementHandler = self._start

    def _start(self, name: str, said: dict[str, str]) -> None:
        row, cell, value, text, spoken, formula = self._names
        if name == cell:
            if self._in_cell or not self._in_row:
                raise ValueError("a cell stands in no row or in another cell")
            self._in_cell = True
            self._cell, self._value = said, []
            self._formula = self._valued = False
            self._at = self._column(said.get("r"))
        elif name in (value, text):
            if self._in_text:
                raise ValueError("a value stands in another one")
            self._in_text = True
            self._takes = self._in_cell and not self._spoken
            self._valued = True
        elif name == row:
            number = int(said.get("r", self._number + 1))
            if number <= self._number:
                raise ValueError(f"row {number} stands below row {self._number}")
            if self._in_row:
                raise ValueError("a row stands in another one")
            self._in_row = True
            self._number, self._at = number, -1
            self._row = []
        else:
            self._depth = _deeper(self._depth)
            if name.endswith("mergeCell"):
                self.merged.append(said["ref"])
                if len(self.merged) > MOST_ELEMENTS:
                    raise ValueError("it has too many merged cells")
            self._formula |= name == formula
            self._spoken |= name == spoken

    def _take(self, text: str) -> None:
        if self._takes:
            self._value.append(text)

    def _end(self, name: str) -> None:
        row, cell, value, text, spoken, _ = self._names
        if name in (value, text):
            self._takes = self._in_text = False
        elif name == cell:
            self._in_cell = False
            if self._value:
                self._put("".join(self._value))
            elif self._formula and not self._valued:
                raise TableUnclear(
                    f"Cell {self._cell.get('r', '')} has a formula that was never calculated: the "
                    "program that wrote the workbook left its value out. Open it with a "
                    "spreadsheet program, save it, and drop it again. Nothing was uploaded."
                )
        elif name == row:
            self._in_row = False
            if self._row:
                self._found.append((self._number, self._row))
        else:
            self._depth -= 1
            self._spoken &= name != spoken

    def _column(self, reference: str | None) -> int:
        """Return the column of a cell, the next one where it does not say which."""
        if reference is None:
            if self._at + 1 >= WIDEST:
                raise ValueError(f"row {self._number} has more than {WIDEST} columns")
            return self._at + 1
        letters = reference.rstrip("0123456789")
        column = self._columns.get(letters)
        if column is None:
            column = self._columns[letters] = column_of(letters)
        return column

    def _put(self, value: str) -> None:
        """Put a cell's value into its column."""
        row, column = self._row, self._at
        if column == len(row):
            row.append(self._said(value))
        elif column > len(row):
            row.extend([""] * (column - len(row)))
            row.append(self._said(value))
        elif row[column]:
            raise ValueError(f"row {self._number} has a cell twice")
        else:
            row[column] = self._said(value)

    def _said(self, value: str) -> str:
        """Return a cell's value as text."""
        kind = self._cell.get("t", "n")
        if kind == "s":
            return self._text(_index(value))
        if kind == "n":
            style = self._cell.get("s")
            said = self._kinds[_index(style)] if style is not None and self._kinds else ""
            return moment_text(_finite(value), said, self._epoch) if said else number_text(value)
        if kind == "b":
            return "TRUE" if value.strip() in ("1", "true") else "FALSE"
        # What a formula gave, an inline text, an error such as #N/A, a moment in ISO 8601.
        return unescaped(value) if kind in ("str", "inlineStr") else value


def number_text(value: str | float) -> str:
    """Return a number as the shortest text of the same value; digits of a whole one as they are."""
    if isinstance(value, str):
        bare = value.strip()
        if bare.isascii() and bare.isdigit():
            return bare
        value = _finite(bare)
    shortest = repr(value)
    if shortest.endswith(".0"):
        return shortest[:-2] if value else "0"
    return format(Decimal(shortest), "f") if "e" in shortest else shortest


def _finite(text: str) -> float:
    """Return a number. Raises ValueError for what only Python takes for one, and for none."""
    value = float(text)
    if not math.isfinite(value) or "_" in text:
        raise ValueError(f"{text[:20]!r} is no number")
    return value


def _index(text: str) -> int:
    """Return a position, counted from 0. Raises ValueError."""
    number = int(text)
    if number < 0:
        raise ValueError(f"{number} is no position")
    return number


def moment_text(value: float, kind: str, epoch: datetime) -> str:
    """Return a number that stands for a moment in ISO 8601, or as it is where there is no such day.

    `kind` is "day", "hour" or "elapsed", which comes out as hours, minutes and seconds.
    """
    thousandths = round(value * 86_400_000)
    if kind == "elapsed":
        sign = "-" if thousandths < 0 else ""
        return sign + _clock(abs(thousandths))
    if kind == "hour" and 0 <= value < 1:
        return _clock(thousandths)
    from_1900 = epoch.year < 1900
    # Excel's calendar has a day 60, 29 February 1900, which never was.
    if not 0 <= value < NO_DAY or (from_1900 and (value < 1 or 60 <= value < 61)):
        return number_text(value)
    if from_1900 and value < 60:
        thousandths += 86_400_000
    try:
        moment = epoch + timedelta(milliseconds=thousandths)
    except OverflowError:
        return number_text(value)
    if thousandths % 86_400_000 == 0:
        return moment.date().isoformat()
    return moment.isoformat(timespec="milliseconds" if thousandths % 1000 else "seconds")


def _clock(thousandths: int) -> str:
    """Return thousandths of a second as hours, minutes and seconds."""
    seconds, rest = divmod(thousandths, 1000)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{clock}.{rest:03}" if rest else clock


def unescaped(text: str) -> str:
    """Return a text whose `_x000D_` and the like are the characters that they stand for."""
    if "_x" not in text:
        return text
    found = ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    # Two halves of one character are that one; a half by itself is none, and raises ValueError.
    return found.encode("utf-16", "surrogatepass").decode("utf-16")


def column_of(letters: str) -> int:
    """Return the number of a column, counted from 0. Raises ValueError where there is none."""
    number = 0
    for letter in letters:
        number = number * 26 + "ABCDEFGHIJKLMNOPQRSTUVWXYZ".index(letter) + 1
    if not 0 < number <= WIDEST:
        raise ValueError(letters)
    return number - 1


def letters_of(column: int) -> str:
    """Return the letters of a column that is counted from 0."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def parser_of(
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None] | None = None,
) -> expat.XMLParserType:
    """Return a parser that takes no document type, with which entities could be made."""

    def refuse(*_: Any) -> None:
        raise ValueError("it has a document type")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    return parser


def _parsed(
    stream: IO[bytes], parser: expat.XMLParserType, taken: Callable[[], list[T]]
) -> Iterator[T]:
    """Parse a stream and give what was found, piece by piece."""
    fed = 0
    while piece := stream.read(PIECE):
        for begin in range(0, len(piece), SLICE):
            part = piece[begin : begin + SLICE]
            parser.Parse(part, False)  # noqa: FBT003
            fed += len(part)
            if fed - parser.CurrentByteIndex > MOST_TAG:
                raise ValueError(f"it has a tag of more than {MOST_TAG:,} bytes")
            yield from taken()
    parser.Parse(b"", True)  # noqa: FBT003
    yield from taken()


def _deeper(depth: int) -> int:
    """Return a depth of elements and one more. Raises ValueError where there are too many."""
    if depth >= MOST_DEPTH:
        raise ValueError(f"it has more than {MOST_DEPTH} elements within each other")
    return depth + 1


def _require_cell(pieces: list[str]) -> None:
    """Raise ValueError where the text of a cell, as far as it has come, is longer than any is."""
    if sum(map(len, pieces)) > MOST_CELL:
        raise ValueError(f"it has a cell of more than {MOST_CELL:,} characters")


def require_size(archive: zipfile.ZipFile, part: str, most: int) -> None:
    """Raise FileTooLarge where a part of a workbook is larger than one would be."""
    size = archive.getinfo(part).file_size
    if size > most:
        raise FileTooLarge(
            f"The workbook's part {part} has {size:,} bytes, and {most:,} are the most that is "
            "read of it. Drop the table as CSV. Nothing was uploaded."
        )

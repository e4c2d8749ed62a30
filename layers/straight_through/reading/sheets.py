"""What a dropped file may have its table in: a text, a sheet of a workbook, either of them packed.

A zip or gzip is unpacked once, where it has one member; a workbook is read by `xlsx.py`, or by
python-calamine where it is XLS, XLSB or ODS. What is unpacked is bounded before it is.
"""

import io
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import IO, Any

from quantemplate.bodies import CHUNK, File
from straight_through.errors import FileTooLarge, TableUnclear, WrongFormat
from straight_through.reading.delimited import Row
from straight_through.reading.unzipping import SMALL, Limits, unzipped
from straight_through.reading.xls import spread_of
from straight_through.reading.xlsx import (
    EPOCH,
    XlsxBook,
    column_of,
    damage,
    moment_text,
    number_text,
    parser_of,
)
from straight_through.selection import matches

GZIP, ZIP, OLE = b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
LONGEST, MOST = 60, 8  # characters of a name, and names, that a message shows
LOOK_BYTES = 1024 * 1024  # of a text in which its table is looked for, before it is read whole
# Bytes of a workbook, unpacked, that is read as a whole: one of 46 MB takes 345 MiB of memory.
MOST_IN_MEMORY = 24 * 1024 * 1024
# What a packer of a person's machine adds.
BESIDE = re.compile(r"(^|/)(__MACOSX/|\._|\.DS_Store$|Thumbs\.db$|desktop\.ini$)|/$")
NO_TEXT = {
    b"<": "a web page or XML",
    b"%PDF": "a PDF",
    b"{\\rtf": "a text with styles (RTF)",
    b"version https://git-lfs": "a pointer of Git LFS, without the file",
}
XLSB_ERRORS = (3, 11)  # BrtCellError, BrtFmlaError
XLSB_ROW = 0  # BrtRowHdr; the kinds of cells are those up to 11
MOST_CELLS = 4_000_000  # of a sheet that is read as a whole
ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
LOCKED = (
    "The workbook has a password, so that it cannot be read. Save it without one and drop it "
    "again. Nothing was uploaded."
)
Opens = Callable[[], IO[bytes]]


# First and last row, first and last column of cells that are shown as one, all counted from 0.
Merged = tuple[int, int, int, int]


@dataclass(frozen=True)
class Sheet:
    """One sheet of a workbook, and how its rows are read from their start.

    `merged` tells of cells that are shown as one, once all rows were read.
    """

    name: str
    hidden: bool
    rows: Callable[[], Iterator[Row]]
    merged: Callable[[], list[Merged]]


@dataclass(frozen=True)
class Unpacked:
    """A text or the sheets of a workbook, by the name of the member of a zip that it was."""

    member: str | None = None
    text: Opens | None = None
    whole: bool = True  # whether all of a text can be read, and not its start only
    sheets: Sequence[Sheet] = ()


@contextmanager
def unpacked(file: File, limits: Limits, *, whole: bool) -> Iterator[Unpacked]:
    """Open a file, unpacked where it is; of a text only the start, unless the `whole` is asked for.

    Raises WrongFormat, FileTooLarge, TableUnclear, and what reading the file raises.
    """
    with ExitStack() as stack:
        start = file.part(0, 64)
        if start.startswith(GZIP):
            opens = lambda: _stream(unzipped(file, limits))  # noqa: E731 - one short line
            yield _member(stack, None, opens, limits, whole=whole)
        elif start.startswith((ZIP, OLE)):
            yield _archive(stack, seekable(file), len(file), limits, whole=whole)
        else:
            yield _text(None, lambda: _stream(iter(file)), start, len(file), whole=whole)


def chosen(sheets: Sequence[Sheet], pattern: str) -> Sheet:
    """Return the one sheet with cells that a route's pattern fits; a hidden one by its name only.

    Raises TableUnclear.
    """
    named = [sheet for sheet in sheets if sheet.name == pattern]
    wanted = pattern.strip().casefold()
    fitting = named or [
        sheet
        for sheet in sheets
        if not sheet.hidden and matches(sheet.name.strip().casefold(), (wanted,))
    ]
    filled = [sheet for sheet in fitting if _has_cells(sheet)] if len(fitting) > 1 else fitting
    if len(filled) == 1:
        return filled[0]
    listed = filled or sheets
    names = ", ".join(repr(sheet.name[:LONGEST]) for sheet in listed[:MOST])
    names += f" and {len(listed) - MOST:,} more" if len(listed) > MOST else ""
    told = (
        f"The route's pattern {pattern[:LONGEST]!r} fits several sheets that have cells: {names}"
        if filled
        else f"No visible sheet fits the route's pattern {pattern[:LONGEST]!r}. The sheets are "
        f"{names}"
    )
    raise TableUnclear(
        f"It cannot be told in which sheet the table stands. {told}. Name the sheet in the "
        "\"sheet\" of the route's field 'table' and redrive the run, or mend the file and "
        "drop it again. Nothing was uploaded."
    )


def _has_cells(sheet: Sheet) -> bool:
    """Whether any cell of a sheet has more than blanks."""
    return any(any(map(str.strip, cells)) for _, cells in sheet.rows())


# --- archives -------------------------------------------------------------------------------------
def _archive(
    stack: ExitStack, stream: IO[bytes], size: int, limits: Limits, *, whole: bool
) -> Unpacked:
    """Return what a zip archive or an OLE container has: a workbook, or one member."""
    start = stream.read(8)
    stream.seek(0)
    if start.startswith(OLE):
        require_in_memory(size)
        if ENCRYPTED in stream.read():
            raise WrongFormat(LOCKED)
        return Unpacked(sheets=_read_whole(stack, stream, xls_errors))
    with damage():
        archive = stack.enter_context(zipfile.ZipFile(stream))
    require_bounds(archive, size, limits)
    names = set(archive.namelist())
    sizes = sum(info.file_size for info in archive.infolist())
    if "xl/workbook.bin" in names:
        require_in_memory(sizes)
        return Unpacked(sheets=_read_whole(stack, stream, partial(_xlsb_errors, archive)))
    if "content.xml" in names:
        require_in_memory(sizes)
        return Unpacked(sheets=_read_whole(stack, stream, partial(_ods_errors, archive)))
    if "[Content_Types].xml" in names:
        book = XlsxBook(archive)
        return Unpacked(
            sheets=[
                Sheet(s.name, s.hidden, partial(book.rows, s), partial(_merged, book, s.part))
                for s in book.sheets
            ]
        )
    members = [info for info in archive.infolist() if not BESIDE.search(info.filename)]
    if len(members) != 1:
        raise TableUnclear(
            f"The zip archive has {len(members):,} files, and one is expected: "
            f"{', '.join(repr(member.filename[:LONGEST]) for member in members[:MOST])}. Drop each "
            "by itself. "
            "Nothing was uploaded."
        )
    if members[0].flag_bits & 1:
        raise WrongFormat(
            "The file in the zip archive has a password. Drop it without one. Nothing was uploaded."
        )
    opens = partial(_opened, archive, members[0])
    return _member(stack, members[0].filename, opens, limits, whole=whole)


def _member(
    stack: ExitStack, name: str | None, opens: Opens, limits: Limits, *, whole: bool
) -> Unpacked:
    """Return what was packed: a text, or a workbook; packed once more, it is refused."""
    with opens() as stream:
        start = stream.read(64)
    if start.startswith((ZIP, OLE)):
        spool: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        with opens() as stream:
            shutil.copyfileobj(stream, spool, CHUNK)
        size = spool.tell()
        spool.seek(0)
        found = _archive(stack, spool, size, limits, whole=whole)
        if found.sheets:
            return Unpacked(name, sheets=found.sheets)
    if start.startswith((ZIP, GZIP)):
        raise WrongFormat(
            "The file is packed twice: what was unpacked is a zip or gzip again. Drop what is in "
            "it. Nothing was uploaded."
        )
    return _text(name, opens, start, None, whole=whole)


def _text(
    member: str | None, opens: Opens, start: bytes, size: int | None, *, whole: bool
) -> Unpacked:
    """Return a text; only its start, unless it is asked for as a whole. Raises WrongFormat."""
    bare = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for begin, what in NO_TEXT.items():
        if bare.startswith(begin.lower()):
            raise WrongFormat(
                f"The file is {what}, and no table. Look where it comes from, and drop the table "
                "itself. Nothing was uploaded."
            )
    if whole or (size is not None and size <= LOOK_BYTES):
        return Unpacked(member, opens)
    with opens() as stream:
        head = _read(stream, LOOK_BYTES + 1)
    whole = len(head) <= LOOK_BYTES
    return Unpacked(member, lambda: io.BytesIO(head[:LOOK_BYTES]), whole)


def _read(stream: IO[bytes], size: int) -> bytes:
    """Return so many bytes of a stream, fewer at its end."""
    found = b""
    while len(found) < size and (piece := stream.read(size - len(found))):
        found += piece
    return found


def _opened(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    """Open a member of a zip archive. Raises WrongFormat."""
    with damage():
        return _stream(_pieces(archive, member))


def _pieces(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Read a member of a zip archive. Raises WrongFormat where it is damaged."""
    with damage(), archive.open(member) as stream:
        while piece := stream.read(CHUNK):
            yield piece


def require_bounds(archive: zipfile.ZipFile, size: int, limits: Limits) -> None:
    """Raise FileTooLarge where an archive would become larger than allowed; WrongFormat."""
    names = archive.namelist()
    if len(set(names)) < len(names):
        raise WrongFormat(
            "The zip archive or workbook has two parts of one name, and it cannot be told which "
            "counts. Open it, save it anew, and drop that. Nothing was uploaded."
        )
    unzipped_size = sum(info.file_size for info in archive.infolist())
    if unzipped_size > limits.size or (
        unzipped_size > SMALL and unzipped_size > limits.ratio * size
    ):
        raise FileTooLarge(
            f"The file's {size:,} bytes would become {unzipped_size:,} once they are unzipped, and "
            f"the stack's parameters LargestUnzippedGB and LargestUnzippedRatio allow "
            f"{limits.size / 1e9:g} GB and {limits.ratio:g} times its size. Send it in parts, or "
            "let who looks after the stack allow more and redrive the run. Nothing was "
            "uploaded."
        )


def require_in_memory(size: int) -> None:
    """Raise FileTooLarge for a workbook that is read as a whole and too large for it."""
    if size > MOST_IN_MEMORY:
        raise FileTooLarge(
            f"A workbook of this kind is read as a whole, of at most {MOST_IN_MEMORY:,} bytes "
            f"unpacked, and this one has {size:,}. Save it as XLSX or CSV, which are read row by "
            "row, and drop that. Nothing was uploaded."
        )


# --- workbooks that python-calamine reads -
def _read_whole(
    stack: ExitStack, stream: IO[bytes], has_errors: Callable[..., bool]
) -> list[Sheet]:
    """Return the sheets of an XLS, XLSB or ODS. Raises WrongFormat, TableUnclear.

    The library gives an empty cell for one with an error: a workbook that has any is refused.
    """
    import python_calamine as calamine  # noqa: PLC0415 - seldom needed

    if has_errors(stream):
        raise TableUnclear(
            "Cells of the workbook have errors such as #N/A, which cannot be read from this kind "
            "of workbook. Save it as XLSX, or mend the cells, and drop that. Nothing was uploaded."
        )
    stream.seek(0)
    with reading():
        book = calamine.CalamineWorkbook.from_filelike(stream)
    stack.callback(book.close)
    return [
        Sheet(
            about.name,
            about.visible != calamine.SheetVisibleEnum.Visible,
            partial(rows_of_sheet, book, about.name),
            partial(_merged_in_whole, book, about.name),
        )
        for about in book.sheets_metadata
        if about.typ == calamine.SheetTypeEnum.WorkSheet
    ]


def rows_of_sheet(book: Any, name: str) -> Iterator[Row]:
    """Read a sheet and give its rows."""
    with reading():
        sheet = book.get_sheet_by_name(name)
    before = [""] * sheet.start[1] if sheet.start else []
    with reading():
        # It begins at the sheet's first row, and at the first column that has a cell.
        for number, cells in enumerate(sheet.iter_rows(), 1):
            if any(cell != "" for cell in cells):
                yield number, before + [_said(cell) for cell in cells]


def _merged(book: XlsxBook, part: str) -> list[Merged]:
    """Return the merged cells of a sheet of an XLSX."""
    found = []
    with damage():
        for reference in book.merged.get(part, []):
            corners = re.fullmatch(r"([A-Z]+)(\d+):([A-Z]+)(\d+)", reference)
            if corners:
                left, first, right, last = corners.groups()
                found.append((int(first) - 1, int(last) - 1, column_of(left), column_of(right)))
    return found


def _merged_in_whole(book: Any, name: str) -> list[Merged]:
    """Return the merged cells of a sheet that was read as a whole, none where it cannot be told."""
    with reading():
        ranges = book.get_sheet_by_name(name).merged_cell_ranges or []
    return [(first[0], last[0], first[1], last[1]) for first, last in ranges]


@contextmanager
def reading() -> Iterator[None]:
    """Raise WrongFormat for what the library meets."""
    import python_calamine as calamine  # noqa: PLC0415 - seldom needed

    try:
        yield
    except calamine.PasswordError:
        raise WrongFormat(LOCKED) from None
    except BaseException as error:
        # A panic of the library's Rust is no Exception.
        if not isinstance(error, calamine.CalamineError) and "Panic" not in type(error).__name__:
            raise
        raise WrongFormat(
            f"The workbook is damaged or has a form of its own: it cannot be read ({error!s:.80}). "
            "Open it with a spreadsheet program, save it as XLSX, and drop that. Nothing was "
            "uploaded."
        ) from None


def _said(cell: Any) -> str:
    """Return a cell's value as text, as `xlsx.py` does."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float | int):
        return number_text(float(cell))
    if isinstance(cell, timedelta):
        return moment_text(cell / timedelta(days=1), "elapsed", EPOCH)
    if isinstance(cell, time | datetime):
        precise = "milliseconds" if cell.microsecond else "seconds"
        return cell.isoformat(timespec=precise)
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def xls_errors(stream: IO[bytes]) -> bool:
    """Whether an XLS has cells with errors. Raises FileTooLarge, WrongFormat."""
    stream.seek(0)
    with damage():
        spread = spread_of(stream.read())
    _require_cells(spread.cells)
    return spread.errors


def _ods_errors(archive: zipfile.ZipFile, _stream: IO[bytes]) -> bool:
    """Whether an ODS has cells with errors. Raises FileTooLarge: a cell may stand for thousands."""
    rows = columns = 1
    wide = cells = 0
    errors = False

    def start(name: str, said: dict[str, str]) -> None:
        nonlocal rows, columns, wide, errors
        bare = name.rpartition(":")[2]
        if bare == "table-row":
            rows, columns, wide = int(said.get("table:number-rows-repeated", 1)), 0, 0
        elif bare in ("table-cell", "covered-table-cell"):
            columns += int(said.get("table:number-columns-repeated", 1))
            if "office:value-type" in said:
                wide = columns
            errors |= said.get("calcext:value-type") == "error"

    def end(name: str) -> None:
        nonlocal cells
        if name.rpartition(":")[2] == "table-row":
            cells += rows * wide
            _require_cells(cells)

    with damage():
        parser_of(start, end).Parse(archive.read("content.xml"), True)  # noqa: FBT003
    return errors


def _xlsb_errors(archive: zipfile.ZipFile, _stream: IO[bytes]) -> bool:
    """Whether an XLSB has cells with errors: it is a row of records, each with kind and size.

    Raises FileTooLarge.
    """
    with damage():
        for name in archive.namelist():
            if name.startswith("xl/worksheets/") and name.endswith(".bin"):
                data, at, rows, columns = archive.read(name), 0, set[int](), set[int]()
                while at < len(data):
                    record, at = _seven_bits(data, at, keeps_mark=True)
                    size, at = _seven_bits(data, at)
                    if record in XLSB_ERRORS:
                        return True
                    if record <= max(XLSB_ERRORS) and size >= 4:
                        (rows if record == XLSB_ROW else columns).add(
                            int.from_bytes(data[at : at + 4], "little")
                        )
                    at += size
                if rows and columns:
                    _require_cells((max(rows) - min(rows) + 1) * (max(columns) - min(columns) + 1))
    return False


def _require_cells(cells: int) -> None:
    """Raise FileTooLarge for a sheet that is read as a whole and has too many cells for it."""
    if cells > MOST_CELLS:
        raise FileTooLarge(
            f"A sheet of such a workbook is read as a whole, of at most {MOST_CELLS:,} cells, and "
            f"this one spans {cells:,}. Clear what stands far away from the table, or save it as "
            "XLSX or CSV, which are read row by row, and drop that. Nothing was uploaded."
        )


def _seven_bits(data: bytes, at: int, *, keeps_mark: bool = False) -> tuple[int, int]:
    """Return a number of which each byte has seven bits, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte if keeps_mark else byte & 0x7F) << shift
        if not byte & 0x80:
            return number, at
        shift += 8 if keeps_mark else 7


# --- streams --------------------------------------------------------------------------------------
class _Seekable(io.RawIOBase):
    """A file, parts of which can be read, as a stream that can be sought in."""

    def __init__(self, file: File) -> None:
        self._file, self._at = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._file)}
        self._at = max(begin[whence] + offset, 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), len(self._file) - self._at)
        if size <= 0:
            return 0
        piece = self._file.part(self._at, size)
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


class _Stream(io.RawIOBase):
    """Pieces as a stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        taken, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def close(self) -> None:
        if not self.closed and hasattr(self._pieces, "close"):
            self._pieces.close()
        super().close()


def seekable(file: File) -> IO[bytes]:
    """Return a file as a stream that can be sought in."""
    return io.BufferedReader(_Seekable(file), CHUNK)


def _stream(pieces: Iterator[bytes]) -> IO[bytes]:
    """Return pieces as a stream."""
    return io.BufferedReader(_Stream(pieces), CHUNK)

"""The first rows of a workbook's first sheet, read in bounded memory."""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from straight_through.bodies import File
from straight_through.errors import FileTooLarge, WrongFormat
from straight_through.formats import ZIP
from straight_through.sheets import MOST_IN_MEMORY, reading, rows_of_sheet, seekable
from straight_through.xlsx import Row, XlsxBook, damage

# A cell with a value in an XLS: NUMBER, LABELSST, LABEL, RK; its row and its column follow.
XLS_CELL = re.compile(
    rb"(?:\x03\x02\x0e\x00|\xfd\x00\x0a\x00|\x04\x02.\x00|\x7e\x02\x0a\x00)(..)(.)\x00", re.DOTALL
)
MOST_CELLS = 4_000_000  # that the library makes room for, whether they have a value or not


@contextmanager
def first_rows(file: File, start: bytes) -> Iterator[Iterator[Row]]:
    """Open the first sheet of a workbook, XLSX or XLS, for its rows with cells.

    Raises WrongFormat, FileTooLarge, TableUnclear, and what reading the file raises.
    """
    if start.startswith(ZIP):
        with damage(), zipfile.ZipFile(seekable(file)) as archive:
            book = XlsxBook(archive)
            if not book.sheets:
                raise WrongFormat(_no_sheet())
            yield book.rows(book.sheets[0])
        return
    import python_calamine as calamine  # noqa: PLC0415 - seldom needed

    _require_small(file)
    with reading():
        xls = calamine.CalamineWorkbook.from_filelike(seekable(file))
    try:
        sheets = [s for s in xls.sheets_metadata if s.typ == calamine.SheetTypeEnum.WorkSheet]
        if not sheets:
            raise WrongFormat(_no_sheet())
        yield rows_of_sheet(xls, sheets[0].name)
    finally:
        xls.close()


def _require_small(file: File) -> None:
    """Raise FileTooLarge for an XLS that the library would need too much memory for."""
    if len(file) > MOST_IN_MEMORY:
        raise FileTooLarge(_too_large(f"it has {len(file):,} bytes"))
    rows = columns = 0
    for piece in file:
        for row, column in XLS_CELL.findall(piece):
            rows = max(rows, int.from_bytes(row, "little") + 1)
            columns = max(columns, column[0] + 1)
    if rows * columns > MOST_CELLS:
        raise FileTooLarge(
            _too_large(f"its cells are spread over {rows:,} rows of {columns:,} columns")
        )


def _too_large(why: str) -> str:
    """Say that a workbook cannot be looked into."""
    return (
        f"The XLS workbook is too large to be looked into: {why}. Save it as XLSX or CSV, which "
        "are read row by row, and drop that. Nothing was uploaded."
    )


def _no_sheet() -> str:
    """Say that a workbook has nothing to read."""
    return (
        "The workbook has no sheet of cells. Look into it, and drop the table as a workbook or as "
        "CSV. Nothing was uploaded."
    )

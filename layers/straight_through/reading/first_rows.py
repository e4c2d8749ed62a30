"""The first rows of a workbook's first sheet, read in bounded memory."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from quantemplate.bodies import File
from straight_through.errors import WrongFormat
from straight_through.reading.delimited import Row
from straight_through.reading.formats import ZIP
from straight_through.reading.sheets import (
    reading,
    require_bounds,
    require_in_memory,
    rows_of_sheet,
    seekable,
    xls_errors,
)
from straight_through.reading.unzipping import Limits
from straight_through.reading.xlsx import XlsxBook, damage


@contextmanager
def first_rows(file: File, start: bytes, limits: Limits) -> Iterator[Iterator[Row]]:
    """Open the first sheet of a workbook, XLSX or XLS, for its rows with cells.

    Raises WrongFormat, FileTooLarge, TableUnclear, and what reading the file raises.
    """
    if start.startswith(ZIP):
        with damage(), zipfile.ZipFile(seekable(file)) as archive:
            require_bounds(archive, len(file), limits)
            book = XlsxBook(archive)
            if not book.sheets:
                raise WrongFormat(_no_sheet())
            yield book.rows(book.sheets[0])
        return
    import python_calamine as calamine  # noqa: PLC0415 - seldom needed

    require_in_memory(len(file))
    xls_errors(seekable(file))
    with reading():
        xls = calamine.CalamineWorkbook.from_filelike(seekable(file))
    try:
        sheets = [s for s in xls.sheets_metadata if s.typ == calamine.SheetTypeEnum.WorkSheet]
        if not sheets:
            raise WrongFormat(_no_sheet())
        yield rows_of_sheet(xls, sheets[0].name)
    finally:
        xls.close()


def _no_sheet() -> str:
    """Say that a workbook has nothing to read."""
    return (
        "The workbook has no sheet of cells. Look into it, and drop the table as a workbook or as "
        "CSV. Nothing was uploaded."
    )

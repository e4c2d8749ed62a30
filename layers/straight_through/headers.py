"""The header row of a file, and how it differs from the one that its route asks for."""

import csv
import io

from straight_through.errors import HeaderMismatch

LONGEST_HEADER = 256 * 1024  # bytes within which a header row must end
LONGEST_COLUMN = 80  # characters of a column that a message shows


def check_header(name: str, start: bytes, header: tuple[str, ...]) -> None:
    """Raise HeaderMismatch with the difference; a workbook's is not read.

    `name` is the file's in lower case, `start` the first bytes of its text.
    """
    if name.endswith((".xls", ".xlsx")):
        return
    delimiter = "\t" if ".tsv" in name[-7:] else ","
    decoded = start.decode("utf-8-sig", errors="replace")
    try:
        found = next(csv.reader(io.StringIO(decoded, newline=""), delimiter=delimiter), [])
    except csv.Error:  # such as a quote that never ends
        found = []
    if tuple(found) == header:
        return
    raise HeaderMismatch(
        "The header row is not the one that the route asks for: "
        f"{_difference(found, header)}. Mend the file and drop it again, or mend the route's field "
        "'header' and redrive the execution. Nothing was uploaded."
    )


def _difference(found: list[str], header: tuple[str, ...]) -> str:
    """Say how a header row differs; a row that is rather one of data is not shown."""
    if 2 * len(set(found) & set(header)) < len(header):
        return f"the first row has {len(found)} columns, and few of the {len(header)} expected ones"
    missing = [column for column in header if column not in found]
    # A quote that never ends takes rows of data with it: what is long or has lines is not shown.
    instead = [
        column if len(column) <= LONGEST_COLUMN and column.isprintable() else "…"
        for column in found
        if column not in header
    ]
    parts = [f"{', '.join(map(repr, missing))} missing"] if missing else []
    parts += [f"{', '.join(map(repr, instead))} too many"] if instead else []
    return " and ".join(parts) or "the same columns in another order, or some of them twice"

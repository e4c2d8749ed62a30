"""What texts of separated columns have in common: the separators, and how a first row is read."""

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice

from straight_through import rows

Row = tuple[int, list[str]]  # its number, counted from 1, and its cells from the first column on

DELIMITERS = rows.DELIMITERS.decode()
SEP = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)  # a first line that names the separator


def delimiter_of(name: str) -> str:
    """Return the separator that a dataset expects of a text with this name."""
    return "\t" if ".tsv" in name.lower()[-7:] else ","


def text_of(start: bytes) -> str:
    """Return the first bytes of a text as a dataset reads them."""
    return start.decode("utf-8-sig", errors="replace")


def first_rows(text: str, delimiter: str, most: int) -> list[Row]:
    """Return the first rows of a text, as far as they can be read."""

    def read() -> Iterator[Row]:
        try:
            yield from enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), 1)
        except csv.Error:  # such as a quote that never ends
            return

    return list(islice(read(), most))

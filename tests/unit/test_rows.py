"""Rows are counted as Python's csv module counts them, or not at all."""

import csv
import io
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from straight_through.rows import (
    NO_BYTES,
    NO_HEADER,
    NOT_UTF8,
    NUL,
    ODD_HEADER,
    TWO_WAYS,
    RowCount,
)
from tests.unit.conftest import ROOT

CASES = ROOT / "tests/unit/reports"
TEXT = st.text(st.sampled_from('aü ,"\n\r'), max_size=24)
# Mostly whole values, between them what goes wrong.
VALUES = st.sampled_from(
    ["a", "", '"a"', '"a, b"', '"a\nb"', '"a ""b"""', '""', '5" pipe', 'x""', '"a \\"b"', '"', " "]
)
PIECES = st.lists(VALUES | st.sampled_from([",", "\n", "\r\n", "\n\n", "\r"]), max_size=40)
SIZES = st.lists(st.integers(0, 9))


def counted(content: bytes, sizes: list[int], delimiter: bytes | None = b",") -> RowCount:
    """The count of bytes that come in pieces of these sizes."""
    rows, rest = RowCount(delimiter), content
    for size in sizes:
        rows.update(rest[:size])
        rest = rest[size:]
    rows.update(rest)
    return rows


def by_csv(text: str, delimiter: str = ",") -> int | None:
    """The rows without header and blank lines, None where the csv module refuses the text."""
    lines = io.StringIO(text, newline="")
    try:
        read = [row for row in csv.reader(lines, delimiter=delimiter, strict=True) if row]
    except csv.Error:
        return None
    return len(read) - 1 if read else None


@given(TEXT | PIECES.map("".join), SIZES)
@settings(max_examples=1000)
@example('a\n"x', [])
@example('a\n"x"\n', [4])
@example('a,"\r\n\r\n', [3])
@example('"""a"",""b"', [3, 1, 1])
def test_every_count_is_that_of_the_csv_module(text: str, sizes: list[int]) -> None:
    rows = counted(text.encode(), sizes)
    # A header of several lines alone may be rows of another separator: then it is not counted.
    assert rows.rows == by_csv(text) or (rows.reason == TWO_WAYS and by_csv(text) == 0)
    assert bool(rows.reason) == (rows.rows is None)


@given(PIECES, SIZES, st.sampled_from(";\t|"))
def test_of_an_upload_the_first_line_tells_the_delimiter(
    pieces: list[str], sizes: list[int], delimiter: str
) -> None:
    text = f"id{delimiter}paid\n" + "".join(pieces).replace(",", delimiter)
    rows = counted(text.encode(), sizes, None)
    expected = by_csv(text, delimiter)
    assert rows.rows == expected or (rows.reason == TWO_WAYS and expected == 0)


@pytest.mark.parametrize(
    ("name", "rows", "reason"),
    [
        ("plain", 1, ""),
        ("inch-mark", 2, ""),
        ("inch-in-header", 1, ""),
        ("cr-only", 1, ""),
        ("open-quote", None, "a quote in row 1 that never ends"),
        ("backslash-quote", None, "text after a closing quote in row 1"),
        ("utf16", None, NUL),
        ("header-only", 0, ""),
        ("header-quoted", 0, ""),
    ],
)
def test_the_reports_that_people_have_sent(name: str, rows: int | None, reason: str) -> None:
    count = counted((CASES / f"report-{name}.csv").read_bytes(), [])
    assert (count.rows, count.reason) == (rows, reason)


@pytest.mark.parametrize("size", [1, 2, 3, 99])
@pytest.mark.parametrize(
    ("content", "rows", "reason"),
    [
        (b"", None, NO_BYTES),
        (b"\xef\xbb\xbf", None, NO_HEADER),
        (b"\r\n\n", None, NO_HEADER),
        (b'\xef\xbb\xbf"Row\nNo",Value\n', 0, ""),
        (b"\n\nRow,Value\n\n\n2,x\n\n", 1, ""),
        (b"Row,Value", 0, ""),
        (b"Row,Value\r\n2,x", 1, ""),
        (b"Row,Value\r2,x\n3,y\r\n", 2, ""),
        (b"Row,Value\n2,x\0\n", None, NUL),
        ("Row,Prämie\n2,x\n".encode("cp1252"), 1, ""),
        ("Row,Prämie\n".encode("cp1252"), None, NOT_UTF8),
        ("Row,Prämie".encode()[:-4], None, NOT_UTF8),
        ("Zeile,Prämie\x852,x\x85".encode("cp037"), None, NOT_UTF8),
        ("Row,Value\x852,x\x85".encode(), None, ODD_HEADER),
        ("Row,Value\u20282,x".encode(), None, ODD_HEADER),
        (b"Row,Value\x1e2,x\x1e", None, ODD_HEADER),
        (b'"Row,Value\n2,x\n', None, "a quote in the header that never ends"),
        (b'"Row" ,Value\n2,x\n', None, "text after a closing quote in the header"),
        (b'Row;"Value"\n2;"x"\n', 1, ""),
        (b'Error;"Row\n2;x"\n', 1, ""),
        (b'Error;Why,"so\n2;it,"\n', None, TWO_WAYS),
        (b'Error|"Why,"\r2|"it,"\r', None, "text after a closing quote in the header"),
        (b'"Row\nNo","' + b"x" * 70_000 + b'"\n', None, TWO_WAYS),
        (b"Row,Value\n,\n", 1, ""),
        (b"Row,Value\n \n", 1, ""),
        (b'"Row";"Value"\n', None, "text after a closing quote in the header"),
    ],
)
def test_what_is_not_certain_is_not_counted(
    content: bytes, rows: int | None, reason: str, size: int
) -> None:
    count = counted(content, [size] * len(content))
    assert (count.rows, count.reason) == (rows, reason)


@pytest.mark.parametrize("endless", [b'"', b"x", b"\n", b",", b"\r", b'"x', b'""'])
def test_however_long_a_value_is_little_of_it_is_kept(endless: bytes) -> None:
    rows, chunk = RowCount(), endless * (2**20 // len(endless))
    rows.update(b'a,b\n1,"')
    tracemalloc.start()
    for _ in range(20):
        rows.update(chunk)
    assert rows.rows is None
    (_, most) = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 12 * 2**20

"""A header that differs is told with what the difference is."""

import gzip
import unicodedata

import pytest

from straight_through.errors import FileTooLarge, HeaderMismatch
from straight_through.files.checks import check_file
from straight_through.reading.unzipping import MARK, Limits
from straight_through.routes import Route
from tests.unit.sent import Pieces, case, old_workbook, workbook

HEADER = ("id", "paid", "Müller")
CSV = "id,paid,Müller\nC-1,1.00,x\n".encode()
LIMITS = Limits(size=10**9, ratio=500)
TAKES = "A route with a field 'table' takes such files as they are."


def check(name: str, content: bytes, header: tuple[str, ...] = HEADER) -> None:
    """Check a file whose route asks for a header."""
    route = Route("claims", "c-broker", "d-claims", "p-claims", header=header)
    check_file(route, Pieces(content, name=name), LIMITS)


def told_of(name: str, content: bytes, header: tuple[str, ...] = HEADER) -> str:
    """What is said of another header."""
    with pytest.raises(HeaderMismatch) as raised:
        check(name, content, header)
    told = str(raised.value)
    assert told.endswith("Nothing was uploaded.")
    assert len(told) < 3000
    return told


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV),
        ("a.csv", MARK + CSV),
        ("a.csv", CSV.replace(b"\n", b"\r\n")),
        ("a.csv", CSV.replace(b"\n", b"\r")),
        ("a.csv", '"id","paid","Müller"'.encode()),
        ("a.csv", CSV + "Müller".encode("windows-1252")),
        ("a.csv.gz", gzip.compress(CSV, mtime=0)),
        ("a.csv.gz", gzip.compress(MARK + CSV, mtime=0)),
        ("a.tsv", CSV.replace(b",", b"\t")),
        ("a.tsv.gz", gzip.compress(CSV.replace(b",", b"\t"), mtime=0)),
        ("a.xlsx", workbook([HEADER, ["C-1", 1.0, "x"]])),
        ("a.xls", old_workbook([HEADER, ["C-1", 1.0, "x"]])),
    ],
)
def test_a_header_that_matches_passes(name: str, content: bytes) -> None:
    check(name, content)


DIFFERENCES = [
    ("id,paid", "'Müller' missing"),
    ("id,paid,Müller,more", "'more' too many"),
    ("id,paid,Muller", "'Müller' missing and 'Muller' too many"),
    ("paid,id,Müller", "the same columns in another order: 'id' is not column 1"),
    ("id,id,paid,Müller", "some of them twice: 'id'"),
    ("id,paid,Müller,,", "2 empty columns too many"),
    ("id,paid,Müller,", "1 empty column too many"),
    ("id, paid,Müller", "'paid' with spaces too many or too few"),
    ("ID,Paid,Müller", "'id', 'paid' with other capital letters"),
    ("id,paid\u00a0,Müller", "'paid' with a no-break space"),
    ("id,\u200bpaid,Müller", "'paid' with an invisible character"),
    (unicodedata.normalize("NFD", "id,paid,Müller"), "'Müller' in decomposed letters"),
    ("\ufeff\ufeffid,paid,Müller", "'id' with an invisible character"),
    ("Claims of May,,\n,,\nid,paid,Müller", "titles stand above it: it is row 3, and not the fi"),
    ("sep=,\nid,paid,Müller", "a line 'sep=,' stands above it"),
    ("id;paid;Müller", "the columns are separated by semicolons (;), and not by commas"),
    ("id\tpaid\tMüller", "the columns are separated by tabs, and not by commas"),
    ("id|paid|Müller", "the columns are separated by bars (|), and not by commas"),
    ("sep=;\nid;paid;Müller", "stands above it; the columns are separated by semicolons"),
    ("one,two,three,four", "the first row has 4 columns, and few of the 3 expected"),
    ("one", "the first row has 1 column, and few of the 3 expected"),
]


@pytest.mark.parametrize(("first", "says"), DIFFERENCES)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_difference_says_what_it_is(first: str, says: str, zipped: bool) -> None:  # noqa: FBT001
    content = f"{first}\nC-1,1.00,x\n".encode()
    name, content = ("a.csv.gz", gzip.compress(content, mtime=0)) if zipped else ("a.csv", content)
    told = told_of(name, content)
    assert says in told
    # And where more than a column's name is unusual, what would take it
    unusual = ("separated", "above it")
    assert (TAKES in told) == any(each in says for each in unusual)


@pytest.mark.parametrize(
    ("encoding", "says"),
    [
        ("utf-16", "the text is in UTF-16, and not in UTF-8"),
        ("windows-1252", "the text is not in UTF-8, but most likely in Windows-1252"),
    ],
)
def test_another_encoding_is_told(encoding: str, says: str) -> None:
    told = told_of("a.csv", CSV.decode().encode(encoding))
    assert says in told
    assert "missing" not in told
    assert TAKES in told


@pytest.mark.parametrize("write", [workbook, old_workbook])
@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([["id", "paid"]], "'Müller' missing"),
        ([["Claims of May"], HEADER], "titles stand above it: it is row 2"),
        ([["one", "two"]], "the first row has 2 columns, and few of the 3 expected"),
        ([["id", "paid\u00a0", "Müller"]], "'paid' with a no-break space"),
    ],
)
def test_a_workbooks_first_sheet_is_looked_at(write, rows, says) -> None:  # type: ignore[no-untyped-def]
    name = "a.xlsx" if write is workbook else "a.xls"
    assert says in told_of(name, write(rows))


def test_a_workbook_that_begins_further_down_is_told() -> None:
    assert "it is row 3, and not the first" in told_of("a.xlsx", workbook([HEADER], at=3))


def test_a_workbook_without_cells_is_told() -> None:
    assert "has no row that can be read" in told_of("a.xlsx", workbook([]))


def test_a_small_workbook_that_would_need_much_memory_is_refused() -> None:
    far = [["id"], *([[]] * 65_534), [*[""] * 255, "x"]]
    with pytest.raises(FileTooLarge, match="this one spans 16,777,216"):
        check("a.xls", old_workbook(far))


# --- bounds ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "content",
    [
        b"Erika Mustermann,1.00,x\n",
        b"",
        b"\n",
        b'id,paid,"Erika Mustermann,1.00\nid,2.00\n',
        b'id,paid,"' + b"Erika Mustermann," * 20_000,
        b"id,paid," + b"Erika Mustermann" * 9 + b"\n",
        b"Erika;Mustermann;1.00\nid,paid\n",
    ],
)
def test_no_row_of_data_is_ever_in_the_message(content: bytes) -> None:
    assert "Mustermann" not in told_of("a.csv", content)


def test_many_columns_are_counted() -> None:
    header = tuple(f"column {number}" for number in range(120))
    told = told_of("a.csv", ",".join(header[:60] + tuple("abcdefghijk")).encode(), header)
    assert "'column 67' and 52 more missing" in told
    assert "'h' and 3 more too many" in told


def test_16384_columns_make_a_short_message() -> None:
    content = case("sent-16384-columns.xlsx").part(0, 10**6)
    told = told_of("a.xlsx", content, ("Policy", "Insured", "Premium"))
    assert "has 16,384 columns, 16,382 of them empty, and few of the 3 expected ones" in told
    told = told_of("a.xlsx", content, ("Policy",))
    assert "' ' and 16,382 empty columns too many" in told
    assert len(told) < 400


SENT = {
    "sent-utf16.csv": "in UTF-16",
    "sent-semicolon-cp1252.csv": "Windows-1252; the columns are separated by semicolons",
    "sent-sep-line.csv": "a line 'sep=;' stands above it",
    "sent-no-break-space.csv": "'Policy' with a no-break space",
    "sent-titles.csv": "titles stand above it: it is row 3",
}


@pytest.mark.parametrize("name", SENT)
def test_what_was_sent_is_refused_with_what_it_is(name: str) -> None:
    told = told_of(name, case(name).part(0, 10**6), ("Policy", "Insured", "Premium"))
    assert SENT[name] in told

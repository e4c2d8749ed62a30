"""What is looked at before a file goes up."""

import gzip
import hashlib
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest

from straight_through.bodies import CHUNK
from straight_through.checks import as_it_goes_up, check_file
from straight_through.errors import HeaderMismatch, WrongFormat
from straight_through.formats import MeasuredBody, is_text
from straight_through.routes import Route
from straight_through.unzipping import MARK, Limits, WithoutMark

CSV = "id,paid,Müller\nC-1,1.00,x\n".encode()
XLSX, XLS = b"PK\x03\x04 and more", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and more"
HEADER = ("id", "paid", "Müller")
LIMITS = Limits(size=10**9, ratio=500)


class Pieces:
    """A body that comes in pieces of one size."""

    def __init__(self, content: bytes, size: int = CHUNK, name: str = "a.csv") -> None:
        """Take all of it."""
        self._content, self._size, self.name = content, size, name
        self.read = 0

    def part(self, start: int, size: int) -> bytes:
        """Give a part of it."""
        self.read += size
        return self._content[start : start + size]

    def __len__(self) -> int:
        """Return its size."""
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        """Give piece after piece."""
        for at in range(0, len(self._content), self._size):
            piece = self._content[at : at + self._size]
            self.read += len(piece)
            yield piece


def route(header: tuple[str, ...] = ()) -> Route:
    """A route whose files must have this header."""
    return Route("claims", "c-broker", "d-claims", "p-claims", header=header)


def up(name: str, content: bytes, header: tuple[str, ...] = (), size: int = CHUNK) -> bytes:
    """What goes up of a file; its length is what was promised, each time that it is read."""
    file = Pieces(content, size, name)
    body = as_it_goes_up(file, check_file(route(header), file, LIMITS))
    sent = b"".join(body)
    assert (len(sent), b"".join(body)) == (len(body), sent)
    return sent


# --- a mark in gzip -------------------------------------------------------------------------------
MEMBERS = [
    gzip.compress(MARK + CSV, mtime=0),
    gzip.compress(MARK + CSV[:9], mtime=0) + gzip.compress(CSV[9:], mtime=0),
    gzip.compress(MARK[:1], mtime=0)
    + gzip.compress(b"", mtime=0)
    + gzip.compress(MARK[1:] + CSV, mtime=0),
    gzip.compress(MARK + CSV, mtime=0) + b"\0" * 512,
]


@pytest.mark.parametrize("size", [1, 3, 7, CHUNK])
@pytest.mark.parametrize("content", MEMBERS, ids=["one", "two", "mark cut", "padded"])
def test_a_gzip_goes_up_without_its_mark_and_otherwise_the_same(content: bytes, size: int) -> None:
    assert gzip.decompress(up("a.csv.gz", content, size=size)) == CSV


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv.gz", gzip.compress(CSV, mtime=0)),
        ("a.csv.gz", gzip.compress(CSV + MARK, mtime=0)),
        ("a.csv.gz", gzip.compress(b"", mtime=0)),
        ("a.csv.gz", gzip.compress(MARK[:2], mtime=0)),
        ("a.csv", MARK + CSV),
        ("a.xlsx", XLSX),
    ],
)
def test_every_other_file_goes_up_as_it_is(name: str, content: bytes) -> None:
    assert up(name, content) == content


@pytest.mark.parametrize("damage", ["cut", "cut within the trailer", "changed", "followed"])
def test_a_damaged_gzip_is_never_sent_as_a_whole_one(damage: str) -> None:
    whole = gzip.compress(MARK + CSV * 9, mtime=0)
    content = {
        "cut": whole[:-20],
        "cut within the trailer": whole[:-2],
        "changed": whole[:-8] + b"\0\0\0\0" + whole[-4:],
        "followed": whole + b"rubbish",
    }[damage]
    with pytest.raises(WrongFormat, match=r"is damaged: it cannot be unzipped \(.+\)"):
        up("a.csv.gz", content, size=7)


def test_however_much_it_expands_little_of_it_is_held() -> None:
    # Given 200 MB in 200 KB
    zipper = zlib.compressobj(wbits=31)
    parts = [zipper.compress(MARK), *(zipper.compress(b"x" * CHUNK) for _ in range(200))]
    body = Pieces(b"".join([*parts, zipper.flush()]))
    # When it is sent without its mark
    tracemalloc.start()
    sent = sum(len(chunk) for chunk in WithoutMark(body))
    (_, most) = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent < 10**6
    assert most < 20 * CHUNK


# --- the first bytes ------------------------------------------------------------------------------
FIRST = {
    ".csv": CSV,
    ".CSV": CSV,
    ".txt": CSV,
    ".tsv": CSV,
    ".csv.gz": gzip.compress(CSV, mtime=0),
    ".xlsx": XLSX,
    ".xls": XLS,
}
KIND = {".csv.gz": "gzip", ".xlsx": "XLSX", ".xls": "XLS"}


@pytest.mark.parametrize("size", [1, CHUNK])
@pytest.mark.parametrize("ending", FIRST)
def test_first_bytes_that_fit_the_name_pass(ending: str, size: int) -> None:
    assert up(f"claims/may{ending}", FIRST[ending], size=size) == FIRST[ending]


@pytest.mark.parametrize(
    ("says", "holds"),
    [
        (says, holds)
        for says in FIRST
        for holds in (".csv", *KIND)
        if KIND.get(says) != KIND.get(holds)
    ],
)
def test_first_bytes_that_do_not_are_told(says: str, holds: str) -> None:
    with pytest.raises(WrongFormat) as raised:
        up(f"claims/may{says}", FIRST[holds])
    told = str(raised.value)
    assert f"says {KIND.get(says, 'text')}" in told
    assert f"say {KIND.get(holds, 'something else')}" in told
    assert "Nothing was uploaded" in told


def test_a_name_that_says_nothing_takes_every_file() -> None:
    for content in FIRST.values():
        assert up("claims/may.dat", content) == content


def test_of_a_plain_file_only_the_start_is_read_before() -> None:
    body = Pieces(CSV * 100_000, 1024)
    check_file(route(HEADER), body, LIMITS)
    assert body.read <= 256 * 1024


# --- the header -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV),
        ("a.csv", MARK + CSV),
        ("a.csv", CSV.replace(b"\n", b"\r\n")),
        ("a.csv", '"id","paid","Müller"'.encode()),
        ("a.csv.gz", gzip.compress(CSV, mtime=0)),
        ("a.csv.gz", gzip.compress(MARK + CSV, mtime=0)),
        ("a.tsv", CSV.replace(b",", b"\t")),
        ("a.tsv.gz", gzip.compress(CSV.replace(b",", b"\t"), mtime=0)),
        ("a.xlsx", XLSX),
        ("a.xls", XLS),
    ],
)
def test_a_header_that_matches_passes_and_a_workbooks_is_not_read(
    name: str, content: bytes
) -> None:
    assert up(name, content, HEADER)


@pytest.mark.parametrize(
    ("first", "told"),
    [
        ("id,paid", "'Müller' missing"),
        ("id,paid,Müller,more", "'more' too many"),
        ("id,paid,Muller", "'Müller' missing and 'Muller' too many"),
        ("paid,id,Müller", "the same columns in another order"),
        ("id,id,paid,Müller", "some of them twice"),
        ("id;paid;Müller", "the first row has 1 columns, and few of the 3 expected"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_another_header_is_told_with_the_difference(first: str, told: str, zipped: bool) -> None:  # noqa: FBT001
    content = f"{first}\nC-1,1.00,x\n".encode()
    name, content = ("a.csv.gz", gzip.compress(content, mtime=0)) if zipped else ("a.csv", content)
    with pytest.raises(HeaderMismatch) as raised:
        up(name, content, HEADER)
    assert told in str(raised.value)
    assert "Nothing was uploaded" in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [
        b"Erika Mustermann,1.00,x\n",
        b"",
        b'id,paid,"Erika Mustermann,1.00\nid,2.00\n',
        b'id,paid,"' + b"Erika Mustermann," * 20_000,
        b"id,paid," + b"Erika Mustermann" * 9 + b"\n",
    ],
)
def test_no_row_of_data_is_ever_in_the_message(content: bytes) -> None:
    with pytest.raises(HeaderMismatch) as raised:
        up("a.csv", content, HEADER)
    assert "Mustermann" not in str(raised.value)


# --- measures -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("key", "rows"), [("a.csv", 1), ("a.TXT", 1), ("a.csv.gz", None), ("a.xlsx", None)]
)
def test_what_goes_up_is_measured_and_only_text_has_rows(key: str, rows: int | None) -> None:
    body = MeasuredBody(Pieces(CSV, 5), is_text=is_text(key))
    assert body.measures == {"sha256": None, "rows": None}
    for _ in range(2):  # also where it is sent again
        assert b"".join(body) == CSV
        assert body.measures == {"sha256": hashlib.sha256(CSV).hexdigest(), "rows": rows}

"""What is looked at before a file goes up."""

import gzip
import random
import re
import tracemalloc
import zlib

import pytest

from quantemplate.bodies import CHUNK
from straight_through.errors import FileTooLarge, WrongFormat
from straight_through.files.checks import as_it_goes_up, check_file
from straight_through.reading.unzipping import MARK, Limits, WithoutMark, unzipped
from straight_through.routes import Route
from tests.unit.sent import (
    Pieces,
    archive,
    locked,
    locked_old_workbook,
    old_workbook,
    ole,
    workbook,
)

CSV = "id,paid,Müller\nC-1,1.00,x\n".encode()
HEADER = ("id", "paid", "Müller")
XLSX, XLS = workbook([HEADER, ["C-1", 1.0, "x"]]), old_workbook([HEADER, ["C-1", 1.0, "x"]])
LIMITS = Limits(size=10**9, ratio=500)


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
    # Given 60 MB in 60 KB
    zipper = zlib.compressobj(wbits=31)
    parts = [zipper.compress(MARK), *(zipper.compress(b"x" * CHUNK) for _ in range(60))]
    body = Pieces(b"".join([*parts, zipper.flush()]))
    # When it is sent without its mark
    tracemalloc.start()
    sent = sum(len(chunk) for chunk in WithoutMark(body))
    (_, most) = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent < 10**6
    assert most < 20 * CHUNK


# --- what a file is -------------------------------------------------------------------------------
FIRST = {
    ".csv": CSV,
    ".CSV": CSV,
    ".txt": CSV,
    ".tsv": CSV,
    ".csv.gz": gzip.compress(CSV, mtime=0),
    ".xlsx": XLSX,
    ".xls": XLS,
}
SAID = {".csv.gz": "it is gzip", ".xlsx": "it is an XLSX workbook", ".xls": "it is an XLS workbook"}


@pytest.mark.parametrize("size", [1, CHUNK])
@pytest.mark.parametrize("ending", FIRST)
def test_what_fits_its_name_passes(ending: str, size: int) -> None:
    assert up(f"claims/may{ending}", FIRST[ending], size=size) == FIRST[ending]


@pytest.mark.parametrize(
    ("says", "holds"),
    [
        (says, holds)
        for says in FIRST
        for holds in (".csv", *SAID)
        if SAID.get(says) != SAID.get(holds)
    ],
)
def test_what_does_not_is_told_with_the_name_that_would(says: str, holds: str) -> None:
    with pytest.raises(WrongFormat) as raised:
        up(f"claims/may{says}", FIRST[holds])
    told = str(raised.value)
    assert f"name ends with {says.lower().removeprefix('.csv') or '.csv'}, and" in told
    assert SAID.get(holds, "it is plain text") in told
    assert f"name that ends with {holds}." in told
    assert "Nothing was uploaded" in told


def test_a_name_that_says_nothing_takes_every_file_that_is_taken() -> None:
    for content in FIRST.values():
        assert up("claims/may.dat", content) == content


MAIL = b"Received: from a\r\n by b\r\nFrom: Erika <e@example.org>\r\nSubject: May\r\n\r\nid\r\n"
S3_ERROR = b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>'
EXCEL_2003 = b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>\n<Workbook xmlns="x">'
REFUSED = {
    "a web page": (".csv", b"<!DOCTYPE html><html><body>Sign in</body></html>"),
    "a web page, with a mark": (".csv", MARK + b"\r\n <HTML lang=en>"),
    "a web page (HTML) that has the name of a workbook": (".xls", b"<table><tr><td>id</td></tr>"),
    "a workbook in the XML of Excel 2003": (".xls", EXCEL_2003),
    "an error message in XML": (".csv", S3_ERROR),
    "XML": (".csv", b"<?xml version='1.0'?><claims/>"),
    "JSON": (".csv", b'[{"id": 1}]'),
    "JSON, an error": (".txt", b'{"message": "Forbidden"}'),
    "an e-mail": (".csv", MAIL),
    "a PDF document": (".csv", b"%PDF-1.7\n"),
    "a PDF document, as a workbook": (".xlsx", b"%PDF-1.7\n"),
    "a text document (RTF)": (".txt", b"{\\rtf1\\ansi id,paid}"),
    "a pointer of Git LFS": (".csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0"),
    "a 7-Zip archive": (".7z", b"7z\xbc\xaf\x27\x1c\x00\x04"),
    "a RAR archive": (".rar", b"Rar!\x1a\x07\x01\x00"),
    "packed with Zstandard": (".csv.zst", b"\x28\xb5\x2f\xfd\x04"),
    "packed with bzip2": (".csv.bz2", b"BZh91AY&SY"),
    "packed with xz": (".csv.xz", b"\xfd7zXZ\x00\x00"),
    "a Parquet file": (".parquet", b"PAR1\x15\x04"),
    "a shortcut": (".lnk", b"\x4c\x00\x00\x00\x01\x14\x02\x00"),
    "a shortcut, of the web": (".url", b"[InternetShortcut]\r\nURL=https://example.org"),
    "a placeholder": (".csv.icloud", b"bplist00\xd4"),
    "what a Mac keeps beside a file": (".csv", b"\x00\x05\x16\x07\x00\x02\x00\x00"),
    "encrypted (PGP)": (".csv", b"-----BEGIN PGP MESSAGE-----\n"),
    "text in UTF-16 without the mark": (".csv", CSV.decode().encode("utf-16-le")),
    "text in UTF-16 without the mark, the other way": (".csv", CSV.decode().encode("utf-16-be")),
    "text in UTF-32": (".csv", CSV.decode().encode("utf-32")),
    "no text: it has bytes that are zero": (".csv", b"id,paid\n" + bytes(100)),
    "a ZIP archive (claims/a.csv, b_.csv)": (
        ".zip",
        archive({"claims/a.csv": CSV, "b\n.csv": CSV}),
    ),
    "a ZIP archive (0.csv, 1.csv, 2.csv and 97 more)": (
        ".csv",
        archive({f"{number}.csv": CSV for number in range(100)}),
    ),
    "a ZIP archive (inner/a.csv)": (".xlsx", archive({"inner/": b"", "inner/a.csv": CSV})),
    "a ZIP archive with nothing in it": (".xlsx", archive({})),
    "an OpenDocument file (.ods)": (".ods", archive({"mimetype": b"x", "content.xml": b"<x/>"})),
    "a Word document": (".docx", archive({"word/document.xml": b"<x/>"})),
    "a binary workbook (XLSB)": (".xlsx", archive({"xl/workbook.bin": b"x"})),
    "a workbook or a ZIP archive whose end is missing": (".xlsx", XLSX[:-200]),
    "an XLS workbook, or another OLE file, that cannot be read": (".xls", XLS[:600]),
    "a workbook with a password": (".xlsx", locked()),
    "a workbook with a password, as its old kind": (".xls", locked()),
    "a workbook with a password, as text": (".csv", locked()),
    "a workbook with a password, as anything": (".dat", locked()),
    "a workbook with a password, of the old kind": (".xls", locked_old_workbook()),
    "an e-mail, of Outlook": (".msg", ole("__properties_version1.0")),
    "a Word document, of the old kind": (".doc", ole("WordDocument")),
    "an OLE file of some program": (".xls", ole("Something")),
}
# Of what is damaged or encrypted nothing is to be sent under any name.
OTHER_NAME = ("under another name", "with a name that ends")


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_taken_is_refused_with_what_it_is_and_what_to_do(what: str) -> None:
    ending, content = REFUSED[what]
    with pytest.raises(WrongFormat) as raised:
        up(f"claims/may{ending}", content)
    told = str(raised.value)
    assert f" is {what.partition(', ')[0]}" in told if "(" not in what else what in told
    assert told.endswith("Nothing was uploaded.")
    assert len(told) < 500
    assert told.isprintable()
    assert "Erika" not in told
    assert not any(advice in told for advice in OTHER_NAME)


PACKED = {
    "gzip once more: it was zipped twice": gzip.compress(CSV, mtime=0),
    "a workbook or a ZIP archive": XLSX,
    "an XLS workbook": XLS,
    "a web page (HTML)": b"<html></html>",
    "a workbook with a password": locked(),
    "no text: it has bytes that are zero": bytes(999),
}


@pytest.mark.parametrize("size", [7, CHUNK])
@pytest.mark.parametrize("what", PACKED)
def test_what_is_gzipped_must_be_text(what: str, size: int) -> None:
    for name in ("may.csv.gz", "may.gz"):
        with pytest.raises(WrongFormat, match=re.escape(f"Unzipped, it is {what}")):
            up(name, gzip.compress(PACKED[what], mtime=0), size=size)


def test_a_text_that_looks_a_little_like_another_thing_passes() -> None:
    for content in (
        b"<5k,5k-10k\n1,2\n",
        b"[id],[paid]\n1,2\n",
        b"{id},{paid}\n1,2\n",
        b"From,To,Subject\n1,2,3\n",
        b"Date: of loss,To: whom\n1,2\n",
        b"version,oid\n1,2\n",
        b"BZ,PAR\n1,2\n",
        b"a" * 10_000 + b"\0",
        CSV.decode().encode("utf-16"),
        "Prämie;Schaden\n".encode("windows-1252"),
    ):
        assert up("claims/may.csv", content) == content


def test_of_a_plain_file_only_the_start_is_read_before() -> None:
    body = Pieces(CSV * 100_000, 1024)
    check_file(route(HEADER), body, LIMITS)
    assert body.read <= 256 * 1024


def test_of_a_large_workbook_little_is_read_before() -> None:
    # Given a workbook with ten megabytes of a picture in it, which cannot be packed
    picture = random.Random(1).randbytes(10**7)  # noqa: S311 - no secret
    content = workbook([HEADER], beside={"xl/media/picture.png": picture})
    body = Pieces(content, name="may.xlsx")
    check_file(route(), body, LIMITS)
    assert body.read < 3 * CHUNK


# --- how large it becomes -------------------------------------------------------------------------
def test_what_becomes_too_large_once_it_is_unzipped_is_refused() -> None:
    bomb = Pieces(gzip.compress(bytes(300_000_000), 1), name="may.csv.gz")
    for limits, says in (
        (Limits(size=200_000_000, ratio=10**6), r"larger than 0\.2 GB .* LargestUnzippedGB"),
        (Limits(size=10**12, ratio=100), r"more than 100 times .* LargestUnzippedRatio"),
    ):
        with pytest.raises(FileTooLarge, match=says):
            sum(map(len, unzipped(bomb, limits)))


def test_a_small_one_may_become_as_many_times_as_large_as_it_likes() -> None:
    small = gzip.compress(CSV + b"x" * 10_000_000, mtime=0)
    check_file(route(), Pieces(small, name="may.csv.gz"), Limits(size=10**9, ratio=2))


def test_what_cannot_be_read_in_time_is_left_to_the_turn() -> None:
    # Given an archive that breaks off, and no time to see it
    cut = Pieces(gzip.compress(CSV * 99_999, mtime=0)[:-9], 64, name="may.csv.gz")
    left = iter([3.0, 2.0, 1.0, 0.0])
    checked = check_file(route(), cut, LIMITS, lambda: next(left))
    # Then it is known that it was not read whole, and the turn finds it out
    assert not checked.whole
    with pytest.raises(WrongFormat, match="its end is missing"):
        check_file(route(), cut, LIMITS)

"""The one table of what people send: where it stands, what it says, and what is refused."""

import csv
import datetime
import gzip
import io
import re
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlwt
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from quantemplate.bodies import FileBody
from straight_through.errors import (
    FileTooLarge,
    HeaderMismatch,
    TableUnclear,
    TransferTooSlow,
    WrongFormat,
)
from straight_through.files.prepared import Made, find, prepare
from straight_through.reading.unzipping import Limits
from straight_through.table_spec import TableSpec
from straight_through.time_left import Left, unhurried

CASES = Path(__file__).parent / "cases"
LIMITS = Limits(10**9, 500)
HEADER = ("Policy", "Insured", "Premium")
TABLE = [[*HEADER], ["007001", "Müller & Söhne", "1250.50"], ["007002", "Tarn, Valley", "980.00"]]
PLAIN = 'Policy,Insured,Premium\n007001,Müller & Söhne,1250.50\n007002,"Tarn, Valley",980.00\n'


@pytest.fixture
def sent(tmp_path: Path) -> Any:
    """Write what was sent."""

    def sent(content: bytes | str) -> FileBody:
        path = tmp_path / "sent"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return FileBody(path)

    return sent


def prepared(
    file: FileBody,
    header: tuple[str, ...] = (),
    limits: Limits = LIMITS,
    left: Left = unhurried,
    **spec: Any,
) -> tuple[Made, list[list[str]]]:
    """What is made of a file, and told of it."""
    out = io.BytesIO()
    made = prepare(file, TableSpec(**spec), header, limits, out, left)
    return made, list(csv.reader(io.StringIO(out.getvalue().decode(), newline="")))


def refusal(file: FileBody, header: tuple[str, ...] = (), **spec: Any) -> str:
    """Why a file is refused, before its turn and within it."""
    with pytest.raises((TableUnclear, HeaderMismatch)) as raised:
        prepared(file, header, **spec)
    with pytest.raises((TableUnclear, HeaderMismatch)) as before:
        find(file, TableSpec(**spec), header, LIMITS)
    assert str(before.value) == str(raised.value)
    assert str(raised.value).endswith("Nothing was uploaded.")
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1500
    return str(raised.value)


def workbook(*rows: list[Any], **formats: str) -> bytes:
    """A workbook with one sheet; `formats` are those of cells."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    for cell, code in formats.items():
        sheet[cell].number_format = code
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def changed(content: bytes, part: str, *changes: tuple[str, str]) -> bytes:
    """A workbook whose XML was changed."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            data = old.read(name).decode()
            if name == part:
                for before, after in changes:
                    assert before in data
                    data = data.replace(before, after)
            new.writestr(name, data)
    return made.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


# --- what was sent and went wrong -----------------------------------------------------------------
@pytest.mark.parametrize("header", [(), HEADER])
@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("sent-utf16.csv", {"encoding": "utf-16-le"}),
        ("sent-semicolon-cp1252.csv", {"encoding": "windows-1252", "delimiter": ";"}),
        ("sent-sep-line.csv", {"delimiter": ";"}),
        ("sent-no-break-space.csv", {}),
        ("sent-titles.csv", {"header_row": 3}),
        ("sent-one-member.zip", {"member": "march.csv"}),
    ],
)
def test_a_text_as_people_send_it_gives_the_same_table(
    name: str, where: dict[str, Any], header: tuple[str, ...]
) -> None:
    file = FileBody(CASES / name)
    made, table = prepared(file, header)
    assert table == TABLE
    usual = {
        "member": None,
        "sheet": None,
        "encoding": "utf-8",
        "delimiter": ",",
        "header_row": 1,
        "first_column": "A",
    }
    assert made.where == usual | where
    assert made.rows == 2
    assert find(file, TableSpec(), header, LIMITS).rows == tuple(map(tuple, TABLE[1:]))


def test_a_workbook_as_people_send_it_gives_its_table() -> None:
    made, table = prepared(FileBody(CASES / "sent-titles.xlsx"), sheet="premium*")
    assert table == [
        ["Policy", "Insured", "Inception", "Premium"],
        ["007001", "Müller & Söhne", "2026-03-01", "1250.5"],
        ["007002", "Tarn, Valley", "2026-03-02", "980"],
    ]
    assert made.where["sheet"] == "Premium March"
    assert (made.where["header_row"], made.where["first_column"]) == (4, "B")
    left_out = {"rows_above": 1, "rows_below": 1, "blank_rows": 0, "blank_columns": 0}
    assert made.left_out == left_out


def test_16384_columns_are_told_in_short() -> None:
    told = refusal(FileBody(CASES / "sent-16384-columns.xlsx"))
    assert "row 1 has 'Policy'; row 2 has '007001'" in told
    _, table = prepared(FileBody(CASES / "sent-16384-columns.xlsx"), ("Policy",))
    assert table == [["Policy"], ["007001"]]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("sent-cut.csv.gz", "its end is missing"),
        ("sent-gzipped-twice.csv.gz", "packed twice"),
        ("sent-zip-in-gz.csv.gz", "packed twice"),
        ("sent-lfs-pointer.csv", "pointer of Git LFS"),
        ("sent-page.csv", "web page"),
        ("sent-password.xlsx", "has a password"),
    ],
)
def test_what_is_no_table_is_told_as_what_it_is(name: str, told: str) -> None:
    with pytest.raises(WrongFormat, match=told):
        prepared(FileBody(CASES / name))


# --- bytes ----------------------------------------------------------------------------------------
def test_the_csv_is_what_a_dataset_wants_and_always_the_same_bytes(sent: Any) -> None:
    # Given cells with quotes, separators, line breaks of each kind, and blanks
    file = sent('Id;Text\r\n1;" a ""b"";c,d"\r\n2;"e\nf\rg\r\nh"\r\n3;\u00a0 i\u00a0\r\n')
    first, second = io.BytesIO(), io.BytesIO()
    # When it is made twice
    made = prepare(file, TableSpec(), (), LIMITS, first)
    assert prepare(file, TableSpec(), (), LIMITS, second) == made
    # Then no value has changed, and the bytes are the same
    assert first.getvalue() == second.getvalue()
    expected = 'Id,Text\r\n1," a ""b"";c,d"\r\n2,"e\nf\rg\r\nh"\r\n3,\u00a0 i\u00a0\r\n'
    assert first.getvalue().decode() == expected
    assert made.size == len(expected.encode())


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", ",;\t|")
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_encoding_separator_and_line_end_gives_the_same_table(
    sent: Any, codec: str, delimiter: str, end: str
) -> None:
    text = end.join(delimiter.join(f'"{cell}"' for cell in row) for row in TABLE)
    assert prepared(sent(text.encode(codec)))[1] == TABLE


@pytest.mark.parametrize(
    "pack",
    [
        lambda data: gzip.compress(data[:40]) + gzip.compress(data[40:]),
        lambda data: zipped(("March/", b""), ("March/a.csv", data), ("__MACOSX/._a.csv", b"\0\5")),
    ],
)
@pytest.mark.parametrize("inner", [PLAIN.encode(), workbook(["Id", "No"], ["a", 1])])
def test_what_is_packed_once_is_unpacked(sent: Any, pack: Any, inner: bytes) -> None:
    table = TABLE if inner == PLAIN.encode() else [["Id", "No"], ["a", "1"]]
    assert prepared(sent(pack(inner)))[1] == table


def zipped(*members: tuple[str, bytes]) -> bytes:
    """A zip archive."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return data.getvalue()


def test_a_zip_of_two_files_is_refused_with_their_names(sent: Any) -> None:
    told = refusal(sent(zipped(("a.csv", PLAIN.encode()), ("b.csv", b"x"))))
    assert "has 2 files, and one is expected: 'a.csv', 'b.csv'" in told


@pytest.mark.parametrize(
    "inner", [zipped(("a.csv", b"x")), gzip.compress(b"x")], ids=["zip", "gzip"]
)
def test_what_is_packed_twice_is_refused(sent: Any, inner: bytes) -> None:
    with pytest.raises(WrongFormat, match="packed twice"):
        prepared(sent(zipped(("a.zip", inner))))


# --- values ---------------------------------------------------------------------------------------
DAY, MOMENT = datetime.date(2026, 3, 1), datetime.datetime(2026, 3, 1, 12, 30, 15)  # noqa: DTZ001
VALUES: list[tuple[Any, str]] = [
    ("007", "007"),
    (" a ", " a "),
    ("  ", "  "),
    ("x\u00a0y", "x\u00a0y"),
    ("two\nlines", "two\nlines"),
    (7, "7"),
    (7.0, "7"),
    (-0.0, "0"),
    (0.1, "0.1"),
    (1 / 3, "0.3333333333333333"),
    (1e20, "100000000000000000000"),
    (1e-7, "0.0000001"),
    (123456789012345678, "123456789012345700"),  # which is what the workbook has
    (True, "TRUE"),
    (False, "FALSE"),
    ("#N/A", "#N/A"),
    (DAY, "2026-03-01"),
    (MOMENT, "2026-03-01T12:30:15"),
    (MOMENT.replace(microsecond=5000), "2026-03-01T12:30:15.005"),
    (datetime.time(8, 5), "08:05:00"),
    (datetime.timedelta(hours=30, minutes=5), "30:05:00"),
]


@pytest.mark.parametrize(("value", "text"), VALUES, ids=str)
def test_a_value_of_a_workbook_comes_out_as_it_is(sent: Any, value: Any, text: str) -> None:
    file = sent(workbook(["Id", "Value"], [1, value], [2, "x"]))
    assert prepared(file, ("Id", "Value"))[1] == [["Id", "Value"], ["1", text], ["2", "x"]]


@pytest.mark.parametrize(
    ("number", "code", "text"),
    [
        (0.125, "0.00%", "0.125"),
        (1250.5, '#,##0.00 "GBP"', "1250.5"),
        (7, "000000", "7"),
        (45000, "[$-409]d-mmm-yy;@", "2023-03-15"),
        (45000, '"on" yyyy/mm/dd', "2023-03-15"),
        (45000, "mmm yyyy", "2023-03-15"),
        (45000.25, "dd/mm/yyyy", "2023-03-15T06:00:00"),
        (0.5, "hh:mm", "12:00:00"),
        (1.5, "[h]:mm", "36:00:00"),
        (0.000011574074, "ss.00", "00:00:01"),
        (1200, '0.0,"m"', "1200"),
        (1200, "0.00E+00", "1200"),
        # What is no day of the calendar stays a number: an empty date's 0, 29 February 1900.
        (0, "yyyy-mm-dd", "0"),
        (-5, "yyyy-mm-dd", "-5"),
        (60, "yyyy-mm-dd", "60"),
        (59, "yyyy-mm-dd", "1900-02-28"),
        (61, "yyyy-mm-dd", "1900-03-01"),
        (2958466, "yyyy-mm-dd", "2958466"),
    ],
)
def test_a_number_is_a_moment_where_its_format_says_so(
    sent: Any, number: float, code: str, text: str
) -> None:
    file = sent(workbook(["Id", "Value"], [1, number], B2=code))
    assert prepared(file)[1][1:] == [["1", text]]


def test_a_long_number_keeps_the_digits_that_the_file_has(sent: Any) -> None:
    content = workbook(["Id", "Value"], ["a", 5])
    content = changed(content, SHEET, ("<v>5</v>", "<v>12345678901234567890</v>"))
    assert prepared(sent(content))[1][1] == ["a", "12345678901234567890"]


def test_the_calendar_of_1904_and_dates_in_iso_8601_are_known(sent: Any) -> None:
    book = openpyxl.Workbook()
    book.epoch = CALENDAR_MAC_1904
    assert book.active is not None
    for row in (["Id", "Day"], [1, DAY]):
        book.active.append(row)
    data = io.BytesIO()
    book.save(data)
    assert prepared(sent(data.getvalue()))[1][1] == ["1", "2026-03-01"]
    book = openpyxl.Workbook(iso_dates=True)
    book.iso_dates = True
    assert book.active is not None
    for row in (["Id", "Day"], [1, DAY]):
        book.active.append(row)
    data = io.BytesIO()
    book.save(data)
    assert prepared(sent(data.getvalue()))[1][1][1].startswith("2026-03-01")


def test_a_formula_comes_out_as_what_it_gave_and_an_error_as_its_name(sent: Any) -> None:
    content = workbook(["Id", "A", "B", "C"], [1, "=1+1", "=NA()", '=""'])
    content = changed(
        content,
        SHEET,
        ("<f>1+1</f><v />", "<f>1+1</f><v>2</v>"),
        ('<c r="C2"><f>NA()</f><v />', '<c r="C2" t="e"><f>NA()</f><v>#N/A</v>'),
        ('<c r="D2"><f>""</f><v />', '<c r="D2" t="str"><f>""</f><v></v>'),
    )
    assert prepared(sent(content))[1][1] == ["1", "2", "#N/A", ""]


def test_a_formula_that_was_never_calculated_is_refused(sent: Any) -> None:
    content = workbook(["Id", "A"], [1, "=1+1"])
    content = changed(content, SHEET, ("<f>1+1</f><v />", "<f>1+1</f>"))
    assert "Cell B2 has a formula that was never calculated" in refusal(sent(content))


def test_shared_texts_with_runs_and_pronunciation_are_read(sent: Any) -> None:
    # Given a workbook with its texts in a part of their own, under a prefix
    content = workbook(["Id", "Name"], [1, "x"])
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            data = old.read(name).decode()
            if name == SHEET:
                data = data.replace('t="inlineStr"><is><t>x</t></is>', 't="s"><v>0</v>')
            if name.endswith("workbook.xml.rels"):
                kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
                shared = f'<Relationship Id="rId99" Type="{kind}sharedStrings" Target="texts.xml"/>'
                data = data.replace("</Relationships>", shared + "</Relationships>")
            new.writestr(name, data)
        new.writestr(
            "xl/texts.xml",
            '<x:sst xmlns:x="urn:x"><x:si><x:r><x:t>To</x:t></x:r><x:r><x:t xml:space="preserve">'
            "kyo_x000D_ </x:t></x:r><x:rPh><x:t>spoken</x:t></x:rPh></x:si></x:sst>",
        )
    assert prepared(sent(made.getvalue()))[1][1] == ["1", "Tokyo\r "]


def test_an_older_workbook_gives_the_same_values(sent: Any) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("A")
    day = xlwt.easyxf(num_format_str="yyyy-mm-dd")
    clock = xlwt.easyxf(num_format_str="hh:mm:ss")
    elapsed = xlwt.easyxf(num_format_str="[h]:mm:ss")
    for at, name in enumerate(["Id", "Text", "Number", "Day", "Moment", "Time", "Long", "Yes"]):
        sheet.write(2, at + 1, name)
    for at, (value, style) in enumerate(
        [
            *[(7.0, None), ("007", None), (0.1, None), (DAY, day), (MOMENT, day)],
            *[(datetime.time(8, 5), clock), (1.25, elapsed), (True, None)],
        ]
    ):
        sheet.write(3, at + 1, value, *([style] if style else []))
    data = io.BytesIO()
    book.save(data)
    made, table = prepared(sent(data.getvalue()))
    assert table[1] == [
        *["7", "007", "0.1", "2026-03-01", "2026-03-01T12:30:15", "08:05:00", "30:00:00", "TRUE"]
    ]
    assert (made.where["header_row"], made.where["first_column"]) == (3, "B")


def test_an_older_workbook_with_an_error_in_a_cell_is_refused(sent: Any) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("A")
    for at, name in enumerate(["Id", "Value"]):
        sheet.write(0, at, name)
    sheet.write(1, 0, 1)
    sheet.row(1).set_cell_error(1, 0x2A)
    data = io.BytesIO()
    book.save(data)
    assert "have errors such as #N/A" in refusal(sent(data.getvalue()))


def binary(kind: int, data: bytes = b"") -> bytes:
    """A record of an XLSB: its kind and its size in sevens of bits, and its data."""
    number = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
    return number + bytes([len(data)]) + data


def wide(text: str) -> bytes:
    """A text of an XLSB."""
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def xlsb(*rows: bytes) -> bytes:
    """A workbook of the binary kind, of these rows' cells."""
    told = b"".join(
        binary(0, struct.pack("<I", number) + bytes(13)) + row for number, row in enumerate(rows)
    )
    sheet = [binary(129), binary(148, struct.pack("<IIII", 0, len(rows) - 1, 0, 1)), binary(145)]
    book = [
        binary(131),
        binary(143),
        binary(156, struct.pack("<II", 0, 1) + wide("rId1") + wide("A")),
    ]
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"
    related = f'<Relationship Id="rId1" Type="{kind}" Target="worksheets/sheet1.bin"/>'
    return zipped(
        ("[Content_Types].xml", b"<Types/>"),
        ("xl/workbook.bin", b"".join([*book, binary(144), binary(132)])),
        ("xl/_rels/workbook.bin.rels", f"<Relationships>{related}</Relationships>".encode()),
        ("xl/worksheets/sheet1.bin", b"".join([*sheet, told, binary(146), binary(130)])),
    )


def test_a_binary_workbook_is_read_and_its_errors_are_refused(sent: Any) -> None:
    text = lambda at, cell: binary(6, struct.pack("<II", at, 0) + wide(cell))  # noqa: E731
    names = text(0, "Policy") + text(1, "Premium")
    number = binary(5, struct.pack("<IId", 1, 0, 1250.5))
    assert prepared(sent(xlsb(names, text(0, "007") + number)))[1][1] == ["007", "1250.5"]
    error = binary(3, struct.pack("<IIB", 1, 0, 0x2A))
    assert "have errors such as #N/A" in refusal(sent(xlsb(names, text(0, "007") + error)))
    far = binary(5, struct.pack("<IId", 16_383, 0, 1))
    with pytest.raises(FileTooLarge, match="this one spans 16,384,000"):
        prepared(sent(xlsb(names, *[b""] * 998, far)))


ODS = (
    '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body>'
    '<office:spreadsheet><table:table table:name="A">{}</table:table></office:spreadsheet>'
    "</office:body></office:document-content>"
)


def ods(*rows: list[str]) -> bytes:
    """A workbook of LibreOffice, of these cells' XML."""
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
        "</manifest:manifest>"
    )
    told = "".join(f"<table:table-row>{''.join(row)}</table:table-row>" for row in rows)
    return zipped(
        ("mimetype", kind.encode()),
        ("content.xml", ODS.format(told).encode()),
        ("META-INF/manifest.xml", manifest.encode()),
    )


def ods_text(text: str) -> str:
    """A cell's XML."""
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    return cell.format(text)


def test_a_workbook_of_libreoffice_is_read_and_its_errors_are_refused(sent: Any) -> None:
    number = '<table:table-cell office:value-type="float" office:value="12.50"/>'
    day = '<table:table-cell office:value-type="date" office:date-value="2026-03-01"/>'
    names = [ods_text(name) for name in ("Policy", "Premium", "Day")]
    file = sent(ods(names, [ods_text("007"), number, day]))
    assert prepared(file)[1] == [["Policy", "Premium", "Day"], ["007", "12.5", "2026-03-01"]]
    wrong = '<table:table-cell calcext:value-type="error" office:value-type="string"/>'
    assert "have errors such as #N/A" in refusal(sent(ods(names, [ods_text("007"), wrong, day])))


def test_what_spans_too_many_cells_to_be_read_whole_is_refused_before_it_is(sent: Any) -> None:
    # Given an ODS, a cell of which stands for many, and an XLS with a cell far away
    many = '<table:table-cell office:value-type="float" office:value="1" {}/>'.format
    bomb = ods([ods_text("Id")], [many('table:number-columns-repeated="10000000"')])
    empty = ods([ods_text("Id"), ods_text("No")], [many(""), many("")])
    book = xlwt.Workbook()
    sheet = book.add_sheet("A")
    for row, column in ((0, 0), (65_535, 255)):
        sheet.write(row, column, "x")
    data = io.BytesIO()
    book.save(data)
    for content in (bomb, data.getvalue()):
        with pytest.raises(FileTooLarge, match="is read as a whole, of at most 4,000,000 cells"):
            prepared(sent(content))
    # Then an ODS whose last, empty row stands for a million others is none of them
    rest = '<table:table-row table:number-rows-repeated="1048574"><table:table-cell/>'
    content = changed(
        empty, "content.xml", ("</table:table>", rest + "</table:table-row></table:table>")
    )
    assert prepared(sent(content))[1] == [["Id", "No"], ["1", "1"]]


# --- the header -----------------------------------------------------------------------------------
def test_names_are_trimmed_and_the_routes_own_spelling_counts(sent: Any) -> None:
    # Given names with no-break spaces, a line break, decomposed letters and a mark within
    text = '\u00a0Policy \u200b,"Gross\nPremium",Pra\u0308mie\n1,2,3\n'
    assert prepared(sent(text))[1][0] == ["Policy", "Gross\nPremium", "Pra\u0308mie"]
    header = ("Policy", "Gross Premium", "Prämie")
    assert prepared(sent(text), header)[1] == [[*header], ["1", "2", "3"]]


REFUSED = [
    (
        "A,B,C\nD,E,F\n1,2,3\n4,5,6\n",
        "Two rows could be the header: row 1 has 'A', 'B', 'C'; row 2",
    ),
    ("Policy,Insured\nA,B\nC,D\n", "It cannot be told which row is the header"),
    ("1,2\n3,4\n", "It cannot be told which row is the header"),
    ("Id,Id\n1,2\n", "It cannot be told which row is the header"),
    ("", "There is no row with anything in it"),
    ("Id,No\nunits,GBP\n1,2\n2,3\n", "Two rows could be the header"),
    ("Id,Name,No\n,,GBP '000\n1,a,2\n2,b,3\n", "The header may have two rows"),
    ("Id,Name,No\n(1),(2),(3)\n7,a,2\n", "The header may have two rows"),
    ("Id,No,,Code,Rate\n1,2,,GBP,1\n", "column C has no name: there may be two tables"),
    ("Id,No\n1,2,x\n", "row 2 has values in columns without a name: C2 'x'"),
    ("Id,No\n1,2\nId,No\n3,4\n", "Two rows could be the header: row 1 has 'Id', 'No'; row 3"),
    ("Id,No\n1,2\n\n3,4\n", "there is what looks like more of it: row 4 has '3', '4'"),
    ("Id,No,X\n1,2,3\nTotal,,3\n2,3,4\n", "Row 3 looks like no row of the table, and row 4"),
    ("Id,No,X\n1,2,3\nMotor,,\n2,3,4\n", "Row 3 looks like no row of the table, and row 4"),
    ("Id,No\n1,2\nTotal Energies,3\n", "The last row may be one of the table, or a total"),
    ("Id,No,A,B\n1,2,3,4\n2,2,3,4\nMade by,2,seen by,4\n", "The last row may be one of the table"),
    ("Id,No,X\nno claims,,\n", "It cannot be told which row is the header"),
    ('Id,No\n1,"2\n3,4\n', "cannot be read with ','"),
    ('Id,No\n1,"2"x\n', "cannot be read with ','"),
    ("Policy,Insured,Premium\nA1,x,1\nA2,2\nA3,z,3\n", "Row 3 ends after 2 of 3 columns"),
    ("Policy,Insured,Premium\nA1,x,1\nA2,y", "Row 3 ends after 2 of 3 columns"),
    ('Policy,Insured,Premium\nA1,"x,1\nA2,y",2\nA3,z,3\n', "has a value of 2 lines which may be"),
    ("Id,No\n1,2\n\ufeff3,4\n", "Row 3 begins with the mark that stands at the start of a file"),
    ("Name,Class,Premium\nAnn,x,1\nBob,y,2.5\nSuma,,3.5\n", "The last row may be one of the table"),
    ("Name;Net\nAnn;1.000,50\nBob;2,50\n合計;1.003,00\n", "The last row may be one of the table"),
    ("Name,Net\nAnn,3\nBob,5\nSource: ledger,\n", "The last row may be one of the table"),
    ("A;B,C\n1;2,3\n4;5,6\n", "It cannot be told what separates the columns. With ',' row 1 has"),
]


@pytest.mark.parametrize(("text", "told"), REFUSED)
def test_what_cannot_be_told_is_refused_with_the_rows(sent: Any, text: str, told: str) -> None:
    message = refusal(sent(text))
    assert told in message
    # And it says what to do
    assert re.search(r"\bdrop (it|each|the)\b|redrive the run", message), message


def test_with_a_header_the_row_that_equals_it_counts(sent: Any) -> None:
    # Given rows of names only, a group above the names, and more rows of names below
    file = sent("Who,,What\nPolicy,Insured,Premium\nA,B,none\nC,D,none\n")
    assert prepared(file, HEADER)[1] == [[*HEADER], ["A", "B", "none"], ["C", "D", "none"]]
    assert "stands there twice: row 1 has" in refusal(
        sent("Policy,Insured,Premium\n1,2,3\nPolicy,Insured,Premium\n"), HEADER
    )
    told = refusal(sent("Bordereau\n\nPolicy,Insured,Tax\n1,2,3\n"), HEADER)
    assert "Row 3 is nearest to the header that the route asks for" in told
    assert "mend the route's field 'header' and redrive the run" in told
    late = "Policy,Insured,Premium\n" + "1,2,3\n" * 200 + "Policy,Insured,Premium\n"
    with pytest.raises(TableUnclear, match="Row 202 is the header once more"):
        prepared(sent(late), HEADER)
    assert "'Premium' missing and 'Tax' too many" in told
    told = refusal(sent("A,B\n1,2\n"), HEADER)
    asked = (
        "The header that the route asks for ('Policy', 'Insured', 'Premium') is not in the first"
    )
    assert f"{asked} 2 rows. The first rows: row 1 has 'A', 'B'" in told
    assert f"{asked} row. " in refusal(sent("A,B\n"), HEADER)


def test_a_table_without_rows_needs_its_header_told(sent: Any) -> None:
    file = sent("Policy,Insured,Premium\n\nNo claims this month\n")
    made, table = prepared(file, HEADER)
    assert table == [[*HEADER]]
    assert (made.rows, made.left_out["rows_below"]) == (0, 1)
    assert "a row with one cell" in refusal(sent("Policy,Insured,Premium\nno claims\n"), HEADER)


def test_a_header_row_is_taken_at_its_word(sent: Any) -> None:
    file = sent("a,b\nc,d\n2025,2026\n1,2\n")
    assert prepared(file, header_row=3)[1] == [["2025", "2026"], ["1", "2"]]
    assert "Row 5, which the route's table has as its header_row, is empty" in refusal(
        file, header_row=5
    )
    assert "has a name twice" in refusal(sent("a,A\n1,2\n"), header_row=1)
    assert "Row 1 is nearest" in refusal(file, ("a", "c"), header_row=1)


def test_the_encoding_and_the_delimiter_are_taken_at_their_word(sent: Any) -> None:
    polish = "Policy;Insured;Premium\n1;Łódź Wałbrzych;2\n".encode("cp1250")
    told = refusal(sent(polish))
    assert "The text's encoding cannot be told" in told
    assert prepared(sent(polish), encoding="windows-1250")[1][1] == ["1", "Łódź Wałbrzych", "2"]
    assert "The text is not UTF-8" in refusal(sent(polish), encoding="utf-8")
    assert "is UTF-16-LE, and the route's encoding" in refusal(
        sent(PLAIN.encode("utf-16")), encoding="utf-8"
    )
    assert prepared(sent("A:B;C\n1:2;3\n"), delimiter=":")[1] == [["A", "B;C"], ["1", "2;3"]]
    assert "the route's delimiter is ','" in refusal(sent("sep=;\nA;B\n1;2\n"), delimiter=",")


def test_the_sheet_must_be_one(sent: Any) -> None:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, state in [
        *[("Premium March", "visible"), ("Premium April", "visible"), ("Lists", "hidden")],
        ("Empty", "visible"),
    ]:
        sheet = book.create_sheet(name)
        sheet.sheet_state = state
        if name != "Empty":
            sheet.append(["Id", name])
            sheet.append([1, 2])
    data = io.BytesIO()
    book.save(data)
    file = sent(data.getvalue())
    assert prepared(file, sheet="*March")[1][0] == ["Id", "Premium March"]
    assert prepared(file, sheet="Lists")[1][0] == ["Id", "Lists"]
    assert "fits several sheets that have cells: 'Premium March', 'Premium April'" in refusal(
        file, sheet="Premium*"
    )
    assert (
        "No visible sheet fits the route's pattern 'L*'. The sheets are 'Premium March'"
        in refusal(file, sheet="L*")
    )


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        *[("cp1250", "Dvořák"), ("cp1250", "Erdős"), ("cp1250", "Čapek"), ("cp1250", "Brăila")],
        *[("cp1254", "Y\u0131lmaz"), ("cp1254", "Doğan"), ("mac-roman", "Söhne"), ("gbk", "北京")],
    ],
)
def test_what_may_be_another_encoding_is_not_read_as_windows_1252(
    sent: Any, encoding: str, name: str
) -> None:
    text = f"Policy;Insured;Premium\n1;{name};2\n"
    assert "The text's encoding cannot be told" in refusal(sent(text.encode(encoding)))
    assert prepared(sent(text.encode(encoding)), encoding=encoding)[1][1] == ["1", name, "2"]


@pytest.mark.parametrize(
    "name",
    [
        *["Müller & Söhne", "Françoise Crêpin", "São João, Guimarães", "Ångström", "Smørrebrød"],
        *["più virtù", "señor Núñez", "Škoda", "5 €", "Citroën", "“Groß”", "créée à Noël", "Põe"],
    ],
)
def test_western_names_are_read_as_windows_1252(sent: Any, name: str) -> None:
    text = f"Policy;Insured;Premium\n1;{name};2\n"
    assert prepared(sent(text.encode("cp1252")))[1][1] == ["1", name, "2"]


def test_a_header_once_more_is_met_in_any_order_and_place(sent: Any) -> None:
    text = "Policy,Insured,Premium\n" + "1,2,3\n" * 200 + "POLICY,PREMIUM,INSURED\n4,5,6\n"
    with pytest.raises(TableUnclear, match="Row 202 is the header once more"):
        prepared(sent(text))


# --- the end --------------------------------------------------------------------------------------
def test_the_end_is_where_the_route_says(sent: Any) -> None:
    file = sent("Id,No\n1,2\n\n3,4\n\nTotal,6\n")
    made, table = prepared(file, until="end")
    assert table[1:] == [["1", "2"], ["3", "4"]]
    assert made.left_out["blank_rows"] == 2
    assert made.left_out["rows_below"] == 1
    made, table = prepared(file, below="ignore")
    assert table[1:] == [["1", "2"]]
    assert made.left_out["rows_below"] == 2


def test_columns_without_name_and_value_are_left_out_where_the_header_is_told(sent: Any) -> None:
    made, table = prepared(sent(",Id,,No\n,1,,2\n"), ("Id", "No"))
    assert table == [["Id", "No"], ["1", "2"]]
    assert made.left_out["blank_columns"] == 1
    assert made.where["first_column"] == "B"


def test_cells_of_the_table_that_are_merged_are_refused_and_others_are_not(sent: Any) -> None:
    def merged(*ranges: str) -> Any:
        book = openpyxl.Workbook()
        sheet: Any = book.active
        for row in [["Bordereau"], [], ["Id", "No", "X"], [1, 2, 3], [4, 5, 6], ["Total", None, 9]]:
            sheet.append(row)
        for cells in ranges:
            sheet.merge_cells(cells)
        data = io.BytesIO()
        book.save(data)
        return sent(data.getvalue())

    assert prepared(merged("A1:C2", "A6:B6"))[0].rows == 2
    for cells in ("B4:B5", "B4:C4"):
        with pytest.raises(TableUnclear, match=f"The cells {cells} of the table are merged"):
            prepared(merged("A1:C2", cells))


def test_merged_cells_of_an_older_workbook_are_refused(sent: Any) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("A")
    written: list[list[Any]] = [["Id", "No"], ["", 2], ["", 3]]
    for row, cells in enumerate(written):
        sheet.write(row, 1, cells[1])
    sheet.write(0, 0, "Id")
    sheet.write_merge(1, 2, 0, 0, 7)
    data = io.BytesIO()
    book.save(data)
    with pytest.raises(TableUnclear, match="The cells A2:A3 of the table are merged"):
        prepared(sent(data.getvalue()))


# --- bounds ---------------------------------------------------------------------------------------
def test_a_workbook_that_would_become_too_large_is_not_unpacked(sent: Any) -> None:
    bomb = zipped(("[Content_Types].xml", b""), ("xl/worksheets/sheet1.xml", bytes(101_000_000)))
    with pytest.raises(FileTooLarge, match="would become 101,000,000 once they are unzipped"):
        find(sent(bomb), TableSpec(), (), Limits(10**9, 500))
    with pytest.raises(FileTooLarge, match=r"allow 0\.001 GB"):
        find(sent(bomb), TableSpec(), (), Limits(10**6, 10**6))


def test_a_gzip_that_becomes_too_large_is_refused_while_it_is_unpacked(sent: Any) -> None:
    file = sent(gzip.compress(b"Id,No\n" + b"1,2\n" * 10**6))
    with pytest.raises(FileTooLarge, match="LargestUnzippedGB"):
        prepared(file, limits=Limits(10**6, 500))


def test_a_sheet_with_one_cell_far_away_costs_nothing(sent: Any) -> None:
    content = workbook(["Id", "No"], [1, 2], [3, "end"])
    content = changed(
        content, SHEET, ('row r="3"', 'row r="1048576"'), ('r="B3"', 'r="XFD1048576"')
    )
    assert "what looks like more of it: row 1048576" in refusal(sent(content))


def test_cells_that_do_not_say_where_they_stand_come_one_after_the_other(sent: Any) -> None:
    content = workbook(["Id", "No", "X"], [1, 2, 3])
    content = changed(content, SHEET, ('<c r="B2"', "<c"), ('<row r="2"', "<row"))
    assert prepared(sent(content))[1][1] == ["1", "2", "3"]


def test_cells_in_another_order_and_rows_in_none(sent: Any) -> None:
    content = workbook(["Id", "No", "X"], [1, 2, 3], [4, 5, 6])
    swapped = changed(
        content, SHEET, ('r="A2"', 'r="_"'), ('r="C2"', 'r="A2"'), ('r="_"', 'r="C2"')
    )
    assert prepared(sent(swapped))[1][1] == ["3", "2", "1"]
    with pytest.raises(WrongFormat, match="row 2 stands below row 5"):
        prepared(sent(changed(content, SHEET, ('<row r="1"', '<row r="5"'))))


def test_a_document_type_is_not_read(sent: Any) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><worksheet'
    content = changed(workbook(["Id", "No"], [1, 2]), SHEET, ("<worksheet", bomb))
    with pytest.raises(WrongFormat, match="it has a document type"):
        prepared(sent(content))


def test_a_damaged_workbook_is_told(sent: Any) -> None:
    content = workbook(["Id", "No"], *[[n, n] for n in range(2000)])
    with pytest.raises(WrongFormat, match="damaged"):
        prepared(sent(content[:-100]))
    spoilt = changed(content, SHEET, ("</sheetData>", "</sheet>"))
    with pytest.raises(WrongFormat, match="damaged"):
        prepared(sent(spoilt))


def test_before_the_turn_only_the_start_of_a_text_is_looked_at(sent: Any) -> None:
    # Given a text that is spoilt behind its first megabyte
    file = sent(PLAIN + "007003,a,1\n" * 200_000 + "x\0\n")
    # Then it is found before the turn, and refused within it
    assert find(file, TableSpec(), (), LIMITS).rows[0] == tuple(TABLE[1])
    with pytest.raises(TableUnclear, match="encoding cannot be told"):
        prepared(file)


def test_what_takes_longer_than_a_function_has_ends_in_time(sent: Any) -> None:
    clock = iter([900.0, *[10.0] * 1000])
    with pytest.raises(TransferTooSlow, match="Making the table"):
        prepared(sent(PLAIN + "007003,a,1\n" * 400_000), left=lambda: next(clock))


SPOILT = {
    "'nan' is no number": [("<v>2</v>", "<v>nan</v>")],
    "'1e999' is no number": [("<v>2</v>", "<v>1e999</v>")],
    "'1_0' is no number": [("<v>2</v>", "<v>1_0</v>")],
    "-1 is no position": [('t="n"><v>2</v>', 't="s"><v>-1</v>')],
    "has a cell twice": [('r="B2"', 'r="A2"')],
    "more than 16384 columns": [('<row r="2">', '<row r="2">' + "<c/>" * 16_385)],
    "a cell of more than 1,048,576": [(">x<", f">{'x' * 1_200_000}<")],
    "a tag of more than 1,048,576": [("<sheetData>", f"<sheetData {'a' * 1_200_000}='1'>")],
    "more than 100 elements": [("<sheetData>", "<sheetData>" + "<a>" * 101)],
    "a row stands in another": [('<row r="2">', '<row r="2"><row r="3">')],
    "a cell stands in no row": [('<row r="2">', '<row r="2"><c><c>')],
    "unexpected end of data": [(">x<", ">_xD800_<")],
}


@pytest.mark.parametrize("told", SPOILT)
def test_what_no_spreadsheet_program_writes_is_refused_in_little_memory(
    sent: Any, told: str
) -> None:
    content = workbook(["Id", "No", "X"], [1, 2, "x"])
    changes = SPOILT[told]
    tracemalloc.start()
    with pytest.raises(WrongFormat, match="damaged") as raised:
        prepared(sent(changed(content, SHEET, *changes)))
    (_, most) = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 24 * 2**20
    assert told in str(raised.value.__context__)


def test_half_characters_that_belong_together_are_one(sent: Any) -> None:
    content = changed(workbook(["Id", "X"], [1, "x"]), SHEET, (">x<", ">_xD83D__xDE00_<"))
    assert prepared(sent(content))[1][1] == ["1", "😀"]


def test_rows_that_are_wide_and_empty_take_little_memory(sent: Any) -> None:
    rows = "".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(1, 4000))
    content = changed(workbook(["Id"]), SHEET, ("<sheetData>", "<sheetData>" + rows))
    tracemalloc.start()
    with pytest.raises((TableUnclear, WrongFormat)):
        prepared(sent(content))
    (_, most) = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 80 * 2**20


def test_an_older_workbook_that_hides_how_far_its_cells_are_spread_is_refused(sent: Any) -> None:
    # Given an XLS that says that it spans two rows, and has cells far away in one record
    book = xlwt.Workbook()
    sheet = book.add_sheet("A")
    for column, name in enumerate(["Id", "No"]):
        sheet.write(0, column, name)
        sheet.write(1, column, column)
    for column in range(250, 256):
        sheet.write(65_535, column, column)
    data = io.BytesIO()
    book.save(data)
    content = data.getvalue()
    at = content.index(b"\x00\x02\x0e\x00") + 4
    content = content[:at] + struct.pack("<IIHH", 0, 2, 0, 2) + content[at + 12 :]
    with pytest.raises(FileTooLarge, match="this one spans 16,777,216"):
        prepared(sent(content))


def test_a_format_without_end_is_refused_at_once(sent: Any) -> None:
    content = changed(
        workbook(["Id", "No"], [1, 2], B2="0.000"), "xl/styles.xml", ("0.000", "[h" * 5000)
    )
    with pytest.raises(WrongFormat, match="damaged"):
        prepared(sent(content))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_workbook_with_two_parts_of_one_name_is_refused(sent: Any) -> None:
    data = io.BytesIO(workbook(["Id", "No"], [1, 2]))
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr(SHEET, archive.read(SHEET).replace(b"<v>2</v>", b"<v>777</v>"))
    with pytest.raises(WrongFormat, match="has two parts of one name"):
        prepared(sent(data.getvalue()))

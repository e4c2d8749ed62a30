"""What it takes to make a table out of a workbook: `python -m tests.bench.tables [--quick]`.

100,000 rows of 60 cells, as Excel writes them (a third are texts that no two cells share), and as
CSV. Each runs in a fresh process; its peak is what the kernel has counted (VmHWM), its time the
processor's.
"""

import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from local.process import ROOT
from tests.bench.row import Row, show

ROWS, COLUMNS = 100_000, 60
QUICK = 10_000
# Seconds of one processor, and MiB above what an empty process has, for all rows.
TARGETS = {"xlsx": (60, 256), "csv": (30, 24)}
LETTERS = [
    *(chr(65 + at) for at in range(26)),
    *(f"{first}{chr(65 + at)}" for first in "AB" for at in range(26)),
]
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
MEASURED = """
import io, json, resource, sys, time
sys.path[:0] = [{layers!r}]
from pathlib import Path
from quantemplate.bodies import FileBody
from straight_through.files.prepared import prepare
from straight_through.table_spec import TableSpec
from straight_through.reading.unzipping import Limits
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, began = peak(), time.process_time()
with open({out!r}, "wb") as out:
    made = prepare(FileBody(Path({path!r})), TableSpec(), (), Limits(10**10, 1000), out)
seconds = time.process_time() - began
print(json.dumps({{"rows": made.rows, "seconds": seconds, "peak": peak() - before}}))
"""


def rows(*, quick: bool = False) -> list[Row]:
    """Measure both kinds of files."""
    count = QUICK if quick else ROWS
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, (most_seconds, most_mib) in TARGETS.items():
            path = Path(folder) / f"sent.{kind}"
            (_write_xlsx if kind == "xlsx" else _write_csv)(path, count)
            took = _measure(path)
            seconds, peak = took["seconds"], took["peak"]
            share = count / ROWS
            measured += [
                Row(
                    name=f"seconds for a table of {count:,} x {COLUMNS} cells out of {kind}",
                    target=f"<= {most_seconds * share:g} s",
                    measured=f"{seconds:.1f} s of one processor",
                    holds=took["rows"] == count and seconds <= most_seconds * share,
                ),
                Row(
                    name=f"memory for a table of {count:,} x {COLUMNS} cells out of {kind}",
                    target=f"grows <= {most_mib} MiB",
                    measured=f"{peak:+.0f} MiB",
                    holds=peak <= most_mib,
                ),
            ]
    return measured


def _measure(path: Path) -> dict[str, float]:
    """Make the table of a file in a fresh process."""
    code = MEASURED.format(layers=str(ROOT / "layers"), path=str(path), out=f"{path}.csv")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _cell(row: int, column: int) -> str:
    """Return a cell's text: a third each of codes that no two share, of numbers, of few names."""
    if column % 3 == 0:
        return f"PR{row:06}/{column}"
    return f"{row * column % 99991 / 4}" if column % 3 == 1 else "Müller & Söhne"


def _write_csv(path: Path, count: int) -> None:
    """Write a CSV with a header."""
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(f"Column {letters}" for letters in LETTERS[:COLUMNS]) + "\n")
        for row in range(count):
            file.write(",".join(_cell(row, column) for column in range(COLUMNS)) + "\n")


def _write_xlsx(path: Path, count: int) -> None:
    """Write a workbook whose texts stand in a part of their own."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("_rels/.rels", _relations(("officeDocument", "xl/workbook.xml")))
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            _relations(("worksheet", "worksheets/sheet1.xml"), ("sharedStrings", "texts.xml")),
        )
        sheet = '<sheet name="Premium" sheetId="1" r:id="rId0"/>'
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{sheet}</sheets></workbook>',
        )
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            part.write(f'<worksheet xmlns="{MAIN}"><sheetData>'.encode())
            for number, row in enumerate(_xml_rows(count), 1):
                part.write(f'<row r="{number}">{row}</row>'.encode())
            part.write(b"</sheetData></worksheet>")
        with archive.open("xl/texts.xml", "w", force_zip64=True) as part:
            part.write(f'<sst xmlns="{MAIN}">'.encode())
            for text in _texts(count):
                part.write(f"<si><t>{text}</t></si>".encode())
            part.write(b"</sst>")


def _relations(*related: tuple[str, str]) -> str:
    """Return the relations of a part."""
    told = "".join(
        f'<Relationship Id="rId{at}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for at, (kind, target) in enumerate(related)
    )
    return f'<Relationships xmlns="{PACKAGE}">{told}</Relationships>'


def _texts(count: int) -> Iterator[str]:
    """Give the texts in the order in which cells first have them."""
    yield "Müller &amp; Söhne"
    yield from (f"Column {letters}" for letters in LETTERS[:COLUMNS])
    for row in range(count):
        yield from (_cell(row, column) for column in range(0, COLUMNS, 3))


def _xml_rows(count: int) -> Iterator[str]:
    """Give the cells of each row, with the numbers of their texts."""
    yield "".join(
        f'<c r="{letters}1" t="s"><v>{at + 1}</v></c>'
        for at, letters in enumerate(LETTERS[:COLUMNS])
    )
    text = COLUMNS
    for row in range(count):
        cells = []
        for column, letters in enumerate(LETTERS[:COLUMNS]):
            where = f'<c r="{letters}{row + 2}"'
            if column % 3 == 1:
                cells.append(f"{where}><v>{_cell(row, column)}</v></c>")
                continue
            text += column % 3 == 0
            cells.append(f'{where} t="s"><v>{text if column % 3 == 0 else 0}</v></c>')
        yield "".join(cells)


if __name__ == "__main__":
    sys.exit(show(rows(quick="--quick" in sys.argv)))

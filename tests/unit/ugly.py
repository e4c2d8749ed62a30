"""Files as people send them, made of a seed: the table that is in each is known."""

import csv
import datetime
import gzip
import io
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import openpyxl
import xlwt

from straight_through.table_spec import TableSpec

NAMES = [
    *("Policy", "Insured", "Premium", "Inception", "Expiry", "Currency", "Broker", "Country"),
    *(
        "Line of Business",
        "Gross Premium",
        "Net Premium",
        "Tax %",
        "Sum Insured",
        "UMR",
        "Risk Code",
    ),
    *("Prämie", "Date of Loss", "Paid (GBP)", "Reserve", "Claim Reference", "Notes", "Active"),
]
WORDS = [
    *("Northgate Timber", "Tarn, Valley Stone", "Müller & Söhne", 'The "Crown" Inn', "Öresund AB"),
    *("Smith; Sons", "Café du Port", "Acme Ltd\nBranch", "O'Neill | Co", "Westmark Printing"),
]
TITLES = ["Premium bordereau March 2026", "Strictly private", "Prepared for Acme Ltd", "Bordereau"]
NOTES = [
    *("All figures in GBP.", "* estimated", "Printed by finance", "End of report"),
    *(
        "Figures as of 31 March 2026, in GBP",
        "Page 1 of 1, 2026-04-01 08:00",
        "3 policies estimated",
    ),
]
CODEC = {"utf-8": "utf-8", "utf-8-sig": "utf-8-sig", "utf-16": "utf-16", "cp1252": "cp1252"}
Cell = Any  # what a workbook's cell has; a text in a CSV


@dataclass
class Ugly:
    """A file, the route's settings for it, and the table in it: None where it must be refused."""

    data: bytes = b""
    spec: TableSpec = field(default_factory=TableSpec)
    header: tuple[str, ...] = ()
    table: list[list[str]] | None = None
    made_of: list[str] = field(default_factory=list)


def ugly_file(seed: int) -> Ugly:
    """Return the file of a seed."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    ugly = Ugly()
    names, rows = _table(rng)
    texts = [names, *[[as_text(cell) for cell in row] for row in rows]]
    grid: list[list[Cell]] = [list(names), *rows]
    if rng.random() < 0.5:
        ugly.header = tuple(names)
        ugly.made_of.append("header")
    is_right = _trap(rng, grid, ugly) if rng.random() < 0.15 else True
    for decorate in (_total, _footer, _titles, _offset):
        if rng.random() < 0.6:
            grid = decorate(rng, grid, ugly)
    ugly.table = texts if is_right else None
    rng.choice([_csv, _csv, _xlsx, _xlsx, _xls])(rng, grid, ugly)
    _pack(rng, ugly)
    return ugly


def as_text(cell: Cell) -> str:
    """Return a cell as the prepared table has it."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float):
        return repr(cell).removesuffix(".0")
    return cell.isoformat() if hasattr(cell, "isoformat") else str(cell)


# --- the table ------------------------------------------------------------------------------------
def _table(rng: random.Random) -> tuple[list[str], list[list[Cell]]]:
    """Return the names of a table's columns and its rows; the first two columns have no blanks."""
    width = rng.randint(3, 12)
    names = rng.sample(NAMES, width)
    day = datetime.date(2026, 1, 1)
    kinds: list[Callable[[], Cell]] = [
        lambda: f"{rng.randrange(10**6):06}",
        lambda: f"PR{rng.randrange(10**6):06}/26",
        lambda: round(rng.random() * 10_000, 2),
        lambda: rng.randrange(-1000, 10**6),
        lambda: day + datetime.timedelta(rng.randrange(365)),
        lambda: rng.choice(WORDS),
        lambda: rng.choice(["GBP", "USD", "EUR"]),
        lambda: rng.choice([1, 25.5, "n/a", "TBC"]),
        lambda: f"{rng.randrange(10**18):018}",
        lambda: rng.choice([True, False]),
        lambda: rng.choice([0.05, 0.125, 1 / 3]),
    ]
    chosen = [kinds[rng.randrange(2)], *[rng.choice(kinds) for _ in range(width - 1)]]
    sparse = [False, False, *[rng.random() < 0.3 for _ in range(width - 2)]]
    rows = [
        [None if sparse[at] and rng.random() < 0.3 else kind() for at, kind in enumerate(chosen)]
        for _ in range(rng.randint(1, 40))
    ]
    return names, rows


def _trap(rng: random.Random, grid: list[list[Cell]], ugly: Ugly) -> bool:
    """Spoil a table so that nobody can tell what is in it; whether it can be told all the same."""
    name = rng.choice(list(TRAPS))
    ugly.made_of.append(f"trap: {name}")
    TRAPS[name](rng, grid, len(grid[0]))
    if name == "second header":
        return bool(ugly.header)  # the route says which of the two is the one
    # What was put behind the only row stands below the table.
    return name in ("section", "subtotal") and len(grid) == 3


Trap = Callable[[random.Random, list[list[Cell]], int], Any]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVW"


def _second_block(rng: random.Random, grid: list[list[Cell]], width: int) -> None:
    """Add a row like the others behind a blank one."""
    grid += [[None] * width, [f"{rng.randrange(10**6):06}" for _ in range(width)]]


def _side_by_side(_rng: random.Random, grid: list[list[Cell]], _width: int) -> None:
    """Put another table beside this one."""
    for at, row in enumerate(grid):
        row.extend([None, f"Code {LETTERS[at]}", at] if at else [None, "Code", "Rate"])


TRAPS: dict[str, Trap] = {
    "second block": _second_block,
    "side by side": _side_by_side,
    "units": lambda _, grid, width: grid.insert(1, ["no.", *["unit"] * (width - 1)]),
    "second header": lambda _, grid, width: grid.insert(
        0, [f"Group {LETTERS[at]}" for at in range(width)]
    ),
    "unnamed": lambda rng, grid, _: grid[rng.randrange(1, len(grid))].append("beside it"),
    "numbered": lambda _, grid, width: grid.insert(1, [f"({at + 1})" for at in range(width)]),
    "no header": lambda _, grid, __: grid.pop(0),
    "signed": lambda _, grid, width: grid.append(["Made by", "A", "seen by", *["B"] * (width - 3)]),
    "once more": lambda rng, grid, _: grid.insert(rng.randrange(2, len(grid) + 1), list(grid[0])),
    "section": lambda _, grid, width: grid.insert(2, ["Motor", *[None] * (width - 1)]),
    "subtotal": lambda _, grid, width: grid.insert(2, ["Subtotal", None, *[9.5] * (width - 2)]),
}


# --- what stands around it ------------------------------------------------------------------------
def _total(rng: random.Random, grid: list[list[Cell]], ugly: Ugly) -> list[list[Cell]]:
    """Add a total below, at once or after a blank row."""
    ugly.made_of.append("total")
    width = len(grid[0])
    sums = [
        None if rng.random() < 0.7 else round(rng.random() * 10**6, 2) for _ in range(width - 2)
    ]
    labels = [
        "Total",
        "TOTAL:",
        "Grand total",
        "Total premium",
        "Portfolio total",
        "Totals 2026",
        None,
    ]
    label = rng.choice(labels)
    gap = [[None] * width] * rng.randrange(2)
    return [*grid, *gap, rng.choice([[label, None, *sums], [None, label, *sums]])]


def _footer(rng: random.Random, grid: list[list[Cell]], ugly: Ugly) -> list[list[Cell]]:
    """Add a note or two below blank rows."""
    ugly.made_of.append("footer")
    notes: list[list[Cell]] = [[note] for note in rng.sample(NOTES, rng.randint(1, 2))]
    if len(grid[0]) > 6 and rng.random() < 0.3:
        notes.append(["Prepared by:", "J. Smith"])
    return [*grid, *[[None]] * rng.choice([0, 1, 1, 2, 3]), *notes]


def _titles(rng: random.Random, grid: list[list[Cell]], ugly: Ugly) -> list[list[Cell]]:
    """Add titles above, and blank rows."""
    ugly.made_of.append("titles")
    titles: list[list[Cell]] = [[title] for title in rng.sample(TITLES, rng.randint(1, 3))]
    if rng.random() < 0.3:
        titles.append(["Period:", datetime.date(2026, 3, 1)])
    return [*titles, *[[None]] * rng.randrange(3), *grid]


def _offset(rng: random.Random, grid: list[list[Cell]], ugly: Ugly) -> list[list[Cell]]:
    """Move it right and down."""
    ugly.made_of.append("offset")
    right = rng.randint(1, 3)
    return [*[[None]] * rng.randrange(3), *[[*[None] * right, *row] for row in grid]]


# --- the file -------------------------------------------------------------------------------------
def _csv(rng: random.Random, grid: list[list[Cell]], ugly: Ugly) -> None:
    """Write a text of any encoding, separator, quoting and line end."""
    encoding, delimiter = rng.choice(list(CODEC)), rng.choice(",;\t|")
    ugly.made_of += ["csv", encoding, repr(delimiter)]
    text = io.StringIO(newline="")
    end = rng.choice(["\n", "\r\n", "\r"])
    # Of the ends of lines in a cell, Python quotes those only that end its rows.
    quoting: Any = csv.QUOTE_ALL if end == "\r" else rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
    width = max(map(len, grid))
    for row in grid:
        padded = [*row, *[None] * (width - len(row))] if rng.random() < 0.7 else row
        writer.writerow([as_text(cell) for cell in padded])
    start = f"sep={delimiter}\r\n" if rng.random() < 0.1 else ""
    ugly.data = (start + text.getvalue()).encode(CODEC[encoding])


def _xlsx(rng: random.Random, grid: list[list[Cell]], ugly: Ugly) -> None:
    """Write a workbook with other sheets around the one of the table."""
    ugly.made_of.append("xlsx")
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Premium March"
    for at, row in enumerate(grid, 1):
        for column, cell in enumerate(row, 1):
            if cell is not None:
                sheet.cell(at, column, cell)
    _others(rng, ugly, lambda name, hidden: _sheet_beside(book, name, hidden=hidden))
    data = io.BytesIO()
    book.save(data)
    ugly.data = data.getvalue()


def _sheet_beside(book: openpyxl.Workbook, name: str, *, hidden: bool) -> None:
    """Add a sheet of another table."""
    sheet = book.create_sheet(name)
    for row in (["Code", "Rate"], ["GBP", 1.0], ["USD", 1.3]):
        sheet.append(row)
    sheet.sheet_state = "hidden" if hidden else "visible"


def _xls(rng: random.Random, grid: list[list[Cell]], ugly: Ugly) -> None:
    """Write a workbook of the older kind."""
    ugly.made_of.append("xls")
    book = xlwt.Workbook()
    sheet = book.add_sheet("Premium March")
    day = xlwt.easyxf(num_format_str="yyyy-mm-dd")
    for at, row in enumerate(grid):
        for column, cell in enumerate(row):
            if isinstance(cell, datetime.date):
                sheet.write(at, column, cell, day)
            elif cell is not None:
                sheet.write(at, column, cell)

    def beside(name: str, hidden: bool) -> None:  # noqa: FBT001 - one call
        other = book.add_sheet(name)
        other.write(0, 0, "Rates")
        other.visibility = int(hidden)

    _others(rng, ugly, beside)
    data = io.BytesIO()
    book.save(data)
    ugly.data = data.getvalue()


def _others(rng: random.Random, ugly: Ugly, add: Callable[[str, bool], None]) -> None:
    """Add other sheets, and let the route say which is meant; two that fit cannot be told apart."""
    chance = rng.random()
    if chance < 0.4:
        return
    if chance < 0.6:
        ugly.made_of.append("hidden sheet")
        add("Lists", True)  # noqa: FBT003
    elif chance < 0.95:
        ugly.made_of.append("sheets")
        add("Cover", False)  # noqa: FBT003
        ugly.spec = TableSpec(sheet="Premium*")
    else:
        ugly.made_of.append("trap: two sheets")
        add("Premium April", False)  # noqa: FBT003
        ugly.spec = TableSpec(sheet="Premium*")
        ugly.table = None


def _pack(rng: random.Random, ugly: Ugly) -> None:
    """Pack one file in ten."""
    chance = rng.random()
    if chance < 0.05:
        ugly.made_of.append("gzip")
        ugly.data = gzip.compress(ugly.data, mtime=0)
    elif chance < 0.1:
        ugly.made_of.append("zip")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("march.dat", ugly.data)
            archive.writestr("__MACOSX/._march.dat", b"\0\5\x16\7")
        ugly.data = packed.getvalue()

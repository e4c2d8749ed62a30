"""A file of this machine, checked as the stack would check it, before anything is sent."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from quantemplate.bodies import FileBody
from stp.route_checks import route_of
from stp.stack import Stack
from stp.upload import Drop
from straight_through.errors import AwsDenied, AwsUnavailable, StraightThroughError
from straight_through.files.checks import check_file, rows_seen
from straight_through.gathering.sets import judged_by
from straight_through.reading.formats import NOTHING, XLS, XLSX, kind_of
from straight_through.reading.headers import LONGEST_HEADER
from straight_through.reading.unzipping import Limits
from straight_through.routes import Routes, require_fit

FIRST = 5  # rows that are shown, the header beside
SHOWN_COLUMNS, SHOWN_CELL = 8, 24
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
UNREAD = "\N{REPLACEMENT CHARACTER}"  # what is read where bytes are no UTF-8
MEND = 'Save it as UTF-8 with commas, or give the route a "table", which makes that of it.'


@dataclass(frozen=True)
class Judged:
    """What the check says of one file; `error` is the name of what refuses it, "" if nothing."""

    path: Path
    key: str
    route: str
    error: str = ""
    message: str = ""
    rows: tuple[tuple[str, ...], ...] = ()  # the first ones as the dataset would see them
    doubts: tuple[str, ...] = ()  # what it is taken with, and may go wrong in Quantemplate

    @property
    def told(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return vars(self) | {"path": str(self.path)}


class _Named(FileBody):
    """A file of this machine under the key that it would have."""

    def __init__(self, path: Path, key: str) -> None:
        super().__init__(path)
        self._key = key

    @property
    def name(self) -> str:
        """Return the key."""
        return self._key


def judged(stack: Stack, drop: Drop) -> Judged:
    """Check a file by its route as it stands in the stack now."""
    limits, route = _limits(stack), ""
    try:
        found = Routes(stack.client("ssm"), stack.routes_path).of(drop.key)
        route, file = found.name, _Named(drop.path, drop.key)
        require_fit(found, has_file=True)
        found = judged_by(found, drop.key)
        check_file(found, file, limits)
        rows = tuple(rows_seen(found, file, limits, FIRST + 1))
    except (AwsDenied, AwsUnavailable):
        raise  # that says nothing of the file
    except StraightThroughError as error:
        return Judged(drop.path, drop.key, route, type(error).__name__, str(error))
    doubts = () if found.table else tuple(doubts_of(drop.path, rows))
    return Judged(drop.path, drop.key, route, rows=rows, doubts=doubts)


def warning_of(stack: Stack, drop: Drop) -> str:
    """Return what is wrong, or looks odd, with the beginning of a text that is to be dropped.

    In one line, "" where nothing is. What takes more than that to be judged, its run judges: a
    workbook, and a file whose route makes a table of it.
    """
    file, limits = _Named(drop.path, drop.key), _limits(stack)
    try:
        route = judged_by(route_of(drop.route), drop.key)
        require_fit(route, has_file=True)
        if route.table or kind_of(file, file.part(0, LONGEST_HEADER)) in (XLSX, XLS):
            return ""
        check_file(route, file, limits, lambda: 0)
        rows = rows_seen(route, file, limits, FIRST + 1)
    except StraightThroughError as error:
        why = " ".join(str(error).replace(NOTHING, "").split())
        return f"{drop.path}: its run may end as {type(error).__name__}. {why}"
    doubts = " ".join(doubts_of(drop.path, rows))
    return f"{drop.path}: {doubts}" if doubts else ""


def _limits(stack: Stack) -> Limits:
    """Return how large a file may become where it is unzipped."""
    return Limits.of(
        float(stack.parameters.get("LargestUnzippedGB", "20")),
        float(stack.parameters.get("LargestUnzippedRatio", "500")),
    )


def doubts_of(path: Path, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield what looks odd of a file that goes up as it is; its rows are read as UTF-8 with commas.

    Only Quantemplate knows whether it reads such a file, so that none is refused for it.
    """
    with path.open("rb") as file:
        start = file.read(2)
    header = rows[0] if rows else ()
    if start in (BOM_UTF16_LE, BOM_UTF16_BE):
        yield f"Its text is UTF-16. {MEND}"
    elif any(UNREAD in cell for row in rows for cell in row):
        yield f"Its text is not UTF-8: letters may come out wrong, as they do here. {MEND}"
    if len(header) != 1:
        return
    if header[0].startswith("sep="):
        yield f"Its first row is {_cell(header[0])!r}, which would be the header. {MEND}"
    elif found := [said for mark, said in OTHER_SEPARATORS.items() if mark in header[0]]:
        yield f"Its header is one column, with {' and '.join(found)} in its name. {MEND}"


def shown(result: Judged) -> list[RenderableType]:
    """Return what a person reads of one file."""
    if result.error:
        return [
            Text.assemble((f"✗ {result.path}: {result.error}", "red")),
            Text(result.message),
        ]
    title = Text(f"✓ {result.path} would be taken by route {result.route}", "green")
    doubts = [Text(f"! {each}", "yellow") for each in result.doubts]
    if not result.rows:
        return [title, *doubts]
    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    header, *rows = result.rows
    more = len(header) - SHOWN_COLUMNS
    for column in header[:SHOWN_COLUMNS]:
        table.add_column(Text(_cell(column)), no_wrap=True)
    if more > 0:
        table.add_column(f"… {more:,} more", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_cell(cell)) for cell in row[: len(header)][:SHOWN_COLUMNS]))
    return [title, *doubts, table]


def _cell(text: str) -> str:
    """Return a cell as it is shown: one line, and not a long one."""
    bare = "".join(c if c.isprintable() else "�" for c in text)
    return bare if len(bare) <= SHOWN_CELL else f"{bare[: SHOWN_CELL - 1]}…"

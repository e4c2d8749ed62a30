"""A file of this machine, checked as the stack would check it, before anything is sent."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from quantemplate.bodies import FileBody
from stp.stack import Stack
from stp.upload import Drop
from straight_through.errors import AwsDenied, AwsUnavailable, StraightThroughError
from straight_through.files.checks import check_file, rows_seen
from straight_through.reading.unzipping import Limits
from straight_through.routes import Routes

FIRST = 5  # rows that are shown, the header beside
SHOWN_COLUMNS, SHOWN_CELL = 8, 24


@dataclass(frozen=True)
class Judged:
    """What the check says of one file; `error` is the name of what refuses it, "" if nothing."""

    path: Path
    key: str
    route: str
    error: str = ""
    message: str = ""
    rows: tuple[tuple[str, ...], ...] = ()  # the first ones as the dataset would see them

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
    limits = Limits.of(
        float(stack.parameters.get("LargestUnzippedGB", "20")),
        float(stack.parameters.get("LargestUnzippedRatio", "500")),
    )
    route = ""
    try:
        found = Routes(stack.client("ssm"), stack.routes_path).of(drop.key)
        route, file = found.name, _Named(drop.path, drop.key)
        check_file(found, file, limits)
        rows = tuple(rows_seen(found, file, limits, FIRST + 1))
    except (AwsDenied, AwsUnavailable):
        raise  # that says nothing of the file
    except StraightThroughError as error:
        return Judged(drop.path, drop.key, route, type(error).__name__, str(error))
    return Judged(drop.path, drop.key, route, rows=rows)


def shown(result: Judged) -> list[RenderableType]:
    """Return what a person reads of one file."""
    if result.error:
        return [
            Text.assemble((f"✗ {result.path}: {result.error}", "red")),
            Text(result.message),
        ]
    title = Text(f"✓ {result.path} would be taken by route {result.route}", "green")
    if not result.rows:
        return [title]
    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    header, *rows = result.rows
    more = len(header) - SHOWN_COLUMNS
    for column in header[:SHOWN_COLUMNS]:
        table.add_column(Text(_cell(column)), no_wrap=True)
    if more > 0:
        table.add_column(f"… {more:,} more", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_cell(cell)) for cell in row[: len(header)][:SHOWN_COLUMNS]))
    return [title, table]


def _cell(text: str) -> str:
    """Return a cell as it is shown: one line, and not a long one."""
    bare = "".join(c if c.isprintable() else "�" for c in text)
    return bare if len(bare) <= SHOWN_CELL else f"{bare[: SHOWN_CELL - 1]}…"

"""How a queue looks in a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from stp.moments import about, ago, duration, local
from stp.shown_runs import LEAST_OF_A_KEY, LONGEST_KEY
from straight_through.text import shown

Row = tuple[Text, Text, Text, Text, Text]  # the place, the file, the run, since when, how long yet
FILE, RUN = 1, 2
GAP = 2  # columns between two cells


@dataclass(frozen=True)
class QueueShown:
    """A queue, as `queues.view` tells of it: a row for each run, which names its file.

    Where the terminal has no room for a row, the file and the run's name have lines of their own.
    """

    queue: dict[str, Any]

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the title, why it is paused, and who has the turn and waits for it."""
        yield Text(f"queue {shown(self.queue['queue'])}", "bold")
        if paused := self.queue["paused"]:
            why = shown(paused["reason"])
            yield Text.assemble((f"‖ paused since {local(paused['since'])}", "yellow"), f"  {why}")
            yield Text(f"  stp queue resume {self.queue['queue']}")
        if not self.queue["holder"]:
            yield Text("nobody holds the turn", "dim")
        if rows := _rows(self.queue):
            yield from _table(rows) if _width(rows) <= options.max_width else _lines(rows)


def _rows(queue: dict[str, Any]) -> list[Row]:
    """Return a row for the run that has the turn, and for each that waits."""
    rows = []
    if holder := queue["holder"]:
        left = f"still {about(holder['left_seconds'] or 0.0)}"
        if holder["left_seconds"] is None:
            left = "how long still is not known"
        elif not holder["left_seconds"]:
            left = f"longer than the usual {duration(holder['usually_seconds'])}"
        rows.append(_row(Text("● holds the turn", "cyan"), holder, left))
    for each in queue["waiting"]:
        known = each["wait_seconds"] is not None
        left = f"its turn in {about(each['wait_seconds'])}" if known else ""
        rows.append(_row(Text(f"{each['place']}. waits"), each, left))
    return rows


def _row(mark: Text, place: dict[str, Any], left: str) -> Row:
    """Return the row of one run."""
    since = f"since {local(place['since'])} ({duration(ago(place['since']))})"
    file = Text(shown(place["file"] or "(no file)", LONGEST_KEY))
    return mark, file, Text(place["run"]), Text(since), Text(left)


def _width(rows: Sequence[Row]) -> int:
    """Return the columns that a table of these rows takes, with keys that are folded."""
    widths = [max(cell_len(cell.plain) for cell in column) for column in zip(*rows, strict=True)]
    widths[FILE] = min(widths[FILE], LEAST_OF_A_KEY)
    return sum(widths) + GAP * (len(widths) - 1)


def _table(rows: Sequence[Row]) -> RenderResult:
    """Yield the rows side by side."""
    table = Table.grid(padding=(0, GAP))
    for column in range(len(rows[0])):
        table.add_column(overflow="fold", no_wrap=column != FILE)
    for row in rows:
        table.add_row(*row)
    yield table


def _lines(rows: Sequence[Row]) -> RenderResult:
    """Yield the rows below each other; a run's name can be copied whole."""
    for mark, file, run, since, left in rows:
        yield Text("  ").join([each for each in (mark, since, left) if each.plain])
        yield Text("  ") + file
        name = Text("  ") + run
        name.overflow, name.no_wrap = "ignore", True
        yield name

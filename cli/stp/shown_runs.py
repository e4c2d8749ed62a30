"""How runs look in a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.box import SIMPLE
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from stp.moments import duration, local
from stp.run_facts import MARKS, Run, tone_of
from stp.timeline import Phase
from stp.waits import Wait
from straight_through.queue.table import Item
from straight_through.telling.messages import (
    caused_by,
    held_because,
    processed_by,
    rows_in,
    rows_out,
    set_told,
)
from straight_through.text import counted, lines_shown, shown

TITLES = ("started", "status", "took", "file", "run")
FILE = TITLES.index("file")
LEAST_OF_A_KEY = 20  # columns in which a key is still read
LONGEST_KEY = 1100  # characters of an address in S3
STYLES = {"good": "green", "now": "cyan", "held": "yellow"}  # by tone; anything else is red


def status_text(status: str, error: str | None = None) -> Text:
    """Return a status with its mark and colour."""
    tone = tone_of(status)
    text = f"{MARKS[tone]} {status}" + (f": {shown(error)}" if error else "")
    return Text(text, STYLES.get(tone, "red"))


@dataclass(frozen=True)
class RunsShown:
    """One line for each run; where the terminal has no room for one, a few, the name on its own.

    A name that is longer than a line is folded with `fold`, else left to the terminal, so that it
    can be copied whole.
    """

    runs: Sequence[Run]
    fold: bool = False

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a table, or lines."""
        rows = [_cells(run) for run in self.runs]
        fixed = [
            max(map(cell_len, column)) for column in zip(TITLES, *map(_plain, rows), strict=True)
        ]
        fixed[FILE] = min(fixed[FILE], LEAST_OF_A_KEY)
        if sum(fixed) + 3 * (len(TITLES) - 1) > options.max_width:
            for row in rows:
                yield Text("  ").join([each for each in row[:FILE] if each.plain])
                yield Text("  ") + row[FILE]
                yield self._name(row[-1])
            return
        table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
        for title in TITLES:
            table.add_column(title, overflow="fold", no_wrap=title != TITLES[FILE])
        for row in rows:
            table.add_row(*row)
        yield table

    def _name(self, name: Text) -> Text:
        """Return a name on a line of its own."""
        line = Text("  ") + name
        line.overflow, line.no_wrap = ("fold", False) if self.fold else ("ignore", True)
        return line


def run_status(run: Run) -> Text:
    """Return a run's status, and whether what a gate held was released."""
    if run.facts.get("released"):
        return Text(f"{MARKS['good']} {run.status}, released", STYLES["good"])
    if wait := run.facts.get("waiting"):
        if wait["paused"] is not None:
            return Text(f"{MARKS['held']} waits, queue paused", STYLES["held"])
        return Text(f"{MARKS['now']} waits, {Wait(**wait).where}", STYLES["now"])
    text = status_text(run.status, run.facts["error"])
    return text.append(", its release has begun") if run.facts.get("released_by") else text


def _cells(run: Run) -> list[Text]:
    """Return what stands in a run's row."""
    return [
        Text(local(run.started)),
        run_status(run),
        Text(duration(seconds_of(run))),
        Text(shown(run.key, LONGEST_KEY) or no_file(run)),
        Text(run.name),
    ]


def no_file(run: Run) -> str:
    """Return what stands for the file of a run that has none."""
    return f"(no file: {shown(str(run.facts['route']))})" if run.input.get("route") else "(none)"


def _plain(row: Sequence[Text]) -> list[str]:
    """Return the texts of a row."""
    return [each.plain for each in row]


def seconds_of(run: Run) -> float:
    """Return the seconds from start to end, or until now."""
    ended = run.facts["ended_at"]
    end = datetime.fromisoformat(ended) if ended else datetime.now(UTC)
    return (end - run.started).total_seconds()


def run_details(run: Run, phases: Sequence[Phase], links: dict[str, str]) -> RenderableType:
    """Return all that is known of one run."""
    facts = run.facts
    file = facts["file"]
    twin = facts["identical_to"]
    lines: dict[str, Any] = {
        "file": shown(f"s3://{file['bucket']}/{file['key']}", LONGEST_KEY)
        if file["key"]
        else "none",
        "caused by": caused_by(facts.get("cause")),
        "version": file["version_id"],
        "set": set_told(facts.get("set")),
        "route": facts["route"] or "none",
        "message": facts["message"],
        "held because": "\n".join(held_because(facts["held"])),
        "releases": f"run {facts['releases']}" if facts.get("releases") else None,
        "released by": released_told(facts),
        "same bytes as": shown(f"{twin['key']} (run {twin['run']}, {twin['at']})", LONGEST_KEY)
        if twin
        else None,
        "table": "\n".join(map(table_told, run.prepared)),
        "processed by": processed_by(facts),
        "rows in": rows_in(facts["rows_in"], facts["rows_in_reason"]),
        "rows out": "\n".join(rows_out(facts["rows_out"])),
        "outputs": "none: the run made no outputs" if facts["no_outputs"] else facts["outputs"],
        "next": facts["next"],
        "pipeline": facts.get("pipeline_page"),
        **links,
    }
    # Whole lines and no table: an address that is cut is none.
    told = [
        Text.assemble(
            (f"  {name:14}", "dim"), lines_shown(str(value)).replace("\n", "\n" + " " * 16)
        )
        for name, value in lines.items()
        if value
    ]
    title = Text.assemble((run.name, "bold"), "  ", run_status(run))
    return Group(title, timeline_table(phases), *told)


def released_told(facts: Item) -> str | None:
    """Return by which run and when what a gate held was released, None where nobody has."""
    if not facts.get("released_by"):
        return None
    when = "" if facts["released"] else ", not done yet"
    if facts["released_at"]:
        when = f" at {local(facts['released_at'])}"
    return f"run {facts['released_by']}{when}"


def table_told(prepared: Item) -> str:
    """Return where the table that went up lies, how large it is, and where it stood in the file."""
    where, left_out = prepared["where"], prepared["left_out"]
    stood = [
        f"{name} '{shown(where[name])}'"
        for name in ("member", "sheet", "encoding", "delimiter")
        if where.get(name)
    ]
    stood += [f"header in row {where['header_row']}", f"from column {where['first_column']} on"]
    parts = [f"{name.replace('_', ' ')} {number:,}" for name, number in left_out.items() if number]
    size = f"{counted(prepared['rows'], 'row')}, {counted(prepared['columns'], 'column')}"
    return f"{prepared['key']} ({size})\nIt stood at {', '.join(stood)}" + (
        f"; left out: {', '.join(parts)}" if parts else ""
    )


def timeline_table(phases: Sequence[Phase]) -> Table:
    """Return when each phase began and how long it took."""
    table = Table.grid(padding=(0, 2))
    now = datetime.now(UTC)
    for phase in phases:
        mark, style = ("●", "cyan") if not phase.ended else ("✓", "green")
        if phase.failed:
            mark, style = "✗", "red"
        name = phase.name + (" (redriven)" if phase.redriven else "")
        where = f"at {phase.state}" if phase.failed or not phase.ended else ""
        length = duration(phase.seconds(now))
        table.add_row(local(phase.began), Text(f"{mark} {name}", style), length, where)
    return Table.grid() if not phases else table

"""How runs look in a terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stp.moments import duration, local
from stp.runs import GOOD, RUNNING, Run
from stp.timeline import Phase
from straight_through.statuses import HELD

MARKS = dict.fromkeys(GOOD, ("✓", "green")) | {RUNNING: ("●", "cyan"), HELD: ("‖", "yellow")}


def status_text(status: str, error: str | None = None) -> Text:
    """Return a status with its mark and colour."""
    mark, style = MARKS.get(status, ("✗", "red"))
    return Text(f"{mark} {status}" + (f": {error}" if error else ""), style)


def runs_table(runs: Sequence[Run]) -> Table:
    """Return one line for each run."""
    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    for title in ("started", "status", "took", "file", "run"):
        table.add_column(title, overflow="fold", no_wrap=title != "file")
    for run in runs:
        table.add_row(
            local(run.started),
            status_text(run.status, run.facts["error"]),
            duration(seconds_of(run)),
            Text(run.key or "(none)"),
            Text(run.name),
        )
    return table


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
    rows_out = [f"{name}: {count:,}" for name, count in facts["rows_out"].items()]
    held = [f"{each['name']} has {each['rows']:,} rows" for each in facts["held"]]
    lines: dict[str, Any] = {
        "file": f"s3://{file['bucket']}/{file['key']}" if file["key"] else "none",
        "version": file["version_id"],
        "route": facts["route"] or "none",
        "message": facts["message"],
        "held because": "\n".join(held),
        "same bytes as": f"{twin['key']} (run {twin['run']}, {twin['at']})" if twin else None,
        "rows in": f"{facts['rows_in']:,}" if facts["rows_in"] is not None else None,
        "rows out": "\n".join(rows_out),
        "outputs": facts["outputs"],
        "next": facts["next"],
        **links,
    }
    # Whole lines and no table: an address that is cut is none.
    told = [
        Text.assemble((f"  {name:14}", "dim"), str(value).replace("\n", "\n" + " " * 16))
        for name, value in lines.items()
        if value
    ]
    title = Text.assemble((run.name, "bold"), "  ", status_text(run.status, facts["error"]))
    return Group(title, timeline_table(phases), *told)


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

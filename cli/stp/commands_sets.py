"""`stp sets`: which files belong together, and which of them have not come."""

from typing import Annotated, Any, cast

import typer
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from stp.endings import ending
from stp.follow import follow
from stp.here import here_of
from stp.moments import local
from stp.new_runs import of_set, start
from stp.run_facts import GOOD
from stp.said import FAILED, UNKNOWN, Stop, going_on
from straight_through.gathering.sets import SETS, set_key
from straight_through.queue.items import SetItem, SetMember
from straight_through.text import listed, shown

app = typer.Typer(help="Sets: files that belong together, and which of them have not come.")


@app.callback(invoke_without_command=True)
def sets(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Those that are complete too.")] = False,
) -> None:
    """List the sets that wait, for whom and since when."""
    if context.invoked_subcommand:
        return
    here = here_of(context)
    with here.said.doing("Reading the sets"):
        items = [cast("SetItem", item) for item in here.stack.table.items(SETS)]
    found = [told(item) for item in items if every or waits(item)]
    none = "No file of a set has come yet: docs/gather-a-set.md"
    if items and not found:
        none = "No set waits. Those that are complete: stp sets --all"
    here.said.result(found, _table(found) if found else none)


@app.command("run")
def run_set(
    context: typer.Context,
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="The route.")],
    period: Annotated[
        str, typer.Argument(metavar="PERIOD", help="The period, as stp sets shows it.")
    ],
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Follow the run to its end.")] = False,
) -> None:
    """Run a set with the files that have come, without those that are missing."""
    here = here_of(context)
    stack = here.stack
    with here.said.doing(f"Reading set {period}"):
        item = cast("SetItem", stack.table.get(set_key(route, period)) or {})
    if not item:
        raise Stop(
            f"No file of a set {period!r} of route {route!r} has come. See: stp sets", UNKNOWN
        )
    name, given = of_set(_newest(item))
    with here.said.doing(f"Starting {name}"):
        arn = start(stack, name, given)
    missing = item.get("missing", [])
    without = f", without {listed(missing)}" if missing else ""
    told = {"run": name, "route": route, "period": period, "missing": missing, "arn": arn}
    if not wait:
        here.said.result(told, f"Started run {name}{without}", f"Follow it: stp show {name}")
        return
    here.said.note(f"Started run {name}{without}")
    with going_on(f"What was started goes on: stp show {name}"):
        (run,) = follow(stack, here.said, [name])
    here.said.result([run.facts], *ending(run, []))
    if run.status not in GOOD:
        raise typer.Exit(FAILED)


def _newest(item: SetItem) -> SetMember:
    """Return the newest file of a set: the run by hand is one of it."""
    return max(item["members"].values(), key=lambda member: member["order"])


def waits(item: SetItem) -> bool:
    """Whether a set waits for files."""
    return "since" in item


def told(item: SetItem) -> dict[str, Any]:
    """Return what people are told of one set."""
    return {
        "route": item["route"],
        "period": item["period"],
        "waits_for": item["missing"],
        "since": item.get("since"),
        "files": {
            file: {
                "key": member["source"]["key"],
                "dropped_at": member["source"]["dropped_at"],
                "run": member["run"],
            }
            for file, member in sorted(item["members"].items())
        },
        "version": item["version"],
        "last_run": item.get("run"),
    }


def _table(found: list[dict[str, Any]]) -> Table:
    """Return a line for each set."""
    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    for title in ("route", "period", "waits for", "since", "has", "last run"):
        table.add_column(title, overflow="fold")
    for each in found:
        has = "\n".join(shown(file["key"]) for file in each["files"].values())
        last = f"{each['last_run']} (version {each['version']})" if each["last_run"] else ""
        waits = "\n".join(each["waits_for"]) if each["since"] else ""
        row = (each["route"], shown(each["period"]), waits, local(each["since"]), has, last)
        table.add_row(*(Text(text) for text in row))
    return table

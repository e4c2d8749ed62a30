"""`stp when`: what starts runs without files, and when the next one is due."""

from typing import Annotated, Any, cast

import typer
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from stp.here import here_of
from stp.moments import local
from stp.said import UNKNOWN, Stop
from straight_through.queue.items import WhenItem
from straight_through.starting.updates import WHEN, resumed, when_key
from straight_through.text import shown

app = typer.Typer(help="What starts runs without files: updates of datasets, schedules.")
LONGEST_WHY = 1000  # characters
DEAF = "The stack takes no events, so that no update starts a run: docs/events.md"


@app.callback(invoke_without_command=True)
def when(context: typer.Context) -> None:
    """List what starts each route's runs, the next moment, the last run, and what is off."""
    if context.invoked_subcommand:
        return
    here = here_of(context)
    with here.said.doing("Reading what starts runs"):
        items = [cast("WhenItem", item) for item in here.stack.table.items(WHEN)]
    found = [_told(item) for item in items if item.keys() & {"updated", "at", "wrong"}]
    if not found:
        here.said.result(found, 'No route has a "when": docs/run-without-a-file.md')
        return
    deaf = not here.stack.takes_events and any(each["updated"] for each in found)
    here.said.result(found, _table(found), *([DEAF] if deaf else []))


@app.command()
def resume(
    context: typer.Context,
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="The route that was switched off.")],
) -> None:
    """Let updates start runs of a route again, after they were switched off."""
    here = here_of(context)
    with here.said.doing(f"Resuming {route}"):
        was_off = resumed(here.stack.table, route)
        known = was_off or bool((here.stack.table.get(when_key(route)) or {}).get("updated"))
    if not known:
        raise Stop(f"No updates start runs of a route {route!r}. See: stp when", UNKNOWN)
    again = f"Updates start runs of {route} again." if was_off else f"{route} was not switched off."
    here.said.result({"route": route, "was_off": was_off}, again)


def _told(item: WhenItem) -> dict[str, Any]:
    """Return what people are told of one route."""
    off = item.get("off")
    return {
        "route": item["sk"],
        "updated": item.get("updated", []),
        "at": item.get("at") or None,
        "zone": item.get("zone") if item.get("at") else None,
        "next": item.get("next") or None,
        "wrong": item.get("wrong") or None,
        "waits_for": [d for d in item.get("updated", []) if d not in item.get("told", {})],
        "last_run": item.get("last_run"),
        "off": {"since": off["since"], "why": off["why"]} if off else None,
    }


def _table(found: list[dict[str, Any]]) -> Table:
    """Return a line for each route."""
    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    for title in ("route", "starts when", "next", "last run", "off"):
        table.add_column(title, overflow="fold")
    for each in found:
        rules = [f"updated: {', '.join(each['updated'])}"] if each["updated"] else []
        rules += [f"at {each['at']} ({each['zone']})"] if each["at"] else []
        coming = each["wrong"] or (local(each["next"]) if each["next"] else "")
        if each["updated"] and not coming:
            coming = f"waits for {', '.join(each['waits_for'])}" if each["waits_for"] else ""
        off = each["off"]
        why = f"since {local(off['since'])}: {shown(off['why'], LONGEST_WHY)}" if off else ""
        row = (each["route"], "\n".join(rules), coming, each["last_run"] or "", why)
        table.add_row(*(Text(text) for text in row))
    return table

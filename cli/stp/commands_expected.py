"""`stp expected`: which files should come by when, which have come, and who owes what."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast

import typer
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from stp.here import here_of
from stp.moments import local
from straight_through.expecting.expectations import first_good
from straight_through.moments import iso
from straight_through.queue.arrivals import EXPECTS, arrivals_of
from straight_through.queue.items import Arrival, ExpectItem
from straight_through.text import shown


def expected(context: typer.Context) -> None:
    """List the file that each route expects next and by when, and those that have not come."""
    here = here_of(context)
    table = here.stack.table
    with here.said.doing("Reading what is expected"):
        items = expecting(table.items(EXPECTS))
        found = [
            told(item, table.items(next_arrivals(item)) if item.get("due") else ())
            for item in items
        ]
    if not found:
        here.said.result(found, 'No route has an "expect": docs/expect-files.md')
        return
    here.said.result(found, _table(found))


def expecting(items: Iterable[Any]) -> list[ExpectItem]:
    """Return the items of the routes that expect a file now, as the sweep has noted them."""
    return [cast("ExpectItem", each) for each in items if "gone" not in each and "rev" in each]


def next_arrivals(item: ExpectItem) -> str:
    """Return the partition of what has come already of the file that a route expects next."""
    return arrivals_of(item["sk"], item["name"])


def told(item: ExpectItem, arrivals: Iterable[Any]) -> dict[str, Any]:
    """Return what people are told of one route; `arrivals` are those of the file expected next."""
    now = iso(datetime.now(UTC))
    came = first_good([cast("Arrival", each) for each in arrivals], item.get("rows", 0))

    def named(period: str) -> str:
        return item["file"].replace("{period}", period)

    return {
        "route": item["sk"],
        "next": named(item["name"]) if item.get("due") else None,
        "due": item.get("due") or None,
        "came": {"file": came["key"], "at": came["at"], "run": came["sk"]} if came else None,
        "wrong": item.get("wrong") or None,
        "at_least_rows": item.get("rows") or None,
        "owed": [
            {"file": named(period), "due": each["due"], "counting": not each["told"]}
            for period, each in sorted(item.get("owed", {}).items())
            if each["due"] <= now
        ],
    }


def _table(found: list[dict[str, Any]]) -> Table:
    """Return a line for each route."""
    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    for title in ("route", "expects", "by", "has come", "has not come"):
        table.add_column(title, overflow="fold")
    for each in found:
        owed = [
            f"{shown(owes['file'])}, due {local(owes['due'])}"
            + (", its rows are not counted yet" if owes["counting"] else "")
            for owes in each["owed"]
        ]
        by = each["wrong"] or (local(each["due"]) if each["due"] else "")
        came = f"at {local(each['came']['at'])}" if each["came"] else ""
        row = (each["route"], shown(each["next"] or ""), by, came, "\n".join(owed))
        table.add_row(*(Text(text) for text in row))
    return table

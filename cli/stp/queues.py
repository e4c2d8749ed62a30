"""Queues: who holds a turn, who waits, and for how long still."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from stp.route_checks import route_of
from stp.route_files import Document
from stp.runs import MOST_RECORDS, record_of, records_of
from stp.said import Stop
from stp.stack import Stack
from straight_through.errors import RouteInvalid
from straight_through.queue.table import Item
from straight_through.queue.turns import QUEUES, tickets
from straight_through.routes import Route

Typical = Callable[[str], float | None]


def queue_items(stack: Stack) -> dict[str, Item]:
    """Return the item of each queue that was ever used."""
    return {item["sk"]: item for item in stack.table.items(QUEUES)}


def routes_of(documents: dict[str, Document]) -> dict[str, Route]:
    """Return the routes that are sound, by name."""
    found = {}
    for name, document in documents.items():
        try:
            found[name] = route_of(document)
        except RouteInvalid:
            continue  # stp routes and stp doctor tell of it
    return found


def view(stack: Stack, queue: str, item: Item, typical: Typical) -> dict[str, Any]:
    """Return what people see of a queue; `typical` knows how long a route's runs take."""
    holder = item.get("holder")
    shown: dict[str, Any] = {
        "queue": queue,
        "paused": {k: item["paused"][k] for k in ("since", "reason")} if "paused" in item else None,
        "holder": None,
        "waiting": [],
    }
    ahead: float | None = 0.0
    if holder:
        takes = typical(holder["route"])
        made = record_of(stack, holder["run"]).get("execution", {})
        since = made.get("created_at") or holder["granted_at"]
        gone = (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()
        left = None if takes is None else max(takes - gone, 0.0)
        ahead = left or None  # one that takes longer than usual does not tell for how long
        shown["holder"] = {
            "run": holder["run"],
            "route": holder["route"],
            "since": holder["granted_at"],
            "usually_seconds": takes,
            "left_seconds": left,
        }
    for place, ticket in enumerate(stack.table.items(tickets(queue)), start=1):
        wait = None if "paused" in item else ahead
        shown["waiting"].append(
            {
                "place": place,
                "run": ticket["run"],
                "route": ticket["route"],
                "dropped": ticket["sk"].partition("#")[0],
                "since": ticket["asked_at"],
                "wait_seconds": wait,
            }
        )
        takes = typical(ticket["route"])
        ahead = None if ahead is None or takes is None else ahead + takes
    return shown


def name_files(stack: Stack, seen: list[dict[str, Any]]) -> None:
    """Let what people see of queues name the file of each run, None for one that has none."""
    places = [place for queue in seen for place in (queue["holder"], *queue["waiting"]) if place]
    for at in range(0, len(places), MOST_RECORDS):
        some = places[at : at + MOST_RECORDS]
        records = records_of(stack, list({place["run"] for place in some}))
        for place in some:
            source = records.get(place["run"], {}).get("source") or {}
            place["file"] = source.get("key")


def set_pause(stack: Stack, queue: str, reason: str | None) -> dict[str, Any]:
    """Pause a queue for a reason, or resume it without one; return its state. Raises Stop."""
    asked = {"resume": queue} if reason is None else {"pause": queue, "reason": reason}
    answer = stack.client("lambda").invoke(
        FunctionName=f"{stack.name}-pause_queue", Payload=json.dumps(asked).encode()
    )
    said = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise Stop(
            f"The function {stack.name}-pause_queue failed: {said.get('errorMessage', said)} Look "
            f"at its log, /aws/lambda/{stack.name}."
        )
    return dict(said)

"""What the project's own packages say, for the page: a rule stands there, and nowhere else.

What AWS has answered to the page is given as it is, in the JSON of its APIs.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from local.packages import package

if TYPE_CHECKING:
    from stp.run_facts import Run
    from stp.timeline import Visit

# The steps of a remedy, called as the page's buttons are.
STEPS = {
    "redrive": "Redrive",
    "drop": "drop the file again",
    "rerun": "Run again",
    "release": "Release",
}


def dropped(bucket: str, key: str, version: str, patterns: str) -> dict[str, str]:
    """The run that a dropped version starts; or `why` it starts none, in a sentence, else ""."""
    why = package("straight_through.files.ignored").why_ignored(key, patterns)
    return {"why": why, "run": package("straight_through.names").run_name(bucket, key, version)}


def unseen() -> list[tuple[int, int]]:
    """The first and the last of each range of characters that are not seen as themselves."""
    is_seen = package("straight_through.text").is_seen
    codes = range(sys.maxunicode + 1)
    ranges = []
    for seen, group in groupby(codes, lambda code: is_seen(chr(code))):
        if not seen:
            found = list(group)
            ranges.append((found[0], found[-1]))
    return ranges


def queues(routes: Mapping[str, Any], used: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """All queues, by name: those that were used, by their items, and those that routes name.

    `routes` are documents by name; of one that is not sound stp routes check tells.
    """
    document = package("stp.route_files").Document
    documents = {name: document(name, value, name) for name, value in routes.items()}
    sound = package("stp.queues").routes_of(documents)
    items = {str(each["sk"]): each for each in used}
    return [
        {
            **items.get(queue, {}),
            "name": queue,
            "tickets": package("straight_through.queue.turns").tickets(queue),
            "routes": [name for name, route in sound.items() if route.queue == queue],
        }
        for queue in sorted({*items, *(route.queue for route in sound.values())})
    ]


# --- runs --------------------------------------------------------------------------------------
def runs(executions: Sequence[Mapping[str, Any]], routes: Sequence[str]) -> list[dict[str, Any]]:
    """The runs that answers of DescribeExecution tell of, in their order; `routes` are by name."""
    reading = package("stp.run_facts")
    found = []
    for each in executions:
        moments = {
            name: _moment(each[name]) for name in ("startDate", "stopDate") if each.get(name)
        }
        run = reading.run_of({**each, **moments}, STEPS, routes, {})
        found.append(_run(run, each["stateMachineArn"]))
    return found


def _run(run: "Run", machine: str) -> dict[str, Any]:
    """One run as the page has it; moments are in milliseconds."""
    telling, reading = package("straight_through.telling.messages"), package("stp.run_facts")
    facts = run.facts
    ended = facts["ended_at"]
    told = ("status", "error", "message", "route")
    return {
        **{name: facts[name] for name in told},
        "next": "" if facts["next"] == telling.NEXT["Succeeded"] else facts["next"],
        "name": run.name,
        "arn": run.arn,
        "machine": machine,
        "input": run.input,
        "key": run.key,
        "releases": run.releases,
        "running": run.running,
        "tone": run.tone,
        "mark": reading.MARKS[run.tone],
        "ended_badly": run.ended_badly,
        "redrivable": not run.redrivable,
        "redrives": run.redrives,
        "started": _milliseconds(run.started),
        "stopped": _milliseconds(datetime.fromisoformat(ended)) if ended else None,
        "rows_in": telling.rows_in(facts),
        "held_because": telling.held_because(facts),
        "manifest": run.manifest,
        "record": package("straight_through.queue.records").record_key(run.name),
    }


def new_run(
    what: str, run: str, given: Mapping[str, Any], record: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Name and input of a run that comes of another, by `again` or `release`; None for no file."""
    made = package("stp.new_runs")
    found = made.release(run) if what == "release" else made.again(run, given, record)
    return {"name": found[0], "input": found[1]} if found else None


# --- histories ---------------------------------------------------------------------------------
def timeline(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The steps of a history, and where the run is or has ended badly, by the names of states.

    Moments are in milliseconds. What went in and out is told by the ids of the events that have it.
    """
    told = package("stp.timeline")
    found = told.visits({**each, "timestamp": _moment(each["timestamp"])} for each in events)
    current = [visit.name for visit in found if visit.status == told.CURRENT]
    details = {each["id"]: each for each in events}
    return {
        "steps": [
            {
                "name": step.name,
                "status": step.status,
                "seconds": step.seconds(datetime.now(UTC)),
                "visits": [_visit(visit, details) for visit in step.visits],
            }
            for step in told.steps(found)
        ],
        "current": current[-1] if current else "",
        "last": found[-1].entered if found else None,
        "ended_at": told.ended_at(found),
        "if_stopped": told.STOPPED_AT.get(current[-1] if current else "", told.ELSEWHERE),
    }


def _visit(visit: "Visit", events: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """One visit of a state."""
    return {
        "entered": visit.entered,
        "exited": visit.exited,
        "status": visit.status,
        "tries": visit.tries,
        "stretches": [
            [_milliseconds(each.began), _milliseconds(each.ended)] for each in visit.stretches
        ],
        "failures": [_failure(events[each]) for each in visit.failures],
    }


def _failure(event: Mapping[str, Any]) -> dict[str, Any]:
    """A try that has failed: when, by which error, and its message."""
    found = (each for name, each in event.items() if name.endswith("EventDetails"))
    details: Mapping[str, Any] = next(found, {})
    message = package("straight_through.telling.messages").message_of(details.get("cause") or "")
    return {
        "at": _milliseconds(_moment(event["timestamp"])),
        "error": details.get("error"),
        "message": package("straight_through.text").told(message),
    }


def _moment(seconds: float) -> datetime:
    """A moment of AWS's JSON."""
    return datetime.fromtimestamp(seconds, UTC)


def _milliseconds(moment: datetime | None) -> int | None:
    """A moment as the page has it."""
    return None if moment is None else round(moment.timestamp() * 1000)

"""What the project's own packages say, for the page: a rule stands there, and nowhere else.

What AWS has answered to the page is given as it is, in the JSON of its APIs.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local.packages import package

if TYPE_CHECKING:
    from stp.timeline import Visit


def why_ignored(key: str, patterns: str) -> str:
    """Why such a key starts nothing, in a sentence; "" where it starts a run."""
    return str(package("straight_through.files.ignored").why_ignored(key, patterns))


def remedies(steps: Mapping[str, str]) -> dict[str, str]:
    """What to do about each error, by name; "" is for every other. `steps` are called so."""
    telling = package("straight_through.telling.remedies")
    names = ["", *(error.__name__ for error in telling.REMEDIES)]
    return {name: telling.what_to_do(name, steps) for name in names}


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
    return {
        "at": _milliseconds(_moment(event["timestamp"])),
        "error": details.get("error"),
        "message": package("straight_through.telling.messages").message_of(
            details.get("cause") or ""
        ),
    }


def _moment(seconds: float) -> datetime:
    """A moment of AWS's JSON."""
    return datetime.fromtimestamp(seconds, UTC)


def _milliseconds(moment: datetime | None) -> int | None:
    """A moment as the page has it."""
    return None if moment is None else round(moment.timestamp() * 1000)

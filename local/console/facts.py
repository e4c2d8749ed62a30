"""What the project's own packages say, for the page: a rule stands there, and nowhere else.

What AWS has answered to the page is given as it is, in the JSON of its APIs.
"""

import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from local.deploy import STACK_NAME
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
    "attach": "follow its execution in a new run: `stp rerun --attach`",
    "add": "add the route",
    "mend": "mend the route",
    "logs": "look at the log lines below",
    "queue": "see under Queues what holds the queue up",
    "held": "see what is held, above the list",
}


def dropped(bucket: str, key: str, version: str) -> dict[str, str]:
    """The run that a dropped version starts."""
    return {"run": package("straight_through.names").run_name(bucket, key, version)}


def refused(key: str, size: int, patterns: str, prefix: str) -> str:
    """Why a file is not uploaded, in sentences, "" where it is."""
    why = package("stp.refused").why_refused(key, size, patterns, prefix, STACK_NAME)
    return str(why)


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


def expected(
    used: Sequence[Mapping[str, Any]], arrivals: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """What each route expects next and is owed, by the items of what is expected.

    `arrivals` is what has come of the files expected next, by the partitions that `came_in` names.
    """
    of_stp = package("stp.commands_expected")
    told = []
    for item in of_stp.expecting(used):
        came_in = of_stp.next_arrivals(item)
        found = of_stp.told(item, arrivals.get(came_in, []))
        owed = [{**each, "due": _at(each["due"])} for each in found["owed"]]
        came = found["came"] and {**found["came"], "at": _at(found["came"]["at"])}
        told.append(
            {**found, "due": _at(found["due"]), "owed": owed, "came": came, "came_in": came_in}
        )
    return told


def sets(used: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The sets that wait, by the items of all."""
    of_stp = package("stp.commands_sets")
    found = [of_stp.told(item) for item in used if of_stp.waits(item)]
    return [{**each, "since": _at(each["since"])} for each in found]


# --- runs --------------------------------------------------------------------------------------
def runs(
    executions: Sequence[Mapping[str, Any]],
    routes: Sequence[str],
    records: Mapping[str, Mapping[str, Any]],
    pipeline_page: str = "",
) -> list[dict[str, Any]]:
    """The runs that answers of DescribeExecution or entries of ListExecutions tell of, in order.

    An entry tells less than an answer, and its record the more: `whole` says which it was. `routes`
    are by name, `records` are what the table has of these runs, `pipeline_page` is the stack's
    PipelinePageUrl.
    """
    reading = package("stp.run_facts")
    found = []
    for each in executions:
        moments = {
            name: _moment(each[name]) for name in ("startDate", "stopDate") if each.get(name)
        }
        record = records.get(each["name"], {})
        run = reading.run_of({**each, **moments}, STEPS, routes, record, pipeline_page)
        run.facts.update(reading.release_facts(run, record))
        whole = "input" in each
        if not whole and "held" in record and each["status"] == "SUCCEEDED":
            run.facts["status"] = package("straight_through.statuses").HELD
        found.append({**_run(run, each["stateMachineArn"], record), "whole": whole})
    return found


def _run(run: "Run", machine: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """One run as the page has it; moments are in milliseconds."""
    telling, reading = package("straight_through.telling.messages"), package("stp.run_facts")
    facts = run.facts
    ended = facts["ended_at"]
    told = ("status", "error", "message", "route", "released", "released_by")
    tone = "good" if facts["released"] else run.tone
    stopped = _milliseconds(datetime.fromisoformat(ended)) if ended else None
    rows = facts["rows_in"]
    if rows is None:
        rows = (
            (record.get("execution") or record.get("posted") or {}).get("measures", {}).get("rows")
        )
    return {
        **{name: facts[name] for name in told},
        "next": "" if facts["next"] == telling.NEXT["Succeeded"] else facts["next"],
        "pipeline_page": facts.get("pipeline_page"),
        "name": run.name,
        "arn": run.arn,
        "machine": machine,
        "input": run.input,
        "key": run.key,
        "queue": record.get("queue"),
        "releases": run.releases,
        "running": run.running,
        "tone": tone,
        "mark": reading.MARKS[tone],
        "ended_badly": run.ended_badly,
        "ended_well": facts["status"] == package("straight_through.statuses").SUCCEEDED,
        "open_hold": reading.open_hold(record),
        "redrivable": not run.redrivable,
        "redrives": run.redrives,
        "started": _milliseconds(run.started),
        "stopped": stopped,
        "stretches": _stretches(run, record, stopped),
        "uploaded_as": reading.uploaded_as(run),
        "rows": rows,
        "processed_by": telling.processed_by(facts),
        "rows_in": telling.rows_in(rows, facts["rows_in_reason"]),
        "rows_out": telling.rows_out(facts["rows_out"]),
        "rows_made": _sum(facts["rows_out"].values()),
        "held_because": telling.held_because(facts["held"]),
        "manifest": run.manifest,
        "record": package("straight_through.queue.records").record_key(run.name),
    }


def _sum(rows: Collection[int | None]) -> int | None:
    """All rows of outputs, None where there are none or one is not counted."""
    return sum(rows) if rows and None not in rows else None  # type: ignore[arg-type]


def _stretches(
    run: "Run", record: Mapping[str, Any], stopped: int | None
) -> list[tuple[str, int, int | None]]:
    """What a run spent its time on, from when, until when: in milliseconds, None goes on."""
    began = _milliseconds(run.started) or 0
    made = record.get("execution", {})
    granted = _at(record.get("posted", {}).get("granted_at"))
    executed = _at(made.get("executed_at") or made.get("created_at"))
    ran = run.facts["ran_seconds"]
    came_back = executed + round(1000 * ran) if executed and ran is not None else None
    points = [("waited", began), ("uploaded", granted), ("ran", executed), ("published", came_back)]
    known = [(what, at) for what, at in points if at]
    found, end = [], stopped
    for what, at in reversed(known):
        # A redriven run has gone through some of it before: no stretch is shorter than none.
        until = None if end is None else max(end, at)
        found.append((what, at, until))
        end = at
    return found[::-1]


def unusual(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """What stands out among runs, by their names: `late` and `rows`, in words."""
    told = package("stp.usual")
    result: dict[str, dict[str, str]] = told.unusual([told.Seen(**run) for run in runs])
    return result


def new_run(
    what: str, run: str, given: Mapping[str, Any], record: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Name and input of a run that comes of another, by `again` or `release`; None for no file."""
    made = package("stp.new_runs")
    found = made.release(run) if what == "release" else made.again(run, given, record)
    return {"name": found[0], "input": found[1]} if found else None


def log_lines(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the functions have logged, of answers of FilterLogEvents, as people read it."""
    logs = package("stp.commands_logs")
    return [logs.line_of(logs.event_of(each)) for each in sorted(events, key=_logged)]


def _logged(event: Mapping[str, Any]) -> int:
    """When a line was logged, in milliseconds."""
    return int(event["timestamp"])


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


def _at(moment: str | None) -> int | None:
    """A moment of ISO 8601 as the page has it."""
    return _milliseconds(datetime.fromisoformat(moment)) if moment else None


def _milliseconds(moment: datetime | None) -> int | None:
    """A moment as the page has it."""
    return None if moment is None else round(moment.timestamp() * 1000)

"""One run, as people are told of it: read from what DescribeExecution answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from stp.timeline import UPLOADED
from straight_through.attempts import Attempt
from straight_through.execution_input import typed
from straight_through.queue.items import RunRecord
from straight_through.queue.records import releasing
from straight_through.queue.table import Item
from straight_through.routes import routable_folders
from straight_through.statuses import GATHERED, HELD, REPLACED, SKIPPED, SUCCEEDED
from straight_through.telling.messages import ENDS, ended_of, facts_of
from straight_through.telling.remedies import what_to_do

BAD = {of: status for of, status in ENDS.items() if status != SUCCEEDED}  # by Step Functions' word
GOING = ("RUNNING", "PENDING_REDRIVE")
RUNNING = "Running"
GOOD = (SUCCEEDED, SKIPPED, REPLACED, GATHERED)
# What a status is like; one that is not named is bad.
TONES = dict.fromkeys(GOOD, "good") | {RUNNING: "now", HELD: "held", "Aborted": "still"}
MARKS = {"good": "✓", "now": "●", "held": "‖", "still": "■", "bad": "✗"}


@dataclass(frozen=True)
class Run:
    """One execution; `facts` is what people and other systems are told of it."""

    name: str
    arn: str
    started: datetime
    input: Any
    facts: Item
    redrivable: str = ""  # why it is not, "" if it is
    redrives: int = 0
    prepared: list[Item] = field(default_factory=list)  # the tables that were made of the files

    @property
    def status(self) -> str:
        """What became of it: Running, Failed, TimedOut, Aborted, or one of `statuses`."""
        return str(self.facts["status"])

    @property
    def tone(self) -> str:
        """What its status is like, by which it is marked: one of `MARKS`."""
        return tone_of(self.status)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.status == RUNNING

    @property
    def ended_badly(self) -> bool:
        """Whether Step Functions has ended it badly."""
        return self.status in BAD.values()

    @property
    def key(self) -> str:
        """The dropped file's key."""
        return str(self.facts["file"]["key"] or "")

    @property
    def releases(self) -> str:
        """The name of the held run that it is to release, "" for one that is of a file."""
        return str(self.input.get("release", ""))

    @property
    def manifest(self) -> tuple[str, str] | None:
        """Bucket and key of its manifest; None where none is written yet."""
        bucket, _, folder = str(self.facts["outputs"] or "").removeprefix("s3://").partition("/")
        return (bucket, f"{folder}manifest.json") if bucket else None

    @property
    def order(self) -> str:
        """Its place among others: by the time of the drop, or of its own start."""
        started = self.started.isoformat()
        return Attempt(self.name, self.arn, 0, started, started, self.input).order


def run_of(
    found: Mapping[str, Any],
    steps: Mapping[str, str],
    routes: Iterable[str],
    record: Item,
    pipeline_page: str = "",
) -> Run:
    """Return the run that an answer tells of; `routes` are the names of those that there are now.

    `steps` says how each step of a remedy is called; `{run}` in it is the run's name.
    `pipeline_page` is the stack's PipelinePageUrl.
    """
    status, given = found["status"], typed(found.get("input"))
    steps = {step: called.replace("{run}", found["name"]) for step, called in steps.items()}
    ended = ended_of(
        {
            **found,
            "startDate": _milliseconds(found["startDate"]),
            "stopDate": _milliseconds(found.get("stopDate") or datetime.now(UTC)),
        }
    )
    facts: Item = {**facts_of(ended, cast("RunRecord", record), steps, pipeline_page)}
    if status in GOING:
        facts |= {"status": RUNNING, "ended_at": None, "next": "Wait for its end."}
    elif status == "FAILED" and not given.keys() & {"key", "release", "route"}:
        # The first state may have met what no state can read, and AWS has named it.
        facts["next"] = what_to_do("InputInvalid", steps)
    facts["route"] = facts["route"] or route_of(facts["file"]["key"] or "", routes)
    if not facts["route"] and given.get("route") in list(routes):  # a run that has just begun
        facts["route"] = given["route"]
    able = found.get("redriveStatus", "REDRIVABLE" if status in BAD else "NOT_REDRIVABLE")
    why = found.get("redriveStatusReason") or f"it is {facts['status']}"
    return Run(
        name=found["name"],
        arn=found["executionArn"],
        started=found["startDate"],
        input=given,
        facts=facts,
        redrivable="" if able == "REDRIVABLE" else why,
        redrives=found.get("redriveCount") or 0,
        prepared=prepared_of(record),
    )


def uploaded_as(run: Run) -> str:
    """Return what a run has done where others upload their file."""
    if run.input.get("execution_id"):
        return "found its execution"
    if not run.key and not run.releases:
        return "executed"
    return "found the same bytes" if run.status == SKIPPED else UPLOADED


def tone_of(status: str) -> str:
    """Return what a status is like: one of `MARKS`."""
    return TONES.get(status, "bad")


def prepared_of(record: Item) -> list[Item]:
    """Return what a run's record tells of each table made of its files, as its manifest does."""
    measures = (record.get("execution") or record.get("posted") or {}).get("measures", {})
    return [of["prepared"] for of in (measures, *measures.get("members", [])) if "prepared" in of]


def released_by(record: Item) -> str:
    """Return the name of the run that releases what a run's gate holds, "" where one may yet."""
    return releasing(cast("RunRecord", record), datetime.now(UTC)).rpartition(":")[2]


def release_facts(run: Run, record: Item) -> Item:
    """Return what a run releases, and by which run and when what it holds was released.

    `record` is its own. A release that has begun may not be done yet.
    """
    by = released_by(record)
    done = bool(by) and not open_hold(record)
    found: Item = {
        "releases": run.releases or None,
        "released": done,
        "released_by": by or None,
        "released_at": record.get("released_at"),
    }
    if done:
        found["next"] = f"Nothing: it was released. See: stp show {by}"
    elif by:
        found["next"] = f"Its release has begun. See: stp show {by}"
    return found


def open_hold(record: Item) -> bool:
    """Whether a gate holds what a run has made, by the run's record, and nobody has released it."""
    if "held" not in record:
        return False
    # Release 1.0.0 has noted neither when a release began nor when it was done.
    done = "released_at" in record or ("released_by" in record and "release_began" not in record)
    return not done


def route_of(key: str, routes: Iterable[str]) -> str | None:
    """Return the route of the deepest folder of a key that has one now."""
    known = set(routes)
    return next((each for each in reversed(routable_folders(key)) if each in known), None)


def _milliseconds(moment: datetime) -> int:
    """Return a moment as EventBridge's events have it."""
    return int(moment.timestamp() * 1000)

"""How a run spent its time, by its history: visits of states, and what they are for people.

A history is what GetExecutionHistory answers, with or without the data of its events.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stp.stack import Stack

UPLOADED = "uploaded"
# What each state is for a person; a state that is not named belongs to what goes on already.
PHASES = {
    "CheckFile": "checked",
    "WaitForReplacement": "waited for the empty file to be replaced",
    "TakeTurn": "waited for its turn",
    "UploadAndExecute": UPLOADED,
    "WaitForPipeline": "ran in Quantemplate",
    "WaitForEvent": "ran in Quantemplate",
    "CheckStatus": "ran in Quantemplate",
    "DownloadOutputs": "downloaded",
    "PublishRun": "published",
}
# What it means to stop a run in a state.
STOPPED_AT = {
    "CheckFile": "nothing was uploaded.",
    "WaitForReplacement": "nothing was uploaded.",
    "TakeTurn": "it leaves the queue; nothing was uploaded or executed.",
    "UploadAndExecute": "what is under way, an upload or an Execute, goes on to its end; the next "
    "run waits for that.",
    "WaitForPipeline": "the execution goes on in Quantemplate; the next run waits for its end.",
    "WaitForEvent": "the execution goes on in Quantemplate; the next run waits for its end.",
    "CheckStatus": "the execution goes on in Quantemplate; the next run waits for its end.",
    "DownloadOutputs": "the outputs that are whole stay.",
    "DownloadOutput": "the outputs that are whole stay.",
    "PublishRun": "what is exported and chained stays.",
}
ELSEWHERE = (
    "an execution that Quantemplate has begun goes on there, and the next run waits for its end."
)
CURRENT, DONE, FAILED, STOPPED = "current", "done", "failed", "stopped"  # what became of a visit
# What an execution's end is for the visits that are open then.
ENDS = {
    "ExecutionSucceeded": DONE,
    "ExecutionFailed": FAILED,
    "ExecutionTimedOut": FAILED,
    "ExecutionAborted": STOPPED,
}
REDRIVEN = "ExecutionRedriven"
TRIED = ("TaskScheduled", "LambdaFunctionScheduled")
TRY_FAILED = re.compile(r"(Task|LambdaFunction)(Failed|TimedOut|StartFailed|SubmitFailed)")
HOLDS_OTHERS = ("Map", "Parallel")


@dataclass(frozen=True)
class Stretch:
    """A time in which a state went on; without an end it goes on."""

    began: datetime
    ended: datetime | None = None


@dataclass
class Visit:
    """One entry of a state. A redrive goes on with it in another stretch.

    `entered`, `exited` and `failures` are ids of the events that have what went in and out.
    """

    name: str
    kind: str
    entered: int
    stretches: list[Stretch]
    status: str = CURRENT
    exited: int | None = None
    tries: int = 0
    failures: list[int] = field(default_factory=list)

    @property
    def began(self) -> datetime:
        """When the state was entered."""
        return self.stretches[0].began

    @property
    def ended(self) -> datetime | None:
        """When it was left, or the execution has ended; None while it goes on."""
        return self.stretches[-1].ended

    def end(self, time: datetime, status: str) -> None:
        """Note its end."""
        self.stretches[-1] = replace(self.stretches[-1], ended=time)
        self.status = status

    def go_on(self, time: datetime) -> None:
        """Note that a redrive goes on with it."""
        self.stretches.append(Stretch(time))
        self.status = CURRENT


@dataclass(frozen=True)
class Step:
    """A state of a run with all its visits."""

    name: str
    visits: Sequence[Visit]

    @property
    def status(self) -> str:
        """What became of it: what one of its visits does or did badly, else how the last ended."""
        found = {visit.status for visit in self.visits}
        known = (status for status in (CURRENT, FAILED, STOPPED) if status in found)
        return next(known, self.visits[-1].status)

    @property
    def first(self) -> datetime:
        """When it was entered for the first time."""
        return self.visits[0].began

    @property
    def since(self) -> datetime:
        """When the last stretch began, of those that go on the first."""
        last = [visit.stretches[-1] for visit in self.visits]
        going = [each.began for each in last if not each.ended]
        return min(going) if going else max(each.began for each in last)

    def seconds(self, now: datetime) -> float:
        """Return the time spent in it until now; iterations at one time count once."""
        spent, until = 0.0, None
        every = sorted((s.began, s.ended or now) for v in self.visits for s in v.stretches)
        for began, ended in every:
            if until is None or ended > until:
                spent += (ended - (began if until is None else max(began, until))).total_seconds()
                until = ended
        return spent


@dataclass(frozen=True)
class Phase:
    """A stretch of a run; without an end it goes on. `state` is the state it is or was in."""

    name: str
    state: str
    began: datetime
    ended: datetime | None = None
    failed: bool = False
    redriven: bool = False

    def seconds(self, now: datetime) -> float:
        """Return its length until now."""
        return ((self.ended or now) - self.began).total_seconds()


# --- reading ------------------------------------------------------------------------------------
class _Reading:
    """A history that is read event by event."""

    def __init__(self) -> None:
        """Begin before the first event."""
        self.found: list[Visit] = []
        self._going: dict[int, Visit] = {}  # by the id of their entry
        self._owner: dict[int, Visit | None] = {}  # of each event
        self._closed: list[Visit] = []  # by the last end

    def take(self, event: Mapping[str, Any]) -> None:
        """Read the next event."""
        time, kind = event["timestamp"], event["type"]
        visit = self._owner.get(event["previousEventId"])
        if entered := event.get("stateEnteredEventDetails"):
            of = kind.removesuffix("StateEntered")
            visit = self._going[event["id"]] = Visit(
                entered["name"], of, event["id"], [Stretch(time)]
            )
            self.found.append(visit)
        elif exited := event.get("stateExitedEventDetails"):
            visit = self._left(visit, exited["name"], event["id"], time)
        elif kind in TRIED:
            # After a redrive a state goes on without being entered: its event follows the redrive.
            visit = visit or self._last()
            if visit:
                visit.tries += 1
        elif visit and TRY_FAILED.fullmatch(kind):
            visit.failures.append(event["id"])
        elif kind in ENDS:
            self._end(kind, time)
        elif kind == REDRIVEN:
            visit = self._go_on(time)
        self._owner[event["id"]] = visit

    def _left(self, visit: Visit | None, name: str, event: int, time: datetime) -> Visit | None:
        """Note the exit from a state, and return its visit."""
        # A Map's exit follows its last iteration: then the name tells whose it is.
        if visit is None or visit.name != name or visit.status != CURRENT:
            visit = self._last(name)
        if visit:
            visit.end(time, DONE)
            visit.exited = event
            del self._going[visit.entered]
        return visit

    def _last(self, name: str = "") -> Visit | None:
        """Return the last visit that goes on, of a state if one is named."""
        going = reversed(self._going.values())
        return next((each for each in going if name in ("", each.name)), None)

    def _end(self, kind: str, time: datetime) -> None:
        """Note the execution's end: what did not fail itself was stopped."""
        self._closed = list(self._going.values())
        self._going.clear()
        some_failed = any(visit.failures for visit in self._closed)
        for visit in self._closed:
            itself = visit.kind in HOLDS_OTHERS or visit.failures or not some_failed
            status = ENDS[kind]
            visit.end(time, STOPPED if status == FAILED and not itself else status)

    def _go_on(self, time: datetime) -> Visit | None:
        """Note a redrive, and return the innermost visit that goes on by it."""
        for visit in self._closed:
            visit.go_on(time)
            self._going[visit.entered] = visit
        return self._last()


def visits(events: Iterable[Mapping[str, Any]]) -> list[Visit]:
    """Return the visits of a history in the order of their entries."""
    reading = _Reading()
    for event in events:
        reading.take(event)
    return reading.found


def steps(found: Iterable[Visit]) -> list[Step]:
    """Return the states that were visited, in the order of their first entries."""
    by_name: dict[str, list[Visit]] = {}
    for visit in found:
        by_name.setdefault(visit.name, []).append(visit)
    return [Step(name, all_) for name, all_ in by_name.items()]


def ended_at(found: Sequence[Visit]) -> str:
    """Return the innermost state at which a run failed or was stopped, "" if it did not."""
    for status in (FAILED, STOPPED):
        for visit in reversed(found):
            if visit.status == status:
                return visit.name
    return ""


def phases(found: Sequence[Visit], uploaded: str = UPLOADED) -> list[Phase]:
    """Return the stretches of a run, oldest first.

    `uploaded` is what UploadAndExecute was for it, where that is something else.
    """
    names = {**PHASES, "UploadAndExecute": uploaded}
    told: list[Phase] = []
    every = [(s, number, visit) for visit in found for number, s in enumerate(visit.stretches)]
    for stretch, number, visit in sorted(every, key=lambda each: each[0].began):
        last = told[-1] if told else None
        name = names.get(visit.name, last.name if last else "")
        state = last.state if last and visit.name not in PHASES else visit.name
        failed = number + 1 < len(visit.stretches) or visit.status in (FAILED, STOPPED)
        # All states that were open at a bad end go on by one redrive.
        again = number > 0 and not (last and last.redriven and last.began == stretch.began)
        if last and name == last.name and not again:
            ended = last.ended and stretch.ended and max(last.ended, stretch.ended)
            failed = last.failed or failed
            told[-1] = replace(last, state=state, ended=ended, failed=failed)
        elif name:
            told.append(Phase(name, state, stretch.began, stretch.ended, failed, number > 0))
    return told


def history(stack: "Stack", arn: str) -> list[dict[str, Any]]:
    """Return all events of a run, oldest first."""
    pages = stack.client("stepfunctions").get_paginator("get_execution_history")
    ask = {"executionArn": arn, "includeExecutionData": False}
    return [event for page in pages.paginate(**ask) for event in page["events"]]

"""How a plan is carried out: one file after the other, none twice, those that wait go first."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from stp.known_runs import Version, source_of
from stp.moments import duration
from stp.new_runs import start_once
from stp.replays import Plan, Planned
from stp.run_facts import BAD, GOING, GOOD, RUNNING, Run
from stp.runs import MOST_LISTED, MOST_RECORDS, listed, read, record_of, records_of
from stp.said import Said, going_on
from stp.shown_runs import seconds_of, status_text
from stp.stack import Stack
from stp.unknown_files import CLOCKS
from straight_through.aws import answer_of
from straight_through.gathering.sets import set_key
from straight_through.queue.turns import queue_key, tickets
from straight_through.statuses import HELD, SUCCEEDED
from straight_through.text import counted, shown

FIRST_LOOK, LAST_LOOK = 0.5, 5.0  # seconds between two looks at a run, or at the queue
MOST_COUNTED = 100  # runs of a queue, in what is told
REMIND = 60.0  # seconds after which it is said again what is waited for


@dataclass(frozen=True)
class Pace:
    """How fast a plan is carried out, and when it stops."""

    failures: int  # after so many it starts no more
    per_hour: float | None = None  # files that it starts at most
    now: bool = False  # whether it waits for no other file of the queue


@dataclass
class Replayed:
    """What has become of a plan so far."""

    runs: list[Run] = field(default_factory=list)  # that ended while it was carried out
    before: int = 0  # files that had been processed by it already
    passed_over: list[tuple[Planned, str]] = field(default_factory=list)  # and why
    stopped: bool = False  # for too many failures

    @property
    def failed(self) -> int:
        """How many have failed; what a gate holds has not."""
        return sum(run.status not in (*GOOD, HELD) for run in self.runs)

    @property
    def told(self) -> int:
        """Of how many files it is known what has become."""
        return len(self.runs) + self.before + len(self.passed_over)


class Others:
    """The runs that have begun since a plan was made, and which version each is of."""

    def __init__(self, stack: Stack, plan: Plan) -> None:
        """Know none yet."""
        self._stack = stack
        self._since = plan.made - CLOCKS
        self._of: dict[str, Version | None] = {}  # None while that is not known

    def of(self, version: Version) -> list[str]:
        """Return the runs of a version, as it is now."""
        new = [name for name in self._names() if self._of.get(name) is None]
        for at in range(0, len(new), MOST_RECORDS):
            some = new[at : at + MOST_RECORDS]
            records = records_of(self._stack, some)
            self._of |= {name: source_of(records.get(name, {})) for name in some}
        return [name for name, of in self._of.items() if of == version]

    def _names(self) -> Iterator[str]:
        """Yield the runs that were not there at the last look, and those not known by then."""
        looked = datetime.now(UTC)
        for each in listed(self._stack, self._since, at_once=MOST_LISTED):
            yield each["name"]
        self._since = max(self._since, looked - CLOCKS)


def begun(stack: Stack, plan: Plan) -> dict[str, dict[str, Any]]:
    """Return those runs of a plan that have begun, by name, as Step Functions lists them."""
    names = {file.run for file in plan.files}
    since = plan.made - CLOCKS
    return {
        each["name"]: each
        for each in listed(stack, since, at_once=MOST_LISTED)
        if each["name"] in names
    }


def carry_out(stack: Stack, said: Said, plan: Plan, queue: str, pace: Pace) -> Replayed:
    """Process the files of a plan that are left, in their order. Raises Stop where Ctrl-C comes."""
    done, others, known = Replayed(), Others(stack, plan), begun(stack, plan)
    goes_on = f"Go on with the plan: stp replay {plan.id}"
    due = time.monotonic()  # when the next file may start
    for number, file in enumerate(plan.files, 1):
        there = known.get(file.run)
        if there and there["status"] not in GOING:
            done.before += 1
            continue
        place = f"{number:,}/{len(plan.files):,}"
        if not there:
            with going_on(f"Nothing of the plan goes on. {goes_on}"):
                _wait(stack, said, plan, queue, pace, due)
                if why := _no_more_asked(stack, plan, others, file):
                    said.note(f"{place}  {shown(file.key)} is passed over: {why}")
                    done.passed_over.append((file, why))
                    continue
        with going_on(f"{file.run} goes on: stp show {file.run}. {goes_on}"):
            if not there:
                due = time.monotonic() + (3600 / pace.per_hour if pace.per_hour else 0)
                # Another who carries out the plan may have started it, or a drop's own event.
                start_once(stack, file.run, file.input)
            run = _followed(stack, said, file, place)
        done.runs.append(run)
        line = status_text(run.status, run.facts["error"]).plain
        said.note(f"{place}  {shown(file.key)}  {line}  {duration(seconds_of(run))}  {run.name}")
        if done.failed >= pace.failures and number < len(plan.files):
            done.stopped = True
            break
    return done


def _followed(stack: Stack, said: Said, file: Planned, place: str) -> Run:
    """Return a file's run once it has ended."""
    arn = stack.execution_arn(file.run)
    pause = FIRST_LOOK
    with said.progress(f"{place}  {file.run}") as tell:
        began = time.monotonic()
        while True:
            found = stack.client("stepfunctions").describe_execution(executionArn=arn)
            if found["status"] not in GOING:
                return read(stack, arn, (), record_of(stack, file.run))
            tell(f"goes on for {duration(time.monotonic() - began)}")
            time.sleep(pause)
            pause = min(pause * 1.2, LAST_LOOK)


def _wait(stack: Stack, said: Said, plan: Plan, queue: str, pace: Pace, due: float) -> None:
    """Return when the next file may start: at the rate, and when nobody else is in the queue."""
    told, last, pause = time.monotonic() - REMIND, "", FIRST_LOOK
    while why := _why_not_yet(stack, plan, queue, pace, due):
        if why != last or time.monotonic() - told >= REMIND:
            said.note(why)
            told, last = time.monotonic(), why
        time.sleep(pause)
        pause = min(pause * 1.2, LAST_LOOK)


def _why_not_yet(stack: Stack, plan: Plan, queue: str, pace: Pace, due: float) -> str:
    """Return why no file may start yet, "" if one may."""
    left = due - time.monotonic()
    if left > 0:
        files = f"{pace.per_hour:g} file{'s' * (pace.per_hour != 1)}"
        return f"waits: {files} an hour, as the plan has it"
    item = stack.table.get(queue_key(queue)) or {}
    if "paused" in item:
        reason = shown(str(item["paused"]["reason"]))
        return f"waits: queue {queue} is paused: {reason}; stp queue resume {queue}"
    if pace.now:
        return ""
    own = {file.run for file in plan.files}
    there = islice(stack.table.items(tickets(queue)), MOST_COUNTED)
    runs = [each["run"] for each in (*([item["holder"]] if "holder" in item else []), *there)]
    first = sum(run not in own for run in runs)
    many = "at least " if first >= MOST_COUNTED else ""
    return f"waits: {many}{counted(first, 'run')} of queue {queue} first" if first else ""


def _no_more_asked(stack: Stack, plan: Plan, others: Others, file: Planned) -> str:
    """Return why a file is not to be processed any more, "" if it is.

    What others have begun since the plan was made is what somebody has asked for meanwhile.
    """
    if new := [name for name in others.of(file.version) if name not in (file.run, *file.known)]:
        return f"{new[-1]} has begun since the plan was made"
    if file.last and file.last_status in BAD.values():
        now = _status(stack, file.last)
        if now not in (None, file.last_status):
            return f"{file.last} was redriven since the plan was made: it is {now}"
    if file.period is not None:
        item = stack.table.get(set_key(plan.route, file.period)) or {}
        if item.get("version", 0) > file.set_version:
            return f"its set {shown(file.period)} was run again by {item['run']}"
    return ""


def _status(stack: Stack, run: str) -> str | None:
    """Return how a run stands by Step Functions, None where it has forgotten it."""
    states = stack.client("stepfunctions")
    try:
        found = states.describe_execution(executionArn=stack.execution_arn(run))
    except ClientError as error:
        if answer_of(error)[1] != "ExecutionDoesNotExist":
            raise
        return None
    return RUNNING if found["status"] in GOING else BAD.get(found["status"], SUCCEEDED)

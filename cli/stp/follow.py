"""Runs followed state by state, until they have ended."""

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from rich.status import Status
from rich.text import Text

from stp.how_long import HowLong
from stp.moments import duration
from stp.queues import Typical
from stp.run_facts import Run
from stp.runs import named
from stp.said import Said, Stop
from stp.shown_runs import status_text
from stp.stack import Stack
from stp.timeline import ENDS, PHASES
from stp.waits import Wait, waits_of

FIRST_LOOK, LAST_LOOK = 0.5, 5.0  # seconds between two looks: at first, and in the end
LATE = 90.0  # seconds within which a dropped file's run starts
TURN = "TakeTurn"  # the state in which a run waits for its turn
REMIND = 30.0  # seconds after which a line says that a run still goes on, where nothing is drawn


@dataclass
class Followed:
    """A run that is looked at again and again."""

    run: str
    arn: str
    began: float = field(default_factory=time.monotonic)
    started: datetime | None = None
    seen: int = 0  # the id of the last event
    state: str = ""
    told: float = field(default_factory=time.monotonic)
    wait: Wait | None = None  # for its turn

    @property
    def doing(self) -> str:
        """What it does now."""
        if self.wait:
            return self.wait.told
        return self.state or "waiting for the run to start"


def follow(
    stack: Stack, said: Said, runs: Sequence[str], seen: Mapping[str, int] | None = None
) -> list[Run]:
    """Return the runs once all have ended; tell each state on stderr. Raises Stop.

    `seen` is the last event of those that had ended before and go on.
    """
    before = seen or {}
    followed = [Followed(run, stack.execution_arn(run), seen=before.get(run, 0)) for run in runs]
    going, pause = list(followed), FIRST_LOOK
    usual = HowLong(stack, said.note)
    drawn = said.err.status("") if said.err.is_terminal else nullcontext()
    with drawn as status:
        while going:
            last = [each.seen for each in followed]
            _draw(status, said, going)
            quiet = status or all(last)  # what has begun is told by its states
            with nullcontext() if quiet else said.doing("Asking for the run"):
                for each in list(going):
                    if _look(stack, said, each, several=len(runs) > 1):
                        going.remove(each)
                _look_at_waits(stack, said, going, usual, several=len(runs) > 1)
            moved = last != [each.seen for each in followed]
            pause = FIRST_LOOK if moved else min(pause * 1.2, LAST_LOOK)
            until = time.monotonic() + pause
            while going and (left := until - time.monotonic()) > 0:
                _draw(status, said, going)
                time.sleep(min(left, 0.5))
    with said.doing("Reading how it ended"):
        return [named(stack, run) for run in runs]


def _look_at_waits(
    stack: Stack, said: Said, going: Sequence[Followed], usual: Typical, *, several: bool
) -> None:
    """Learn for what those wait that have asked for their turns; tell what is new of it."""
    asked = [each for each in going if each.state == TURN]
    waits = waits_of(stack, [each.run for each in asked], usual) if asked else {}
    for each in going:
        before, each.wait = each.wait, waits.get(each.run)
        # That one more has left the queue is told by the next reminder.
        now = each.wait
        if now and now.stands and (before is None or before.paused != now.paused):
            what = Text(now.told)
            said.err.print(Text.assemble(" " * 11, f"{each.run}  " if several else "", what))
            each.told = time.monotonic()


def _look(stack: Stack, said: Said, followed: Followed, *, several: bool) -> bool:
    """Tell what a run has done since the last look; return whether it has ended."""
    events = _news(stack, followed)
    if events is None:
        if time.monotonic() - followed.began > LATE:
            raise Stop(
                f"Run {followed.run} has not started within {LATE:.0f} s. The file is in the "
                "inbox. Find out why: stp doctor"
            )
        return False
    ended = False
    for event in events:
        followed.started = followed.started or event["timestamp"]
        if entered := event.get("stateEnteredEventDetails"):
            phase = PHASES.get(entered["name"])
            # A state of each phase once: a long run is looked at thousands of times.
            if phase and phase != PHASES.get(followed.state):
                followed.state = entered["name"]
                _tell(said, followed, event["timestamp"], Text(followed.state), several=several)
        elif event["type"] in ENDS:
            ended = True
        elif event["type"] == "ExecutionRedriven":
            ended = False
    if ended:
        run = named(stack, followed.run)
        text = status_text(run.status, run.facts["error"])
        _tell(said, followed, events[-1]["timestamp"], text, several=several)
    return ended


def _news(stack: Stack, followed: Followed) -> list[dict[str, Any]] | None:
    """Return the events since the last look, oldest first; None if the run has not started."""
    found: list[dict[str, Any]] = []
    pages = stack.client("stepfunctions").get_paginator("get_execution_history")
    ask = {"executionArn": followed.arn, "reverseOrder": True, "includeExecutionData": False}
    try:
        for page in pages.paginate(**ask, PaginationConfig={"PageSize": 100}):
            new = [event for event in page["events"] if event["id"] > followed.seen]
            found += new
            if len(new) < len(page["events"]):
                break
    except ClientError as error:
        if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
            return None
        raise
    if found:
        followed.seen = found[0]["id"]
    return found[::-1]


def _tell(said: Said, followed: Followed, when: datetime, what: Text, *, several: bool) -> None:
    """Print what a run does from now on."""
    after = (when - (followed.started or when)).total_seconds()
    which = f"{followed.run}  " if several else ""
    said.err.print(Text.assemble(f"{duration(after):>9}  {which}", what))
    followed.told = time.monotonic()


def _draw(status: Status | None, said: Said, going: Sequence[Followed]) -> None:
    """Say what is waited for: in place, or in a line now and then."""
    now = time.monotonic()
    if status is not None:
        texts = [f"{each.doing} ({duration(now - each.began)})" for each in going[:3]]
        status.update(Text("; ".join(texts)))
        return
    for each in going:
        if now - each.told > (REMIND if each.state else 1.0):
            each.told = now + (0 if each.state else REMIND)
            what = f"still {each.doing}" if each.state and not each.wait else each.doing
            said.note(f"{duration(now - each.began):>9}  {what}")

"""How a run spent its time, from its history."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from stp.stack import Stack

# What each state is for a person; a state that is not named belongs to what goes on already.
PHASES = {
    "CheckFile": "checked",
    "WaitForReplacement": "waited for the empty file to be replaced",
    "TakeTurn": "waited for its turn",
    "UploadAndExecute": "uploaded",
    "WaitForPipeline": "ran in Quantemplate",
    "CheckStatus": "ran in Quantemplate",
    "DownloadOutputs": "downloaded",
    "PublishRun": "published",
}
ENDS = ("ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted", "ExecutionSucceeded")


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


def phases(events: Iterable[Mapping[str, Any]]) -> list[Phase]:
    """Return the stretches of a history, oldest first."""
    found: list[Phase] = []
    for event in events:
        time, kind = event["timestamp"], event["type"]
        if entered := event.get("stateEnteredEventDetails"):
            state = entered["name"]
            name = PHASES.get(state)
            if name is None:
                continue
            if found and not found[-1].ended and found[-1].name == name:
                found[-1] = replace(found[-1], state=state)
                continue
            _close(found, time)
            found.append(Phase(name, state, time))
        elif kind in ENDS:
            _close(found, time, failed=kind != "ExecutionSucceeded")
        elif kind == "ExecutionRedriven" and found:
            last = found[-1]
            found.append(Phase(last.name, last.state, time, redriven=True))
    return found


def _close(found: list[Phase], time: datetime, *, failed: bool = False) -> None:
    """End the stretch that goes on."""
    if found and not found[-1].ended:
        found[-1] = replace(found[-1], ended=time, failed=failed)


def history(stack: Stack, arn: str) -> list[dict[str, Any]]:
    """Return all events of a run, oldest first."""
    pages = stack.client("stepfunctions").get_paginator("get_execution_history")
    ask = {"executionArn": arn, "includeExecutionData": False}
    return [event for page in pages.paginate(**ask) for event in page["events"]]

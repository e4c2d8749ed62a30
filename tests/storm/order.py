"""The order in which the files of a queue went, judged where nobody interfered with them."""

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from itertools import dropwhile
from typing import Any

from tests.storm.files import Version
from tests.storm.stack import Stack

DISTURBED = ("TaskFailed", "TaskTimedOut", "TaskStartFailed", "ExecutionRedriven")


@dataclass(frozen=True)
class Passage:
    """How one file that nobody interfered with came to its turn."""

    key: str
    place: tuple[str, str, str]  # by the drop
    asked: datetime  # its ticket was written before
    came: datetime  # its turn was granted before


def passages(stack: Stack, versions: list[Version]) -> dict[str, Passage]:
    """The passages of the undisturbed files, by the fingerprint of their bytes."""
    sha256 = {version.version_id: version.sha256 for version in versions}
    found = {}
    for execution in stack.executions():
        events = stack.history(execution["executionArn"])
        given = json.loads(events[0]["executionStartedEventDetails"]["input"])
        if passage := passage_of(execution["name"], given, events):
            found[sha256[given["version_id"]]] = passage
    return found


def passage_of(name: str, given: dict[str, str], events: list[dict[str, Any]]) -> Passage | None:
    """The passage that a history tells; None where it was disturbed."""
    if any(event["type"] in DISTURBED for event in events):
        return None
    tickets = dropwhile(lambda event: event["type"] != "TaskSubmitted", events)
    asked = next(tickets)["timestamp"]
    came = next(event["timestamp"] for event in tickets if event["type"] == "TaskSucceeded")
    place = (given["dropped_at"], given["sequencer"], name)
    return Passage(given["key"], place, asked, came)


def out_of_order(journal: list[dict[str, Any]], found: dict[str, Passage]) -> tuple[int, list[str]]:
    """How many pairs could be compared, and those of which the younger drop went first.

    A turn that follows on an undisturbed run was granted after that run's end. So whoever was in
    the queue by then was there when the turn was granted, and an older drop should have got it.
    """
    went = defaultdict(list)  # queue: runs in the order of their ends
    for entry in journal:
        if entry["event"] == "run_ended" and entry["status"] == "Succeeded":
            went[entry["pipeline"]].append((entry["inputs"][0]["sha256"], entry["at"]))
    compared, wrong = 0, []
    for runs in went.values():
        for position in range(1, len(runs)):
            (before, ended_at), (this, _) = runs[position - 1], runs[position]
            if before not in found or this not in found:
                continue
            first, granted = found[this], datetime.fromisoformat(ended_at)
            for sha256, _ in runs[position + 1 :]:
                waiting = found.get(sha256)
                if waiting and waiting.asked < granted:
                    compared += 1
                    if waiting.place < first.place:
                        wrong.append(f"{first.key} went before {waiting.key}")
    return compared, wrong

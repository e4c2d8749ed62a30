"""Why a run that goes on stands still: it waits for its turn, for Quantemplate, or is paused."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from stp.moments import about, local
from stp.queues import Typical, view
from stp.run_facts import Run
from stp.runs import MOST_RECORDS, records_of
from stp.stack import Stack
from straight_through.queue.turns import queue_key
from straight_through.run_state import Waiting
from straight_through.text import shown

NEWEST = 20  # events of a history that are read for the state in which a run is


@dataclass(frozen=True)
class Wait:
    """A run's place in its queue."""

    queue: str
    before: int  # runs, the one that has the turn among them
    paused: str | None  # why the queue is, None if it is not
    seconds: float | None = None  # until its turn comes, by what is usual; None if nobody knows

    @property
    def stands(self) -> bool:
        """Whether something keeps it from its turn."""
        return bool(self.before) or self.paused is not None

    @property
    def told(self) -> str:
        """What people are told of it, and what to do if there is something."""
        if self.paused is not None:
            return (
                f"queue {self.queue} is paused: {shown(self.paused)}; stp queue resume {self.queue}"
            )
        if not self.before:
            return "waits for its turn: it is the next"
        return f"waits for its turn: {self.where}"

    @property
    def where(self) -> str:
        """How many are before it, and how long they take."""
        known = f", {about(self.seconds)}" if self.seconds is not None else ""
        return f"{self.before:,} before it{known}"


def waits_of(stack: Stack, runs: Sequence[str], usual: Typical) -> dict[str, Wait]:
    """Return the places of those of these runs that wait in a queue, by their names.

    `usual` knows how long a route's runs take.
    """
    records = {}
    for at in range(0, len(runs), MOST_RECORDS):
        records.update(records_of(stack, runs[at : at + MOST_RECORDS]))
    queues = {record["queue"] for record in records.values() if "queue" in record}
    found = {}
    for queue in sorted(queues):
        seen = view(stack, queue, stack.table.get(queue_key(queue)) or {}, usual)
        paused = str(seen["paused"]["reason"]) if seen["paused"] else None
        holds = seen["holder"]["run"] if seen["holder"] else None
        for each in seen["waiting"]:
            if each["run"] in records and each["run"] != holds:
                before = each["place"] - 1 + bool(holds)
                found[each["run"]] = Wait(queue, before, paused, each["wait_seconds"])
    return found


def explain(stack: Stack, runs: Sequence[Run], usual: Typical) -> None:
    """Let the facts of runs tell whether they wait for their turns: `waiting`, and what is next."""
    waits = waits_of(stack, [run.name for run in runs if run.running], usual)
    for run in runs:
        wait = waits.get(run.name) if run.running else None
        run.facts["waiting"] = asdict(wait) if wait else None
        if wait:
            run.facts["next"] = f"{wait.told[0].upper()}{wait.told[1:]}."
        elif run.running:
            run.facts["next"] = "Wait for its end."


def explain_within(stack: Stack, run: Run) -> None:
    """Let the facts of a run that has its turn tell what it waits for: `waits_for`, and next."""
    if not run.running or run.facts["waiting"]:
        return
    if waiting := _waiting(stack, run.arn):
        run.facts["waits_for"] = {name: waiting[name] for name in ("since", "until", "for")}
        run.facts["next"] = (
            f"It has waited since {local(waiting['since'])}, and tries again by itself: "
            f"{shown(waiting['for'])}"
        )


def _waiting(stack: Stack, arn: str) -> Waiting | None:
    """Return what a run's last state was told that it waits for."""
    newest = stack.client("stepfunctions").get_execution_history(
        executionArn=arn, reverseOrder=True, maxResults=NEWEST
    )
    for event in newest["events"]:
        if entered := event.get("stateEnteredEventDetails"):
            try:
                state = json.loads(entered.get("input", "{}"))
            except ValueError:  # Step Functions has cut it
                return None
            return state.get("waiting") if isinstance(state, dict) else None
    return None


def paused_told(runs: Sequence[Run]) -> list[str]:
    """Return a line for each paused queue that one of these runs waits in."""
    waits = [run.facts["waiting"] for run in runs if run.facts.get("waiting")]
    paused = {each["queue"]: Wait(**each) for each in waits if each["paused"] is not None}
    return [each.told[0].upper() + each.told[1:] for each in paused.values()]

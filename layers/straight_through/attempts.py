"""Which attempt of which execution a function works for, as the state machine tells it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from straight_through.errors import InputInvalid
from straight_through.execution_input import ExecutionInput, input_of
from straight_through.moments import from_iso, iso
from straight_through.names import run_name

TELL_THEIR_PLACE = frozenset(("execution_id", "replay"))  # inputs of runs that no drop has started
BEHIND = "~"  # sorts behind every character of a run's name
SEQUENCER = 40  # digits; S3's are shorter, and compare once they are filled up on the right


@dataclass(frozen=True)
class Attempt:
    """One attempt of an execution: from its start, or from a redrive on."""

    run: str
    execution_arn: str
    redrive_count: int
    began: str
    started: str
    given: Any  # the execution's input, as it is
    place: str = ""  # in the queue, of a set's run

    @cached_property
    def input(self) -> ExecutionInput:
        """What the execution was started with. Raises InputInvalid."""
        return input_of(self.given)

    @property
    def was_dropped(self) -> bool:
        """Whether an S3 event started the execution, and not a person."""
        try:
            named = self.input
        except InputInvalid:
            return False
        version = named.version_id or named.sequencer
        return bool(version) and run_name(named.bucket, named.key, str(version)) == self.run

    @property
    def order(self) -> str:
        """Return the place in the queue: by the time of the drop; a rerun's is its own start.

        That of a run that follows an execution is the drop's, if its input tells it; that of a
        replay too, just behind the run of the drop and the replays before. Within a
        second, S3's sequencer orders the versions of one key. That of a set's run was noted when
        it was claimed.
        """
        if self.place:
            return self.place
        told = isinstance(self.given, dict) and not TELL_THEIR_PLACE.isdisjoint(self.given)
        dropped = self.input if told or self.was_dropped else ExecutionInput()
        name = self.run
        if dropped.replay and dropped.version_id:
            first = run_name(dropped.bucket, dropped.key, dropped.version_id)
            name = BEHIND.join((first, dropped.replay, self.run))
        return order_of(dropped.dropped_at or self.started, dropped.sequencer, name)


def order_of(time: str, sequencer: str | None, run: str) -> str:
    """Return the place of a run among others, a text that sorts by time, then by S3's sequencer."""
    return f"{iso(from_iso(time))}#{sequencer or '':0<{SEQUENCER}}#{run}"


def attempt_of(execution: dict[str, Any]) -> Attempt:
    """Return the attempt that the context object's `$$.Execution` describes.

    Source: "Accessing execution data from the Context object in Step Functions".
    """
    return Attempt(
        run=execution["Name"],
        execution_arn=execution["Id"],
        redrive_count=execution.get("RedriveCount", 0),
        began=iso(from_iso(execution.get("RedriveTime") or execution["StartTime"])),
        started=execution["StartTime"],
        given=execution.get("Input"),
    )


def stamp_of(attempt: Attempt, state: dict[str, Any]) -> str:
    """Return a text by which the tries of one state sort: a later try of an execution is greater.

    `state` is the context object's `$$.State`.
    """
    retries = state.get("RetryCount", 0)
    return f"{attempt.redrive_count:05}#{iso(from_iso(state['EnteredTime']))}#{retries:05}"

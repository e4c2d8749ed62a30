"""Which attempt of which execution a function works for, as the state machine tells it."""

from dataclasses import dataclass
from typing import Any

from straight_through.moments import from_iso, iso
from straight_through.names import run_name

SEQUENCER = 40  # digits; S3's are shorter, and compare once they are filled up on the right


@dataclass(frozen=True)
class Attempt:
    """One attempt of an execution: from its start, or from a redrive on."""

    run: str
    execution_arn: str
    redrive_count: int
    began: str
    started: str
    input: Any

    @property
    def was_dropped(self) -> bool:
        """Whether an S3 event started the execution, and not a person."""
        named = self.input if isinstance(self.input, dict) else {}
        version = named.get("version_id") or named.get("sequencer")
        parts = (named.get("bucket"), named.get("key"), version)
        return all(isinstance(p, str) for p in parts) and run_name(*map(str, parts)) == self.run

    @property
    def order(self) -> str:
        """Return the place in the queue: by the time of the drop; a rerun's is its own start.

        Within a second, S3's sequencer orders the versions of one key.
        """
        dropped = self.input if self.was_dropped else {}
        time = iso(from_iso(dropped.get("dropped_at") or self.started))
        return f"{time}#{dropped.get('sequencer', ''):0<{SEQUENCER}}#{self.run}"


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
        input=execution.get("Input"),
    )


def stamp_of(attempt: Attempt, state: dict[str, Any]) -> str:
    """Return a text by which the tries of one state sort: a later try of an execution is greater.

    `state` is the context object's `$$.State`.
    """
    retries = state.get("RetryCount", 0)
    return f"{attempt.redrive_count:05}#{iso(from_iso(state['EnteredTime']))}#{retries:05}"

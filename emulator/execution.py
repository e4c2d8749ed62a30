"""One execution: its life from start to end, and again from each redrive."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from emulator.deadlines import Deadline, Deadlines
from emulator.engine import Attempt, Outcome, Plan
from emulator.history import History, now
from emulator.resumption import Resumption
from emulator.service_error import ServiceError
from emulator.task_tokens import TaskTokens

REDRIVABLE_SECONDS = 14 * 24 * 3600
UNSUCCESSFUL = {"FAILED", "ABORTED", "TIMED_OUT"}
END_EVENTS = {
    "SUCCEEDED": ("ExecutionSucceeded", "executionSucceededEventDetails"),
    "FAILED": ("ExecutionFailed", "executionFailedEventDetails"),
    "ABORTED": ("ExecutionAborted", "executionAbortedEventDetails"),
    "TIMED_OUT": ("ExecutionTimedOut", "executionTimedOutEventDetails"),
}


@dataclass(frozen=True)
class Machine:
    """The state machine as it was when an execution started: a redrive uses the same."""

    arn: str
    name: str
    definition: str
    role_arn: str


@dataclass(frozen=True)
class Surroundings:
    """What all executions share.

    `announce` is told of each new status, in order; `entering` waits until one may enter a state;
    `deleting` tells of a machine, given its ARN.
    """

    tokens: TaskTokens
    deadlines: Deadlines
    announce: Callable[["Execution"], None]
    longest_history: Callable[[], int]
    entering: Callable[["Execution"], None]
    deleting: Callable[[str], bool]
    clock: Callable[[], float] = now


class Execution:
    """Started once, redriven any number of times, never two attempts at once."""

    def __init__(self, arn: str, machine: Machine, data: str, surroundings: Surroundings) -> None:
        self.arn = arn
        self.name = arn.rsplit(":", 1)[1]
        self.region, self.account = arn.split(":")[3:5]
        self.machine = machine
        self.input = data
        self.status = "RUNNING"
        self.start_date = surroundings.clock()
        self.stop_date: float | None = None
        self.output: str | None = None
        self.error: str | None = None
        self.cause: str | None = None
        self.redrive_count = 0
        self.redrive_date: float | None = None
        self.history = History(surroundings.longest_history)
        self._surroundings = surroundings
        self._lock = threading.RLock()
        self._attempt: Attempt | None = None
        self._deadline: Deadline | None = None
        self._resumption: Resumption | None = None

    def start(self) -> None:
        """Begin the first attempt."""
        details = {
            "input": self.input,
            "inputDetails": {"truncated": False},
            "roleArn": self.machine.role_arn,
        }
        self.history.add("ExecutionStarted", 0, {"executionStartedEventDetails": details})
        self._begin(previous_event=0)

    def stop(self, error: str | None, cause: str | None) -> float:
        """Abort at once and return when; a function that runs is left running."""
        self._finish("ABORTED", error=error, cause=cause)
        if self.stop_date is None or self.status != "ABORTED":
            raise ServiceError("ValidationException", f"Execution is {self.status}, not RUNNING")
        return self.stop_date

    def redrive(self) -> float:
        """Go on at the state that was unsuccessful; raises ServiceError ExecutionNotRedrivable."""
        with self._lock:
            if reason := self.redrive_refusal():
                raise ServiceError("ExecutionNotRedrivable", reason)
            self.status = "RUNNING"
            self.stop_date = self.output = self.error = self.cause = None
            self.redrive_count += 1
            self.redrive_date = self._surroundings.clock()
            details = {"executionRedrivenEventDetails": {"redriveCount": self.redrive_count}}
            previous = self.history.add("ExecutionRedriven", len(self.history), details)
            redrive_date = self.redrive_date
            self._begin(previous)
        return redrive_date

    def redrive_refusal(self) -> str | None:
        """Why RedriveExecution would refuse, as AWS's "DescribeExecution" lists the reasons."""
        if self.status not in UNSUCCESSFUL:
            return f"Execution is {self.status} and cannot be redriven"
        if self._surroundings.deleting(self.machine.arn):
            return "State machine is in DELETING status"
        if self._surroundings.clock() - (self.stop_date or 0) > REDRIVABLE_SECONDS:
            return "Execution redrivable period exceeded"
        if self.history.is_full:
            return "Execution history event limit exceeded"
        return None

    def _begin(self, previous_event: int) -> None:
        self._surroundings.announce(self)
        plan = Plan(
            definition=self.machine.definition,
            account=self.account,
            region=self.region,
            role_arn=self.machine.role_arn,
            context=self._context_object(),
            history=self.history,
            entering=lambda: self._surroundings.entering(self),
            previous_event=previous_event,
            resumption=self._resumption,
            withdrawn=lambda: self._surroundings.deleting(self.machine.arn),
        )
        with self._lock:
            self._attempt = Attempt(plan, self._surroundings.tokens, self._ended)
            if self._attempt.timeout_seconds:
                attempt = self._attempt
                self._deadline = self._surroundings.deadlines.after(
                    self._attempt.timeout_seconds,
                    lambda: self._finish("TIMED_OUT", attempt=attempt),
                )
            self._attempt.start()

    def _ended(self, attempt: Attempt, outcome: Outcome) -> None:
        output = None
        if outcome.status == "SUCCEEDED":
            output = json.dumps(outcome.output, separators=(",", ":"), ensure_ascii=False)
        self._finish(outcome.status, output, outcome.error, outcome.cause, attempt)

    def _finish(
        self,
        status: str,
        output: str | None = None,
        error: str | None = None,
        cause: str | None = None,
        attempt: Attempt | None = None,
    ) -> None:
        """End the attempt (None: whichever runs); the first to say so decides how."""
        with self._lock:
            running = self._attempt
            if running is None or attempt not in (None, running):
                return
            with self.history.lock:
                self._resumption = running.cut_off()
                self._record_end(running, status, output, error, cause)
            self.output, self.error, self.cause = output, error, cause
            self.stop_date = self._surroundings.clock()
            self.status = status
            self._attempt = None
            if self._deadline:
                self._deadline.cancel()
            self._surroundings.announce(self)

    def _record_end(
        self,
        attempt: Attempt,
        status: str,
        output: str | None,
        error: str | None,
        cause: str | None,
    ) -> None:
        kind, key = END_EVENTS[status]
        details: dict[str, Any] = {"error": error, "cause": cause, "output": output}
        details = {name: value for name, value in details.items() if value is not None}
        if "output" in details:
            details["outputDetails"] = {"truncated": False}
        self.history.add(kind, attempt.last_event if status != "ABORTED" else 0, {key: details})

    def _context_object(self) -> dict[str, Any]:
        execution = {
            "Id": self.arn,
            "Input": json.loads(self.input),
            "Name": self.name,
            "RoleArn": self.machine.role_arn,
            "StartTime": iso_time(self.start_date),
            "RedriveCount": self.redrive_count,
        }
        if self.redrive_date is not None:
            execution["RedriveTime"] = iso_time(self.redrive_date)
        machine = {"Id": self.machine.arn, "Name": self.machine.name}
        return {"Execution": execution, "StateMachine": machine}


def iso_time(seconds: float) -> str:
    """A time as the context object gives it, such as 2026-01-31T09:15:00.123Z."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

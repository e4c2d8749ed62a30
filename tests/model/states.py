"""Step Functions as the model has it: a status told late, and status events that nobody gets.

What follows CheckStatus holds no turn: in the model's definition it takes a second and is well.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from tests.machine.agenda import Agenda
from tests.machine.definition import DEFINITION
from tests.machine.machine import (
    Call,
    Execution,
    ExecutionAlreadyExists,
    ExecutionDoesNotExist,
    Machine,
    TaskTimedOut,
)
from tests.model.invocations import Invocation, stop

LAG = timedelta(seconds=10)  # how far DescribeExecution may be behind
TAIL = {"DownloadOutputs": {"Type": "Wait", "Seconds": 1, "End": True}}
THE_TURNS = DEFINITION | {"States": DEFINITION["States"] | TAIL}


class TaskDoesNotExist(Exception):
    """The token's task is gone."""


class InvalidToken(Exception):
    """This is no token."""


def _error(call: str) -> ClientError:
    """Return boto3's error where Step Functions fails."""
    answer: Any = {
        "Error": {"Code": "InternalFailure", "Message": ""},
        "ResponseMetadata": {"HTTPStatusCode": 500},
    }
    return ClientError(answer, call)


class States:
    """The executions, and the calls of boto3's client that the functions make."""

    exceptions = SimpleNamespace(
        ExecutionAlreadyExists=ExecutionAlreadyExists,
        ExecutionDoesNotExist=ExecutionDoesNotExist,
        TaskTimedOut=TaskTimedOut,
        TaskDoesNotExist=TaskDoesNotExist,
        InvalidToken=InvalidToken,
    )

    def __init__(
        self,
        now: Callable[[], datetime],
        invoke: Callable[[Call], None],
        update_item: Callable[[dict[str, Any]], None],
    ) -> None:
        """Take the clock, Lambda, and the table, in which a state writes its own token."""
        self._now = now
        self.agenda = Agenda(now)
        self.machine = Machine(self.agenda, invoke, self._changed, THE_TURNS, update_item)
        self.executions = self.machine.executions
        self.ends: list[dict[str, Any]] = []  # status-change events that nobody has got yet
        self._told: dict[str, list[tuple[datetime, dict[str, Any]]]] = {}  # by ARN, when and what

    # --- what functions call --------------------------------------------------------------------
    def start_execution(self, stateMachineArn: str, name: str, input: str) -> None:  # noqa: A002, ARG002, N803
        """Start a run, unless its name was used."""
        trouble = stop("start")
        if trouble == "refused":
            raise _error("start_execution")
        self.machine.start(name, json.loads(input))
        if trouble == "lost":
            raise _error("start_execution")

    def send_task_success(self, taskToken: str, output: str) -> None:  # noqa: N803
        """Answer a token."""
        stop("answer")
        self.machine.answer(taskToken, json.loads(output))

    def send_task_failure(self, taskToken: str, error: str, cause: str) -> None:  # noqa: N803
        """Fail the task of a token."""
        assert json.loads(cause)["errorType"] == error
        stop("answer with a failure")
        self.machine.refuse(taskToken, error, cause)

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        """Describe an execution, in the trouble `lag` as it was before."""
        trouble = stop("describe")
        told = self._told[self.machine.of_arn(executionArn).arn]
        *_, before, last = [told[0], *told]
        lags = trouble == "lag" and self._now() - last[0] < LAG
        return before[1] if lags else last[1]

    # --- what operators do, and time ------------------------------------------------------------
    def abort(self, execution: Execution) -> None:
        """Stop a run; its function runs on."""
        self.machine.end(execution, "ABORTED")

    def time_out(self, execution: Execution) -> None:
        """End an execution whose time is over; its function runs on."""
        self.machine.end(execution, "TIMED_OUT", "States.Timeout")

    def redrive(self, execution: Execution) -> None:
        """Resume an execution that has ended badly, at the state where it ended."""
        self.machine.redrive(execution)

    def give_up(self, call: Call) -> None:
        """Hear no more of a function that runs on."""
        self.machine.raised(call, "Lambda.Unknown", "")

    def wake(self) -> None:
        """End the waits that are over, the executions in the order in which they began."""
        for execution in self.executions.values():
            while (due := self.agenda.next_due(execution)) and due <= self._now():
                self.agenda.take(execution)()

    def invocation_ended(self, call: Call, invocation: Invocation) -> None:
        """Take a function's result, if the state still waits for it."""
        error = invocation.error
        if invocation.killed:
            self.machine.raised(call, "Lambda.Unknown", "")
        elif error:
            self.machine.raised(call, type(error).__name__, str(error))
        else:
            self.machine.returned(call, invocation.result)

    def _changed(self, execution: Execution) -> None:
        """Keep what DescribeExecution tells from now on, and the event of an end."""
        told = self._told.setdefault(execution.arn, [])
        told.append((self._now(), execution.described()))
        if execution.status != "RUNNING":
            # The output is PublishRun's, which is not played.
            self.ends.append(execution.status_change() | {"output": None})

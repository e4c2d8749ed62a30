"""Step Functions in memory: it plays the state machine's own definition in virtual time."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from straight_through.moments import iso
from tests.model.invocations import Invocation, stop

DEFINITION = Path(__file__).parents[2] / "statemachine/straight_through.asl.yaml"
MACHINE = yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))
LAG = timedelta(seconds=10)  # how far DescribeExecution may be behind
TAIL = timedelta(seconds=1)  # what follows CheckStatus: no turn is held any more


class ExecutionAlreadyExists(Exception):
    """An execution has this name."""


class ExecutionDoesNotExist(Exception):
    """No execution has this ARN."""


class TaskTimedOut(Exception):
    """The token was answered already, or its task is over."""


class TaskDoesNotExist(Exception):
    """The token's task is gone."""


class InvalidToken(Exception):
    """This is no token."""


@dataclass
class Execution:
    """One execution, with what the model knows of it."""

    name: str
    input: dict[str, Any]
    started: datetime
    content: bytes  # that its run must be made from
    status: str = "RUNNING"
    error: str = ""
    redrives: int = 0
    redriven: datetime | None = None
    state: str = ""
    entered: datetime | None = None
    retries: int = 0
    data: Any = None
    token: str | None = None
    invocation: Invocation | None = None  # that the state waits for
    wake_at: datetime | None = None
    told: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)

    @property
    def arn(self) -> str:
        """Return its ARN."""
        return f"arn:aws:states:eu-west-1:0:execution:straight-through:{self.name}"

    @property
    def context(self) -> dict[str, Any]:
        """Return what the context object says of it."""
        assert self.entered
        began = {"RedriveTime": iso(self.redriven)} if self.redriven else {}
        return {
            "Execution": {
                "Id": self.arn,
                "Name": self.name,
                "Input": self.input,
                "StartTime": iso(self.started),
                "RedriveCount": self.redrives,
                **began,
            },
            "State": {"EnteredTime": iso(self.entered), "RetryCount": self.retries},
            "Task": {"Token": self.token},
        }


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
        invoke: Callable[[str, Any, Execution], Invocation],
        content: Callable[[dict[str, Any]], bytes],
    ) -> None:
        """Take the clock, Lambda, and what an input's file holds."""
        self._now = now
        self._invoke = invoke
        self._content = content
        self.executions: dict[str, Execution] = {}
        self.ends: list[dict[str, Any]] = []  # status-change events that nobody has got yet
        self._tokens = 0

    # --- what functions call --------------------------------------------------------------------
    def start_execution(self, stateMachineArn: str, name: str, input: str) -> None:  # noqa: A002, ARG002, N803
        """Start a run, unless its name was used."""
        if name in self.executions:
            raise ExecutionAlreadyExists(name)
        named = json.loads(input)
        execution = Execution(name, named, self._now(), self._content(named))
        self.executions[name] = execution
        self._enter(execution, MACHINE["StartAt"])
        self._tell(execution)

    def send_task_success(self, taskToken: str, output: str) -> None:  # noqa: N803
        """Answer a token."""
        stop("answer")
        execution = self._of(taskToken)
        execution.token = execution.invocation = None
        self._output(execution, json.loads(output))

    def send_task_failure(self, taskToken: str, error: str, cause: str) -> None:  # noqa: N803
        """Fail the task of a token."""
        assert json.loads(cause)["errorType"] == error
        stop("answer with a failure")
        self._failed(self._of(taskToken), error)

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        """Describe an execution, in the trouble `lag` as it was before."""
        trouble = stop("describe")
        execution = self.executions.get(executionArn.rpartition(":")[2])
        if execution is None:
            raise ExecutionDoesNotExist(executionArn)
        *_, before, last = [execution.told[0], *execution.told]
        lags = trouble == "lag" and self._now() - last[0] < LAG
        return before[1] if lags else last[1]

    # --- what operators do, and time ------------------------------------------------------------
    def abort(self, execution: Execution) -> None:
        """Stop a run; its function runs on."""
        self._end(execution, "ABORTED")

    def time_out(self, execution: Execution) -> None:
        """End an execution whose time is over; its function runs on."""
        self._end(execution, "TIMED_OUT", "States.Timeout")

    def redrive(self, execution: Execution) -> None:
        """Resume an execution that has ended badly, at the state where it ended."""
        execution.redrives += 1
        execution.redriven = self._now()
        execution.status, execution.error = "RUNNING", ""
        self._tell(execution)
        self._enter(execution, execution.state)

    def give_up(self, execution: Execution) -> None:
        """Hear no more of a function that runs on."""
        self._failed(execution, "Lambda.Unknown")

    def wake(self, execution: Execution) -> None:
        """Go on after a wait."""
        execution.wake_at = None
        if MACHINE["States"][execution.state]["Type"] == "Wait":
            self._output(execution, execution.data)
        elif execution.state == "DownloadOutputs":
            self._end(execution, "SUCCEEDED")
        else:
            self._start(execution)

    def invocation_ended(self, execution: Execution, invocation: Invocation) -> None:
        """Take a function's result, if the state still waits for it."""
        if execution.invocation is not invocation:
            return
        execution.invocation = None
        if invocation.killed:
            self._failed(execution, "Lambda.Unknown")
        elif invocation.error:
            self._failed(execution, type(invocation.error).__name__)
        elif execution.token is None:
            self._output(execution, json.loads(json.dumps(invocation.result)))

    # --- the state machine ----------------------------------------------------------------------
    def _enter(self, execution: Execution, state: str) -> None:
        """Enter a state."""
        execution.state, execution.entered, execution.retries = state, self._now(), 0
        defined = MACHINE["States"][state]
        if defined["Type"] == "Task":
            self._start(execution)
        elif defined["Type"] == "Wait":
            seconds = execution.data[defined["SecondsPath"].removeprefix("$.")]
            execution.wake_at = self._now() + timedelta(seconds=seconds)
        elif defined["Type"] == "Choice":
            self._enter(execution, _chosen(defined, execution.data))
        else:
            execution.wake_at = self._now() + TAIL

    def _start(self, execution: Execution) -> None:
        """Invoke the function of a Task."""
        defined = MACHINE["States"][execution.state]
        if defined["Resource"].endswith("waitForTaskToken"):
            self._tokens += 1
            execution.token = f"token-{self._tokens}"
        payload = {
            name.removesuffix(".$"): _read(path, execution) if name.endswith(".$") else path
            for name, path in defined["Parameters"]["Payload"].items()
        }
        function = re.sub(r"(?<!^)(?=[A-Z])", "_", execution.state).lower()
        execution.invocation = self._invoke(function, json.loads(json.dumps(payload)), execution)

    def _output(self, execution: Execution, output: Any) -> None:
        """Go on to the next state."""
        execution.data = output
        self._enter(execution, MACHINE["States"][execution.state]["Next"])

    def _failed(self, execution: Execution, error: str) -> None:
        """Retry, catch or end."""
        execution.token = execution.invocation = None
        defined = MACHINE["States"][execution.state]
        for retry in defined.get("Retry", []):
            if error in retry["ErrorEquals"] and execution.retries < retry["MaxAttempts"]:
                wait = retry["IntervalSeconds"] * retry["BackoffRate"] ** execution.retries
                execution.retries += 1
                wait = min(wait, retry["MaxDelaySeconds"])
                execution.wake_at = self._now() + timedelta(seconds=wait)
                return
        for catch in defined.get("Catch", []):
            if error in catch["ErrorEquals"]:
                self._enter(execution, catch["Next"])
                return
        self._end(execution, "FAILED", error)

    def _end(self, execution: Execution, status: str, error: str = "") -> None:
        """End an execution and tell of it."""
        execution.status, execution.error = status, error
        execution.token = execution.invocation = execution.wake_at = None
        self._tell(execution)
        self.ends.append(
            {
                "name": execution.name,
                "executionArn": execution.arn,
                "status": status,
                "redriveCount": execution.redrives,
                "error": error or None,
                "startDate": _milliseconds(execution.started),
                "stopDate": _milliseconds(self._now()),
                "input": json.dumps(execution.input),
            }
        )

    def _tell(self, execution: Execution) -> None:
        """Keep what DescribeExecution tells from now on."""
        told = {"status": execution.status, "redriveCount": execution.redrives}
        told |= {"error": execution.error} if execution.error else {}
        execution.told.append((self._now(), told))

    def _of(self, token: str) -> Execution:
        """Return the execution that waits for a token."""
        for execution in self.executions.values():
            if execution.token == token:
                return execution
        raise TaskTimedOut(token)


def _milliseconds(moment: datetime) -> int:
    """Return a moment as events tell it."""
    return int(moment.timestamp() * 1000)


def _chosen(defined: dict[str, Any], data: dict[str, Any]) -> str:
    """Return the state that a Choice goes to."""
    for choice in defined["Choices"]:
        name = choice["Variable"].removeprefix("$.")
        if choice.get("IsPresent") and name not in (data or {}):
            continue
        if choice.get("IsPresent") or data[name] == choice["StringEquals"]:
            return str(choice["Next"])
    return str(defined["Default"])


def _read(path: str, execution: Execution) -> Any:
    """Return what a path of a Task's parameters names."""
    if path == "$":
        return execution.data
    value: Any = execution.context
    for part in path.removeprefix("$$.").split("."):
        value = value[part]
    return value

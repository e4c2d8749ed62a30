"""Step Functions in virtual time: it plays the state machine's own definition step by step.

Every wait and every pause before a retry is put into an agenda; whoever plays takes what is due
next, and the clock is put forward to it.
"""

import heapq
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from straight_through.moments import iso
from tests.unit.machine import MACHINE as ARN
from tests.unit.machine import Clock, refusal

DEFINITION = Path(__file__).parents[2] / "statemachine/straight_through.asl.yaml"
MACHINE = yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))
ANY = ("States.ALL", "States.TaskFailed")
Action = Callable[[], None]


@dataclass
class Execution:
    """One execution, and each of its ends so far."""

    name: str
    given: dict[str, Any]
    started: str
    status: str = "RUNNING"
    error: str = ""
    cause: str = ""
    output: Any = None
    redrives: int = 0
    redriven: str = ""
    frame: "Frame | None" = None
    passed: list[str] = field(default_factory=list)  # the states that it has entered
    retried: list[str] = field(default_factory=list)  # the errors after which a state was retried

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"{ARN.replace(':stateMachine:', ':execution:')}:{self.name}"

    def context(self) -> dict[str, Any]:
        """The context object's `$$.Execution`."""
        redriven = {"RedriveTime": self.redriven} if self.redrives else {}
        return {
            "Id": self.arn,
            "Name": self.name,
            "Input": self.given,
            "StartTime": self.started,
            "RedriveCount": self.redrives,
            **redriven,
        }


@dataclass
class Frame:
    """A set of states that is gone through: the machine's own, or one item's of a Map."""

    execution: Execution
    states: dict[str, Any]
    done: Callable[[Any], None]
    failed: Callable[[str, str], None]
    item: Any = None
    state: str = ""
    data: Any = None
    entered: str = ""
    tries: dict[int, int] = field(default_factory=dict)  # of each of the state's retriers
    token: str = ""
    results: dict[int, Any] = field(default_factory=dict)  # of a Map's items that are done

    def context(self) -> dict[str, Any]:
        """The context object."""
        return {
            "Execution": self.execution.context(),
            "State": {
                "Name": self.state,
                "EnteredTime": self.entered,
                "RetryCount": sum(self.tries.values()),
            },
            "Task": {"Token": self.token},
            "Map": {"Item": {"Value": self.item}},
        }


class Machine:
    """All executions, the agenda, and the service as functions see it."""

    def __init__(
        self, invoke: Callable[[str, Any], Any], ended: Callable[[Execution], None]
    ) -> None:
        """`invoke` runs a function; `ended` is told of every end."""
        self.executions: dict[str, Execution] = {}
        self._invoke, self._ended = invoke, ended
        self._agenda: list[tuple[datetime, int, Action]] = []
        self._number = 0

    # --- time -----------------------------------------------------------------------------------
    def later(self, seconds: float, action: Action) -> None:
        """Put something on the agenda."""
        self._number += 1
        due = Clock.now(UTC) + timedelta(seconds=seconds)
        heapq.heappush(self._agenda, (due, self._number, action))

    def next_due(self) -> datetime | None:
        """When something is due next."""
        return self._agenda[0][0] if self._agenda else None

    def step(self) -> None:
        """Do what is due next, at its time."""
        due, _, action = heapq.heappop(self._agenda)
        Clock.ahead += max(due - Clock.now(UTC), timedelta())
        action()

    def _soon(self, frame: Frame, action: Action, seconds: float = 0) -> None:
        """Put a step of an execution on the agenda, unless it ends before."""
        execution, redrives = frame.execution, frame.execution.redrives

        def still() -> None:
            if (execution.status, execution.redrives) == ("RUNNING", redrives):
                action()

        self.later(seconds, still)

    # --- the service ----------------------------------------------------------------------------
    def call(self, client: Any, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        """Answer a call of a boto3 client."""
        match operation:
            case "StartExecution":
                self.start(client, given["name"], json.loads(given["input"]))
            case "DescribeExecution":
                execution = self.executions[given["executionArn"]]
                told = {"status": execution.status, "redriveCount": execution.redrives}
                return told | ({"error": execution.error} if execution.error else {})
            case "SendTaskSuccess":
                frame = self._of(client, operation, given["taskToken"])
                self._soon(frame, lambda: self._output(frame, json.loads(given["output"])))
            case "SendTaskFailure":
                frame = self._of(client, operation, given["taskToken"])
                self._soon(frame, lambda: self._failed(frame, given["error"], given["cause"]))
            case _:
                raise AssertionError(operation)
        return {}

    def start(self, client: Any, name: str, given: dict[str, Any]) -> Execution:
        """Start a run, unless its name was used."""
        execution = Execution(name, given, iso(Clock.now(UTC)))
        if execution.arn in self.executions:
            raise refusal(client, "ExecutionAlreadyExists", "StartExecution")
        self.executions[execution.arn] = execution
        execution.frame = frame = Frame(
            execution,
            MACHINE["States"],
            lambda output: self._end(execution, "SUCCEEDED", output=output),
            lambda error, cause: self._end(execution, "FAILED", error, cause),
            data=given,
        )
        self._enter(frame, MACHINE["StartAt"])
        return execution

    def abort(self, execution: Execution) -> None:
        """End an execution where it is, as an operator may."""
        assert execution.frame
        execution.frame.token = ""
        self._end(execution, "ABORTED")

    def redrive(self, execution: Execution) -> None:
        """Let an execution go on where it ended; of a Map, only the items that failed."""
        assert execution.frame
        execution.redrives += 1
        execution.status, execution.error, execution.cause = "RUNNING", "", ""
        execution.redriven = iso(Clock.now(UTC))
        self._enter(execution.frame, execution.frame.state)

    def _of(self, client: Any, operation: str, token: str) -> Frame:
        for execution in self.executions.values():
            if execution.frame and execution.frame.token == token:
                execution.frame.token = ""
                return execution.frame
        raise refusal(client, "TaskTimedOut", operation)

    def _end(
        self,
        execution: Execution,
        status: str,
        error: str = "",
        cause: str = "",
        output: Any = None,
    ) -> None:
        execution.status, execution.error, execution.cause = status, error, cause
        execution.output = output
        self._ended(execution)

    # --- states ---------------------------------------------------------------------------------
    def _enter(self, frame: Frame, state: str) -> None:
        frame.state, frame.token, frame.tries = state, "", {}
        frame.entered = iso(Clock.now(UTC))
        frame.execution.passed.append(state)
        defined = frame.states[state]
        match defined["Type"]:
            case "Choice":
                self._enter(frame, chosen(defined, frame))
            case "Wait":
                seconds = defined.get("Seconds")
                seconds = read(defined["SecondsPath"], frame) if seconds is None else seconds
                self._soon(frame, lambda: self._output(frame, frame.data), seconds)
            case "Pass":
                self._output(frame, frame.data)
            case "Succeed":
                frame.done(frame.data)
            case "Fail":
                frame.failed(defined["Error"], defined.get("Cause", ""))
            case "Map":
                self._soon(frame, lambda: self._map(frame))
            case "Task":
                self._soon(frame, lambda: self._task(frame))
            case kind:
                raise AssertionError(kind)

    def _task(self, frame: Frame) -> None:
        defined = frame.states[frame.state]
        waits = defined["Resource"].endswith(".waitForTaskToken")
        frame.token = token = uuid.uuid4().hex if waits else ""
        parameters = filled(defined["Parameters"], frame)
        function = re.sub(r"(?<!^)(?=[A-Z])", "_", parameters["FunctionName"][2:-1]).lower()
        try:
            result = self._invoke(function, parameters["Payload"])
        except Exception as error:  # noqa: BLE001 - as Lambda does
            if frame.token == token:  # else it was answered before
                self._failed(frame, type(error).__name__, str(error))
            return
        if not waits:
            self._output(frame, {"Payload": result})

    def _map(self, frame: Frame) -> None:
        defined = frame.states[frame.state]
        items = read(defined["ItemsPath"], frame)
        processor = defined["ItemProcessor"]
        running = [index for index in range(len(items)) if index not in frame.results]
        failures: list[tuple[str, str]] = []

        def ended(index: int, result: Any = None, failure: tuple[str, str] | None = None) -> None:
            running.remove(index)
            if failure:
                failures.append(failure)
            else:
                frame.results[index] = result
            if running:
                return
            if failures:
                self._failed(frame, *failures[0])
                return
            results = [frame.results[number] for number in range(len(items))]
            frame.results = {}
            self._output(frame, results)

        if not items:
            self._output(frame, [])
        for index in list(running):
            inner = Frame(
                frame.execution,
                processor["States"],
                lambda output, index=index: ended(index, output),  # type: ignore[misc]
                lambda error, cause, index=index: ended(index, failure=(error, cause)),  # type: ignore[misc]
                item=items[index],
            )
            inner.data = frame.data
            inner.data = filled(defined["ItemSelector"], inner)
            self._enter(inner, processor["StartAt"])

    def _output(self, frame: Frame, output: Any) -> None:
        """Put a state's result where it belongs, and go on."""
        defined = frame.states[frame.state]
        output = json.loads(json.dumps(output))
        where = defined.get("ResultPath", "$")
        if where is None:
            output = frame.data
        elif where != "$":
            output = frame.data | {where.removeprefix("$."): output}
        frame.data = at(defined.get("OutputPath", "$"), output)
        if defined.get("End"):
            frame.done(frame.data)
        else:
            self._enter(frame, defined["Next"])

    def _failed(self, frame: Frame, error: str, cause: str) -> None:
        """Retry, catch or fail."""
        frame.token = ""
        defined = frame.states[frame.state]
        for number, retry in enumerate(defined.get("Retry", [])):
            tried = frame.tries.get(number, 0)
            if not {error, *ANY} & set(retry["ErrorEquals"]):
                continue
            if tried >= retry.get("MaxAttempts", 3):
                break
            wait = retry.get("IntervalSeconds", 1) * retry.get("BackoffRate", 2) ** tried
            frame.tries[number] = tried + 1
            frame.execution.retried.append(error)
            wait = min(wait, retry.get("MaxDelaySeconds", wait))
            self._soon(frame, lambda: self._task(frame), wait)
            return
        for catch in defined.get("Catch", []):
            if {error, *ANY} & set(catch["ErrorEquals"]):
                if path := catch.get("ResultPath", "$"):
                    told = {"Error": error, "Cause": cause}
                    name = path.removeprefix("$.")
                    frame.data = told if path == "$" else frame.data | {name: told}
                self._enter(frame, catch["Next"])
                return
        frame.failed(error, cause)


def chosen(defined: dict[str, Any], frame: Frame) -> str:
    """The state that a Choice goes to."""
    met = (rule["Next"] for rule in defined["Choices"] if holds(rule, frame))
    return str(next(met, defined.get("Default")))


def holds(rule: dict[str, Any], frame: Frame) -> bool:
    """Whether a rule of a Choice is met."""
    if "And" in rule:
        return all(holds(part, frame) for part in rule["And"])
    if "Or" in rule:
        return any(holds(part, frame) for part in rule["Or"])
    if "Not" in rule:
        return not holds(rule["Not"], frame)
    try:
        value = read(rule["Variable"], frame)
    except KeyError:
        return rule.get("IsPresent") is False
    tests = {
        "IsPresent": lambda wanted: wanted,
        "IsNull": lambda wanted: (value is None) == wanted,
        "StringEquals": lambda wanted: value == wanted,
        "BooleanEquals": lambda wanted: value is wanted,
        "NumericGreaterThan": lambda wanted: value > wanted,
        "NumericEquals": lambda wanted: value == wanted,
    }
    (test,) = rule.keys() - {"Variable", "Next", "Comment"}
    return bool(tests[test](rule[test]))


def filled(template: Any, frame: Frame) -> Any:
    """A template with what its paths name."""
    if isinstance(template, dict):
        return {
            name.removesuffix(".$"): read(value, frame)
            if name.endswith(".$")
            else filled(value, frame)
            for name, value in template.items()
        }
    return template


def read(path: str, frame: Frame) -> Any:
    """What a path names. Raises KeyError."""
    if path.startswith("$$."):
        return at(path[1:], frame.context())
    return at(path, frame.data)


def at(path: str, value: Any) -> Any:
    """What stands at a path of a value. Raises KeyError."""
    assert re.fullmatch(r"\$(\.\w+)*", path), path
    for part in path.split(".")[1:]:
        if not isinstance(value, dict):
            raise KeyError(part)
        value = value[part]
    return value

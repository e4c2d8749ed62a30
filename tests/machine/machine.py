"""Step Functions, for all tests: the one interpreter of the state machine's definition.

It walks `statemachine/straight_through.asl.yaml`, or another definition that it is given, state by
state in virtual time: inputs and outputs, Choices, Waits, Tasks with and without a task token,
Maps, retries with the definition's back-off, catches, ends and redrives. What is special to a kind
of tests is given to it: the time, what it means to invoke a function (here and now, later, or a
call at a time beside other functions, until it is killed), and who hears of an execution's status.

Time-outs of functions and executions are not played: a test says that one has ended so. There is no
jitter, each back-off is as long as it may be. A Map's items are worked at together, and all come to
an end before the Map fails.
"""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from straight_through.moments import iso
from tests.machine.agenda import Agenda
from tests.machine.definition import DEFINITION
from tests.machine.paths import at, chosen, filled, placed, read

ARN = "arn:aws:states:eu-west-1:000000000000:stateMachine:straight-through"
ANY = ("States.ALL", "States.TaskFailed")


class Killed(BaseException):
    """The process of a function is gone: nothing that it would do after this happens."""


class ExecutionAlreadyExists(Exception):
    """An execution has this name."""


class ExecutionDoesNotExist(Exception):
    """No execution has this ARN."""


class TaskTimedOut(Exception):
    """The token was answered already, or its task is over."""


def _no_table(parameters: dict[str, Any]) -> None:
    """Stand for a table where no test has one."""
    raise AssertionError(parameters)


@dataclass(eq=False)
class Execution:
    """One execution: what it was given, and what has become of it."""

    name: str
    input: dict[str, Any]
    started: datetime
    definition: dict[str, Any]  # it keeps its own when the state machine gets another
    status: str = "RUNNING"
    error: str = ""
    cause: str = ""
    output: Any = None
    ended: datetime | None = None
    redrives: int = 0
    redriven: datetime | None = None
    passed: list[str] = field(default_factory=list)  # the states that it has entered
    retried: list[str] = field(default_factory=list)  # the errors after which a state was retried
    frame: "Frame" = field(init=False, repr=False)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"{ARN.replace(':stateMachine:', ':execution:')}:{self.name}"

    @property
    def state(self) -> str:
        """The state at which it is."""
        return self.frame.state

    def context(self) -> dict[str, Any]:
        """The context object's `$$.Execution`."""
        redriven = {"RedriveTime": iso(self.redriven)} if self.redriven else {}
        return {
            "Id": self.arn,
            "Name": self.name,
            "Input": self.input,
            "StartTime": iso(self.started),
            "RedriveCount": self.redrives,
            **redriven,
        }

    def described(self) -> dict[str, Any]:
        """What DescribeExecution tells of it."""
        told = {"status": self.status, "redriveCount": self.redrives}
        return told | ({"error": self.error} if self.error else {})

    def status_change(self) -> dict[str, Any]:
        """The detail of EventBridge's event of its end."""
        assert self.ended
        return {
            "name": self.name,
            "executionArn": self.arn,
            "status": self.status,
            "redriveCount": self.redrives,
            "error": self.error or None,
            "cause": self.cause or None,
            "startDate": _milliseconds(self.started),
            "stopDate": _milliseconds(self.ended),
            "input": json.dumps(self.input),
            "output": json.dumps(self.output) if self.status == "SUCCEEDED" else None,
        }


@dataclass(eq=False)
class Frame:
    """A set of states that is gone through: the machine's own, or one item's of a Map."""

    execution: Execution
    states: dict[str, Any]
    done: Callable[[Any], None]
    failed: Callable[[str, str], None]
    data: Any
    item: Any = None
    state: str = ""
    entered: datetime | None = None
    tries: dict[int, int] = field(default_factory=dict)  # of each of the state's retriers
    token: str = ""
    call: "Call | None" = None  # that the state waits for
    results: dict[int, Any] = field(default_factory=dict)  # of a Map's items that are done

    @property
    def defined(self) -> dict[str, Any]:
        """The definition of the state at which it is."""
        return dict(self.states[self.state])

    def context(self) -> dict[str, Any]:
        """The context object."""
        assert self.entered
        return {
            "Execution": self.execution.context(),
            "State": {
                "Name": self.state,
                "EnteredTime": iso(self.entered),
                "RetryCount": sum(self.tries.values()),
            },
            "Task": {"Token": self.token},
            "Map": {"Item": {"Value": self.item}},
        }


@dataclass(eq=False)
class Call:
    """A Task's invocation of a function."""

    frame: Frame
    function: str
    payload: Any
    attempt: int  # the execution's redrive count

    @property
    def execution(self) -> Execution:
        """The execution whose Task it is."""
        return self.frame.execution

    @property
    def awaited(self) -> bool:
        """Whether its state still waits for it; else nothing that becomes of it is heard."""
        execution = self.execution
        going = (execution.status, execution.redrives) == ("RUNNING", self.attempt)
        return going and self.frame.call is self


class Machine:
    """All executions. `agenda` has what they wait for: whoever plays takes it from there."""

    def __init__(
        self,
        agenda: Agenda,
        invoke: Callable[[Call], None],
        changed: Callable[[Execution], None],
        definition: dict[str, Any] = DEFINITION,
        update_item: Callable[[dict[str, Any]], None] = _no_table,
    ) -> None:
        """`invoke` begins a call, which ends then or later; `changed` hears of each new status.

        `update_item` makes a state's own write in DynamoDB; it raises as boto3 does.
        """
        self.agenda = agenda
        self.definition = definition  # of the executions that begin now
        self.executions: dict[str, Execution] = {}  # by name
        self._invoke, self._changed, self._update_item = invoke, changed, update_item

    # --- what is asked of the service -----------------------------------------------------------
    def start(self, name: str, given: dict[str, Any]) -> Execution:
        """Start a run. Raises ExecutionAlreadyExists."""
        if name in self.executions:
            raise ExecutionAlreadyExists(name)
        execution = Execution(name, given, self.agenda.now(), self.definition)
        execution.frame = Frame(
            execution,
            self.definition["States"],
            lambda output: self.end(execution, "SUCCEEDED", output=output),
            lambda error, cause: self.end(execution, "FAILED", error, cause),
            given,
        )
        self.executions[name] = execution
        self._changed(execution)
        self._enter(execution.frame, self.definition["StartAt"])
        return execution

    def of_arn(self, arn: str) -> Execution:
        """The execution of an ARN. Raises ExecutionDoesNotExist."""
        try:
            return self.executions[arn.rpartition(":")[2]]
        except KeyError:
            raise ExecutionDoesNotExist(arn) from None

    def answer(self, token: str, output: Any) -> None:
        """Let the Task succeed that waits with a token. Raises TaskTimedOut."""
        self._output(self._of(token), output)

    def refuse(self, token: str, error: str, cause: str) -> None:
        """Let the Task fail that waits with a token. Raises TaskTimedOut."""
        self._failed(self._of(token), error, cause)

    def end(
        self,
        execution: Execution,
        status: str,
        error: str = "",
        cause: str = "",
        output: Any = None,
    ) -> None:
        """End an execution where it is; a function that it has invoked runs on unheard."""
        execution.status, execution.error, execution.cause = status, error, cause
        execution.output, execution.ended = output, self.agenda.now()
        execution.frame.token, execution.frame.call = "", None
        self.agenda.forget(execution)
        self._changed(execution)

    def redrive(self, execution: Execution) -> None:
        """Let an execution go on where it ended; of a Map, only the items that are not done."""
        execution.redrives += 1
        execution.redriven = self.agenda.now()
        execution.status, execution.error, execution.cause = "RUNNING", "", ""
        self._changed(execution)
        self._enter(execution.frame, execution.state)

    def _of(self, token: str) -> Frame:
        for execution in self.executions.values():
            if token and execution.frame.token == token:
                return execution.frame
        raise TaskTimedOut(token)

    # --- what becomes of a call -----------------------------------------------------------------
    def run(self, call: Call, run: Callable[[str, Any], Any]) -> None:
        """Make a call from its beginning to its end."""
        try:
            result = run(call.function, call.payload)
        except Killed:
            self.raised(call, "Runtime.ExitError", "")
        except Exception as error:  # noqa: BLE001 - as Lambda does
            self.raised(call, type(error).__name__, str(error))
        else:
            self.returned(call, result)

    def returned(self, call: Call, result: Any) -> None:
        """Take a function's result; one that waits with a token goes on waiting."""
        if call.awaited:
            call.frame.call = None
            if not call.frame.token:
                self._output(call.frame, {"Payload": json.loads(json.dumps(result))})

    def raised(self, call: Call, error: str, cause: str) -> None:
        """Take a function's error."""
        if call.awaited:
            self._failed(call.frame, error, cause)

    # --- states ---------------------------------------------------------------------------------
    def _enter(self, frame: Frame, state: str) -> None:
        frame.state, frame.entered = state, self.agenda.now()
        frame.token, frame.call, frame.tries = "", None, {}
        frame.execution.passed.append(state)
        defined = frame.defined
        match defined["Type"]:
            case "Choice":
                self._enter(frame, chosen(defined, frame.data, frame.context()))
            case "Wait":
                seconds = defined.get("Seconds")
                if seconds is None:
                    seconds = at(defined["SecondsPath"], frame.data)
                self._later(frame, seconds, lambda: self._output(frame, frame.data))
            case "Succeed":
                frame.done(frame.data)
            case _:
                self._work(frame)

    def _later(self, frame: Frame, seconds: float, action: Callable[[], None]) -> None:
        self.agenda.later(seconds, action, frame.execution)

    def _work(self, frame: Frame) -> None:
        """Do what a state can fail at and be retried."""
        match frame.defined["Type"]:
            case "Map":
                self._map(frame)
            case "Task":
                self._task(frame)
            case kind:
                raise AssertionError(kind)

    def _task(self, frame: Frame) -> None:
        """Invoke the function of a Task."""
        defined = frame.defined
        if defined["Resource"].endswith(".waitForTaskToken"):
            frame.token = uuid.uuid4().hex
        parameters = filled(defined["Parameters"], frame.data, frame.context())
        if ":aws-sdk:dynamodb:updateItem" in defined["Resource"]:
            self._write(frame, parameters)
            return
        function = re.sub(r"(?<!^)(?=[A-Z])", "_", parameters["FunctionName"][2:-1]).lower()
        payload = json.loads(json.dumps(parameters["Payload"]))
        frame.call = Call(frame, function, payload, frame.execution.redrives)
        self._invoke(frame.call)

    def _write(self, frame: Frame, parameters: dict[str, Any]) -> None:
        """Write as a state itself does, with its token, and wait for the answer or the time."""
        token = frame.token
        seconds = at(frame.defined["TimeoutSecondsPath"], frame.data)

        def time_out() -> None:
            if frame.token == token:
                self._failed(frame, "States.Timeout", "")

        self._later(frame, seconds, time_out)
        try:
            self._update_item(parameters)
        except ClientError as error:
            self._failed(frame, f"DynamoDb.{error.response['Error']['Code']}", str(error))

    def _map(self, frame: Frame) -> None:
        """Go through a Map's items that are not done yet."""
        defined = frame.defined
        items = read(defined["ItemsPath"], frame.data, frame.context())
        processor = defined["ItemProcessor"]
        running = [index for index in range(len(items)) if index not in frame.results]
        failures: list[tuple[str, str]] = []

        def ended(index: int) -> None:
            running.remove(index)
            if running:
                return
            if failures:
                self._failed(frame, *failures[0])
            else:
                results, frame.results = frame.results, {}
                self._output(frame, [results[number] for number in range(len(items))])

        def begin(index: int) -> None:
            def done(output: Any) -> None:
                frame.results[index] = output
                ended(index)

            def failed(error: str, cause: str) -> None:
                failures.append((error, cause))
                ended(index)

            inner = Frame(frame.execution, processor["States"], done, failed, None, items[index])
            inner.entered = frame.entered
            inner.data = filled(defined["ItemSelector"], frame.data, inner.context())
            self._enter(inner, processor["StartAt"])

        if not items:
            self._output(frame, [])
        for index in list(running):
            begin(index)

    def _output(self, frame: Frame, result: Any) -> None:
        """Put a state's result where it belongs, and go on."""
        defined = frame.defined
        output = placed(defined.get("ResultPath", "$"), frame.data, result)
        frame.data = at(defined.get("OutputPath", "$"), output)
        if defined.get("End"):
            frame.done(frame.data)
        else:
            self._enter(frame, defined["Next"])

    def _failed(self, frame: Frame, error: str, cause: str) -> None:
        """Retry, catch or fail."""
        frame.token, frame.call = "", None
        defined = frame.defined
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
            self._later(frame, wait, lambda: self._work(frame))
            return
        for catch in defined.get("Catch", []):
            if {error, *ANY} & set(catch["ErrorEquals"]):
                told = {"Error": error, "Cause": cause}
                frame.data = placed(catch.get("ResultPath", "$"), frame.data, told)
                self._enter(frame, catch["Next"])
                return
        frame.failed(error, cause)


def _milliseconds(moment: datetime) -> int:
    """A moment as status-change events tell it."""
    return int(moment.timestamp() * 1000)

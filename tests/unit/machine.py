"""The state machine in miniature: executions that are stepped through by hand, in virtual time.

It knows of the road what `statemachine/straight_through.asl.yaml` says: which state follows, what
is tried again after a function's death, and that a task token is answered once.
"""

import json
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from straight_through.moments import iso

ROOT = Path(__file__).parents[2]
ASL = "statemachine/straight_through.asl.yaml"
DEFINITION = yaml.safe_load((ROOT / ASL).read_text("utf-8"))
RELEASES = {"1.0.0": "d700d1a"}  # and their commits
MACHINE = "arn:aws:states:eu-west-1:000000000000:stateMachine:straight-through"
AT_REST = ("SUCCEEDED", "FAILED", "ABORTED")
AFTER_STATUS = {
    "Succeeded": "DownloadOutputs",
    "NotExecuted": "UploadAndExecute",
    "RunAgain": "TakeTurn",
}


def definition_of(release: str) -> dict[str, Any]:
    """The definition of a release, from the repository's own history."""
    commit = RELEASES[release]
    show = ["git", "-C", str(ROOT), "show", f"{commit}:{ASL}"]
    shown = subprocess.run(show, capture_output=True, text=True, check=False)  # noqa: S603
    assert shown.returncode == 0, (
        f"This clone has not the commit {commit}, release {release}: git fetch --unshallow"
    )
    return dict(yaml.safe_load(shown.stdout))


class Killed(BaseException):
    """The process of a function was killed."""


class Clock(datetime):
    """A clock that goes on by itself and can be put forward."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        """The time of the test."""
        return datetime.now(tz) + cls.ahead


@dataclass
class Execution:
    """One execution: where it is and what it carries."""

    name: str
    given: dict[str, Any]
    started: str
    status: str = "RUNNING"
    error: str = ""
    state: str = ""
    entered: str = ""
    retries: int = 0
    redrives: int = 0
    redriven: str = ""
    data: Any = None
    token: str = ""
    passed: list[str] = field(default_factory=list)  # the states that it has entered
    definition: dict[str, Any] = field(default_factory=lambda: DEFINITION)  # it keeps its own

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"{MACHINE.replace(':stateMachine:', ':execution:')}:{self.name}"

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


class Machine:
    """All executions, and the service as functions see it."""

    def __init__(
        self, invoke: Callable[[str, Any], Any], ended: Callable[[Execution], None]
    ) -> None:
        """`invoke` runs a function; `ended` is told of every end."""
        self.executions: dict[str, Execution] = {}
        self.definition = DEFINITION  # of the executions that begin now
        self._invoke, self._ended = invoke, ended

    # --- the service ----------------------------------------------------------------------------
    def call(self, client: Any, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        """Answer a call of a boto3 client."""
        match operation:
            case "StartExecution":
                execution = Execution(
                    given["name"],
                    json.loads(given["input"]),
                    iso(Clock.now(UTC)),
                    definition=self.definition,
                )
                if execution.arn in self.executions:
                    raise refusal(client, "ExecutionAlreadyExists", operation)
                self.executions[execution.arn] = execution
                self.enter(execution, self.definition["States"]["Release?"]["Default"])
            case "DescribeExecution":
                execution = self.executions[given["executionArn"]]
                error = {"error": execution.error} if execution.error else {}
                return {
                    "status": execution.status,
                    "redriveCount": execution.redrives,
                    **error,
                }
            case "SendTaskSuccess":
                waiting = [e for e in self.executions.values() if e.token == given["taskToken"]]
                if not waiting:
                    raise refusal(client, "TaskTimedOut", operation)
                waiting[0].data = json.loads(given["output"])
                self.enter(waiting[0], "UploadAndExecute")
            case _:
                raise AssertionError(operation)
        return {}

    # --- executions -----------------------------------------------------------------------------
    def enter(self, execution: Execution, state: str) -> None:
        """Let an execution be at a state."""
        execution.state, execution.token, execution.retries = state, "", 0
        execution.entered = iso(Clock.now(UTC))
        execution.passed.append(state)

    def end(self, execution: Execution, status: str, error: str = "") -> None:
        """Let an execution end."""
        execution.status, execution.error, execution.token = status, error, ""
        self._ended(execution)

    def redrive(self, execution: Execution) -> None:
        """Let an execution go on where it ended."""
        execution.redrives += 1
        execution.status, execution.error = "RUNNING", ""
        execution.redriven = iso(Clock.now(UTC))
        self.enter(execution, execution.state)

    def step(self, execution: Execution) -> bool:
        """Go one step; False where there is none to go."""
        if execution.status in AT_REST or execution.token:
            return False
        try:
            self._step(execution)
        except Killed:
            execution.retries += 1
            execution.token = ""
        except Exception as error:  # noqa: BLE001 - as the state machine does
            if type(error).__name__ == "TurnLost":
                self.enter(execution, "TakeTurn")
            else:
                self.end(execution, "FAILED", type(error).__name__)
        return True

    def _step(self, execution: Execution) -> None:
        data = execution.data
        event = {"execution": execution.context(), "record": data}
        match execution.state:
            case "CheckFile":
                execution.data = self._invoke("check_file", event)
                self._checked(execution)
            case "TakeTurn":
                self._ask(execution)
            case "UploadAndExecute":
                execution.data = self._invoke("upload_and_execute", event)
                self._wait(execution)
            case "CheckStatus":
                execution.data = self._invoke("check_status", event)
                if state := AFTER_STATUS.get(execution.data["status"]):
                    self.enter(execution, state)
                else:
                    self._wait(execution)
            case "DownloadOutputs":
                names = ("run", "route", "source", "gated", "quantemplate")
                item = {name: data[name] for name in names}
                execution.data = data | {
                    "outputs": [
                        self._invoke("download_output", {"output": output, **item})
                        for output in data["outputs"]
                    ]
                }
                self.enter(execution, "PublishRun")
            case "PublishRun":
                execution.data = self._invoke("publish_run", event)
                self.end(execution, "SUCCEEDED")

    def _checked(self, execution: Execution) -> None:
        """Go on after CheckFile; an empty version waits for one that replaces it."""
        match execution.data["status"]:
            case "Empty":
                Clock.ahead += timedelta(seconds=execution.data["wait_seconds"])
                self.enter(execution, "CheckFile")
            case "Replaced":
                self.end(execution, "SUCCEEDED")
            case _:
                self.enter(execution, "TakeTurn")

    def _ask(self, execution: Execution) -> None:
        """Wait for the turn; a function that dies matters only if the token is still open."""
        execution.token = token = uuid.uuid4().hex
        state = {"EnteredTime": execution.entered, "RetryCount": execution.retries}
        payload = execution.definition["States"]["TakeTurn"]["Parameters"]["Payload"]
        said = {name: value for name, value in payload.items() if not name.endswith(".$")}
        event = {"execution": execution.context(), "state": state, "token": token, **said}
        try:
            self._invoke("take_turn", event)
        except Killed:
            if execution.token == token:
                raise

    def _wait(self, execution: Execution) -> None:
        Clock.ahead += timedelta(seconds=execution.data["wait_seconds"])
        self.enter(execution, "CheckStatus")


def refusal(client: Any, name: str, operation: str) -> Exception:
    """An error of Step Functions as its client raises it."""
    error: Exception = getattr(client.exceptions, name)(
        {"Error": {"Code": name, "Message": name}}, operation
    )
    return error

"""State machines, executions, and a function that does as it is told."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

from emulator.tests.account import Account, eventually

TIME_SCALE = 0.05  # of Wait states and Retry intervals on the server of these tests
FUNCTION_CODE = '''
import os, pathlib, time

class Refused(Exception):
    """A failure with a name of its own."""

class Unnamed(Exception):
    """Another."""

def handler(event, context):
    """Do what the event asks for, in the order of these lines."""
    if "log" in event:
        with open(event["log"], "a") as log:
            log.write(event.get("line", "ran") + "\\n")
    if "until" in event:
        path, text = event["until"]
        while not (os.path.exists(path) and text in pathlib.Path(path).read_text()):
            time.sleep(0.01)
    if "sleep" in event:
        time.sleep(event["sleep"])
    if "touch" in event:
        pathlib.Path(event["touch"]).touch()
    if "exit" in event:
        os._exit(3)
    if "needs" in event and not os.path.exists(event["needs"]):
        raise Refused("not yet")
    if "raise" in event:
        raise globals()[event["raise"]]("as asked")
    return event.get("answer", event)
'''


@dataclass(frozen=True)
class StateMachines:
    """What tests do with state machines, in one account, with one role and one function."""

    account: Account
    role: str
    function: str

    @property
    def api(self) -> Any:
        """The Step Functions client."""
        return self.account.client("stepfunctions")

    def task(self, payload: Any, **fields: Any) -> dict[str, Any]:
        """A Task state that invokes the function; fields override."""
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": self.function, "Payload": payload},
            "OutputPath": "$.Payload",
            **fields,
        }

    def create(self, states: dict[str, Any], **fields: Any) -> str:
        """The ARN of a new machine that starts at the first of these states and ends at the last.

        A state without Next or End goes on to the one after it.
        """
        return str(
            self.api.create_state_machine(
                name=f"machine-{uuid.uuid4().hex[:8]}",
                roleArn=self.role,
                definition=json.dumps({**chained(states), **fields}),
            )["stateMachineArn"]
        )

    def start(self, machine: str, data: Any = None, **fields: Any) -> str:
        """The ARN of a new execution."""
        started = self.api.start_execution(
            stateMachineArn=machine, input=json.dumps(data or {}), **fields
        )
        return str(started["executionArn"])

    def describe(self, execution: str) -> dict[str, Any]:
        """What DescribeExecution says."""
        described: dict[str, Any] = self.api.describe_execution(executionArn=execution)
        return described

    def end(self, execution: str) -> dict[str, Any]:
        """What DescribeExecution says once the execution has ended."""
        eventually(lambda: self.describe(execution)["status"] != "RUNNING")
        return self.describe(execution)

    def run(self, states: dict[str, Any], data: Any = None, **fields: Any) -> dict[str, Any]:
        """The end of a new execution of a new machine."""
        return self.end(self.start(self.create(states, **fields), data))

    def output(self, states: dict[str, Any], data: Any = None, **fields: Any) -> Any:
        """The output of a new execution of a new machine."""
        ended = self.run(states, data, **fields)
        assert ended["status"] == "SUCCEEDED", ended
        return json.loads(ended["output"])

    def events(self, execution: str, kind: str = "") -> list[dict[str, Any]]:
        """The history, or the events of one kind."""
        pages = self.api.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"] if kind in ("", event["type"])]

    def kinds(self, execution: str) -> list[str]:
        """The kinds of the events, in order."""
        return [event["type"] for event in self.events(execution)]

    def until(self, execution: str, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """The events of one kind, as soon as there are so many."""
        eventually(lambda: len(self.events(execution, kind)) >= count)
        return self.events(execution, kind)


def waiting_task(machines: StateMachines, payload: Any = None, **fields: Any) -> dict[str, Any]:
    """A task that waits for its token, which its function is given."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {
            "FunctionName": machines.function,
            "Payload": {"token.$": "$$.Task.Token", **(payload or {})},
        },
        **fields,
    }


def token(machines: StateMachines, execution: str, number: int = 1) -> str:
    """The token of so many-th try, once its function has returned."""
    scheduled = machines.until(execution, "TaskScheduled", number)[number - 1]
    parameters = json.loads(scheduled["taskScheduledEventDetails"]["parameters"])
    return str(parameters["Payload"]["token"])


def waiting_token(machines: StateMachines, execution: str, number: int = 1) -> str:
    """The token of so many-th try, once it is waited for."""
    machines.until(execution, "TaskSubmitted", number)
    return token(machines, execution, number)


def chained(states: dict[str, Any]) -> dict[str, Any]:
    """A definition of these states, one after the other."""
    names = list(states)
    linked = {}
    for name, following in zip(names, [*names[1:], None], strict=True):
        ends = {"Next", "End"} & states[name].keys()
        if ends or states[name]["Type"] in {"Choice", "Fail", "Succeed"}:
            linked[name] = states[name]
        else:
            linked[name] = {**states[name], **({"Next": following} if following else {"End": True})}
    return {"StartAt": names[0], "States": linked}

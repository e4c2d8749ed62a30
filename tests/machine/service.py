"""The state machine as a client of boto3 finds it."""

import json
from typing import Any

from tests.machine.machine import (
    ExecutionAlreadyExists,
    ExecutionDoesNotExist,
    Machine,
    TaskTimedOut,
)


def call(machine: Machine, client: Any, operation: str, given: dict[str, Any]) -> dict[str, Any]:
    """Answer a call of a boto3 client. Raises its errors."""
    try:
        match operation:
            case "StartExecution":
                machine.start(given["name"], json.loads(given["input"]))
            case "DescribeExecution":
                return machine.of_arn(given["executionArn"]).described()
            case "SendTaskSuccess":
                machine.answer(given["taskToken"], json.loads(given["output"]))
            case "SendTaskFailure":
                machine.refuse(given["taskToken"], given["error"], given["cause"])
            case _:
                raise AssertionError(operation)
    except (ExecutionAlreadyExists, ExecutionDoesNotExist, TaskTimedOut) as refusal:
        name = type(refusal).__name__
        answer = {"Error": {"Code": name, "Message": str(refusal)}}
        raise getattr(client.exceptions, name)(answer, operation) from None
    return {}

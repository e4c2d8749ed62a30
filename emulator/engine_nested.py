"""Task states that start executions: the engine calls the API by the API's own names."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (  # noqa: E501 - moto's name
    StateTaskServiceSfn,
)

from emulator.seams import replace


def install() -> None:
    """Replace them."""
    replace(StateTaskServiceSfn, "_normalise_parameters", with_the_apis_names)
    replace(StateTaskServiceSfn, "_normalise_response", lambda _: with_the_tasks_names)
    replace(StateTaskServiceSfn, "_from_error", with_a_request_id)


def with_the_apis_names(original: Callable[..., None]) -> Callable[..., None]:
    """Call `StateMachineArn` as boto3 does: `stateMachineArn`."""

    def normalise(self: StateTaskServiceSfn, parameters: dict[str, Any], **names: Any) -> None:
        original(self, parameters, **names)
        for name in list(parameters):
            parameters[name[0].lower() + name[1:]] = parameters.pop(name)

    return normalise


def with_the_tasks_names(_: StateTaskServiceSfn, response: dict[str, Any], **__: Any) -> None:
    """Call what came back as AWS does in a state's output: `ExecutionArn`, times as numbers.

    AWS documentation: "Start workflow executions from a task state in Step Functions".
    """
    for name in list(response):
        value = response.pop(name)
        if isinstance(value, datetime):
            value = int(value.timestamp() * 1000)
        response[name[0].upper() + name[1:]] = json.loads(json.dumps(value))


def with_a_request_id(original: Callable[..., Any]) -> Callable[..., Any]:
    """Tell a refusal that has no request id: IAM's."""

    def from_error(self: StateTaskServiceSfn, env: Any, ex: Exception) -> Any:
        if isinstance(ex, ClientError):
            ex.response["ResponseMetadata"].setdefault("RequestId", "")
        return original(self, env, ex)

    return from_error

"""Task states of moto's engine, where they behave otherwise than on AWS."""

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import (
    CustomErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import TimeoutSecondsPath
from moto.stepfunctions.parser.asl.component.state.exec.state_task.lambda_eval_utils import (
    LambdaFunctionErrorException,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (  # noqa: E501 - moto's name
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import (  # noqa: E501 - moto's name
    StateTaskServiceLambda,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

from emulator.engine import AttemptEnvironment
from emulator.seams import replace


def install() -> None:
    """Replace them."""
    replace(StateTaskServiceCallback, "_evaluate_with_timeout", with_own_token)
    replace(StateTaskServiceLambda, "_from_error", with_lambda_error_names)
    replace(TimeoutSecondsPath, "_eval_seconds", only_whole_seconds)


def with_own_token(original: Callable[..., None]) -> Callable[..., None]:
    """Give each try of a `.waitForTaskToken` a token of its own, which ends with the try."""

    def evaluate(self: StateTaskServiceCallback, env: AttemptEnvironment) -> None:
        context = env.states.context_object.context_object_data
        if not self._is_integration_pattern():
            original(self, env)
            return
        if context["State"]["RetryCount"]:
            env.callback_pool_manager.add(env.states.context_object.update_task_token())
        token = context["Task"]["Token"]
        try:
            original(self, env)
        finally:
            env.callback_pool_manager.close(token)

    return evaluate


def only_whole_seconds(original: Callable[..., Any]) -> Callable[..., int]:
    """Refuse a time-out from the input that is no whole number from one on: States.Runtime.

    https://docs.aws.amazon.com/step-functions/latest/dg/state-task.html#task-state-fields
    """

    def seconds_of(self: TimeoutSecondsPath, env: AttemptEnvironment) -> int:
        seconds = original(self, env)
        if type(seconds) is not int or seconds < 1:
            raise ValueError(f"The time-out is {seconds!r}, but must be a whole number from 1 on.")
        return seconds

    return seconds_of


def with_lambda_error_names(original: Callable[..., FailureEvent]) -> Callable[..., FailureEvent]:
    """Name what a function or Lambda failed with as AWS does.

    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html: by
    Lambda.Unknown the function returned an error without a type. A refusal by IAM comes as
    Lambda.AWSLambdaException, a reply that never came as Lambda.SdkClientException.
    """

    def from_error(
        self: StateTaskServiceLambda, env: AttemptEnvironment, ex: Exception
    ) -> FailureEvent:
        if isinstance(ex, LambdaFunctionErrorException) and not error_type(ex.payload):
            cause = (
                "The cause could not be determined because Lambda did not return an error type. "
                f"Returned payload: {ex.payload}"
            )
            return task_failed(self, env, "Lambda.Unknown", cause)
        if isinstance(ex, ClientError):
            return task_failed(self, env, *refusal_by_lambda(ex))
        if isinstance(ex, BotoCoreError):
            return task_failed(self, env, "Lambda.SdkClientException", str(ex))
        return original(self, env, ex)

    return from_error


def refusal_by_lambda(refusal: ClientError) -> tuple[str, str]:
    """Name and cause of a failure of the Lambda service itself."""
    code, message = refusal.response["Error"]["Code"], refusal.response["Error"]["Message"]
    answer = refusal.response["ResponseMetadata"]
    name = "AWSLambdaException" if code == "AccessDeniedException" else code
    status, request = answer["HTTPStatusCode"], answer.get("RequestId", "")
    cause = f"{message} (Service: Lambda, Status Code: {status}, Request ID: {request})"
    return f"Lambda.{name}", cause


def error_type(payload: str) -> str | None:
    """The error's class name in what a failed function returned."""
    error = json.loads(payload)
    return error.get("errorType") if isinstance(error, dict) else None


def task_failed(
    task: StateTaskServiceLambda, env: AttemptEnvironment, error: str, cause: str
) -> FailureEvent:
    """The failure of a Lambda task, as Retry, Catch and the history see it."""
    details = {
        "error": error,
        "cause": cause,
        "resource": task._get_sfn_resource(),
        "resourceType": task._get_sfn_resource_type(),
    }
    return FailureEvent(
        env=env,
        error_name=CustomErrorName(error),
        event_type=HistoryEventType.TaskFailed,
        event_details=EventDetails(taskFailedEventDetails=details),
    )

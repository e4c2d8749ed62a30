"""Task states of moto's engine, where they behave otherwise than on AWS."""

from collections.abc import Callable

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import (
    CustomErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
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


def with_lambda_error_names(original: Callable[..., FailureEvent]) -> Callable[..., FailureEvent]:
    """Name a refusal of Lambda itself as AWS does; one by IAM is a Lambda.AWSLambdaException.

    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """

    def from_error(
        self: StateTaskServiceLambda, env: AttemptEnvironment, ex: Exception
    ) -> FailureEvent:
        if isinstance(ex, ClientError):
            return task_failed(self, env, *refusal_by_lambda(ex))
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

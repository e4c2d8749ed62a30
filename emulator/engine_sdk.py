"""Task states that call an AWS API by its SDK, and may wait for their token after it.

https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-wait-token
"""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (  # noqa: E501 - moto's name
    StateTaskServiceAwsSdk,
)

from emulator.engine import AttemptEnvironment
from emulator.seams import replace


def install(time_scale: float) -> None:
    """Replace them; `time_scale` is the length of a second of waiting for a token."""
    replace(StateTaskServiceAwsSdk, "_from_error", with_sdk_error_names)
    replace(StateTaskServiceAwsSdk, "_eval_wait_for_task_token", scaled(time_scale))


def with_sdk_error_names(original: Callable[..., FailureEvent]) -> Callable[..., FailureEvent]:
    """Name a refusal that came without a request id, and a reply that never came.

    A refusal that the SDK has no class for is named after the service: IAM's of DynamoDB is a
    DynamoDb.DynamoDbException. A failed connection is the SDK's own SdkClientException:
    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """

    def from_error(
        self: StateTaskServiceAwsSdk, env: AttemptEnvironment, ex: Exception
    ) -> FailureEvent:
        if isinstance(ex, ClientError):
            ex.response["ResponseMetadata"].setdefault("RequestId", "")
        if isinstance(ex, BotoCoreError):
            service = self._normalise_service_error_name(self.resource.api_name)
            return self._get_task_failure_event(env, f"{service}.SdkClientException", str(ex))
        return original(self, env, ex)

    return from_error


def scaled(time_scale: float) -> Callable[..., Callable[..., Any]]:
    """Wait for a token as a Wait state waits: no function's own time passes meanwhile."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def wait(
            self: StateTaskServiceAwsSdk,
            env: AttemptEnvironment,
            timeout_seconds: float,
            callback_endpoint: Any,
            heartbeat_endpoint: Any,
        ) -> Any:
            seconds = timeout_seconds * time_scale
            return original(self, env, seconds, callback_endpoint, heartbeat_endpoint)

        return wait

    return make

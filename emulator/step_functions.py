"""Step Functions: the service's API for executions, on moto's state machine engine.

State machines themselves stay ministack's, so that CloudFormation finds them where it looks.
"""

import json
import re
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from ministack.core.responses import (
    error_response_json,
    get_account_id,
    get_region,
    json_response,
)
from ministack.services import stepfunctions
from ministack.services.cloudformation import provisioners

from emulator import engine_seams
from emulator.deadlines import Deadlines
from emulator.deletions import Deletions
from emulator.execution import Execution, Machine, Surroundings
from emulator.quotas import TRANSITION, Quotas
from emulator.seams import replace, replace_item, seam
from emulator.service_error import ServiceError
from emulator.state_machine_definition import as_json, problems
from emulator.status_events import StatusEvents, throttled
from emulator.task_tokens import TaskTokens

Fields = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]
LONGEST_NAME = 80
LARGEST_INPUT = 262_144  # bytes
NEXT_LOOK = 0.02  # seconds until an execution that may enter no state looks again
NOT_IN_NAMES = re.compile(r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]")


def install(time_scale: float, quotas: Quotas) -> "StepFunctions":
    """Put this service in the place of ministack's; raises PinError where a seam is missing."""
    engine_seams.install(time_scale)
    service = StepFunctions(quotas)
    replace(stepfunctions, "handle_request", service.handler)
    replace(stepfunctions, "_start_execution", lambda _: service.answer_to("StartExecution"))
    replace(provisioners, "_sfn_definition", checked_definition)
    kind, of_stacks = "AWS::StepFunctions::StateMachine", service.deletions.of_stacks(time_scale)
    replace_item(provisioners, "_RESOURCE_HANDLERS", kind, of_stacks)
    return service


def checked_definition(original: Callable[[Fields], str]) -> Callable[[Fields], str]:
    """A template's definition: YAML or JSON, refused as CreateStateMachine would refuse it."""

    def definition_of(properties: Fields) -> str:
        definition = as_json(original(properties))
        if found := problems(definition):
            raise ValueError(invalid_definition(found).message)
        return definition

    return definition_of


def invalid_definition(found: list[Any]) -> ServiceError:
    """The refusal of a definition."""
    listed = ", ".join(map(str, found))
    return ServiceError("InvalidDefinition", f"Invalid State Machine Definition: '{listed}'")


class StepFunctions:
    """All executions since the server started."""

    def __init__(self, quotas: Quotas) -> None:
        self._executions: dict[str, Execution] = {}
        self._starting = threading.Lock()
        self._tokens = TaskTokens()
        self._status_events = StatusEvents()
        self._quotas = quotas
        self.deletions = Deletions(self._has_running)
        self._surroundings = Surroundings(
            self._tokens,
            Deadlines(),
            self._announce,
            quotas.history_events,
            self._wait_to_enter,
            self.deletions.under_way,
        )
        self._machines = seam(stepfunctions, "_state_machines")
        self._resolve = seam(stepfunctions, "_resolve_state_machine_arn")
        self._actions: dict[str, Callable[[Fields], Fields]] = {
            "DeleteStateMachine": self.delete_state_machine,
            "StartExecution": self.start_execution,
            "StopExecution": self.stop_execution,
            "RedriveExecution": self.redrive_execution,
            "DescribeExecution": self.describe_execution,
            "ListExecutions": self.list_executions,
            "GetExecutionHistory": self.get_execution_history,
            "SendTaskSuccess": self.send_task_success,
            "SendTaskFailure": self.send_task_failure,
        }

    def handler(
        self, original: Callable[..., Awaitable[Response]]
    ) -> Callable[..., Awaitable[Response]]:
        """The service's entry point: these actions here, all others in ministack."""

        async def handle(
            method: str, path: str, headers: dict[str, str], body: bytes, query: Fields
        ) -> Response:
            action = headers.get("x-amz-target", "").rpartition(".")[2]
            if action in {"CreateStateMachine", "UpdateStateMachine"}:
                try:
                    self._require_makeable(json.loads(body))
                except ServiceError as refusal:
                    return refused(refusal)
            if action not in self._actions:
                return await original(method, path, headers, body, query)
            return self.answer_to(action)(json.loads(body or b"{}"))

        return handle

    def _require_makeable(self, fields: Fields) -> None:
        """Raise ServiceError where a machine cannot be made, or changed, as is asked for."""
        if "definition" in fields and (found := problems(fields["definition"])):
            raise invalid_definition(found)
        named = (
            f"arn:aws:states:{get_region()}:{get_account_id()}:stateMachine:{fields.get('name')}"
        )
        self.deletions.require_none(fields.get("stateMachineArn", named))

    def machine_of_token(self, token: str) -> str:
        """The ARN of the state machine that gave a task token out."""
        return self._tokens.machine_of(token)

    def answer_to(self, action: str) -> Callable[[Fields], Response]:
        """The action as a function from a request to a response."""

        def answer(fields: Fields) -> Response:
            try:
                response: Response = json_response(self._actions[action](fields))
            except ServiceError as error:
                return refused(error)
            return response

        return answer

    def delete_state_machine(self, fields: Fields) -> Fields:
        """AWS API: DeleteStateMachine."""
        self.deletions.begin(fields["stateMachineArn"])
        return {}

    def start_execution(self, fields: Fields) -> Fields:
        """AWS API: StartExecution."""
        machine = self._machine(fields["stateMachineArn"])
        self.deletions.require_none(machine.arn)
        name = fields.get("name") or str(uuid.uuid4())
        data = fields.get("input", "{}")
        require_name(name)
        require_input(data)
        arn = f"{machine.arn.replace(':stateMachine:', ':execution:')}:{name}"
        with self._starting:
            if existing := self._executions.get(arn):
                if existing.status != "RUNNING" or existing.input != data:
                    message = f"Execution Already Exists: '{arn}'"
                    raise ServiceError("ExecutionAlreadyExists", message)
                return {"executionArn": arn, "startDate": existing.start_date}
            execution = Execution(arn, machine, data, self._surroundings)
            self._executions[arn] = execution
            execution.start()
        return {"executionArn": arn, "startDate": execution.start_date}

    def stop_execution(self, fields: Fields) -> Fields:
        """AWS API: StopExecution."""
        execution = self._execution(fields)
        return {"stopDate": execution.stop(fields.get("error"), fields.get("cause"))}

    def redrive_execution(self, fields: Fields) -> Fields:
        """AWS API: RedriveExecution."""
        return {"redriveDate": self._execution(fields).redrive()}

    def describe_execution(self, fields: Fields) -> Fields:
        """AWS API: DescribeExecution."""
        execution = self._execution(fields)
        refusal = execution.redrive_refusal()
        described = {
            **summary(execution),
            "input": execution.input,
            "inputDetails": {"included": True},
            "output": execution.output,
            "outputDetails": {"included": True} if execution.output is not None else None,
            "error": execution.error,
            "cause": execution.cause,
            "redriveStatus": "NOT_REDRIVABLE" if refusal else "REDRIVABLE",
            "redriveStatusReason": refusal,
        }
        return {name: value for name, value in described.items() if value is not None}

    def list_executions(self, fields: Fields) -> Fields:
        """AWS API: ListExecutions, the newest first."""
        arn = self._machine(fields.get("stateMachineArn", "")).arn
        status = fields.get("statusFilter")
        found = [
            execution
            for execution in list(self._executions.values())
            if execution.machine.arn == arn and status in (None, execution.status)
        ]
        found.sort(key=lambda execution: (execution.start_date, execution.arn), reverse=True)
        page, token = page_of(found, fields, default=100)
        return {"executions": [summary(execution) for execution in page], **token}

    def get_execution_history(self, fields: Fields) -> Fields:
        """AWS API: GetExecutionHistory, also while the execution runs."""
        history = self._execution(fields).history
        positions: Any = range(len(history))
        if fields.get("reverseOrder"):
            positions = reversed(positions)
        page, token = page_of(list(positions), fields, default=100)
        with_data = fields.get("includeExecutionData", True)
        events = [
            event
            for position in page
            for event in history.read(position, position + 1, with_data=with_data)
        ]
        return {"events": events, **token}

    def send_task_success(self, fields: Fields) -> Fields:
        """AWS API: SendTaskSuccess."""
        self._tokens.succeed(fields["taskToken"], fields["output"])
        return {}

    def send_task_failure(self, fields: Fields) -> Fields:
        """AWS API: SendTaskFailure."""
        self._tokens.fail(fields["taskToken"], fields.get("error"), fields.get("cause"))
        return {}

    def _wait_to_enter(self, execution: Execution) -> None:
        """Wait while the account's executions have entered, and tried again, too many states.

        AWS documentation, "Quotas related to state throttling" and ExecutionThrottled:
        https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
        https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
        """
        if self._quotas.take(TRANSITION):
            return
        throttled(execution)
        while execution.status == "RUNNING" and not self._quotas.has(TRANSITION):
            time.sleep(NEXT_LOOK)

    def _announce(self, execution: Execution) -> None:
        self._status_events.announce(execution)
        if execution.status != "RUNNING":
            self.deletions.go_on(execution.machine.arn)

    def _has_running(self, machine: str) -> bool:
        executions = list(self._executions.values())
        return any(each.status == "RUNNING" and each.machine.arn == machine for each in executions)

    def _execution(self, fields: Fields) -> Execution:
        arn = fields["executionArn"]
        if arn not in self._executions:
            raise ServiceError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return self._executions[arn]

    def _machine(self, arn: str) -> Machine:
        stored = self._machines.get(self._resolve(arn))
        if not stored:
            raise ServiceError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
        return Machine(
            arn=stored["stateMachineArn"],
            name=stored["name"],
            definition=stored["definition"],
            role_arn=stored["roleArn"],
        )


def refused(error: ServiceError) -> Response:
    """The response to a request that is refused."""
    response: Response = error_response_json(error.code, error.message, 400)
    return response


def require_name(name: str) -> None:
    """Raise ServiceError InvalidName unless AWS takes it (API reference, StartExecution)."""
    if len(name) > LONGEST_NAME or NOT_IN_NAMES.search(name):
        raise ServiceError("InvalidName", f"Invalid Name: '{name}'")


def require_input(data: str) -> None:
    """Raise ServiceError unless the input is JSON of at most 256 KB."""
    if len(data.encode()) > LARGEST_INPUT:
        raise ServiceError(
            "ValidationException",
            "1 validation error detected: Value at 'input' failed to satisfy constraint: "
            f"Member must have length less than or equal to {LARGEST_INPUT}",
        )
    try:
        json.loads(data)
    except ValueError as error:
        message = f"Invalid State Machine Execution Input: '{error}'"
        raise ServiceError("InvalidExecutionInput", message) from None


def summary(execution: Execution) -> Fields:
    """An execution as lists show it; times in seconds since the epoch."""
    fields = {
        "executionArn": execution.arn,
        "stateMachineArn": execution.machine.arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": execution.start_date,
        "stopDate": execution.stop_date,
        "redriveCount": execution.redrive_count,
        "redriveDate": execution.redrive_date,
    }
    return {name: value for name, value in fields.items() if value is not None}


def page_of(found: list[Any], fields: Fields, default: int) -> tuple[list[Any], Fields]:
    """One page, and `nextToken` where more follow; raises ServiceError InvalidToken."""
    size = fields.get("maxResults") or default
    token = fields.get("nextToken", "0")
    if not token.isdecimal():
        raise ServiceError("InvalidToken", "Invalid Token: 'Invalid token'")
    start = int(token)
    following = {"nextToken": str(start + size)} if start + size < len(found) else {}
    return found[start : start + size], following

"""Step Functions as those see it who answer task tokens and ask how an execution ended."""

import json
from typing import Any


class FakeStates:
    """Executions and their tokens. A token that nobody waits for is dead."""

    def __init__(self, exceptions: Any) -> None:
        """Know nothing yet; `exceptions` are those of a real client."""
        self.exceptions = exceptions
        self.waiting: dict[str, str] = {}  # token: execution ARN
        self.answers: dict[str, Any] = {}  # token: what it was answered with
        self.started: dict[str, Any] = {}  # name: input
        self.ended: dict[str, dict[str, Any]] = {}  # execution ARN: how it ended
        self.forgotten: set[str] = set()  # ARNs of executions that are too old to be known

    def wait(self, token: str, execution_arn: str) -> None:
        """Let an execution wait with a token."""
        self.waiting[token] = execution_arn
        self.ended.pop(execution_arn, None)

    def end(self, execution_arn: str, status: str, error: str = "", redrive_count: int = 0) -> None:
        """End an execution: its tokens are dead."""
        self.waiting = {t: arn for t, arn in self.waiting.items() if arn != execution_arn}
        self.ended[execution_arn] = {
            "status": status,
            "error": error,
            "redriveCount": redrive_count,
        }

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> None:  # noqa: A002, ARG002, N803
        """Start an execution, unless there is one of that name."""
        if name in self.started:
            refusal = {"Error": {"Code": "ExecutionAlreadyExists", "Message": "It does exist"}}
            raise self.exceptions.ExecutionAlreadyExists(refusal, "StartExecution")
        self.started[name] = json.loads(input)

    def send_task_success(self, *, taskToken: str, output: str) -> None:  # noqa: N803 - boto3's
        """Wake the execution that waits with the token."""
        self._use(taskToken)
        self.answers[taskToken] = json.loads(output)

    def send_task_failure(self, *, taskToken: str, error: str, cause: str) -> None:  # noqa: N803
        """Fail the execution that waits with the token."""
        arn = self._use(taskToken)
        self.answers[taskToken] = {"error": error, "cause": cause}
        self.end(arn, "FAILED", error)

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803
        """Return the execution's status and, where it has ended, its error and redrive count."""
        if executionArn in self.forgotten:
            refusal = {"Error": {"Code": "ExecutionDoesNotExist", "Message": "It does not exist"}}
            raise self.exceptions.ExecutionDoesNotExist(refusal, "DescribeExecution")
        return {"status": "RUNNING", "redriveCount": 0} | self.ended.get(executionArn, {})

    def _use(self, token: str) -> str:
        if token not in self.waiting:
            refusal = {"Error": {"Code": "TaskTimedOut", "Message": "Task Timed Out"}}
            raise self.exceptions.TaskTimedOut(refusal, "SendTask")
        return self.waiting.pop(token)

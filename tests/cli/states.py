"""Step Functions pretended: executions that are listed, described and started."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stp.stack import Stack
from tests.cli.conftest import MACHINE

BEGAN = datetime.now(UTC)


@dataclass
class States:
    """Executions by name, the newest last; what each is described with beside the usual."""

    runs: dict[str, dict[str, Any]]
    stopped: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    redriven: list[str] = field(default_factory=list)
    state: str = "{}"  # what the state of the last event was given

    def described(self, name: str) -> dict[str, Any]:
        """An execution."""
        place = list(self.runs).index(name)
        began = BEGAN + timedelta(seconds=place - len(self.runs))
        usual = {
            "executionArn": f"{MACHINE.replace(':stateMachine:', ':execution:')}:{name}",
            "name": name,
            "status": "SUCCEEDED",
            "startDate": began,
            "stopDate": began,
            "input": f'{{"bucket": "inbox", "key": "claims/{name}.csv"}}',
        }
        return usual | self.runs[name]

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        """One of them."""
        name = executionArn.rpartition(":")[2]
        if name not in self.runs:
            error: Any = {"Error": {"Code": "ExecutionDoesNotExist", "Message": "no"}}
            raise ClientError(error, "DescribeExecution")
        return self.described(name)

    def get_paginator(self, operation: str) -> Any:
        """The pages of a list of them, one on each; of a history there is none."""
        if operation == "get_execution_history":
            return SimpleNamespace(paginate=lambda **_: [{"events": []}])
        assert operation == "list_executions"
        return SimpleNamespace(paginate=self._pages)

    def get_execution_history(self, **_: Any) -> dict[str, Any]:
        """The last event."""
        entered = {"stateEnteredEventDetails": {"name": "CheckStatus", "input": self.state}}
        return {"events": [{"id": 9, **entered}]}

    def stop_execution(self, *, executionArn: str, **_: Any) -> None:  # noqa: N803 - boto3's
        """Stop one."""
        self.stopped.append(executionArn.rpartition(":")[2])

    def redrive_execution(self, *, executionArn: str) -> None:  # noqa: N803 - boto3's
        """Let one go on."""
        self.redriven.append(executionArn.rpartition(":")[2])

    def start_execution(self, *, name: str, **_: Any) -> dict[str, str]:
        """Start one."""
        self.started.append(name)
        return {"executionArn": f"{MACHINE.replace(':stateMachine:', ':execution:')}:{name}"}

    def _pages(self, *, statusFilter: str = "", **_: Any) -> Any:  # noqa: N803 - boto3's
        for name in reversed(self.runs):
            found = self.described(name)
            if statusFilter in ("", found["status"]):
                yield {"executions": [found]}


def pretend(monkeypatch: pytest.MonkeyPatch, states: Any) -> None:
    """Let Step Functions be these."""
    client = Stack.client
    monkeypatch.setattr(
        Stack, "client", lambda s, name: states if name == "stepfunctions" else client(s, name)
    )

"""A state machine starts another's execution.

AWS documentation: "Start workflow executions from a task state in Step Functions".
"""

import json
from typing import Any

import pytest

from emulator.tests.state_machines import StateMachines


def starts(machine: str, sync: str = "", **parameters: Any) -> dict[str, Any]:
    """A state that starts an execution, and waits for its end if `sync` says so."""
    named = {"StateMachineArn": machine, "Input": {"word.$": "$.word"}, **parameters}
    resource = f"arn:aws:states:::states:startExecution{sync}"
    return {"Start": {"Type": "Task", "Resource": resource, "Parameters": named}}


@pytest.fixture
def echo(machines: StateMachines) -> str:
    """A state machine that gives its input back."""
    return machines.create({"Echo": {"Type": "Pass"}})


def test_it_goes_on_at_once(machines: StateMachines, echo: str) -> None:
    # When an execution is started and not waited for
    output = machines.output(starts(echo, Name="started"), {"word": "a"})
    # Then its ARN and the moment in milliseconds come back
    assert output["ExecutionArn"].endswith(":started")
    assert isinstance(output["StartDate"], int)
    assert json.loads(machines.end(output["ExecutionArn"])["output"]) == {"word": "a"}


@pytest.mark.parametrize(("sync", "shown"), [(".sync", '{"word":"a"}'), (".sync:2", {"word": "a"})])
def test_it_waits_for_the_end_and_gets_the_output(
    machines: StateMachines, echo: str, sync: str, shown: Any
) -> None:
    output = machines.output(starts(echo, sync), {"word": "a"})
    assert (output["Status"], output["Output"]) == ("SUCCEEDED", shown)


def test_an_execution_that_fails_fails_the_state_with_its_error_in_the_cause(
    machines: StateMachines,
) -> None:
    failing = machines.create({"End": {"Type": "Fail", "Error": "Refused", "Cause": "as asked"}})
    ended = machines.run(starts(failing, ".sync:2"), {"word": "a"})
    assert ended["error"] == "States.TaskFailed"
    assert json.loads(ended["cause"])["Error"] == "Refused"


def test_a_name_that_was_used_is_refused(machines: StateMachines, echo: str) -> None:
    machines.output(starts(echo, ".sync:2", Name="twice"), {"word": "a"})
    ended = machines.run(starts(echo, ".sync:2", Name="twice"), {"word": "b"})
    assert ended["error"] == "StepFunctions.ExecutionAlreadyExistsException"


def test_a_role_that_may_not_start_it_is_told(machines: StateMachines, echo: str) -> None:
    # Given a state machine whose role may do something else only
    account = machines.account
    role = account.role({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
    other = StateMachines(account, role, machines.function)
    # When it starts another
    ended = other.run(starts(echo, ".sync:2"), {"word": "a"})
    # Then it fails with what it lacks
    assert ended["status"] == "FAILED"
    assert "not authorized to perform: states:StartExecution" in ended["cause"]

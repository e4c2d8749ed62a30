"""A state machine is deleted when its last execution has ended, and that may take long.

https://docs.aws.amazon.com/step-functions/latest/apireference/API_DeleteStateMachine.html
"""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.tests.account import Account, eventually
from emulator.tests.stacks import CAPABILITIES, ended
from emulator.tests.state_machines import StateMachines, waiting_task, waiting_token

PASS = {"Type": "Pass"}


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    """Name and message of the error that answers a request."""
    with pytest.raises(ClientError) as error:
        call(**request)
    answer = error.value.response["Error"]
    return str(answer["Code"]), str(answer["Message"])


def exists(machines: StateMachines, machine: str) -> bool:
    """Whether there is such a state machine."""
    try:
        machines.api.describe_state_machine(stateMachineArn=machine)
    except machines.api.exceptions.StateMachineDoesNotExist:
        return False
    return True


def waiting(machines: StateMachines) -> tuple[str, str, str]:
    """A machine with an execution that waits, and its token."""
    machine = machines.create({"Task": waiting_task(machines), "Then": PASS})
    execution = machines.start(machine)
    return machine, execution, waiting_token(machines, execution)


def test_it_is_being_deleted_while_an_execution_waits(machines: StateMachines) -> None:
    # Given
    machine, execution, _ = waiting(machines)

    # When
    machines.api.delete_state_machine(stateMachineArn=machine)

    # Then
    described = machines.api.describe_state_machine(stateMachineArn=machine)
    assert described["status"] == "DELETING"
    assert machines.describe(execution)["status"] == "RUNNING"


def test_what_is_being_deleted_is_neither_made_nor_changed_nor_started(
    machines: StateMachines,
) -> None:
    # Given
    machine, _, _ = waiting(machines)
    api, name = machines.api, machine.rpartition(":")[2]
    definition = json.dumps({"StartAt": "Pass", "States": {"Pass": {**PASS, "End": True}}})

    # When
    api.delete_state_machine(stateMachineArn=machine)

    # Then
    deleting = ("StateMachineDeleting", f"State Machine is being deleted: '{machine}'")
    made = {"name": name, "definition": definition, "roleArn": machines.role}
    assert refusal(api.create_state_machine, **made) == deleting
    changed = {"stateMachineArn": machine, "definition": definition}
    assert refusal(api.update_state_machine, **changed) == deleting
    assert refusal(api.start_execution, stateMachineArn=machine) == deleting


def test_an_execution_ends_at_its_next_transition_and_then_the_name_is_free(
    machines: StateMachines,
) -> None:
    # Given
    machine, execution, token = waiting(machines)
    machines.api.delete_state_machine(stateMachineArn=machine)

    # When
    machines.api.send_task_success(taskToken=token, output="{}")

    # Then
    assert machines.end(execution)["status"] == "ABORTED"
    assert machines.kinds(execution)[-3:] == [
        *("TaskSucceeded", "TaskStateExited", "ExecutionAborted")
    ]
    eventually(lambda: not exists(machines, machine))
    definition = json.dumps({"StartAt": "Pass", "States": {"Pass": {**PASS, "End": True}}})
    made = machines.api.create_state_machine(
        name=machine.rpartition(":")[2], definition=definition, roleArn=machines.role
    )
    assert made["stateMachineArn"] == machine


def test_a_stopped_execution_holds_it_up_no_longer(machines: StateMachines) -> None:
    # Given
    machine, execution, _ = waiting(machines)
    machines.api.delete_state_machine(stateMachineArn=machine)

    # When
    machines.api.stop_execution(executionArn=execution)

    # Then
    assert not exists(machines, machine)


def test_without_executions_it_is_gone_at_once(machines: StateMachines) -> None:
    machine = machines.create({"Pass": PASS})
    machines.api.delete_state_machine(stateMachineArn=machine)
    assert not exists(machines, machine)
    machines.api.delete_state_machine(stateMachineArn=machine)  # and again, which is no error


def test_no_execution_is_redriven_meanwhile(machines: StateMachines) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html"""
    # Given a machine with a failed execution, and one that waits
    choice = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.fails", "IsPresent": True, "Next": "Fail"}],
        "Default": "Task",
    }
    states = {"Choice": choice, "Fail": {"Type": "Fail"}, "Task": waiting_task(machines)}
    machine = machines.create(states)
    failed = machines.start(machine, {"fails": True})
    assert machines.end(failed)["redriveStatus"] == "REDRIVABLE"
    waiting_token(machines, machines.start(machine))

    # When
    machines.api.delete_state_machine(stateMachineArn=machine)

    # Then
    described = machines.describe(failed)
    reason = "State machine is in DELETING status"
    assert described["redriveStatus"] == "NOT_REDRIVABLE"
    assert described["redriveStatusReason"] == reason
    refused = refusal(machines.api.redrive_execution, executionArn=failed)
    assert refused == ("ExecutionNotRedrivable", reason)


def test_a_stack_is_deleted_only_when_its_machine_is(
    account: Account, machines: StateMachines
) -> None:
    """https://github.com/aws-cloudformation/aws-cloudformation-resource-providers-stepfunctions"""
    # Given a stack with a machine of a name, and an execution that waits
    formation, name = account.client("cloudformation"), f"machine-{uuid.uuid4().hex[:8]}"
    waits = {**waiting_task(machines), "End": True}
    properties = {
        "StateMachineName": name,
        "RoleArn": machines.role,
        "DefinitionString": json.dumps({"StartAt": "Task", "States": {"Task": waits}}),
    }
    machine = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    template = json.dumps({"Resources": {"Machine": machine}})
    request = {"TemplateBody": template, "Capabilities": CAPABILITIES}
    formation.create_stack(StackName=name, **request)
    assert ended(account, name)["StackStatus"] == "CREATE_COMPLETE"
    (made,) = formation.list_stack_resources(StackName=name)["StackResourceSummaries"]
    execution = machines.start(made["PhysicalResourceId"])
    waiting_token(machines, execution)

    # When the stack is deleted, and another one wants the name
    formation.delete_stack(StackName=name)
    eventually(
        lambda: (
            machines.api.describe_state_machine(stateMachineArn=made["PhysicalResourceId"])[
                "status"
            ]
            == "DELETING"
        )
    )
    formation.create_stack(StackName=f"{name}-other", **request)

    # Then that is refused, and the stack waits until the execution has ended
    assert ended(account, f"{name}-other")["StackStatus"].startswith("ROLLBACK")
    (stack,) = formation.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "DELETE_IN_PROGRESS"
    assert machines.describe(execution)["status"] == "RUNNING"
    machines.api.stop_execution(executionArn=execution)
    assert ended(account, name)["StackStatus"] == "DELETE_COMPLETE"

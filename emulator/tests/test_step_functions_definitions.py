"""State machine definitions are checked before anything runs, as AWS does."""

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto.stepfunctions.parser.asl.component.state.exec.state_task.lambda_eval_utils import (
    LambdaFunctionErrorException,
)

from emulator import engine_tasks
from emulator.deadlines import Deadlines
from emulator.execution import Execution, Machine, Surroundings
from emulator.service_error import ServiceError
from emulator.state_machine_definition import compile_definition, problems
from emulator.task_tokens import TaskTokens
from emulator.tests.account import eventually
from emulator.tests.state_machines import StateMachines

END: dict[str, Any] = {"Type": "Pass", "End": True}
DAY = 24 * 3600
BAD = {
    "no start": {"States": {"A": END}},
    "a start that is no state": {"StartAt": "B", "States": {"A": END}},
    "a next that is no state": {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}},
    "a catch to no state": {
        "StartAt": "A",
        "States": {
            "A": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}],
                "End": True,
            }
        },
    },
    "a state that nothing leads to": {"StartAt": "A", "States": {"A": END, "B": END}},
    "no end": {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}}},
    "neither next nor end": {"StartAt": "A", "States": {"A": {"Type": "Pass"}}},
    "an unknown type": {"StartAt": "A", "States": {"A": {"Type": "Nap", "End": True}}},
    "a wait without length": {"StartAt": "A", "States": {"A": {"Type": "Wait", "End": True}}},
    "a task without resource": {"StartAt": "A", "States": {"A": {"Type": "Task", "End": True}}},
    "a name twice": {
        "StartAt": "A",
        "States": {
            "A": {
                "Type": "Map",
                "ItemProcessor": {"StartAt": "A", "States": {"A": END}},
                "End": True,
            }
        },
    },
    "a fault inside a map": {
        "StartAt": "A",
        "States": {
            "A": {
                "Type": "Map",
                "ItemProcessor": {"StartAt": "C", "States": {"B": END}},
                "End": True,
            }
        },
    },
    "a path that is none": {
        "StartAt": "A",
        "States": {"A": {**END, "Parameters": {"a": [{"b.$": "plain"}]}}},
    },
    "JSONata": {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": END}},
    "an intrinsic function that is none": {
        "StartAt": "A",
        "States": {"A": {**END, "Parameters": {"a.$": "States.Nope("}}},
    },
}


@pytest.mark.parametrize("definition", [json.dumps(bad) for bad in BAD.values()], ids=list(BAD))
def test_a_faulty_definition_has_problems(definition: str) -> None:
    """AWS API reference: ValidateStateMachineDefinition, diagnostics."""
    assert problems(definition)


def test_text_that_is_no_json_is_a_problem() -> None:
    """AWS API reference: ValidateStateMachineDefinition, INVALID_JSON_DESCRIPTION."""
    assert [problem.code for problem in problems("{")] == ["INVALID_JSON_DESCRIPTION"]


def test_a_machine_is_neither_made_nor_changed_with_a_faulty_definition(
    machines: StateMachines,
) -> None:
    """AWS API reference: CreateStateMachine and UpdateStateMachine, InvalidDefinition."""
    faulty = json.dumps(BAD["a next that is no state"])
    machine = machines.create({"A": {"Type": "Pass"}})
    before = machines.api.describe_state_machine(stateMachineArn=machine)["definition"]
    new = {"name": "faulty", "roleArn": machines.role}
    for act, fields in (
        (machines.api.create_state_machine, new),
        (machines.api.update_state_machine, {"stateMachineArn": machine}),
    ):
        with pytest.raises(ClientError) as error:
            act(definition=faulty, **fields)
        assert error.value.response["Error"]["Code"] == "InvalidDefinition"
        assert "/States/A/Next" in error.value.response["Error"]["Message"]
    after = machines.api.describe_state_machine(stateMachineArn=machine)["definition"]
    assert after == before


DEFINITION_FILE = """
Comment: A definition file may be YAML
StartAt: Call
States:
  Call:
    Type: Task
    Resource: arn:aws:states:::lambda:invoke
    Parameters: {FunctionName: "${Function}", Payload: {answer: done}}
    OutputPath: $.Payload
    %s
"""


def stack_template(machines: StateMachines, bucket: str) -> str:
    """A template with a state machine whose definition lies in a bucket, as SAM writes it."""
    properties = {
        "StateMachineType": "STANDARD",
        "RoleArn": machines.role,
        "DefinitionS3Location": {"Bucket": bucket, "Key": "machine.asl.yaml"},
        "DefinitionSubstitutions": {"Function": machines.function},
        "LoggingConfiguration": {"Level": "ALL", "IncludeExecutionData": False},
        "TracingConfiguration": {"Enabled": True},
    }
    machine = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    outputs = {"Arn": {"Value": {"Ref": "Machine"}}}
    return json.dumps({"Resources": {"Machine": machine}, "Outputs": outputs})


def created_stack(machines: StateMachines, bucket: str) -> dict[str, Any]:
    """A stack of that template, once it is made or refused."""
    cloudformation = machines.account.client("cloudformation")
    cloudformation.create_stack(StackName=bucket, TemplateBody=stack_template(machines, bucket))

    def look() -> dict[str, Any] | None:
        (stack,) = cloudformation.describe_stacks(StackName=bucket)["Stacks"]
        return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

    stack: dict[str, Any] = eventually(look)
    return stack


@pytest.mark.parametrize(
    ("line", "status"), [("End: true", "CREATE_COMPLETE"), ("Next: Nowhere", "ROLLBACK_COMPLETE")]
)
def test_cloudformation_makes_a_machine_from_a_definition_file_or_refuses_it(
    machines: StateMachines, line: str, status: str
) -> None:
    """AWS documentation: AWS::StepFunctions::StateMachine, DefinitionS3Location: JSON or YAML."""
    # Given a definition file with a placeholder
    bucket = machines.account.bucket()
    machines.account.client("s3").put_object(
        Bucket=bucket, Key="machine.asl.yaml", Body=(DEFINITION_FILE % line).encode()
    )
    # When a stack is made of it
    stack = created_stack(machines, bucket)
    # Then the machine runs, or a faulty definition fails the stack
    assert stack["StackStatus"] == status
    if status == "CREATE_COMPLETE":
        (output,) = stack["Outputs"]
        assert machines.end(machines.start(output["OutputValue"]))["output"] == '"done"'


class Clock:
    """A time that the test sets."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def test_a_redrive_is_possible_for_fourteen_days_after_the_end() -> None:
    """AWS documentation: "Restarting state machine executions with redrive", eligibility."""
    # Given a failed execution
    definition = json.dumps({"StartAt": "Fail", "States": {"Fail": {"Type": "Fail"}}})
    arn = "arn:aws:states:eu-west-1:000000000000:stateMachine:m"
    machine = Machine(arn, "m", definition, "arn:aws:iam::000000000000:role/r")
    clock = Clock()
    surroundings = Surroundings(
        TaskTokens(),
        Deadlines(),
        lambda _: None,
        lambda: 25_000,
        lambda _: None,
        lambda _: False,
        clock,
    )
    execution = Execution(f"{arn}:e", machine, "{}", surroundings)
    execution.start()
    eventually(lambda: execution.status == "FAILED")
    # When almost fourteen days have passed
    clock.now += 14 * DAY - 60
    # Then it can be redriven, and its fourteen days begin again with its new end
    execution.redrive()
    eventually(lambda: execution.status == "FAILED")
    clock.now += 14 * DAY + 60
    with pytest.raises(ServiceError) as error:
        execution.redrive()
    assert (error.value.code, error.value.message) == (
        "ExecutionNotRedrivable",
        "Execution redrivable period exceeded",
    )
    assert execution.redrive_count == 1


def test_deadlines_come_in_order_and_only_those_that_stand() -> None:
    """Many waits share one thread."""
    deadlines, told = Deadlines(), []
    deadlines.after(0.06, lambda: told.append("later"))
    deadlines.after(0.03, lambda: told.append("never")).cancel()
    deadlines.after(0.02, lambda: told.append("first"))
    eventually(lambda: len(told) == 2)
    assert told == ["first", "later"]


@pytest.fixture(scope="module", autouse=True)
def _seams() -> None:
    """The engine as the server has it, in this process."""
    engine_tasks.install()


def compiled_task() -> Any:
    """A Task state as the engine has it."""
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}
    definition = json.dumps({"StartAt": "Task", "States": {"Task": task}})
    return compile_definition(definition).states.states["Task"]


@pytest.mark.parametrize(
    ("failure", "name"),
    [
        (LambdaFunctionErrorException("Unhandled", '{"errorMessage":"gone"}'), "Lambda.Unknown"),
        (EndpointConnectionError(endpoint_url="http://gone"), "Lambda.SdkClientException"),
    ],
)
def test_failures_without_a_name_get_lambdas(failure: Exception, name: str) -> None:
    """AWS documentation: "Handling errors in Step Functions workflows", Lambda errors."""
    env = SimpleNamespace(
        next_state_name="Task", event_history_context=SimpleNamespace(source_event_id=1)
    )
    event = compiled_task()._from_error(env, failure)
    assert event.error_name.error_name == name
    assert "gone" in event.event_details["taskFailedEventDetails"]["cause"]

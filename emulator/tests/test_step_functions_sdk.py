"""A state that calls an AWS API by its SDK, and waits for its token.

https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-wait-token
"""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.tests.account import ANYTHING, Account
from emulator.tests.dynamodb_table import Table
from emulator.tests.state_machines import StateMachines

UPDATE = "arn:aws:states:::aws-sdk:dynamodb:updateItem"
WAITING = f"{UPDATE}.waitForTaskToken"
CAUGHT = {"Caught": {"Type": "Pass"}}


def keeps_its_token(table: Table, resource: str = WAITING, **fields: Any) -> dict[str, Any]:
    """A state that writes its token into the table's head, unless an event was noted there."""
    return {
        "Type": "Task",
        "Resource": resource,
        "Parameters": {
            "TableName": table.name,
            "Key": table.key(),
            "UpdateExpression": "SET waiting = :token",
            "ConditionExpression": "attribute_not_exists(noted)",
            "ExpressionAttributeValues": {":token": {"S.$": "$$.Task.Token"}},
        },
        **fields,
    }


def kept_token(machines: StateMachines, table: Table, execution: str, number: int = 1) -> str:
    """The token in the table's head, once the state waits for it for so many-th time."""
    machines.until(execution, "TaskSubmitted", number)
    head = table.get()
    assert head
    return str(head["waiting"])


def test_it_waits_for_the_token_that_it_has_written(machines: StateMachines, table: Table) -> None:
    # Given an execution that has written its token into a table
    execution = machines.start(machines.create({"Task": keeps_its_token(table)}))
    token = kept_token(machines, table, execution)
    assert machines.describe(execution)["status"] == "RUNNING"
    # When somebody who reads the table answers it
    machines.api.send_task_success(taskToken=token, output='{"event": "e-1"}')
    # Then the execution goes on with the answer
    assert json.loads(machines.end(execution)["output"]) == {"event": "e-1"}


def test_its_history_is_that_of_every_task_with_a_token(
    machines: StateMachines, table: Table
) -> None:
    """As for every task with a token; the API reference's HistoryEvent has the types:
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
    """
    execution = machines.start(machines.create({"Task": keeps_its_token(table, TimeoutSeconds=9)}))
    token = kept_token(machines, table, execution)
    machines.api.send_task_success(taskToken=token, output="{}")
    machines.end(execution)
    assert machines.kinds(execution) == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSubmitted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]
    (scheduled,) = machines.events(execution, "TaskScheduled")
    details = scheduled["taskScheduledEventDetails"]
    assert details["resourceType"] == "aws-sdk:dynamodb"
    assert details["resource"] == "updateItem.waitForTaskToken"
    assert details["timeoutInSeconds"] == 9
    assert json.loads(details["parameters"])["ExpressionAttributeValues"][":token"]["S"] == token


@pytest.mark.parametrize("limit", [{"TimeoutSeconds": 20}, {"TimeoutSecondsPath": "$.seconds"}])
def test_a_token_that_nobody_answers_times_out(
    machines: StateMachines, table: Table, limit: dict[str, Any]
) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/state-task.html#task-state-fields"""
    # Given a state that goes on where its time is over; 20 s are one, by the server's time scale
    catch = [{"ErrorEquals": ["States.Timeout"], "ResultPath": "$.caught", "Next": "Caught"}]
    waiting = keeps_its_token(table, Catch=catch, **limit)
    states = {"Task": {**waiting, "Next": "Missed"}, "Missed": {"Type": "Fail"}, **CAUGHT}
    # When nobody answers
    execution = machines.start(machines.create(states), {"seconds": 20})
    token = kept_token(machines, table, execution)
    ended = machines.end(execution)
    # Then the state goes that way, and its token is dead
    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["caught"]["Error"] == "States.Timeout"
    assert (ended["stopDate"] - ended["startDate"]).total_seconds() < 20
    assert machines.kinds(execution)[4:7] == ["TaskSubmitted", "TaskTimedOut", "TaskStateExited"]
    with pytest.raises(ClientError) as late:
        machines.api.send_task_success(taskToken=token, output="{}")
    assert late.value.response["Error"]["Code"] == "TaskTimedOut"


@pytest.mark.parametrize("seconds", [0, -1, 0.5, "20"])
def test_a_time_out_from_the_input_is_a_whole_number_from_one_on(
    machines: StateMachines, table: Table, seconds: Any
) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/state-task.html#task-state-fields"""
    waiting = keeps_its_token(table, TimeoutSecondsPath="$.seconds")
    ended = machines.run({"Task": waiting}, {"seconds": seconds})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
    assert table.get() is None


def test_a_refused_condition_is_an_error_that_can_be_caught(
    machines: StateMachines, table: Table
) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html"""
    # Given that an event was noted already
    table.put(noted="e-1")
    refused = "DynamoDb.ConditionalCheckFailedException"
    catch = [{"ErrorEquals": [refused], "ResultPath": "$.caught", "Next": "Caught"}]
    waiting = {**keeps_its_token(table, Catch=catch), "Next": "Missed"}
    # When the token is to be written
    execution = machines.start(
        machines.create({"Task": waiting, "Missed": {"Type": "Fail"}, **CAUGHT})
    )
    ended = machines.end(execution)
    # Then the state goes on at once, and has waited for nothing
    assert ended["status"] == "SUCCEEDED", ended
    caught = json.loads(ended["output"])["caught"]
    assert caught["Error"] == refused
    assert "(Service: DynamoDb, Status Code: 400, Request ID: " in caught["Cause"]
    kinds = machines.kinds(execution)
    assert "TaskFailed" in kinds
    assert "TaskSubmitted" not in kinds


def test_each_try_has_a_token_of_its_own(machines: StateMachines, table: Table) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html"""
    # Given a state that is tried again after a failure by its token
    retry = [{"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    execution = machines.start(machines.create({"Task": keeps_its_token(table, Retry=retry)}))
    first = kept_token(machines, table, execution)
    machines.api.send_task_failure(taskToken=first, error="Again", cause="as asked")
    # When it waits again
    second = kept_token(machines, table, execution, 2)
    # Then only the second token counts
    assert second != first
    machines.api.send_task_success(taskToken=second, output='"second"')
    assert machines.end(execution)["output"] == '"second"'


def test_a_role_that_may_not_write_is_told(
    machines: StateMachines, table: Table, account: Account
) -> None:
    """IAM's refusal has no class in the SDK, so that it is named after the service:
    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """
    # Given a state machine whose role may do all but that
    deny = {"Effect": "Deny", "Action": "dynamodb:UpdateItem", "Resource": "*"}
    other = StateMachines(account, account.role(ANYTHING, deny), machines.function)
    # When it writes its token
    ended = other.run({"Task": keeps_its_token(table)})
    # Then it fails with what it lacks
    assert (ended["status"], ended["error"]) == ("FAILED", "DynamoDb.DynamoDbException")
    assert "not authorized to perform: dynamodb:UpdateItem" in ended["cause"]
    assert "(Service: DynamoDb, Status Code: " in ended["cause"]


def test_without_a_token_it_goes_on_with_the_answer(machines: StateMachines, table: Table) -> None:
    table.put(count=1)
    read = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:dynamodb:getItem",
        "Parameters": {"TableName": table.name, "Key": table.key()},
    }
    assert machines.output({"Task": read})["Item"]["count"] == {"N": "1"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"Resource": "arn:aws:states:::dynamodb:updateItem.waitForTaskToken"}, "not recognized"),
        ({"Resource": "arn:aws:states:::aws-sdk:dynamodb:UpdateItem"}, "not recognized"),
        ({"Resource": "arn:aws:states:::aws-sdk:dynamodb:updateThing"}, "not recognized"),
        ({"Resource": "arn:aws:states:::aws-sdk:nothing:updateItem"}, "not recognized"),
        ({"Resource": f"{UPDATE}.sync"}, "not recognized"),
        ({"Parameters": {"tableName": "t"}}, "'tableName' is not supported"),
        ({"Parameters": {"TableName": "t", "Table.$": "$.t"}}, "'Table' is not supported"),
        ({"TimeoutSeconds": 9, "TimeoutSecondsPath": "$.seconds"}, "TimeoutSeconds"),
    ],
)
def test_a_call_that_there_is_not_is_refused_when_the_machine_is_made(
    machines: StateMachines, table: Table, fields: dict[str, Any], said: str
) -> None:
    """The optimised integration of DynamoDB has no token, and parameters are in PascalCase:
    https://docs.aws.amazon.com/step-functions/latest/dg/integrate-optimized.html
    https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
    """
    with pytest.raises(ClientError, match=said) as refused:
        machines.create({"Task": {**keeps_its_token(table), **fields}})
    assert refused.value.response["Error"]["Code"] == "InvalidDefinition"

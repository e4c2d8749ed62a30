"""Executions are started, stopped, listed and told of as the service's API reference says."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.tests.account import eventually
from emulator.tests.state_machines import StateMachines

LONG_WAIT = {"Wait": {"Type": "Wait", "Seconds": 9999}}
DONE = {"Done": {"Type": "Pass"}}


def refusal(error: pytest.ExceptionInfo[ClientError]) -> str:
    """The name of the service's error."""
    return str(error.value.response["Error"]["Code"])


def test_the_same_name_and_input_while_running_is_the_same_execution(
    machines: StateMachines,
) -> None:
    """AWS API reference: StartExecution is idempotent."""
    machine = machines.create(LONG_WAIT)
    request = {"stateMachineArn": machine, "name": "once", "input": '{"a":1}'}
    first, second = (machines.api.start_execution(**request) for _ in range(2))
    assert second["executionArn"] == first["executionArn"]
    assert second["startDate"] == first["startDate"]
    assert len(machines.api.list_executions(stateMachineArn=machine)["executions"]) == 1
    machines.api.stop_execution(executionArn=first["executionArn"])


def test_the_same_name_with_another_input_already_exists(machines: StateMachines) -> None:
    """AWS API reference: StartExecution, ExecutionAlreadyExists."""
    machine = machines.create(LONG_WAIT)
    execution = machines.start(machine, {"a": 1}, name="once")
    with pytest.raises(ClientError) as error:
        machines.start(machine, {"a": 2}, name="once")
    assert refusal(error) == "ExecutionAlreadyExists"
    machines.api.stop_execution(executionArn=execution)


def test_the_same_name_after_the_end_already_exists(machines: StateMachines) -> None:
    """AWS API reference: StartExecution, ExecutionAlreadyExists."""
    machine = machines.create(DONE)
    machines.end(machines.start(machine, {"a": 1}, name="once"))
    with pytest.raises(ClientError) as error:
        machines.start(machine, {"a": 1}, name="once")
    assert refusal(error) == "ExecutionAlreadyExists"


@pytest.mark.parametrize("name", ["a b", "a/b", "a:b", "a*", "x" * 81, "a\x07"])
def test_a_name_that_aws_does_not_take_is_refused(machines: StateMachines, name: str) -> None:
    """AWS API reference: StartExecution, InvalidName."""
    with pytest.raises(ClientError) as error:
        machines.start(machines.create(DONE), name=name)
    assert refusal(error) == "InvalidName"


@pytest.mark.parametrize(
    ("data", "code"),
    [("{", "InvalidExecutionInput"), (json.dumps("x" * 262_143), "ValidationException")],
)
def test_an_input_that_is_no_json_or_too_large_is_refused(
    machines: StateMachines, data: str, code: str
) -> None:
    """AWS API reference: StartExecution, input: at most 262,144 bytes."""
    with pytest.raises(ClientError) as error:
        machines.api.start_execution(stateMachineArn=machines.create(DONE), input=data)
    assert refusal(error) == code


def test_the_largest_input_is_taken(machines: StateMachines) -> None:
    """AWS API reference: StartExecution, input: at most 262,144 bytes."""
    largest = json.dumps("x" * 262_142)
    machine = machines.create({"Fail": {"Type": "Fail"}})
    started = machines.api.start_execution(stateMachineArn=machine, input=largest)
    assert machines.end(started["executionArn"])["input"] == largest


def test_a_machine_or_execution_that_is_not_there_is_named(machines: StateMachines) -> None:
    """AWS API reference: StateMachineDoesNotExist, ExecutionDoesNotExist."""
    arn = "arn:aws:states:eu-west-1:000000000000:{}:nowhere"
    with pytest.raises(ClientError) as error:
        machines.api.start_execution(stateMachineArn=arn.format("stateMachine"))
    assert refusal(error) == "StateMachineDoesNotExist"
    for action in ("describe_execution", "stop_execution", "redrive_execution"):
        with pytest.raises(ClientError) as error:
            getattr(machines.api, action)(executionArn=arn.format("execution"))
        assert refusal(error) == "ExecutionDoesNotExist"


def test_a_stop_aborts_at_once_and_leaves_the_function_running(
    machines: StateMachines, tmp_path: Path
) -> None:
    """AWS API reference: StopExecution; "Service integration patterns": Lambda is not stopped."""
    # Given an execution whose function is at work, with a state after it
    started, ended = tmp_path / "log", tmp_path / "ended"
    states = {
        "Work": machines.task({"log": str(started), "sleep": 1, "touch": str(ended)}),
        "After": machines.task({"log": str(started), "line": "after"}),
    }
    execution = machines.start(machines.create(states))
    while not started.exists():
        time.sleep(0.01)
    # When it is stopped
    machines.api.stop_execution(executionArn=execution, error="Enough", cause="for today")
    # Then it is aborted at once, with error and cause
    stopped = machines.describe(execution)
    assert (stopped["status"], stopped["error"], stopped["cause"]) == (
        "ABORTED",
        "Enough",
        "for today",
    )
    assert not ended.exists()
    history = machines.events(execution)
    assert history[-1]["type"] == "ExecutionAborted"
    assert history[-1]["executionAbortedEventDetails"] == {"error": "Enough", "cause": "for today"}
    # And the function's side effect still comes, and nothing after it
    while not ended.exists():
        time.sleep(0.01)
    time.sleep(0.1)
    assert machines.describe(execution) | {"ResponseMetadata": 0} == stopped | {
        "ResponseMetadata": 0
    }
    assert machines.events(execution) == history
    assert started.read_text() == "ran\n"


def test_a_second_stop_changes_nothing_and_an_ended_execution_is_not_stopped(
    machines: StateMachines,
) -> None:
    """AWS API reference: StopExecution."""
    execution = machines.start(machines.create(LONG_WAIT))
    first = machines.api.stop_execution(executionArn=execution, error="First")
    second = machines.api.stop_execution(executionArn=execution, error="Second")
    assert first["stopDate"] == second["stopDate"]
    assert machines.describe(execution)["error"] == "First"
    ended = machines.start(machines.create(DONE))
    machines.end(ended)
    with pytest.raises(ClientError) as error:
        machines.api.stop_execution(executionArn=ended)
    assert refusal(error) == "ValidationException"


def test_executions_are_listed_newest_first_by_status_and_in_pages(machines: StateMachines) -> None:
    """AWS API reference: ListExecutions."""
    states = {
        "Choice": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.fail", "BooleanEquals": True, "Next": "Fail"}],
            "Default": "Done",
        },
        "Fail": {"Type": "Fail"},
        **DONE,
    }
    machine = machines.create(states)
    started = []
    for number in range(5):
        started.append(machines.start(machine, {"fail": number == 2}))
        machines.end(started[-1])
        time.sleep(0.002)
    pages = machines.api.get_paginator("list_executions").paginate(
        stateMachineArn=machine, PaginationConfig={"PageSize": 2}
    )
    found = [page["executions"] for page in pages]
    assert [len(page) for page in found] == [2, 2, 1]
    listed = [execution["executionArn"] for page in found for execution in page]
    assert listed == started[::-1]
    failed = machines.api.list_executions(stateMachineArn=machine, statusFilter="FAILED")
    assert [execution["executionArn"] for execution in failed["executions"]] == [started[2]]


def test_the_history_tells_every_step_in_the_shape_of_aws(machines: StateMachines) -> None:
    """AWS API reference: GetExecutionHistory, HistoryEvent."""
    states = {"Task": machines.task({"answer": {"n": 1}}), "Wait": {"Type": "Wait", "Seconds": 0}}
    execution = machines.start(machines.create(states), {"in": 1})
    machines.end(execution)
    events = machines.events(execution)
    assert [event["type"] for event in events] == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSucceeded",
        "TaskStateExited",
        "WaitStateEntered",
        "WaitStateExited",
        "ExecutionSucceeded",
    ]
    assert [event["id"] for event in events] == list(range(1, 10))
    assert [event["previousEventId"] for event in events] == [0, 0, 2, 3, 4, 5, 6, 7, 8]
    assert events[1]["stateEnteredEventDetails"]["name"] == "Task"
    assert json.loads(events[1]["stateEnteredEventDetails"]["input"]) == {"in": 1}
    assert json.loads(events[5]["stateExitedEventDetails"]["output"]) == {"n": 1}
    assert json.loads(events[8]["executionSucceededEventDetails"]["output"]) == {"n": 1}


def test_the_history_can_be_read_backwards_in_pages_without_data(machines: StateMachines) -> None:
    """AWS API reference: GetExecutionHistory."""
    execution = machines.start(machines.create(DONE), {"in": 1})
    machines.end(execution)
    page = machines.api.get_execution_history(
        executionArn=execution, reverseOrder=True, maxResults=3, includeExecutionData=False
    )
    assert [event["id"] for event in page["events"]] == [4, 3, 2]
    assert "output" not in page["events"][0]["executionSucceededEventDetails"]
    rest = machines.api.get_execution_history(
        executionArn=execution, reverseOrder=True, maxResults=3, nextToken=page["nextToken"]
    )
    assert [event["id"] for event in rest["events"]] == [1]
    assert "nextToken" not in rest


def test_the_history_of_a_running_execution_grows(machines: StateMachines) -> None:
    """AWS API reference: GetExecutionHistory."""
    execution = machines.start(machines.create({"First": {"Type": "Pass"}, **LONG_WAIT}))
    entered = machines.until(execution, "WaitStateEntered")
    assert entered[0]["stateEnteredEventDetails"]["name"] == "Wait"
    assert machines.describe(execution)["status"] == "RUNNING"
    machines.api.stop_execution(executionArn=execution)


@pytest.fixture
def status_changes(machines: StateMachines) -> str:
    """The URL of a queue that gets every status-change event."""
    queue, arn = machines.account.queue()
    detail_type = "Step Functions Execution Status Change"
    machines.account.rule({"source": ["aws.states"], "detail-type": [detail_type]}, arn)
    return queue


def changes_of(
    machines: StateMachines, queue: str, execution: str, count: int
) -> list[dict[str, Any]]:
    """The details of so many events about the execution."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        bodies = machines.account.received(queue, 1)
        found += [body["detail"] for body in bodies if body["resources"] == [execution]]
    assert len(found) == count
    return found


def test_each_status_is_told_once_with_all_that_aws_tells(
    machines: StateMachines, status_changes: str
) -> None:
    """AWS documentation: "Automating Step Functions event delivery with EventBridge"."""
    execution = machines.start(machines.create(DONE), {"a": 1})
    ended = machines.end(execution)
    running, succeeded = changes_of(machines, status_changes, execution, 2)
    expected = {
        "executionArn": execution,
        "stateMachineArn": ended["stateMachineArn"],
        "name": ended["name"],
        "status": "RUNNING",
        "startDate": int(ended["startDate"].timestamp() * 1000),
        "stopDate": None,
        "input": '{"a": 1}',
        "inputDetails": {"included": True},
        "output": None,
        "outputDetails": None,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "NOT_REDRIVABLE",
        "redriveStatusReason": "Execution is RUNNING and cannot be redriven",
        "error": None,
        "cause": None,
    }
    assert running == expected
    assert succeeded == expected | {
        "status": "SUCCEEDED",
        "stopDate": int(ended["stopDate"].timestamp() * 1000),
        "output": '{"a":1}',
        "outputDetails": {"included": True},
        "redriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
    }


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_an_unsuccessful_end_is_told_as_redrivable(
    machines: StateMachines, status_changes: str, status: str
) -> None:
    """AWS documentation: "Automating Step Functions event delivery with EventBridge"."""
    # Given an execution that ends so
    fail = {"Fail": {"Type": "Fail", "Error": "E", "Cause": "c"}}
    timeout = {"TimeoutSeconds": 1} if status == "TIMED_OUT" else {}
    execution = machines.start(
        machines.create(fail if status == "FAILED" else LONG_WAIT, **timeout)
    )
    if status == "ABORTED":
        machines.api.stop_execution(executionArn=execution, error="E", cause="c")
    # When it has ended
    machines.end(execution)
    _, end = changes_of(machines, status_changes, execution, 2)
    # Then the event says what went wrong and that it can be redriven
    assert (end["status"], end["redriveStatus"], end["redriveStatusReason"]) == (
        status,
        "REDRIVABLE",
        None,
    )
    expected = (None, None) if status == "TIMED_OUT" else ("E", "c")
    assert (end["error"], end["cause"]) == expected
    assert end["stopDate"] >= end["startDate"]


def test_executions_are_counted_as_metrics(machines: StateMachines) -> None:
    """AWS documentation: "Monitoring Step Functions metrics using Amazon CloudWatch"."""
    ended = machines.run({"Fail": {"Type": "Fail"}})
    dimension = {"Name": "StateMachineArn", "Value": ended["stateMachineArn"]}

    def counted(metric: str) -> float:
        points = machines.account.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/States",
            MetricName=metric,
            Dimensions=[dimension],
            StartTime=time.time() - 300,
            EndTime=time.time() + 60,
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    eventually(lambda: counted("ExecutionsFailed") == 1)
    assert counted("ExecutionsStarted") == 1
    assert counted("ExecutionsSucceeded") == 0


def test_a_stopped_execution_tries_nothing_again(machines: StateMachines, tmp_path: Path) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html"""
    # Given an execution that is about to try a function again, for each item of a Map
    log = tmp_path / "log"
    retry = {"ErrorEquals": ["Refused"], "IntervalSeconds": 100, "MaxAttempts": 1}
    payload = {"log.$": "$", "needs": "/nowhere"}
    task = machines.task(payload, Retry=[retry], End=True)
    steps = {"StartAt": "Task", "States": {"Task": task}}
    machine = machines.create({"Map": {"Type": "Map", "ItemProcessor": steps}})
    execution = machines.start(machine, [str(log)] * 2)
    machines.until(execution, "TaskFailed", 2)
    # When it is stopped, and another one goes through all its tries
    machines.api.stop_execution(executionArn=execution)
    other = machines.start(machine, [str(tmp_path / "other")] * 2)
    assert machines.end(other)["status"] == "FAILED"
    # Then the stopped one has tried no more
    tried = len(machines.events(execution, "TaskScheduled"))
    assert log.read_text() == "ran\n" * tried

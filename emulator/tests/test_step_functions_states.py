"""The states of a state machine do what the Amazon States Language says."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from emulator.tests.state_machines import TIME_SCALE, StateMachines

CAUGHT = {"Caught": {"Type": "Pass"}}


def catch(*errors: str) -> list[dict[str, Any]]:
    """A Catch of these errors that keeps the state's input."""
    return [{"ErrorEquals": list(errors), "ResultPath": "$.caught", "Next": "Caught"}]


def test_a_task_hands_its_parameters_to_the_function_and_its_answer_on(
    machines: StateMachines,
) -> None:
    """AWS documentation: "Invoke an AWS Lambda function with Step Functions"."""
    # Given a task with a result selector
    task = machines.task(
        {"answer": {"twice.$": "States.Array($.word, $.word)"}},
        ResultSelector={"words.$": "$.Payload.twice", "code.$": "$.StatusCode"},
        ResultPath="$.result",
        OutputPath="$",
    )
    # When it runs
    output = machines.output({"Task": task}, {"word": "a"})
    # Then the selected part of the answer joins the input
    assert output == {"word": "a", "result": {"words": ["a", "a"], "code": 200}}


def test_a_function_error_has_its_class_as_name_and_its_report_as_cause(
    machines: StateMachines,
) -> None:
    """AWS documentation: "Handling errors in Step Functions workflows"."""
    ended = machines.run({"Task": machines.task({"raise": "Refused"})})
    assert (ended["status"], ended["error"]) == ("FAILED", "Refused")
    cause = json.loads(ended["cause"])
    assert (cause["errorType"], cause["errorMessage"]) == ("Refused", "as asked")
    assert "output" not in ended


def test_retry_goes_by_the_name_of_the_error(machines: StateMachines, tmp_path: Path) -> None:
    """AWS documentation: "Handling errors in Step Functions workflows", retrying."""
    retry = [
        {"ErrorEquals": ["Unnamed"], "MaxAttempts": 9},
        {"ErrorEquals": ["Refused"], "MaxAttempts": 2, "IntervalSeconds": 1, "BackoffRate": 2},
    ]
    # Given a function that fails each time, and a retrier that allows two more tries
    task = machines.task({"log": str(tmp_path / "log"), "raise": "Refused"}, Retry=retry)
    # When it runs
    ended = machines.run({"Task": task})
    # Then it ran three times and failed with its own error
    assert (ended["status"], ended["error"]) == ("FAILED", "Refused")
    assert (tmp_path / "log").read_text().count("ran") == 3
    # And the intervals of 1 and 2 seconds were scaled
    taken = (ended["stopDate"] - ended["startDate"]).total_seconds()
    assert 3 * TIME_SCALE <= taken < 3


def test_an_error_that_no_retrier_names_is_not_retried(
    machines: StateMachines, tmp_path: Path
) -> None:
    """AWS documentation: "Handling errors in Step Functions workflows", retrying."""
    retry = [{"ErrorEquals": ["Unnamed", "ValueError"], "MaxAttempts": 5}]
    task = machines.task({"log": str(tmp_path / "log"), "raise": "Refused"}, Retry=retry)
    assert machines.run({"Task": task})["error"] == "Refused"
    assert (tmp_path / "log").read_text().count("ran") == 1


def test_a_retry_that_succeeds_goes_on(machines: StateMachines, tmp_path: Path) -> None:
    """AWS documentation: "Handling errors in Step Functions workflows", retrying."""
    # Given a function that refuses until a file exists
    ready = tmp_path / "ready"
    retry = [{"ErrorEquals": ["Refused"], "MaxAttempts": 50, "BackoffRate": 1}]
    task = machines.task({"needs": str(ready), "answer": {"done": True}}, Retry=retry)
    execution = machines.start(machines.create({"Task": task}))
    machines.until(execution, "TaskFailed")
    # When the file appears
    ready.touch()
    # Then the next try succeeds
    assert json.loads(machines.end(execution)["output"]) == {"done": True}


def test_catch_goes_by_the_name_of_the_error_and_keeps_the_input(machines: StateMachines) -> None:
    """AWS documentation: "Handling errors in Step Functions workflows", "Fallback states"."""
    task = machines.task({"raise": "Refused"}, Catch=catch("Refused"), End=True)
    output = machines.output({"Task": task, **CAUGHT}, {"kept": 1})
    assert output["kept"] == 1
    assert output["caught"]["Error"] == "Refused"
    assert json.loads(output["caught"]["Cause"])["errorMessage"] == "as asked"


@pytest.mark.parametrize(
    ("payload", "error"),
    [({"exit": True}, "Runtime.ExitError"), ({"sleep": 9}, "Sandbox.Timedout")],
)
def test_a_function_that_dies_or_runs_out_of_time_is_named_as_by_lambda(
    machines: StateMachines, payload: dict[str, Any], error: str
) -> None:
    """AWS documentation: "Troubleshoot invocation issues in Lambda"."""
    # Given a function whose own time-out is a second
    function = machines.account.function(
        "import os, time\n"
        "def handler(event, context):\n"
        "    os._exit(3) if 'exit' in event else time.sleep(event['sleep'])\n",
        Role=machines.role,
        Timeout=1,
    )
    parameters = {"FunctionName": function, "Payload": payload}
    # When it dies or takes longer
    ended = machines.run({"Task": machines.task({}, Parameters=parameters)})
    # Then the state fails with Lambda's name for it
    assert (ended["status"], ended["error"]) == ("FAILED", error)


def test_a_throttled_function_is_lambda_too_many_requests(machines: StateMachines) -> None:
    """AWS documentation: "Handling errors in Step Functions workflows", Lambda service errors."""
    # Given a function that may not run at all
    function = machines.account.function("def handler(event, context): pass", Role=machines.role)
    machines.account.client("lambda").put_function_concurrency(
        FunctionName=function, ReservedConcurrentExecutions=0
    )
    parameters = {"FunctionName": function, "Payload": {}}
    ended = machines.run({"Task": machines.task({}, Parameters=parameters)})
    assert ended["error"] == "Lambda.TooManyRequestsException"


def test_a_role_that_may_not_invoke_the_function_fails_the_state(machines: StateMachines) -> None:
    """AWS documentation: "IAM policies for calling AWS Lambda" (Step Functions)."""
    # Given a state machine whose role allows nothing
    machine = machines.create({"Task": machines.task({})})
    role = machines.account.role({"Effect": "Allow", "Action": "sts:*", "Resource": "*"})
    machines.api.update_state_machine(stateMachineArn=machine, roleArn=role)
    # When it runs
    ended = machines.end(machines.start(machine))
    # Then Lambda refused it
    assert (ended["status"], ended["error"]) == ("FAILED", "Lambda.AWSLambdaException")
    assert "not authorized" in ended["cause"]


def test_a_task_that_takes_too_long_times_out_by_itself(machines: StateMachines) -> None:
    """AWS documentation: "Task workflow state", TimeoutSeconds."""
    task = machines.task({"sleep": 3}, TimeoutSeconds=1, Catch=catch("States.Timeout"), End=True)
    begun = time.monotonic()
    output = machines.output({"Task": task, **CAUGHT})
    assert output["caught"]["Error"] == "States.Timeout"
    assert time.monotonic() - begun < 2.5


def test_the_machines_own_timeout_ends_the_execution(machines: StateMachines) -> None:
    """AWS documentation: "State machine structure in Amazon States Language", TimeoutSeconds."""
    execution = machines.start(
        machines.create({"Wait": {"Type": "Wait", "Seconds": 9999}}, TimeoutSeconds=1)
    )
    ended = machines.end(execution)
    assert ended["status"] == "TIMED_OUT"
    assert (ended["stopDate"] - ended["startDate"]).total_seconds() == pytest.approx(1, abs=0.5)
    assert machines.kinds(execution)[-1] == "ExecutionTimedOut"


@pytest.mark.parametrize("fields", [{"Seconds": 10}, {"SecondsPath": "$.seconds"}])
def test_a_wait_takes_its_scaled_length(machines: StateMachines, fields: dict[str, Any]) -> None:
    """AWS documentation: "Wait workflow state"; the scale is this server's own."""
    ended = machines.run({"Wait": {"Type": "Wait", **fields}}, {"seconds": 10})
    taken = (ended["stopDate"] - ended["startDate"]).total_seconds()
    assert 10 * TIME_SCALE <= taken < 10 * TIME_SCALE + 0.6


def test_choices_are_tried_in_order_and_the_default_is_last(machines: StateMachines) -> None:
    """AWS documentation: "Choice workflow state"."""
    choice = {
        "Type": "Choice",
        "Choices": [
            {"Variable": "$.status", "StringEquals": "Succeeded", "Next": "Good"},
            {
                "And": [
                    {"Variable": "$.n", "IsPresent": True},
                    {"Variable": "$.n", "NumericGreaterThan": 3},
                ],
                "Next": "Many",
            },
        ],
        "Default": "Other",
    }
    ends = {
        name: {"Type": "Pass", "Result": name, "End": True} for name in ("Good", "Many", "Other")
    }
    machine = machines.create({"Choice": choice, **ends})
    inputs = [{"status": "Succeeded", "n": 5}, {"status": "x", "n": 5}, {"status": "x"}]
    outputs = [machines.end(machines.start(machine, data))["output"] for data in inputs]
    assert outputs == ['"Good"', '"Many"', '"Other"']


def test_a_fail_state_fails_with_its_error_and_cause(machines: StateMachines) -> None:
    """AWS documentation: "Fail workflow state"."""
    fail = {"Type": "Fail", "Error": "Sorry", "CausePath": "States.Format('no {}', $.what)"}
    ended = machines.run({"Fail": fail}, {"what": "way"})
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "Sorry", "no way")


def test_the_context_object_and_intrinsic_functions(machines: StateMachines) -> None:
    """AWS documentation: "Context object" and "Intrinsic functions"."""
    parameters = {
        "id.$": "$$.Execution.Id",
        "name.$": "$$.Execution.Name",
        "start.$": "$$.Execution.StartTime",
        "redrives.$": "$$.Execution.RedriveCount",
        "input.$": "$$.Execution.Input",
        "state.$": "$$.State.Name",
        "entered.$": "$$.State.EnteredTime",
        "text.$": "States.Format('{}-{}', $.a, $$.StateMachine.Name)",
        "merged.$": "States.JsonMerge($.left, $.right, false)",
        "parsed.$": "States.StringToJson($.json)",
        "hash.$": "States.Hash('a', 'SHA-256')",
    }
    data = {"a": "z", "left": {"x": 1}, "right": {"y": 2}, "json": '{"q":1}'}
    execution = machines.start(
        machines.create({"Pass": {"Type": "Pass", "Parameters": parameters}}), data, name="context"
    )
    output = json.loads(machines.end(execution)["output"])
    assert (output["id"], output["name"], output["input"]) == (execution, "context", data)
    assert (output["redrives"], output["state"]) == (0, "Pass")
    for moment in (output["start"], output["entered"]):
        assert time.strptime(moment[:19] + moment[23:], "%Y-%m-%dT%H:%M:%SZ")
    assert output["text"] == f"z-{execution.split(':')[6]}"
    assert (output["merged"], output["parsed"]) == ({"x": 1, "y": 2}, {"q": 1})
    assert output["hash"].startswith("ca978112")


def test_a_redrive_time_does_not_exist_before_the_first_redrive(machines: StateMachines) -> None:
    """AWS documentation: "Accessing execution data from the Context object"."""
    parameters = {"time.$": "$$.Execution.RedriveTime"}
    ended = machines.run({"Pass": {"Type": "Pass", "Parameters": parameters}})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")


def each(machines: StateMachines, payload: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An inline Map of one task over the input's `items`."""
    return {
        "Type": "Map",
        "ItemsPath": "$.items",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "INLINE"},
            "StartAt": "One",
            "States": {"One": machines.task(payload, End=True)},
        },
        **fields,
    }


def test_a_map_selects_its_items_and_keeps_their_order(machines: StateMachines) -> None:
    """AWS documentation: "Using Map state in Inline mode"."""
    selector = {
        "value.$": "$$.Map.Item.Value",
        "index.$": "$$.Map.Item.Index",
        "all.$": "$.name",
    }
    state = each(machines, {"answer.$": "$"}, ItemSelector=selector, ResultPath="$.results")
    output = machines.output({"Map": state}, {"items": ["a", "b", "c"], "name": "n"})
    assert output["results"] == [
        {"value": value, "index": index, "all": "n"} for index, value in enumerate("abc")
    ]
    assert output["name"] == "n"


def test_the_map_item_is_known_inside_an_iteration(machines: StateMachines) -> None:
    """AWS documentation: "Accessing execution data from the Context object", Map states."""
    payload = {"answer": {"value.$": "$$.Map.Item.Value", "index.$": "$$.Map.Item.Index"}}
    output = machines.output({"Map": each(machines, payload)}, {"items": [7]})
    assert output == [{"value": 7, "index": 0}]


def test_a_map_over_nothing_gives_nothing(machines: StateMachines) -> None:
    """AWS documentation: "Using Map state in Inline mode"."""
    assert machines.output({"Map": each(machines, {})}, {"items": []}) == []


def test_a_map_runs_no_more_at_once_than_it_may(machines: StateMachines) -> None:
    """AWS documentation: "Using Map state in Inline mode", MaxConcurrency."""
    state = each(machines, {"sleep": 0.1}, MaxConcurrency=2)
    execution = machines.start(machines.create({"Map": state}), {"items": [1, 2, 3, 4, 5]})
    machines.end(execution)
    running = peak = 0
    for kind in machines.kinds(execution):
        running += {"MapIterationStarted": 1, "MapIterationSucceeded": -1}.get(kind, 0)
        peak = max(peak, running)
    assert peak == 2


def one_fails_while_others_wait(machines: StateMachines, after: Path) -> dict[str, Any]:
    """A Map of which item 0 fails at once, and every other waits and then touches a file."""
    choice = {
        "Type": "Choice",
        "Choices": [{"Variable": "$", "NumericEquals": 0, "Next": "Fail"}],
        "Default": "Wait",
    }
    states = {
        "Choice": choice,
        "Fail": machines.task({"raise": "Refused"}, End=True),
        "Wait": {"Type": "Wait", "Seconds": 20, "Next": "After"},
        "After": machines.task({"touch": str(after)}, End=True),
    }
    processor = {"StartAt": "Choice", "States": states}
    return {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": processor}


def test_a_failed_iteration_aborts_the_others_and_fails_the_map(
    machines: StateMachines, tmp_path: Path
) -> None:
    """AWS documentation: "Using Map state in Inline mode", failed iterations."""
    # Given three iterations of which one fails
    state = one_fails_while_others_wait(machines, tmp_path / "after")
    execution = machines.start(machines.create({"Map": state}), {"items": [0, 1, 2]})
    # When the execution ends
    ended = machines.end(execution)
    # Then it has the iteration's error, and the others are aborted before the Map fails
    assert (ended["status"], ended["error"]) == ("FAILED", "Refused")
    kinds = machines.kinds(execution)
    assert kinds.count("MapIterationFailed") == 1
    assert kinds.count("MapIterationAborted") == 2
    assert kinds.index("MapIterationAborted") < kinds.index("MapStateFailed")


def test_aborted_iterations_go_no_further_while_the_execution_goes_on(
    machines: StateMachines, tmp_path: Path
) -> None:
    """AWS documentation: "Using Map state in Inline mode", failed iterations."""
    # Given a Map that fails in an execution that catches it and goes on for longer than they wait
    state = one_fails_while_others_wait(machines, tmp_path / "after")
    states = {
        "Map": {**state, "Catch": catch("Refused"), "End": True},
        "Caught": {"Type": "Wait", "Seconds": 30},
    }
    execution = machines.start(machines.create(states), {"items": [0, 1, 2]})
    # When it ends
    ended = machines.end(execution)
    # Then the aborted iterations did nothing more
    assert ended["status"] == "SUCCEEDED"
    assert not (tmp_path / "after").exists()
    kinds = machines.kinds(execution)
    assert "MapIterationSucceeded" not in kinds
    assert kinds.count("WaitStateEntered") == 3
    assert kinds.count("WaitStateExited") == 1

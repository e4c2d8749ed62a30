"""RedriveExecution goes on where an execution was unsuccessful, and repeats nothing else."""

import json
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.tests.account import eventually
from emulator.tests.state_machines import StateMachines


def redrive(machines: StateMachines, execution: str) -> dict[str, Any]:
    """Redrive the execution and return its end."""
    machines.api.redrive_execution(executionArn=execution)
    ended: dict[str, Any] = machines.end(execution)
    return ended


def refused(machines: StateMachines, execution: str) -> str:
    """The reason for which a redrive is refused."""
    with pytest.raises(ClientError) as error:
        machines.api.redrive_execution(executionArn=execution)
    assert error.value.response["Error"]["Code"] == "ExecutionNotRedrivable"
    return str(error.value.response["Error"]["Message"])


def test_a_redrive_goes_on_at_the_failed_state_with_its_input(
    machines: StateMachines, tmp_path: Path
) -> None:
    """AWS documentation: "Restarting state machine executions with redrive"."""
    # Given an execution whose second state failed
    log, ready = str(tmp_path / "log"), tmp_path / "ready"
    needy = {
        "log": log,
        "line.$": "States.Format('second {} {}', $.n, $$.Execution.RedriveCount)",
        "needs": str(ready),
        "answer": {"time.$": "$$.Execution.StartTime", "input.$": "$$.Execution.Input"},
    }
    states = {
        "First": machines.task({"log": log, "line": "first", "answer": {"n": 7}}),
        "Second": machines.task(needy),
        "Third": machines.task({"log": log, "line": "third", "answer.$": "$"}),
    }
    execution = machines.start(machines.create(states), {"original": True})
    failed = machines.end(execution)
    assert (failed["status"], failed["redriveStatus"]) == ("FAILED", "REDRIVABLE")
    assert "redriveStatusReason" not in failed
    before = machines.events(execution)
    # When the fault is mended and the execution redriven
    ready.touch()
    ended = redrive(machines, execution)
    # Then it succeeds under the same ARN, with the same input and start
    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"])["input"] == {"original": True}
    assert (ended["startDate"], ended["redriveCount"]) == (failed["startDate"], 1)
    assert ended["redriveDate"] >= failed["stopDate"]
    assert "error" not in ended
    # And the first state did not run again, and the second saw the redrive count and its own input
    lines = Path(log).read_text().splitlines()
    assert lines == ["first", "second 7 0", "second 7 1", "third"]
    # And the history goes on
    events = machines.events(execution)
    assert events[: len(before)] == before
    redriven, again = events[len(before) : len(before) + 2]
    assert (redriven["type"], redriven["executionRedrivenEventDetails"]) == (
        "ExecutionRedriven",
        {"redriveCount": 1},
    )
    assert again["type"] == "TaskScheduled"
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))


def test_the_redrive_time_exists_from_the_first_redrive_on(machines: StateMachines) -> None:
    """AWS documentation: "Context object", Execution.RedriveTime."""
    # Given a state that cannot start without the time of a redrive
    payload = {"answer": {"time.$": "$$.Execution.RedriveTime"}}
    execution = machines.start(machines.create({"Task": machines.task(payload)}))
    assert machines.end(execution)["error"] == "States.Runtime"
    # When it is redriven
    ended = redrive(machines, execution)
    # Then it has it
    told = datetime.fromisoformat(json.loads(ended["output"])["time"])
    assert told == ended["redriveDate"]


def test_a_fail_state_fails_again(machines: StateMachines) -> None:
    """AWS documentation: "Restarting state machine executions with redrive", Fail state."""
    execution = machines.start(machines.create({"Fail": {"Type": "Fail", "Error": "E"}}))
    machines.end(execution)
    assert redrive(machines, execution)["error"] == "E"


def test_a_redrive_uses_the_definition_that_the_execution_started_with(
    machines: StateMachines, tmp_path: Path
) -> None:
    """AWS documentation: "Restarting state machine executions with redrive"."""
    # Given a failed execution of a machine that was then updated
    ready = tmp_path / "ready"
    machine = machines.create({"Old": machines.task({"needs": str(ready), "answer": "old"})})
    execution = machines.start(machine)
    machines.end(execution)
    new = {"StartAt": "New", "States": {"New": {"Type": "Pass", "Result": "new", "End": True}}}
    machines.api.update_state_machine(stateMachineArn=machine, definition=json.dumps(new))
    # When it is redriven
    ready.touch()
    # Then it follows the old definition, and a new execution the new one
    assert redrive(machines, execution)["output"] == '"old"'
    assert machines.end(machines.start(machine))["output"] == '"new"'


def test_retries_are_counted_anew(machines: StateMachines, tmp_path: Path) -> None:
    """AWS documentation: "Restarting state machine executions with redrive", retry attempts."""
    log = tmp_path / "log"
    retry = [{"ErrorEquals": ["Refused"], "MaxAttempts": 1, "IntervalSeconds": 1}]
    task = machines.task({"log": str(log), "raise": "Refused"}, Retry=retry)
    execution = machines.start(machines.create({"Task": task}))
    machines.end(execution)
    redrive(machines, execution)
    assert log.read_text().count("ran") == 4


def test_an_aborted_wait_and_the_machines_timeout_begin_anew(machines: StateMachines) -> None:
    """AWS documentation: "Restarting state machine executions with redrive", TimeoutSeconds."""
    # Given an execution that its machine's time-out ended while it waited
    machine = machines.create({"Wait": {"Type": "Wait", "Seconds": 9999}}, TimeoutSeconds=1)
    execution = machines.start(machine)
    assert machines.end(execution)["status"] == "TIMED_OUT"
    # When it is redriven
    ended = redrive(machines, execution)
    # Then it has the whole time-out again
    assert ended["status"] == "TIMED_OUT"
    taken = (ended["stopDate"] - ended["redriveDate"]).total_seconds()
    assert taken == pytest.approx(1, abs=0.5)
    assert machines.kinds(execution)[-2:] == ["ExecutionRedriven", "ExecutionTimedOut"]


def test_a_stopped_execution_is_redriven_at_the_state_it_was_at(
    machines: StateMachines, tmp_path: Path
) -> None:
    """AWS documentation: "Restarting state machine executions with redrive", aborted executions."""
    # Given an execution that was stopped while its second function ran
    log = tmp_path / "log"
    states = {
        "First": machines.task({"log": str(log), "line": "first"}),
        "Second": machines.task({"log": str(log), "line": "second", "sleep": 0.5}),
    }
    execution = machines.start(machines.create(states))
    while not log.exists() or "second" not in log.read_text():
        time.sleep(0.01)
    machines.api.stop_execution(executionArn=execution, error="Enough")
    # When it is redriven at once, while the old function still runs
    ended = redrive(machines, execution)
    # Then only the second state runs again, and the old function's answer counts for nothing
    assert ended["status"] == "SUCCEEDED"
    assert log.read_text().splitlines() == ["first", "second", "second"]
    assert (ended["stopDate"] - ended["redriveDate"]).total_seconds() >= 0.5
    assert Counter(machines.kinds(execution))["TaskSucceeded"] == 2
    assert "error" not in ended


def test_only_unsuccessful_executions_are_redriven(machines: StateMachines) -> None:
    """AWS API reference: RedriveExecution, ExecutionNotRedrivable."""
    done = machines.start(machines.create({"Done": {"Type": "Pass"}}))
    machines.end(done)
    assert refused(machines, done) == "Execution is SUCCEEDED and cannot be redriven"
    running = machines.start(machines.create({"Wait": {"Type": "Wait", "Seconds": 9999}}))
    assert refused(machines, running) == "Execution is RUNNING and cannot be redriven"
    machines.api.stop_execution(executionArn=running)


def test_two_redrives_at_once_are_one(machines: StateMachines, tmp_path: Path) -> None:
    """AWS API reference: RedriveExecution; a running execution cannot be redriven."""
    log = tmp_path / "log"
    task = machines.task({"log": str(log), "sleep": 0.3, "raise": "Refused"})
    execution = machines.start(machines.create({"Task": task}))
    machines.end(execution)
    machines.api.redrive_execution(executionArn=execution)
    refused(machines, execution)
    machines.end(execution)
    assert log.read_text().count("ran") == 2


def mapped(item: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An inline Map over the input's `items` of one state, `One`, or of the states given."""
    states = item if "One" in item else {"One": {**item, "End": True}}
    return {
        "Type": "Map",
        "ItemsPath": "$.items",
        "ItemSelector": {"n.$": "$$.Map.Item.Value"},
        "ItemProcessor": {"StartAt": "One", "States": states},
        **fields,
    }


def test_only_unsuccessful_iterations_of_a_map_run_again(
    machines: StateMachines, tmp_path: Path
) -> None:
    """AWS API reference: RedriveExecution, "For workflows that include an Inline Map"."""
    # Given a Map of four whose second iteration fails, one at a time
    log = str(tmp_path / "log")
    payload = {
        "log": log,
        "line.$": "States.Format('{}', $.n)",
        "needs.$": f"States.Format('{tmp_path}/{{}}', $.n)",
        "answer": {"n.$": "$.n", "redrives.$": "$$.Execution.RedriveCount"},
    }
    for number in (0, 2, 3):
        (tmp_path / str(number)).touch()
    states = {
        "Map": mapped(machines.task(payload), MaxConcurrency=1),
        "After": machines.task({"log": log, "line": "after", "answer.$": "$"}),
    }
    execution = machines.start(machines.create(states), {"items": [0, 1, 2, 3]})
    failed = machines.end(execution)
    assert (failed["status"], failed["error"]) == ("FAILED", "Refused")
    # When it is redriven
    (tmp_path / "1").touch()
    ended = redrive(machines, execution)
    # Then the first one's result is kept, and the others run, in order
    assert Path(log).read_text().splitlines() == ["0", "1", "1", "2", "3", "after"]
    assert json.loads(ended["output"]) == [
        {"n": n, "redrives": 0 if n == 0 else 1} for n in range(4)
    ]


def test_iterations_aborted_by_another_ones_failure_run_again(
    machines: StateMachines, tmp_path: Path
) -> None:
    """AWS API reference: RedriveExecution: iterations that failed or aborted."""
    # Given a Map of which one iteration succeeds, one is slow, and one fails meanwhile
    log, fail, ready = str(tmp_path / "log"), tmp_path / "fail", tmp_path / "ready"
    payload = {"log": log, "line.$": "States.Format('{}', $.n.name)", "answer.$": "$.n.name"}
    choice = {
        "Type": "Choice",
        "Choices": [
            {"Variable": "$.n.name", "StringEquals": name, "Next": name} for name in ("ok", "slow")
        ],
        "Default": "bad",
    }
    slow, bad = {"until": [str(ready), "now"]}, {"until": [str(fail), "now"], "needs": str(ready)}
    inner = {
        "One": choice,
        "ok": machines.task(payload, End=True),
        "slow": machines.task({**payload, **slow}, End=True),
        "bad": machines.task({**payload, **bad}, End=True),
    }
    items = [{"name": name} for name in ("slow", "ok", "bad")]
    execution = machines.start(machines.create({"Map": mapped(inner)}), {"items": items})
    machines.until(execution, "MapIterationSucceeded")
    eventually(lambda: "slow" in Path(log).read_text())
    fail.write_text("now")
    assert machines.end(execution)["status"] == "FAILED"
    # When it is redriven
    ready.write_text("now")
    ended = redrive(machines, execution)
    # Then the slow and the failed one ran twice, and the other once
    assert json.loads(ended["output"]) == ["slow", "ok", "bad"]
    lines = Counter(Path(log).read_text().splitlines())
    assert lines == {"slow": 2, "ok": 1, "bad": 2}


def test_an_iteration_goes_on_at_its_own_unsuccessful_state(
    machines: StateMachines, tmp_path: Path
) -> None:
    """AWS documentation: "Restarting state machine executions with redrive": successful steps."""
    # Given an iteration of two steps that failed at the second
    log = str(tmp_path / "log")
    inner = {
        "One": machines.task(
            {"log": log, "line": "one", "answer": {"sum.$": "States.MathAdd($.n, 1)"}}, Next="Two"
        ),
        "Two": machines.task(
            {"log": log, "line": "two", "needs": str(tmp_path / "ready"), "answer.$": "$.sum"},
            End=True,
        ),
    }
    execution = machines.start(machines.create({"Map": mapped(inner)}), {"items": [41]})
    machines.end(execution)
    # When it is redriven
    (tmp_path / "ready").touch()
    ended = redrive(machines, execution)
    # Then its first step is not repeated, and the second has the first one's answer
    assert json.loads(ended["output"]) == [42]
    assert Path(log).read_text().splitlines() == ["one", "two", "two"]


def test_a_map_that_was_stopped_twice_keeps_all_results(
    machines: StateMachines, tmp_path: Path
) -> None:
    """AWS API reference: RedriveExecution: results of successful steps are preserved."""
    # Given a Map, one iteration at a time, that is stopped at its second and at its third
    log = tmp_path / "log"
    payload = {
        "log": str(log),
        "line.$": "States.Format('{}', $.n)",
        "sleep": 0.3,
        "answer.$": "$.n",
    }
    states = {
        "First": machines.task({"log": str(log), "line": "first"}, ResultPath=None, OutputPath="$"),
        "Map": mapped(machines.task(payload), MaxConcurrency=1),
    }
    execution = machines.start(machines.create(states), {"items": [0, 1, 2]})
    for number in ("1", "2"):
        while not log.exists() or number not in log.read_text():
            time.sleep(0.01)
        machines.api.stop_execution(executionArn=execution)
        machines.api.redrive_execution(executionArn=execution)
    # When the second redrive runs to its end
    ended = machines.end(execution)
    # Then no succeeded iteration was repeated
    assert json.loads(ended["output"]) == [0, 1, 2]
    assert Counter(log.read_text().splitlines()) == {"first": 1, "0": 1, "1": 2, "2": 2}
    assert ended["redriveCount"] == 2

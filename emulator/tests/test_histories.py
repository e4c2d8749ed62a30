"""A history ends where AWS's ends, and with it its execution.

https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html, "Starting new
executions to avoid reaching the history quota in Step Functions": at 24,999 events an execution
waits for the next one; unless that is ExecutionSucceeded, the execution fails.
Its error and cause: https://github.com/loads/ardere/issues/86
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.tests.account import Account
from emulator.tests.quotas import limited, told
from emulator.tests.state_machines import StateMachines

MOST = 20
OUTGROWN = (
    "States.Runtime",
    f"The execution reached the maximum number of history events ({MOST}).",
)


@pytest.fixture(autouse=True)
def _short(account: Account) -> Iterator[None]:
    """Histories of 20 events at most."""
    with limited(account.endpoint, history_events=MOST):
        yield


def passes(count: int) -> dict[str, Any]:
    """So many states of two events each."""
    return {f"Pass{number}": {"Type": "Pass"} for number in range(count)}


def failed_with(ended: dict[str, Any]) -> tuple[str, str]:
    """Error and cause of an execution that failed."""
    assert ended["status"] == "FAILED", ended
    return ended["error"], ended["cause"]


def refusal(machines: StateMachines, execution: str) -> tuple[str, str]:
    """Code and message of a redrive that is refused."""
    with pytest.raises(ClientError) as error:
        machines.api.redrive_execution(executionArn=execution)
    told = error.value.response["Error"]
    return str(told["Code"]), str(told["Message"])


def test_an_execution_that_succeeds_with_the_last_event_succeeds(machines: StateMachines) -> None:
    # Given a start, and nine states of two events each, one of 20 being left
    execution = machines.start(machines.create(passes(9)))
    # When it ends, then its success is the last event
    assert machines.end(execution)["status"] == "SUCCEEDED"
    assert machines.kinds(execution)[MOST - 1 :] == ["ExecutionSucceeded"]


def test_an_execution_that_wants_more_events_fails_with_the_last(machines: StateMachines) -> None:
    # Given one state more
    execution = machines.start(machines.create(passes(10)))
    # When it ends
    ended = machines.end(execution)
    # Then it failed for its history, whose last event says so
    assert failed_with(ended) == OUTGROWN
    *before, last = machines.events(execution)
    assert [event["id"] for event in [*before, last]] == list(range(1, MOST + 1))
    assert before[-1]["type"] == "PassStateExited"
    assert (last["type"], last["previousEventId"]) == ("ExecutionFailed", before[-1]["id"])
    details = last["executionFailedEventDetails"]
    assert (details["error"], details["cause"]) == OUTGROWN


def test_it_cannot_be_redriven(machines: StateMachines) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html.

    `redriveStatusReason`: "Execution history event limit exceeded".
    """
    execution = machines.start(machines.create(passes(10)))
    ended = machines.end(execution)
    reason = "Execution history event limit exceeded"
    assert (ended["redriveStatus"], ended["redriveStatusReason"]) == ("NOT_REDRIVABLE", reason)
    assert refusal(machines, execution) == ("ExecutionNotRedrivable", reason)


def test_a_redrive_needs_room_for_itself_and_for_one_event_more(machines: StateMachines) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/apireference/API_RedriveExecution.html.

    "The execution event history count is less than 24,999."
    """
    # Given executions that failed with 17 events, and with 19
    fail = {"Fail": {"Type": "Fail", "Error": "E", "Cause": "as asked"}}
    shorter, longer = (
        machines.start(machines.create({**passes(count), **fail})) for count in (7, 8)
    )
    assert failed_with(machines.end(shorter)) == failed_with(machines.end(longer))
    assert [len(machines.events(each)) for each in (shorter, longer)] == [17, 19]
    # When they are redriven, then the shorter one goes on, and the longer one is refused
    assert machines.describe(shorter)["redriveStatus"] == "REDRIVABLE"
    machines.api.redrive_execution(executionArn=shorter)
    assert failed_with(machines.end(shorter)) == ("E", "as asked")
    assert machines.describe(longer)["redriveStatus"] == "NOT_REDRIVABLE"
    assert refusal(machines, longer)[0] == "ExecutionNotRedrivable"


def test_a_redrives_events_count_with_those_before(machines: StateMachines) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/apireference/API_RedriveExecution.html."""
    # Given an execution that failed with 18 events
    task = machines.task({"raise": "Refused"})
    execution = machines.start(machines.create({**passes(6), "Task": task}))
    assert failed_with(machines.end(execution))[0] == "Refused"
    assert len(machines.events(execution)) == 18
    # When it is redriven, which leaves room for one event
    machines.api.redrive_execution(executionArn=execution)
    # Then it fails for its history
    assert failed_with(machines.end(execution)) == OUTGROWN
    assert machines.kinds(execution)[18:] == ["ExecutionRedriven", "ExecutionFailed"]


def test_a_function_whose_start_has_no_room_is_not_invoked(
    machines: StateMachines, tmp_path: Path
) -> None:
    # Given states up to the nineteenth event, and a function after them
    log = tmp_path / "log"
    execution = machines.start(
        machines.create({**passes(9), "T": machines.task({"log": str(log)})})
    )
    # When it ends
    assert failed_with(machines.end(execution)) == OUTGROWN
    # Then its function never ran
    assert not log.exists()


def test_the_iterations_of_a_map_share_their_executions_history(machines: StateMachines) -> None:
    # Given a Map of more iterations than a history can hold
    inner = {"StartAt": "One", "States": {"One": {"Type": "Pass", "End": True}}}
    states = {"Map": {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": inner}}
    execution = machines.start(machines.create(states), {"items": list(range(50))})
    # When it ends, then it failed for its history
    assert failed_with(machines.end(execution)) == OUTGROWN
    assert len(machines.events(execution)) == MOST
    assert machines.kinds(execution).count("ExecutionFailed") == 1


def test_a_waiting_execution_with_a_full_history_can_be_stopped(machines: StateMachines) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html."""
    # Given an execution that waits with 18 events, where 19 are the most
    states = {**passes(8), "Start": {"Type": "Wait", "Seconds": 9999}}
    with limited(machines.account.endpoint, history_events=MOST - 1):
        execution = machines.start(machines.create(states))
        machines.until(execution, "WaitStateEntered")
        # When it is stopped
        machines.api.stop_execution(executionArn=execution)
    # Then it is aborted
    assert machines.describe(execution)["status"] == "ABORTED"
    assert machines.kinds(execution)[-1] == "ExecutionAborted"


@pytest.mark.parametrize(
    "quotas",
    [{"history_events": 2}, {"history_events": "9"}, {"history_events": True}, {"x": 1}, []],
)
def test_quotas_that_make_no_sense_are_refused(account: Account, quotas: Any) -> None:
    # When
    answer = told(account.endpoint, "PUT", quotas)

    # Then
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert told(account.endpoint, "POST", {}).status_code == 405
    assert told(account.endpoint, "GET").json()["history_events"] == MOST
    assert told(account.endpoint, "DELETE").json()["history_events"] == 25_000

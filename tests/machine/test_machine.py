"""The interpreter does with a definition what Step Functions does.

Amazon States Language: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
and https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.machine.agenda import Agenda
from tests.machine.machine import Call, Execution, Killed, Machine, TaskTimedOut

BEGAN = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
Run = Callable[[str, Any], Any]


class Played:
    """A machine whose functions a test gives, and when each of their calls was made."""

    def __init__(self, run: Run, **states: dict[str, Any]) -> None:
        """Play a definition that begins with the first of its states."""
        self.now = BEGAN
        self.run = run
        self.calls: list[tuple[float, str, Any]] = []  # seconds from the beginning
        self.agenda = Agenda(lambda: self.now)
        definition = {"StartAt": next(iter(states)), "States": states}
        self.machine = Machine(self.agenda, self._begin, lambda _: None, definition)

    def _begin(self, call: Call) -> None:
        seconds = (self.now - BEGAN).total_seconds()
        self.calls.append((seconds, call.function, call.payload))
        self.agenda.later(0, lambda: self.machine.run(call, self.run), call.execution)

    def start(self, given: Any) -> Execution:
        """Start an execution, and go on until nothing is due."""
        execution = self.machine.start("one", given)
        self.go_on()
        return execution

    def go_on(self) -> None:
        """Go on until nothing is due."""
        while due := self.agenda.next_due():
            self.now = max(self.now, due)
            self.agenda.take()()


def task(name: str, **more: Any) -> dict[str, Any]:
    """A Task of a function that is given all, which is the last state."""
    parameters = {"FunctionName": f"${{{name}}}", "Payload.$": "$"}
    of_lambda = {"Resource": "arn:aws:states:::lambda:invoke", "OutputPath": "$.Payload"}
    return {"Type": "Task", **of_lambda, "Parameters": parameters, "End": True, **more}


def fails_with(*errors: type[BaseException]) -> Run:
    """A function that fails so, one after the other, and then says that it is done."""
    left = list(errors)

    def run(_name: str, _event: Any) -> str:
        if left:
            raise left.pop(0)
        return "done"

    return run


RETRIERS = [
    {"ErrorEquals": ["KeyError"], "IntervalSeconds": 5, "BackoffRate": 1, "MaxAttempts": 1},
    {
        "ErrorEquals": ["OSError", "Runtime.ExitError"],
        "IntervalSeconds": 2,
        "BackoffRate": 2,
        "MaxDelaySeconds": 5,
        "MaxAttempts": 3,
    },
]


def test_each_retrier_counts_its_own_tries_and_backs_off_as_it_says() -> None:
    # Given a Task whose function fails with two errors in turns, and is killed
    played = Played(
        fails_with(OSError, KeyError, Killed, OSError), Work=task("DoWork", Retry=RETRIERS)
    )
    # When an execution goes through
    execution = played.start({"a": 1})
    # Then it waited 2, 5, 4 and 5 seconds, which is the longest, and each call was given the same
    assert played.calls == [(seconds, "do_work", {"a": 1}) for seconds in (0, 2, 7, 11, 16)]
    assert (execution.status, execution.output) == ("SUCCEEDED", "done")
    assert execution.retried == ["OSError", "KeyError", "Runtime.ExitError", "OSError"]


def test_the_last_try_and_an_error_that_nobody_retries_end_it_by_their_names() -> None:
    for errors in ((KeyError, KeyError), (ValueError,)):
        played = Played(fails_with(*errors), Work=task("DoWork", Retry=RETRIERS))
        execution = played.start({})
        assert (execution.status, execution.error) == ("FAILED", errors[-1].__name__)


def test_a_catch_is_entered_and_told_the_error() -> None:
    # Given a Task that is caught, and put beside what it was given
    catch = {"ErrorEquals": ["KeyError"], "ResultPath": "$.failed", "Next": "Other"}
    played = Played(fails_with(KeyError), Work=task("DoWork", Catch=[catch]), Other=task("DoOther"))
    # When its function fails so, then the next state knows
    execution = played.start({"a": 1})
    assert execution.passed == ["Work", "Other"]
    failed = {"Error": "KeyError", "Cause": ""}
    assert played.calls[1][1:] == ("do_other", {"a": 1, "failed": failed})


def test_a_redriven_map_repeats_what_had_failed_and_keeps_the_order() -> None:
    # Given a Map of which one item fails
    broken = {"b"}

    def run(_name: str, event: Any) -> str:
        if event["item"] in broken:
            raise ValueError
        return str(event["item"]).upper()

    each = {"StartAt": "Work", "States": {"Work": task("DoWork")}}
    selected = {"item.$": "$$.Map.Item.Value", "of.$": "$.of"}
    of_all = {"Type": "Map", "ItemsPath": "$.items", "ItemSelector": selected, "End": True}
    played = Played(run, All=of_all | {"ItemProcessor": each, "ResultPath": "$.done"})
    given = {"items": ["a", "b", "c"], "of": 1}
    execution = played.start(given)
    assert (execution.status, len(played.calls)) == ("FAILED", 3)
    # When it is mended and redriven
    broken.clear()
    played.machine.redrive(execution)
    played.go_on()
    # Then only that item was worked at again, and all results stand where their items did
    assert [event["item"] for _, _, event in played.calls[3:]] == ["b"]
    assert execution.output == given | {"done": ["A", "B", "C"]}
    assert execution.context()["RedriveCount"] == 1


def with_token(run: Run) -> Played:
    """A Task that waits for its token's answer."""
    parameters = {"FunctionName": "${Ask}", "Payload": {"token.$": "$$.Task.Token"}}
    resource = "arn:aws:states:::lambda:invoke.waitForTaskToken"
    asks = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}
    return Played(run, Ask=asks)


def test_a_token_is_answered_once_and_is_dead_after_its_execution() -> None:
    # Given an execution that waits, after its function has returned
    played = with_token(lambda *_: "unheard")
    execution = played.start({})
    token = played.calls[0][2]["token"]
    assert execution.status == "RUNNING"
    # When it is stopped and redriven, then the first token is dead and the second is answered once
    played.machine.end(execution, "ABORTED")
    with pytest.raises(TaskTimedOut):
        played.machine.answer(token, "late")
    played.machine.redrive(execution)
    played.go_on()
    played.machine.answer(played.calls[1][2]["token"], "an answer")
    assert (execution.status, execution.output) == ("SUCCEEDED", "an answer")
    with pytest.raises(TaskTimedOut):
        played.machine.answer(played.calls[1][2]["token"], "another")


@pytest.mark.parametrize("outcome", ["returned", "raised"])
def test_what_becomes_of_a_call_of_an_earlier_attempt_is_not_heard(outcome: str) -> None:
    # Given a function that still runs when its execution is stopped and redriven
    begun: list[Call] = []
    definition = {"StartAt": "Work", "States": {"Work": task("DoWork")}}
    machine = Machine(Agenda(lambda: BEGAN), begun.append, lambda _: None, definition)
    execution = machine.start("one", {})
    machine.end(execution, "ABORTED")
    machine.redrive(execution)
    # When it ends, then only the call of this attempt is waited for
    if outcome == "returned":
        machine.returned(begun[0], "old")
    else:
        machine.raised(begun[0], "ValueError", "")
    assert execution.status == "RUNNING"
    machine.returned(begun[1], "new")
    assert (execution.status, execution.output) == ("SUCCEEDED", "new")


def test_a_call_that_was_given_up_is_not_heard_after_its_retry() -> None:
    # Given a function that still runs when it is given up and invoked again
    begun: list[Call] = []
    agenda = Agenda(lambda: BEGAN)
    definition = {"StartAt": "Work", "States": {"Work": task("DoWork", Retry=RETRIERS)}}
    machine = Machine(agenda, begun.append, lambda _: None, definition)
    execution = machine.start("one", {})
    machine.raised(begun[0], "OSError", "")
    agenda.take()()
    # When it ends, then only the later call is waited for
    machine.returned(begun[0], "old")
    assert execution.status == "RUNNING"
    machine.returned(begun[1], "new")
    assert execution.output == "new"


def test_a_wait_lasts_as_long_as_it_says_and_a_choice_goes_by_what_is_there() -> None:
    # Given a state that is waited for where it says so
    rules = [
        {"Variable": "$.wait_seconds", "IsPresent": True, "Next": "Wait"},
        {"Variable": "$.status", "StringEquals": "Skipped", "Next": "Done"},
    ]
    states: dict[str, dict[str, Any]] = {
        "Which": {"Type": "Choice", "Choices": rules, "Default": "Work"},
        "Wait": {"Type": "Wait", "SecondsPath": "$.wait_seconds", "Next": "Work"},
        "Work": task("DoWork"),
        "Done": {"Type": "Succeed"},
    }
    for given, passed, at in (
        ({"wait_seconds": 90}, ["Which", "Wait", "Work"], 90),
        ({"status": "Skipped"}, ["Which", "Done"], None),
        ({"status": "Other"}, ["Which", "Work"], 0),
    ):
        played = Played(fails_with(), **states)
        assert played.start(given).passed == passed
        assert [seconds for seconds, *_ in played.calls] == ([] if at is None else [at])


def test_what_it_does_not_know_is_refused_and_not_guessed() -> None:
    unknown: tuple[dict[str, Any], ...] = (
        {"Variable": "$.a", "NumericEquals": 1, "Next": "Done"},
        {"And": [], "Next": "Done"},
    )
    for rule in unknown:
        which = {"Type": "Choice", "Choices": [rule], "Default": "Done"}
        with pytest.raises(AssertionError):
            Played(fails_with(), Which=which, Done={"Type": "Succeed"}).start({"a": 1})
    with pytest.raises(AssertionError):
        Played(fails_with(), Par={"Type": "Parallel", "End": True}).start({})


# --- a state that writes with its token ----------------------------------------------------------
WRITE: dict[str, Any] = {
    "Type": "Task",
    "Resource": "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken",
    "Parameters": {"Token": {"S.$": "$$.Task.Token"}},
    "TimeoutSecondsPath": "$.seconds",
    "ResultPath": None,
    "Catch": [
        {"ErrorEquals": ["States.Timeout"], "ResultPath": None, "Next": "Late"},
        {"ErrorEquals": ["DynamoDb.Refused"], "ResultPath": None, "Next": "Refused"},
    ],
    "Next": "Told",
}


def writing(written: list[str], *, refuses: bool = False) -> Played:
    """A machine whose first state writes its token; the table may refuse it."""
    ends = {name: {"Type": "Succeed"} for name in ("Told", "Late", "Refused")}
    played = Played(fails_with(), Write=WRITE, **ends)

    def update_item(parameters: dict[str, Any]) -> None:
        if refuses:
            raise ClientError({"Error": {"Code": "Refused"}}, "UpdateItem")
        written.append(parameters["Token"]["S"])

    played.machine._update_item = update_item
    return played


def test_a_state_that_has_written_its_token_waits_for_the_answer_or_the_time() -> None:
    # Given a state that has written its token, and nobody who answers; then its time ends it
    written: list[str] = []
    late = writing(written).start({"seconds": 60})
    assert late.passed == ["Write", "Late"]
    assert late.output == {"seconds": 60}
    # And one that is answered goes on at once, with what it had; its time is over by then
    told = writing(written)
    execution = told.machine.start("one", {"seconds": 60})
    told.machine.answer(written[-1], {"more": 1})
    told.go_on()
    assert execution.passed == ["Write", "Told"]
    assert execution.output == {"seconds": 60}
    # And what the table refuses has the name of its integration
    assert writing(written, refuses=True).start({"seconds": 60}).passed == ["Write", "Refused"]

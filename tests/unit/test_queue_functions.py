"""RunEnded, SweepQueues and PauseQueue: what they are sent, and what they do to a queue."""

import json
from datetime import timedelta
from typing import Any

import pytest

from straight_through.attempts import attempt_of
from straight_through.errors import InputInvalid
from straight_through.queue.reconcile import Reconciler, SweepIncomplete
from straight_through.queue.table import Table
from straight_through.queue.turns import QUEUES, queue_key, tickets
from tests.unit.conftest import Event, give_turn
from tests.unit.fake_states import FakeStates


def queue(table: Table) -> dict[str, Any]:
    """The queue's item."""
    return table.get(queue_key("p-claims")) or {}


@pytest.fixture
def held(table: Table, event: Event) -> dict[str, Any]:
    """The sample execution holds the turn."""
    given = event("check_status")
    give_turn(table, given, given["record"]["source"])
    return given


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"])
def test_the_sample_event_gives_the_turn_back(
    handler: Any, event: Event, table: Table, held: dict[str, Any], status: str
) -> None:
    assert held
    ended = event("run_ended")
    ended["detail"]["status"] = status
    handler("run_ended")(ended)
    assert "holder" not in queue(table)


def test_an_event_of_an_execution_that_never_queued_is_none_of_ours(
    handler: Any, event: Event, table: Table, held: dict[str, Any]
) -> None:
    assert held
    other = event("run_ended")
    other["detail"]["name"] = "another"
    handler("run_ended")(other)
    assert "holder" in queue(table)


def test_the_sweep_gives_back_what_an_ended_execution_holds(
    handler: Any, table: Table, held: dict[str, Any], states: FakeStates
) -> None:
    sweep = handler("sweep_queues")
    sweep({})
    assert "holder" in queue(table)
    states.end(attempt_of(held["execution"]).execution_arn, "ABORTED")
    sweep({})
    assert "holder" not in queue(table)


def test_the_sweep_measures_how_the_queues_stand(
    handler: Any, held: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a turn that has been held since last May
    assert held
    # When a sweep comes to its end
    handler("sweep_queues")({})
    # Then the log has what CloudWatch takes from it
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (line["FilesWaiting"], line["LongestWait"]) == ([0.0], [0.0])
    assert line["LongestTurn"][0] > 4 * 3600
    assert (line["QueuesPaused"], line["QueuesStandingStill"]) == ([0.0], [1.0])


def lay(table: Table, pk: str, sk: str, attributes: dict[str, Any]) -> None:
    """Put an item into the table as nobody of ours would."""
    values = {f"v{n}": value for n, value in enumerate(attributes.values())}
    sets = ", ".join(f"#{name} = :v{n}" for n, name in enumerate(attributes))
    table.update((pk, sk), f"SET {sets}", **values)


ODD: dict[str, dict[str, Any]] = {
    "a holder without a run": {"holder": {}},
    "a holder that is a word": {"holder": "somebody"},
    "a moment that is none": {
        "holder": {"execution_arn": "arn:x", "granted_at": "yesterday", "entered": False}
    },
    "a pause that is a word": {"paused": "by somebody"},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("name", ["a-first", "z-last"])
def test_a_queue_whose_item_is_odd_keeps_the_sweep_from_no_other(
    handler: Any,
    table: Table,
    held: dict[str, Any],
    states: FakeStates,
    capsys: pytest.CaptureFixture[str],
    odd: dict[str, Any],
    name: str,
) -> None:
    # Given a run that has ended unseen, and a queue before or after its own with an odd item
    states.end(attempt_of(held["execution"]).execution_arn, "ABORTED")
    lay(table, QUEUES, name, odd)
    # When the sweep comes
    with pytest.raises(SweepIncomplete, match=f"1 queue.* others. '{name}': [A-Z]") as met:
        handler("sweep_queues")({})
    # Then the other queue is swept
    assert "holder" not in queue(table)
    # and measured
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["LongestTurn"][0] > 4 * 3600
    # and the error that makes the alarm ring names the odd one alone
    assert "p-claims" not in str(met.value)


def test_an_odd_moment_of_another_queue_keeps_none_paused(
    handler: Any, table: Table, held: dict[str, Any]
) -> None:
    # Given a queue that rejected credentials have paused, and another whose moment is a number
    assert held
    paused = {"since": "2026-05-04T00:00:00+00:00", "error": "CredentialsRejected", "told": True}
    table.update(queue_key("p-claims"), "SET #paused = :paused", paused=paused)
    lay(table, QUEUES, "a-odd", {"executed_at": 20260505})
    lay(table, QUEUES, "b-well", {"executed_at": "2026-05-05T00:00:00+00:00"})
    # When the sweep comes
    handler("sweep_queues")({})
    # Then it goes by the one that can be read
    assert "paused" not in queue(table)


def test_an_odd_ticket_is_named_by_its_queue(
    handler: Any, table: Table, held: dict[str, Any]
) -> None:
    assert held
    lay(table, QUEUES, "a-queue", {"paused": {"since": "x", "reason": "by hand"}})
    lay(table, tickets("a-queue"), "0", {"any": 1})
    told = "'a-queue': TicketsDamaged: ticket '0' of the table cannot be read"
    with pytest.raises(SweepIncomplete, match=told):
        handler("sweep_queues")({})


def test_a_service_that_fails_for_one_queue_fails_for_no_other(
    table: Table, held: dict[str, Any], states: FakeStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two runs that have ended, and a service that does not answer for the first
    arn = attempt_of(held["execution"]).execution_arn
    states.end(arn, "ABORTED")
    lay(table, QUEUES, "a-queue", {"holder": {"execution_arn": "arn:x"}})
    queues = Reconciler(table, states)  # type: ignore[arg-type]
    ended = queues._turns.ended

    def answered(execution_arn: str) -> Any:
        if execution_arn == "arn:x":
            raise TimeoutError("Step Functions did not answer " + "x" * 9000)
        return ended(execution_arn)

    monkeypatch.setattr(queues._turns, "ended", answered)
    # When the sweep comes
    with pytest.raises(SweepIncomplete, match="'a-queue'") as met:
        queues.sweep(timedelta(hours=1))
    # Then the second's turn is passed on, and the message is bounded
    assert "holder" not in queue(table)
    assert len(str(met.value)) < 4096


def test_many_odd_queues_are_counted_in_a_bounded_message() -> None:
    failed: dict[str, Exception] = {f"q-{n}" + "y" * 500: KeyError("z" * 900) for n in range(500)}
    told = str(SweepIncomplete([], failed))
    assert "500 queues and did all others" in told
    assert "… and 480 more." in told
    assert len(told) < 4096


def test_an_end_that_is_told_twice_is_counted_once(
    handler: Any, event: Event, held: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    # Given an event that comes twice
    assert held
    run_ended = handler("run_ended")
    for _ in range(2):
        run_ended(event("run_ended"))
    # Then the run is counted once, and one line says what came of it
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len([line for line in lines if "RunsFailed" in line]) == 1
    (told,) = [line for line in lines if line.get("message") == "Told"]
    assert told["correlation_id"] == held["record"]["run"]
    assert told["status"] == "Failed"


def test_an_operator_pauses_and_resumes_a_queue(
    handler: Any, event: Event, table: Table, held: dict[str, Any]
) -> None:
    pause = handler("pause_queue")
    shown = pause(event("pause_queue"))
    assert shown["holder"] == held["record"]["run"]
    assert shown["paused"]["reason"] == "month-end closing in Quantemplate"
    assert queue(table)["paused"] == shown["paused"]
    assert pause({"resume": "p-claims"})["paused"] is None
    assert "paused" not in queue(table)


@pytest.mark.parametrize("wrong", [{}, {"pause": ""}, {"resume": 1}, {"queue": "p-claims"}])
def test_what_it_does_not_understand_is_told(handler: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputInvalid, match=r'\{"pause": "<queue>"\}'):
        handler("pause_queue")(wrong)

"""RunEnded, SweepQueues and PauseQueue: what they are sent, and what they do to a queue."""

import json
from typing import Any

import pytest

from straight_through.attempts import attempt_of
from straight_through.errors import InputInvalid
from straight_through.table import Table
from straight_through.turns import queue_key
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

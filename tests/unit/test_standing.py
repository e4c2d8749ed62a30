"""How queues stand, and what an operator is told of it each minute."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from straight_through.metrics import (
    FILES_WAITING,
    LONGEST_TURN,
    LONGEST_WAIT,
    QUEUES_PAUSED,
    QUEUES_STANDING_STILL,
)
from straight_through.moments import iso
from straight_through.queue.backlog import Standing, measures_of, standing_of

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
PATIENCE = timedelta(hours=4)


def ago(hours: float) -> str:
    """A moment so many hours ago, as the table has it."""
    return iso(NOW - timedelta(hours=hours))


def queue(
    *waiting: float, turn: float | None = None, paused: bool = False
) -> tuple[Any, list[dict[str, Any]]]:
    """A queue's item and tickets, by the hours that files wait and that its turn is held."""
    state: dict[str, Any] = {"sk": "p-claims"}
    if turn is not None:
        state["holder"] = {"granted_at": ago(turn)}
    if paused:
        state["paused"] = {"since": ago(9), "reason": "month end"}
    ticket = {
        "execution_arn": "arn:x",
        "run": "x",
        "redrive_count": 0,
        "token": "t",
        "route": "claims",
    }
    return state, [ticket | {"asked_at": ago(hours)} for hours in waiting]


def standing(*waiting: float, **more: Any) -> Standing:
    """How such a queue stands."""
    state, tickets = queue(*waiting, **more)
    return standing_of(state, tickets, NOW)


def test_a_queue_is_measured_by_its_oldest_file_and_its_turn() -> None:
    # Given files that a redrive has put in front, so that the oldest wait is not the first
    found = standing(1, 3, 2, turn=0.5)
    assert found == Standing(paused=False, waiting=3, longest_wait=3 * 3600, turn=1800)


def test_clocks_that_differ_make_nothing_negative() -> None:
    assert standing(-0.001, turn=-0.001).longest_wait == 0


@pytest.mark.parametrize(
    ("found", "still"),
    [
        (standing(), 0),
        (standing(turn=5), 1),  # nobody waits, and its own file is stuck all the same
        (standing(9, turn=1), 0),  # a long queue that goes on
        (standing(9), 1),  # nobody has the turn, and somebody wants it
        (standing(3), 0),
        (standing(9, paused=True), 0),  # which another metric tells
        (standing(9, turn=9, paused=True), 0),
        (standing(turn=4), 0),
    ],
)
def test_what_counts_as_standing_still(found: Standing, still: int) -> None:
    assert measures_of([found], PATIENCE)[QUEUES_STANDING_STILL] == still


def test_all_queues_together() -> None:
    queues = [standing(1, 5, turn=0.5), standing(paused=True), standing(2, turn=6)]
    assert measures_of(queues, PATIENCE) == {
        FILES_WAITING: 3,
        LONGEST_WAIT: 5 * 3600,
        LONGEST_TURN: 6 * 3600,
        QUEUES_PAUSED: 1,
        QUEUES_STANDING_STILL: 1,
    }


def test_a_stack_without_queues_is_measured_too() -> None:
    # For an alarm rings where nothing is
    assert set(measures_of([], PATIENCE).values()) == {0}

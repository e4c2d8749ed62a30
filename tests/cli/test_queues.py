"""Who waits for how long."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stp.queues import queue_items, view
from stp.stack import Stack
from straight_through.moments import iso


def held(stack: Stack, since: float, *waiting: str) -> dict[str, Any]:
    """A queue whose turn is held for some seconds, and whose runs take 60; as people see it."""
    granted = iso(datetime.now(UTC) - timedelta(seconds=since))
    holder = {"run": "first", "route": "claims", "granted_at": granted}
    stack.table.update(("queues", "q"), "SET #holder = :holder", holder=holder)
    for run in waiting:
        stack.table.update(
            ("tickets#q", f"{granted}#{run}"),
            "SET #run = :run, #route = :route, #asked_at = :at",
            run=run,
            route="claims",
            at=granted,
        )
    return view(stack, "q", queue_items(stack)["q"], lambda _: 60.0)


def test_each_waits_for_those_before_it(stack: Stack) -> None:
    # Given a turn that is held for 20 of 60 seconds, and two that wait
    seen = held(stack, 20, "second", "third")
    # Then the first of them waits for the rest, the second for a whole run more
    assert seen["holder"]["left_seconds"] == pytest.approx(40, abs=3)
    waits = [each["wait_seconds"] for each in seen["waiting"]]
    assert waits == pytest.approx([40, 100], abs=3)


def test_nobody_knows_how_long_one_takes_that_takes_longer(stack: Stack) -> None:
    # Given a turn that is held for longer than usual
    seen = held(stack, 200, "second")
    # Then nothing is said of those behind it
    assert seen["holder"]["left_seconds"] == 0
    assert seen["waiting"][0]["wait_seconds"] is None


def test_a_paused_queue_promises_nothing(stack: Stack) -> None:
    paused = {"since": "2026-11-25T09:00:00.000Z", "reason": "month end"}
    stack.table.update(("queues", "q"), "SET #paused = :paused", paused=paused)
    assert held(stack, 20, "second")["waiting"][0]["wait_seconds"] is None

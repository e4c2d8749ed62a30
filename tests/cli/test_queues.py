"""Who waits for how long."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from stp.queues import name_files, queue_items, view
from stp.shown_queues import QueueShown
from stp.stack import Stack
from straight_through.moments import iso
from straight_through.queue.records import record_key


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


@pytest.mark.parametrize("width", [60, 200])
def test_a_queue_names_its_files_and_keeps_the_names_of_runs_whole(
    stack: Stack, width: int
) -> None:
    # Given a queue of runs with long names, of which one has no file
    name = "premiums-lloyds-bordereau-2026-05-" + "0123456789" * 4
    seen = held(stack, 20, name, "without")
    stack.table.update(record_key(name), "SET #source = :s", s={"key": "premiums/" + "may" * 30})
    name_files(stack, [seen])
    # When it is shown
    console = Console(file=io.StringIO(), width=width, color_system=None, soft_wrap=True)
    console.print(QueueShown(seen))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    # Then a line has the run's whole name, also where it is narrow, and the files are told
    assert any(name in line for line in text.splitlines())
    assert "premiums/maymay" in text
    assert "(no file)" in text
    assert "its turn in under a minute" in text
    assert "its turn in about 2 min" in text
    # And a script has the same
    assert [each["file"] for each in seen["waiting"]] == ["premiums/" + "may" * 30, None]

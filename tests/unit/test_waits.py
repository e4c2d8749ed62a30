"""Waiting for what passes by itself: as long as was asked for, and not for ever."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from straight_through.attempts import Attempt
from straight_through.errors import (
    ApiThrottled,
    ApiUnavailable,
    PipelineBusy,
    SourceUnavailable,
    WaitedFor,
)
from straight_through.executing.waits import Patience, wait_out
from straight_through.moments import iso

PATIENCE = Patience(api_patience_hours=12, busy_deadline_hours=24)
NOW = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)


def attempt(redrive: int = 0) -> Attempt:
    """An attempt of an execution."""
    return Attempt("may", "arn:may", redrive, iso(NOW), iso(NOW), {})


def waited(trouble: WaitedFor, hours: float, kind: str, redrive: int = 0) -> Any:
    """What is waited next, when a trouble of this kind has been met for so many hours."""
    since = iso(NOW - timedelta(hours=hours))
    before: Any = {"kind": kind, "since": since, "redrive_count": 0}
    return wait_out({"waiting": before}, trouble, attempt(redrive), PATIENCE, NOW)


@pytest.mark.parametrize(
    ("trouble", "hours"),
    [
        (ApiUnavailable("Down."), 12),
        (ApiThrottled("Later."), 12),
        (SourceUnavailable("Broken."), 12),
        (PipelineBusy("Busy."), 24),
    ],
    ids=lambda given: type(given).__name__,
)
def test_each_trouble_has_its_deadline(trouble: WaitedFor, hours: float) -> None:
    kind = "PipelineBusy" if hours == 24 else "ApiUnavailable"
    assert waited(trouble, hours - 0.1, kind)["wait_seconds"] <= 360  # what is left
    told = rf"so since 2026.*for {hours + 0.1:.1f} h; the deadline is {hours} h[.].*redrive"
    with pytest.raises(type(trouble), match=told):
        waited(trouble, hours + 0.1, kind)


def test_another_kind_of_trouble_and_a_redrive_count_anew() -> None:
    assert waited(PipelineBusy("Busy."), 99, "ApiUnavailable")["waiting"]["since"] == iso(NOW)
    assert waited(ApiThrottled("Later."), 99, "ApiUnavailable", redrive=1)["wait_seconds"] <= 5


def test_a_redrive_of_a_long_execution_tries_soon_again() -> None:
    # Given an execution that was made four days ago, and a redrive of now
    state: Any = {"executed_at": iso(NOW - timedelta(hours=99))}
    redriven = Attempt("may", "arn:may", 1, iso(NOW), iso(NOW - timedelta(hours=99)), {})
    # When Quantemplate does not answer, then a person who has just redriven it waits seconds
    assert wait_out(state, ApiUnavailable("Down."), redriven, PATIENCE, NOW)["wait_seconds"] <= 5
    # And without a redrive no wait is short any more
    first = Attempt("may", "arn:may", 0, iso(NOW - timedelta(hours=99)), iso(NOW), {})
    assert wait_out(state, ApiUnavailable("Down."), first, PATIENCE, NOW)["wait_seconds"] == 3564


def test_two_waits_that_take_turns_have_a_deadline_all_the_same() -> None:
    # Given a pipeline that is busy for ever, and an API that does not answer every other time
    record: Any = {}
    for minute in range(24 * 60):
        trouble = ApiUnavailable("Down.") if minute % 2 else PipelineBusy("Busy.")
        record = wait_out(record, trouble, attempt(), PATIENCE, NOW + timedelta(minutes=minute))
        # Then what the API was asked for last is always waited for since it was asked first
        began = NOW + timedelta(minutes=minute if minute % 2 else 0)
        assert record["waiting"]["since"] == iso(began)
    with pytest.raises(PipelineBusy, match=r"deadline is 24 h\."):
        wait_out(record, PipelineBusy("Busy."), attempt(), PATIENCE, NOW + timedelta(hours=24.1))
    # And one odd answer ends nothing, however long the other wait was
    wait_out(record, ApiUnavailable("Down."), attempt(), PATIENCE, NOW + timedelta(hours=24.1))


def test_a_wait_that_is_asked_for_is_kept_up_to_the_deadline() -> None:
    for asked, wait in [(17, 17), (0.2, 1), (3600, 3600), (10**9, 12 * 3600), (math.inf, 43200)]:
        throttled = ApiThrottled("Later.", retry_after=asked)
        assert wait_out({}, throttled, attempt(), PATIENCE, NOW)["wait_seconds"] == wait
    busy = PipelineBusy("Busy.", retry_after=10**9)
    assert wait_out({}, busy, attempt(), PATIENCE, NOW)["wait_seconds"] == 24 * 3600
    # And what was waited already counts
    throttled = ApiThrottled("Later.", retry_after=6 * 3600)
    assert waited(throttled, 11, "ApiUnavailable")["wait_seconds"] == 3600


def test_the_waits_double_with_jitter_up_to_five_minutes() -> None:
    record: Any = {}
    now, waits = NOW, []
    for _ in range(16):  # by then so long was waited, whatever the jitter
        record = wait_out(record, ApiUnavailable("Down."), attempt(), PATIENCE, now)
        waits.append(record["wait_seconds"])
        now += timedelta(seconds=record["wait_seconds"])
    assert waits[0] <= 5
    assert all(150 <= wait <= 300 for wait in waits[-3:])


def test_those_that_back_off_together_do_not_come_back_together() -> None:
    waits = {
        waited(ApiUnavailable("Down."), 1, "ApiUnavailable")["wait_seconds"] for _ in range(99)
    }
    assert len(waits) > 9
    assert min(waits) >= 150
    assert max(waits) <= 300


def test_the_record_says_what_is_waited_for_and_keeps_the_rest() -> None:
    turned: Any = {"turn": "x"}
    record: Any = wait_out(
        turned, PipelineBusy("Execution 7 is going on."), attempt(), PATIENCE, NOW
    )
    assert record["turn"] == "x"
    assert record["waiting"] == {
        "kind": "PipelineBusy",
        "since": iso(NOW),
        "until": iso(NOW + timedelta(hours=24)),
        "redrive_count": 0,
        "for": "PipelineBusy: Execution 7 is going on.",
        "first": iso(NOW),
    }

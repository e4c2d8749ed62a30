"""What one look at a run tells."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quantemplate.executions import Execution, Output
from quantemplate.listing import Listing, reduced
from straight_through.attempts import Attempt
from straight_through.errors import (
    NotFound,
    PipelineCancelled,
    PipelineEndUnknown,
    PipelineFailed,
    PipelineOverdue,
    StraightThroughError,
)
from straight_through.executing.progress import Look, look_at, outputs_of
from straight_through.moments import iso

TURN: Any = {"queue": "p-claims", "turn_id": "t"}
BEGAN = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
RUN: Any = {
    "pipeline_id": "p-claims",
    "execution_id": "e-7",
    "run_number": 7,
    "created_at": "2026-05-04T08:00:00Z",
}


def execution(status: str, **changed: Any) -> Execution:
    """Our run as the list has it."""
    fields: dict[str, Any] = {"id": "e-7", "number": 7, "started_at": "2026-05-04T08:00:00Z"}
    return Execution(**(fields | {"status": status} | changed))


def attempt(redriven_after: float | None = None) -> Attempt:
    """The execution's first attempt, or one that was redriven so many seconds after its start."""
    started = "2026-05-04T08:00:00.000Z"
    redriven = redriven_after is not None
    began = iso(BEGAN + timedelta(seconds=redriven_after or 0))
    return Attempt("may", "arn:may", int(redriven), began, started, {})


def look(
    *listed: Execution,
    after: float = 0,
    redriven_after: float | None = None,
    durations: tuple[float, ...] = (),
    **changed: Any,
) -> Look:
    """Look at the run some seconds after Execute was sent; `changed` are fields of its record."""
    record: Any = {"quantemplate": RUN, "turn": TURN, "executed_at": iso(BEGAN)} | changed
    others = (execution("Failed", id="e-6", number=6), execution("Cancelled", id="e-8"))
    listing = Listing((*others, *listed), durations=durations)
    now = BEGAN + timedelta(seconds=after)
    return look_at(listing, record, now, attempt(redriven_after), 2.0, 300)


@pytest.mark.parametrize(("after", "wait"), [(0, 1), (100, 10), (3600, 300)])
def test_a_started_run_is_waited_for(after: float, wait: int) -> None:
    seen = look(execution("Started"), after=after)
    assert (seen.status, seen.wait_seconds, seen.known) == ("Started", wait, True)


def test_a_run_that_succeeded_is_done_even_past_its_deadline() -> None:
    done = execution("Succeeded")
    seen = look(done, after=10**6)
    assert (seen.status, seen.execution, seen.known) == ("Succeeded", done, True)


@pytest.mark.parametrize("status", ["Queued", "Validating", "None", "succeeded", ""])
def test_an_unknown_status_is_neither_success_nor_an_end(status: str) -> None:
    seen = look(execution(status), after=60)
    assert (seen.status, seen.wait_seconds, seen.known) == (status, 6, False)


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        ("Failed", PipelineFailed, "failed at 2026-05-04T09:00:00Z"),
        ("Cancelled", PipelineCancelled, "was cancelled at 2026-05-04T09:00:00Z"),
        ("Canceled", PipelineCancelled, "was cancelled at 2026-05-04T09:00:00Z"),
    ],
)
def test_a_run_that_ended_badly_is_told(status: str, error: type, told: str) -> None:
    with pytest.raises(StraightThroughError, match=told) as raised:
        look(execution(status, finished_at="2026-05-04T09:00:00Z"), after=10**6)
    assert type(raised.value) is error
    assert "Execution 7 (e-7) of pipeline p-claims" in str(raised.value)
    assert "redrive the run" in str(raised.value)


@pytest.mark.parametrize("status", ["Started", "Queued"])
def test_a_run_past_its_deadline_is_told_and_one_within_is_not(status: str) -> None:
    assert look(execution(status), after=7199).wait_seconds == 300
    with pytest.raises(PipelineOverdue, match=f"'{status}'.*deadline is 2 h[.]"):
        look(execution(status), after=7201)


ODD_TIMES = [
    *(None, "2027-01-01T00:00:00Z", "1777881600000", "2026-05-04T08:00:00"),
    *("2026-05-04T08:00:00Z[UTC]", "2020-01-01T00:00:00Z", "yesterday"),
]


def looks_at(seconds: int, told: Callable[[str], str | None]) -> int:
    """How often a run of so many seconds is looked at, where `startedAt` is told like this."""
    earlier = []
    for number in range(1, 7):
        made = BEGAN - timedelta(days=number)
        ended = made + timedelta(seconds=seconds * (0.9 + number / 30))
        item = {"id": f"e-{number}", "runNumber": number, "status": "Succeeded"}
        times = {"createdAt": iso(made), "startedAt": told(iso(made)), "finishedAt": iso(ended)}
        earlier.append(item | times)
    ours = {"id": "e-7", "runNumber": 7, "status": "Started", "startedAt": told(iso(BEGAN))}
    listing = reduced([*earlier, ours], ours=["e-7"])
    record: Any = {"quantemplate": RUN, "turn": TURN, "executed_at": iso(BEGAN)}
    elapsed, count = 0, 0
    while elapsed < seconds:
        now = BEGAN + timedelta(seconds=elapsed)
        elapsed += look_at(listing, record, now, attempt(), 200, 300).wait_seconds
        count += 1
    return count


@pytest.mark.parametrize("seconds", [20, 300, 3600, 86400])
@pytest.mark.parametrize(
    "told",
    [
        lambda _: None,
        lambda _: "2027-01-01T00:00:00Z",
        lambda text: str(int(datetime.fromisoformat(text).timestamp() * 1000)),
        lambda text: text.removesuffix("Z"),
        lambda text: f"{text}[UTC]",
    ],
    ids=["missing", "in the future", "epoch milliseconds", "no zone", "[UTC]"],
)
def test_an_odd_start_changes_the_number_of_looks_by_less_than_a_tenth(
    told: Callable[[str], str | None], seconds: int
) -> None:
    plain = looks_at(seconds, lambda text: text)
    assert abs(looks_at(seconds, told) - plain) * 10 < plain


@pytest.mark.parametrize("told", ODD_TIMES)
def test_waits_and_deadlines_go_by_our_own_clock(told: str | None) -> None:
    # Given a run whose own times are odd
    odd = execution("Started", started_at=told, created_at=told)
    # Then it is looked at as any other, and told with our own time
    for after in (0, 100, 3600, 7199):
        usual = look(execution("Started"), after=after, durations=(300,))
        assert look(odd, after=after, durations=(300,)).wait_seconds == usual.wait_seconds
    with pytest.raises(PipelineOverdue, match=r"executed at 2026-05-04T08:00:00.000Z .*2\.0 h "):
        look(odd, after=7201)


@pytest.mark.parametrize("told", ODD_TIMES)
def test_a_record_of_release_1_0_0_has_no_time_of_ours(told: str | None) -> None:
    # Given a record without the time of our Execute, and with odd ones of Quantemplate's
    old: Any = {"executed_at": None, "quantemplate": RUN | {"created_at": told}}
    # Then the attempt's begin counts
    assert look(execution("Started"), after=7199, **old).wait_seconds == 300
    with pytest.raises(PipelineOverdue):
        look(execution("Started"), after=7201, **old)
    # And where the time that it has is one within our own, that counts
    old["quantemplate"] |= {"created_at": "2026-05-04T09:00:00Z"}
    assert look(execution("Started"), after=3600 + 7199, **old).wait_seconds == 300
    with pytest.raises(PipelineOverdue):
        look(execution("Started"), after=3600 + 7201, **old)


def test_a_run_that_was_attached_to_is_waited_for_from_then_on() -> None:
    old = RUN | {"created_at": "2026-04-01T08:00:00Z"}
    attached: Any = {"turn": None, "executed_at": None, "quantemplate": old}
    assert look(execution("Started"), after=7199, **attached).wait_seconds == 300
    with pytest.raises(PipelineOverdue):
        look(execution("Started"), after=7201, **attached)


@pytest.mark.parametrize("status", ["Completed", "TimedOut", "None", "succeeded"])
def test_an_unknown_status_with_an_end_is_an_end(status: str) -> None:
    with pytest.raises(PipelineEndUnknown) as raised:
        look(execution(status, finished_at="2026-05-04T09:00:00Z"), after=10)
    assert f"status {status!r}" in str(raised.value)
    assert "start a new run with the same input" in str(raised.value)


def test_an_end_without_a_time_is_told_without_one() -> None:
    with pytest.raises(PipelineFailed, match="failed at an unknown time"):
        look(execution("Failed"))


def test_a_redrive_waits_on_for_as_long_again() -> None:
    assert look(execution("Started"), after=10**5, redriven_after=10**5).wait_seconds == 1000
    assert look(execution("Started"), after=10**5 + 7199, redriven_after=10**5).wait_seconds == 1071
    with pytest.raises(PipelineOverdue):
        look(execution("Started"), after=10**5 + 7201, redriven_after=10**5)


def test_a_new_run_may_be_missing_from_the_list_for_a_while() -> None:
    seen = look(after=299)
    assert (seen.status, seen.execution, seen.wait_seconds) == ("NotListed", None, 29)


def test_a_run_that_stays_missing_is_told() -> None:
    with pytest.raises(NotFound, match=r"Execution 7 \(e-7\).*is not in the list.*301 s "):
        look(after=301)


def test_a_clock_that_goes_before_quantemplates_waits_all_the_same() -> None:
    assert look(execution("Started"), after=-60).wait_seconds == 1


def test_the_wait_is_until_shortly_before_the_end_that_earlier_runs_let_expect() -> None:
    # Given a pipeline whose runs take five minutes
    known = (300.0, 301.0, 302.0)
    # Then its failures are seen early, and the end at once
    waits = {
        after: look(execution("Started"), after=after, durations=known).wait_seconds
        for after in (0, 160, 290, 300)
    }
    assert waits[0] == 10
    assert 50 <= waits[160] <= 120
    assert waits[290] <= 6
    assert waits[300] <= 6
    # And so it is where the list does not have the run yet
    assert look(after=160, durations=known).wait_seconds == waits[160]


def test_outputs_have_their_file_names() -> None:
    done = execution("Succeeded", outputs=(Output("o-1", "Clean: A/B"), Output("o-2", "Report")))
    assert outputs_of(done.outputs) == [
        {"id": "o-1", "name": "Clean: A/B", "file_name": "Clean: A_B.csv"},
        {"id": "o-2", "name": "Report", "file_name": "Report.csv"},
    ]
    assert outputs_of(()) == []

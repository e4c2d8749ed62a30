"""What people are told of a run that goes on: once, when it has waited for an hour."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from straight_through.attempts import Attempt
from straight_through.errors import (
    ApiThrottled,
    ApiUnavailable,
    AwsDenied,
    AwsUnavailable,
    PipelineBusy,
    WaitedFor,
)
from straight_through.executing.waits import Patience, wait_out
from straight_through.moments import iso
from straight_through.queue.notices import NOTICES, Notices
from straight_through.queue.table import Table
from straight_through.time_left import LAST

PATIENCE = Patience(api_patience_hours=12, busy_deadline_hours=24)
START = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ATTEMPT = Attempt("may", "arn:may", 0, iso(START), iso(START), {})
ABOUT = "file s3://inbox/claims/may.csv, route claims"


class World:
    """A run that waits, and the sweep, with a clock that moves when it is told to."""

    def __init__(self, table: Table) -> None:
        """Begin at START."""
        self.now = START
        self.table = table
        self.notices = Notices(table)
        self.record: Any = {"turn": "x"}
        self.told: list[tuple[str, str]] = []
        self.ended: set[str] = set()
        self.broken: type[BaseException] | None = None
        self.tries = 0
        self.may_look = True
        self.left = 100.0  # seconds of the sweep

    def waits(self, trouble: WaitedFor, hours: float = 0, every: float = 300) -> None:
        """Meet the trouble for so many hours, in looks of so many seconds; sweep meanwhile."""
        until = self.now + timedelta(hours=hours)
        while True:
            record: Any = wait_out(self.record, trouble, ATTEMPT, PATIENCE, self.now)
            record["wait_seconds"] = max(record["wait_seconds"], every)
            self.record = self.notices.follow(ATTEMPT, self.record, record, ABOUT, self.now)
            self.sweep()
            if self.now >= until:
                return
            self.now += timedelta(seconds=every)
            self.sweep()

    def goes_on(self) -> None:
        """What was waited for is over."""
        after: Any = {"turn": "x", "wait_seconds": 1}
        self.record = self.notices.follow(ATTEMPT, self.record, after, ABOUT, self.now)

    def sweep(self) -> None:
        """Tell what is due."""
        ended = lambda arn: {"status": "FAILED"} if arn in self.ended else None  # noqa: E731
        self.notices.tell_due(self._tell, ended, lambda: self.may_look, self.now, lambda: self.left)

    def _tell(self, subject: str, text: str) -> None:
        self.tries += 1
        if self.broken:
            raise self.broken
        self.told.append((subject, text))


@pytest.fixture
def world(table: Table) -> World:
    """Nobody waits yet."""
    return World(table)


@pytest.mark.parametrize(
    ("trouble", "until", "todo"),
    [
        (ApiUnavailable("List Executions: HTTP 503."), "20:00", "can be reached"),
        (
            PipelineBusy("Execution 7 is going on."),
            "2026-05-05 08:00:00 UTC",
            "Look in Quantemplate",
        ),
    ],
)
def test_a_wait_of_an_hour_is_told_once(
    world: World, trouble: WaitedFor, until: str, todo: str
) -> None:
    # Given a wait that has not taken an hour
    world.waits(trouble, 0.9)
    assert world.told == []
    # When it goes on for long
    world.waits(trouble, 5)
    # Then it was told once: which file and route, what for, since when, until when, what to do
    ((subject, text),) = world.told
    assert subject == f"Waits ({type(trouble).__name__}): may"
    since = f"The {ABOUT}, has waited since 2026-05-04 08:00:00 UTC for this:"
    for part in (since, str(trouble), until, todo, "stp show may", "arn:may"):
        assert part in text, text


def test_a_wait_is_told_though_the_sweep_dies_that_tells_it(world: World) -> None:
    # Given a sweep that is killed while it tells
    world.broken = KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        world.waits(ApiUnavailable("Down."), 5)
    world.broken = None
    # When the next one comes, it leaves it to whoever may be at it still
    world.now += timedelta(minutes=1)
    world.sweep()
    assert world.told == []
    # When others come later, it is told once
    world.now += timedelta(minutes=2)
    for _ in range(2):
        world.sweep()
    assert len(world.told) == 1


def test_a_shorter_wait_is_not_told(world: World) -> None:
    # Given a wait that ends at the look before the hour is over, after it was noted
    world.waits(ApiUnavailable("Down."), 0.9)
    assert world.record["waiting"]["noted"]
    world.goes_on()
    world.now += HOUR
    world.sweep()
    assert world.told == []
    # And the next one counts for itself
    world.waits(ApiUnavailable("Down."), 0.9)
    assert world.told == []


def test_a_long_wait_that_was_asked_for_is_told_while_it_is_kept(world: World) -> None:
    # Given a server that asks to be left alone for six hours
    world.waits(ApiThrottled("429", retry_after=6 * 3600), every=0)
    # Then people know after the first one
    assert world.told == []
    world.now += HOUR
    world.sweep()
    world.sweep()
    assert len(world.told) == 1


def test_each_kind_of_wait_is_told_for_itself(world: World) -> None:
    world.waits(ApiUnavailable("Down."), 1.5)
    world.waits(PipelineBusy("Busy."), 1.5)
    assert [subject.partition("(")[2].partition(")")[0] for subject, _ in world.told] == [
        "ApiUnavailable",
        "PipelineBusy",
    ]


def test_a_wait_that_an_unavailable_api_interrupts_is_told_once(world: World) -> None:
    for _ in range(90):
        for trouble in (PipelineBusy("Execution 7 is going on."), ApiUnavailable("Down.")):
            world.waits(trouble)
            world.now += timedelta(seconds=60)
    ((subject, text),) = world.told
    assert "PipelineBusy" in subject
    assert "since 2026-05-04 08:00:00 UTC" in text


def test_a_function_that_notes_it_again_tells_nothing_twice(world: World) -> None:
    # Given a function that dies right after its note, and is called again later
    before = world.record
    world.waits(ApiUnavailable("Down."), 0.9)
    before = {"waiting": {k: v for k, v in world.record["waiting"].items() if k != "noted"}}
    world.now += HOUR
    world.sweep()
    world.record = before
    world.waits(ApiUnavailable("Down."), 2)
    assert len(world.told) == 1


def test_nothing_is_told_of_a_run_that_has_ended(world: World) -> None:
    world.waits(ApiUnavailable("Down."), 0.9)
    world.ended.add("arn:may")
    world.now += HOUR
    world.sweep()
    assert world.told == []
    assert list(world.table.items(NOTICES)) == []


def test_a_message_that_failed_is_told_by_the_next_sweep(world: World) -> None:
    world.waits(ApiUnavailable("Down."), 0.9)
    world.now += HOUR
    world.broken = ConnectionError
    with pytest.raises(ConnectionError):
        world.sweep()
    world.broken = None
    world.sweep()
    assert len(world.told) == 1


def test_one_odd_notice_keeps_no_other_back(world: World) -> None:
    world.waits(ApiUnavailable("Down."), 0.9)
    odd: tuple[str, str] = (NOTICES, "an odd one")
    world.table.update(odd, "SET #due = :due", due=iso(START))
    world.now += HOUR
    with pytest.raises(KeyError):
        world.sweep()
    assert len(world.told) == 1


def test_a_sweep_without_looks_leaves_it_to_the_next_one(world: World) -> None:
    # Given a notice that is due, and a sweep that has asked as often as it may
    world.waits(ApiUnavailable("Down."), 0.9)
    world.now += HOUR
    world.may_look = False
    world.sweep()
    assert world.told == []
    # When the next one comes, it is told
    world.may_look = True
    world.sweep()
    assert len(world.told) == 1


def test_a_sweep_that_is_about_to_be_killed_leaves_it_to_the_next_one(world: World) -> None:
    world.waits(ApiUnavailable("Down."), 0.9)
    world.now += HOUR
    world.left = LAST - 1
    world.sweep()
    assert world.told == []
    world.left = LAST
    world.sweep()
    assert len(world.told) == 1


@pytest.mark.parametrize("error", [AwsUnavailable, AwsDenied])
def test_a_topic_that_does_not_answer_is_asked_once_a_sweep(
    world: World, error: type[Exception]
) -> None:
    # Given three notices that are due, and a topic that takes nothing
    for name in ("may", "june", "july"):
        attempt = Attempt(name, f"arn:{name}", 0, iso(START), iso(START), {})
        state: Any = wait_out({}, ApiUnavailable("Down."), attempt, PATIENCE, START)
        state["wait_seconds"] = 2 * HOUR.total_seconds()
        world.notices.follow(attempt, {}, state, ABOUT, START)
    world.now += HOUR
    world.broken = error
    # When the sweep comes
    with pytest.raises(error):
        world.sweep()
    # Then it asks once: each would take as long
    assert world.tries == 1
    # And all are told when the topic is back
    world.broken = None
    world.sweep()
    assert len(world.told) == 3


def test_the_reason_is_bounded(world: World) -> None:
    world.waits(ApiUnavailable("x" * 100_000), 1.5)
    ((_, text),) = world.told
    assert len(text) < 4096

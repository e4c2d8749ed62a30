"""The waits between two looks."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantemplate.times import seconds_between, seconds_since
from straight_through.executing.waits import next_wait
from tests.bench.detection import (
    EVENTS_A_LOOK,
    WEEK,
    Case,
    cases,
    delay_and_checks,
    holds,
    measured,
)

SECONDS = st.floats(0, 10**9)
DURATIONS = st.lists(st.floats(0.001, 10**8), min_size=1, max_size=12)
NONSENSE = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=12)
MOST_EVENTS = 20_000  # of the 25,000 that Step Functions keeps
NOW = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)


# --- for every history --------------------------------------------------------------------------
@given(SECONDS, NONSENSE)
def test_a_wait_is_whole_and_within_its_bounds(elapsed: float, durations: list[float]) -> None:
    assert isinstance(next_wait(elapsed, durations), int)
    assert 1 <= next_wait(elapsed, durations) <= max(300, elapsed / 100)


@given(SECONDS, st.lists(st.sampled_from([0.0, -1.0, float("nan"), float("inf")])))
def test_durations_that_are_none_are_no_history(elapsed: float, nothing: list[float]) -> None:
    assert next_wait(elapsed, nothing) == next_wait(elapsed)
    assert next_wait(elapsed, [*nothing, 60.0]) == next_wait(elapsed, [60.0])


@given(SECONDS, DURATIONS, st.randoms(use_true_random=False))
def test_the_order_of_the_durations_does_not_count(
    elapsed: float, durations: list[float], chance: object
) -> None:
    mixed = list(durations)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert next_wait(elapsed, mixed) == next_wait(elapsed, durations)


@given(st.floats(0, WEEK), st.floats(0, WEEK), DURATIONS)
def test_who_looks_later_looks_again_later(
    one: float, other: float, durations: list[float]
) -> None:
    earlier, later = sorted((one, other))
    next_look = later + next_wait(later, durations)
    assert next_look >= earlier + next_wait(earlier, durations) - 1  # a wait is whole


@given(SECONDS, SECONDS)
def test_without_a_history_waits_never_shrink(one: float, other: float) -> None:
    earlier, later = sorted((one, other))
    assert next_wait(earlier) <= next_wait(later)


@given(st.floats(0, 10**5))
def test_without_a_history_the_end_is_seen_within_a_tenth_of_the_run(elapsed: float) -> None:
    assert next_wait(elapsed) <= max(elapsed / 10, 1)


@given(st.floats(0, 10**6), NONSENSE)
def test_a_run_that_ends_far_too_early_is_seen_after_as_long_again(
    ran: float, durations: list[float]
) -> None:
    # Given a run that ends right after a look, long before anybody expects it
    usual = [ran * 20 + 100] * 3
    # Then it is seen after as long again as it ran, or ten seconds
    assert next_wait(ran, usual) <= max(ran, 10)
    # And the time since the longest known run is all that may lengthen a wait
    assert next_wait(ran, [*durations, *usual]) <= max(ran, 10)


@given(st.floats(1, WEEK), st.floats(1, WEEK))
def test_one_strange_run_among_ten_changes_little(usual: float, strange: float) -> None:
    # Given ten alike, and one of any length
    alike = [usual] * 10
    # Then looks at the usual end are at most a twentieth of it apart
    assert next_wait(usual, [*alike, strange]) <= max(usual / 20, 1)


def looks_in_a_week(durations: list[float]) -> int:
    """How many looks a run of seven days takes."""
    return delay_and_checks(WEEK, next_wait, durations)[1]


@pytest.mark.parametrize("seconds", [1, 20, 300, 3600, 86_400, 3 * 86_400, WEEK])
@pytest.mark.parametrize("others", [(1,), (1, 1), (0.5, 2), (0.001, 1000), (1,) * 10])
def test_a_run_of_a_week_fits_into_the_history_of_an_execution(
    seconds: float, others: tuple[float, ...]
) -> None:
    durations = [seconds * other for other in others]
    assert looks_in_a_week(durations) * EVENTS_A_LOOK < MOST_EVENTS


def test_a_first_run_of_a_week_fits_into_the_history_of_an_execution() -> None:
    assert looks_in_a_week([]) * EVENTS_A_LOOK < MOST_EVENTS


# --- the targets, in virtual time ---------------------------------------------------------------
@pytest.mark.parametrize("case", cases(runs=400), ids=str)
@pytest.mark.parametrize("known", [3, 10])
def test_the_end_is_seen_soon_and_with_few_looks(case: Case, known: int) -> None:
    # Given pipelines with so many earlier runs, lognormal around this duration
    # When their ends are looked for
    found = measured(case, known=known)
    # Then the mean delay and the mean number of looks are within their limits
    assert found.delay <= case.most_delay
    assert found.checks <= case.most_checks


def test_the_limits_tell_a_worse_rule() -> None:
    # Given the rules that look every second, every half minute, and at every tenth of the time
    rules = {
        "every second": lambda _elapsed, _durations: 1,
        "every 30 s": lambda _elapsed, _durations: 30,
        "growing": lambda elapsed, _durations: next_wait(elapsed),
    }
    # Then none of them keeps them all
    for rule in rules.values():
        assert not all(holds(case, measured(case, rule)) for case in cases(runs=20))


def test_delay_and_checks_are_counted_in_virtual_time() -> None:
    # Given looks at 10, 20 and 30 seconds, of which each takes half a second more
    delay, checks = delay_and_checks(20.75, lambda _elapsed, _durations: 10, [], look_seconds=0.5)
    # Then the end is seen by the third, at 31 seconds, and told at 31.5
    assert (delay, checks) == (10.75, 3)


# --- moments ------------------------------------------------------------------------------------
@pytest.mark.parametrize("moment", ["2026-05-04T07:59:00Z", "2026-05-04T09:59:00.000+02:00"])
def test_moments_are_read_with_any_zone(moment: str) -> None:
    assert seconds_since(moment, NOW) == 60


NO_MOMENTS = [
    *(None, "", "yesterday", "2026-05-04", 1777881540, "1777881540000"),
    "1712123100000",  # which Python reads as a day in 1712
    "2026-05-04T07:59:00Z[UTC]",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59Z",
]


@pytest.mark.parametrize("moment", [*NO_MOMENTS, "2026-05-04T07:59:00"])
def test_what_is_no_moment_gives_none(moment: str | None) -> None:
    assert seconds_since(moment, NOW) is None


@pytest.mark.parametrize("zone", ["", "Z", "+02:00"])
def test_between_two_times_of_one_clock_seconds_are_counted_without_a_zone_too(zone: str) -> None:
    begun, ended = f"2026-05-04T07:59:00{zone}", f"2026-05-04 08:01:30{zone}"
    assert seconds_between(begun, ended) == 150
    others: tuple[Any, ...] = (*NO_MOMENTS, "2026-05-04T07:59:00" + ("" if zone else "Z"))
    for other in others:
        assert seconds_between(begun, other) is None
        assert seconds_between(other, ended) is None


ALIKE, APART, SHORT = (600, 605, 610, 612, 620), (60, 90, 120, 300, 900), (30, 31, 33)
CHOSEN = {  # for the durations known: each time of a run, with the wait that `next_wait` explains
    ALIKE: {0: 10, 120: 120, 300: 149, 500: 30, 580: 12, 600: 10, 640: 9, 1500: 87, 4000: 300},
    APART: {0: 10, 15: 15, 40: 20, 80: 12, 120: 9, 300: 18, 600: 40, 900: 70, 1500: 130},
    SHORT: {5: 10, 15: 7, 40: 1, 80: 4, 300: 26, 1500: 146},
}
EACH = [(known, then, wait) for known, waits in CHOSEN.items() for then, wait in waits.items()]


@pytest.mark.parametrize(("durations", "elapsed", "wait"), EACH)
def test_the_waits_rise_and_fall_as_the_chance_of_an_end_does(
    durations: tuple[int, ...], elapsed: int, wait: int
) -> None:
    assert next_wait(elapsed, durations) == wait

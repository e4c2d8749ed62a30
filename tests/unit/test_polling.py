"""The waits between two looks."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from straight_through.polling import next_wait, seconds_since

SECONDS = st.floats(0, 10**9)
NOW = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)


@given(SECONDS)
def test_a_wait_is_whole_and_within_its_bounds(elapsed: float) -> None:
    assert isinstance(next_wait(elapsed), int)
    assert 1 <= next_wait(elapsed) <= 300


@given(SECONDS, SECONDS)
def test_waits_never_shrink(one: float, other: float) -> None:
    earlier, later = sorted((one, other))
    assert next_wait(earlier) <= next_wait(later)


@given(st.floats(10, 3000))
def test_the_end_is_seen_within_a_tenth_of_the_run(elapsed: float) -> None:
    assert next_wait(elapsed) <= elapsed / 10 + 1


def test_a_run_of_a_week_fits_into_the_history_of_an_execution() -> None:
    # Given virtual time
    elapsed, looks = 0, 0
    # When a run of a week is looked at again and again
    while elapsed < timedelta(days=7).total_seconds():
        elapsed += next_wait(elapsed)
        looks += 1
    # Then its looks (9 events each) stay below the 25,000 events of Step Functions
    assert looks * 9 < 20_000


@pytest.mark.parametrize(
    "moment", ["2026-05-04T07:59:00Z", "2026-05-04T09:59:00.000+02:00", "2026-05-04T07:59:00"]
)
def test_moments_are_read_with_any_zone_and_as_utc_without_one(moment: str) -> None:
    assert seconds_since(moment, NOW) == 60


@pytest.mark.parametrize("moment", [None, "", "yesterday", 1777881540])
def test_what_is_no_moment_gives_none(moment: str | None) -> None:
    assert seconds_since(moment, NOW) is None

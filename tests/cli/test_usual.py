"""What stands out among the runs of a route."""

import pytest

from stp.usual import Seen, unusual


def run(name: str, **known: object) -> Seen:
    """A run of a minute with 100 rows that ended well."""
    usual = {"route": "claims", "seconds": 60.0, "rows": 100, "running": False, "ended_well": True}
    return Seen(name, **{**usual, **known})  # type: ignore[arg-type]


USUAL = [run(f"r{n}") for n in range(3)]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (0, "no rows"),
        (24, "few rows: usual are about 100"),
        (25, None),
        (1000, None),
        (None, None),
    ],
)
def test_a_file_with_hardly_any_rows_stands_out(rows: int | None, words: str | None) -> None:
    told = unusual([*USUAL, run("new", rows=rows, ended_well=False)])
    assert told == ({"new": {"rows": words}} if words else {})


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(121.0, "late: its route's runs take about 1 min"), (120.0, None)],
)
def test_a_run_that_takes_twice_as_long_as_usual_is_late(seconds: float, words: str | None) -> None:
    going = run("new", seconds=seconds, running=True, ended_well=False, rows=None)
    told = unusual([*USUAL, going])
    assert told == ({"new": {"late": words}} if words else {})


def test_nothing_is_usual_of_a_route_with_few_runs_or_of_another_route() -> None:
    # Given two runs of the route, and many of another
    others = [run(f"o{n}", route="premiums", rows=10_000) for n in range(5)]
    going = run("long", seconds=3601.0, running=True, ended_well=False, rows=None)
    # Then a small file is none of few rows, but an empty one is, and what takes an hour is late
    told = unusual([*USUAL[:2], *others, run("new", rows=1, ended_well=False), going])
    assert told == {"long": {"late": "late: it takes over an hour"}}
    assert unusual([run("none", rows=0, route=None)]) == {"none": {"rows": "no rows"}}


def test_a_short_run_is_not_late_within_half_a_minute() -> None:
    quick = [run(f"r{n}", seconds=2.0) for n in range(3)]
    going = run("new", seconds=29.0, running=True, ended_well=False, rows=None)
    assert not unusual([*quick, going])

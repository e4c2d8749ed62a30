"""By which revision of its pipeline each run of a route was processed, and which was before."""

from typing import Any

import pytest

from straight_through.queue.pipelines import Pipelines, version_before
from straight_through.queue.table import Table

IDS: Any = {"organisation_id": "c-broker", "pipeline_id": "p-claims"}


@pytest.fixture
def pipelines(table: Table) -> Pipelines:
    """What the table knows of pipelines."""
    return Pipelines(table)


def made(number: int, version: int | None, route: str = "claims", before: int | None = None) -> Any:
    """What a run's Execute has made."""
    versions = {"pipeline_version": version, "pipeline_version_before": before}
    return IDS | versions | {"route": route, "run_number": number}


def before(pipelines: Pipelines, run: str, route: str = "claims") -> int | None:
    """The revision that a run finds before it."""
    return version_before(pipelines.known(IDS), route, run)


def test_each_route_has_its_own_run_before(pipelines: Pipelines) -> None:
    # Given a pipeline that nobody has used
    assert before(pipelines, "may") is None
    # When two routes use it, one of them before and after it changes
    pipelines.executed("may", made(1, 13))
    pipelines.executed("eu-may", made(2, 14, route="claims/eu"))
    # Then each knows its own
    assert before(pipelines, "june") == 13
    assert before(pipelines, "eu-june", "claims/eu") == 14
    assert before(pipelines, "x", "claims/eu/x") is None
    # And the highest number is kept by the same write
    assert pipelines.highest(IDS) == 2


def test_a_run_that_executes_anew_has_the_run_before_it_still(pipelines: Pipelines) -> None:
    pipelines.executed("may", made(1, 12))
    pipelines.executed("june", made(2, 13, before=before(pipelines, "june")))
    # When the second is executed once more, by a mended pipeline
    assert before(pipelines, "june") == 12
    pipelines.executed("june", made(3, 14, before=12))
    # Then the next one's before is the mended one
    assert before(pipelines, "july") == 14


def test_one_that_was_made_earlier_and_is_noted_later_changes_nothing(pipelines: Pipelines) -> None:
    pipelines.executed("june", made(8, 14))
    pipelines.executed("may", made(7, 13))
    pipelines.executed("june", made(8, 99))
    assert before(pipelines, "july") == 14
    assert pipelines.highest(IDS) == 8


def test_it_is_kept_also_where_a_higher_number_was_seen_meanwhile(pipelines: Pipelines) -> None:
    pipelines.seen(IDS, 9)
    pipelines.executed("may", made(8, 13))
    assert (before(pipelines, "june"), pipelines.highest(IDS)) == (13, 9)


def test_a_version_that_was_not_told_is_not_known(pipelines: Pipelines) -> None:
    pipelines.executed("may", made(1, 13))
    pipelines.executed("june", made(2, None, before=13))
    assert before(pipelines, "july") is None

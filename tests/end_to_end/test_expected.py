"""A file that should have come: people are told when it is late, and when it has come after all."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from local.quantemplate import Control
from straight_through.moments import iso, said
from straight_through.queue.arrivals import EXPECTS
from straight_through.queue.table import Table
from tests.cli.conftest import Stp, credentials, local_stp, stp
from tests.end_to_end.mailbox import Mailbox
from tests.end_to_end.road import Road, Route
from tests.end_to_end.stack import make_route

__all__ = ["credentials", "local_stp", "stp"]
LONDON = ZoneInfo("Europe/London")
RULE = {
    "file": "claims-{period}.csv",
    "every": "month",
    "by": "working day 5, 17:00",
    "zone": str(LONDON),
    "holidays": "GB-ENG",
    "at_least": {"rows": 1},
}


@pytest.fixture
def table(road: Road) -> Table:
    """The stack's own table."""
    (name,) = road.client("dynamodb").list_tables()["TableNames"]
    return Table(road.client("dynamodb"), name)


def known(table: Table, route: Route) -> dict[str, Any]:
    """What the sweep has noted of a route."""
    return table.get((EXPECTS, route.name)) or {}


def told(local_stp: Stp, route: Route) -> dict[str, Any]:
    """What the command tells of a route."""
    done = local_stp("--json", "expected")
    assert done.code == 0, done.err
    (found,) = [each for each in done.json if each["route"] == route.name]
    return dict(found)


def test_a_late_file_is_told_once_and_once_more_when_it_has_come(
    road: Road, stand_in: Control, table: Table, mailbox: Mailbox, local_stp: Stp
) -> None:
    # Given a route that expects a file, which the sweep has read
    route = make_route(road, stand_in, "Copy", expect=RULE)
    road.until(lambda: known(table, route).get("due"), "what is expected")
    found = told(local_stp, route)
    file = f"claims-{known(table, route)['name']}.csv"
    assert (found["next"], found["owed"]) == (file, [])
    # When its day is over, and a file without rows has come
    road.processed(f"{route.name}/{file}", b"reference\n")
    due = iso(datetime.now(UTC) - timedelta(minutes=30))
    table.update((EXPECTS, route.name), "SET #due = :due", due=due)

    # Then people are told
    def messages(subject: str) -> list[str]:
        about = mailbox.messages(f"route {route.name}")
        return [each["Message"] for each in about if each["Subject"].startswith(subject)]

    road.until(lambda: messages(f"Late: {file}"), "the message of a late file")
    (late,) = messages("Late: ")
    assert f"with at least 1 row was expected by {said(due, LONDON)} and has not come" in late
    assert f"{route.name}/{file} came at" in late
    assert [each["file"] for each in told(local_stp, route)["owed"]] == [file]
    # When it comes after all
    run = road.processed(f"{route.name}/{file}", b"reference\n1\n")
    assert run.status == "SUCCEEDED", run.cause
    # Then they are told that, and nothing is owed any more
    road.until(lambda: messages(f"Has come: {file}"), "the message of its coming")
    assert told(local_stp, route)["owed"] == []
    assert (len(messages("Late: ")), len(messages("Has come: "))) == (1, 1)
    # And what is expected next is the file of the next period
    assert told(local_stp, route)["next"] not in (None, file)

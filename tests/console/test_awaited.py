"""What should come, on the page's front: what is late, what waits for others, what is due."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from straight_through.moments import iso
from straight_through.queue.arrivals import EXPECTS, arrivals_of
from straight_through.queue.items import Arrival, ExpectItem, SetItem
from tests.console.console import Console
from tests.console.many import IDS, ROUTES_PATH, Many
from tests.end_to_end.aws import running_aws

NOW = datetime.now(UTC)
RULE = {"file": "claims-{period}.csv", "every": "month", "by": "working day 5, 17:00"}
MEMBERS = [
    {"file": "cash-{period}.csv", "dataset_id": "d-2"},
    {"file": "loss-{period}.csv", "dataset_id": "d-3"},
]
OWES: ExpectItem = {
    "rev": 3,
    "file": RULE["file"],
    "rows": 1,
    "name": "2026-12",
    "due": iso(NOW + timedelta(days=3)),
    "owed": {"2026-11": {"due": iso(NOW - timedelta(hours=2)), "told": True}},
}
HAS: ExpectItem = {**OWES, "file": "prem-{period}.csv", "owed": {}}
GONE: ExpectItem = {**OWES, "file": "gone-{period}.csv", "gone": iso(NOW)}
CAME: Arrival = {"key": "premiums/prem-2026-12.csv", "at": iso(NOW), "rows": 2}
FEW: Arrival = {"key": "claims/claims-2026-12.csv", "at": iso(NOW), "rows": 0}
SOURCE: Any = {"key": "both/cash-2026-10.csv", "dropped_at": iso(NOW)}
WAITS: SetItem = {
    "route": "both",
    "period": "2026-10",
    "members": {"cash-{period}.csv": {"run": "cash-run", "order": "1", "source": SOURCE}},
    "missing": ["loss-{period}.csv"],
    "version": 0,
    "since": iso(NOW - timedelta(hours=1)),
}


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Many]:
    """A stack with a run, and one route that expects nothing."""
    with running_aws(tmp_path / "log", "--port", "0") as (endpoint, _):
        many = Many(endpoint, ["plain"])
        many.start([("plain-run", {"bucket": "inbox", "key": "plain/a.csv"})])
        yield many


@pytest.fixture
def console(page: Page, many: Many) -> Iterator[Console]:
    """The console of that stack, which meets no error."""
    console = Console(page, many.client("ssm").meta.endpoint_url)
    yield console
    assert not console.errors


def expecting(many: Many) -> None:
    """Deploy two routes that expect files, and one that gathers a set."""
    both = {"organisation_id": "c-1", "pipeline_id": "p-3"}
    documents: dict[str, Any] = {
        "claims": {**IDS, "pipeline_id": "p-1", "expect": RULE},
        "premiums": {**IDS, "pipeline_id": "p-2", "expect": {**RULE, "file": HAS["file"]}},
        "both": {**both, "set": {"period": "{period}", "members": MEMBERS}},
    }
    for name, document in documents.items():
        text = json.dumps(document)
        many.client("ssm").put_parameter(Name=f"{ROUTES_PATH}/{name}", Value=text, Type="String")


def asked(page: Page) -> list[str]:
    """The partitions that the page asks for from now on, as they are asked."""
    found: list[str] = []

    def note(request: Any) -> None:
        if request.headers.get("x-amz-target", "").endswith(".Query"):
            found.append(json.loads(request.post_data)["ExpressionAttributeValues"][":pk"]["S"])

    page.on("request", note)
    return found


def test_nothing_is_shown_or_asked_where_no_route_expects_anything(
    console: Console, many: Many
) -> None:
    # Given what a route that is gone has left
    many.put((EXPECTS, "plain"), OWES)
    queries = asked(console.page)
    # When the front has shown a run and what stands out of it
    console.open()
    expect(console.page.locator(".bar-of")).to_have_count(1)
    with console.page.expect_request("**/unusual.json"):
        pass
    # Then nobody was asked for more
    expect(console.page.get_by_role("region", name="What should come")).to_have_count(0)
    assert queries == []


def test_who_owes_what_and_which_sets_wait_is_on_the_front(console: Console, many: Many) -> None:
    # Given routes that expect files, and one that gathers a set
    expecting(many)
    # and of which one file is late, one has come, and one has no rows; and one set waits
    late = {"due": iso(datetime.now(UTC) - timedelta(hours=2, minutes=9)), "told": True}
    many.put((EXPECTS, "claims"), {**OWES, "owed": {"2026-11": late}})
    many.put((EXPECTS, "premiums"), HAS)
    many.put((EXPECTS, "plain"), GONE)
    many.put((arrivals_of("premiums", "2026-12"), "plain-run"), CAME)
    many.put((arrivals_of("claims", "2026-12"), "few-run"), FEW)
    many.put(("sets", "both#2026-10"), WAITS)
    many.put(("sets", "both#2026-09"), {k: v for k, v in WAITS.items() if k != "since"})
    # When a person opens the page
    console.open()
    awaited = console.page.get_by_role("region", name="What should come")
    # Then what is late is said first, then what waits, what is due and what has come
    lines = awaited.locator("li")
    expect(lines).to_contain_text(
        [
            "claims-2026-11.csvlate · due",
            "set 2026-10has waited for loss-{period}.csv since",
            "claims-2026-12.csvdue",
            "prem-2026-12.csvhas come · due",
        ]
    )
    expect(lines.first).to_contain_text(re.compile(r"2 h \d+ min ago · route claims"))
    assert not console.barriers()
    # and a file that is there leads to its run
    expect(awaited.get_by_role("link", name="both/cash-2026-10.csv")).to_have_attribute(
        "href", "#/runs/cash-run"
    )
    awaited.get_by_role("link", name="premiums/prem-2026-12.csv").click()
    expect(console.page).to_have_url(f"{console.endpoint}/_local/console/#/runs/plain-run")
    # where it is not beside the run
    expect(awaited).to_be_hidden()


def test_many_that_are_late_are_shown_on_request(console: Console, many: Many) -> None:
    # Given a route that owes more files than the front has room for
    expecting(many)
    owed = {f"2020-{n:02}": {"due": iso(NOW), "told": True} for n in range(1, 13)}
    many.put((EXPECTS, "claims"), {**OWES, "owed": owed})
    console.open()
    lines = console.page.get_by_role("region", name="What should come").locator("li.bad")
    expect(lines).to_have_count(8)
    # When all are asked for
    console.page.get_by_role("button", name="Show all").click()
    # Then they are there
    expect(lines).to_have_count(12)

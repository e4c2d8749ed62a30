"""The page where there are more runs than it lists, in a real browser."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.console.console import Console
from tests.console.many import Many
from tests.end_to_end.aws import running_aws

NEWER = 1020  # runs that are newer than those that are looked for: more than a page of the list
HELD = "held/claims/old-held/manifest.json"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A stack with an old run of each kind, and many newer ones that ended well."""
    log = tmp_path_factory.mktemp("many") / "log"
    with running_aws(log, "--port", "0") as (endpoint, _):
        many = Many(endpoint, ["claims", "premiums"])
        old: dict[str, dict[str, Any]] = {
            "old-failed": {"key": "claims/Failed.csv", "fails": True},
            "old-held": {"key": "claims/held.csv", "result": {"status": "Held"}},
            "old-going": {"key": "premiums/going.csv", "waits": True},
        }
        for name, given in old.items():
            many.start([(name, {"bucket": "inbox", **given})])
        known = {"route": "claims", "queue": "p-claims"}
        many.record("old-held", **known, held=HELD)
        posted = {"organisation_id": "c-1", "pipeline_id": "p-claims"}
        many.record("old-failed", **known, posted=posted)
        many.record("old-going", route="premiums", queue="p-premiums")
        rows = {"status": "Succeeded", "route": "claims", "rows_in": 1200, "rows_out": {"A": 900}}
        many.start(
            (f"new-{n:04}", {"bucket": "inbox", "key": f"claims/{n:04}.csv", "result": rows})
            for n in range(NEWER)
        )
        yield endpoint


@pytest.fixture
def console(page: Page, endpoint: str) -> Iterator[Console]:
    """The console of that stack, which meets no error."""
    console = Console(page, endpoint)
    yield console
    assert not console.errors


@pytest.mark.parametrize(
    ("label", "chosen", "found"),
    [
        ("Only runs with this result", "Ended badly", "claims/Failed.csv"),
        ("Only runs with this result", "Held", "claims/held.csv"),
        ("Only runs with this result", "Running", "premiums/going.csv"),
        ("Only runs of this route", "premiums", "premiums/going.csv"),
        ("Only runs with this text", "failed", "claims/Failed.csv"),
    ],
)
def test_filters_reach_every_run(console: Console, label: str, chosen: str, found: str) -> None:
    # Given a list that shows the newest runs, with their rows
    console.open()
    expect(console.page.locator("#runs a.run").first).to_contain_text("1,200 → 900 rows")
    expect(console.listed(found)).to_have_count(0)
    # When a filter is set that an old run fits
    field = console.page.get_by_label(label)
    if "text" in label:
        field.fill(chosen)
    else:
        field.select_option(chosen)
    # Then it is found, and that it is the only one
    expect(console.listed(found)).to_have_count(1)
    note = console.page.locator(".side .under")
    expect(note).to_contain_text("These are all: 1 run.")
    # and of what there is not, it is said when all were looked at
    console.page.get_by_label("Only runs with this text").fill("nowhere")
    expect(note).to_contain_text("No run is like this.")


def test_older_runs_are_shown_on_request(console: Console) -> None:
    console.open()
    expect(console.page.locator("#runs a.run")).to_have_count(100)
    console.press("Show more")
    expect(console.page.locator("#runs a.run").nth(100)).to_be_visible()


def test_keys_and_colours_are_a_persons_choice(console: Console) -> None:
    # Given a person who asks what keys do
    keys, page = console.page.keyboard, console.open().page
    expect(page.locator("#runs a.run").first).to_be_visible()
    keys.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("look for a run")
    assert not console.barriers()
    keys.press("Escape")
    # Then keys do that
    keys.press("/")
    expect(page.get_by_label("Only runs with this text")).to_be_focused()
    # and the colours are those that were chosen, also when the page is opened again
    page.get_by_role("button", name="Colours").click()
    page.get_by_role("button", name="Colours: light").click()
    page.reload()
    expect(page.get_by_role("button", name="Colours: dark")).to_be_visible()
    shade = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert shade == "rgb(14, 17, 23)"


def test_all_runs_are_seen_at_a_glance_and_lead_into_one(console: Console) -> None:
    # Given the page's front
    console.open()
    row = console.page.get_by_role("region", name="At a glance: p-claims")
    # Then each queue has a row, and what is held or has failed has a bar and is counted
    expect(console.page.get_by_role("region", name="At a glance: p-premiums")).to_contain_text(
        "1 running"
    )
    expect(row.locator(".bar-of.bad")).to_have_count(1)
    expect(row.locator(".bar-of.held")).to_have_count(1)
    # and a count lists them
    row.get_by_role("button", name="1 held").click()
    expect(console.listed("claims/held.csv")).to_have_count(1)
    expect(console.listed("claims/")).to_have_count(1)
    # and a bar leads to its run
    console.press("Last day")
    row.locator(".bar-of.bad").click()
    console.is_of("old-failed")
    # which says where Quantemplate shows why it failed
    there = console.page.get_by_role("link", name="The pipeline in Quantemplate")
    expect(there).to_have_attribute("href", "https://qt.example/p-claims")

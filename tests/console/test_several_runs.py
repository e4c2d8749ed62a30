"""What is done with several runs at once, chosen in the list."""

from playwright.sync_api import Locator, expect

from local.quantemplate import Control
from tests.console.console import Console
from tests.console.test_console import TEXT, end_of, never_ending
from tests.end_to_end.road import Road, Route
from tests.end_to_end.stack import make_route

__all__ = ["never_ending"]
REPORT = "Validation report: Sheet 1"


def choose_both(console: Console, route: Route) -> None:
    """Choose the runs of april and may in the list of a route's runs."""
    console.page.get_by_label("Only runs of this route").select_option(route.name)
    for month in ("april", "may"):
        console.page.get_by_label(f"Choose {route.name}/{month}.csv").check()


def listed(console: Console, result: str) -> Locator:
    """The list's runs of a result."""
    return console.page.locator("#runs a.run").filter(has_text=result)


def test_several_runs_are_chosen_laid_side_by_side_and_run_again(
    console: Console, copy_route: Route
) -> None:
    # Given two runs of a route, the second of which has another column and more rows
    page = console.page
    console.open().drop(copy_route.name, april=TEXT)
    console.shows("Succeeded")
    console.drop(copy_route.name, may="Reference,Amount,Paid\nA-1,10,1\nA-2,20,2\n")
    expect(page.locator(".head h2")).to_have_text(f"{copy_route.name}/may.csv")
    console.shows("Succeeded")
    # When both are chosen and laid side by side
    choose_both(console, copy_route)
    page.get_by_role("link", name="Side by side").click()
    # Then what differs is marked
    table = page.get_by_role("region", name="Two runs")
    expect(table.get_by_role("row", name="≠ rows in")).to_contain_text("1")
    columns = table.get_by_role("row", name="≠ columns of Copy")
    expect(columns).to_contain_text("Reference, Amount, Paid")
    assert not console.barriers()
    # When both are run again
    page.go_back()
    console.press("Run again 2")
    # Then each is, and nothing is chosen any more
    expect(page.locator("#runs a.run").filter(has_text="Succeeded")).to_have_count(4)
    expect(page.get_by_role("group", name="With the chosen runs")).to_be_hidden()


def test_those_that_are_chosen_are_stopped_and_redriven(
    console: Console, stand_in: Control, never_ending: Route
) -> None:
    # Given a run that goes on, and one that waits behind it
    console.open().drop(never_ending.name, april=TEXT, may=TEXT)
    choose_both(console, never_ending)
    # When both are stopped, then both are
    console.press("Stop 2")
    expect(listed(console, "Aborted")).to_have_count(2)
    # And when both are redriven, then both go on to their ends
    choose_both(console, never_ending)
    console.press("Redrive 2")
    expect(listed(console, "Aborted")).to_have_count(0)
    end_of(never_ending, stand_in)
    expect(listed(console, "Succeeded")).to_have_count(2)


def test_those_that_a_gate_holds_are_released(
    console: Console, road: Road, stand_in: Control
) -> None:
    # Given two runs that a gate holds
    route = make_route(road, stand_in, REPORT, hold_if_rows=[REPORT])
    console.open().drop(route.name, april=TEXT, may=TEXT)
    choose_both(console, route)
    expect(listed(console, "Held")).to_have_count(2)
    # When both are released
    console.press("Release 2")
    # Then a run of its own publishes each
    expect(listed(console, "Succeeded")).to_have_count(2)
    releases = [str(one.get_attribute("title")) for one in listed(console, "Succeeded").all()]
    assert all("-release-" in name for name in releases)
    # and none is offered to be released again
    page = console.page
    expect(page.get_by_role("button", name="Release 2", exact=True)).to_have_count(0)

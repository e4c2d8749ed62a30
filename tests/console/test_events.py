"""A stack that takes events: the page's picture shows the wait for one, and goes on after it."""

from playwright.sync_api import Page, expect

from tests.console.console import Console
from tests.end_to_end.road import Route
from tests.end_to_end.test_events import Hearing, hearing, route

__all__ = ["hearing", "route"]
WAITS = '.picture .state.current[data-state="WaitForEvent"]'


def test_the_picture_wakes_with_an_event(page: Page, hearing: Hearing, route: Route) -> None:
    # Given a run whose pipeline takes an hour, and that waits for an event
    console = Console(page, hearing.road.endpoint)
    console.open().drop(route.name, may="a,b\n1,2\n")
    console.shows("Running")
    expect(page.locator(WAITS)).to_have_count(1)
    # When the pipeline ends, and Quantemplate says so
    hearing.stand_in.finish(hearing.runs(route)[-1]["id"])
    # Then the picture goes on to the end
    console.shows("Succeeded")
    assert not console.lit("current")
    assert console.errors == []

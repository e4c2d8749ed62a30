"""One browser for all tests of a file, and a page of its own for each of them."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from local.quantemplate import Control
from tests.console.browser import WIDE, NoBrowser, executable, launched
from tests.console.console import Console
from tests.end_to_end.road import Road

DEADLINE = 30_000  # milliseconds, far beyond what anything here takes


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a browser where there is none, as `make test` says; CI fails without."""
    try:
        executable()
    except NoBrowser:
        if "CI" in os.environ:
            raise
        needing = [item for item in items if "playwright" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=needing)
        items[:] = [item for item in items if item not in needing]


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """What drives all browsers of a process: there can be one only."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """A browser."""
    expect.set_options(timeout=DEADLINE)
    with launched(playwright) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page without a history, of a reader who wants no motion."""
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce")
    context.set_default_timeout(DEADLINE)
    yield context.new_page()
    context.close()


@pytest.fixture
def console(page: Page, road: Road, stand_in: Control) -> Iterator[Console]:
    """The console of the whole application; it must speak to nobody else and meet no error."""
    console = Console(page, road.endpoint)
    yield console
    assert console.origins <= {road.endpoint, stand_in.url}
    assert not console.errors

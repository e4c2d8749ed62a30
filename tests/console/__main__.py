"""`make pictures`: docs/state-machine.svg and the console's screenshots, from a running stack."""

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from local.live import consoles, progress_on
from local.process import ROOT
from local.stack import free_port, running
from tests.console.browser import launched
from tests.console.console import Console
from tests.console.modules import Modules

DOCS = ROOT / "docs"
SIZE = {"width": 1280, "height": 960}
LARGEST = 250_000  # bytes of a screenshot


def main() -> None:
    """Make all of them."""
    _, err = consoles()
    with (
        launched() as browser,
        progress_on(err) as progress,
        tempfile.TemporaryDirectory() as logs,
    ):
        text = Modules(browser.new_page()).state_machine()
        (DOCS / "state-machine.svg").write_text(text, encoding="utf-8")
        with running(Path(logs), free_port(), None, progress) as stack:
            progress("taking pictures")
            screenshots(browser, stack.endpoint)


def screenshots(browser: Browser, endpoint: str) -> None:
    """A run that succeeded, by day; one that failed, by night."""
    page = browser.new_page(viewport=SIZE, reduced_motion="reduce", color_scheme="light")  # type: ignore[arg-type]
    console = Console(page, endpoint).open()
    console.choose("premiums", ROOT / "local" / "samples" / "premiums_q2.csv")
    console.shows("Succeeded")
    console.choose("claims", ROOT / "local" / "samples" / "claims_may.csv")
    console.shows("Running")
    console.shows("Succeeded")
    page.get_by_role("button", name="CheckStatus").click()
    keep(page, "console.png", 1230)
    console.open("switches").press("Set: The next run fails")
    expect(page.get_by_role("region", name="What is waiting")).to_contain_text("fails")
    page.emulate_media(color_scheme="dark")
    console.open().choose("claims", ROOT / "local" / "samples" / "claims_may.csv")
    console.shows("Failed")
    keep(page, "console-dark.png", 960)


def keep(page: Page, name: str, height: int) -> None:
    """Take a screenshot for the documents."""
    page.set_viewport_size({"width": SIZE["width"], "height": height})
    expect(page.locator("#news")).to_be_empty(timeout=15_000)
    page.locator("h1").first.hover()
    path = DOCS / name
    page.screenshot(path=path)
    assert path.stat().st_size <= LARGEST, f"{path} is too large"


if __name__ == "__main__":
    main()

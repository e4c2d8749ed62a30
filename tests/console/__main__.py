"""`make pictures`: docs/state-machine.svg and the console's screenshots, from a running stack."""

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from local.live import consoles, progress_on
from local.process import ROOT
from local.stack import free_port, running
from tests.console.browser import launched
from tests.console.console import Console
from tests.console.modules import Modules

DOCS = ROOT / "docs"
SIZE = {"width": 1320, "height": 960}
LARGEST = 250_000  # bytes of a screenshot


def main() -> None:
    """Make all of them."""
    _, err = consoles()
    with (
        sync_playwright() as playwright,
        launched(playwright) as browser,
        progress_on(err) as progress,
        tempfile.TemporaryDirectory() as logs,
    ):
        text = Modules(browser.new_page()).state_machine()
        (DOCS / "state-machine.svg").write_text(text, encoding="utf-8")
        with running(Path(logs), free_port(), None, progress) as stack:
            progress("taking pictures")
            screenshots(browser, stack.endpoint)


def screenshots(browser: Browser, endpoint: str) -> None:
    """A run that succeeded, in light and in dark; and one that failed."""
    page = browser.new_page(viewport=SIZE, reduced_motion="reduce", color_scheme="light")  # type: ignore[arg-type]
    console = Console(page, endpoint).open()
    console.choose("premiums", ROOT / "local" / "samples" / "premiums_q2.csv")
    console.shows("Succeeded")
    console.open("switches").press("Set: The next run fails")
    expect(page.get_by_role("region", name="What is waiting")).to_contain_text("fails")
    console.open().choose("claims/eu", ROOT / "local" / "samples" / "claims_may.csv")
    console.shows("Failed")
    failed = console.run
    console.choose("claims", ROOT / "local" / "samples" / "claims_may.csv")
    expect(page.locator(".head h2")).to_have_text("claims/claims_may.csv")
    console.shows("Succeeded")
    keep(page, "console.png", 1180)
    page.emulate_media(color_scheme="dark")
    keep(page, "console-dark.png", 1180)
    page.emulate_media(color_scheme="light")
    console.open(f"runs/{failed}").shows("Failed")
    keep(page, "console-failed.png", 760)


def keep(page: Page, name: str, height: int) -> None:
    """Take a screenshot for the documents."""
    page.set_viewport_size({"width": SIZE["width"], "height": height})
    for passing in ("#news:not(:empty)", ".drops li"):
        expect(page.locator(passing)).to_have_count(0, timeout=15_000)
    expect(page.locator(".preview table, .notice.bad")).to_have_count(1)
    page.locator("body").evaluate("body => body.ownerDocument.activeElement.blur()")
    page.mouse.move(0, 0)
    path = DOCS / name
    page.screenshot(path=path)
    assert path.stat().st_size <= LARGEST, f"{path} is too large"


if __name__ == "__main__":
    main()

"""`make pictures`: docs/state-machine.svg and the console's screenshots, from a running stack."""

import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from local.live import consoles, progress_on
from local.process import ROOT
from local.stack import Stack, free_port, running
from tests.console.browser import launched
from tests.console.console import Console
from tests.console.modules import Modules

DOCS = ROOT / "docs"
SIZE = {"width": 1320, "height": 960}
PATIENCE = 90_000  # milliseconds, far beyond what a run takes on a machine however busy
NARROW = {"width": 390, "height": 860}
DRAWN_OUT = 2500.0  # seconds that all of it fills in the pictures of many runs
HELD = 2  # files of a route that its gate holds
READ = 30_000  # milliseconds until the page has read on what became of each run, and said so
PAUSE = 4.0  # seconds between drops: the files of a queue wait for each other, and not all for long
ROUTES = {"claims": "claims_may", "claims/eu": "claims_may", "premiums": "premiums_q2"}
EXPECTS = {"expect": {"file": "{period}.csv", "every": "month", "by": "last working day, 17:00"}}
SAMPLES = ROOT / "local" / "samples"
LARGEST = 250_000  # bytes of a screenshot


def main() -> None:
    """Make all of them."""
    _, err = consoles()
    expect.set_options(timeout=PATIENCE)
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
            began = time.time()
            screenshots(browser, stack.endpoint)
            many_runs(browser, stack, began)


def screenshots(browser: Browser, endpoint: str) -> None:
    """A run that succeeded, in light and in dark; and one that failed."""
    page = browser.new_page(viewport=SIZE, reduced_motion="reduce", color_scheme="light")  # type: ignore[arg-type]
    console = Console(page, endpoint).open()
    console.choose("premiums", SAMPLES / "premiums_q2.csv")
    console.shows("Succeeded")
    console.open("switches").press("Set: The next run fails")
    expect(page.get_by_role("region", name="What is waiting")).to_contain_text("fails")
    console.open().choose("claims/eu", SAMPLES / "claims_may.csv")
    console.shows("Failed")
    failed = console.run
    console.choose("claims", SAMPLES / "claims_may.csv")
    expect(page.locator(".head h2")).to_have_text("claims/claims_may.csv")
    console.shows("Succeeded")
    keep(page, "console.png", 1180)
    page.emulate_media(color_scheme="dark")
    keep(page, "console-dark.png", 1180)
    page.emulate_media(color_scheme="light")
    console.open(f"runs/{failed}").shows("Failed")
    keep(page, "console-failed.png", 760)


def many_runs(browser: Browser, stack: Stack, began: float) -> None:
    """Many runs at a glance: wide, and narrow in the dark. One fails, and one is held.

    `began` is when the stack's first run may have begun, in seconds.
    """
    s3, inbox = stack.client("s3"), stack.outputs["InboxBucket"]
    files = {route: (SAMPLES / f"{name}.csv").read_bytes() for route, name in ROUTES.items()}
    page = browser.new_page(viewport=SIZE, reduced_motion="reduce", color_scheme="light")  # type: ignore[arg-type]
    expecting(stack)
    console = Console(page, stack.endpoint).open("switches")
    console.press("Set: The next run fails")
    gate = "claims is held by rows in Validation report: Sheet 1"
    console.press(f"Set: {gate}")
    for number in range(1, 9):
        for route, content in files.items():
            if number % 2 or route != "claims/eu":
                s3.put_object(Bucket=inbox, Key=f"{route}/2026-{number:02}.csv", Body=content)
        time.sleep(PAUSE)
        if number == HELD:
            held = console.open().page.locator("#runs")
            expect(held).to_contain_text("Held", timeout=2 * PATIENCE)
            console.open("switches").press(f"Put right: {gate}")
    expect(console.open().page.locator("#runs")).not_to_contain_text(
        "Running", timeout=2 * PATIENCE
    )
    page.route("**/runs.json", partial(slower, times=DRAWN_OUT / (time.time() - began)))
    page.reload()
    expect(page.locator(".counts")).to_contain_text(["held", "failed"])
    expect(page.get_by_role("region", name="What should come")).to_be_visible()
    page.wait_for_timeout(READ)
    picture(page, "console-timeline.png", 760)
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    page.emulate_media(color_scheme="dark")
    picture(page, "console-narrow.png", NARROW["height"], NARROW["width"])


def expecting(stack: Stack) -> None:
    """Let a route expect files."""
    ssm, path = stack.client("ssm"), f"{stack.outputs['RoutesPath']}/claims"
    document = json.loads(ssm.get_parameter(Name=path)["Parameter"]["Value"])
    ssm.put_parameter(Name=path, Value=json.dumps(document | EXPECTS), Overwrite=True)


def slower(route: Route, *, times: float) -> None:
    """Tell the page of runs as if all of it had taken so many times longer."""
    answer, now = route.fetch(), time.time() * 1000
    runs: list[dict[str, Any]] = answer.json()

    def at(moment: float | None) -> float | None:
        return None if moment is None else now - (now - moment) * times

    for each in runs:
        each |= {"started": at(each["started"]), "stopped": at(each["stopped"])}
        each["stretches"] = [
            [what, at(begun), at(ended)] for what, begun, ended in each["stretches"]
        ]
    route.fulfill(response=answer, json=runs)


def picture(page: Page, name: str, height: int, width: int = SIZE["width"]) -> None:
    """Take a screenshot for the documents, of what is there now."""
    page.set_viewport_size({"width": width, "height": height})
    page.locator("body").evaluate("body => body.ownerDocument.activeElement.blur()")
    page.mouse.move(0, 0)
    path = DOCS / name
    page.screenshot(path=path)
    assert path.stat().st_size <= LARGEST, f"{path} is too large"


def keep(page: Page, name: str, height: int) -> None:
    """Take a screenshot of a run, once it shows all that it will."""
    page.set_viewport_size({"width": SIZE["width"], "height": height})
    for passing in ("#news:not(:empty)", ".drops li"):
        expect(page.locator(passing)).to_have_count(0)
    expect(page.locator(".preview table, .notice.bad")).to_have_count(1)
    picture(page, name, height)


if __name__ == "__main__":
    main()

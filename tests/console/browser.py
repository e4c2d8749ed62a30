"""A real browser: Debian's Chromium, or Chrome, whichever the machine has."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Playwright, ViewportSize

from local.process import ROOT

WIDE: ViewportSize = {"width": 1440, "height": 1000}


class NoBrowser(Exception):
    """The machine has none; the message says which it may have."""


def executable() -> str:
    """The browser's path; the Makefile knows the names. Raises NoBrowser."""
    names = re.findall(r"^BROWSERS := (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for name in names[0].split():
        if path := shutil.which(name):
            return str(path)
    raise NoBrowser(f"There is no browser here, none of {names[0]}.")


@contextmanager
def launched(playwright: Playwright, *options: str) -> Iterator[Browser]:
    """A browser without a window."""
    # As root, Chromium has no sandbox; it opens nothing but pages of this machine.
    arguments = [*options, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    browser = playwright.chromium.launch(executable_path=executable(), args=arguments)
    try:
        yield browser
    finally:
        browser.close()

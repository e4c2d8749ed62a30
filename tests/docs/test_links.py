"""Every link and image of the documents leads somewhere."""

import re
from pathlib import Path

import pytest

from local.process import ROOT
from tests.docs.pages import PAGES, anchors, name_of, prose

LINK = re.compile(r"""\]\(([^()\s]+)\)|(?:src|srcset|href)="([^"]+)\"""")


def links(page: Path) -> list[str]:
    """The links of a page into the project."""
    found = [one or other for one, other in LINK.findall(prose(page.read_text("utf-8")))]
    return [link for link in found if not link.startswith(("http:", "https:"))]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_links_is_there(page: Path) -> None:
    missing = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            missing.append(link)
    assert missing == []


def test_every_page_is_reached_from_the_readme() -> None:
    # Given what the README leads to, and what that leads to
    reached: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        todo += [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
    # Then no page is left over
    assert [name_of(page) for page in PAGES if page not in reached] == []


def test_the_readme_can_be_read_in_some_minutes() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 250

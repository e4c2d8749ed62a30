"""The documents as their readers have them: *.md and docs/**/*.md."""

import re
from pathlib import Path

from local.process import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    """A page's name in a test's id."""
    return page.relative_to(ROOT).as_posix()


def text_of(name: str) -> str:
    """A page's text."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(page: str, language: str | None = None) -> list[str]:
    """The code blocks of a page: of a language, or all."""
    found = re.findall(r"(?ms)^( *)```(\w*)\n(.*?)^ *```$", page)
    return [
        "\n".join(line.removeprefix(indent) for line in text.splitlines()) + "\n"
        for indent, kind, text in found
        if language is None or kind == language
    ]


def prose(page: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"(?ms)^ *```.*?^ *```$", "", page)


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"(?m)^#+ (.+)$", prose(page))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

"""The pages of the reference: each module of `docs/pages/` makes one."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

DOCS = Path(__file__).parent
FOLDER = DOCS / "reference"


def made_pages() -> Iterator[tuple[str, str]]:
    """Yield name and text of each page: of `docs/pages/<name>.py`, what `page()` returns."""
    for path in sorted((DOCS / "pages").glob("*.py")):
        text = import_module(f"docs.pages.{path.stem}").page().strip()
        note = f"<!-- Made by `make docs` from docs/pages/{path.name}: edit that, or the code. -->"
        yield path.stem, f"{note}\n\n{text}\n"

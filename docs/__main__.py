"""`python -m docs`: writes the reference, `docs/reference/<name>.md`, from the code."""

import sys
from pathlib import Path

from docs.made import FOLDER, made_pages


def main(folder: Path = FOLDER) -> int:
    """Write the pages; say which have changed."""
    folder.mkdir(exist_ok=True)
    for name, text in made_pages():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"Wrote docs/reference/{path.name}")  # noqa: T201 - a terminal's
    return 0


if __name__ == "__main__":
    sys.exit(main())

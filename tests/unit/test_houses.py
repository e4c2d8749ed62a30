"""The emulator of AWS and the rest of the project know each other by a port only."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = {"cli", "docs", "functions", "layers", "local", "quantemplate", "stp", "straight_through"}
FOLDERS = ("cli", "docs", "functions", "layers", "local", "tests")


def imported(folder: str, said: str = "import") -> Iterator[tuple[str, str]]:
    """The first parts of all names that Python files of a folder import, and where.

    Only files that say a word are parsed, which takes most of the time.
    """
    for path in (ROOT / folder).rglob("*.py"):
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text if said in text else "")):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            for name in names:
                yield name.split(".")[0], f"{path.relative_to(ROOT)}:{node.lineno}"


def test_the_emulator_imports_nothing_of_ours() -> None:
    found = list(imported("emulator"))
    assert {"emulator", "ministack", "moto"} <= {name for name, _ in found}
    assert [each for each in found if each[0] in {*OURS, "tests"}] == []


def test_nothing_of_ours_imports_the_emulator() -> None:
    for folder in FOLDERS:
        assert any(imported(folder, "import json")), folder
        assert [each for each in imported(folder, "emulator") if each[0] == "emulator"] == []

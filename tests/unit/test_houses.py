"""The emulator of AWS and the rest of the project know each other by a port only."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = {"cli", "docs", "functions", "layers", "local", "quantemplate", "stp", "straight_through"}
FOLDERS = ("cli", "docs", "functions", "layers", "local", "tests")


def imported(folder: str) -> Iterator[tuple[str, str]]:
    """The first parts of all names that the Python files of a folder import, and where."""
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
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
        found = list(imported(folder))
        assert len(found) > 10, folder
        assert [each for each in found if each[0] == "emulator"] == []

"""What goes to Lambda imports only what is there: one way down."""

import ast
import sys
from pathlib import Path

import pytest

from tests.unit.conftest import ROOT

LIBRARIES = {"botocore", "s3transfer", "requests", "urllib3", "aws_lambda_powertools"}
APPS = sorted((ROOT / "functions").glob("*/app.py"))
MODULES = sorted((ROOT / "layers/straight_through").glob("*.py"))


def imported(path: Path) -> set[str]:
    """The packages that a file imports, but for those of its type checks."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names = set()
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names.add(str(node.module).partition(".")[0])
    return names - sys.stdlib_module_names


def test_all_functions_are_looked_at() -> None:
    assert len(APPS) >= 5
    assert len(MODULES) >= 10


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.parent.name)
def test_a_function_imports_the_package_and_its_libraries_only(path: Path) -> None:
    assert imported(path) <= LIBRARIES | {"straight_through"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_package_imports_libraries_only(path: Path) -> None:
    assert imported(path) <= LIBRARIES | {"straight_through"}

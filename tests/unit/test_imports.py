"""What goes to Lambda imports only what is there: one way down."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.conftest import ROOT

# What costs a start time, and which functions may have it all the same.
COSTLY = {
    "aws_lambda_powertools.utilities.parser": set(),
    "aws_lambda_powertools.utilities.data_classes": set(),
    "aws_xray_sdk": set(),
    "pydantic": set(),
    "asyncio": set(),
    "python_calamine": set(),  # where a workbook is read
    "cronsim": set(),  # where a schedule is read
    "holidays": set(),  # where a period is over in which a route expects a file
    "straight_through.reading.first_rows": set(),
    "straight_through.files.prepared": set(),  # by routes with a table
    "straight_through.reading.sheets": set(),
    "requests": {"check_status", "download_output", "upload_and_execute"},
    "straight_through.buckets.outbox": {"download_output", "publish_run"},
    "straight_through.queue.turns": {
        "check_status",
        "pause_queue",
        "run_ended",
        "sweep_queues",
        "take_turn",
        "upload_and_execute",
    },
}
LIBRARIES = {
    *("boto3", "botocore", "requests", "urllib3", "aws_lambda_powertools"),
    *("python_calamine", "cronsim", "holidays"),
}
OURS = {"quantemplate", "straight_through"}
# All that the template gives to any function.
VARIABLES = set(
    re.findall(r"^ {8,}([A-Z_]+): ", (ROOT / "template.yaml").read_text("utf-8"), re.MULTILINE)
)
LONGEST_HANDLER = 65  # lines of its file, a third of them imports and settings
APPS = sorted((ROOT / "functions").glob("*/app.py"))
MODULES = sorted((ROOT / "layers").glob("*/**/*.py"))


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
    assert imported(path) <= LIBRARIES | OURS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_package_imports_libraries_only(path: Path) -> None:
    assert imported(path) <= LIBRARIES | OURS


@pytest.mark.parametrize(
    "path", sorted((ROOT / "layers/quantemplate").glob("*.py")), ids=lambda path: path.stem
)
def test_the_client_imports_nothing_of_the_application(path: Path) -> None:
    assert "straight_through" not in path.read_text("utf-8")


# What each function imports is imported once; what only one does, in a process of its own.
STARTS = f"""
import os, sys
sys.path[:0] = ["", {str(ROOT / "layers")!r}]
import aws_lambda_powertools, boto3
for folder in sys.argv[1:]:
    if not (child := os.fork()):
        sys.path[0] = folder
        import app
        print(*sys.modules, flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, folder
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """The modules that each function has once it has started, in a fresh interpreter."""
    environment = dict.fromkeys(VARIABLES, "1") | {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "CREDENTIALS_SECRET_ARN": "arn",
        "PATH": os.environ["PATH"],
        "POWERTOOLS_METRICS_NAMESPACE": "StraightThrough",
    }
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-P", "-c", STARTS, *(str(path.parent) for path in APPS)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = map(str.split, done.stdout.splitlines())
    return {path.parent.name: set(line) for path, line in zip(APPS, lines, strict=True)}


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.parent.name)
def test_a_start_loads_nothing_that_it_can_do_without(
    path: Path, loaded: dict[str, set[str]]
) -> None:
    # Given what a function has loaded when it has started
    has = loaded[path.parent.name]
    assert {"app", "boto3", "straight_through"} <= has
    # Then of what is costly it has only what it needs
    needless = {name for name, users in COSTLY.items() if path.parent.name not in users}
    assert has & needless == set()


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.parent.name)
def test_a_handler_is_a_short_story(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_HANDLER


def test_the_environment_is_read_in_one_place() -> None:
    reading = [path for path in (*APPS, *MODULES) if "environ" in path.read_text("utf-8")]
    assert {path.name for path in reading} <= {"settings.py", "aws.py"}

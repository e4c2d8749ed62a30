"""The package of layers/ alone, as another program installs it."""

import ast
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.build.checkout import ROOT

DOCUMENTED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
USE = """
from pathlib import Path
from quantemplate.client import Credentials, Listing, Quantemplate

with Quantemplate(Credentials("id", "s"), api_url="http://127.0.0.1:9/external/v1") as client:
    listing: Listing = client.list_executions("c-1", "p-1")
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command and return what it said."""
    done = subprocess.run(  # noqa: S603 - commands of these tests
        command, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment's Python: the package installed by pip, and what it depends on."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "layers"
    shutil.copytree(ROOT / "layers", source, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    run(sys.executable, "-m", "venv", "other", cwd=folder)
    found = folder / "other" / "bin" / "python"
    pip = (found, "-m", "pip", "--disable-pip-version-check")
    # From the folder, without a network: setuptools and requests are this environment's.
    offline = ("--no-index", "--no-deps")
    wheel = ("wheel", *offline, "--no-build-isolation", "--wheel-dir", folder, source)
    run(*pip, "--python", sys.executable, *wheel, cwd=folder)
    run(*pip, "install", *offline, *folder.glob("*.whl"), cwd=folder)
    site = run(found, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    (Path(site.strip()) / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return found


def test_the_client_is_importable_with_requests_alone(python: Path, tmp_path: Path) -> None:
    # When another program imports the client
    ask = (
        "import sys; from quantemplate import client; print(client.__file__);"
        "print([name for name in ('boto3', 'botocore', 'aws_lambda_powertools', 'straight_through')"
        " if name in sys.modules])"
    )
    where, aws = run(python, "-c", ask, cwd=tmp_path).splitlines()
    # Then it is the installed one, and nothing of AWS, or of ours, came with it
    assert Path(where).is_relative_to(python.parents[1])
    assert aws == "[]"


def test_it_brings_its_schemas(python: Path, tmp_path: Path) -> None:
    # Given the schemas of the folder
    names = sorted(path.name for path in (ROOT / "layers/straight_through").glob("*.json"))
    # Then the installed package has them all
    ask = (
        "import importlib.resources as r; print(*sorted(f.name for f in"
        " r.files('straight_through').iterdir() if f.name.endswith('.json')), sep='\\n')"
    )
    assert run(python, "-c", ask, cwd=tmp_path).splitlines() == names


def test_everything_public_is_documented() -> None:
    # Given all that a module offers
    bare = []
    for module in sorted((ROOT / "layers").glob("[qs]*/**/*.py")):
        tree = ast.parse(module.read_text("utf-8"))
        classes = [one for one in tree.body if isinstance(one, ast.ClassDef) and one.name[0] != "_"]
        members = [*tree.body, *(each for one in classes for each in one.body)]
        for each in (tree, *(one for one in members if isinstance(one, DOCUMENTED))):
            name = getattr(each, "name", module.stem)
            marks = [ast.unparse(mark) for mark in getattr(each, "decorator_list", [])]
            if "overload" in marks:
                continue  # what it does is said where it does it
            if (not name.startswith("_") or name == "__init__") and not ast.get_docstring(each):
                bare.append(f"{module.name}: {name}")
    # Then it says what it is
    assert bare == []


def test_its_types_are_known_to_others(python: Path, tmp_path: Path) -> None:
    # Given a program that uses the client, and one that misuses it
    (tmp_path / "use.py").write_text(USE)
    (tmp_path / "misuse.py").write_text(USE.replace('"c-1", "p-1"', "1"))
    check = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python)]
    # Then a type checker finds the difference
    run(*check, "use.py", cwd=tmp_path)
    done = subprocess.run([*check, "misuse.py"], cwd=tmp_path, capture_output=True, check=False)  # noqa: S603
    assert done.returncode == 1
    assert b"list_executions" in done.stdout

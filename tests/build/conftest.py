"""The built artefacts, and a checkout of its own for what is run as a user runs it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local.process import clean_environment
from tests.build.checkout import ROOT, USERS_FILES, Checkout


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of what goes to Lambda, up to date."""
    make = subprocess.run(
        ["make", "--no-print-directory", "build"],  # noqa: S607 - as a person types it
        cwd=ROOT,
        env=clean_environment(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert make.returncode == 0, make.stdout + make.stderr
    return ROOT / ".aws-sam" / "build"


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the project, so that a `make up` that runs in this one is left alone."""
    folder = tmp_path_factory.mktemp("a user's folder")  # a space and a quote, as people have
    for name in USERS_FILES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    for environment in (".venv", ".venv-aws"):
        if (ROOT / environment).exists():
            (folder / environment).symlink_to(ROOT / environment)
    return Checkout(folder)

"""The sources of a release before, from the repository's own history."""

import io
import subprocess
import tarfile
from pathlib import Path

from local.process import ROOT
from tests.machine.definition import RELEASES

DEPLOYED = ("template.yaml", "layers", "functions", "statemachine")


def unpacked(release: str, folder: Path) -> Path:
    """Put what is deployed of a release into the folder; return it."""
    commit = RELEASES[release]
    archive = ["git", "-C", str(ROOT), "archive", commit, *DEPLOYED]
    made = subprocess.run(archive, capture_output=True, check=False)  # noqa: S603
    assert made.returncode == 0, (
        f"This clone has not the commit {commit}, release {release}: git fetch --unshallow"
    )
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder

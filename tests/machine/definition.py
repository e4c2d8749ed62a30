"""The state machine's definition: that of now, and those of the releases before."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ASL = "statemachine/straight_through.asl.yaml"
DEFINITION: dict[str, Any] = yaml.safe_load((ROOT / ASL).read_text("utf-8"))
RELEASES = {"1.0.0": "d700d1a"}  # and their commits


def definition_of(release: str) -> dict[str, Any]:
    """The definition of a release, from the repository's own history."""
    commit = RELEASES[release]
    show = ["git", "-C", str(ROOT), "show", f"{commit}:{ASL}"]
    shown = subprocess.run(show, capture_output=True, text=True, check=False)  # noqa: S603
    assert shown.returncode == 0, (
        f"This clone has not the commit {commit}, release {release}: git fetch --unshallow"
    )
    return dict(yaml.safe_load(shown.stdout))

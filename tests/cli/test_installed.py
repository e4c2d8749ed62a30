"""The command as the Makefile puts it into .venv, started from any folder."""

import os
import subprocess
import sys
from pathlib import Path

from local.process import ROOT, clean_environment

STP = Path(sys.prefix) / "bin" / "stp"


def started(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command as a process of its own."""
    return subprocess.run(  # noqa: S603 - the command that is tested
        [STP, *arguments],
        cwd=folder,
        env=clean_environment(os.environ) | {"AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_starts_in_any_folder(tmp_path: Path) -> None:
    # When it is started elsewhere
    done = started("--help", folder=tmp_path)
    # Then it is the command of this project
    assert done.returncode == 0, done.stderr
    assert "drop" in done.stdout
    assert STP.resolve() == ROOT / "cli" / "bin" / "stp"


def test_its_exit_code_is_the_shells(tmp_path: Path) -> None:
    # When nobody is signed in to AWS
    done = started("runs", folder=tmp_path)
    # Then that is an exit code of its own, without a traceback
    assert (done.returncode, done.stdout) == (3, "")
    assert "Traceback" not in done.stderr
    assert "--region" in done.stderr

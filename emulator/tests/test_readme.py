"""The README knows every module, and every option."""

import re
import subprocess
import sys

from emulator.tests.server_process import ROOT

README = (ROOT / "emulator" / "README.md").read_text("utf-8")


def test_each_module_is_explained() -> None:
    modules = {path.name for path in (ROOT / "emulator").glob("*.py")}
    explained = set(re.findall(r"`(\w+\.py)`", README))
    assert modules == explained


def test_each_option_is_explained() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "emulator", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    options = set(re.findall(r"--[a-z-]+", shown.stdout)) - {"--help"}
    assert options
    assert set(re.findall(r"^\| `(--[a-z-]+)", README, re.MULTILINE)) == options

"""The page's JavaScript is linted, and the linter finds what it is there for."""

import subprocess
from pathlib import Path

import pytest

from local.process import ROOT

SETTINGS = ROOT / "local/console/.oxlintrc.json"
FAULTS = {
    "a name that nobody has declared": "export const seen = nobody;",
    "a variable that nobody uses": "const unused = 1;\nexport const one = 1;",
    "a comparison that converts": 'export const same = (one) => one == "1";',
    "an import of what is not there": 'export { nothing } from "./other.js";',
    "a name that hides another": "const one = 1;\nexport const f = (one) => one;\nexport { one };",
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Lint a folder as `make check` does."""
    command = [str(ROOT / ".venv/bin/oxlint"), "-c", str(SETTINGS), "--deny-warnings", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


def test_the_page_is_clean() -> None:
    done = lint(ROOT / "local/console/page")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found(tmp_path: Path, fault: str) -> None:
    (tmp_path / "other.js").write_text("export const something = 1;\n")
    (tmp_path / "fault.js").write_text(fault + "\n")
    assert lint(tmp_path).returncode != 0

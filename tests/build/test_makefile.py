"""What make would do, without doing it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from local.process import clean_environment
from tests.build.checkout import ROOT

INSTALLS = "-r local/aws-cli.txt"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder with a Makefile and nothing made yet, and a bin/ with what make itself needs."""
    shutil.copy2(ROOT / "Makefile", tmp_path)
    for pins in ROOT.glob("*/*.txt"):
        (tmp_path / pins.parent.name).mkdir(exist_ok=True)
        shutil.copy2(pins, tmp_path / pins.parent.name)
    (tmp_path / "bin").mkdir()
    for name in ("make", "find"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    return tmp_path


def planned(machine: Path, target: str) -> str:
    """What `make <target>` would run on this machine."""
    done = subprocess.run(  # noqa: S603 - targets of these tests
        [machine / "bin" / "make", "-n", "--no-print-directory", target],
        cwd=machine,
        env=clean_environment(os.environ) | {"PATH": str(machine / "bin"), "CI": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def add_aws(machine: Path, status: int) -> None:
    """Put an aws client on the machine that ends with this status."""
    client = machine / "bin" / "aws"
    client.write_text(f"#!/bin/sh\nexit {status}\n")
    client.chmod(0o755)


@pytest.mark.parametrize("target", ["aws-client", "up"])
def test_an_aws_client_is_installed_where_the_machine_has_none(machine: Path, target: str) -> None:
    assert INSTALLS in planned(machine, target)


def test_an_aws_client_is_installed_where_the_machines_own_does_not_run(machine: Path) -> None:
    add_aws(machine, 127)
    assert INSTALLS in planned(machine, "aws-client")


def test_the_machines_own_aws_client_is_left_to_do_its_work(machine: Path) -> None:
    add_aws(machine, 0)
    assert INSTALLS not in planned(machine, "up")


def test_types_are_checked_for_the_oldest_python_and_for_lambdas(machine: Path) -> None:
    # Given the oldest Python that runs this, and the one that Lambda has
    settings, template = (ROOT / "pyproject.toml").read_text(), (ROOT / "template.yaml").read_text()
    (oldest,) = re.findall(r'^python_version = "(3\.\d+)"', settings, re.MULTILINE)
    (lambdas,) = re.findall(r"Runtime: python(3\.\d+)", template)
    # Then what goes to Lambda, the command and docs/ are checked for both
    assert re.search(
        rf"for python in {oldest} {lambdas}; .*"
        r" layers/straight_through functions/\*/app.py cli/stp docs emulator local; .*\n"
        r".*mypy --python-version \$python \$code \|\| exit 1",
        planned(machine, "check"),
    )


def test_the_first_command_installs_stp(machine: Path) -> None:
    assert "ln -sf ../../cli/bin/stp .venv/bin/stp" in planned(machine, "demo")


INSTALLS_BROWSER = "--no-install-recommends chromium"


@pytest.mark.parametrize("user", [0, 1000])
def test_a_browser_is_installed_where_the_machine_has_none_and_root_asks(
    machine: Path, user: int
) -> None:
    # Given a machine with Debian's packages
    for name, does in (("apt-get", ""), ("id", f"echo {user}")):
        (machine / "bin" / name).write_text(f"#!/bin/sh\n{does}\n")
        (machine / "bin" / name).chmod(0o755)
    # Then only root has one installed
    assert (INSTALLS_BROWSER in planned(machine, "browser")) == (user == 0)


@pytest.mark.parametrize("name", ["chromium", "google-chrome"])
def test_the_machines_own_browser_is_left_to_do_its_work(machine: Path, name: str) -> None:
    browser = machine / "bin" / name
    browser.write_text("#!/bin/sh\n")
    browser.chmod(0o755)
    assert INSTALLS_BROWSER not in planned(machine, "browser")


@pytest.mark.parametrize("is_ci", [False, True])
def test_a_machine_whose_browser_cannot_be_installed_says_so_and_ci_fails(
    machine: Path, *, is_ci: bool
) -> None:
    # Given a machine without apt-get
    environment = clean_environment(os.environ) | {"PATH": str(machine / "bin")}
    environment.pop("CI", None)
    done = subprocess.run(  # noqa: S603 - a target of this test
        [machine / "bin" / "make", "--no-print-directory", "browser"],
        cwd=machine,
        env=environment | ({"CI": "true"} if is_ci else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    # Then it says in one line what is left out, which is no failure but in CI
    assert (done.returncode != 0) == is_ci
    (line,) = [line for line in done.stdout.splitlines() if "browser" in line]
    assert "the tests of the page are left out" in line
    assert "install chromium or Google Chrome" in line


def test_check_asks_checkov_and_each_check_that_is_left_out_has_its_reason(machine: Path) -> None:
    # Given what checkov is asked
    assert "checkov --config-file local/checkov.yaml" in planned(machine, "check")
    lines = (ROOT / "local" / "checkov.yaml").read_text("utf-8").splitlines()
    left_out = [number for number, line in enumerate(lines) if line.startswith("  - ")]
    # Then above each check that is left out stands why
    assert left_out
    for number in left_out:
        assert re.fullmatch(r"  - CKV\w+", lines[number])
        assert lines[number - 1].startswith("  # ")

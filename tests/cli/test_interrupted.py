"""Ctrl-C, a closed pipe, and what AWS does not answer: how the command ends then."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ParamValidationError,
    ProfileNotFound,
    ReadTimeoutError,
)

from local.process import clean_environment
from stp.said import FAILED, INTERRUPTED, NO_STACK, NOT_NOW, OK, UNKNOWN, USAGE
from stp.stack import Stack, trouble_with_aws
from straight_through.errors import AwsDenied, AwsUnavailable
from tests.cli.conftest import Stp
from tests.cli.states import States, pretend
from tests.cli.terminal import STP


def ctrl_c(*_: Any, **__: Any) -> None:
    """Press Ctrl-C."""
    raise KeyboardInterrupt


def refused(code: str, status: int = 400) -> ClientError:
    """An answer of AWS."""
    answer: Any = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "ListExecutions")


def test_ctrl_c_anywhere_says_that_runs_go_on(stp: Stp, monkeypatch: pytest.MonkeyPatch) -> None:
    # When Ctrl-C comes while the stack is looked for
    monkeypatch.setattr("stp.here.open_stack", ctrl_c)
    done = stp("runs")
    # Then that is an exit code of its own, and what goes on is said
    assert (done.code, done.out) == (INTERRUPTED, "")
    assert done.err.endswith("What has begun in AWS goes on without this: stp runs\n")
    assert '"exit_code": 130' in stp("runs", "--json").err


def test_ctrl_c_while_runs_are_followed_names_what_was_dropped(
    stp: Stp, deployed: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Given a file that was dropped and is followed
    deployed.client("ssm").put_parameter(
        Name=f"{deployed.routes_path}/claims", Value="{}", Type="String"
    )
    deployed.client("s3").put_bucket_versioning(
        Bucket="inbox", VersioningConfiguration={"Status": "Enabled"}
    )
    file = tmp_path / "may.csv"
    file.write_text("a\n1\n")
    # When Ctrl-C comes
    monkeypatch.setattr("stp.commands_drop.follow", ctrl_c)
    done = stp("drop", str(file), "--wait")
    # Then its run is named
    assert done.code == INTERRUPTED
    assert "What was dropped goes on: stp show claims-may-" in done.err
    # And while it is uploaded, it is told that it may not have been
    monkeypatch.setattr("stp.commands_drop.upload", ctrl_c)
    done = stp("drop", str(file))
    assert done.code == INTERRUPTED
    assert f"Dropped so far: 0 of 1 file, and perhaps {file}. See: stp runs" in done.err


@pytest.mark.usefixtures("deployed")
def test_ctrl_c_among_redrives_counts_those_that_go_on(
    stp: Stp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, States({name: {"status": "FAILED"} for name in ("a", "b")}))
    answers = iter([""])

    def redriven(*_: Any) -> str:
        for answer in answers:
            return answer
        raise KeyboardInterrupt

    monkeypatch.setattr("stp.commands_rerun.redriven", redriven)
    done = stp("redrive", "a", "b")
    assert (done.code, "Redriven so far: 1 of 2 runs. See: stp runs" in done.err) == (
        INTERRUPTED,
        True,
    )


@pytest.mark.parametrize("arguments", [("--help",), ("runs", "--help"), ("--version",)])
def test_a_closed_pipe_is_no_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    # Given somebody who reads nothing of what is said
    reading, writing = os.pipe()
    os.close(reading)
    # When the command says something
    done = subprocess.run(  # noqa: S603 - the command that is tested
        [STP, *arguments],
        cwd=tmp_path,
        env=clean_environment(os.environ),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    # Then it ends well, and does not complain
    assert (done.returncode, done.stderr) == (OK, "")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_where_nothing_can_be_written_is_no_traceback(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    # When what is said goes to a disk that is full
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(  # noqa: S603 - the command that is tested
            [STP, "--version", *options],
            cwd=tmp_path,
            env=clean_environment(os.environ),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    # Then that is said, and is a failure
    assert done.returncode == FAILED
    assert "It failed on this machine: [Errno 28]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "hint"),
    [
        (refused("ThrottlingException"), NOT_NOW, "throttles"),
        (refused("TooManyRequestsException", 429), NOT_NOW, "throttles"),
        (refused("InternalServerError", 500), NOT_NOW, "fault of its own"),
        (refused("Whatever", 503), NOT_NOW, "fault of its own"),
        (ReadTimeoutError(endpoint_url="http://x"), NOT_NOW, "in time"),
        (ParamValidationError(report="Invalid length"), USAGE, "typed"),
        (ProfileNotFound(profile="mine"), NO_STACK, "list-profiles"),
        (refused("ValidationException"), FAILED, "refused"),
    ],
)
def test_each_trouble_has_its_exit_code_and_its_own_advice(
    error: Any, code: int, hint: str
) -> None:
    told = trouble_with_aws(error)
    assert (told.code, hint in str(told)) == (code, True)
    assert ("Sign in" in str(told)) is False


@pytest.mark.parametrize(
    ("error", "code"), [(AwsUnavailable("no"), NOT_NOW), (AwsDenied("no"), NO_STACK)]
)
def test_what_the_layer_names_has_the_same_codes(
    stp: Stp, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr("stp.here.open_stack", fail)
    assert stp("runs").code == code


@pytest.mark.usefixtures("deployed")
def test_a_route_that_there_is_not_is_said_to_be_so(
    stp: Stp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, States({"may": {}}))
    done = stp("runs", "--route", "clams")
    assert done.code == UNKNOWN
    assert "no route 'clams', and no run of it since 7d; there are none yet" in done.err


def test_a_queue_is_shown_by_its_name(stp: Stp, deployed: Stack) -> None:
    # Given two queues
    for queue in ("p-1", "p-2"):
        deployed.table.update(("queues", queue), "SET #auto_run_told = :no", no=False)
    # When one is named as a command is
    seen = stp("queue", "p-2", "--json").json
    # Then it alone is shown
    assert [each["queue"] for each in seen] == ["p-2"]
    # And one that nobody uses is said to be so
    done = stp("queue", "p-3")
    assert (done.code, "no queue 'p-3'; there are p-1, p-2" in done.err) == (UNKNOWN, True)

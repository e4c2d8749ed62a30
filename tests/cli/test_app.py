"""What all commands share: options anywhere, exit codes, messages that say what to do."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
)

from quantemplate import __version__
from stp.app import main, shared_first
from stp.moments import duration, since
from stp.said import NO_STACK, USAGE, Said, Stop
from stp.stack import Stack, trouble_with_aws
from tests.cli.conftest import Stp


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["runs", "--json"], ["--json", "runs"]),
        (["show", "r", "--stack", "s"], ["--stack", "s", "show", "r"]),
        (["runs", "--region=x", "--failed"], ["--region=x", "runs", "--failed"]),
        (["drop", "--", "--json"], ["drop", "--", "--json"]),
        (["runs", "--stack"], ["runs", "--stack"]),
    ],
)
def test_shared_options_may_stand_anywhere(given: list[str], expected: list[str]) -> None:
    assert shared_first(given) == expected


@pytest.mark.parametrize(
    "command",
    ["drop", "runs", "show", "watch", "queue", "rerun", "redrive", "release", "stop", "doctor"],
)
def test_each_command_explains_itself(stp: Stp, command: str) -> None:
    # When help is asked for
    done = stp(command, "--help")
    # Then it is given, with arguments named as the documents name them
    assert done.code == 0
    usage = next(line for line in done.out.splitlines() if line.startswith("Usage: stp"))
    named = usage.partition("[OPTIONS]")[2].removesuffix(" COMMAND [ARGS]...")
    assert re.fullmatch(r"( ({[A-Z]+}|\[[A-Z]+\])(\.\.\.)?)*", named), usage


def test_it_says_which_version_it_is(stp: Stp) -> None:
    done = stp("--version")
    assert (done.code, done.out) == (0, f"straight-through {__version__}\n")


def test_a_wrong_option_is_a_wrong_usage(stp: Stp) -> None:
    assert stp("runs", "--colour").code == USAGE


@pytest.fixture
def no_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account without stacks, as CloudFormation answers for it."""

    def describe(**_: str) -> None:
        error: Any = {"Code": "ValidationError", "Message": "Stack with id other does not exist"}
        raise ClientError({"Error": error}, "DescribeStacks")

    client = SimpleNamespace(describe_stacks=describe)
    monkeypatch.setattr("stp.stack.client_of", lambda *_: client)


@pytest.mark.usefixtures("no_stack")
def test_a_stack_that_is_not_there_says_how_to_name_another(stp: Stp) -> None:
    # When a stack is asked for that nobody has deployed
    done = stp("runs", "--stack", "other")
    # Then it is an exit code of its own, and says what to do
    assert (done.code, done.out) == (NO_STACK, "")
    assert "--stack" in done.err
    assert "make up" in done.err


@pytest.mark.usefixtures("no_stack")
def test_an_error_is_json_where_results_are(stp: Stp) -> None:
    assert '"exit_code": 3' in stp("runs", "--json", "--stack", "other").err


def test_another_applications_stack_is_refused(stp: Stp, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a stack without our outputs
    found = {"Stacks": [{"StackStatus": "CREATE_COMPLETE", "Outputs": []}]}
    client = SimpleNamespace(describe_stacks=lambda **_: found)
    monkeypatch.setattr("stp.stack.client_of", lambda *_: client)
    # When it is asked for its runs
    done = stp("runs")
    # Then the message names what is missing
    assert done.code == NO_STACK
    assert "no output InboxBucket" in done.err


@pytest.mark.parametrize(
    ("error", "code", "hint"),
    [
        (NoCredentialsError(), NO_STACK, "aws sso login"),
        (NoRegionError(), NO_STACK, "--region"),
        (EndpointConnectionError(endpoint_url="http://x"), NO_STACK, "make up"),
        (ClientError({"Error": {"Code": "ExpiredToken"}}, "X"), NO_STACK, "anew"),
        (ClientError({"Error": {"Code": "AccessDeniedException"}}, "X"), NO_STACK, "may not"),
        (ClientError({"Error": {"Code": "Validation", "Message": "no"}}, "X"), 1, "no"),
    ],
)
def test_trouble_with_aws_says_what_to_do(error: ClientError, code: int, hint: str) -> None:
    # When AWS refuses
    told = trouble_with_aws(error)
    # Then the message and the exit code say what kind of trouble it is
    assert told.code == code
    assert hint in str(told)


def test_a_question_that_nobody_can_answer_is_not_answered_with_yes() -> None:
    with pytest.raises(Stop, match="--yes"):
        Said().confirm("Really?", yes=False)


def test_a_stack_never_shows_its_clients(stack: Stack) -> None:
    assert "session" not in repr(stack)


# --- moments ------------------------------------------------------------------------------------
def test_durations_back_from_now_and_dates() -> None:
    assert since("2h") > since("1d")
    assert since("2026-01-01T00:00+00:00").isoformat() == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize("text", ["", "2", "h", "yesterday", "-2h"])
def test_what_is_no_moment_is_a_wrong_usage(text: str) -> None:
    with pytest.raises(Stop) as told:
        since(text)
    assert told.value.code == USAGE


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "unknown"),
        (-1, "0.0 s"),
        (1.25, "1.2 s"),
        (60, "1 min"),
        (3661, "1 h 1 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations_have_two_units(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_help_without_a_command(stp: Stp) -> None:
    assert "drop" in stp().err
    assert main(["--nonsense"]) == USAGE

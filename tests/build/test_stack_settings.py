"""Settings of the local stack, and stack.env: what is refused, and what shells get."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.utils import get_environ_proxies

from local.process import Part, PartFailed, clean_environment
from local.stack import (
    Quantemplate,
    SettingsError,
    Stack,
    chosen_port,
    chosen_server,
    refuse_second,
    remove_environment,
    shell_lines,
    stack_environment,
    write_environment,
)

NAMES = [
    "QUANTEMPLATE_API_URL",
    "QUANTEMPLATE_TOKEN_URL",
    "QUANTEMPLATE_CLIENT_ID",
    "QUANTEMPLATE_CLIENT_SECRET",
]
OUTPUTS = {
    "InboxBucket": "inbox",
    "OutboxBucket": "outbox",
    "StateMachineArn": "arn:road",
    "CredentialsSecretArn": "arn:secret",
}


@pytest.mark.parametrize("text", ["0", "65536", "-1", "4566x", "٤٥"])
def test_only_a_port_number_is_a_port(text: str) -> None:
    with pytest.raises(SettingsError, match="from 1 to 65535"):
        chosen_port({"STACK_PORT": text})


def test_all_four_settings_of_a_server_or_none() -> None:
    assert chosen_server({}) is None
    assert chosen_server(dict.fromkeys(NAMES, "")) is None
    assert chosen_server(dict(zip(NAMES, "atis", strict=True))) == Quantemplate(*"atis")


@pytest.mark.parametrize("missing", NAMES)
def test_half_a_server_is_refused_with_what_is_missing_and_without_values(missing: str) -> None:
    given = {name: "a-value" for name in NAMES if name != missing}
    with pytest.raises(SettingsError, match=f"not {missing}") as refused:
        chosen_server(given)
    assert "a-value" not in str(refused.value)


def test_stack_env_survives_any_value_and_puts_the_aws_client_first(tmp_path: Path) -> None:
    # Given values as a shell would misread them, and a folder with a client
    client = tmp_path / "a user's client"
    client.mkdir()
    server = Quantemplate("http://x/$HOME `ls`", "http://x/it's", "id", "a-secret")
    text = shell_lines(stack_environment(Stack("http://x", server, OUTPUTS, ())), client)
    write_environment(tmp_path / ".local" / "stack.env", text)
    # When a shell reads it
    script = '. .local/stack.env; echo "$QUANTEMPLATE_API_URL|$QUANTEMPLATE_TOKEN_URL|$PATH"; env'
    read = subprocess.run(  # noqa: S603 - this test's script
        ["sh", "-euc", script],  # noqa: S607
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "AWS_PROFILE": "mine", "AWS_SESSION_TOKEN": "mine"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # Then
    first, *exported = read.splitlines()
    assert first == f"http://x/$HOME `ls`|http://x/it's|{client}:/usr/bin:/bin"
    assert f"STACK_PID={os.getpid()}" in exported
    assert "INBOX_BUCKET=inbox" in exported
    assert "mine" not in read
    assert "a-secret" not in read


SHELLS = [shell for shell in ("sh", "bash", "zsh") if shutil.which(shell)]


def read_in(shell: str, folder: Path, **environment: str) -> dict[str, str]:
    """What a shell has in its environment when it has read stack.env."""
    write_environment(folder / "stack.env", shell_lines({"AWS_ENDPOINT_URL": "http://x"}, folder))
    done = subprocess.run(  # noqa: S603 - this test's script
        [shell, "-euc", ". ./stack.env; env"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("theirs", "exceptions"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"no_proxy": "corp"}, "corp,127.0.0.1,localhost"),
        ({"NO_PROXY": "corp"}, "corp,127.0.0.1,localhost"),
        ({"NO_PROXY": "other", "no_proxy": "corp"}, "corp,127.0.0.1,localhost"),
    ],
)
def test_aws_does_not_go_through_the_users_proxy(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shell: str,
    theirs: dict[str, str],
    exceptions: str,
) -> None:
    # When a shell with a proxy reads stack.env
    read = read_in(shell, tmp_path, HTTP_PROXY="http://proxy", http_proxy="http://proxy", **theirs)
    # Then both spellings name this machine, and what they named before
    assert (read["no_proxy"], read["NO_PROXY"]) == (exceptions, exceptions)
    # And to botocore, which the aws client is made of, the stack has no proxy
    for name, value in read.items():
        monkeypatch.setenv(name, value)
    assert get_environ_proxies("http://127.0.0.1:4566") == {}
    assert get_environ_proxies("http://elsewhere.example")["http"] == "http://proxy"


@pytest.mark.parametrize("shell", SHELLS)
def test_no_endpoint_of_the_users_own_wins(tmp_path: Path, shell: str) -> None:
    read = read_in(
        shell,
        tmp_path,
        AWS_ENDPOINT_URL_S3="http://mine",
        AWS_ENDPOINT_URL_SECRETS_MANAGER="http://mine",
        AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true",
    )
    assert {name: value for name, value in read.items() if name.startswith("AWS_")} == {
        "AWS_ENDPOINT_URL": "http://x"
    }


def test_the_path_stays_as_it_is_where_the_machine_has_a_client(tmp_path: Path) -> None:
    assert "PATH" not in shell_lines({}, tmp_path / "missing")


@pytest.mark.parametrize(
    ("owner", "stays"), [("ourselves", False), ("dead", False), ("other", True)]
)
def test_stack_env_goes_with_its_stack_and_not_with_another(
    tmp_path: Path, owner: str, *, stays: bool
) -> None:
    # Given the file of a stack
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    number = {"ourselves": os.getpid(), "dead": ended.pid, "other": os.getppid()}[owner]
    path = tmp_path / "stack.env"
    write_environment(path, shell_lines({"STACK_PID": str(number)}, tmp_path / "missing"))
    # When
    remove_environment(path)
    # Then
    assert path.exists() == stays


def test_a_second_stack_is_refused_while_the_first_one_serves(tmp_path: Path) -> None:
    # Given a stack.env of another process that lives, and an address that is served
    path = tmp_path / "stack.env"
    refuse_second(path)  # there is none yet
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        endpoint = f"http://127.0.0.1:{somebody.getsockname()[1]}"
        values = {"AWS_ENDPOINT_URL": endpoint, "STACK_PID": str(os.getppid())}
        write_environment(path, shell_lines(values, tmp_path / "missing"))
        # Then a second one is refused with both
        with pytest.raises(SettingsError, match=f"running at {endpoint}.*kill {os.getppid()}"):
            refuse_second(path)
    # And when nobody serves there, the number is a stranger's
    refuse_second(path)


def test_nothing_of_the_users_own_aws_reaches_the_parts() -> None:
    theirs = {
        "AWS_PROFILE": "mine",
        "AWS_SESSION_TOKEN": "mine",
        "QUANTEMPLATE_CLIENT_SECRET": "mine",
        "https_proxy": "mine",
        "HTTP_PROXY": "mine",
        "PATH": "/bin",
    }
    clean = clean_environment(theirs)
    assert "mine" not in clean.values()
    assert clean["PATH"] == "/bin"
    assert clean["NO_PROXY"] == "127.0.0.1,localhost"


def test_a_part_that_ends_by_itself_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    # Given a part that refuses its options
    part = Part("local AWS", "emulator", "--no-such-option", log=tmp_path / "aws.log")
    part.process.wait()
    # Then
    with pytest.raises(PartFailed) as failed:
        part.check()
    assert str(failed.value).startswith("local AWS ended with status 2")
    assert "--no-such-option" in str(failed.value)

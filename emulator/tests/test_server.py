"""The server as a process: where it listens, how it ends, what it leaves behind."""

import contextlib
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError

from emulator.tests.account import Account, eventually
from emulator.tests.server_process import ROOT, listening_addresses, running_aws

HANG = """
import os, time

def handler(event, context):
    open(event, "w").write(str(os.getpid()))
    time.sleep(15)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_its_function_processes_end_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: signal.Signals
) -> None:
    # Given a function that is running
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # a killed server cannot remove its folder
    started = tmp_path / "started"
    with running_aws(tmp_path / "log") as (endpoint, server):
        account = Account(endpoint)
        function = account.function(HANG)

        def invoke() -> None:
            with contextlib.suppress(BotoCoreError):  # the server goes away in its midst
                account.invoked(function, str(started))

        invoking = threading.Thread(target=invoke)
        invoking.start()
        process = int(eventually(lambda: started.read_text() if started.exists() else ""))

        # When
        server.send_signal(how)
        server.wait(10)
        invoking.join(10)

    # Then
    eventually(lambda: not is_running(process))
    if how != signal.SIGKILL:
        assert server.returncode == 0


def test_it_listens_on_loopback_only_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("SERVICES", "s3")  # settings of ministack in a user's shell do not count
    with running_aws(tmp_path / "log") as (endpoint, server):
        account = Account(endpoint)
        account.client("s3").put_object(Bucket=account.bucket(), Key="key", Body=b"x")
        account.invoked(account.function("def handler(event, context): pass"))

        # When
        addresses = listening_addresses(server.pid)

        # Then
        assert any(temporary.iterdir())
        assert addresses
        assert {address.split(":")[0] for address in addresses} == {"127.0.0.1"}
        assert endpoint.removeprefix("http://") in addresses
        server.send_signal(signal.SIGINT)
        assert server.wait(5) == 0
    assert list(temporary.iterdir()) == []


def test_what_a_killed_one_leaves_is_removed_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given one that runs, one that was killed, and folders of others whose names are alike
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    with running_aws(tmp_path / "first") as (endpoint, _):
        account = Account(endpoint)
        function = account.function("def handler(event, context): return event")
        assert account.invoked(function, "before") == "before"
        (living,) = temporary.iterdir()
        with running_aws(tmp_path / "killed") as (other, server):
            Account(other).invoked(Account(other).function("def handler(event, context): pass"))
            server.kill()
            server.wait(10)
        (left,) = set(temporary.iterdir()) - {living}
        assert any(left.glob("ministack-*/**/app.py"))
        others = tmp_path / "others"
        others.mkdir()
        (others / "alive").touch()
        (temporary / "local-aws-notes").mkdir()
        (temporary / "local-aws-link").symlink_to(others)

        # When the next one starts
        with running_aws(tmp_path / "next") as (_, _server):
            # Then what was left is gone
            assert not left.exists()
        # and nothing else is: the one that runs goes on, with a new process too
        assert account.invoked(function, "after") == "after"
        changed = account.function("def handler(event, context): return [event]")
        assert account.invoked(changed, "new") == ["new"]
        names = {living.name, "local-aws-notes", "local-aws-link"}
        assert {path.name for path in temporary.iterdir()} == names
        assert (others / "alive").exists()


def test_nothing_of_it_lies_outside_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with running_aws(tmp_path / "log") as (endpoint, _):
        # When a service is used that writes a key for itself
        Account(endpoint).client("cognito-idp").create_user_pool(PoolName="pool")

        # Then the key lies there
        (folder,) = tmp_path.glob("local-aws-*")
        assert list((folder / "state").iterdir())


def test_a_taken_port_is_one_clear_line(account: Account) -> None:
    # Given
    port = account.endpoint.rsplit(":", 1)[1]

    # When
    second = subprocess.run(
        [sys.executable, "-m", "emulator", "--port", port],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    # Then
    assert second.returncode == 2
    assert second.stdout == ""
    assert second.stderr == f"local AWS: port {port} cannot be taken: Address already in use\n"


def is_running(process: int) -> bool:
    """Whether a process exists and is more than its own gravestone."""
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False

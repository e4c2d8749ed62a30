"""The stand-in as a process of its own."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.quantemplate import Control, running
from tests.stand_in.client import Client
from tests.stand_in.listening import listening_addresses
from tests.stand_in.strangers import ask

ROOT = Path(__file__).parents[2]


@contextmanager
def start(port: Any, temporary: Any, *options: Any) -> Any:
    command = [sys.executable, "-m", "local.quantemplate", "--port", str(port), *options]
    process = subprocess.Popen(  # noqa: S603 - our own program
        [*command, "--time-scale", "0.01"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_serves_and_leaves_nothing_behind(tmp_path: Path, ending: Any) -> None:
    # Given
    with start(0, tmp_path) as process:
        line = process.stdout.readline()
        assert line.startswith("stand-in Quantemplate ready on http://127.0.0.1:")
        url = line.split()[-1]
        client = Client(Control(url))
        # Then nobody on the network reaches it
        assert listening_addresses(process.pid) == {url.removeprefix("http://")}
        # When
        with client.session:
            client.sign_in().upload()
            client.execute()
            assert client.finished()["status"] == "Succeeded"
            process.send_signal(ending)
            _, errors = process.communicate(timeout=60)
        # Then
        assert (process.returncode, errors) == (0, "")
        assert list(tmp_path.iterdir()) == []


def test_it_lets_in_the_pages_that_it_was_told_of(tmp_path: Path) -> None:
    pages = ["http://127.0.0.1:4566", "http://localhost:4566"]
    options = [part for page in pages for part in ("--page", page)]
    with start(0, tmp_path, *options) as process:
        url = process.stdout.readline().split()[-1]
        statuses = [
            ask(url, ["Host: 127.0.0.1:{port}", f"Origin: {page}"], "/control/settings").status
            for page in [*pages, "http://127.0.0.1:4567"]
        ]
        process.terminate()
        process.communicate(timeout=60)
    assert statuses == [200, 200, 403]


@pytest.mark.parametrize("page", ["*", "null", "127.0.0.1:4566", "https://console.example"])
def test_a_page_of_another_machine_cannot_be_told(tmp_path: Path, page: Any) -> None:
    with start(0, tmp_path, "--page", page) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"{page!r} is no origin on this machine" in errors


def test_what_a_killed_one_leaves_is_removed_by_the_next_start(tmp_path: Path) -> None:
    # Given one that runs and one that was killed in its midst
    with start(0, tmp_path) as living:
        living_url = living.stdout.readline().split()[-1]
        (kept,) = tmp_path.iterdir()
        with start(0, tmp_path) as killed:
            client = Client(Control(killed.stdout.readline().split()[-1]))
            with client.session:
                client.sign_in().upload()
            killed.kill()
            killed.communicate(timeout=60)
        assert len(list(tmp_path.iterdir())) == 2
        # When the next one starts
        with start(0, tmp_path) as following:
            following.stdout.readline()
            # Then only those of the living are there
            assert len(list(tmp_path.iterdir())) == 2
            following.terminate()
            following.communicate(timeout=60)
        assert list(tmp_path.iterdir()) == [kept]
        # and the one that ran goes on
        client = Client(Control(living_url))
        with client.session:
            assert client.sign_in().upload().status_code == 200
        living.terminate()
        living.communicate(timeout=60)


def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with running() as other:
        port = int(other.url.rsplit(":", 1)[1])
        with start(port, tmp_path) as process:
            _, errors = process.communicate(timeout=60)
        assert process.returncode == 2
        assert errors == f"port {port} is taken: choose another with --port\n"
        assert list(tmp_path.iterdir()) == []


def test_stopping_ends_a_reply_that_still_waits() -> None:
    with running() as other:
        client = Client(other)
        with client.session:
            client.sign_in()
            other.trouble("list_executions", "trickle", bytes_per_second=0.5)
            reply = client.list(stream=True)
    reply.close()

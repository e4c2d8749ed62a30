"""What moves in a terminal, and is not there in a pipe: the bar of a drop, and the watched runs."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from local.process import clean_environment
from local.quantemplate import Control
from stp.said import INTERRUPTED
from tests.cli.terminal import HIDDEN, SHOWN, STP, terminal
from tests.end_to_end.road import Road, Route
from tests.end_to_end.stack import make_route

SIZE = 20_000_000  # bytes, in several parts
BAR = re.compile(r"may\.csv [━╸╺ ]+ ([\d.]+)/20\.0 MB")


@pytest.fixture
def route(road: Road, stand_in: Control) -> Route:
    """A route of the test's own."""
    return make_route(road, stand_in, "Copy")


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    """A file that takes its time."""
    path = tmp_path / "may.csv"
    path.write_bytes(b"a" * (SIZE - 1) + b"\n")
    return path


def test_a_bar_shows_how_far_an_upload_is(
    environment: dict[str, str], route: Route, large_file: Path
) -> None:
    # When a large file is dropped in a terminal
    with terminal(environment, "drop", str(large_file), "--route", route.name) as screen:
        assert screen.ended() == 0, screen.text
    # Then a bar grows to the file's end, and leaves the result and a cursor
    done = [float(part) for part in BAR.findall(screen.text)]
    assert done == sorted(done)
    assert done[-1] == 20.0
    assert len(set(done)) > 1
    assert "Dropped" in screen.text.rpartition("20.0/20.0 MB")[2]
    assert screen.raw.rfind(SHOWN) > screen.raw.rfind(HIDDEN) > 0


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_pipe_gets_no_bar(
    environment: dict[str, str], route: Route, large_file: Path, options: tuple[str, ...]
) -> None:
    # When the same is dropped where nobody looks
    done = subprocess.run(  # noqa: S603 - the command that is tested
        [STP, "drop", large_file, "--route", route.name, *options],
        env=clean_environment(os.environ) | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    # Then there are but lines
    written = done.stdout + done.stderr
    assert "━" not in written
    assert "\x1b" not in written
    assert "\r" not in written
    assert route.name in done.stdout


def test_watched_runs_change_before_ones_eyes_until_ctrl_c(
    environment: dict[str, str], road: Road, route: Route, stand_in: Control
) -> None:
    # Given somebody who watches the runs
    with terminal(environment, "watch") as screen:
        screen.until("Reading the runs")
        # When a file is dropped whose pipeline takes a while
        stand_in.trouble("execute_pipeline", "run", id=route.pipeline_id, run={"seconds": 150.0})
        key = f"{route.name}/watched.csv"
        run = road.processed(key, b"a\n1\n").name
        # Then it is seen while it runs and when it has ended
        running = screen.until("Running", screen.until(key) - len(key) - 160)
        screen.until("Succeeded", running)
        assert run[:8] in screen.text
        # And Ctrl-C ends it with an exit code of its own, and gives the cursor back
        screen.interrupt()
        assert screen.ended() == INTERRUPTED
    assert "Traceback" not in screen.text
    assert screen.raw.rfind(SHOWN) > screen.raw.rfind(HIDDEN) > 0

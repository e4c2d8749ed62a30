"""While AWS or Quantemplate take their time, a terminal shows that something goes on."""

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.client import BaseClient

from local.deploy import ORGANISATION
from local.quantemplate import Control
from stp.app import main
from tests.cli.conftest import Stp
from tests.end_to_end.road import Road
from tests.end_to_end.stack import make_route

LONG = 10.0  # seconds, for which nothing may wait in silence on a machine however busy


class Screen(io.StringIO):
    """A terminal that counts what it is told."""

    told = 0

    def write(self, text: str) -> int:
        """Show it."""
        self.told += 1
        return super().write(text)


@contextmanager
def slow_services(screen: Screen, silent: list[str]) -> Iterator[None]:
    """Let each call take until the screen moves, and ten seconds where it does not."""

    def slowly(name: str, call: Callable[..., Any], *given: Any, **options: Any) -> Any:
        told, until = screen.told, time.monotonic() + LONG
        while screen.told == told:
            if time.monotonic() > until:
                silent.append(name)
                break
            time.sleep(0.01)
        return call(*given, **options)

    client: Any = BaseClient
    api_call, request = client._make_api_call, requests.Session.request
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            BaseClient,
            "_make_api_call",
            lambda client, name, given: slowly(name, api_call, client, name, given),
        )
        patch.setattr(
            requests.Session,
            "request",
            lambda session, *given, **options: slowly(
                given[1], request, session, *given, **options
            ),
        )
        patch.setattr(sys, "stdout", screen)
        patch.setattr(sys, "stderr", screen)
        patch.setenv("TTY_COMPATIBLE", "1")
        yield


def test_no_command_waits_in_silence(
    local_stp: Stp, road: Road, stand_in: Control, tmp_path: Path
) -> None:
    # Given a route, one whose gate holds every run, and a run of each
    copying = make_route(road, stand_in, "Copy")
    holding = make_route(road, stand_in, "Copy", hold_if_rows=["Copy"])
    file = tmp_path / "may.csv"
    file.write_text("a\n1\n")
    dropped = {
        route: local_stp("drop", str(file), "--route", route.name, "--wait", "--json").json[0][
            "run"
        ]
        for route in (copying, holding)
    }
    silent: dict[str, list[str]] = {}

    def slow(*arguments: str) -> str:
        screen, calls = Screen(), list[str]()
        with slow_services(screen, calls):
            code = main(arguments)
        assert code in (0, 1), screen.getvalue()
        if calls:
            silent[" ".join(arguments)] = calls
        return screen.getvalue()

    # When each command meets services that take long
    folder, queue, run = str(tmp_path / "routes"), copying.pipeline_id, dropped[copying]
    slow("routes", "list")
    slow("routes", "show", copying.name, "--to", folder)
    slow("routes", "check", folder, "--online")
    (tmp_path / "routes" / f"{copying.name}.yaml").unlink()
    (tmp_path / "routes" / "silence.json").write_text(
        f'{{"organisation_id": "{ORGANISATION}", "dataset_id": "d-s", "pipeline_id": "p-s"}}'
    )
    slow("routes", "apply", folder, "--yes")
    slow("routes", "remove", "silence", "--yes")
    slow("runs", "--limit", "3")
    slow("show", run)
    slow("queue")
    slow("queue", "pause", queue)
    again = local_stp("rerun", run, "--json").json[0]["run"]
    slow("rerun", run)
    slow("stop", again)
    slow("redrive", again)
    slow("queue", "resume", queue)
    slow("release", dropped[holding])
    slow("watch", "--until-idle")
    slow("drop", str(file), "--route", copying.name, "--to", str(tmp_path / "out"))
    slow("doctor")
    # Then none of them was ever silent for long
    assert silent == {}

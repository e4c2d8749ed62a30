"""`stp run`, and what other commands tell of runs without a file."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from stp.said import FAILED, OK, UNKNOWN
from stp.stack import Stack
from straight_through.queue.records import record_key
from tests.cli.conftest import Stp
from tests.cli.histories import history, passed
from tests.cli.states import States, pretend

STOCK = {"organisation_id": "c-1", "pipeline_id": "p-1"}
AT: dict[str, Any] = {"cause": {"at": "2026-05-04T05:00:00.000Z"}, "route": "stock"}


@pytest.fixture(autouse=True)
def states(monkeypatch: pytest.MonkeyPatch, deployed: Stack) -> States:
    """A route that takes files, one that does not, and two runs of it."""
    for name, document in {"claims": STOCK | {"dataset_id": "d-1"}, "stock/eu": STOCK}.items():
        deployed.client("ssm").put_parameter(
            Name=f"{deployed.routes_path}/{name}", Value=json.dumps(document), Type="String"
        )
    states = States(
        {
            "stock-eu-1": {"input": '{"route": "stock/eu"}'},
            "typed": {"input": '{"route": 7}', "status": "FAILED", "error": "InputInvalid"},
        }
    )
    pretend(monkeypatch, states)
    deployed.table.update(
        record_key("stock-eu-1"),
        "SET #route = :route, #cause = :cause, #source = :source, #execution = :execution",
        **{**AT, "source": None, "execution": {"execution_id": "e-7"}},
    )
    return states


def test_it_starts_a_run_of_the_routes_name_and_no_two_are_one(stp: Stp, states: States) -> None:
    # When a run is asked for twice
    first, second = (stp("run", "stock/eu", "--json") for _ in range(2))
    # Then two were started, with names that tell the route
    assert (first.code, second.code) == (OK, OK)
    assert states.started == [first.json["run"], second.json["run"]]
    assert all(name.startswith("stock-eu-") for name in states.started)
    assert len(set(states.started)) == 2


def test_a_route_that_takes_files_or_is_unknown_starts_nothing(stp: Stp, states: States) -> None:
    refused = stp("run", "claims")
    assert refused.code == FAILED
    assert "takes files, and nothing was started. Drop one: stp drop FILE --route" in refused.err
    unknown = stp("run", "stock")
    assert unknown.code == UNKNOWN
    assert "has no route 'stock'; it has claims, stock/eu" in unknown.err
    assert states.started == []


def test_a_run_without_a_file_is_told_by_its_route_and_cause(stp: Stp) -> None:
    assert "(no file: stock)" in stp("runs").out
    (found,) = (each for each in stp("runs", "--json").json if each["run"] == "stock-eu-1")
    assert (found["file"]["key"], found["cause"]) == (None, AT["cause"])


def test_nothing_is_said_to_have_been_uploaded(
    stp: Stp, states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = history(passed("TakeTurn", 0, 1), passed("UploadAndExecute", 1, 3))
    pages = SimpleNamespace(paginate=lambda **_: [{"events": events}])
    monkeypatch.setattr(states, "get_paginator", lambda _: pages)
    seen = stp("show", "stock-eu-1").out
    assert "✓ executed" in seen
    assert "uploaded" not in seen


def test_it_is_run_again_and_followed_without_a_file(
    stp: Stp, states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, Any]] = []
    start = states.start_execution

    def started(*, name: str, **asked: Any) -> dict[str, str]:
        given.append(json.loads(asked["input"]))
        return start(name=name, **asked)

    monkeypatch.setattr(states, "start_execution", started)
    assert stp("rerun", "stock-eu-1").code == OK
    assert stp("rerun", "--attach", "stock-eu-1").code == OK
    assert given == [{"route": "stock/eu"}, {"route": "stock/eu", "execution_id": "e-7"}]

"""CheckStatus: one look, and the wait until the next."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from straight_through.errors import ApiThrottled, PipelineFailed
from tests.unit.conftest import Event, Handler
from tests.unit.wire import EXECUTIONS, Reply, Wire, json_reply

SUCCEEDED = {
    "id": "e-7",
    "runNumber": 7,
    "status": "Succeeded",
    "createdAt": "2026-05-04T08:15:33Z",
    "startedAt": "2026-05-04T08:15:34Z",
    "finishedAt": "2026-05-04T08:19:34Z",
    "outputs": [
        {"id": "o-1", "name": "Clean claims: Sheet 1"},
        {"id": "o-2", "name": "Validation report"},
    ],
}


@pytest.fixture
def check(handler: Any) -> Handler:
    """The handler."""
    loaded: Handler = handler("check_status")
    return loaded


def listed(wire: Wire, **changed: Any) -> None:
    """Let the list hold our run."""
    wire.answer("GET", EXECUTIONS, json_reply([SUCCEEDED | changed]))


def test_a_run_that_goes_on_changes_nothing_but_the_wait(
    check: Handler, wire: Wire, event: Event
) -> None:
    now = datetime.now(UTC).isoformat()
    listed(wire, status="Started", startedAt=now, finishedAt=None, outputs=[])
    record = event("check_status") | {"wait_seconds": 17}
    assert check(record) == event("check_status") | {"status": "Started", "wait_seconds": 1}


def test_a_run_that_succeeded_brings_its_times_and_outputs(
    check: Handler, wire: Wire, event: Event, capsys: pytest.CaptureFixture[str]
) -> None:
    listed(wire)
    found = check(event("check_status"))
    # Then each output, with the rest of the record, is what the next step's samples have
    publish, download = event("publish_run"), event("download_output")
    assert found["status"] == "Succeeded"
    assert found["quantemplate"] == publish["quantemplate"] == download["quantemplate"]
    assert found["outputs"][0] == download["output"]
    assert [output["id"] for output in found["outputs"]] == ["o-1", "o-2"]
    assert found.keys() - {"outputs"} == event("check_status").keys()
    # And the delay is measured
    assert "DetectionDelay" in capsys.readouterr().out


def test_the_wait_that_a_throttling_server_asks_for_is_waited(
    check: Handler, wire: Wire, event: Event
) -> None:
    for asked, waited in [("17", 17), ("86400", 300), ("9" * 400, 300)]:
        wire.answer("GET", EXECUTIONS, Reply(429, headers={"Retry-After": asked}))
        expected = event("check_status") | {"wait_seconds": waited}
        assert check(event("check_status")) == expected


def test_throttling_without_a_wait_is_left_to_the_state_machine(
    check: Handler, wire: Wire, event: Event
) -> None:
    wire.answer("GET", EXECUTIONS, Reply(429))
    with pytest.raises(ApiThrottled, match=r"\[file s3://.*, route claims\]$"):
        check(event("check_status"))


def test_a_failed_pipeline_names_file_and_route(check: Handler, wire: Wire, event: Event) -> None:
    listed(wire, status="Failed")
    with pytest.raises(PipelineFailed, match=r"failed at .*\[file s3://.*, route claims\]$"):
        check(event("check_status"))


def test_an_unknown_status_is_logged_with_the_runs_name(
    check: Handler, wire: Wire, event: Event, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC).isoformat()
    listed(wire, status="Paused", startedAt=now, outputs=[])
    assert check(event("check_status"))["status"] == "Paused"
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["level"] == "WARNING"
    assert line["status"] == "Paused"
    assert line["correlation_id"] == event("check_status")["run"]

"""DownloadOutput: one output into the outbox, and its line of the manifest."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from straight_through.errors import ApiThrottled, CredentialsMissing, OutputIncomplete
from tests.unit.conftest import OUTBOX, Event, Handler, made_once
from tests.unit.wire import EXECUTIONS, Reply, Wire

OUTPUT_PATH = f"{EXECUTIONS}/e-7/outputs/o-1"


@pytest.fixture
def download(handler: Any) -> Handler:
    """The handler."""
    loaded: Handler = handler("download_output")
    return loaded


def test_the_sample_is_stored_where_the_manifest_says(
    download: Handler, s3: Any, wire: Wire, event: Event, capsys: pytest.CaptureFixture[str]
) -> None:
    wire.answer("GET", OUTPUT_PATH, Reply(body=b"id,paid\n1,2\n"))
    line = download(event("download_output"))
    assert line == event("publish_run")["record"]["outputs"][0]
    stored = s3.get_object(Bucket=OUTBOX, Key=line["key"])
    assert stored["Body"].read() == b"id,paid\n1,2\n"
    # And it carries its lineage
    assert stored["Metadata"] == {
        "run": "claims-Schaden-a-b-100-6cc3ff7ed5f238c85e51",
        "source-key": "claims/Sch%C3%A4den%20a%2Bb%20100%25.csv",
        "source-version": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
    }
    counted = [json.loads(out) for out in capsys.readouterr().out.splitlines()]
    assert [line["BytesDownloaded"] for line in counted if "BytesDownloaded" in line] == [[12.0]]


def test_what_a_gate_may_hold_lies_under_held(download: Handler, wire: Wire, event: Event) -> None:
    wire.answer("GET", OUTPUT_PATH, Reply(body=b"id,paid\n1,2\n"))
    line = download(event("download_output") | {"gated": True})
    assert line["key"] == f"held/{event('publish_run')['record']['outputs'][0]['key']}"


def test_a_broken_reply_names_output_file_and_route(
    download: Handler, s3: Any, wire: Wire, event: Event
) -> None:
    wire.answer("GET", OUTPUT_PATH, Reply(body=b"id,p", missing=8))
    about = r"\[output 'Clean claims: Sheet 1' of file s3://.*Schäden.*, route claims\]$"
    with pytest.raises(OutputIncomplete, match=about):
        download(event("download_output"))
    assert "Contents" not in s3.list_objects_v2(Bucket=OUTBOX)


def test_a_missing_secret_names_the_file_too(
    download: Handler, event: Event, secret_arn: str
) -> None:
    made_once("secretsmanager").put_secret_value(SecretId=secret_arn, SecretString="{}")
    with pytest.raises(CredentialsMissing, match="route claims"):
        download(event("download_output"))


@pytest.mark.parametrize(("asked", "waited", "seconds"), [(700, 0, 700), (5, 0, 5), (5, 900, 300)])
def test_the_wait_that_quantemplate_asks_for_is_kept(
    download: Handler, wire: Wire, event: Event, asked: int, waited: float, seconds: int
) -> None:
    # Given a Quantemplate that is asked too often, and a first wait some time ago
    wire.answer("GET", OUTPUT_PATH, Reply(429, headers={"Retry-After": str(asked)}))
    given = event("download_output")
    if waited:
        since = datetime.now(UTC) - timedelta(seconds=waited)
        given["waiting_since"] = since.isoformat()
    # When the output is fetched, then the state machine is told to wait, and with what to come back
    waiting = download(given)
    assert waiting["wait_seconds"] == pytest.approx(seconds, abs=1)
    assert given.items() <= waiting.items()
    # And what it comes back with brings the output's line, and no wait
    wire.answer("GET", OUTPUT_PATH, Reply(body=b"id,paid\n1,2\n"))
    assert download(waiting) == event("publish_run")["record"]["outputs"][0]


@pytest.mark.parametrize(
    "changed", [{"may_wait": False}, {"waiting_since": "2026-05-04T08:00:00+00:00"}]
)
def test_past_its_deadline_and_for_an_old_definition_it_is_raised(
    download: Handler, wire: Wire, event: Event, changed: dict[str, Any]
) -> None:
    wire.answer("GET", OUTPUT_PATH, Reply(429, headers={"Retry-After": "7"}))
    with pytest.raises(ApiThrottled):
        download(event("download_output") | changed)

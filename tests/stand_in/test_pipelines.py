"""Runs: numbers, statuses, queues, outputs."""

import gzip
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.quantemplate import Control
from tests.stand_in.client import Client, eventually


def slow(stand_in: Control, pipeline: Any = "p-claims", dataset: Any = "d-claims") -> None:
    stand_in.define_pipeline(pipeline, kind="claims", datasets=[dataset], seconds=1000)


def test_execute_gives_an_execution_object_that_is_started(client: Client) -> None:
    # Given
    client.upload()
    before = datetime.now(UTC)
    # When
    run = client.execute().json()
    # Then
    assert re.fullmatch("e-[0-9a-f]+", run["id"])
    assert (run["runNumber"], run["status"], run["createdBy"]) == (1, "Started", "u-api")
    assert run["version"] == 1
    assert "outputs" not in run
    assert "finishedAt" not in run
    created = datetime.fromisoformat(run["createdAt"])
    assert timedelta(0) <= created - before < timedelta(seconds=5)


def test_a_run_ends_after_its_pipelines_seconds_on_the_scaled_clock(client: Client) -> None:
    # Given two seconds at a hundredth
    client.upload()
    start = time.monotonic()
    # When
    client.execute()
    run = client.finished()
    # Then
    assert run["status"] == "Succeeded"
    assert 0.02 <= time.monotonic() - start < 1
    taken = datetime.fromisoformat(run["finishedAt"]) - datetime.fromisoformat(run["startedAt"])
    assert taken >= timedelta(milliseconds=19)


def test_the_outputs_have_the_vendors_names_and_are_csv_with_a_length(client: Client) -> None:
    client.upload()
    client.execute()
    run = client.finished()
    assert [output["name"] for output in run["outputs"]] == [
        "Clean claims: Sheet 1",
        "Validation report: Sheet 1",
        "Mapping report: Sheet 1",
    ]
    assert all(output["id"].startswith("o-") for output in run["outputs"])
    reply = client.output(run)
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert int(reply.headers["Content-Length"]) == len(reply.content)
    assert reply.text.splitlines()[1] == "C1,P1,2026-05-03,1"


def test_run_numbers_count_up_for_each_pipeline(client: Client) -> None:
    client.upload()
    client.execute()
    client.finished(1)
    assert client.execute().json()["runNumber"] == 2
    assert client.execute("p-premiums").json()["runNumber"] == 1
    assert [run["runNumber"] for run in client.list().json()] == [1, 2]


def test_a_second_run_queues_and_starts_when_the_first_ends(
    client: Client, stand_in: Control
) -> None:
    # Given
    client.upload()
    slow(stand_in)
    first = client.execute().json()
    # When
    second = client.execute().json()
    # Then
    assert second["status"] == "Started"
    assert "startedAt" not in second
    stand_in.finish(first["id"])
    waiting = client.list().json()[1]
    assert waiting["startedAt"] >= client.list().json()[0]["finishedAt"]


def test_a_run_without_data_fails(client: Client) -> None:
    client.execute()
    run = client.finished()
    assert (run["status"], run["outputs"]) == ("Failed", [])


@pytest.mark.parametrize(
    "content",
    [b"PK\x03\x04 a workbook", b"\xd0\xcf\x11\xe0 a workbook", b"M\xfcller\n\xe4", b"\n\n"],
)
def test_a_run_on_what_is_no_csv_fails(client: Client, stand_in: Control, content: Any) -> None:
    client.upload(content)
    client.execute()
    assert client.finished()["status"] == "Failed"
    assert stand_in.journal("run_ended")[0]["problem"]


def test_gzipped_csv_is_read_and_with_a_byte_order_mark_it_fails(client: Client) -> None:
    client.upload(gzip.compress(b"Claim Ref,Policy,DOL\nC1,P1,2026-05-01\n"))
    client.execute()
    assert client.finished(1)["status"] == "Succeeded"
    client.upload(gzip.compress(b"\xef\xbb\xbfClaim Ref,Policy,DOL\nC1,P1,2026-05-01\n"))
    client.execute()
    assert client.finished(2)["status"] == "Failed"


def test_a_copy_gives_the_bytes_back_under_any_names(client: Client, stand_in: Control) -> None:
    # Given
    names = ["a/b: c", "🧾 Übersicht", "x" * 200, "a/b: c"]
    stand_in.define_pipeline("p-claims", kind="copy", datasets=["d-claims"], outputs=names)
    content = bytes(range(256)) * 1000
    client.upload(content)
    # When
    client.execute()
    run = client.finished()
    # Then
    assert [output["name"] for output in run["outputs"]] == names
    assert len({output["id"] for output in run["outputs"]}) == 4
    assert [client.output(run, n).content for n in range(4)] == [content] * 4


def test_a_pipeline_defined_anew_has_a_higher_version(client: Client, stand_in: Control) -> None:
    slow(stand_in)
    assert client.execute().json()["version"] == 2


def test_a_run_by_somebody_else_shows_another_user_and_takes_the_next_number(
    client: Client, stand_in: Control
) -> None:
    client.upload()
    run = stand_in.run("p-claims")
    assert run["createdBy"] == "u-somebody-else"
    assert client.execute().json()["runNumber"] == 2


@pytest.mark.parametrize("spelling", ["Cancelled", "Canceled"])
@pytest.mark.parametrize("keep", [True, False])
def test_a_cancelled_run_keeps_its_outputs_if_told_to(
    client: Client, stand_in: Control, spelling: Any, keep: Any
) -> None:
    # Given
    client.upload()
    slow(stand_in)
    run = client.execute().json()
    # When
    stand_in.cancel(run["id"], end_status=spelling, keep_outputs=keep)
    # Then
    (run,) = client.list().json()
    assert run["status"] == spelling
    assert len(run["outputs"]) == (3 if keep else 0)
    if keep:
        assert client.output(run).status_code == 200


def test_a_queued_run_can_be_cancelled_and_never_starts(client: Client, stand_in: Control) -> None:
    client.upload()
    slow(stand_in)
    client.execute()
    queued = client.execute().json()
    stand_in.cancel(queued["id"])
    assert [run["status"] for run in client.list().json()] == ["Started", "Cancelled"]
    assert len(stand_in.journal("run_started")) == 1


def test_a_run_that_has_ended_cannot_be_cancelled(client: Client, stand_in: Control) -> None:
    client.execute()
    with pytest.raises(ValueError, match="no such run is going"):
        stand_in.cancel(client.finished()["id"])


def test_a_reset_forgets_everything_and_ends_what_goes_on(
    client: Client, stand_in: Control
) -> None:
    # Given
    client.upload()
    slow(stand_in)
    client.execute()
    # When
    stand_in.reset()
    # Then
    assert client.list().status_code == 401
    assert [entry["event"] for entry in stand_in.journal()] == ["refused"]
    assert client.sign_in().list().json() == []
    assert stand_in.datasets()["d-claims"]["versions"] == []


def test_fifty_connections_at_once_make_fifty_versions_and_runs(
    client: Client, stand_in: Control
) -> Any:
    # Given
    stand_in.define_pipeline("p-claims", datasets=["d-claims"], seconds=0)

    def upload_and_execute(number: Any) -> Any:
        headers = dict(client.session.headers)
        assert client.upload(b"%d" % number, headers=headers).status_code == 200
        return client.execute(headers=headers).json()["runNumber"]

    # When
    with ThreadPoolExecutor(50) as pool:
        numbers = list(pool.map(upload_and_execute, range(50)))
    # Then
    assert sorted(numbers) == list(range(1, 51))
    versions = [entry["version"] for entry in stand_in.journal("upload_finished")]
    assert versions == list(range(1, 51))
    eventually(lambda: len(stand_in.journal("run_ended")) == 50)
    sequence = [entry["seq"] for entry in stand_in.journal()]
    assert sequence == list(range(1, len(sequence) + 1))

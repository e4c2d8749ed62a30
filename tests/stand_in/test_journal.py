"""The journal as evidence: what it calls a violation, and that its order is true."""

import threading
from typing import Any

import pytest

from local.quantemplate import Control
from tests.stand_in.client import CSV, Client, eventually

OTHER = CSV.replace(b"C1", b"C2")


def kinds(stand_in: Control) -> Any:
    return [entry["kind"] for entry in stand_in.violations()]


@pytest.fixture
def slow(stand_in: Control) -> None:
    stand_in.define_pipeline("p-claims", kind="claims", datasets=["d-claims"], seconds=1000)


def upload_in_the_background(client: Client, stand_in: Control, bytes_per_second: Any) -> Any:
    """Start an upload that the server reads slowly; the thread, once it is under way."""
    stand_in.trouble("upload_dataset", "slow_read", bytes_per_second=bytes_per_second)
    thread = threading.Thread(target=client.upload)
    thread.start()
    eventually(lambda: stand_in.journal("upload_started"))
    return thread


def test_one_file_after_the_other_is_no_violation(client: Client, stand_in: Control) -> None:
    for number in (1, 2):
        client.upload()
        client.execute()
        client.finished(number)
    assert stand_in.violations() == []
    events = ["upload_started", "upload_finished", "execute_requested", "run_started", "run_ended"]
    noted = [entry for entry in stand_in.journal() if entry["event"] in events]
    assert [entry["event"] for entry in noted] == events * 2
    assert [entry["at"] for entry in noted] == sorted(entry["at"] for entry in noted)
    assert [entry["inputs"][0]["version"] for entry in stand_in.journal("run_ended")] == [1, 2]


@pytest.mark.usefixtures("slow")
def test_an_upload_during_a_run_is_a_violation_and_changes_the_runs_input(
    client: Client, stand_in: Control
) -> None:
    # Given
    client.upload()
    run = client.execute().json()
    # When
    client.upload(OTHER)
    stand_in.finish(run["id"])
    # Then
    (violation,) = stand_in.violations()
    assert (violation["kind"], violation["execution"]) == ("upload_during_run", run["id"])
    (started,), (ended,) = stand_in.journal("run_started"), stand_in.journal("run_ended")
    assert (started["inputs"][0]["version"], ended["inputs"][0]["version"]) == (1, 2)
    assert "C2" in client.output(client.finished()).text


@pytest.mark.usefixtures("slow")
def test_two_runs_of_one_pipeline_are_a_violation(client: Client, stand_in: Control) -> None:
    client.upload()
    client.execute()
    client.execute()
    assert kinds(stand_in) == ["two_runs"]


@pytest.mark.usefixtures("slow")
def test_two_runs_on_one_dataset_are_a_violation(client: Client, stand_in: Control) -> None:
    stand_in.define_pipeline("p-second", datasets=["d-claims"])
    client.upload()
    client.execute()
    client.execute("p-second")
    assert kinds(stand_in) == ["two_runs"]


@pytest.mark.usefixtures("slow")
def test_runs_of_pipelines_that_share_nothing_are_no_violation(
    client: Client, stand_in: Control
) -> None:
    client.upload()
    client.upload(dataset="d-premiums")
    client.execute()
    client.execute("p-premiums")
    assert kinds(stand_in) == []


@pytest.mark.usefixtures("slow")
def test_a_violation_names_who_made_the_run(client: Client, stand_in: Control) -> None:
    client.upload()
    client.execute()
    stand_in.run("p-claims")
    assert [entry["by"] for entry in stand_in.violations()] == ["u-somebody-else"]


@pytest.mark.usefixtures("slow")
def test_a_run_that_starts_during_an_upload_is_a_violation(
    client: Client, stand_in: Control
) -> None:
    thread = upload_in_the_background(client, stand_in, bytes_per_second=200)
    stand_in.run("p-claims")
    thread.join()
    assert kinds(stand_in) == ["run_during_upload"]


def test_two_uploads_to_one_dataset_at_once_are_a_violation(
    client: Client, stranger: Client, stand_in: Control
) -> None:
    headers = dict(client.session.headers)
    thread = upload_in_the_background(client, stand_in, bytes_per_second=200)
    stranger.upload(OTHER, headers=headers)
    thread.join()
    (violation,) = stand_in.violations()
    assert violation["kind"] == "two_uploads"
    assert len(stand_in.journal("upload_finished")) == 2


def test_downloads_are_noted_with_the_bytes_that_were_made(
    client: Client, stand_in: Control
) -> None:
    client.upload()
    client.execute()
    run = client.finished()
    client.output(run, 1)
    (noted,) = stand_in.journal("output_downloaded")
    (ended,) = stand_in.journal("run_ended")
    assert noted["sha256"] == ended["outputs"][1]["sha256"]


def test_the_journal_can_be_read_from_where_one_left_off(client: Client, stand_in: Control) -> None:
    client.upload()
    last = stand_in.journal()[-1]["seq"]
    client.execute()
    later = stand_in.journal(after=last)
    assert later[0]["event"] == "execute_requested"

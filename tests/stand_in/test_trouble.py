"""Each kind of misbehaviour, as a client meets it."""

import email.utils
import time
from typing import Any

import pytest
import requests

from local.quantemplate import Control
from tests.stand_in.client import CSV, Client


def run_trouble(stand_in: Control, times: Any = 1, **plan: Any) -> None:
    stand_in.trouble("execute_pipeline", "run", run=plan, times=times)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("operation", ["upload", "execute", "list"])
def test_an_ordered_status_comes_once_and_without_side_effect(
    client: Client, stand_in: Control, operation: Any, status: Any
) -> None:
    # Given
    full = {"upload": "upload_dataset", "execute": "execute_pipeline", "list": "list_executions"}
    stand_in.trouble(full[operation], "reply", status=status)
    # When
    replies = [getattr(client, operation)().status_code for _ in range(2)]
    # Then
    assert replies == [status, 200]
    effects = ("upload_finished", "execute_requested", "executions_listed")
    assert len([e for e in stand_in.journal() if e["event"] in effects]) == 1


def test_errors_come_in_the_vendors_formats(client: Client, stand_in: Control) -> None:
    for status, kind in ((401, "text/plain"), (403, "text/plain"), (404, "application/json")):
        stand_in.trouble("list_executions", "reply", status=status)
        reply = client.list()
        assert reply.headers["Content-Type"].split(";")[0] == kind
    assert reply.json() == {"executionId": {"value": ""}, "outputId": {"value": ""}}


def test_no_content_has_no_body(client: Client, stand_in: Control) -> None:
    stand_in.trouble("list_executions", "reply", status=204)
    reply = client.list()
    assert (reply.status_code, reply.content) == (204, b"")
    assert client.list().status_code == 200


def test_retry_after_comes_as_seconds_or_as_a_date(client: Client, stand_in: Control) -> None:
    stand_in.trouble("list_executions", "reply", status=429, retry_after=7)
    stand_in.trouble("list_executions", "reply", status=429, retry_after_date=60)
    assert client.list().headers["Retry-After"] == "7"
    date = email.utils.parsedate_to_datetime(client.list().headers["Retry-After"])
    assert 55 < date.timestamp() - time.time() <= 60


def test_the_token_endpoint_can_be_down(stranger: Client, stand_in: Control) -> None:
    stand_in.trouble("token", "reply", status=503, times=2)
    assert [stranger.token().status_code for _ in range(3)] == [503, 503, 200]


def test_trouble_can_skip_calls_last_until_cleared_and_keep_to_one_pipeline(
    client: Client, stand_in: Control
) -> None:
    stand_in.trouble("list_executions", "reply", status=500, id="p-claims", skip=1, times=None)
    assert [client.list().status_code for _ in range(4)] == [200, 500, 500, 500]
    assert client.list("p-premiums").status_code == 200
    stand_in.clear_troubles()
    assert client.list().status_code == 200
    assert stand_in.troubles() == []


@pytest.mark.parametrize(("when", "versions"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("kind", ["drop", "html", "redirect", "reply"])
def test_an_upload_is_lost_before_or_after_its_effect(
    client: Client, stand_in: Control, kind: Any, when: Any, versions: Any
) -> None:
    stand_in.trouble("upload_dataset", kind, when=when)
    if kind == "drop":
        with pytest.raises(requests.ConnectionError):
            client.upload()
    else:
        client.upload()
    assert len(stand_in.datasets()["d-claims"]["versions"]) == versions


@pytest.mark.parametrize(("when", "runs"), [("before", 0), ("after", 1)])
def test_the_reply_of_execute_is_lost_before_or_after_the_run_was_made(
    client: Client, stand_in: Control, when: Any, runs: Any
) -> None:
    stand_in.trouble("execute_pipeline", "drop", when=when)
    with pytest.raises(requests.ConnectionError):
        client.execute()
    assert len(client.list().json()) == runs


def test_a_connection_can_drop_in_the_middle_of_an_upload(
    client: Client, stand_in: Control
) -> None:
    stand_in.trouble("upload_dataset", "drop", after_bytes=1_000_000)
    with pytest.raises(requests.ConnectionError):
        client.upload(b"x" * 20_000_000)
    assert stand_in.datasets()["d-claims"]["versions"] == []


@pytest.mark.parametrize(("when", "runs"), [("before", 0), ("after", 1)])
def test_a_late_reply_makes_the_client_give_up(
    client: Client, stand_in: Control, when: Any, runs: Any
) -> None:
    stand_in.trouble("execute_pipeline", "delay", when=when, seconds=0.3)
    with pytest.raises(requests.ReadTimeout):
        client.execute(timeout=0.1)
    assert len(client.list().json()) == runs


def test_a_page_of_html_can_come_with_200(client: Client, stand_in: Control) -> None:
    stand_in.trouble("list_executions", "html")
    reply = client.list()
    assert reply.status_code == 200
    assert reply.headers["Content-Type"].startswith("text/html")
    assert "<html>" in reply.text


def test_a_redirect_can_come(client: Client, stand_in: Control) -> None:
    stand_in.trouble("list_executions", "redirect")
    reply = client.list()
    assert (reply.status_code, reply.is_redirect) == (302, True)


@pytest.fixture
def run(client: Client) -> Any:
    client.upload()
    client.execute()
    return client.finished()


def test_a_short_reply_ends_before_its_length(client: Client, stand_in: Control, run: Any) -> None:
    # Given
    whole = client.output(run).content
    stand_in.trouble("download_output", "short", missing=5)
    # When
    with client.output(run, stream=True) as reply:
        assert int(reply.headers["Content-Length"]) == len(whole)
        # Then
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="5 more expected"):
            _ = reply.content
    assert client.output(run).content == whole


def test_a_gzip_encoded_reply_comes_though_identity_was_asked(
    client: Client, stand_in: Control, run: Any
) -> None:
    whole = client.output(run).content
    stand_in.trouble("download_output", "gzip")
    reply = client.output(run, headers={"Accept-Encoding": "identity"})
    assert reply.headers["Content-Encoding"] == "gzip"
    assert reply.content == whole


def test_a_reply_can_trickle(client: Client, stand_in: Control, run: Any) -> None:
    whole = client.output(run).content
    stand_in.trouble("download_output", "trickle", bytes_per_second=len(whole) * 5)
    start = time.monotonic()
    assert client.output(run).content == whole
    assert time.monotonic() - start >= 0.18


def test_an_output_can_be_missing_for_a_while(client: Client, stand_in: Control, run: Any) -> None:
    stand_in.trouble("download_output", "reply", status=404)
    reply = client.output(run)
    assert reply.status_code == 404
    assert reply.json()["executionId"]["value"] == run["id"]
    assert client.output(run).status_code == 200


def test_an_upload_can_be_read_slowly(client: Client, stand_in: Control) -> None:
    stand_in.trouble("upload_dataset", "slow_read", bytes_per_second=len(CSV) * 5)
    start = time.monotonic()
    assert client.upload().status_code == 200
    assert time.monotonic() - start >= 0.18


@pytest.mark.parametrize("status", ["Failed", "Cancelled", "Canceled", "Paused"])
def test_a_run_ends_as_ordered_and_has_no_outputs(
    client: Client, stand_in: Control, status: Any
) -> None:
    run_trouble(stand_in, end_status=status)
    client.upload()
    client.execute()
    run = client.finished()
    assert (run["status"], run["outputs"]) == (status, [])


def test_a_pipeline_fails_only_as_often_as_ordered(client: Client, stand_in: Control) -> None:
    run_trouble(stand_in, times=2, end_status="Failed")
    client.upload()
    for number in (1, 2, 3):
        client.execute()
        client.finished(number)
    assert [run["status"] for run in client.list().json()] == ["Failed", "Failed", "Succeeded"]


def test_a_run_can_have_an_unknown_status_first_and_none_at_its_end(
    client: Client, stand_in: Control
) -> None:
    run_trouble(stand_in, running_status="Preparing", end_status=None)
    client.upload()
    assert client.execute().json()["status"] == "Preparing"
    assert "status" not in client.finished()


def test_a_cancelled_run_can_keep_what_it_had_made(client: Client, stand_in: Control) -> None:
    run_trouble(stand_in, end_status="Cancelled", keep_outputs=True)
    client.upload()
    client.execute()
    run = client.finished()
    assert run["status"] == "Cancelled"
    assert client.output(run).status_code == 200


def test_a_run_can_be_missing_from_the_list_for_some_calls(
    client: Client, stand_in: Control
) -> None:
    run_trouble(stand_in, hidden_calls=2)
    client.execute()
    assert [len(client.list().json()) for _ in range(3)] == [0, 0, 1]


def test_a_run_can_be_missing_from_the_list_for_some_seconds(
    client: Client, stand_in: Control
) -> None:
    run_trouble(stand_in, hidden_seconds=10)  # at a hundredth
    client.execute()
    start = time.monotonic()
    assert client.list().json() == []
    client.finished()
    assert time.monotonic() - start >= 0.09


@pytest.mark.parametrize(("form", "shown"), [("absent", None), ("empty", [])])
def test_outputs_are_absent_or_empty_until_the_end(
    client: Client, stand_in: Control, form: Any, shown: Any
) -> None:
    run_trouble(stand_in, outputs_before=form)
    client.upload()
    assert client.execute().json().get("outputs") == shown
    assert len(client.finished()["outputs"]) == 3


def test_execute_can_make_two_runs(client: Client, stand_in: Control) -> None:
    run_trouble(stand_in, duplicate=True)
    client.upload()
    assert client.execute().json()["runNumber"] == 1
    assert client.finished(2)["createdBy"] == "u-api"
    assert stand_in.violations() == []


def test_a_run_can_go_on_for_ever(client: Client, stand_in: Control) -> None:
    run_trouble(stand_in, never_ends=True, seconds=0)
    client.upload()
    run = client.execute().json()
    time.sleep(0.05)
    assert client.list().json()[0]["status"] == "Started"
    stand_in.finish(run["id"])
    assert client.list().json()[0]["status"] == "Succeeded"


def test_several_kinds_at_once_make_one_bad_call(
    client: Client, stand_in: Control, run: Any
) -> None:
    stand_in.trouble("download_output", "gzip")
    stand_in.trouble("download_output", "short", missing=3)
    with client.output(run, stream=True) as reply:
        assert reply.headers["Content-Encoding"] == "gzip"
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="3 more expected"):
            _ = reply.content

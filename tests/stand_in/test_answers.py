"""Odd replies, times and lists, as a client meets them."""

import email.utils
import gzip
import json
import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from local.quantemplate import Control
from local.quantemplate.answers import ANSWERS
from tests.stand_in.client import Client


@pytest.fixture
def run(client: Client) -> Any:
    client.upload()
    client.execute()
    return client.finished()


@pytest.mark.parametrize("name", ANSWERS)
def test_a_known_answer_comes_by_its_name(client: Client, stand_in: Control, name: Any) -> None:
    stand_in.trouble("list_executions", "reply", answer=name)
    reply = client.list()
    known = ANSWERS[name]
    assert (reply.status_code, reply.content) == (known.status, known.body)
    assert reply.headers["Content-Type"] == known.content_type
    assert client.list().json() == []


def test_a_known_answer_comes_with_retry_after_too(client: Client, stand_in: Control) -> None:
    stand_in.trouble("upload_dataset", "reply", answer="maintenance_503", retry_after=30)
    assert client.upload().headers["Retry-After"] == "30"


def test_an_answer_that_nobody_knows_is_no_order(stand_in: Control) -> None:
    with pytest.raises(ValueError, match="answer is none of sign_in"):
        stand_in.trouble("token", "reply", answer="nonsense")


def test_an_output_can_come_unasked_as_a_part_and_in_no_encoding(
    client: Client, stand_in: Control, run: Any
) -> None:
    # Given
    whole = client.output(run).content
    told = {"Content-Encoding": "UTF-8", "Content-Range": f"bytes 0-{len(whole) - 1}/{len(whole)}"}
    stand_in.trouble("download_output", "relabel", status=206, headers=told)
    # When
    reply = client.output(run)
    # Then
    assert (reply.status_code, reply.content) == (206, whole)
    assert reply.headers["Content-Encoding"] == "UTF-8"
    assert client.output(run).status_code == 200


def test_a_reply_can_come_as_another_type(client: Client, stand_in: Control, run: Any) -> None:
    stand_in.trouble("download_output", "relabel", status=200, content_type="application/json")
    assert client.output(run).headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("sized", [True, False])
def test_an_empty_body_comes_with_or_without_its_length(
    client: Client, stand_in: Control, sized: Any
) -> None:
    stand_in.trouble("list_executions", "reply", answer="empty")
    if not sized:
        stand_in.trouble("list_executions", "unsized")
    reply = client.list()
    assert reply.content == b""
    assert reply.headers.get("Content-Length") == ("0" if sized else None)


def test_a_reply_without_a_length_is_whole(client: Client, stand_in: Control, run: Any) -> None:
    whole = client.output(run).content
    stand_in.trouble("download_output", "unsized")
    reply = client.output(run)
    assert "Content-Length" not in reply.headers
    assert reply.content == whole


def test_a_reply_can_go_on_for_ever(client: Client, stand_in: Control) -> None:
    # Given
    stand_in.trouble("list_executions", "reply", status=200, body="[1")
    stand_in.trouble("list_executions", "endless", body=",2")
    # When
    with client.list(stream=True) as reply:
        first = reply.raw.read(5_000_001)
    # Then
    assert first == b"[1" + b",2" * 2_499_999 + b","
    assert client.list().json() == []


def test_a_bomb_is_small_until_it_is_unzipped(client: Client, stand_in: Control) -> None:
    stand_in.trouble("list_executions", "bomb", size=64 << 20)
    with client.list(stream=True) as reply:
        packed = reply.raw.read(decode_content=False)
    assert len(packed) < 100_000
    assert gzip.decompress(packed) == b" " * (64 << 20)


def test_a_reply_can_stall_half_way(client: Client, stand_in: Control, run: Any) -> None:
    stand_in.trouble("download_output", "stall", after_bytes=3)
    with client.output(run, stream=True, timeout=0.2) as reply:
        assert reply.raw.read(3) == b"Cla"
        with pytest.raises(requests.exceptions.ConnectionError, match="timed out"):
            _ = reply.content


def test_a_stall_can_end(client: Client, stand_in: Control) -> None:
    stand_in.trouble("list_executions", "stall", seconds=0.1)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="more expected"):
        client.list()


def test_a_connection_can_be_reset_half_way_and_the_effect_stays(
    client: Client, stand_in: Control
) -> None:
    stand_in.trouble("execute_pipeline", "reset", after_bytes=3)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="reset by peer"):
        client.execute()
    assert len(client.list().json()) == 1


@pytest.mark.parametrize(("when", "versions"), [("before", 0), ("after", 1)])
def test_an_error_page_can_show_the_request(
    client: Client, stand_in: Control, when: Any, versions: Any
) -> None:
    stand_in.trouble("upload_dataset", "echo", when=when, status=500)
    reply = client.upload(b"name\nvalue\n")
    assert reply.status_code == 500
    assert str(client.session.headers["Authorization"]) in reply.text
    assert "name\nvalue" in reply.text
    assert len(stand_in.datasets()["d-claims"]["versions"]) == versions


def test_an_error_page_of_the_token_server_shows_the_secret(
    stranger: Client, stand_in: Control
) -> None:
    stand_in.trouble("token", "echo", status=400)
    reply = stranger.token()
    assert (reply.status_code, "local-secret" in reply.text) == (400, True)


def test_a_token_can_come_without_its_life(stranger: Client, stand_in: Control) -> None:
    stand_in.trouble("token", "token_life", seconds=None)
    content = stranger.token().json()
    assert "expires_in" not in content
    header = {"Authorization": f"Bearer {content['access_token']}"}
    assert stranger.list(headers=header).status_code == 200


# --- clocks ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("ahead", [-600, 10])
def test_the_servers_clock_is_another_one(client: Client, stand_in: Control, ahead: Any) -> None:
    # Given
    stand_in.settings(clock_ahead=ahead)
    client.upload()
    # When
    before = time.time()
    reply = client.execute()
    after = time.time()
    # Then its times are those between question and answer, and by so much ahead; Date has seconds
    date = email.utils.parsedate_to_datetime(reply.headers["Date"])
    created = datetime.fromisoformat(reply.json()["createdAt"])
    for told in (date, created):
        assert before - 1 <= told.timestamp() - ahead <= after
    assert client.finished()["finishedAt"] > reply.json()["createdAt"]


@pytest.mark.parametrize(
    ("times", "shape"),
    [
        ("utc", r"....-..-..T..:..:..\.......Z"),
        ("no_zone", r"....-..-..T..:..:..\...."),
        ("zone_name", r"....-..-..T..:..:..\.......Z\[UTC\]"),
        ("unreadable", r"[A-Z][a-z]+day, ..\...\."),
    ],
)
def test_times_have_many_forms(client: Client, stand_in: Control, times: Any, shape: Any) -> None:
    stand_in.settings(times=times)
    client.upload()
    client.execute()
    run = client.finished()
    for field in ("createdAt", "startedAt", "finishedAt"):
        assert re.fullmatch(shape, run[field])


def test_times_can_be_milliseconds(client: Client, stand_in: Control) -> None:
    stand_in.settings(times="milliseconds")
    created = client.execute().json()["createdAt"]
    assert abs(created / 1000 - datetime.now(UTC).timestamp()) < 3


def test_a_form_that_nobody_knows_is_no_setting(stand_in: Control) -> None:
    with pytest.raises(ValueError, match="times is none of utc"):
        stand_in.settings(times="nonsense")


def test_a_start_can_be_missing_or_in_the_future(client: Client, stand_in: Control) -> None:
    for ahead in (None, 3600):
        stand_in.trouble("execute_pipeline", "run", run={"started_ahead": ahead})
        client.upload()
        client.execute()
    first, second = client.finished(1), client.finished(2)
    assert "startedAt" not in first
    assert second["startedAt"] > second["finishedAt"]


def test_a_run_can_have_ended_with_a_status_that_nobody_knows(
    client: Client, stand_in: Control
) -> None:
    stand_in.trouble("execute_pipeline", "run", run={"end_status": "Aborted"})
    client.upload()
    client.execute()
    assert client.finished()["status"] == "Aborted"


# --- lists ----------------------------------------------------------------------------------------
def test_a_list_can_begin_with_anything(client: Client, stand_in: Control) -> None:
    # Given
    items = [None, {"id": 7, "runNumber": 41, "status": None, "outputs": [{"id": 1}]}, "x"]
    stand_in.define_history("p-claims", items=items)
    client.upload()
    # When
    run = client.execute().json()
    # Then
    assert run["runNumber"] == 42
    assert client.list().json()[:3] == items
    assert client.list("p-premiums").json() == []


def test_a_list_can_be_very_long(client: Client, stand_in: Control) -> None:
    stand_in.define_history("p-claims", count=200_000)
    client.execute()
    listed = json.loads(client.list().content)
    assert [run["runNumber"] for run in listed] == list(range(1, 200_002))


def test_a_list_can_go_backwards(client: Client, stand_in: Control) -> None:
    for _ in range(3):
        client.execute()
    stand_in.trouble("list_executions", "older", missing=2)
    assert [len(client.list().json()) for _ in range(2)] == [1, 3]


def test_others_have_runs_in_the_list(client: Client, stand_in: Control) -> None:
    stand_in.run("p-claims")
    client.execute()
    assert [run["createdBy"] for run in client.list().json()] == ["u-somebody-else", "u-api"]

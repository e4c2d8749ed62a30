"""What the client makes of refusals, broken connections and waits that a server asks for."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import responses

from quantemplate import client as quantemplate
from quantemplate import replies
from quantemplate.client import Credentials, Quantemplate
from quantemplate.errors import Throttled
from straight_through.errors import (
    AccessDenied,
    ApiThrottled,
    ApiUnavailable,
    NotFound,
    PipelineBusy,
    RequestRefused,
    StraightThroughError,
    UploadRefused,
)
from straight_through.executing.connection import connected
from tests.unit.wire import DATASET, EXECUTIONS, TOKEN_PATH, Reply, Wire, json_reply

ORG, PIPELINE = "c-broker", "p-claims"


@pytest.mark.parametrize(
    ("reply", "error", "told"),
    [
        (Reply(403, b"Forbidden"), UploadRefused, r'\(Forbidden\).*"Can edit" mode.*redrive'),
        (
            Reply(403, b"<html>Request blocked</html>", {"Content-Type": "text/html"}),
            UploadRefused,
            "Request blocked.*firewall.*who runs.*this file's bytes.*redrive",
        ),
        (json_reply({"executionId": {}}, 404), NotFound, "executionId.*ids.*route.*redrive"),
        (Reply(429, b"slow\r\ndown"), ApiThrottled, r"\(slow down\)"),
        (Reply(500), ApiUnavailable, "HTTP 500"),
        (Reply(502, b"x" * 999), ApiUnavailable, r"\(x{300}\)"),
        (Reply(408), ApiUnavailable, "HTTP 408"),
        (Reply(404, b"<html>nginx</html>"), NotFound, "API's address"),
        (Reply(409, b"locked"), PipelineBusy, "locked"),
        (Reply(400, b"bad header"), UploadRefused, "bad header"),
        (Reply(413), UploadRefused, "HTTP 413"),
        (Reply(422), UploadRefused, "HTTP 422"),
        (Reply(301, headers={"Location": "/elsewhere"}), ApiUnavailable, "HTTP 301"),
        (Reply(400, b"cut", missing=400), UploadRefused, "HTTP 400"),
    ],
)
def test_each_status_has_its_error_with_what_the_server_said(
    client: Quantemplate, wire: Wire, reply: Reply, error: type, told: str
) -> None:
    wire.answer("POST", DATASET, reply)
    with pytest.raises(StraightThroughError, match=told) as raised:
        client.upload_dataset(ORG, "d-claims", b"id\n1\n")
    assert type(raised.value) is error
    assert "Upload Dataset d-claims" in str(raised.value)
    assert len(wire.calls("POST", DATASET)) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(403, b"Forbidden"), AccessDenied),
        (Reply(403, b"<html>Blocked"), AccessDenied),
        (Reply(404), NotFound),
        (Reply(409, headers={"Retry-After": "30"}), PipelineBusy),
        (Reply(400), RequestRefused),
    ],
)
def test_what_execute_is_refused_made_no_run(
    client: Quantemplate, wire: Wire, reply: Reply, error: type
) -> None:
    wire.answer("POST", EXECUTIONS, reply)
    with pytest.raises(StraightThroughError) as raised:
        client.execute_pipeline(ORG, PIPELINE)
    assert (type(raised.value), raised.value.call) == (error, "execute_pipeline")
    assert not getattr(raised.value, "sent", False)
    if isinstance(raised.value, PipelineBusy):
        assert raised.value.retry_after == 30


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("99999999999999", replies.MOST_WAIT),
        ("9" * 5000, replies.MOST_WAIT),
        ("Mon, 04 May 9999 08:00:00 -9999", 0),
        ("Mon, 04 May 9999 08:00:00 GMT", replies.MOST_WAIT),
        ("17", 17),
        ("0", 0),
        ("-5", 0),
        ("soon", 0),
        ("²", 0),
        (timedelta(hours=1), 3600),
        (timedelta(hours=-1), 0),
        ("Mon, 04 May 99999 08:00:00 GMT", 0),
    ],
)
@responses.activate
def test_the_wait_that_the_server_asks_for_is_kept(
    value: str | timedelta | None, seconds: float
) -> None:
    if isinstance(value, timedelta):  # a date, by the clock of this very test
        value = format_datetime(datetime.now(UTC) + value, usegmt=True)
    responses.post(
        quantemplate.TOKEN_URL, status=429, headers={"Retry-After": value} if value else {}
    )
    with pytest.raises(Throttled) as raised:
        Quantemplate(Credentials("i", "s")).authenticate()
    assert raised.value.retry_after == pytest.approx(seconds, abs=60)


def test_a_refused_connection_means_that_nothing_was_sent(wire: Wire, nobody: str) -> None:
    # Given a server that gives tokens and one that is gone
    gone = connected(Credentials("i", "s"), api_url=nobody, token_url=wire.token_url)
    # When the pipeline is executed
    with pytest.raises(ApiUnavailable, match=f"no answer from {nobody}/") as raised:
        gone.execute_pipeline(ORG, PIPELINE)
    # Then it was certainly not
    assert not raised.value.sent


def test_a_connection_dropped_after_the_request_was_sent_is_another_matter(
    client: Quantemplate, wire: Wire
) -> None:
    wire.answer("POST", EXECUTIONS, Reply(hang_up=True))
    with pytest.raises(ApiUnavailable, match="no answer") as raised:
        client.execute_pipeline(ORG, PIPELINE)
    assert raised.value.sent


def test_a_server_that_hangs_up_on_an_upload_is_shown_a_new_token_next_time(
    client: Quantemplate, wire: Wire
) -> None:
    wire.answer("POST", DATASET, Reply(hang_up=True), Reply(200))
    with pytest.raises(ApiUnavailable):
        client.upload_dataset(ORG, "d-claims", b"id\n1\n")
    client.upload_dataset(ORG, "d-claims", b"id\n1\n")
    assert len(wire.calls("POST", TOKEN_PATH)) == 2


def test_a_client_shows_its_secret_to_nobody(client: Quantemplate) -> None:
    shown: list[Any] = [client, client.credentials, vars(client).values()]
    assert "s3cr3t" not in "".join(f"{part!r} {part!s}" for part in shown)
    assert "straight-through" in repr(client.credentials)

"""The client, by what goes over the wire and by what it makes of what comes back."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import responses

from quantemplate import client as quantemplate
from quantemplate.client import Credentials, Execution, Output, Quantemplate
from straight_through.errors import (
    AccessDenied,
    ApiUnavailable,
    CredentialsRejected,
    NotFound,
    OutputIncomplete,
    RequestRefused,
    StraightThroughError,
)
from straight_through.executing.connection import connected
from tests.unit.wire import DATASET, EXECUTIONS, TOKEN_PATH, Reply, Wire, json_reply, token_reply

ORG, PIPELINE = "c-broker", "p-claims"
STARTED = {"id": "e-7", "runNumber": 7, "status": "Started", "createdAt": "2026-05-04T08:15:33Z"}


class Reread:
    """A body that tells how often it was read from the start."""

    def __init__(self, *chunks: bytes) -> None:
        """Take what is to be read."""
        self.chunks = chunks
        self.readings = 0

    def __len__(self) -> int:
        """Return the number of bytes."""
        return sum(map(len, self.chunks))

    def __iter__(self) -> Iterator[bytes]:
        """Read from the start."""
        self.readings += 1
        yield from self.chunks


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that only the test moves on."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    clock.time = time.time
    monkeypatch.setattr(quantemplate, "time", clock)
    return clock


# --- authentication -------------------------------------------------------------------------------


def test_one_token_serves_many_calls(client: Quantemplate, wire: Wire) -> None:
    wire.answer("GET", EXECUTIONS, json_reply([]))
    client.list_executions(ORG, PIPELINE)
    client.list_executions(ORG, PIPELINE)
    assert [r.path for r in wire.requests] == [TOKEN_PATH, EXECUTIONS, EXECUTIONS]
    form = "grant_type=client_credentials&client_id=straight-through&client_secret=s3cr3t"
    assert wire.requests[0].body.decode() == form
    assert "Authorization" not in wire.requests[0].headers
    assert {r.headers["Authorization"] for r in wire.requests[1:]} == {"Bearer token-1"}
    assert wire.requests[1].headers["Accept-Encoding"] == "identity"


def test_a_token_is_renewed_before_it_expires(
    client: Quantemplate, wire: Wire, clock: SimpleNamespace
) -> None:
    # Given a token for 300 seconds
    wire.answer("POST", TOKEN_PATH, token_reply("token-1", 300), token_reply("token-2", 300))
    wire.answer("GET", EXECUTIONS, json_reply([]))
    # When calls are made early, shortly before its end, and after that
    for clock.now in (1000.0, 1269.0, 1271.0, 1301.0):
        client.list_executions(ORG, PIPELINE)
    # Then the second token was there before the first one's end
    used = [r.headers["Authorization"] for r in wire.calls("GET", EXECUTIONS)]
    assert used == ["Bearer token-1"] * 2 + ["Bearer token-2"] * 2
    assert len(wire.calls("POST", TOKEN_PATH)) == 2


def test_a_rejected_token_is_renewed_once_and_the_body_read_anew(
    client: Quantemplate, wire: Wire
) -> None:
    # Given a server that rejects the first token
    wire.answer("POST", TOKEN_PATH, token_reply("token-1"), token_reply("token-2"))
    wire.answer("POST", DATASET, Reply(401, b"expired"), Reply(200))
    body = Reread(b"id,paid\n", b"C-1,1.00\n")
    # When a file is uploaded
    client.upload_dataset(ORG, "d-claims", body)
    # Then it went up whole twice, the second time with the new token
    first, second = wire.calls("POST", DATASET)
    assert first.body == second.body == b"id,paid\nC-1,1.00\n"
    assert second.headers["Authorization"] == "Bearer token-2"
    assert body.readings == 2


def test_a_token_that_is_never_accepted_ends_as_credentials_rejected(
    client: Quantemplate, wire: Wire
) -> None:
    wire.answer("GET", EXECUTIONS, Reply(401, b"no"))
    told = "gives a token but does not accept it.*QuantemplateTokenUrl.*redrive the run"
    with pytest.raises(CredentialsRejected, match=told):
        client.list_executions(ORG, PIPELINE)
    assert len(wire.calls("GET", EXECUTIONS)) == 2


@pytest.mark.parametrize("status", [400, 401, 403])
def test_rejected_credentials_name_the_client_and_what_to_do(
    client: Quantemplate, wire: Wire, status: int
) -> None:
    wire.answer("POST", TOKEN_PATH, json_reply({"error": "invalid_client"}, status))
    with pytest.raises(CredentialsRejected, match=f"'straight-through'.*HTTP {status}.*redrive"):
        client.authenticate()
    assert len(wire.requests) == 1


def test_rotated_credentials_are_taken_when_the_old_ones_are_rejected(wire: Wire) -> None:
    # Given a secret that was changed since it was read
    wire.answer("POST", TOKEN_PATH, Reply(401), token_reply("token-2"))
    client = Quantemplate(
        Credentials("straight-through", "old"),
        api_url=wire.api_url,
        token_url=wire.token_url,
        renewed=lambda: Credentials("straight-through", "new"),
    )
    # When a token is asked for
    client.authenticate()
    # Then the new secret was tried, and is kept
    assert [r.body.decode().rpartition("=")[2] for r in wire.requests] == ["old", "new"]
    assert client.credentials.client_secret == "new"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>log in</html>"),
        Reply(200),
        Reply(202, b"{}"),
        Reply(204),
        json_reply([]),
        json_reply({}),
        json_reply({"error": "temporarily_unavailable"}),
        json_reply({"access_token": 7, "expires_in": 300}),
        json_reply({"access_token": "tökén", "expires_in": 300}),
        json_reply({"access_token": "t" * 40_000, "expires_in": 300}),
        Reply(302, headers={"Location": "/login"}),
        json_reply({"error": "invalid_grant", "error_description": "Temporarily disabled"}, 400),
    ],
)
def test_an_address_that_gives_no_token_is_waited_for(
    client: Quantemplate, wire: Wire, reply: Reply
) -> None:
    wire.answer("POST", TOKEN_PATH, reply)
    with pytest.raises(ApiUnavailable, match="Authentication") as raised:
        client.execute_pipeline(ORG, PIPELINE)
    assert (raised.value.sent, raised.value.call) == (False, "token")
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("life", "seconds"),
    [({}, 54), ({"expires_in": "soon"}, 54), ({"expires_in": None}, 54), ({"expires_in": 1e9}, 54)],
)
def test_a_token_whose_life_nobody_tells_serves_a_minute(
    client: Quantemplate, wire: Wire, clock: SimpleNamespace, life: dict[str, Any], seconds: float
) -> None:
    # Given a token without its life
    wire.answer("POST", TOKEN_PATH, json_reply({"access_token": "t"} | life))
    wire.answer("GET", EXECUTIONS, json_reply([]))
    # When it is used shortly before a tenth less than a minute, and after that
    for clock.now in (1000.0, 1000.0 + seconds - 1, 1000.0 + seconds + 1):
        client.list_executions(ORG, PIPELINE)
    # Then it was taken anew
    assert len(wire.calls("POST", TOKEN_PATH)) == 2


@pytest.mark.parametrize(
    ("reply", "error", "told"),
    [
        (Reply(401), CredentialsRejected, "rejects the client id"),
        (
            json_reply(
                {"error": "unauthorized_client", "error_description": "Invalid client secret"}, 400
            ),
            CredentialsRejected,
            "Invalid client secret",
        ),
        (
            json_reply({"error": "invalid_client", "error_description": "No such client"}, 401),
            CredentialsRejected,
            "No such client",
        ),
        (
            Reply(403, b"<html>Blocked by PortalGuard</html>", {"Content-Type": "text/html"}),
            AccessDenied,
            "Blocked by PortalGuard.*firewall.*not looked at",
        ),
        (
            Reply(401, b"<html>Proxy sign-in</html>", {"Content-Type": "text/html"}),
            AccessDenied,
            "Proxy sign-in.*firewall",
        ),
        (json_reply({"error": "Realm does not exist"}, 404), NotFound, "QuantemplateTokenUrl"),
        (Reply(404, b"<html>nginx</html>"), NotFound, "token address"),
        (json_reply({"error": "invalid_scope"}, 400), RequestRefused, "invalid_scope"),
        (Reply(405), RequestRefused, "token address"),
        (json_reply({"error": "access_denied"}, 403), AccessDenied, "access_denied"),
    ],
)
def test_a_token_servers_no_is_told_in_its_words_and_blamed_on_what_it_is(
    client: Quantemplate, wire: Wire, reply: Reply, error: type, told: str
) -> None:
    wire.answer("POST", TOKEN_PATH, reply)
    with pytest.raises(StraightThroughError, match=told) as raised:
        client.list_executions(ORG, PIPELINE)
    assert (type(raised.value), raised.value.call) == (error, "token")
    assert "in the route" not in str(raised.value)
    assert ("its secret" in str(raised.value)) == (error is CredentialsRejected)


@pytest.mark.parametrize("reply", [Reply(503), Reply(hang_up=True), Reply(200, b"{", missing=9)])
def test_no_token_means_that_the_call_was_not_sent(
    client: Quantemplate, wire: Wire, reply: Reply
) -> None:
    wire.answer("POST", TOKEN_PATH, reply)
    with pytest.raises(ApiUnavailable) as raised:
        client.execute_pipeline(ORG, PIPELINE)
    assert not raised.value.sent


def test_a_netrc_does_not_replace_the_token(
    client: Quantemplate, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given somebody's .netrc that knows the host
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    wire.answer("GET", EXECUTIONS, json_reply([]))
    # When the API is called
    client.list_executions(ORG, PIPELINE)
    # Then neither call carries what it holds
    assert "Authorization" not in wire.requests[0].headers
    assert wire.requests[1].headers["Authorization"] == "Bearer token-1"


@responses.activate
@pytest.mark.parametrize(
    "api_url", ["https://API.example/external/v1", "https://api.example/external/v1/"]
)
def test_the_token_goes_with_the_call_however_the_address_is_written(api_url: str) -> None:
    token = {"access_token": "token-1", "expires_in": 300}
    responses.post("https://accounts.example/token", json=token)
    listed = responses.get(
        "https://api.example/external/v1/organisations/c-broker/pipelines/p-claims/executions",
        json=[],
        match=[responses.matchers.header_matcher({"Authorization": "Bearer token-1"})],
    )
    client = Quantemplate(
        Credentials("i", "s"), api_url=api_url, token_url="https://accounts.example/token"
    )
    client.list_executions(ORG, PIPELINE)
    assert listed.call_count == 1


# --- bodies up and down ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3 * 1024 * 1024 + 1])
def test_a_file_is_uploaded_with_its_length_and_not_in_chunks(
    client: Quantemplate, wire: Wire, tmp_path: Path, size: int
) -> None:
    wire.answer("POST", DATASET, Reply(200))
    file = tmp_path / "may.csv"
    file.write_bytes(b"\xff" * size)
    client.upload_dataset(ORG, "d-claims", file)
    (upload,) = wire.calls("POST", DATASET)
    assert upload.headers["Content-Length"] == str(size)
    assert "Transfer-Encoding" not in upload.headers
    assert upload.body == b"\xff" * size


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200),
        Reply(204),
        json_reply({"version": 2}, 201),
        json_reply({"error": None, "errors": [], "status": "Ready", "code": 200}),
        json_reply({"code": "500", "status": True}),
        json_reply([{"error": "of an earlier version"}]),
        Reply(200, b"0 errors", {"Content-Type": "text/plain"}),
        Reply(200, b"error: none", {"Content-Type": "text/csv"}),
        Reply(200, b"OK", {"Content-Type": "application/json"}),
        Reply(200, b"", {"Content-Type": "text/html; charset=utf-8"}),
        Reply(204, b"", {"Content-Type": "text/html"}),
        Reply(200, b"\r\n", {"Content-Type": "text/html"}),
        Reply(200, b'{"version": 2}', {"Content-Type": "text/html"}),
        Reply(200, b'\xef\xbb\xbf{"error": ""}', {"Content-Type": "application/json"}),
        *map(json_reply, (None, [], {}, "ok", {"data": {"error": "nested"}})),
    ],
)
def test_what_an_upload_is_answered_that_was_taken(
    client: Quantemplate, wire: Wire, reply: Reply
) -> None:
    wire.answer("POST", DATASET, reply)
    client.upload_dataset(ORG, "d-claims", b"id\n1\n")
    assert wire.calls("POST", DATASET)[0].body == b"id\n1\n"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(202),
        Reply(203),
        Reply(206),
        Reply(302, b"x" * 500, {"Location": "https://login.example/"}),
        Reply(304),
        Reply(200, b"<html><title>Sign in", {"Content-Type": "text/html"}),
        Reply(200, b" \n<!DOCTYPE html><title>Sign in"),
        Reply(200, b"\x89PNG", {"Content-Type": "image/png"}),
        json_reply({"error": "no space left"}),
        json_reply({"errors": [{"line": 7}]}),
        json_reply({"status": 500}),
        json_reply({"code": 400.0}),
        Reply(200, b'{"error": "in plain text"}', {"Content-Type": "text/plain"}),
        Reply(200, b'{"error": "in a page"}', {"Content-Type": "text/html"}),
        Reply(200, '{"error": "in UTF-16"}'.encode("utf-16"), {"Content-Type": "text/plain"}),
        Reply(200, "<html>in UTF-16".encode("utf-16"), {"Content-Type": "text/plain"}),
        Reply(200, b'{"error": "cut off', {"Content-Type": "application/json"}),
        Reply(200, b'{"error": "long", "n": %b}' % (b"9" * 5000), {"Content-Type": "text/plain"}),
        Reply(200, b'{"error": "deep", "n": %b' % (b"[" * 100_000), {"Content-Type": "text/json"}),
        json_reply({"status": float("inf")}),
        Reply(200, b"OK", missing=3),
        Reply(200, b"x" * 300_000),
    ],
)
def test_an_upload_that_may_not_have_arrived_is_sent_again(
    client: Quantemplate, wire: Wire, reply: Reply
) -> None:
    wire.answer("POST", DATASET, reply)
    with pytest.raises(ApiUnavailable, match="Upload Dataset d-claims") as raised:
        client.upload_dataset(ORG, "d-claims", b"id\n1\n")
    assert raised.value.call == "upload_dataset"


def test_an_error_while_the_body_is_read_stays_what_it_is(client: Quantemplate, wire: Wire) -> None:
    # Given a body that breaks off in the middle
    class Broken(Reread):
        def __iter__(self) -> Iterator[bytes]:
            yield b"i"
            raise StraightThroughError("S3 broke off.")

    # When it is uploaded, its error comes through
    wire.answer("POST", DATASET, Reply(200))
    with pytest.raises(StraightThroughError, match="S3 broke off"):
        client.upload_dataset(ORG, "d-claims", Broken(b"id\n1\n"))
    # And the client is still of use
    client.upload_dataset(ORG, "d-claims", b"id\n1\n")
    assert b"id\n1\n" in [upload.body for upload in wire.calls("POST", DATASET)]


@pytest.mark.parametrize(("version", "query"), [(None, ""), (3, "?version=3")])
def test_a_dataset_is_downloaded(
    client: Quantemplate, wire: Wire, version: int | None, query: str
) -> None:
    wire.answer("GET", DATASET + query, Reply(body=b"id\n1\n"))
    with client.download_dataset(ORG, "d-claims", version=version) as download:
        assert b"".join(download) == b"id\n1\n"


def test_a_short_reply_is_never_taken_for_a_whole_one(client: Quantemplate, wire: Wire) -> None:
    wire.answer("GET", DATASET, Reply(body=b"id\n1\n", missing=1))
    with (
        pytest.raises(OutputIncomplete, match="broke off"),
        client.download_dataset(ORG, "d-claims") as download,
    ):
        list(download)


CSV = {"Content-Type": "text/csv"}


@pytest.mark.parametrize(
    "body",
    [
        *(b"{id},name\n1,x\n", b"<a>,b\n", b"[x],y\n", b"[x]", b'"ok"', b"null", b"{id}", b"<"),
        *(b"<header>,b\n", b"<metadata>\n1\n", b"<titles>,<bodyshop>\n", b"\xef\xbb\xbfid\n", b"a"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("kind", ["", "text/csv; charset=UTF-8", "TEXT/CSV", "application/csv"])
def test_a_csv_that_looks_like_something_else_is_one(
    client: Quantemplate, wire: Wire, body: bytes, kind: str
) -> None:
    wire.answer("GET", DATASET, Reply(200, body, {"Content-Type": kind} if kind else {}))
    with client.download_dataset(ORG, "d-claims") as download:
        assert b"".join(download) == body


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, '{"error": "in UTF-16"}'.encode("utf-16"), CSV),
        Reply(200, "\ufeff<html>in UTF-16".encode("utf-16-be"), CSV),
        *(Reply(200, body, CSV, endless=True) for body in (b"", b'{"error": 1}', b"<html>")),
        *(Reply(200, body, CSV, chunked=True) for body in (b"", b'{"error": 1}', b"<html>")),
    ],
)
def test_what_is_no_output_is_waited_for_however_it_comes(
    client: Quantemplate, wire: Wire, reply: Reply
) -> None:
    wire.answer("GET", DATASET, reply)
    with (
        pytest.raises(ApiUnavailable, match="Download Dataset d-claims brought"),
        client.download_dataset(ORG, "d-claims"),
    ):
        pass


def test_ids_are_one_segment_of_the_path(client: Quantemplate, wire: Wire) -> None:
    with (
        pytest.raises(NotFound),
        client.download_output(ORG, PIPELINE, "e 1/2?", "o-ü"),
    ):
        pass
    assert wire.requests[-1].path == f"{EXECUTIONS}/e%201%2F2%3F/outputs/o-%C3%BC"


# --- executions -----------------------------------------------------------------------------------


def test_an_execution_is_read_with_all_that_it_has(client: Quantemplate, wire: Wire) -> None:
    full = STARTED | {
        "status": "Succeeded",
        "createdBy": "u-1",
        "startedAt": "2026-05-04T08:15:34Z",
        "finishedAt": "2026-05-04T08:19:34Z",
        "version": 4,
        "outputs": [{"id": "o-1", "name": "Clean claims: Sheet 1", "more": 1}],
    }
    missing = {"id": "e-8", "runNumber": 8}
    wire.answer("GET", EXECUTIONS, json_reply([full, missing | {"outputs": None}]))
    assert client.list_executions(ORG, PIPELINE, ours=["e-7"]).kept == (
        Execution("e-8", 8, "None"),
        Execution(
            "e-7",
            7,
            "Succeeded",
            "2026-05-04T08:15:33Z",
            "u-1",
            "2026-05-04T08:15:34Z",
            "2026-05-04T08:19:34Z",
            (Output("o-1", "Clean claims: Sheet 1"),),
            pipeline_version=4,
        ),
    )


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ("Started", False),
        ("Succeeded", True),
        ("Failed", True),
        ("Cancelled", True),
        ("Canceled", True),
        ("Paused", False),
    ],
)
def test_only_known_last_statuses_are_an_end(status: str, ended: bool) -> None:  # noqa: FBT001
    assert Execution("e-7", 7, status).ended == ended


def test_execute_sends_no_body(client: Quantemplate, wire: Wire) -> None:
    wire.answer("POST", EXECUTIONS, json_reply(STARTED, 201))
    assert client.execute_pipeline(ORG, PIPELINE).number == 7
    assert wire.requests[-1].headers["Content-Length"] == "0"


def test_no_content_is_an_empty_list(client: Quantemplate, wire: Wire) -> None:
    wire.answer("GET", EXECUTIONS, Reply(204))
    assert client.list_executions(ORG, PIPELINE).kept == ()


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>welcome</html>", {"Content-Type": "text/html"}),
        json_reply({"executions": []}),
        json_reply(None),
        json_reply(["e-7"]),
        json_reply({"error": "maintenance"}),
        json_reply([{"id": "e-7"}]),
        json_reply([STARTED | {"id": None}]),
        json_reply([STARTED | {"runNumber": "seven"}]),
        Reply(200, b"\xff\xfe"),
        Reply(200),
        Reply(200, b"[]]"),
        Reply(200, b"[{}"),
        Reply(200, b"[", {"Content-Encoding": "gzip"}),
        Reply(202, b"[]"),
        Reply(206, b"[]"),
        Reply(302, headers={"Location": "https://login.example/"}),
    ],
)
def test_a_list_that_is_none_is_waited_for(client: Quantemplate, wire: Wire, reply: Reply) -> None:
    wire.answer("GET", EXECUTIONS, reply)
    with pytest.raises(ApiUnavailable, match="List Executions of p-claims") as raised:
        client.list_executions(ORG, PIPELINE)
    assert raised.value.call == "list_executions"


@pytest.mark.parametrize("outputs", [[{"id": "o-1"}], 7, ["o-1"], [{"id": None, "name": "n"}]])
def test_our_own_run_must_be_whole(client: Quantemplate, wire: Wire, outputs: Any) -> None:
    # Given a run whose outputs nobody could fetch
    wire.answer("GET", EXECUTIONS, json_reply([STARTED | {"outputs": outputs}]))
    # When it is ours, the list is asked for again
    with pytest.raises(ApiUnavailable, match="List Executions of p-claims brought an "):
        client.list_executions(ORG, PIPELINE, ours=["e-7"])
    # And where it is another's, its outputs do not count
    assert client.list_executions(ORG, PIPELINE).kept[0].number == 7


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>welcome</html>"),
        Reply(204),
        json_reply({}),
        json_reply(STARTED | {"error": "no capacity"}),
        json_reply(STARTED | {"id": None}),
        json_reply(STARTED | {"runNumber": None}),
        Reply(202, b""),
        Reply(302, headers={"Location": "/login"}),
        Reply(200, b"[" * 100_000),
        Reply(200, b"9" * 200_000),
        Reply(200, b"{", {"Content-Encoding": "gzip"}),
        Reply(500),
        Reply(503),
        Reply(408),
        Reply(hang_up=True),
        Reply(200, b'{"id"', missing=20),
    ],
)
def test_execute_without_a_legible_answer_may_have_been_executed(
    client: Quantemplate, wire: Wire, reply: Reply
) -> None:
    wire.answer("POST", EXECUTIONS, reply)
    with pytest.raises(ApiUnavailable) as raised:
        client.execute_pipeline(ORG, PIPELINE)
    assert raised.value.sent
    assert len(wire.calls("POST", EXECUTIONS)) == 1


@pytest.mark.parametrize("expired", [True, False])
def test_nothing_is_executed_as_another_user_than_the_caller_knows(
    wire: Wire, *, expired: bool
) -> None:
    # Given credentials that are replaced by those of another client, after a first call
    old, new = Credentials("old", "s3cr3t-1"), Credentials("new", "s3cr3t-2")
    client = connected(old, api_url=wire.api_url, token_url=wire.token_url, renewed=lambda: new)
    wire.answer("GET", EXECUTIONS, json_reply([]))
    wire.answer("POST", TOKEN_PATH, token_reply("t-1", 0 if expired else 300))
    client.list_executions(ORG, PIPELINE)
    wire.answer("POST", TOKEN_PATH, Reply(401), token_reply("t-2"))
    taken = json_reply(STARTED)
    wire.answer("POST", EXECUTIONS, *([taken] if expired else [Reply(401), taken]))
    # Then Execute is not sent as that one before the caller can know
    with pytest.raises(ApiUnavailable, match="'old' have been replaced by those of 'new'") as met:
        client.execute_pipeline(ORG, PIPELINE)
    assert (met.value.sent, met.value.call) == (False, "execute_pipeline")
    assert len(wire.calls("POST", EXECUTIONS)) == (0 if expired else 1)
    assert client.execute_pipeline(ORG, PIPELINE).id == "e-7"

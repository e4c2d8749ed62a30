"""What a server can make long, endless, slow, odd, or full of our own secrets."""

import base64
import gzip
import json
import re
import tracemalloc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
import responses
from hypothesis import given, settings
from hypothesis import strategies as st

from quantemplate import replies
from quantemplate.client import CALLS, Credentials, Quantemplate
from straight_through.errors import (
    ApiUnavailable,
    OutputIncomplete,
    RequestRefused,
    StraightThroughError,
)
from straight_through.executing.connection import connected
from tests.unit.wire import (
    DATASET,
    EXECUTIONS,
    TOKEN_PATH,
    Reply,
    Wire,
    json_reply,
    token_reply,
)

ORG, PIPELINE = "c-broker", "p-claims"
OUTPUT = f"{EXECUTIONS}/e-7/outputs/o-1"
PLACES = {
    "token": ("POST", TOKEN_PATH),
    "upload_dataset": ("POST", DATASET),
    "download_dataset": ("GET", DATASET),
    "execute_pipeline": ("POST", EXECUTIONS),
    "list_executions": ("GET", EXECUTIONS),
    "download_output": ("GET", OUTPUT),
}
ENDLESS = 24 * 1024 * 1024  # bytes; more than a reply may cost by far
BOMB = gzip.compress(b"[" + b" " * ENDLESS)


def call(client: Quantemplate, name: str) -> None:
    """Make one of the client's calls, and read what it brings to its end."""
    if name == "token":
        client.authenticate()
    elif name == "upload_dataset":
        client.upload_dataset(ORG, "d-claims", b"id\n1\n")
    elif name == "download_dataset":
        with client.download_dataset(ORG, "d-claims") as download:
            list(download)
    elif name == "execute_pipeline":
        client.execute_pipeline(ORG, PIPELINE)
    elif name == "list_executions":
        client.list_executions(ORG, PIPELINE, after=3, ours=["e-7"])
    else:
        with client.download_output(ORG, PIPELINE, "e-7", "o-1") as download:
            list(download)


@pytest.mark.parametrize("name", CALLS)
def test_each_error_names_its_call(client: Quantemplate, wire: Wire, name: str) -> None:
    wire.answer(*PLACES[name], Reply(503))
    with pytest.raises(ApiUnavailable) as raised:
        call(client, name)
    assert raised.value.call == name


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("status", [200, 302, 404, 502])
@pytest.mark.parametrize("again", [b"[", b'{"a":', b" "], ids=("[", "{", "space"))
def test_an_endless_reply_costs_little_memory(name: str, status: int, again: bytes) -> None:
    if name.startswith("download") and status == 200:
        return  # is an output, which is read a piece at a time
    body = again * (ENDLESS // len(again))
    with responses.RequestsMock() as mock:
        # Given a server whose replies have no end
        url = "https://q.example/v1"
        if name != "token":
            mock.post(f"{url}/token", json={"access_token": "t", "expires_in": 300})
        method, path = PLACES[name]
        path = path.removeprefix("/v1")
        mock.add(method, url + path, body, status=status, headers={"Location": "/more"})
        client = connected(Credentials("id", "s3cr3t"), api_url=url, token_url=f"{url}{TOKEN_PATH}")
        # When it is called
        tracemalloc.start()
        with pytest.raises(StraightThroughError):
            call(client, name)
        # Then little of it was read
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize("name", CALLS)
def test_an_encoded_reply_is_refused_and_not_decoded(
    client: Quantemplate, wire: Wire, name: str
) -> None:
    for status in (200, 500):
        headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain"}
        wire.answer(*PLACES[name], Reply(status, BOMB, headers))
        tracemalloc.start()
        with pytest.raises((ApiUnavailable, OutputIncomplete)):
            call(client, name)
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["token", "upload_dataset", "execute_pipeline", "list_executions"])
def test_a_reply_that_trickles_for_ever_ends_at_its_deadline(
    client: Quantemplate, wire: Wire, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # Given a clock on which each piece takes a while
    clock = SimpleNamespace(now=0.0)

    def monotonic() -> float:
        clock.now += 30
        return float(clock.now)

    clock.monotonic = monotonic
    monkeypatch.setattr(replies, "time", clock)
    wire.answer(*PLACES[name], Reply(200, b"[" + b" " * 200_000, chunked=True))
    # Then the reply is given up
    with pytest.raises(ApiUnavailable, match="no end after"):
        call(client, name)


# --- whatever comes, it has a name ----------------------------------------------------------------

FIELDS = (
    *("id", "runNumber", "status", "createdAt", "startedAt", "finishedAt", "outputs", "name"),
    *("error", "errors", "code", "access_token", "expires_in", "error_description"),
)
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
values = st.sampled_from(
    ["", "abc", "-1", "7, 8", "99999999999999", "9" * 5000, "\xff\xfe", "Mon, 99 Foo 0000 25:61:61"]
)
headers = st.dictionaries(
    st.sampled_from(["Retry-After", "Date", "Location", "Content-Type", "Content-Encoding"]), values
)


@settings(max_examples=400, deadline=None)
@given(
    name=st.sampled_from(CALLS),
    status=st.sampled_from([200, 201, 202, 204, 206, 302, 400, 401, 403, 404, 409, 429, 500]),
    document=documents,
    headers=headers,
    raw=st.none() | st.binary(max_size=40),
)
def test_whatever_comes_its_error_is_one_of_ours(
    name: str, status: int, document: Any, headers: dict[str, str], raw: bytes | None
) -> None:
    body = json.dumps(document).encode() if raw is None else raw
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        url = "https://q.example/v1"
        if name != "token":
            mock.post(f"{url}/token", json={"access_token": "t", "expires_in": 300})
        method, path = PLACES[name]
        kind = headers.get("Content-Type", "application/json")
        others = {each: value for each, value in headers.items() if each != "Content-Type"}
        mock.add(
            method,
            url + path.removeprefix("/v1"),
            body,
            status=status,
            headers=others,
            content_type=kind,
        )
        client = connected(Credentials("id", "s3cr3t"), api_url=url, token_url=f"{url}{TOKEN_PATH}")
        met = StraightThroughError("None.")
        met.call = name
        try:
            call(client, name)
        except StraightThroughError as error:
            met = error
        assert met.call in (name, "token")
        assert len(str(met).encode()) < 4096
        assert str(met).isprintable()


@pytest.mark.parametrize(
    "header",
    [
        {"Location": "http://[odd"},
        {"Location": "\xff\xfe"},
        {"Location": "http://q.example:99999999/"},
        {"Retry-After": "9" * 500},
        {"Date": "yesterday"},
        {"Set-Cookie": "\xff=\xfe; Max-Age=99999999999999999999"},
        {"Content-Length": "7, 8"},
        {"Content-Length": "²"},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", CALLS)
def test_odd_headers_have_no_error_of_their_own(
    client: Quantemplate, wire: Wire, name: str, header: dict[str, str]
) -> None:
    for status in (302, 503):
        wire.answer(*PLACES[name], Reply(status, b"", header, endless=True))
        with pytest.raises(ApiUnavailable):
            call(client, name)


@pytest.mark.parametrize("part", ["ü", "\ud800", "a/b?c#d", "\n", ""])
def test_odd_ids_make_a_request_all_the_same(client: Quantemplate, part: str) -> None:
    with pytest.raises(StraightThroughError):
        client.list_executions(part, part)
    with pytest.raises(StraightThroughError):
        client.upload_dataset(part, part, b"id\n")


def test_odd_credentials_are_rejected_by_the_server_and_not_by_us(wire: Wire) -> None:
    wire.answer("POST", TOKEN_PATH, Reply(401))
    odd = Credentials("\ud800", "s\udfffcret")
    with pytest.raises(StraightThroughError, match="rejects the client id"):
        connected(odd, api_url=wire.api_url, token_url=wire.token_url).authenticate()


# --- secrets and addresses ------------------------------------------------------------------------

SECRET, TOKEN = 's3/cr+3t"ä<&>', "t0ken.of-access_123"


def basic(lead: str) -> Callable[[str], str]:
    """What Basic makes of a secret behind a name."""
    return lambda secret: base64.b64encode((lead + secret).encode()).decode()


@pytest.mark.parametrize(
    "form",
    [
        str,
        quote,
        lambda secret: quote(secret, safe=""),
        lambda secret: quote(secret, safe="").lower(),
        lambda secret: quote(quote(secret, safe=""), safe=""),
        json.dumps,
        lambda secret: json.dumps(secret, ensure_ascii=False),
        lambda secret: secret.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;"),
        basic(""),
        basic("id:"),
        basic("ids:"),
        basic("an-id:"),
        lambda secret: secret.encode().hex(),
    ],
)
@pytest.mark.parametrize("lead", ["", "x" * 290, " " * 2300, "x" * 1990])
def test_no_secret_is_shown_where_a_server_echoes_the_request(
    wire: Wire, form: Callable[[str], str], lead: str
) -> None:
    # Given a server that shows what it got
    client = connected(Credentials("id", SECRET), api_url=wire.api_url, token_url=wire.token_url)
    wire.answer("POST", TOKEN_PATH, token_reply(TOKEN))
    shown = ""
    for status in (200, 403, 500):
        for secret in (SECRET, TOKEN):
            body = f"{lead}You sent {form(secret)} \x1b[31m\r\nBcc: all\x00".encode() + b"y" * 5000
            wire.answer("GET", EXECUTIONS, Reply(status, body))
            wire.answer("POST", EXECUTIONS, Reply(status, body))
            for name in ("list_executions", "execute_pipeline"):
                with pytest.raises(StraightThroughError) as raised:
                    call(client, name)
                shown += str(raised.value)
    # Then no form of a secret is in a message, not even the most of one
    for secret in (SECRET, TOKEN):
        whole = form(secret).strip('"')
        assert whole not in shown
        assert whole[: len(whole) * 2 // 3] not in shown
    # And each is one line of plain characters
    assert shown.isprintable()


def test_what_a_server_says_is_shown_without_what_nobody_sees(
    client: Quantemplate, wire: Wire
) -> None:
    wire.answer("GET", EXECUTIONS, json_reply({"why": "s3cr3t in the\r\nway"}, 400))
    with pytest.raises(RequestRefused, match=r'\(\{"why": "\(hidden\) in the\\r\\nway"\}\)'):
        call(client, "list_executions")


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("https://fabric.example/v1", True),
        ("http://127.0.0.1:8080/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:8080/v1", True),
        ("http://fabric.example/v1", False),
        ("http://localhost.example/v1", False),
        ("http://localhost@fabric.example/v1", False),
        ("http://127.0.0.1.example/v1", False),
        ("ftp://fabric.example/v1", False),
        ("fabric.example/v1", False),
    ],
)
def test_a_secret_goes_over_tls_or_nowhere(url: str, fits: bool) -> None:  # noqa: FBT001
    good: dict[str, Any] = {"api_url": "https://q.example", "token_url": "https://q.example"}
    for addresses in (good | {"api_url": url}, good | {"token_url": url}):
        if fits:
            connected(Credentials("id", "s3cr3t"), **addresses)
        else:
            with pytest.raises(RequestRefused, match="https://"):
                connected(Credentials("id", "s3cr3t"), **addresses)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_no_secret_is_shown_of_a_page_in_another_encoding(wire: Wire, encoding: str) -> None:
    client = connected(Credentials("id", SECRET), api_url=wire.api_url, token_url=wire.token_url)
    wire.answer("POST", TOKEN_PATH, token_reply(TOKEN))
    wire.answer("GET", EXECUTIONS, Reply(500, f"You sent {TOKEN}, no?".encode(encoding)))
    with pytest.raises(ApiUnavailable) as raised:
        call(client, "list_executions")
    bare = re.sub(r"\\x[0-9a-f]{2}", "", str(raised.value))
    assert TOKEN not in bare
    assert "You sent" in bare

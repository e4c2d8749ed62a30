"""The heads of replies, which a server may draw out, repeat or never end."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import parse_headers
from itertools import chain, repeat
from types import SimpleNamespace

import pytest

from quantemplate import session
from quantemplate.client import Credentials, Quantemplate
from quantemplate.errors import Unavailable

TOKEN = b'{"access_token": "t", "expires_in": 300}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"


@contextmanager
def answering(
    *conversations: Iterator[bytes], connections: list[object] | None = None
) -> Iterator[str]:
    """Serve one reply after the other, each in pieces, on one connection while it lasts."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            left = list(conversations)
            while left:
                connection, address = server.accept()
                if connections is not None:
                    connections.append(address)
                with connection, connection.makefile("rb") as requests, suppress(OSError):
                    while left and requests.readline():
                        headers = parse_headers(requests)
                        requests.read(int(headers.get("Content-Length", 0)))
                        for piece in left.pop(0):
                            connection.sendall(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(10)


@pytest.fixture
def _slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which each read takes a while."""
    clock = SimpleNamespace(now=0.0)

    def monotonic() -> float:
        clock.now += 0.5
        return float(clock.now)

    clock.monotonic, clock.time = monotonic, lambda: 0.0
    monkeypatch.setattr(session, "time", clock)


@pytest.mark.usefixtures("_slow")
@pytest.mark.parametrize(
    "head",
    [
        chain([b"HTTP/1.1 200 OK\r\n"], repeat(b"X-More: " + b"y" * 4000 + b"\r\n", 90)),
        repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 1000),
        chain([b"HTTP/1.1 200 "], repeat(b"O" * 1000, 70)),
        repeat(b"\r\n" * 1000, 1000),
        [b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 1024 * 1024 + b"\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n"],
        [b"HTTP/1.1 OK\r\n\r\n"],
        [b"<html>HTTP/0.9</html>"],
        [b"HTTP/1.1 99999 OK\r\n\r\n"],
    ],
    ids=("headers", "100", "status", "lines", "1 MB", "5000", "no status", "0.9", "99999"),
)
def test_a_head_without_an_end_or_form_is_given_up(head: Iterator[bytes]) -> None:
    with answering(head) as url:
        client = Quantemplate(Credentials("id", "s3cr3t"), api_url=url, token_url=f"{url}/token")
        with pytest.raises(Unavailable, match="no answer from"):
            client.authenticate()
        client.close()


@pytest.mark.usefixtures("_slow")
def test_a_body_may_take_longer_than_a_head() -> None:
    body = b"[" + b" " * 4_000_000 + b"]"
    with answering(iter([OK % (len(TOKEN), TOKEN)]), iter([OK % (len(body), body)])) as url:
        client = Quantemplate(Credentials("id", "s3cr3t"), api_url=url, token_url=f"{url}/token")
        assert client.list_executions("c", "p").kept == ()
        client.close()


@pytest.mark.parametrize("status", [101, 102, 103])
def test_an_early_reply_is_none_and_the_late_one_is_no_other_calls(status: int) -> None:
    # Given a server that sends a hint, and the reply itself only after a while
    early = b"HTTP/1.1 %d Early\r\n\r\n" % status
    connections: list[object] = []
    conversations = [OK % (len(TOKEN), TOKEN)], [early], [OK % (5, b"id\n2\n")]
    with answering(*map(iter, conversations), connections=connections) as url:
        client = Quantemplate(Credentials("id", "s3cr3t"), api_url=url, token_url=f"{url}/token")
        with (
            pytest.raises(Unavailable, match=f"HTTP {status}") as raised,
            client.download_output("c", "p", "e", "o-1"),
        ):
            pass
        assert raised.value.call == "download_output"
        # Then the next call has a connection of its own, which that reply never reaches
        with client.download_output("c", "p", "e", "o-2") as download:
            assert download.read() == b"id\n2\n"
        client.close()
    assert len(connections) == 2


class Time:
    """Two clocks, which a freeze moves as it likes."""

    def __init__(self) -> None:
        """Begin."""
        self.passed, self.of_day = 100.0, 1e9

    def monotonic(self) -> float:
        """Return the clock that may stand still in a freeze."""
        return self.passed

    def time(self) -> float:
        """Return the time of day."""
        return self.of_day


@pytest.mark.parametrize(
    ("passed", "of_day", "opened"),
    [(0, 0, 1), (4, 4, 1), (0, 60, 2), (60, 0, 2), (60, 60, 2), (60, -60, 2)],
)
def test_a_connection_that_has_been_idle_for_long_is_opened_anew(
    monkeypatch: pytest.MonkeyPatch, passed: float, of_day: float, opened: int
) -> None:
    # Given a client that has taken its token, and is frozen
    time, connections = Time(), list[object]()
    monkeypatch.setattr(session, "time", time)
    with answering(
        iter([OK % (len(TOKEN), TOKEN)]), iter([OK % (2, b"[]")]), connections=connections
    ) as url:
        client = Quantemplate(Credentials("id", "s3cr3t"), api_url=url, token_url=f"{url}/token")
        client.authenticate()
        time.passed += passed
        time.of_day += of_day
        # When it is woken
        assert client.list_executions("c", "p").kept == ()
        client.close()
    # Then it has used that connection or another
    assert len(connections) == opened


def dying() -> Iterator[bytes]:
    """No reply: the connection, which looked alive, is dead."""
    raise ConnectionResetError
    yield b""


def test_a_read_on_a_connection_that_died_unseen_is_repeated_once() -> None:
    connections: list[object] = []
    replies = iter([OK % (len(TOKEN), TOKEN)]), dying(), iter([OK % (2, b"[]")])
    with answering(*replies, connections=connections) as url:
        client = Quantemplate(Credentials("id", "s3cr3t"), api_url=url, token_url=f"{url}/token")
        assert client.list_executions("c", "p").kept == ()
        client.close()
    assert len(connections) == 2


def test_it_is_repeated_no_second_time() -> None:
    replies = iter([OK % (len(TOKEN), TOKEN)]), dying(), dying()
    with answering(*replies) as url:
        client = Quantemplate(Credentials("id", "s3cr3t"), api_url=url, token_url=f"{url}/token")
        with pytest.raises(Unavailable, match="no answer from"):
            client.list_executions("c", "p")
        client.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.execute_pipeline("c", "p"),
        lambda client: client.upload_dataset("c", "d", b"id\n"),
    ],
    ids=("execute", "upload"),
)
def test_what_may_have_been_acted_on_is_never_repeated(
    call: Callable[[Quantemplate], object],
) -> None:
    # Given a server whose kept connection dies when it is used, and that would answer another
    connections: list[object] = []
    token = OK % (len(TOKEN), TOKEN)
    replies = [token], dying(), [token], [OK % (2, b"[]")]
    with answering(*map(iter, replies), connections=connections) as url:
        client = Quantemplate(Credentials("id", "s3cr3t"), api_url=url, token_url=f"{url}/token")
        # Then it is told as lost, and may have been made
        with pytest.raises(Unavailable) as raised:
            call(client)
        assert raised.value.sent
        assert len(connections) == 1
        # And the next call has another connection
        assert client.list_executions("c", "p").kept == ()
        client.close()

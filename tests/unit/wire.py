"""A server on loopback that answers as it is told, for what only the wire shows."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EXECUTIONS = "/v1/organisations/c-broker/pipelines/p-claims/executions"
DATASET = "/v1/organisations/c-broker/datasets/d-claims"
TOKEN_PATH = "/token"


@dataclass(frozen=True)
class Reply:
    """One answer.

    `missing` bytes are promised and never sent; `hang_up` closes the connection without an answer,
    `endless` ends the body by closing it.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    missing: int = 0
    chunked: bool = False
    hang_up: bool = False
    endless: bool = False


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def json_reply(document: Any, status: int = 200) -> Reply:
    """An answer in JSON."""
    return Reply(status, json.dumps(document).encode(), {"Content-Type": "application/json"})


def token_reply(token: str, lifetime: float = 300) -> Reply:
    """Keycloak's answer to the right credentials."""
    return json_reply({"access_token": token, "expires_in": lifetime, "refresh_token": "r"})


class Wire:
    """Answers per method and path, the last one again and again; keeps every request."""

    def __init__(self, url: str) -> None:
        """Begin with a token for everybody and nothing else."""
        self.url = url
        self.api_url = f"{url}/v1"
        self.token_url = url + TOKEN_PATH
        self.requests: list[Request] = []
        self._replies: dict[tuple[str, str], list[Reply]] = {}
        self.answer("POST", TOKEN_PATH, token_reply("token-1"))

    def answer(self, method: str, path: str, *replies: Reply) -> None:
        """Set the answers to come for one method and path."""
        self._replies[(method, path)] = list(replies)

    def take(self, request: Request) -> Reply:
        """Note a request and return its answer."""
        self.requests.append(request)
        replies = self._replies.get((request.method, request.path), [Reply(404, b"not planned")])
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def calls(self, method: str, path: str) -> list[Request]:
        """What has been asked for with one method and path."""
        return [r for r in self.requests if (r.method, r.path) == (method, path)]


@contextmanager
def serving() -> Iterator[Wire]:
    """Serve on a free port of loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    wire = Wire(f"http://127.0.0.1:{server.server_port}")
    server.wire = wire  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield wire
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Reads one request whole and sends what the wire has for it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, self.path, dict(self.headers), body)
        reply = self.server.wire.take(request)  # type: ignore[attr-defined]
        self.close_connection = bool(reply.hang_up or reply.missing or reply.endless)
        if reply.hang_up:
            return
        self.send_response_only(reply.status)
        if "Date" not in reply.headers:
            self.send_header("Date", self.date_time_string())
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif reply.status != 204 and not reply.endless:
            self.send_header("Content-Length", str(len(reply.body) + reply.missing))
        self.end_headers()
        self.wfile.write(_in_chunks(reply) if reply.chunked else reply.body)

    do_POST = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


def _in_chunks(reply: Reply, size: int = 70_000) -> bytes:
    """The body in HTTP's chunks, without the last one where bytes are missing."""
    parts = [reply.body[i : i + size] for i in range(0, len(reply.body), size)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return framed if reply.missing else framed + b"0\r\n\r\n"

"""The HTTP server: connections, bodies and deliveries; what a call means is decided elsewhere."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from local.quantemplate import api, control, delivery
from local.quantemplate.account import Account
from local.quantemplate.browsers import origin_of_this_machine, refusal, with_cors
from local.quantemplate.messages import (
    BodyCutShort,
    Call,
    ConnectionDropped,
    Reply,
    json_reply,
)

log = logging.getLogger("local.quantemplate")


class Server(ThreadingHTTPServer):
    """Serves one account on 127.0.0.1; `stop` ends every connection and thread."""

    request_queue_size = 128
    daemon_threads = False  # so that closing waits for every connection's thread

    def __init__(self, port: int = 0, time_scale: float = 1.0, pages: Collection[str] = ()) -> None:
        """Serve on the port; `pages` are the origins whose pages may enter, beside its own."""
        self.pages = frozenset(map(origin_of_this_machine, pages))
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", port), Connection)
        self.account = Account(time_scale)

    @property
    def url(self) -> str:
        """Where the server is, without a slash at the end."""
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, call: Call) -> Reply:
        """Answer one call."""
        if call.path.startswith(control.CONTROL_PATH + "/"):
            return with_cors(call, self._carry_out)
        return api.answer(self.account, call)

    def stop(self) -> None:
        """End the serving loop, the connections and the runs, and remove the files."""
        self.stopping.set()
        self.shutdown()
        with self._guard:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()
        self.account.close()

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection and remember it."""
        connection, address = super().get_request()
        with self._guard:
            self._connections.add(connection)
        return connection, address

    def close_request(self, request: socket.socket) -> None:  # type: ignore[override]
        """Close a connection and forget it."""
        with self._guard:
            self._connections.discard(request)
        super().close_request(request)

    def handle_error(self, _request: object, _client_address: object) -> None:
        """Log what no call may raise."""
        log.exception("a connection failed")

    def _carry_out(self, call: Call) -> Reply:
        if (call.method, call.path) == ("POST", "/control/reset"):
            return self._reset()
        return control.answer(self.account, call)

    def _reset(self) -> Reply:
        old, self.account = self.account, Account(self.account.pipelines.time_scale)
        old.close()
        return json_reply({})


class Connection(BaseHTTPRequestHandler):
    """One client's connection, kept alive between calls."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def handle(self) -> None:
        """Serve calls until the client leaves."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_call(self) -> None:
        """Answer one call."""
        target = urlsplit(self.path)
        call = Call(
            method=self.command,
            path=unquote(target.path),
            query=dict(parse_qsl(target.query)),
            headers=self.headers,
            source=self.rfile,
            pause=self.server.stopping.wait,
        )
        try:
            reply = refusal(self.path, call, self.server.pages) or self.server.answer(call)
            call.drain()
        except (BodyCutShort, ConnectionDropped):
            self.close_connection = True
            return
        except ConnectionError:
            raise
        except Exception:
            log.exception("%s %s failed", call.method, call.path)
            self.close_connection = True
            reply = Reply(500, b"The stand-in has a fault: see its log")
        delivery.send(self, reply, self.server.stopping)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_call  # noqa: N815

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header, by the clock that the server is told to have."""
        return super().date_time_string(timestamp or self.server.account.pipelines.date())

    def log_message(self, form: str, *values: object) -> None:
        """One line for each call, for those who ask for it."""
        log.debug(form, *values)

"""The HTTP session of the client: it follows nothing, and the head of a reply comes in time.

A process may be frozen between two calls, as a function is between its invocations: a connection
that the other side has closed meanwhile looks alive until something is sent on it. So one that was
not used for some seconds is opened anew; and where one is dead all the same, a GET is sent again,
once. Nothing else is: whether the other side has acted on it is not known.
"""

import io
import time
from http.client import HTTPResponse
from operator import sub
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ProtocolError

HEAD_SECONDS = 20  # from its first byte on; a time-out of the connection begins anew at each byte
IDLE_SECONDS = 5  # after which a connection is not used again; the shortest that servers keep one


class Session(requests.Session):
    """Follows no redirect, and does not read its body either, which may have no end."""

    def __init__(self) -> None:
        """Let all replies have a head that comes in time."""
        super().__init__()
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter())
        # Or requests would put what a .netrc holds in the place of our own header.
        self.auth = lambda request: request

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        """Find none."""
        return None


class _InTime(io.RawIOBase):
    """What a server sends. Raises TimeoutError while its head takes longer than HEAD_SECONDS."""

    def __init__(self, source: io.RawIOBase) -> None:
        """Take the socket's own stream; the time begins with the first byte."""
        self._source = source
        self.until: float | None = None
        self.is_head = True

    def readable(self) -> bool:
        """Say so."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what there is."""
        size = self._source.readinto(buffer)
        now = time.monotonic()
        self.until = self.until or now + HEAD_SECONDS
        if self.is_head and now > self.until:
            raise TimeoutError
        return size

    def close(self) -> None:
        """Close the socket's stream too."""
        self._source.close()
        super().close()


class _Reply(HTTPResponse):
    """A reply whose status line and headers, and the 1xx ones before them, come in time."""

    fp: Any

    def begin(self) -> None:
        """Read the head."""
        if self.headers is not None:
            return
        stream = _InTime(self.fp.detach())
        self.fp = io.BufferedReader(stream)
        super().begin()
        stream.is_head = False


class _Http(HTTPConnection):
    response_class = _Reply
    idle_since: tuple[float, ...] = ()  # by both clocks; none while it is new


class _Https(HTTPSConnection):
    response_class = _Reply
    idle_since: tuple[float, ...] = ()


class _Kept(HTTPConnectionPool):
    """Gives out no connection again that may have died unseen."""

    _reused = False  # the connection of the request that is under way; there is one at a time

    def urlopen(self, method: str, *args: Any, **options: Any) -> Any:
        """Send a request; a GET once more where it met a dead connection that had been kept."""
        self._reused = False
        try:
            return super().urlopen(method, *args, **options)
        except ProtocolError:
            if method != "GET" or not self._reused:
                raise
        return super().urlopen(method, *args, **options)

    def _get_conn(self, timeout: float | None = None) -> Any:
        """Return a connection; one that has been idle for long is opened anew when it is used."""
        connection: Any = super()._get_conn(timeout)
        if connection.idle_since and max(map(sub, _clocks(), connection.idle_since)) > IDLE_SECONDS:
            connection.close()
        self._reused = connection.sock is not None
        return connection

    def _put_conn(self, conn: Any) -> None:
        """Keep a connection."""
        if conn is not None:
            conn.idle_since = _clocks()
        super()._put_conn(conn)


class _HttpPool(_Kept):
    ConnectionCls = _Http


class _HttpsPool(_Kept, HTTPSConnectionPool):
    ConnectionCls = _Https


def _clocks() -> tuple[float, float]:
    """Return the time by both clocks: the one may stand still in a freeze, the other be set."""
    return time.monotonic(), time.time()


POOLS = {"http": _HttpPool, "https": _HttpsPool}


class _Adapter(HTTPAdapter):
    """Connects by our own pools, also by way of a proxy."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the manager of direct connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Return the manager of connections by way of a proxy."""
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = POOLS
        return manager

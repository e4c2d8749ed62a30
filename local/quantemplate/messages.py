"""What goes between the HTTP server and the operations behind it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any, Protocol

PIECE = 1 << 20  # bytes moved at a time
SEEN = 4096  # bytes of a request's body that an error page can show


class BodyCutShort(OSError):
    """The client closed the connection, or broke the framing, before its body ended."""


class ConnectionDropped(Exception):
    """Close the connection without a reply."""


class Readable(Protocol):
    """The read side of a connection."""

    def read(self, size: int, /) -> bytes: ...
    def readline(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Reply:
    """One HTTP reply; the fields after `headers` say how badly it is delivered."""

    status: int = 200
    body: bytes | Path = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    missing: int = 0  # bytes that Content-Length promises and that are not sent
    bytes_per_second: float | None = None
    sized: bool = True  # whether Content-Length tells where it ends
    endless: bytes = b""  # what comes after the body, again and again
    stops: str = ""  # "stall" or "reset" after so many bytes of the body
    stops_after: int = 0
    pause: float = 0.0  # seconds of a stall; 0: until the server stops

    def size(self) -> int:
        """Length of the body in bytes."""
        return self.body.stat().st_size if isinstance(self.body, Path) else len(self.body)


def json_reply(
    content: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Reply:
    """A JSON document as a reply."""
    body = json.dumps(content, ensure_ascii=False).encode()
    return Reply(status, body, "application/json", headers or {})


class Refused(Exception):
    """The call is refused with `reply`; `reason` goes to the journal."""

    def __init__(self, reply: Reply, reason: str) -> None:
        super().__init__(reason)
        self.reply = reply
        self.reason = reason


@dataclass
class Call:
    """One HTTP request; `pause(seconds)` waits, and ends early when the server stops."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Message
    source: Readable
    pause: Callable[[float], object]
    body_read: bool = False
    seen: bytes = b""  # the first bytes of the body, once it is read

    def has_body(self) -> bool:
        """Whether the client announced a body."""
        return self._chunked() or self._length() > 0

    def has_length(self) -> bool:
        """Whether the client said how long its body is, or that it comes in chunks."""
        return self._chunked() or "Content-Length" in self.headers

    def pieces(self, bytes_per_second: float | None = None) -> Iterator[bytes]:
        """The body, piece by piece; raises BodyCutShort when the client stops half way."""
        self.body_read = True
        size = PIECE if bytes_per_second is None else max(1, int(bytes_per_second / 20))
        for piece in self._chunks(size) if self._chunked() else self._counted(self._length(), size):
            if len(self.seen) < SEEN:
                self.seen = (self.seen + piece)[:SEEN]
            yield piece
            if bytes_per_second is not None:
                self.pause(len(piece) / bytes_per_second)

    def body(self) -> bytes:
        """The whole body, for the small ones."""
        return b"".join(self.pieces())

    def drain(self) -> None:
        """Read and forget what is left of the body, so that the connection can be used again."""
        if not self.body_read:
            for _ in self.pieces():
                pass

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; raises ValueError."""
        content = json.loads(self.body() or b"{}")
        if not isinstance(content, dict):
            raise ValueError("expected a JSON object")
        return content

    def _chunked(self) -> bool:
        return "chunked" in self.headers.get("Transfer-Encoding", "").lower()

    def _length(self) -> int:
        try:
            return max(0, int(self.headers.get("Content-Length", "0")))
        except ValueError as error:
            raise BodyCutShort("Content-Length is not a number") from error

    def _counted(self, length: int, size: int) -> Iterator[bytes]:
        while length:
            piece = self.source.read(min(size, length))
            if not piece:
                raise BodyCutShort(f"{length} bytes did not arrive")
            length -= len(piece)
            yield piece

    def _chunks(self, size: int) -> Iterator[bytes]:
        while length := self._chunk_length():
            yield from self._counted(length, size)
            if self.source.readline(3).strip():
                raise BodyCutShort("a chunk is longer than it says")
        while self.source.readline(65537).strip():  # trailers
            pass

    def _chunk_length(self) -> int:
        try:
            return int(self.source.readline(100).split(b";")[0], 16)
        except ValueError as error:
            raise BodyCutShort("a chunk has no length") from error

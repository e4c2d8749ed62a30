"""What goes to Quantemplate and what comes from it: bytes that are never held as a whole."""

import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from urllib3.exceptions import HTTPError

from quantemplate.errors import Incomplete, Unavailable
from quantemplate.replies import (
    encoding_of,
    head_of,
    is_json_object,
    is_page,
    media_type,
    number_in,
)

if TYPE_CHECKING:
    import requests  # not by the functions that only read or write S3

CHUNK = 1024 * 1024  # bytes
SLOW = 20  # seconds after which less than was asked for is handed on
JUDGED = 64 * 1024  # bytes at the start of an output that tell whether it is one
# What an output may be called: the API documents text/csv; the others are what servers, proxies and
# gateways name a CSV that they pass on. A type that is not told is none that speaks against it.
OUTPUT_TYPES = (
    "",
    "text/csv",
    "text/plain",
    "text/x-csv",
    "text/comma-separated-values",
    "text/x-comma-separated-values",
    "text/tab-separated-values",
    "application/csv",
    "application/x-csv",
    "application/octet-stream",
    "binary/octet-stream",
    "application/vnd.ms-excel",
    "application/download",
    "application/force-download",
    "application/x-download",
)


class Body(Protocol):
    """What is uploaded: a known number of bytes, read from the start by each iteration."""

    def __iter__(self) -> Iterator[bytes]:
        """Read from the start."""

    def __len__(self) -> int:
        """Return the number of bytes."""


class File(Body, Protocol):
    """A body with a name, parts of which can be read."""

    @property
    def name(self) -> str:
        """Return its name, with folders."""

    def part(self, start: int, size: int) -> bytes:
        """Return `size` bytes from `start` on, fewer at the end."""


class FileBody:
    """A file as the body of an upload."""

    def __init__(self, path: Path) -> None:
        """Take the file's size as it is now."""
        self._path = path
        self._size = path.stat().st_size

    def __len__(self) -> int:
        """Return the file's size in bytes."""
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        """Read the file from its start."""
        with self._path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    @property
    def name(self) -> str:
        """Return the file's name."""
        return self._path.name

    def part(self, start: int, size: int) -> bytes:
        """Return `size` bytes from `start` on, fewer at the end."""
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(size)


class Download:
    """A reply's bytes as they come; reading past its end proves that all of it has come."""

    def __init__(self, response: "requests.Response", what: str) -> None:
        """Refuse a reply that is no output, or whose end could not be told from a broken one.

        Nothing can be read of what is no output: Unavailable says what came in its place.
        """
        self._raw = response.raw
        self.what = what
        self.size = number_in(response.headers.get("Content-Length"))  # bytes, where it is told
        chunked = response.headers.get("Transfer-Encoding", "").lower() == "chunked"
        if response.status_code == HTTPStatus.NO_CONTENT:
            raise Incomplete(f"{what} brought no content (HTTP 204).")
        if encoding := encoding_of(response):
            raise Incomplete(f"{what} came {encoding}-encoded although it was asked for as it is.")
        kind = media_type(response)
        if is_page(response, b""):
            raise Unavailable(f"{what} brought a web page and no output.")
        if kind not in OUTPUT_TYPES:
            raise Unavailable(f"{what} brought {kind[:100]!r} and no output.")
        self._head = head_of(self._next, JUDGED)
        if not self._head and self.size is None:
            raise Unavailable(f"{what} brought nothing at all, and no length that says so.")
        if is_page(response, self._head):
            raise Unavailable(f"{what} brought a web page and no output.")
        if len(self._head) < JUDGED and is_json_object(self._head):  # and all of it is there
            raise Unavailable(f"{what} brought a JSON document and no output.")
        if self.size is None and not chunked:
            raise Incomplete(f"{what} came without its length, so its end cannot be told.")

    def read(self, size: int = CHUNK) -> bytes:
        """Return up to `size` bytes, none at the end. Raises Incomplete at a break."""
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
        return self._next(size)

    def __iter__(self) -> Iterator[bytes]:
        """Read chunk by chunk to the end."""
        while chunk := self.read():
            yield chunk

    def _next(self, size: int) -> bytes:
        """Read on: what comes within a while, so that whoever reads sees how slow it is."""
        pieces, wanted, until = list[bytes](), min(size, CHUNK), time.monotonic() + SLOW
        try:
            while wanted and (piece := self._raw.read1(wanted)):
                pieces.append(piece)
                wanted -= len(piece)
                if time.monotonic() > until:
                    break
        except (OSError, HTTPError, ValueError) as error:
            raise Incomplete(f"{self.what} broke off: {type(error).__name__}.") from None
        return b"".join(pieces)

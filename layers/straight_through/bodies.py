"""What goes to Quantemplate and what comes from it: bytes that are never held as a whole."""

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from urllib3.exceptions import HTTPError

from straight_through.errors import OutputIncomplete

if TYPE_CHECKING:
    import requests  # not by the functions that only read or write S3

CHUNK = 1024 * 1024  # bytes


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
        """Refuse a reply whose end could not be told from a broken connection."""
        self._raw = response.raw
        self.what = what
        length = response.headers.get("Content-Length")
        self.size = int(length) if length else None  # bytes, where the server tells
        encoding = response.headers.get("Content-Encoding", "identity")
        chunked = response.headers.get("Transfer-Encoding", "").lower() == "chunked"
        if response.status_code == HTTPStatus.NO_CONTENT:
            raise OutputIncomplete(f"{what} brought no content (HTTP 204).")
        if encoding != "identity":
            raise OutputIncomplete(
                f"{what} came {encoding}-encoded although it was asked for as it is."
            )
        if "text/html" in response.headers.get("Content-Type", ""):
            raise OutputIncomplete(f"{what} brought a web page and no output.")
        if length is None and not chunked:
            raise OutputIncomplete(f"{what} came without its length, so its end cannot be told.")

    def read(self, size: int = CHUNK) -> bytes:
        """Return up to `size` bytes, none at the end. Raises OutputIncomplete at a break."""
        try:
            data: bytes = self._raw.read(size)
        except (OSError, HTTPError) as error:
            raise OutputIncomplete(f"{self.what} broke off: {type(error).__name__}.") from None
        return data

    def __iter__(self) -> Iterator[bytes]:
        """Read chunk by chunk to the end."""
        while chunk := self.read():
            yield chunk

"""A gzipped file's text, read piece by piece, and never more of it than is allowed."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from quantemplate.bodies import CHUNK, Body
from straight_through.errors import FileTooLarge, WrongFormat

MARK = b"\xef\xbb\xbf"  # UTF-8's byte-order mark
READ_GZIP = 31  # zlib's window bits for a gzip stream
SLICE = 16 * 1024  # bytes that are unzipped at a time
SMALL = 100_000_000  # bytes, up to which no ratio is too large


@dataclass(frozen=True)
class Limits:
    """How large a gzipped file may become: in bytes, and in times its own size."""

    size: int
    ratio: float

    @classmethod
    def of(cls, gigabytes: float, ratio: float) -> "Limits":
        """Return those of the stack's parameters."""
        return cls(int(gigabytes * 1e9), ratio)


class WithoutMark:
    """A gzipped body without the byte-order mark that its text starts with.

    The vendor warns of the two together. It is read twice, since the length must be known before.
    """

    def __init__(self, body: Body) -> None:
        """Read nothing yet."""
        self._body = body

    @cached_property
    def _size(self) -> int:
        """Read the body once, for its new length."""
        return sum(map(len, self))

    def __len__(self) -> int:
        """Return the size in bytes."""
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        """Read, unzip, leave out the mark, zip."""
        zipper = zlib.compressobj(wbits=READ_GZIP)
        head = MARK
        for text in unzipped(self._body):
            if head:  # until as many bytes have come as the mark has
                shared = min(len(head), len(text))
                head, text = head[shared:], text[shared:]  # noqa: PLW2901 - the rest of it
            yield from filter(None, (zipper.compress(text),))
        yield zipper.flush()


def unzipped(body: Body, limits: Limits | None = None) -> Iterator[bytes]:
    """Unzip, all members of the stream, never more than a chunk at once.

    Raises WrongFormat where it is damaged, FileTooLarge where it becomes larger than is allowed.
    """
    size = 0
    for piece in _unzipped(body):
        size += len(piece)
        if limits:
            _check_size(size, len(body), limits)
        yield piece


def _unzipped(body: Body) -> Iterator[bytes]:
    """Unzip, all members of the stream, never more than a chunk at once. Raises WrongFormat."""
    unzip, within = zlib.decompressobj(READ_GZIP), False
    for piece in _in_slices(body):
        rest = piece
        while rest := rest if within else rest.lstrip(b"\0"):  # some pad the end with zeros
            within = True
            try:
                yield unzip.decompress(rest, CHUNK)
            except zlib.error as error:
                raise WrongFormat(_damaged(str(error))) from None
            rest = unzip.unconsumed_tail
            if unzip.eof:
                rest = unzip.unused_data
                unzip, within = zlib.decompressobj(READ_GZIP), False
    if within:
        raise WrongFormat(_damaged("its end is missing"))


def _in_slices(body: Body) -> Iterator[bytes]:
    """Read a body in small pieces: what follows a member is copied at the end of each."""
    for chunk in body:
        for begin in range(0, len(chunk), SLICE):
            yield chunk[begin : begin + SLICE]


def _check_size(size: int, zipped: int, limits: Limits) -> None:
    """Raise FileTooLarge where more has been unzipped than is allowed."""
    if size > limits.size:
        raise FileTooLarge(
            f"The file is larger than {limits.size / 1e9:g} GB once it is unzipped, which is the "
            "most that the stack's parameter LargestUnzippedGB allows. Send it in parts, or let "
            "who looks after the stack allow more and redrive the run. Nothing was uploaded."
        )
    if size > SMALL and size > limits.ratio * zipped:
        raise FileTooLarge(
            f"The file's {zipped:,} bytes become more than {limits.ratio:g} times as many once it "
            "is unzipped, which is the most that the stack's parameter LargestUnzippedRatio "
            "allows: data seldom does so. Look whether it is what you meant to send. If it is, "
            "let who looks after the stack allow more and redrive the run. Nothing was "
            "uploaded."
        )


def _damaged(why: str) -> str:
    """Say that a gzip stream is not whole."""
    return (
        f"The file is damaged: it cannot be unzipped ({why}). It may have been cut off on its way. "
        "Drop it again from where it came. Nothing was uploaded."
    )

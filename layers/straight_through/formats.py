"""What is looked at before a file goes up: its format, its header row, its byte-order mark."""

import csv
import hashlib
import io
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from straight_through.bodies import CHUNK, Body
from straight_through.errors import HeaderMismatch, WrongFormat
from straight_through.rows import RowCount

MARK = b"\xef\xbb\xbf"  # UTF-8's byte-order mark
GZIP, ZIP, OLE = b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
STARTS = {".gz": GZIP, ".xlsx": ZIP, ".xls": OLE}
KINDS = {GZIP: "gzip", ZIP: "XLSX (or another ZIP archive)", OLE: "XLS"}
TEXT = (".csv", ".txt", ".tsv")
LONGEST_HEADER = 256 * 1024  # bytes within which a header row must end
LONGEST_COLUMN = 80  # characters of a column that a message shows
READ_GZIP = 31  # zlib's window bits for a gzip stream


class MeasuredBody:
    """A body that is hashed, and whose rows are counted, while it goes up."""

    def __init__(self, body: Body, *, is_text: bool) -> None:
        """Measure anew with each reading; only text has rows."""
        self._body = body
        self._is_text = is_text
        self.measures: dict[str, Any] = {"sha256": None, "rows": None}

    def __len__(self) -> int:
        """Return the body's size in bytes."""
        return len(self._body)

    def __iter__(self) -> Iterator[bytes]:
        """Read from the start."""
        digest, rows = hashlib.sha256(), RowCount(delimiter=None)

        def measure(chunk: bytes) -> None:
            digest.update(chunk)
            if self._is_text:
                rows.update(chunk)

        # In a thread of its own: the next piece is read and sent meanwhile.
        with ThreadPoolExecutor(1) as measuring:
            last = measuring.submit(measure, b"")
            for chunk in self._body:
                last.result()  # so that no more than one piece waits to be measured
                last = measuring.submit(measure, chunk)
                yield chunk
            last.result()
        rows_read = rows.rows if self._is_text else None
        self.measures = {"sha256": digest.hexdigest(), "rows": rows_read}
        if self._is_text and rows.reason:
            self.measures["rows_reason"] = rows.reason


class WithoutMark:
    """A gzipped body without the byte-order mark that its text starts with.

    The vendor warns of the two together. It is read twice, since the length must be known before.
    """

    def __init__(self, body: Body) -> None:
        """Read the body once, for its new length."""
        self._body = body
        self._size = sum(map(len, self))

    def __len__(self) -> int:
        """Return the size in bytes."""
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        """Read, unzip, leave out the mark, zip."""
        zipper = zlib.compressobj(wbits=READ_GZIP)
        head = MARK
        for text in _unzipped(self._body):
            if head:  # until as many bytes have come as the mark has
                shared = min(len(head), len(text))
                head, text = head[shared:], text[shared:]  # noqa: PLW2901 - the rest of it
            yield from filter(None, (zipper.compress(text),))
        yield zipper.flush()


def checked(key: str, body: Body, header: tuple[str, ...]) -> Body:
    """Return the body as it is to go up. Raises WrongFormat, HeaderMismatch."""
    name = key.lower()
    start = _start(body, len(OLE))
    _check_start(name, start)
    if not header and not name.endswith(".gz"):
        return body
    if name.endswith(".gz"):
        text = _start(_Unzipped(body), LONGEST_HEADER if header else len(MARK))
    else:
        text = _start(body, LONGEST_HEADER)
    if header and not name.endswith((".xls", ".xlsx")):
        _check_header(text, header, "\t" if ".tsv" in name[-7:] else ",")
    return WithoutMark(body) if name.endswith(".gz") and text.startswith(MARK) else body


def is_text(key: str) -> bool:
    """Whether a file's name says that it is text, which has rows."""
    return key.lower().endswith(TEXT)


class _Unzipped:
    """The text of a gzipped body."""

    def __init__(self, body: Body) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return _unzipped(self._body)

    def __len__(self) -> int:
        raise NotImplementedError  # nobody knows before it is read


def _unzipped(body: Body) -> Iterator[bytes]:
    """Unzip, all members of the stream, never more than a chunk at once. Raises WrongFormat."""
    unzip, within = zlib.decompressobj(READ_GZIP), False
    for chunk in body:
        rest = chunk
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


def _damaged(why: str) -> str:
    """Say that a gzip stream is not whole."""
    return f"The file is damaged: it cannot be unzipped ({why}). Drop it again."


def _start(body: Body, size: int) -> bytes:
    """Return the first bytes of a body, and leave the rest unread."""
    found = b""
    chunks = iter(body)
    for chunk in chunks:
        found += chunk
        if len(found) >= size:
            break
    if hasattr(chunks, "close"):
        chunks.close()
    return found[:size]


def _check_start(name: str, start: bytes) -> None:
    """Raise WrongFormat where the first bytes are not what the name says."""
    found = next((kind for magic, kind in KINDS.items() if start.startswith(magic)), "")
    for ending, magic in STARTS.items():
        if name.endswith(ending) and not start.startswith(magic):
            raise WrongFormat(_not_what_it_says(ending, KINDS[magic], found or "something else"))
    if name.endswith(TEXT) and found:
        raise WrongFormat(_not_what_it_says(name[name.rindex(".") :], "text", found))


def _not_what_it_says(ending: str, expected: str, found: str) -> str:
    """Say what is wrong with a file's first bytes."""
    return (
        f"The file's name ends with {ending}, which says {expected}, and its first bytes say "
        f"{found}. Drop it again under a name that fits it. Nothing was uploaded."
    )


def _difference(found: list[str], header: tuple[str, ...]) -> str:
    """Say how a header row differs; a row that is rather one of data is not shown."""
    if 2 * len(set(found) & set(header)) < len(header):
        return f"the first row has {len(found)} columns, and few of the {len(header)} expected ones"
    missing = [column for column in header if column not in found]
    # A quote that never ends takes rows of data with it: what is long or has lines is not shown.
    instead = [
        column if len(column) <= LONGEST_COLUMN and column.isprintable() else "…"
        for column in found
        if column not in header
    ]
    parts = [f"{', '.join(map(repr, missing))} missing"] if missing else []
    parts += [f"{', '.join(map(repr, instead))} too many"] if instead else []
    return " and ".join(parts) or "the same columns in another order, or some of them twice"


def _check_header(text: bytes, header: tuple[str, ...], delimiter: str) -> None:
    """Raise HeaderMismatch with the difference."""
    decoded = text.decode("utf-8-sig", errors="replace")
    try:
        found = next(csv.reader(io.StringIO(decoded, newline=""), delimiter=delimiter), [])
    except csv.Error:  # such as a quote that never ends
        found = []
    if tuple(found) == header:
        return
    raise HeaderMismatch(
        "The header row is not the one that the route asks for: "
        f"{_difference(found, header)}. Mend the file and drop it again, or mend the route's field "
        "'header' and redrive the execution. Nothing was uploaded."
    )

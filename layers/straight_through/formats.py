"""What a file is by its first bytes, and what is measured of it while it goes up."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from straight_through.bodies import Body
from straight_through.errors import WrongFormat
from straight_through.rows import RowCount

GZIP, ZIP, OLE = b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
STARTS = {".gz": GZIP, ".xlsx": ZIP, ".xls": OLE}
KINDS = {GZIP: "gzip", ZIP: "XLSX (or another ZIP archive)", OLE: "XLS"}
TEXT = (".csv", ".txt", ".tsv")


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
        digest, rows = hashlib.sha256(), RowCount()

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


def is_text(key: str) -> bool:
    """Whether a file's name says that it is text, which has rows."""
    return key.lower().endswith(TEXT)


def check_start(name: str, start: bytes) -> None:
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

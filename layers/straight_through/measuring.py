"""What is known of bytes that have gone by: their number, their SHA-256, and the rows of a text."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, Self

from quantemplate.bodies import Body
from straight_through.rows import RowCount
from straight_through.run_state import Measures

NOT_MEASURED: Measures = {"sha256": None, "rows": None}


class Measured(Body, Protocol):
    """A body that tells of itself, once it was read, what a run's record keeps of it."""

    @property
    def measures(self) -> Measures:
        """Return the measures of what was dropped."""


class Measuring:
    """Measures in a thread of its own, while the next piece is read and sent."""

    def __init__(self, rows: RowCount | None = None) -> None:
        """Begin; without `rows` nothing is counted, since only a text has some."""
        self._hash = hashlib.sha256()
        self._rows = rows
        self.size = 0  # bytes that have gone by
        # One thread, so that the pieces stay in their order.
        self._thread = ThreadPoolExecutor(1)
        self._last = self._thread.submit(self._measure, b"")

    def __enter__(self) -> Self:
        """Go on."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave no thread behind."""
        self._thread.shutdown()

    def passed(self, chunk: bytes) -> None:
        """Measure a piece that goes by."""
        self._last.result()  # so that no more than one piece waits to be measured
        self._last = self._thread.submit(self._measure, chunk)
        self.size += len(chunk)

    @property
    def sha256(self) -> str:
        """Return the hash of all that has gone by."""
        self._last.result()
        return self._hash.hexdigest()

    @property
    def measures(self) -> Measures:
        """Return what is known of all that has gone by."""
        measures: Measures = {"sha256": self.sha256, "rows": None}
        if self._rows:
            measures["rows"] = self._rows.rows
        if self._rows and self._rows.reason:
            measures["rows_reason"] = self._rows.reason
        return measures

    def _measure(self, chunk: bytes) -> None:
        """Hash and count on."""
        self._hash.update(chunk)
        if self._rows:
            self._rows.update(chunk)


class MeasuredBody:
    """A body that is measured while it goes up, anew with each reading."""

    def __init__(self, body: Body, *, is_text: bool) -> None:
        """Take the body; only text has rows."""
        self._body = body
        self._is_text = is_text
        self.measures = NOT_MEASURED

    def __len__(self) -> int:
        """Return the body's size in bytes."""
        return len(self._body)

    def __iter__(self) -> Iterator[bytes]:
        """Read from the start."""
        with Measuring(RowCount(delimiter=None) if self._is_text else None) as measuring:
            for chunk in self._body:
                measuring.passed(chunk)
                yield chunk
            self.measures = measuring.measures


def sha256_of(body: Body) -> str:
    """Return the SHA-256 of a body, read once."""
    with Measuring() as measuring:
        for chunk in body:
            measuring.passed(chunk)
        return measuring.sha256

"""Bytes are measured while they go by, and nothing is told before all are."""

import hashlib
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from straight_through.measuring import Measuring
from straight_through.rows import RowCount

ROWS = b"id,paid\n" + b"C-1,1.00 EUR\n" * 2_000


class WhenAsked:
    """An executor that does its work when its result is asked for, and not before."""

    def __init__(self, _threads: int) -> None:
        """Begin."""

    def submit(self, work: Callable[..., Any], *given: Any) -> Any:
        """Return what has the result."""
        return SimpleNamespace(result=cache(lambda: work(*given)))

    def shutdown(self) -> None:
        """Leave what nobody has asked for undone."""


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_no_measure_is_told_before_all_was_measured(
    monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    # Given a thread that gets no processor until somebody waits for it
    monkeypatch.setattr("straight_through.measuring.ThreadPoolExecutor", WhenAsked)
    size = len(ROWS) // pieces + 1
    # When bytes have gone by
    with Measuring(RowCount()) as measuring:
        for start in range(0, len(ROWS), size):
            measuring.passed(ROWS[start : start + size])
        # Then the hash and the rows are of all of them
        told = {"sha256": hashlib.sha256(ROWS).hexdigest(), "rows": 2_000}
        assert measuring.measures == told
        assert measuring.size == len(ROWS)

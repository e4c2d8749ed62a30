"""Requests that an account may send only so many of in a second, paced.

The quotas of eu-west-1 are: DescribeExecution 300 at once and 15 a second, GetExecutionHistory 400
and 20, StopExecution 1,000 and 200. Other regions have less, and the functions of the stack live on
the same ones: a command takes about half.
Source: "Step Functions service quotas"
(https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html).
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

Given = TypeVar("Given")
Found = TypeVar("Found")
AT_ONCE = 8  # requests that a command has under way
RATES = {  # how many at once, and in a second
    "DescribeExecution": (150, 8),
    "GetExecutionHistory": (200, 10),
    "StopExecution": (250, 12),
}


class Pace:
    """A bucket of tokens, of which each request takes one; it is full at first."""

    def __init__(self, at_once: float, per_second: float) -> None:
        """Fill it."""
        self._most, self._per_second = at_once, per_second
        self._tokens, self._filled = at_once, time.monotonic()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when one more request may be sent."""
        with self._lock:  # whoever comes next would have to wait anyhow
            self._fill()
            while self._tokens < 1:
                time.sleep((1 - self._tokens) / self._per_second + 0.001)
                self._fill()
            self._tokens -= 1

    def _fill(self) -> None:
        now = time.monotonic()
        self._tokens = min(self._most, self._tokens + (now - self._filled) * self._per_second)
        self._filled = now


def paced(client: Any) -> Any:
    """Return a client of Step Functions whose requests wait until they may be sent."""
    for operation, rate in RATES.items():
        pace = Pace(*rate)

        def wait(*, _pace: Pace = pace, **_: Any) -> None:
            _pace.wait()

        client.meta.events.register(f"request-created.sfn.{operation}", wait)  # each try of each
    return client


def side_by_side(do: Callable[[Given], Found], each_of: Iterable[Given]) -> Iterator[Found]:
    """Yield what comes of each, in their order; a few are under way at once.

    Those behind them have not begun when one fails, or Ctrl-C comes.
    """
    left = iter(each_of)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while some := list(islice(left, AT_ONCE)):
            yield from pool.map(do, some)

"""How much an account may have of what AWS limits; it is told over HTTP (control.py).

PUT    /_local/quotas   {"history_events": 100, "transaction_ms": 50, "concurrent_executions": 10,
                         "rates": {"StartExecution": [20, 5]}}
GET    /_local/quotas   what holds, and how many requests were taken and refused since it does
DELETE /_local/quotas   what the server was started with

`history_events` is how long an execution's history can grow, its end included. `transaction_ms` is
how long a write transaction of DynamoDB is under way: AWS says nothing of it, and answers one in
about so long; with 0 none ever meets another. Those that are under way end when quotas are set.
`concurrent_executions` are the functions' together. A function's URL takes ten requests a second
for each execution that is reserved for it: that always holds, and is counted as FunctionUrl.
`rates` is "aws", "none", or for each kind of request the size of its bucket and how many it gets
back in a second of the clock on the wall, whatever the time scale; null takes a kind's limit away.

AWS documentation: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
(Ireland), https://docs.aws.amazon.com/general/latest/gr/ssm.html (Parameter Store, default
throughput), https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from emulator.control import Control, require_known

PATH = "/_local/quotas"
SHORTEST_HISTORY = 3  # an execution's start, one event, and its end
TRANSITION = "StateTransition"
FUNCTION_URL, URL_REQUESTS = "FunctionUrl", 10  # a second, for each execution that is reserved
Rates = Mapping[str, tuple[float, float]]
AWS: Rates = {
    "GetParameter": (40, 40),  # GetParameters and GetParametersByPath take of it, too
    "StartExecution": (1300, 300),
    "StopExecution": (1000, 200),
    "DescribeExecution": (300, 15),
    "ListExecutions": (200, 5),
    "GetExecutionHistory": (400, 20),
    "DescribeStateMachine": (200, 20),
    "SendTaskSuccess": (3000, 500),
    "SendTaskFailure": (3000, 500),
    TRANSITION: (5000, 1500),
}
NAMED: Mapping[str, Rates] = {"aws": AWS, "none": {}}


@dataclass(frozen=True)
class Settings:
    """The quotas, which are AWS's where nothing else is said; raises ValueError."""

    history_events: int = 25_000
    transaction_ms: float = 10.0
    concurrent_executions: int = 1000
    rates: Rates = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is no quota."""
        require_number("history_events", self.history_events, SHORTEST_HISTORY, whole=True)
        require_number("transaction_ms", self.transaction_ms, 0)
        require_number("concurrent_executions", self.concurrent_executions, 1, whole=True)
        for name, rate in self.rates.items():
            if name not in AWS:
                raise ValueError(f"There is no rate {name}, but {', '.join(AWS)}")
            if not isinstance(rate, list | tuple) or len(rate) != 2:
                raise ValueError(f"{name} is {rate!r}, but must be [size, number in a second]")
            require_number(f"The size of {name}", rate[0], 1)
            require_number(f"The number in a second of {name}", rate[1], 0)


def require_number(name: str, value: Any, least: int, *, whole: bool = False) -> None:
    """Raise ValueError unless it is a number from `least` on."""
    kind = int if whole else int | float
    if isinstance(value, bool) or not isinstance(value, kind) or not least <= value < float("inf"):
        number = "a whole number" if whole else "a number"
        raise ValueError(f"{name} is {value!r}, but must be {number} from {least} on")


class Bucket:
    """Tokens, of which each request takes one; it is full at first."""

    def __init__(self, size: float, per_second: float, clock: Callable[[], float]) -> None:
        """Fill it."""
        self._size, self._per_second, self._clock = size, per_second, clock
        self._tokens, self._filled = size, clock()

    def take(self) -> bool:
        """Take a token, if there is one."""
        now = self._clock()
        self._tokens = min(self._size, self._tokens + (now - self._filled) * self._per_second)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class UrlRates:
    """How many requests a second the URL of each function takes for which executions are reserved.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html ("Throttling"): ten times
    as many as are reserved. What others take is limited by how many run at once alone.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nobody has asked yet."""
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[int, Bucket]] = {}

    def take(self, function: str, reserved: int) -> bool:
        """Take a request to a function, for which so many executions are reserved."""
        with self._lock:
            before, bucket = self._buckets.get(function, (None, None))
            if bucket is None or before != reserved:
                most = URL_REQUESTS * reserved
                bucket = Bucket(most, most, self._clock)
                self._buckets[function] = reserved, bucket
            return bucket.take()


class Quotas:
    """The quotas that hold now, and what was taken of them."""

    def __init__(self, initial: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with these."""
        self._initial = initial
        self._clock = clock
        self._lock = threading.Lock()
        self._changed = asyncio.Event()
        self.set(initial)

    def set(self, settings: Settings) -> None:
        """From now on have these, with full buckets."""
        self._changed.set()
        self._changed = asyncio.Event()
        with self._lock:
            self.settings = settings
            self._buckets = {
                name: Bucket(*rate, self._clock) for name, rate in settings.rates.items()
            }
            self._taken: Counter[str] = Counter()
            self._refused: Counter[str] = Counter()

    def history_events(self) -> int:
        """How many events a history can have."""
        return self.settings.history_events

    async def while_under_way(self) -> None:
        """Wait as long as a transaction takes."""
        if seconds := self.settings.transaction_ms / 1000:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)

    def take(self, kind: str) -> bool:
        """Take one of a kind; False where that is refused."""
        taken = self.has(kind)
        self.count(kind, refused=not taken)
        return taken

    def has(self, kind: str) -> bool:
        """Take one of a kind, if there is one, and count nothing."""
        with self._lock:
            bucket = self._buckets.get(kind)
            return bucket is None or bucket.take()

    def count(self, kind: str, *, refused: bool) -> None:
        """Count a request that a quota is about."""
        with self._lock:
            (self._refused if refused else self._taken)[kind] += 1

    def control(self) -> Control[Settings]:
        """What tells them over HTTP."""
        return Control(PATH, self._initial, self._read, self.set, self._report)

    def _read(self, content: dict[str, Any]) -> Settings:
        require_known(content, {field.name for field in fields(Settings)})
        rates = rates_from(content.get("rates", {}), self._initial.rates)
        return replace(self._initial, **{**content, "rates": rates})

    def _report(self) -> dict[str, Any]:
        with self._lock:
            counts = {
                kind: {"taken": self._taken[kind], "refused": self._refused[kind]}
                for kind in sorted(self._taken | self._refused)
            }
            return {**asdict(self.settings), "counts": counts}


def rates_from(told: Any, initial: Rates) -> Rates:
    """The rates as they are told: by a name, or those that differ; raises ValueError."""
    if isinstance(told, str) and told in NAMED:
        return NAMED[told]
    if not isinstance(told, dict):
        raise ValueError(f"rates is {told!r}, but must be an object, or {' or '.join(NAMED)}")
    return {name: rate for name, rate in {**initial, **told}.items() if rate is not None}

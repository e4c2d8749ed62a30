"""An update of a function is two calls with a time between them, and no invocation ends by it.

PUT    /_local/updates   {"gap_seconds": 600}
GET    /_local/updates   what holds
DELETE /_local/updates   what the server was started with

CloudFormation updates a function's configuration, its layers with it, and then its code. Between
the two calls $LATEST has the new configuration and the old code; versions and aliases have what
they had. `gap_seconds` are of the time scale; a gap that is open when it is set ends.

https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionConfiguration.html
https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionCode.html
https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
https://github.com/aws/aws-cdk/issues/8446 ("Lambda layer is being applied before code updates")
"""

import threading
from collections.abc import Callable
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from emulator.control import Control, require_known
from emulator.seams import replace, seam

Fields = dict[str, Any]
PATH = "/_local/updates"
SETTING = "gap_seconds"
GAP = 2.0  # seconds; AWS needs some for each call
REPLACING = ("FunctionName", "PackageType")  # what makes another function instead

workers = seam(lambda_runtime, "_workers")
workers_lock = seam(lambda_runtime, "_lock")
kill = seam(lambda_runtime, "kill_workers")


class Updates:
    """The gap between the two calls of an update."""

    def __init__(self, time_scale: float) -> None:
        """Begin with the usual one."""
        self._time_scale = time_scale
        self._changed = threading.Event()
        self._seconds = GAP

    def install(self) -> None:
        """Let those that run go on when a function is updated."""
        replace(lambda_svc, "invalidate_worker", letting_the_busy_end)
        replace(lambda_svc, "release_worker", ending_the_retired)

    def in_two_calls(self, update: Callable[..., Any]) -> Callable[..., Any]:
        """How CloudFormation updates a function: its configuration first."""

        def update_function(name: str, old: Fields, new: Fields, *rest: Any, **named: Any) -> Any:
            between = {**new, "Code": old.get("Code")}
            replaced = any(old.get(field) != new.get(field) for field in REPLACING)
            if replaced or between in (old, new):
                return update(name, old, new, *rest, **named)
            update(name, old, between, *rest, **named)
            self._changed.wait(self._seconds * self._time_scale)
            return update(name, between, new, *rest, **named)

        return update_function

    def control(self) -> Control[float]:
        """What tells it over HTTP."""
        return Control(PATH, GAP, read, self._set, lambda: {SETTING: self._seconds})

    def _set(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed.set()
        self._changed = threading.Event()


def read(content: Fields) -> float:
    """The time that a control is told; raises ValueError."""
    require_known(content, {SETTING})
    value = content.get(SETTING, GAP)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**6:
        raise ValueError(f"{SETTING} is {value!r}, but must be a number from 0 on")
    return float(value)


def letting_the_busy_end(invalidate: Callable[..., None]) -> Callable[..., None]:
    """End a function's idle processes; those that run an invocation end after it."""

    def invalidate_idle(name: str, qualifier: str | None = None, **scope: Any) -> None:
        with workers_lock:
            for key, pool in workers.items():
                _, _, function, version = key.split(":")
                if function == name and version == qualifier:
                    for worker in [each for each in pool if each.in_use]:
                        worker.retired = True
                        pool.remove(worker)
        invalidate(name, qualifier=qualifier, **scope)

    return invalidate_idle


def ending_the_retired(release: Callable[..., None]) -> Callable[..., None]:
    """End a process that was kept for its last invocation only."""

    def release_or_end(worker: Any) -> None:
        release(worker)
        if getattr(worker, "retired", False):
            kill([worker])

    return release_or_end

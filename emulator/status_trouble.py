"""Trouble with status-change events, as far as AWS allows it; it is told to come over HTTP.

PUT    /_local/status-events   {"lost": 0.2, "doubled": 0.2, "late": 0.3, "late_seconds": 2, "seed": 7}
GET    /_local/status-events   the settings, and how many events had which trouble since they hold
DELETE /_local/status-events   behave again; what is late already still comes

`lost`, `doubled` and `late` are the shares of events that this happens to; what is not given is 0.
A doubled event comes twice with the same id, and each of the two may be late.

AWS documentation: "Delivery level for AWS service events" (Amazon EventBridge reference): the
status changes of executions are best effort. "Troubleshooting Amazon EventBridge" (user guide): a
rule may run more than once for one event, and late.
"""  # noqa: E501 - one line is one request

import contextvars
import logging
import random
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

from emulator.control import Control, require_known
from emulator.deadlines import Deadlines

PATH = "/_local/status-events"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How much trouble there is; raises ValueError."""

    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    late_seconds: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no share, time or seed."""
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise ValueError(f"{name} is {value!r}, but must be a number from 0 on")
            if name in ("lost", "doubled", "late") and value > 1:
                raise ValueError(f"{name} is {value!r}, but must be at most 1")


class StatusTrouble:
    """Loses, doubles and delays the status changes of executions on their way to the rules."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadlines = Deadlines()
        self.set(Settings())

    def set(self, settings: Settings) -> None:
        """From now on have this trouble."""
        with self._lock:
            self._settings = settings
            self._random = random.Random(settings.seed)  # noqa: S311 - dice, not keys
            self._counts = dict.fromkeys(("published", "lost", "doubled", "late"), 0)

    def report(self) -> dict[str, Any]:
        """The settings, and how many events there were since they hold."""
        with self._lock:
            return {**asdict(self._settings), "counts": dict(self._counts)}

    def dispatching(self, dispatch: Callable[..., None]) -> Callable[..., None]:
        """The way of an event to the rules, with the trouble on it."""

        def dispatch_event(event: dict[str, Any], *rest: Any) -> None:
            if event.get("Source") != "aws.states":
                dispatch(event, *rest)
                return
            delays = self._delays()
            for seconds in delays:
                if seconds is None:
                    dispatch(event, *rest)
                else:
                    self._later(seconds, dispatch, event, *rest)
            self._count(delays)

        return dispatch_event

    def _delays(self) -> list[float | None]:
        """How late each delivery of the next event comes; None is at once."""
        with self._lock:
            chosen = self._settings
            # All dice are thrown for each event, so that one setting does not change another's.
            lost, doubled, *late = (self._random.random() for _ in range(4))
        copies = 0 if lost < chosen.lost else 2 if doubled < chosen.doubled else 1
        return [chosen.late_seconds if die < chosen.late else None for die in late[:copies]]

    def _count(self, delays: list[float | None]) -> None:
        with self._lock:
            self._counts["published"] += 1
            self._counts["lost"] += len(delays) == 0
            self._counts["doubled"] += len(delays) == 2
            self._counts["late"] += any(delay is not None for delay in delays)

    def _later(self, seconds: float, dispatch: Callable[..., None], *arguments: Any) -> None:
        context = contextvars.copy_context()  # account and region

        def act() -> None:
            try:
                context.run(dispatch, *arguments)
            except Exception:  # the others that are late must still come
                log.exception("late status change not delivered")

        self._deadlines.after(seconds, act)

    def control(self) -> Control[Settings]:
        """What tells it over HTTP."""
        return Control(PATH, Settings(), settings_of, self.set, self.report)


def settings_of(content: dict[str, Any]) -> Settings:
    """The settings in a request; raises ValueError."""
    require_known(content, {field.name for field in fields(Settings)})
    return Settings(**content)

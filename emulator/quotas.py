"""How much an account may have of what AWS limits; it is told over HTTP (control.py).

PUT    /_local/quotas   {"history_events": 100}
GET    /_local/quotas   what holds
DELETE /_local/quotas   what the server was started with

`history_events` is how long an execution's history can grow, its end included.
AWS documentation: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from emulator.control import Control, require_known

PATH = "/_local/quotas"
SHORTEST_HISTORY = 3  # an execution's start, one event, and its end


@dataclass(frozen=True)
class Settings:
    """The quotas, which are AWS's where nothing else is said; raises ValueError."""

    history_events: int = 25_000

    def __post_init__(self) -> None:
        """Refuse what is no quota."""
        whole = isinstance(self.history_events, int) and not isinstance(self.history_events, bool)
        if not whole or self.history_events < SHORTEST_HISTORY:
            raise ValueError(
                f"history_events is {self.history_events!r}, but must be a whole number from "
                f"{SHORTEST_HISTORY} on"
            )


class Quotas:
    """The quotas that hold now."""

    def __init__(self, initial: Settings) -> None:
        """Begin with these."""
        self._initial = initial
        self.set(initial)

    def set(self, settings: Settings) -> None:
        """From now on have these."""
        self.settings = settings

    def history_events(self) -> int:
        """How many events a history can have."""
        return self.settings.history_events

    def control(self) -> Control[Settings]:
        """What tells them over HTTP."""
        return Control(PATH, self._initial, self._read, self.set, self._report)

    def _read(self, content: dict[str, Any]) -> Settings:
        require_known(content, {field.name for field in fields(Settings)})
        return replace(self._initial, **content)

    def _report(self) -> dict[str, Any]:
        return asdict(self.settings)

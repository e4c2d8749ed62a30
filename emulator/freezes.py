"""What becomes of a function's connections between two invocations; told over HTTP (control.py).

PUT    /_local/freezes   {"connection_seconds": 0}
GET    /_local/freezes   what holds
DELETE /_local/freezes   what the server was started with

Between two invocations Lambda freezes a function's environment. Connections that it has kept open
are dead after `connection_seconds` of that, as 350 are a NAT gateway's patience: nobody tells the
function so, and the next request over one is answered by a reset. With null they live for ever.

AWS documentation: https://docs.aws.amazon.com/lambda/latest/dg/best-practices.html ("Lambda purges
idle connections over time") and
https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html ("The connection
drops after 350 seconds"). function_process.py does it.
"""

import json
from pathlib import Path
from typing import Any

from emulator.control import Control, require_known

PATH = "/_local/freezes"
FILE = "freezes"  # in the server's folder, where the functions' processes read it
SETTING = "connection_seconds"
Seconds = float | None


class Freezes:
    """How long a connection outlives a freeze, and the file that tells the processes so."""

    def __init__(self, folder: Path, initial: Seconds) -> None:
        """Begin with this."""
        self._initial = initial
        self.file = folder / FILE
        self.set(initial)

    def set(self, seconds: Seconds) -> None:
        """From now on have this."""
        draft = self.file.with_suffix(".new")
        draft.write_text(json.dumps(seconds))
        draft.replace(self.file)

    def control(self) -> Control[Seconds]:
        """What tells it over HTTP."""
        return Control(PATH, self._initial, self._read, self.set, self._report)

    def _read(self, content: dict[str, Any]) -> Seconds:
        require_known(content, {SETTING})
        return seconds_of(content.get(SETTING, self._initial))

    def _report(self) -> dict[str, Any]:
        return {SETTING: json.loads(self.file.read_text())}


def seconds_of(value: Any) -> Seconds:
    """A time that a connection lives, or None for ever; raises ValueError."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and (not number or not 0 <= value < float("inf")):
        raise ValueError(f"{SETTING} is {value!r}, but must be a number from 0 on, or null")
    return None if value is None else float(value)

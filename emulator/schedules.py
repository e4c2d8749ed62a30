"""Scheduled rules, as often as the time scale says."""

from collections.abc import Callable

from ministack.services import eventbridge

from emulator.seams import replace

LOOK = 2.0  # seconds between two looks for what is due: AWS, too, is exact to the minute only


def install(time_scale: float) -> None:
    """Let `time_scale` be the length of a second in `rate(…)`; `cron(…)` keeps the clock's time.

    AWS documentation: "Creating a rule that runs on a schedule" (Amazon EventBridge user guide).
    """

    def scaled(seconds_of: Callable[[str], int | None]) -> Callable[[str], float | None]:
        def seconds(expression: str) -> float | None:
            found = seconds_of(expression)
            return None if found is None else found * time_scale

        return seconds

    replace(eventbridge, "_parse_rate_seconds", scaled)
    replace(eventbridge, "_SCHEDULER_TICK_INTERVAL", lambda _: LOOK * min(time_scale, 1.0))

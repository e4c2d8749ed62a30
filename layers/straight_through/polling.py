"""How long to wait until the next look at a pipeline's run."""

import math
from datetime import UTC, datetime

LONGEST_WAIT = 300


def next_wait(elapsed: float) -> int:
    """Whole seconds to wait, after `elapsed` seconds of the run: a tenth of them, 1 to 300.

    So a run's end is seen within a tenth of its duration, and a run of seven days takes about
    2,000 looks.
    """
    return min(max(1, math.ceil(elapsed / 10)), LONGEST_WAIT)


def seconds_since(moment: str | None, now: datetime) -> float | None:
    """Return the seconds from an ISO 8601 moment, UTC if it names no zone, to `now`.

    None where it is no moment.
    """
    try:
        then = datetime.fromisoformat(moment) if moment else None
    except (ValueError, TypeError):
        return None
    if then is None:
        return None
    return (now - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds()

"""How long an execution that holds a turn waits for what passes by itself."""

import math
import os
import random
from datetime import datetime
from typing import Any

from straight_through.attempts import Attempt, iso
from straight_through.errors import PipelineBusy, WaitedFor
from straight_through.polling import LONGEST_WAIT, next_wait
from straight_through.text import told

SHORTEST_BACKOFF = 5  # seconds
LONGEST_WORDS = 1024  # bytes of what a waiting record says: it travels with each look


def wait_out(
    record: dict[str, Any], trouble: WaitedFor, attempt: Attempt, now: datetime
) -> dict[str, Any]:
    """Return the record with the wait until the next try; raise the trouble past its deadline.

    The deadline is API_PATIENCE_HOURS or, for another's run, BUSY_DEADLINE_HOURS, and counts anew
    from each redrive. Back-off doubles, with jitter; a wait that was asked for is kept.
    """
    busy = isinstance(trouble, PipelineBusy)
    hours = float(os.environ["BUSY_DEADLINE_HOURS" if busy else "API_PATIENCE_HOURS"])
    kind = "PipelineBusy" if busy else "ApiUnavailable"
    before = record.get("waiting", {})
    same = (before.get("kind"), before.get("redrive_count")) == (kind, attempt.redrive_count)
    since = before["since"] if same else iso(now)
    waited = (now - datetime.fromisoformat(since)).total_seconds()
    if waited > hours * 3600:
        trouble.args = (
            f"{trouble} It has been so since {since}, for {waited / 3600:.1f} hours; the deadline "
            f"is {hours:g} hours. When it is over, redrive the execution.",
        )
        raise trouble
    if busy:
        wait = trouble.retry_after or next_wait(waited)
    else:
        backoff = min(max(waited, SHORTEST_BACKOFF), LONGEST_WAIT)
        wait = trouble.retry_after or backoff * random.uniform(0.5, 1)  # noqa: S311 - no secret
    waiting = {
        "kind": kind,
        "since": since,
        "redrive_count": attempt.redrive_count,
        "for": told(f"{type(trouble).__name__}: {trouble}", LONGEST_WORDS),
    }
    seconds = math.ceil(min(max(wait, 1), LONGEST_WAIT))
    return record | {"waiting": waiting, "wait_seconds": seconds}

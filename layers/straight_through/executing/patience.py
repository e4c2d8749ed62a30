"""How long an execution that holds a turn waits for what passes by itself."""

import math
import os
import random
from datetime import datetime, timedelta
from typing import Any

from straight_through.attempts import Attempt
from straight_through.errors import ApiUnavailable, NotFound, PipelineBusy, WaitedFor
from straight_through.executing.polling import LONGEST_WAIT, next_wait
from straight_through.moments import from_iso, iso
from straight_through.queue.table import Item
from straight_through.text import told

UNAVAILABLE = "ApiUnavailable"  # the kind of wait
SHORTEST_BACKOFF = 5  # seconds
PATIENCE = 12 * 3600  # seconds of waits that are asked for while an output is fetched
LONGEST_WORDS = 1024  # bytes of what a waiting record says: it travels with each look


def wait_out(
    record: dict[str, Any], trouble: WaitedFor, attempt: Attempt, now: datetime
) -> dict[str, Any]:
    """Return the record with the wait until the next try; raise the trouble past its deadline.

    The deadline is API_PATIENCE_HOURS or, for another's run, BUSY_DEADLINE_HOURS, and counts anew
    from each redrive. Back-off doubles, with jitter, up to five minutes; a wait that was asked for
    is kept up to the deadline.
    """
    busy = isinstance(trouble, PipelineBusy)
    hours = float(os.environ["BUSY_DEADLINE_HOURS" if busy else "API_PATIENCE_HOURS"])
    kind = "PipelineBusy" if busy else UNAVAILABLE
    since = since_of(record, kind, attempt, now)
    began = from_iso(since)
    waited = (now - began).total_seconds()
    left = hours * 3600 - waited
    if left < 0:
        trouble.args = (
            f"{trouble} It has been so since {since}, for {waited / 3600:.1f} hours; the deadline "
            f"is {hours:g} hours. When it is over, redrive the execution.",
        )
        raise trouble
    if trouble.retry_after:
        wait = min(max(trouble.retry_after, 1), left)
    elif busy:
        wait = next_wait(waited)
    else:
        backoff = min(max(waited, SHORTEST_BACKOFF), LONGEST_WAIT)
        wait = backoff * random.uniform(0.5, 1)  # noqa: S311 - no secret
    waiting = {
        "kind": kind,
        "since": since,
        "until": iso(began + timedelta(hours=hours)),
        "redrive_count": attempt.redrive_count,
        "for": told(f"{type(trouble).__name__}: {trouble}", LONGEST_WORDS),
    }
    if interrupted := _interrupted(record, kind, attempt):
        waiting["interrupts"] = interrupted
    return record | {"waiting": waiting, "wait_seconds": math.ceil(max(wait, 1))}


def since_of(record: dict[str, Any], kind: str, attempt: Attempt, now: datetime) -> str:
    """Return since when something of this kind is waited for, by this attempt.

    An API that does not answer now and then ends no other wait, or two that take turns would have
    no deadline; one that tells what else is waited for does answer.
    """
    before = record.get("waiting") or {}
    for wait in (before, before.get("interrupts") or {}):
        if (wait.get("kind"), before.get("redrive_count")) == (kind, attempt.redrive_count):
            return str(wait["since"])
    return iso(now)


def _interrupted(record: dict[str, Any], kind: str, attempt: Attempt) -> dict[str, str] | None:
    """Return the `kind` and `since` of the wait that an unavailable API interrupts, if any."""
    before = record.get("waiting") or {}
    same_attempt = before.get("redrive_count") == attempt.redrive_count
    if not before or kind != UNAVAILABLE or not same_attempt:
        return None
    if before["kind"] == UNAVAILABLE:
        return before.get("interrupts")
    return {"kind": before["kind"], "since": before["since"]}


def vanished(error: NotFound) -> ApiUnavailable:
    """Return what is waited for where a pipeline that was listed before is not found."""
    waited_for = ApiUnavailable(
        f"{error} This pipeline was listed before, so that it is waited for.", sent=False
    )
    waited_for.call = error.call or "list_executions"
    return waited_for


def wait_asked_for(event: Item, asked: float, now: datetime) -> Item | None:
    """Return the wait that a server has asked for while an output was fetched.

    None where it asked for none, or for too long. It grows with the time waited, so that a short
    one does not fill the history. Only a definition that knows the wait says `may_wait`: the one of
    release 1.0.0 tries again by its own.
    """
    if not asked or not event.get("may_wait"):
        return None
    since = event.get("waiting_since", now.isoformat())
    waited = (now - from_iso(since)).total_seconds()
    if waited > PATIENCE:
        return None
    seconds = math.ceil(min(max(asked, min(waited, LONGEST_WAIT), 1), PATIENCE))
    return {"waiting_since": since, "wait_seconds": seconds}

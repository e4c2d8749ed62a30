"""How long to wait: until the next look at an execution, and for what passes by itself."""

import bisect
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from straight_through.attempts import Attempt
from straight_through.errors import ApiUnavailable, NotFound, PipelineBusy, WaitedFor
from straight_through.moments import from_iso, iso
from straight_through.run_state import Asked, Interrupted, OutputState, RunState, Waiting
from straight_through.text import told

UNAVAILABLE = "ApiUnavailable"  # the kind of wait
SHORTEST_BACKOFF = 5  # seconds
LONGEST_ASKED = 12 * 3600  # seconds of waits that are asked for while an output is fetched
LONGEST_WORDS = 1024  # bytes of what a waiting state says: it travels with each look
# A history ends at 25,000 events, and a round makes up to fourteen: so waits grow for days.
LONGEST_WAIT, LONGEST_SHARE = 300, 0.01  # seconds, or of the time waited so far if that is more
# Chosen by simulation (`make bench`): with a smaller share there are more looks, with a greater one
# longer delays. The pretended runs keep three earlier runs that are alike by chance from being
# believed too much.
SHARE = 0.16  # of the spread, between two looks around the expected end
PRETENDED_RUNS, PRETENDED_SPREAD = 3, 0.12
# Of the longest known duration: when an end is looked for whose event has not come.
PAST_USUAL, PAST_USUAL_SECONDS = 1.2, 30
FARTHEST = 0.5  # from the median, in the logarithm; what lies farther off is counted as if there


@dataclass(frozen=True)
class Patience:
    """How long a turn's holder waits: for the API, and for another's use of the pipeline."""

    api_patience_hours: float
    busy_deadline_hours: float


def next_wait(elapsed: float, durations: Sequence[float] = ()) -> int:
    """Whole seconds from `elapsed` seconds of an execution to the next look at it.

    At least 1, at most 300 or a hundredth of the time elapsed.

    `durations` are seconds that earlier ones of the pipeline took. With none, a tenth of the time
    elapsed. With some, the least of
    - the time elapsed, or 10: most failures come early, and are seen after as long again;
    - what the chance of an end calls for: long waits up to shortly before the usual duration, close
      looks around it. The best wait between looks that cost the same is as the square root of
      1 / (chance of an end per second), which for durations of a logistic distribution in their
      logarithm is sqrt(1 + (usual / then) ** (1.7 / spread)), `then` being the time of that look.
    Past the longest known duration a wait is a tenth of the time since, at least.
    """
    elapsed = max(elapsed, 0)
    known = sorted(math.log(max(each, 1)) for each in durations if 0 < each < math.inf)
    if not known:
        return _within(elapsed / 10, elapsed)
    median = known[len(known) // 2]
    known = [min(max(each, median - FARTHEST), median + FARTHEST) for each in known]
    usual = sum(known) / len(known)
    pretended = PRETENDED_RUNS * PRETENDED_SPREAD**2
    squares = pretended + sum((each - usual) ** 2 for each in known)
    spread = math.sqrt(squares / (PRETENDED_RUNS + len(known) - 1))

    def too_long(wait: int) -> bool:
        """Whether a look so much later comes too late for the chance of an end by then."""
        then = elapsed + wait
        rarity = math.exp(min((usual - math.log(then)) * 1.7 / spread, 700))
        return wait > SHARE * spread * then * math.sqrt(1 + rarity)

    waits = range(1, math.ceil(longest_wait(elapsed)) + 1)
    close = bisect.bisect_left(waits, True, key=too_long)  # noqa: FBT003
    past_all = (elapsed - math.exp(known[-1])) / 10
    return _within(max(min(close, max(elapsed, 10)), past_all), elapsed)


def announced_wait(elapsed: float, durations: Sequence[float]) -> int:
    """Whole seconds to the next look at an execution whose end an event will announce.

    One look past the usual end, and then as seldom as a wait may be. For a pipeline of which no
    duration is known, as `next_wait`.
    """
    known = [each for each in durations if 0 < each < math.inf]
    if not known:
        return next_wait(elapsed, durations)
    late = max(known) * PAST_USUAL + PAST_USUAL_SECONDS
    return math.ceil(late - elapsed if elapsed < late else longest_wait(elapsed))


def longest_wait(waited: float) -> float:
    """Return how many seconds a wait may take after `waited` seconds."""
    return max(LONGEST_WAIT, waited * LONGEST_SHARE)


def _within(wait: float, waited: float) -> int:
    """Return a wait in whole seconds within its bounds."""
    return int(min(max(wait, 1), longest_wait(waited)))


def wait_out(
    state: RunState,
    trouble: WaitedFor,
    attempt: Attempt,
    patience: Patience,
    now: datetime,
) -> RunState:
    """Return the state with the wait until the next try; raise the trouble past its deadline.

    The deadline is that of `patience`, and counts anew from each redrive. Back-off doubles, with
    jitter, up to five minutes or a hundredth of what was waited. A wait that was asked for is kept
    up to the deadline; where it is short, it grows as one does that nobody asked for.
    """
    busy = isinstance(trouble, PipelineBusy)
    hours = patience.busy_deadline_hours if busy else patience.api_patience_hours
    kind = "PipelineBusy" if busy else UNAVAILABLE
    since = since_of(state, kind, attempt, now)
    began = from_iso(since)
    waited = (now - began).total_seconds()
    left = hours * 3600 - waited
    if left < 0:
        trouble.args = (
            f"{trouble} It has been so since {since}, for {waited / 3600:.1f} h; the deadline "
            f"is {hours:g} h. When it is over, redrive the run.",
        )
        raise trouble
    first = _first_of(state, attempt, since)
    in_all = (now - from_iso(first)).total_seconds()
    if trouble.retry_after:
        wait = max(trouble.retry_after, next_wait(waited))
    elif busy:
        wait = next_wait(waited)
    else:
        backoff = min(max(waited, SHORTEST_BACKOFF), LONGEST_WAIT)
        wait = backoff * random.uniform(0.5, 1)  # noqa: S311 - no secret
    wait = min(max(wait, in_all * LONGEST_SHARE), left)
    waiting: Waiting = {
        "kind": kind,
        "since": since,
        "until": iso(began + timedelta(hours=hours)),
        "redrive_count": attempt.redrive_count,
        "for": told(f"{type(trouble).__name__}: {trouble}", LONGEST_WORDS),
        "first": first,
    }
    if interrupted := _interrupted(state, kind, attempt):
        waiting["interrupts"] = interrupted
    return state | {"waiting": waiting, "wait_seconds": math.ceil(max(wait, 1))}


def _first_of(state: RunState, attempt: Attempt, since: str) -> str:
    """Return since when this attempt waits for whatever it is: each wait alone would begin anew."""
    times = [since]
    if (before := state.get("waiting")) and before.get("redrive_count") == attempt.redrive_count:
        times.append(before.get("first", before["since"]))
    if executed_at := state.get("executed_at"):
        times.append(max(executed_at, attempt.began))
    return min(times)


def since_of(state: RunState, kind: str, attempt: Attempt, now: datetime) -> str:
    """Return since when something of this kind is waited for, by this attempt.

    An API that does not answer now and then ends no other wait, or two that take turns would have
    no deadline; one that tells what else is waited for does answer.
    """
    before = state.get("waiting")
    if before and before.get("redrive_count") == attempt.redrive_count:
        for wait in (before, before.get("interrupts")):
            if wait and wait["kind"] == kind:
                return wait["since"]
    return iso(now)


def _interrupted(state: RunState, kind: str, attempt: Attempt) -> Interrupted | None:
    """Return the `kind` and `since` of the wait that an unavailable API interrupts, if any."""
    before = state.get("waiting")
    if not before or kind != UNAVAILABLE:
        return None
    if before.get("redrive_count") != attempt.redrive_count:
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


def wait_asked_for(event: OutputState, asked: float, now: datetime) -> Asked | None:
    """Return the wait that a server has asked for while an output was fetched.

    None where it asked for none, or for too long. It grows with the time waited, to five minutes or
    a seventh of that time, so that a short one does not fill the history. Only a definition that
    knows the wait says `may_wait`: the one of release 1.0.0 tries again by its own.
    """
    if not asked or not event.get("may_wait"):
        return None
    since = event.get("waiting_since", now.isoformat())
    waited = (now - from_iso(since)).total_seconds()
    if waited > LONGEST_ASKED:
        return None
    grown = min(waited, max(LONGEST_WAIT, waited / 7))
    seconds = math.ceil(min(max(asked, grown, 1), LONGEST_ASKED))
    return {"waiting_since": since, "wait_seconds": seconds}

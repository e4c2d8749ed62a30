"""How a run waits for its execution where Quantemplate's events are taken: by a callback.

The state machine writes a task token for the next event and waits until then, or until the next
look is due. An event only hurries: CheckStatus looks as always and believes nothing that it said.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from straight_through.executing.progress import execution_of
from straight_through.executing.waits import announced_wait, next_wait
from straight_through.hearing.listeners import listener_key
from straight_through.moments import from_iso
from straight_through.queue.items import SeenEnd
from straight_through.run_state import Listening, RunState

SHORTEST_CALLBACK = 10  # seconds: by less no event can hurry a look
# A callback makes four events more in the history than a wait by the clock, a look that an event
# has caused nine, and a history ends. So whoever wakes a run again and again makes it look so often
# at most, with so many series of early looks, and then it goes by the clock.
MOST_CALLBACKS, MOST_WOKEN, MOST_SERIES = 45, 8, 5
ENDS_ANNOUNCED = 3  # in a row, after which a pipeline's events are counted on
LATE = timedelta(seconds=60)  # an event that comes so long after its end was seen announces it too
SLACK = timedelta(seconds=5)  # an event notes when it came, and then writes; and clocks differ
EARLY = (5, 15, 45)  # seconds until the looks that follow an event which announced no end
NOTHING_HEARD = ""


def first_listening(announced: int) -> Listening:
    """Return how a run listens at its first look; so many ends in a row before were announced."""
    return {"heard": NOTHING_HEARD, "announced": announced, "callbacks": 0, "early": 0, "series": 0}


def waits_on(
    state: RunState,
    heard: str,
    begun: datetime,
    now: datetime,
    durations: Sequence[float],
    deadline: datetime,
) -> RunState:
    """Return the state of an execution that goes on, with the next wait and how it is waited.

    `heard` is the last event that was noted before this look; `durations` are in seconds.
    """
    before, made = state["listening"], execution_of(state)
    elapsed, left = (now - begun).total_seconds(), (deadline - now).total_seconds()
    early, woken, callbacks = before["early"], before["series"], before["callbacks"]
    early = max(early - 1, 0)  # this look was one of them
    if heard != before["heard"]:
        # It was woken for nothing: the list may be late, or the event was a forgery.
        woken += 1
        if woken <= MOST_SERIES:
            early = len(EARLY)
    may_hear = callbacks < MOST_CALLBACKS and woken < MOST_WOKEN
    counted_on = may_hear and before["announced"] >= ENDS_ANNOUNCED
    wait = (announced_wait if counted_on else next_wait)(elapsed, durations)
    if early:
        wait = min(wait, EARLY[-early])
    wait = max(min(wait, int(left) + 1), 1)
    after: Listening = {
        "heard": heard,
        "announced": before["announced"],
        "callbacks": callbacks,
        "early": early,
        "series": woken,
    }
    if may_hear and wait >= SHORTEST_CALLBACK:
        after["pk"], _ = listener_key(made["pipeline_id"], made["execution_id"])
        after["callbacks"] += 1
    return state | {"listening": after, "wait_seconds": wait}


def was_announced(state: RunState, heard: str) -> bool:
    """Whether an event has announced the end that a look shows, and not one of long before."""
    before = state["listening"]
    return bool(heard) and (heard != before["heard"] or before["early"] > 0)


def announced_so_far(announced: int, last: SeenEnd | None, heard_at: datetime | None) -> int:
    """Return how many ends in a row were announced, the last one too.

    A look may have seen that before its event came, `heard_at`: where looks are close, the event
    comes while one reads the list, or later.
    """
    if last is None:
        return 0
    began, seen = from_iso(last.get("since", last["at"])), from_iso(last["at"])
    came = heard_at is not None and began - SLACK <= heard_at <= seen + LATE
    return announced + 1 if last["announced"] or came else 0


def by_clock(state: RunState) -> RunState:
    """Return the state whose next wait is by the clock: no event can hurry what is waited for."""
    if "listening" not in state:
        return state
    listening = state["listening"].copy()
    listening.pop("pk", None)
    return state | {"listening": listening}

"""The model finds what is wrong with what starts runs without files: each of these ways."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import Phase, seed
from hypothesis.stateful import run_state_machine_as_test

import straight_through.executing.execute_once
import straight_through.starting.index
import straight_through.starting.updates
from straight_through.queue.items import WhenItem
from straight_through.queue.table import update
from straight_through.starting.index import Index
from straight_through.starting.updates import Starter, when_key
from tests.model.calm import calm_down, run_all
from tests.model.functions import loaded
from tests.model.machine import Model
from tests.model.starting import BOTH, MOST, Starting
from tests.model.test_broken import play
from tests.model.test_model import settled
from tests.model.world import Violated

Patch = pytest.MonkeyPatch
EXAMPLES, SEED = 400, 1  # at most; all are found within some dozens
SHOW_AT_THE_END = (
    "claim_and_never_start",
    "forget_a_run_that_ended",
    "pass_moments_over",
    "name_moments_anew",
    "make_up_what_is_to_be_skipped",
)


def unseen(field: str) -> Callable[[Patch], None]:
    """Let a run be started without a look at one thing that is known of its route."""

    def break_it(patch: Patch) -> None:
        begun = Starter.begun

        def broken(self: Starter, item: WhenItem, now: datetime) -> str:
            left: Any = {name: value for name, value in item.items() if name != field}
            return begun(self, left, now)

        patch.setattr(Starter, "begun", broken)

    return break_it


def start_beside_one_that_has_not_executed(patch: Patch) -> None:
    """A run is started while another waits that takes the update in."""
    unseen("pending")(patch)


def execute_and_take_nothing_in(patch: Patch) -> None:
    """What was told before an Execute counts after it too."""

    def broken(route: str, at: str) -> Any:
        anew = uuid.uuid4().hex
        change = "SET #executed_at = :at, #rev = :anew REMOVE #pending"
        return update(when_key(route), change, at=at, anew=anew)

    patch.setattr(straight_through.executing.execute_once, "absorbed", broken)


def claim_and_never_start(patch: Patch) -> None:
    """A function dies between its claim and the start, and nobody makes it up."""
    patch.setattr(Starter, "again", lambda *_: None)


def forget_a_run_that_ended(patch: Patch) -> None:
    """A run that ended without an Execute keeps all later updates from starting one."""
    see_to = Index._see_to

    def broken(self: Index, item: WhenItem, ended: Any, _may_look: Any, now: datetime) -> None:
        see_to(self, item, ended, lambda: False, now)

    patch.setattr(Index, "_see_to", broken)


def name_moments_anew(patch: Patch) -> None:
    """A moment's run has a name of its own each time."""
    patch.setattr(
        straight_through.starting.index,
        "route_run_name",
        lambda route, _cause: f"{route}-{uuid.uuid4()}",
    )


def pass_moments_over(patch: Patch) -> None:
    """A moment that was missed is noted, and nothing is started for it."""
    patch.setattr(Starter, "start", lambda *_: True)


def make_up_what_is_to_be_skipped(patch: Patch) -> None:
    """A moment that was missed is made up where the route says that it is not."""
    patch.setattr(straight_through.starting.index, "LATE", timedelta(days=100))


BREAKS = [
    start_beside_one_that_has_not_executed,
    execute_and_take_nothing_in,
    claim_and_never_start,
    forget_a_run_that_ended,
    name_moments_anew,
    pass_moments_over,
    make_up_what_is_to_be_skipped,
]


@pytest.mark.parametrize("break_it", BREAKS)
def test_the_model_finds(break_it: Callable[[Patch], None], monkeypatch: Patch) -> None:
    # Given what starts runs, with one piece broken
    with loaded() as functions:
        Model.functions = functions
        break_it(monkeypatch)
        monkeypatch.setattr(Model, "calms_down", break_it.__name__ in SHOW_AT_THE_END)
        # When the model plays, then an invariant does not hold
        seed(SEED)(Starting)
        Model.steps = 0
        with pytest.raises(Violated) as found:
            run_state_machine_as_test(Starting, settings=settled(EXAMPLES, Phase.generate))
    print(break_it.__name__, "-", Model.steps, str(found.value)[:100], flush=True)  # noqa: T201


# --- what chance finds late: each has a story that leads to it ------------------------------------
def start_although_switched_off(patch: Patch) -> None:
    """The brake stops nothing for longer than an hour."""
    unseen("off")(patch)


def goes_round_for_two_hours(model: Starting) -> None:
    """What a pipeline makes comes back as its update, until it is off; an hour later too."""
    for _ in range(MOST + 1):
        model._send(BOTH[0])
        run_all(model.world)
        calm_down(model.world, events=True)
    model.world.pass_time(3700)
    model._send(BOTH[0])
    run_all(model.world)


def count_no_starts(patch: Patch) -> None:
    """The brake never comes."""
    unseen("starts")(patch)


def goes_round_within_an_hour(model: Starting) -> None:
    """What a pipeline makes comes back as its update, more often than it may in an hour."""
    for _ in range(MOST + 2):
        model._send(BOTH[0])
        run_all(model.world)
        calm_down(model.world, events=True)


def forget_what_was_claimed(patch: Patch) -> None:
    """What a run was started for starts another where that ended without an Execute."""
    unseen("claimed")(patch)


def a_run_ends_without_an_execute(model: Starting) -> None:
    """Updates start a run, which a person aborts before it executes; then the sweep comes."""
    for dataset in BOTH:
        model._send(dataset)
        run_all(model.world)
    for execution in model._executions("RUNNING"):
        model.world.states.abort(execution)
    for _ in range(2):
        model.world.pass_time(200)
        model.world.invoke("sweep_queues", {})
        run_all(model.world)


def write_whatever_others_wrote(patch: Patch) -> None:
    """Two that change a route's item at once overwrite each other."""
    for room in (straight_through.starting.updates, straight_through.starting.index):
        patch.setattr(room, "unchanged", lambda _item: ("", {}))


def two_events_come_at_once(model: Starting) -> None:
    """Both datasets are updated at once, and the one event overtakes the other.

    The first has begun a run of "s", and stands before its note in what "t" waits for.
    """
    first, second = (model._send(dataset) for dataset in BOTH)
    while "pending" not in model._item("s") or "write Update when" not in first.at:
        model.world.step(first)
    while not second.ended:
        model.world.step(second)
    calm_down(model.world, events=True)
    model.check_rest()


Story = Callable[[Starting], None]
STORIES: list[tuple[Callable[[Patch], None], Story]] = [
    (start_although_switched_off, goes_round_for_two_hours),
    (count_no_starts, goes_round_within_an_hour),
    (forget_what_was_claimed, a_run_ends_without_an_execute),
    (write_whatever_others_wrote, two_events_come_at_once),
]


@pytest.mark.parametrize(("break_it", "story"), STORIES)
def test_a_story_of_the_model_leads_to(
    break_it: Callable[[Patch], None], story: Story, monkeypatch: Patch
) -> None:
    # Given a story that is well as things are
    with loaded() as functions:
        Model.functions = functions
        play(Starting(), story)
        # When one piece is broken, then an invariant does not hold
        break_it(monkeypatch)
        with pytest.raises(Violated) as found:
            play(Starting(), story)
    print(break_it.__name__, "-", str(found.value)[:100], flush=True)  # noqa: T201

"""Turns: one at a time, in order, never lost and never shared."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stp.new_runs import attach
from straight_through.attempts import Attempt, attempt_of
from straight_through.errors import (
    AccessDenied,
    ApiThrottled,
    ApiUnavailable,
    CredentialsMissing,
    CredentialsRejected,
    NotFound,
    PipelineBusy,
    PipelineOverdue,
    RequestRefused,
    SourceDenied,
    StraightThroughError,
    TurnLost,
    UploadRefused,
)
from straight_through.moments import iso
from straight_through.names import run_name
from straight_through.queue.reconcile import Reconciler, SweepIncomplete
from straight_through.queue.records import Records, record_key
from straight_through.queue.table import Table
from straight_through.queue.turns import Turn, Turns, queue_key, tickets
from straight_through.run_state import SCHEMA
from tests.unit.fake_states import FakeStates

START = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
QUEUE = "p-claims"
OPEN_POST: Any = {"id": "post"}


class World:
    """The turns of one queue, with a clock that only moves when it is told to."""

    def __init__(self, table: Table, states: FakeStates) -> None:
        """Begin at START."""
        self.now = START
        self.table = table
        self.states = states
        self.messages: list[tuple[str, str]] = []
        clock: Callable[[], datetime] = lambda: self.now  # noqa: E731 - shorter
        self.turns = Turns(table, states, clock)  # type: ignore[arg-type]
        tell = lambda *message: self.messages.append(message)  # noqa: E731
        self.reconciler = Reconciler(table, states, tell, clock)  # type: ignore[arg-type]

    def drop(self, key: str, *, seconds: int = 0, redrive: int = 0) -> Attempt:
        """An attempt for a file that was dropped so many seconds after START."""
        dropped = {"bucket": "inbox", "key": key, "version_id": "v", "sequencer": "0"}
        name = run_name("inbox", key, "v")
        execution = {
            "Name": name,
            "Id": f"arn:{name}",
            "StartTime": iso(START),
            "RedriveCount": redrive,
            "Input": dropped | {"dropped_at": iso(START + timedelta(seconds=seconds))},
        }
        return attempt_of(execution | ({"RedriveTime": iso(self.now)} if redrive else {}))

    def take(self, attempt: Attempt, stamp: str = "1", token: str = "") -> str:
        """Let an execution ask for the turn; return its token."""
        token = token or f"{attempt.run} {attempt.redrive_count} {stamp}"
        self.states.wait(token, attempt.execution_arn)
        stamp = f"{attempt.redrive_count} {stamp}"
        source: Any = {"key": attempt.run}
        self.turns.take(QUEUE, attempt, source, token, stamp, "claims")
        return token

    def turn(self, token: str) -> Turn | None:
        """The turn that a token was answered with."""
        answer = self.states.answers.get(token)
        return Turn(**answer["turn"]) if answer else None

    def taken(self, attempt: Attempt) -> Turn:
        """The turn that an execution gets at once."""
        turn = self.turn(self.take(attempt))
        assert turn
        return turn

    def enter(self, turn: Turn, attempt: Attempt, seconds: int = 900) -> str:
        """Enter the turn."""
        return self.turns.enter(turn, attempt, self.now + timedelta(seconds=seconds))

    @property
    def holder(self) -> dict[str, Any]:
        """The holder of the queue's turn."""
        return dict(self.turns.state(QUEUE).get("holder", {}))

    def waiting(self) -> int:
        """How many tickets the queue has."""
        return len(list(self.table.items(tickets(QUEUE))))


@pytest.fixture
def world(table: Table, states: FakeStates) -> World:
    """A queue with nobody in it."""
    return World(table, states)


def ended(world: World, attempt: Attempt, status: str = "FAILED", error: str = "") -> None:
    """End an attempt; its event is still to come."""
    world.states.end(attempt.execution_arn, status, error, attempt.redrive_count)


def tell_end(world: World, attempt: Attempt, error: str = "") -> None:
    """Deliver the event of an attempt's end."""
    run, arn, count = attempt.run, attempt.execution_arn, attempt.redrive_count
    world.reconciler.run_ended(run, arn, count, error)


def test_the_oldest_drop_goes_next(world: World) -> None:
    # Given a holder and three that wait, not in the order of their drops
    first = world.drop("a")
    turn = world.taken(first)
    waiting = {s: world.take(world.drop(f"f{s}", seconds=s)) for s in (3, 1, 2)}
    # When the turn is passed on again and again, it goes by the time of the drop
    order = []
    holder, held = first, turn
    for _ in waiting:
        world.turns.pass_on(QUEUE, holder.execution_arn, 0, held.turn_id)
        (second,) = [s for s in waiting if s not in order and world.turn(waiting[s])]
        order.append(second)
        holder = world.drop(f"f{second}", seconds=second)
        held = world.turn(waiting[second]) or held
    assert order == [1, 2, 3]


def test_a_rerun_queues_by_its_own_start(world: World) -> None:
    dropped = world.drop("may", seconds=60)
    rerun = attempt_of(
        {
            "Name": "by-hand",
            "Id": "arn:by-hand",
            "StartTime": iso(START + timedelta(seconds=90)),
            "Input": dropped.input,
        }
    )
    assert dropped.was_dropped
    assert not rerun.was_dropped
    assert dropped.order < rerun.order
    assert rerun.order.startswith("2026-05-04T08:01:30.000Z#")


def test_a_run_that_follows_an_execution_has_the_place_of_its_drop(world: World) -> None:
    # Given a drop, and a newer one whose outputs lie at a destination already
    dropped, newer = world.drop("may", seconds=60), world.drop("june", seconds=600)
    # When a run that follows the older one's execution begins
    name, given = attach("may", dropped.given, {"execution": {"execution_id": "e-1"}}) or ("", {})
    start = iso(START + timedelta(seconds=900))
    follows = attempt_of({"Name": name, "Id": "arn:x", "StartTime": start, "Input": given})
    # Then its outputs come before the newer one's, as a redrive's would
    assert given["execution_id"] == "e-1"
    assert follows.order < newer.order
    # And one that a person starts with an id alone has its own start
    by_hand = {"bucket": "b", "key": "k", "execution_id": "e-1"}
    alone = attempt_of({"Name": "x", "Id": "arn:x", "StartTime": start, "Input": by_hand})
    assert alone.order.startswith(start)


def test_a_replay_has_the_place_of_its_drop_behind_what_it_supersedes(world: World) -> None:
    # Given a drop, and a newer one
    dropped, newer = world.drop("may", seconds=60), world.drop("june", seconds=61)
    start = iso(START + timedelta(seconds=900))

    def replayed(plan: str, run: str) -> Attempt:
        given = dropped.given | {"replay": plan}
        return attempt_of({"Name": run, "Id": "arn:x", "StartTime": start, "Input": given})

    # When the older one is replayed, twice, by runs of any name
    first, second = replayed("20261128-101530-ff00", "z"), replayed("20261128-101531-0a00", "a")
    # Then each comes behind the run before it and before the newer drop
    assert dropped.order < first.order < second.order < newer.order
    # And behind one that follows the drop's execution, which has its place too
    given = dropped.given | {"execution_id": "e-1"}
    follows = {"Name": f"{dropped.run}-attach-1", "Id": "arn", "StartTime": start, "Input": given}
    assert attempt_of(follows).order < first.order
    # And two runs of one plan do not share a ticket
    assert replayed("20261128-101530-ff00", "y").order != first.order
    # And nobody takes it for a drop, whose same bytes may be skipped
    assert not first.was_dropped
    # And what a person starts anew of its input but for the plan is as new as its start
    again = attempt_of({"Name": "n", "Id": "arn", "StartTime": start, "Input": dropped.given})
    assert again.order.startswith(start)


def test_versions_of_one_second_go_by_their_sequencer() -> None:
    def order(version: str, sequencer: str) -> str:
        named = {"bucket": "b", "key": "k", "version_id": version, "sequencer": sequencer}
        name = run_name("b", "k", version)
        given = {"Name": name, "Id": "arn", "StartTime": iso(START)}
        return attempt_of(given | {"Input": named | {"dropped_at": "2026-05-04T08:00:00Z"}}).order

    # AWS: the shorter one is filled up with zeros on the right
    assert order("v1", "0055AED6DCD9") < order("v2", "0055AED6DCD90281E5")
    assert order("v1", "0055AED6DCD9028") < order("v2", "0055AED6DCE")


def test_one_holds_the_turn_and_the_next_gets_it_once(world: World) -> None:
    first, second = world.drop("a"), world.drop("b", seconds=1)
    turn = world.taken(first)
    token = world.take(second)
    assert world.turn(token) is None
    world.turns.pass_on(QUEUE, first.execution_arn, 0, turn.turn_id)
    world.turns.pass_on(QUEUE, first.execution_arn, 0, turn.turn_id)
    assert world.turn(token)
    assert world.holder["run"] == second.run


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED"])
@pytest.mark.parametrize("times", [1, 2])
def test_the_turn_of_an_ended_run_is_passed_on(world: World, status: str, times: int) -> None:
    first, second = world.drop("a"), world.drop("b", seconds=1)
    world.taken(first)
    token = world.take(second)
    ended(world, first, status)
    for _ in range(times):
        tell_end(world, first)
    assert world.turn(token)
    assert world.holder["run"] == second.run


def test_the_sweep_finds_the_turn_whose_event_was_lost(world: World) -> None:
    first, second = world.drop("a"), world.drop("b", seconds=1)
    world.taken(first)
    token = world.take(second)
    ended(world, first)
    world.reconciler.sweep(timedelta(hours=1))
    assert world.turn(token)


def test_a_ticket_of_an_ended_run_is_passed_over(world: World) -> None:
    # Given a run that was aborted while it waited, whose event was lost
    first, second, third = (world.drop(k, seconds=s) for s, k in enumerate("abc"))
    turn = world.taken(first)
    world.take(second)
    token = world.take(third)
    ended(world, second, "ABORTED")
    # When the turn is given back
    world.turns.pass_on(QUEUE, first.execution_arn, 0, turn.turn_id)
    # Then the third has it
    assert world.turn(token)
    assert world.waiting() == 0


def test_a_late_event_of_an_earlier_attempt_takes_nothing(world: World) -> None:
    # Given an execution that failed and was redriven, and holds the turn
    world.taken(world.drop("a"))
    ended(world, world.drop("a"))
    again = world.drop("a", redrive=1)
    turn = world.turn(world.take(again))
    assert turn
    # When the event of its first end arrives, late, and once more
    tell_end(world, world.drop("a"))
    tell_end(world, world.drop("a"))
    # Then it holds the turn still, and can enter it
    assert world.enter(turn, again)


def test_a_late_event_takes_no_ticket_of_a_later_attempt(world: World) -> None:
    world.taken(world.drop("a"))
    world.take(world.drop("b", seconds=1))
    ended(world, world.drop("b", seconds=1), "ABORTED")
    world.take(world.drop("b", seconds=1, redrive=1))
    tell_end(world, world.drop("b", seconds=1))
    assert world.waiting() == 1


def test_an_execution_that_lost_its_turn_cannot_enter(world: World) -> None:
    first, second = world.drop("a"), world.drop("b", seconds=1)
    turn = world.taken(first)
    world.take(second)
    ended(world, first)
    tell_end(world, first)
    with pytest.raises(TurnLost):
        world.enter(turn, world.drop("a", redrive=1))


def test_a_marked_turn_is_not_passed_on_until_the_function_has_ended(world: World) -> None:
    # Given a function that uploads while its execution is aborted
    first, second = world.drop("a"), world.drop("b", seconds=1)
    turn = world.taken(first)
    mark = world.enter(turn, first)
    token = world.take(second)
    ended(world, first, "ABORTED")
    tell_end(world, first)
    world.reconciler.sweep(timedelta(hours=1))
    assert world.turn(token) is None
    # And it may not execute any more
    with pytest.raises(TurnLost, match="was not executed"):
        world.turns.post(turn, mark, first.run, OPEN_POST)
    # When it ends, the next file has the turn
    world.turns.unmark(turn, mark, first.execution_arn)
    assert world.turn(token)


def test_a_killed_functions_mark_lapses_and_the_sweep_passes_the_turn_on(world: World) -> None:
    first, second = world.drop("a"), world.drop("b", seconds=1)
    turn = world.taken(first)
    mark = world.enter(turn, first, seconds=900)
    token = world.take(second)
    ended(world, first, "ABORTED")
    tell_end(world, first)
    world.now += timedelta(seconds=899)
    world.reconciler.sweep(timedelta(hours=1))
    assert world.turn(token) is None
    world.now += timedelta(seconds=2)
    world.reconciler.sweep(timedelta(hours=1))
    assert world.turn(token)
    # And what the function still does, if it was only slow, is refused
    with pytest.raises(TurnLost):
        world.turns.post(turn, mark, first.run, OPEN_POST)
    world.turns.unmark(turn, mark, first.execution_arn)
    assert world.holder["run"] == second.run


def test_a_turn_whose_execution_has_ended_is_entered_by_no_later_try(world: World) -> None:
    # Given a function that was killed, and whose execution was aborted while its mark stood
    first = world.drop("a")
    turn = world.taken(first)
    world.enter(turn, first, seconds=900)
    ended(world, first, "ABORTED")
    tell_end(world, first)
    # When the mark has lapsed, before any sweep, and a late try of that attempt comes
    world.now += timedelta(seconds=901)
    # Then nothing is done in its name
    with pytest.raises(TurnLost):
        world.enter(turn, first)


def test_a_marked_turn_is_not_entered_again(world: World) -> None:
    first = world.drop("a")
    turn = world.taken(first)
    world.enter(turn, first, seconds=30)
    with pytest.raises(PipelineBusy) as busy:
        world.enter(turn, first)
    assert busy.value.retry_after == 30
    world.now += timedelta(seconds=31)
    assert world.enter(turn, first)


def test_a_retry_waits_with_its_newest_token(world: World) -> None:
    # Given a try whose invocation failed after it had written its ticket
    world.taken(world.drop("a"))
    second = world.drop("b", seconds=1)
    old = world.take(second, stamp="1")
    world.states.waiting.pop(old)
    new = world.take(second, stamp="2")
    # When the first try's function wakes up and goes on, it changes nothing
    nothing: Any = {}
    world.turns.take(QUEUE, second, nothing, old, "0 1", "claims")
    first = world.drop("a")
    world.turns.pass_on(QUEUE, first.execution_arn, 0, world.holder["turn_id"])
    assert world.turn(new)
    assert world.waiting() == 0


def test_a_holder_whose_token_is_dead_and_that_runs_gets_the_turn_when_it_asks_again(
    world: World,
) -> None:
    # Given a grant that met a try which had just failed
    first, second = world.drop("a"), world.drop("b", seconds=1)
    turn = world.taken(first)
    world.states.waiting.pop(world.take(second, stamp="1"))
    world.turns.pass_on(QUEUE, first.execution_arn, 0, turn.turn_id)
    assert world.holder["run"] == second.run
    # When the next try asks
    new = world.turn(world.take(second, stamp="2"))
    # Then it is answered, and enters
    assert new
    assert world.enter(new, second)


def test_a_grant_that_was_never_sent_is_sent_by_the_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a function that was killed between the grant and its answer
    first, second = world.drop("a"), world.drop("b", seconds=1)
    turn = world.taken(first)
    token = world.take(second)
    with monkeypatch.context() as killed:
        killed.setattr(world.turns, "_answer", lambda *_: True)
        world.turns.pass_on(QUEUE, first.execution_arn, 0, turn.turn_id)
    assert world.turn(token) is None
    # When the sweep comes a minute later
    world.now += timedelta(seconds=61)
    world.reconciler.sweep(timedelta(hours=1))
    assert world.turn(token)


def test_who_asks_again_while_it_holds_the_turn_has_another_one(world: World) -> None:
    # Given a holder whose function was killed, and that was told to have ended, by its lapsed mark
    first = world.drop("a")
    old = world.taken(first)
    world.enter(old, first, seconds=900)
    ended(world, first, "ABORTED")
    tell_end(world, first)
    world.now += timedelta(seconds=901)
    # When it is redriven and asks again
    again = world.drop("a", redrive=1)
    token = world.take(again)
    new = world.turn(token)
    # Then nobody does anything in the name of the turn that it had
    assert new
    with pytest.raises(TurnLost):
        world.enter(old, again)
    # And what is known of its holder is of this attempt, but for the functions that were killed
    holder = world.holder
    assert "ended" not in holder
    assert (holder["turn_id"], holder["token"]) == (new.turn_id, token)
    assert (holder["granted_at"], holder["entered"]) == (iso(world.now), False)
    assert (holder["redrive_count"], holder["schema"], holder["kills"]) == (1, SCHEMA, 1)
    # And an older try of TakeTurn that wakes up has come too late
    nothing: Any = {}
    world.turns.take(QUEUE, again, nothing, "dead", "1 0", "claims")
    assert world.holder == holder


def test_who_loses_the_turn_while_it_asks_again_waits_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a holder that has ended and was redriven, and another that waits
    first, second = world.drop("a"), world.drop("b", seconds=-1)
    world.taken(first)
    token = world.take(second)
    ended(world, first)
    # When the late event of its end comes between its look at the queue and its write
    together, writes = world.table.together, []

    def late(*parts: Any) -> None:
        writes.append(parts)
        if len(writes) == 2:
            tell_end(world, first)
        together(*parts)

    monkeypatch.setattr(world.table, "together", late)
    again = world.take(world.drop("a", redrive=1))
    # Then the other has the turn, and it waits as all others do
    assert world.holder["run"] == second.run
    assert (world.turn(token) is None, world.turn(again)) == (False, None)
    assert world.waiting() == 1


def test_a_function_that_was_believed_dead_clears_no_mark_of_the_next(world: World) -> None:
    # Given a function that is slow, whose mark has lapsed, and the next one of its execution
    first = world.drop("a")
    turn = world.taken(first)
    slow = world.enter(turn, first, seconds=30)
    world.now += timedelta(seconds=31)
    mark = world.enter(turn, first, seconds=900)
    # When the slow one ends
    world.turns.unmark(turn, slow, first.execution_arn, executed=True)
    # Then the other goes on undisturbed
    with pytest.raises(PipelineBusy):
        world.enter(turn, first)
    assert (world.holder["mark"]["id"], world.holder["kills"]) == (mark, 2)
    assert "executed_at" not in world.turns.state(QUEUE)
    # And when that one ends itself, it was killed by nobody, and when it executed is known
    world.turns.unmark(turn, mark, first.execution_arn, executed=True)
    assert (world.holder["kills"], "mark" in world.holder) == (0, False)
    assert world.turns.state(QUEUE)["executed_at"] == iso(world.now)


@pytest.mark.parametrize("known", [True, False], ids=["its run has ended", "it has ended"])
def test_a_mark_that_is_cleared_while_the_turn_is_given_back_keeps_no_other_from_it(
    world: World, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    # Given a function at work whose execution has ended, and another that waits
    first, second = world.drop("a"), world.drop("b", seconds=1)
    turn = world.taken(first)
    mark = world.enter(turn, first)
    token = world.take(second)
    ended(world, first, "ABORTED")
    # When it clears its mark after somebody has seen it, and before that one notes the end
    change, changes = world.table.update, []

    def late(key: Any, expression: str, *rest: Any, **values: Any) -> Any:
        changes.append(expression)
        if len(changes) == 2:
            world.turns.unmark(turn, mark, first.execution_arn)
        return change(key, expression, *rest, **values)

    monkeypatch.setattr(world.table, "update", late)
    world.turns.pass_on(QUEUE, first.execution_arn, 0, turn.turn_id if known else "")
    # Then the turn is given back all the same, since neither would come to it again
    assert world.turn(token)


def test_who_ends_while_it_waits_leaves_no_ticket(world: World) -> None:
    # Given two that wait
    world.taken(world.drop("a"))
    second = world.drop("b", seconds=1)
    world.take(second)
    world.take(world.drop("c", seconds=2))
    # When one of them is stopped
    ended(world, second, "ABORTED")
    tell_end(world, second)
    # Then only the other waits still
    assert [each["run"] for each in world.table.items(tickets(QUEUE))] == [world.drop("c").run]


def test_the_turn_of_an_execution_that_step_functions_has_forgotten_is_passed_on(
    world: World,
) -> None:
    # Given a holder that was redriven, and whose execution is no longer known: 90 days have passed
    again, second = world.drop("a", redrive=2), world.drop("b", seconds=1)
    world.taken(again)
    token = world.take(second)
    world.states.forgotten.add(again.execution_arn)
    # When the sweep comes
    world.reconciler.sweep(timedelta(hours=1))
    # Then the next one has the turn
    assert world.turn(token)


def test_the_turn_of_an_execution_that_is_about_to_be_redriven_stays(world: World) -> None:
    first, second = world.drop("a"), world.drop("b", seconds=1)
    world.taken(first)
    token = world.take(second)
    ended(world, first, "PENDING_REDRIVE")
    world.reconciler.sweep(timedelta(hours=1))
    assert (world.turn(token), world.holder["run"]) == (None, first.run)


def test_the_turn_of_an_attempt_that_ended_at_work_is_passed_on_though_another_has_begun(
    world: World,
) -> None:
    # Given a function that was killed after its execution was aborted, and a redrive of that
    first, second = world.drop("a"), world.drop("b", seconds=1)
    world.enter(world.taken(first), first, seconds=900)
    token = world.take(second)
    ended(world, first, "ABORTED")
    tell_end(world, first)
    world.states.ended.clear()
    # When the mark has lapsed, and the redrive has not come to the turn
    world.reconciler.sweep(timedelta(hours=1))
    assert world.turn(token) is None
    world.now += timedelta(seconds=901)
    world.reconciler.sweep(timedelta(hours=1))
    # Then the next one has it
    assert world.turn(token)


def test_a_newer_ticket_of_an_execution_outlives_the_deadline_of_its_older_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a ticket past its deadline
    world.taken(world.drop("a"))
    second = world.drop("b", seconds=1)
    world.take(second, stamp="1")
    world.now += timedelta(hours=2)
    fail = world.states.send_task_failure

    def redriven(**told: str) -> None:
        fail(taskToken=told["taskToken"], error=told["error"], cause=told["cause"])
        world.take(world.drop("b", seconds=1, redrive=1))

    # When its execution is ended for it, and asks again before the ticket is taken away
    monkeypatch.setattr(world.states, "send_task_failure", redriven)
    world.reconciler.sweep(timedelta(hours=1))
    # Then it waits still
    assert world.waiting() == 1


# --- pauses -------------------------------------------------------------------------------------
def test_rejected_credentials_pause_the_queue_with_one_message(world: World) -> None:
    first, second = world.drop("a"), world.drop("b", seconds=1)
    world.taken(first)
    token = world.take(second)
    ended(world, first, "FAILED", "CredentialsRejected")
    for _ in range(2):
        tell_end(world, first, "CredentialsRejected")
    world.reconciler.sweep(timedelta(hours=1))
    # Then nobody else begins, and people are told once
    assert world.turn(token) is None
    assert [subject for subject, _ in world.messages] == [
        f"Queue {QUEUE} is paused: CredentialsRejected"
    ]
    # When the execution is redriven, the queue goes on: the oldest drop first
    world.now += timedelta(seconds=5)
    assert world.turn(world.take(world.drop("a", redrive=1)))
    assert "paused" not in world.turns.state(QUEUE)


def test_a_lost_event_pauses_all_the_same(world: World) -> None:
    first, second = world.drop("a"), world.drop("b", seconds=1)
    world.taken(first)
    token = world.take(second)
    ended(world, first, "FAILED", "CredentialsMissing")
    world.reconciler.sweep(timedelta(hours=1))
    assert world.turn(token) is None
    assert len(world.messages) == 1


def fails(
    world: World, key: str, error: type[StraightThroughError], call: str, redrive: int = 0
) -> Attempt:
    """A file gets the turn and ends with an error that one of its calls has met."""
    attempt = world.drop(key, redrive=redrive)
    world.taken(attempt)
    trouble = error("It was so.")
    trouble.call = call
    with pytest.raises(error), Records(world.table).noting(attempt):
        raise trouble
    ended(world, attempt, "FAILED", error.__name__)
    tell_end(world, attempt, error.__name__)
    return attempt


def is_paused(world: World) -> bool:
    """Whether the queue is."""
    return "paused" in world.turns.state(QUEUE)


SAID = {
    "token": "the request for a token",
    "list_executions": "List Executions",
    "execute_pipeline": "Execute Pipeline",
}
OF_ALL = tuple(SAID)


@pytest.mark.parametrize(
    ("error", "call", "pauses"),
    [
        *((AccessDenied, call, True) for call in OF_ALL),
        *((error, "", False) for error in (AccessDenied, SourceDenied, UploadRefused, NotFound)),
        *((AccessDenied, call, False) for call in ("upload_dataset", "download_output")),
        *((error, call, False) for error in (NotFound, ApiUnavailable) for call in OF_ALL),
        *((CredentialsRejected, call, True) for call in OF_ALL),
        (CredentialsRejected, "upload_dataset", False),
        (CredentialsMissing, "", True),
    ],
)
def test_one_run_pauses_the_queue_only_with_what_cannot_be_its_files(
    world: World, error: type[StraightThroughError], call: str, *, pauses: bool
) -> None:
    fails(world, "a", error, call)
    assert is_paused(world) == pauses
    assert len(world.messages) == pauses


@pytest.mark.parametrize("call", OF_ALL)
@pytest.mark.parametrize("error", [NotFound, RequestRefused, ApiUnavailable, ApiThrottled])
def test_a_second_run_in_a_row_with_the_same_error_pauses_with_one_message(
    world: World, error: type[StraightThroughError], call: str
) -> None:
    first = fails(world, "a", error, call)
    second = fails(world, "b", error, call)
    # Then the event of the second comes once more, and a sweep
    tell_end(world, second, error.__name__)
    world.reconciler.sweep(timedelta(hours=1))
    assert is_paused(world)
    ((subject, text),) = world.messages
    assert subject == f"Queue {QUEUE} is paused: {error.__name__}"
    assert f"Runs {first.run} and {second.run} ended with {error.__name__}" in text
    assert f" at {SAID[call]}, and every other run of queue {QUEUE} would" in text
    assert f"stp redrive {second.run}. Or resume it by hand: stp queue resume {QUEUE}\n" in text
    # And when the second one is redriven the queue goes on
    world.now += timedelta(seconds=5)
    world.taken(world.drop("b", redrive=1))
    assert not is_paused(world)


@pytest.mark.parametrize("call", ["upload_dataset", "download_output", "download_dataset", ""])
def test_what_may_be_the_files_never_pauses(world: World, call: str) -> None:
    for key in "abc":
        fails(world, key, RequestRefused, call)
    assert not is_paused(world)


def test_two_redrives_of_one_run_are_no_two_files(world: World) -> None:
    for count in range(3):
        fails(world, "a", NotFound, "list_executions", redrive=count)
    assert not is_paused(world)
    fails(world, "b", NotFound, "list_executions")
    assert is_paused(world)


def test_another_error_begins_another_row(world: World) -> None:
    fails(world, "a", NotFound, "list_executions")
    fails(world, "b", RequestRefused, "list_executions")
    fails(world, "c", NotFound, "list_executions")
    assert not is_paused(world)


def test_a_run_that_gets_through_ends_the_row(world: World) -> None:
    fails(world, "a", NotFound, "list_executions")
    through = world.drop("b")
    turn = world.taken(through)
    world.turns.unmark(turn, world.enter(turn, through), through.execution_arn, executed=True)
    world.turns.pass_on(QUEUE, through.execution_arn, 0, turn.turn_id)
    fails(world, "c", NotFound, "list_executions")
    assert not is_paused(world)


def test_a_run_that_was_executed_and_never_seen_to_end_is_no_end_of_the_row(world: World) -> None:
    # Given runs that are executed, and then end at the same call
    for key in "ab":
        attempt = world.drop(key)
        turn = world.taken(attempt)
        mark = world.enter(turn, attempt)
        world.turns.unmark(turn, mark, attempt.execution_arn, executed=True)
        assert not is_paused(world)
        fails(world, key, ApiUnavailable, "list_executions")
    # Then the next files do not wait for hours each
    assert is_paused(world)


def test_a_run_that_was_executed_and_ends_elsewhere_ends_the_row(world: World) -> None:
    fails(world, "a", NotFound, "list_executions")
    made = {"execution_id": "e-7"}
    key = record_key(world.drop("b").run)
    world.table.update(key, "SET #execution = :made", made=made)
    fails(world, "b", PipelineOverdue, "")
    fails(world, "c", NotFound, "list_executions")
    assert not is_paused(world)


def test_a_run_that_never_asked_does_not_end_the_row(world: World) -> None:
    fails(world, "a", NotFound, "list_executions")
    fails(world, "b", SourceDenied, "")
    fails(world, "c", NotFound, "list_executions")
    assert is_paused(world)


def test_an_older_attempts_call_says_nothing_of_a_later_end(world: World) -> None:
    fails(world, "a", NotFound, "list_executions")
    attempt = fails(world, "b", RequestRefused, "list_executions")
    # Given a redrive that ends elsewhere, by the name that another's end had
    again = world.drop("b", redrive=1)
    world.taken(again)
    ended(world, again, "FAILED", "NotFound")
    tell_end(world, again, "NotFound")
    assert attempt.run == again.run
    assert not is_paused(world)


def test_an_end_that_is_told_late_does_not_pause_what_was_redriven(world: World) -> None:
    # Given an attempt that ended with what pauses a queue, and whose event has not come
    first = world.drop("a")
    world.taken(first)
    trouble = AccessDenied("It was so.")
    trouble.call = "token"
    with pytest.raises(AccessDenied), Records(world.table).noting(first):
        raise trouble
    ended(world, first, "FAILED", "AccessDenied")
    # When a person has mended it and redriven the run, which has the turn
    world.now += timedelta(seconds=5)
    again = world.drop("a", redrive=1)
    turn = world.turn(world.take(again))
    assert turn
    world.enter(turn, again)
    # Then the late event pauses nothing, and tells nobody
    tell_end(world, first, "AccessDenied")
    assert not is_paused(world)
    assert world.messages == []


def test_a_redrive_leaves_a_pause_that_is_newer_than_itself(world: World) -> None:
    # Given a redriven execution, and a pause for trouble that comes after it was redriven
    world.now += timedelta(seconds=5)
    again = world.drop("b", redrive=1)
    world.now += timedelta(seconds=5)
    fails(world, "a", CredentialsRejected, "token")
    # When it asks for its turn, and when it works
    token = world.take(again)
    world.turns.works_again(QUEUE, again)
    # Then the queue stays paused: nobody has mended that trouble yet
    assert is_paused(world)
    assert world.turn(token) is None


def test_a_pause_whose_message_failed_is_told_by_the_sweep(world: World) -> None:
    # Given a topic that does not answer when the second run has ended
    fails(world, "a", NotFound, "list_executions")

    def broken(*_: object) -> None:
        raise ConnectionError

    tell, world.reconciler._pauses._tell = world.reconciler._pauses._tell, broken
    with pytest.raises(ConnectionError):
        fails(world, "b", NotFound, "list_executions")
    # Then the sweep tells it
    world.reconciler._pauses._tell = tell
    world.reconciler.sweep(timedelta(hours=1))
    world.reconciler.sweep(timedelta(hours=1))
    assert len(world.messages) == 1
    assert is_paused(world)


def test_credentials_that_work_in_another_queue_resume_this_one(world: World) -> None:
    first, second = world.drop("a"), world.drop("b", seconds=1)
    world.taken(first)
    token = world.take(second)
    ended(world, first, "FAILED", "CredentialsRejected")
    tell_end(world, first, "CredentialsRejected")
    at = iso(START - timedelta(seconds=1))
    world.table.update(queue_key("other"), "SET #executed_at = :at", at=at)
    world.reconciler.sweep(timedelta(hours=1))
    assert world.turn(token) is None
    at = iso(START + timedelta(seconds=1))
    world.table.update(queue_key("other"), "SET #executed_at = :at", at=at)
    world.reconciler.sweep(timedelta(hours=1))
    assert world.turn(token)


def test_a_pause_by_hand_that_comes_in_between_stays(world: World) -> None:
    # Given a sweep that has read a pause for rejected credentials, which work again
    fails(world, "a", CredentialsRejected, "token")
    at = iso(START + timedelta(seconds=1))
    world.table.update(queue_key("other"), "SET #executed_at = :at", at=at)
    seen = world.turns.state(QUEUE)
    # When a person pauses the queue before it goes on
    world.reconciler._pauses.pause(QUEUE, "closing")
    world.reconciler._sweep_queue(QUEUE, seen, at, timedelta(hours=1))
    # Then that pause stays
    assert world.turns.state(QUEUE)["paused"]["reason"] == "closing"


def test_a_queue_is_paused_and_resumed_by_hand(world: World) -> None:
    world.reconciler._pauses.pause(QUEUE, "closing")
    token = world.take(world.drop("a"))
    # A redrive does not resume what a person has paused
    world.now += timedelta(seconds=5)
    again = world.take(world.drop("a", redrive=1))
    world.reconciler.sweep(timedelta(hours=1))
    assert world.turn(token) is world.turn(again) is None
    world.reconciler._pauses.resume(QUEUE)
    assert world.turn(again)


# --- deadlines ----------------------------------------------------------------------------------
def test_a_turn_that_does_not_come_is_told_with_its_times(world: World) -> None:
    world.taken(world.drop("a"))
    late = world.drop("b", seconds=1)
    token = world.take(late)
    world.now += timedelta(hours=1)
    world.reconciler.sweep(timedelta(hours=1, seconds=1))
    assert world.waiting() == 1
    world.now += timedelta(seconds=1)
    world.reconciler.sweep(timedelta(hours=1, seconds=1))
    told = world.states.answers[token]
    assert told["error"] == "TurnOverdue"
    assert f"has waited in queue {QUEUE} since 2026-05-04T08:00:00.000Z" in told["cause"]
    assert world.waiting() == 0


TEXTS = dict.fromkeys(("execution_arn", "run", "token", "asked_at", "route"), "2026-05-04T08:00Z")
DAMAGED = {
    "nothing": {"any": 1},
    "no token": {"asked_at": "2026-05-04T08:00:00.000Z", "token": 7},
    "no text": {"redrive_count": 0},
    "no number": TEXTS,
}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("place", ["0", "9"], ids=["before", "behind"])
def test_a_damaged_ticket_keeps_no_other_from_its_turn_and_its_end(
    world: World, damaged: dict[str, Any], place: str
) -> None:
    # Given a queue with a ticket that somebody has damaged, and two files that wait
    first = world.drop("a")
    turn = world.taken(first)
    second = world.take(world.drop("b", seconds=1))
    third = world.take(world.drop("c", seconds=2))
    values = {f"v{n}": value for n, value in enumerate(damaged.values())}
    sets = ", ".join(f"#{name} = :v{n}" for n, name in enumerate(damaged))
    world.table.update((tickets(QUEUE), place), f"SET {sets}", **values)
    # When the turn is given back, the oldest that can be read has it
    world.turns.pass_on(QUEUE, first.execution_arn, 0, turn.turn_id)
    assert world.turn(second)
    # And the other is told that its own does not come in time, whatever the damaged one says
    world.now += timedelta(hours=2)
    with pytest.raises(SweepIncomplete, match=f"ticket '{place}' of the table cannot be read"):
        world.reconciler.sweep(timedelta(hours=1))
    assert world.states.answers[third]["error"] == "TurnOverdue"
    # Then only the damaged one is left, for a person
    assert world.waiting() == 1


# --- many at once -----------------------------------------------------------------------------
def test_who_asks_for_the_first_time_writes_only_what_is_its_own(world: World) -> None:
    # Given a queue whose turn is held, and what its writes name
    world.taken(world.drop("a"))
    real: Any = world.table._dynamodb
    named: list[str] = []

    class Seen:
        def __getattr__(self, name: str) -> Any:
            def call(**given: Any) -> Any:
                for item in given.get("TransactItems", []):
                    named.extend(part["Key"]["pk"]["S"] for part in item.values())
                return getattr(real, name)(**given)

            return call

    world.table._dynamodb = Seen()  # type: ignore[assignment]
    # When another file asks for its turn
    waiting = world.drop("b")
    world.take(waiting)
    # Then no write touches the queue's item, which those of all other files do
    assert sorted(named) == [f"run#{waiting.run}", tickets(QUEUE)]
    # And only when it asks again, since it may hold the turn by now
    world.take(waiting)
    assert named[2:].count("queues") == 1


# --- what it costs ------------------------------------------------------------------------------
@pytest.mark.parametrize("length", [10, 1000])
def test_a_turn_costs_the_same_however_long_the_queue_is(world: World, length: int) -> None:
    # Given a queue of this length: two that asked, and behind them copies of the second's ticket
    first = world.drop("a")
    turn = world.taken(first)
    waiting = {number: world.drop(f"f{number}", seconds=number) for number in range(1, length)}
    for number in (1, 2):
        world.take(waiting[number])
    real = world.table._dynamodb
    ticket = list(world.table.items(tickets(QUEUE)))[-1]
    fields = {name: value for name, value in ticket.items() if name not in ("pk", "sk")}
    change = "SET " + ", ".join(f"#{name} = :{name}" for name in fields)
    for number, attempt in waiting.items():
        if number > 2:
            world.table.update((tickets(QUEUE), attempt.order), change, **fields)
    assert world.waiting() == length - 1
    # When one more asks for its turn, and one turn is passed on
    requests: list[str] = []

    class Counting:
        def __getattr__(self, name: str) -> Any:
            requests.append(name)
            return getattr(real, name)

    world.table._dynamodb = Counting()  # type: ignore[assignment]
    world.take(world.drop("last", seconds=length))
    asked = len(requests)
    world.turns.pass_on(QUEUE, first.execution_arn, 0, turn.turn_id)
    # Then the requests are as many as ever
    assert (asked, len(requests) - asked) == (3, 4)
    assert world.holder["run"] == waiting[1].run

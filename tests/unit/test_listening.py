"""How a run waits where events are taken: hurried by them, and believing nothing that they say."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from straight_through.errors import PipelineEndUnknown, PipelineFailed
from straight_through.executing import check_status, progress
from straight_through.executing.listening import (
    EARLY,
    ENDS_ANNOUNCED,
    MOST_CALLBACKS,
    MOST_SERIES,
    MOST_WOKEN,
    SHORTEST_CALLBACK,
    announced_so_far,
    by_clock,
    first_listening,
    waits_on,
    was_announced,
)
from straight_through.executing.waits import announced_wait, next_wait
from straight_through.hearing.event import Event as HeardEvent
from straight_through.hearing.listeners import Listeners, listener_key
from straight_through.moments import iso
from straight_through.queue.items import SeenEnd
from straight_through.queue.pipelines import pipeline_key
from straight_through.queue.table import Table
from tests.machine.definition import DEFINITION
from tests.machine.paths import filled
from tests.model.dynamodb import TABLE as TURNS
from tests.unit.conftest import Event, Handler, give_turn, made_once
from tests.unit.fake_states import FakeStates
from tests.unit.wire import EXECUTIONS, Reply, Wire, json_reply

BEGUN = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
DEADLINE = BEGUN + timedelta(hours=168)
MADE = {"pipeline_id": "p-claims", "execution_id": "e-7"}
PK, SK = listener_key("p-claims", "e-7")


def look(
    state: Any, seconds: float, heard: str = "", durations: tuple[float, ...] = (), **more: Any
) -> Any:
    """The state that a look leaves which shows no end, so long after Execute."""
    now = BEGUN + timedelta(seconds=seconds)
    deadline = more.get("deadline", DEADLINE)
    return waits_on(state, heard, BEGUN, now, durations, deadline)


def begun(announced: int = 0) -> Any:
    """A run at its first look, of a pipeline of which so many ends were announced."""
    return {"quantemplate": MADE, "listening": first_listening(announced)}


def test_a_wait_is_a_callback_unless_it_is_short() -> None:
    # Given a pipeline of which nothing is known, so that a wait is a tenth of the time
    short = look(begun(), 10 * SHORTEST_CALLBACK - 10)
    assert "pk" not in short["listening"]
    long = look(begun(), 10 * SHORTEST_CALLBACK)
    # Then one of ten seconds and more is a callback, as long as the clock's
    assert long["listening"]["pk"] == PK
    assert long["wait_seconds"] == next_wait(10 * SHORTEST_CALLBACK)


def test_an_event_that_announced_no_end_is_followed_by_early_looks() -> None:
    # Given a run of an hour that is woken, and a list that shows no end yet
    state, waits = look(begun(), 3600, "one"), []
    for _ in range(len(EARLY)):
        waits.append(state["wait_seconds"])
        state = look(state, 3600, "one")
    # Then it is looked at soon, and then as before
    assert waits == list(EARLY)
    assert state["wait_seconds"] == next_wait(3600)
    # And another event begins anew
    assert look(state, 3700, "two")["wait_seconds"] == EARLY[0]


@pytest.mark.parametrize("each", [1, 2, 7])
def test_whoever_wakes_a_run_again_and_again_is_heard_so_often_at_most(each: int) -> None:
    # Given somebody with the key who sends an event at each wait, or at some
    state, callbacks, now, heard, told = begun(), 0, 3600.0, "", 0
    waits = []
    for number in range(200):
        state = look(state, now, heard)
        waits.append(state["wait_seconds"])
        is_callback = "pk" in state["listening"]
        callbacks += is_callback
        # When each of these callbacks is answered at once
        if number % each == 0:
            heard = f"forged {number}"
            told += is_callback
        now += 0 if is_callback and number % each == 0 else state["wait_seconds"]
    # Then it looks so often for that, and afterwards the clock alone tells when
    assert callbacks <= MOST_CALLBACKS
    assert told <= MOST_WOKEN
    assert sum(wait < 300 for wait in waits) <= MOST_SERIES * len(EARLY)
    assert "pk" not in state["listening"]
    assert waits[-1] == next_wait(now - waits[-1])


def test_a_pipeline_whose_ends_are_announced_is_looked_at_thrice() -> None:
    # Given earlier executions of an hour, and ends that events have announced
    durations = (3000.0, 3600.0, 4000.0)
    early = look(begun(ENDS_ANNOUNCED), 10, durations=durations)
    # Then after the first look the next one is past the usual end
    due = 10 + early["wait_seconds"]
    assert due == 4000 * 1.2 + 30
    assert early["listening"]["pk"] == PK
    # And then as seldom as may be
    past = look(early, due, durations=durations)
    assert past["wait_seconds"] == 300
    later = look(past, 100_000, durations=durations)
    assert later["wait_seconds"] == 1000
    # And a pipeline whose durations nobody knows is looked at by the clock
    assert announced_wait(100, []) == next_wait(100)


def test_a_pipeline_whose_events_are_not_counted_on_is_looked_at_by_the_clock() -> None:
    # Given earlier executions of an hour, and one end too few that an event has announced
    durations = (3000.0, 3600.0, 4000.0)
    state = look(begun(ENDS_ANNOUNCED - 1), 10, durations=durations)
    # Then it is looked at as often as without events
    assert state["wait_seconds"] == next_wait(10, durations) < announced_wait(10, durations)
    # And so is a run that may wait by no callback any more, however many were announced
    woken = begun(ENDS_ANNOUNCED)
    woken["listening"]["callbacks"] = MOST_CALLBACKS
    assert look(woken, 10, durations=durations)["wait_seconds"] == next_wait(10, durations)


def test_no_wait_goes_past_the_deadline() -> None:
    # Given a usual end that comes after the deadline
    deadline = BEGUN + timedelta(seconds=500)
    state = look(begun(ENDS_ANNOUNCED), 100, durations=(3600.0,), deadline=deadline)
    assert state["wait_seconds"] == 401
    assert look(state, 500, deadline=deadline)["wait_seconds"] == 1


def test_an_end_is_announced_by_an_event_of_now_and_not_by_one_of_long_before() -> None:
    state = look(begun(), 3600)
    assert not was_announced(state, "")
    assert was_announced(state, "one")
    # Given an event that announced no end, then one that is seen soon after was announced by it
    woken = look(state, 3600, "one")
    assert was_announced(woken, "one")
    for _ in EARLY:
        assert was_announced(woken, "one")
        woken = look(woken, 3700, "one")
    # And one much later was not
    assert not was_announced(woken, "one")


def test_what_no_event_can_hurry_is_waited_for_by_the_clock() -> None:
    state = look(begun(), 3600)
    assert "pk" not in by_clock(state)["listening"]
    assert by_clock(state)["listening"]["callbacks"] == 1
    assert by_clock(by_clock(state)) == by_clock(state)  # which names no item any more
    before: Any = {"status": "Started"}
    assert by_clock(before) is before


# --- CheckStatus ---------------------------------------------------------------------------------
def sample(event: Event, **record: Any) -> dict[str, Any]:
    """The sample, as if Execute had been sent an hour ago."""
    given = event("check_status")
    given["record"] |= {"executed_at": iso(datetime.now(UTC) - timedelta(hours=1))} | record
    given["record"]["quantemplate"] |= MADE
    return given


def listed(wire: Wire, status: str) -> None:
    """Let the list show our run so."""
    shown = {"id": "e-7", "runNumber": 7, "status": status, "createdAt": iso(datetime.now(UTC))}
    if status != "Started":
        shown |= {"finishedAt": iso(datetime.now(UTC)), "outputs": [{"id": "o-1", "name": "A"}]}
    wire.answer("GET", EXECUTIONS, json_reply([shown]))


def test_a_run_that_goes_on_names_the_item_for_its_token(
    handler: Any, event: Event, wire: Wire, table: Table
) -> None:
    # Given a stack that takes events
    check: Handler = handler("check_status", QUANTEMPLATE_EVENTS="on")
    listed(wire, "Started")
    # When a run goes on
    state = check(sample(event))
    # Then the state machine finds where to write its token, and the item tells whose it will be
    assert state["listening"]["pk"] == PK
    item = table.get((PK, SK))
    assert item
    assert item["run"] == state["run"]
    assert item["expires_at"] > datetime.now(UTC).timestamp() + 29 * 86_400
    assert json.dumps(state)


def test_an_event_that_came_while_it_looked_makes_it_look_again(
    handler: Any, event: Event, wire: Wire, table: Table
) -> None:
    # Given an event that is noted after the item was read, while the list is on its way
    check: Handler = handler("check_status", QUANTEMPLATE_EVENTS="on")
    listed(wire, "Started")
    state = check(sample(event))
    table.update((PK, SK), "SET #heard = :heard", heard="now ev-1")
    # Then the token's condition does not hold: what the state says was heard is not what is noted
    assert state["listening"]["heard"] == ""
    # And the look that follows has heard of it
    after = check(sample(event, **state))
    assert after["listening"]["heard"] == "now ev-1"
    assert after["wait_seconds"] == EARLY[0]


def writes_its_token(state: dict[str, Any], token: str) -> None:
    """Let the state machine wait for an event, as its definition has it."""
    context = {"Task": {"Token": token}}
    write = filled(DEFINITION["States"]["WaitForEvent"]["Parameters"], state, context)
    made_once("dynamodb").update_item(**write | {"TableName": TURNS})


def test_a_token_is_refused_after_an_event_and_else_answered_by_one(
    handler: Any, event: Event, wire: Wire, table: Table, states: FakeStates
) -> None:
    # Given an event that comes between a look and the wait that follows it
    check: Handler = handler("check_status", QUANTEMPLATE_EVENTS="on")
    listed(wire, "Started")
    state = check(sample(event))
    told, now = HeardEvent("1", "PipelineCompleted", "p-claims", "e-7"), datetime.now(UTC)
    Listeners(table).tell(told, states, now)  # type: ignore[arg-type]
    # Then the token is refused, so that the run looks at once
    with pytest.raises(ClientError) as refused:
        writes_its_token(state, "t-1")
    assert refused.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    # And after the first early look, by the clock, a token is taken again
    for _ in range(2):
        state = check(sample(event, **state))
    writes_its_token(state, "t-2")
    states.wait("t-2", "arn:may")
    # And another event answers it
    assert Listeners(table).tell(told, states, now) == state["run"]  # type: ignore[arg-type]
    assert states.answers == {"t-2": {}}


def test_without_events_nothing_is_asked_or_kept_of_them(
    handler: Any, event: Event, wire: Wire, table: Table
) -> None:
    # Given a stack that takes none, and a run that was begun when it did
    listed(wire, "Started")
    kept = {"listening": first_listening(3) | {"pk": PK}}
    state = handler("check_status")(sample(event, **kept))
    # Then it waits by the clock
    assert "listening" not in state
    assert table.get((PK, SK)) is None


def test_an_api_that_is_down_is_waited_for_by_the_clock(
    handler: Any, event: Event, wire: Wire
) -> None:
    check: Handler = handler("check_status", QUANTEMPLATE_EVENTS="on")
    wire.answer("GET", EXECUTIONS, *[Reply(503)] * 9)
    state = check(sample(event, listening=first_listening(0) | {"pk": PK}))
    assert "pk" not in state["listening"]


@pytest.mark.parametrize(
    ("heard", "at", "counts"),
    [
        ("before", 0, True),
        ("", 0, False),
        ("after", 30, True),  # a look was quicker than the event
        ("after", 300, False),
    ],
)
def test_ends_that_are_announced_are_counted_on_and_one_that_is_missed_is_not(
    handler: Any, event: Event, wire: Wire, table: Table, heard: str, at: int, *, counts: bool
) -> None:
    # Given two ends in a row that were announced, and a third whose event comes or does not
    given = sample(event)
    give_turn(table, given, given["record"]["source"])
    check: Handler = handler("check_status", QUANTEMPLATE_EVENTS="on")
    key = pipeline_key(given["record"]["quantemplate"])
    end = {"execution_id": "e-6", "at": iso(BEGUN), "announced": True}
    table.update(key, "SET #announced = :one, #last_end = :end", one=1, end=end)
    came = iso(datetime.now(UTC) + timedelta(seconds=at))
    if heard == "before":
        table.update((PK, SK), "SET #heard = :heard", heard=f"{came} ev-1")
    listed(wire, "Succeeded")
    assert check(given)["status"] == "Succeeded"
    if heard == "after":
        table.update((PK, SK), "SET #heard = :heard", heard=f"{came} ev-1")
    # When the pipeline's next run is looked at first
    listed(wire, "Started")
    following = check(sample(event))["listening"]
    # Then it is counted on its event, or looked at by the clock
    assert following["announced"] == (3 if counts else 0)


def test_an_event_of_long_before_an_end_has_not_announced_it() -> None:
    # Given an end that no event had announced when it was seen, after two that were
    last: SeenEnd = {"execution_id": "e-6", "at": iso(BEGUN), "announced": False}
    # Then an event that came within a minute after that counts, and none from before or later
    counted = {
        seconds: announced_so_far(2, last, BEGUN + timedelta(seconds=seconds))
        for seconds in (-3600, -6, -5, 60, 61)
    }
    assert counted == {-3600: 0, -6: 0, -5: 3, 60: 3, 61: 0}
    assert announced_so_far(2, last, None) == 0
    assert announced_so_far(0, None, None) == 0


def test_an_event_that_comes_while_the_end_is_looked_at_has_announced_it(
    handler: Any, event: Event, wire: Wire, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two ends in a row that were announced, and an event that comes while a look reads the
    # list which shows the third, for ten seconds
    given = sample(event)
    give_turn(table, given, given["record"]["source"])
    check: Handler = handler("check_status", QUANTEMPLATE_EVENTS="on")
    key = pipeline_key(given["record"]["quantemplate"])
    end = {"execution_id": "e-6", "at": iso(BEGUN), "announced": True}
    table.update(key, "SET #announced = :one, #last_end = :end", one=1, end=end)
    listed(wire, "Succeeded")
    read = progress.listed

    def slowly(*given: Any) -> Any:
        came = iso(datetime.now(UTC))
        table.update((PK, SK), "SET #heard = :heard", heard=f"{came} ev-1")
        later = datetime.now(UTC) + timedelta(seconds=10)
        slow.setattr(check_status, "datetime", SimpleNamespace(now=lambda _: later))
        return read(*given)

    with monkeypatch.context() as slow:
        slow.setattr(check_status, "listed", slowly)
        assert check(given)["status"] == "Succeeded"
    # When the pipeline's next run is looked at first, then it is counted on its event
    listed(wire, "Started")
    assert check(sample(event))["listening"]["announced"] == 3


def test_a_pipeline_of_which_nothing_is_known_is_looked_at_by_the_clock(
    handler: Any, event: Event, wire: Wire
) -> None:
    listed(wire, "Started")
    state = handler("check_status", QUANTEMPLATE_EVENTS="on")(sample(event))
    assert state["listening"]["announced"] == 0


def test_what_a_run_has_heard_so_far_goes_with_it_from_look_to_look(
    handler: Any, event: Event, wire: Wire
) -> None:
    # Given a run that has waited by callback before, in a pipeline that was counted on
    check: Handler = handler("check_status", QUANTEMPLATE_EVENTS="on")
    listed(wire, "Started")
    before = first_listening(3) | {"callbacks": MOST_CALLBACKS - 1}
    # When it is looked at again and again
    state = check(sample(event, listening=before))
    assert state["listening"]["callbacks"] == MOST_CALLBACKS
    # Then it counts on, so that its history does not run away
    after = check(sample(event, **state))
    assert (after["listening"]["callbacks"], after["listening"]["announced"]) == (MOST_CALLBACKS, 3)
    assert "pk" not in after["listening"]


@pytest.mark.parametrize(
    ("status", "error"), [("Failed", PipelineFailed), ("Odd", PipelineEndUnknown)]
)
@pytest.mark.parametrize("heard", [True, False])
def test_a_bad_end_is_announced_like_a_good_one(
    handler: Any,
    event: Event,
    wire: Wire,
    table: Table,
    status: str,
    error: type[Exception],
    *,
    heard: bool,
) -> None:
    # Given an end that is none of success, and its event, or none
    given = sample(event)
    give_turn(table, given, given["record"]["source"])
    check: Handler = handler("check_status", QUANTEMPLATE_EVENTS="on")
    if heard:
        table.update((PK, SK), "SET #heard = :heard", heard=f"{iso(datetime.now(UTC))} ev-1")
    listed(wire, status)
    with pytest.raises(error):
        check(given)
    # Then the pipeline's item knows whether it was announced
    known = table.get(pipeline_key(given["record"]["quantemplate"])) or {}
    assert known["last_end"]["announced"] == heard
    assert known["last_end"]["execution_id"] == "e-7"


def test_a_redriven_run_waits_for_an_event_until_its_own_deadline(
    handler: Any, event: Event, wire: Wire
) -> None:
    # Given a run that has waited past its deadline, and a redrive of it a moment ago
    check: Handler = handler("check_status", QUANTEMPLATE_EVENTS="on")
    listed(wire, "Started")
    now = datetime.now(UTC)
    given = sample(event, executed_at=iso(now - timedelta(hours=400)))
    given["execution"] |= {"RedriveCount": 1, "RedriveTime": iso(now)}
    # Then it is waited for as long as any, and not looked at at once
    assert check(given)["wait_seconds"] > SHORTEST_CALLBACK

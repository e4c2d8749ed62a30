"""One attempt executes the pipeline once: the run that was made is found, and no other is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from quantemplate.client import Quantemplate
from quantemplate.executions import Execution
from quantemplate.listing import Listing
from straight_through.attempts import Attempt, attempt_of
from straight_through.errors import (
    ApiThrottled,
    ApiUnavailable,
    ExecuteUncertain,
    FunctionKilled,
    NotFound,
    PipelineBusy,
    TurnLost,
    UploadRefused,
)
from straight_through.executing.execute_once import ExecuteOnce, possible
from straight_through.moments import iso
from straight_through.queue.pipelines import Pipelines, claim, pipeline_key, version_before
from straight_through.queue.records import Records
from straight_through.queue.table import Table
from straight_through.queue.turns import Turn, Turns, queue_key
from straight_through.routes import Route
from tests.unit.conftest import ROUTE
from tests.unit.fake_states import FakeStates
from tests.unit.wire import DATASET, EXECUTIONS, TOKEN_PATH, Reply, Wire, json_reply, token_reply

IDS: Any = ROUTE
CLAIMS = Route("claims", **IDS)
FIELDS: Any = {field: getattr(CLAIMS, field) for field in ROUTE}
FILE: Any = b"id,paid\nC-1,1.00\n"
START = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
LATE_LIST = 120


def run(number: int, status: str = "Started", **changed: Any) -> dict[str, Any]:
    """One execution object of the API."""
    made = {"createdAt": iso(START), "createdBy": "u-api"}
    finished = {} if status == "Started" else {"finishedAt": iso(START)}
    return {"id": f"e-{number}", "runNumber": number, "status": status} | made | finished | changed


def runs(*listed: int | dict[str, Any], status: str = "Succeeded") -> Reply:
    """A list of executions, by a server whose clock is right."""
    return dated(START, *(run(each, status) if isinstance(each, int) else each for each in listed))


def dated(date: datetime | None, *listed: dict[str, Any]) -> Reply:
    """A list of executions, with the server's time or none that can be read."""
    shown = format_datetime(date, usegmt=True) if date else "yesterday"
    return replace(json_reply(list(listed)), headers={"Date": shown})


class World:
    """A queue whose executions upload and execute, with a clock that moves when it is told to."""

    def __init__(self, table: Table, states: FakeStates, client: Quantemplate, wire: Wire) -> None:
        """Begin at START."""
        self.now = START
        self.table = table
        self.states = states
        self.wire = wire
        self.turns = Turns(table, states, lambda: self.now)  # type: ignore[arg-type]
        self.records = Records(table)
        self.once = ExecuteOnce(client, self.turns, self.records, LATE_LIST, lambda: self.now)

    def attempt(self, name: str = "may", redrive: int = 0) -> Attempt:
        """An attempt of an execution."""
        given = {"Name": name, "Id": f"arn:{name}", "StartTime": iso(START), "Input": {}}
        return attempt_of(
            given | ({"RedriveCount": redrive, "RedriveTime": iso(self.now)} if redrive else {})
        )

    def enter(self, attempt: Attempt) -> tuple[Turn, str]:
        """Take the free turn and enter it."""
        token = f"{attempt.run} {attempt.redrive_count} {self.now}"
        self.states.wait(token, attempt.execution_arn)
        stamp = f"{attempt.redrive_count} {iso(self.now)}"
        nothing: Any = {}
        self.turns.take(CLAIMS.queue, attempt, nothing, token, stamp, "claims")
        turn = Turn(**self.states.answers[token]["turn"])
        return turn, self.turns.enter(turn, attempt, self.now + timedelta(seconds=900))

    def process(
        self,
        attempt: Attempt | None = None,
        *,
        killed: bool = False,
        route: Route = CLAIMS,
        held: float = 0,
    ) -> Any:
        """Let an execution take the turn, upload and execute; a killed one clears no mark.

        It has `held` the turn for so many seconds before.
        """
        attempt = attempt or self.attempt()
        turn, mark = self.enter(attempt)
        since = iso(self.now - timedelta(seconds=held))
        granted = "SET #holder.#granted_at = :since"
        self.table.update(queue_key(CLAIMS.queue), granted, since=since)
        try:
            return self.once.upload_and_execute(turn, mark, attempt, route, FILE)
        finally:
            if not killed:
                self.turns.unmark(turn, mark, attempt.execution_arn)

    def end(self, attempt: Attempt) -> None:
        """End an execution, and give back what it has of the queue."""
        self.states.end(attempt.execution_arn, "ABORTED")
        record = self.records.get(attempt.run)
        self.turns.leave(
            CLAIMS.queue, record["ticket"], attempt.execution_arn, attempt.redrive_count
        )

    @property
    def executed(self) -> int:
        """How often Execute was sent."""
        return len(self.wire.calls("POST", EXECUTIONS))

    @property
    def uploaded(self) -> int:
        """How many uploads there were."""
        return len(self.wire.calls("POST", DATASET))


@pytest.fixture
def world(table: Table, states: FakeStates, client: Quantemplate, wire: Wire) -> World:
    """A free queue, and a dataset that takes every file."""
    wire.answer("POST", DATASET, Reply(200))
    return World(table, states, client, wire)


def test_the_file_goes_up_before_the_pipeline_is_executed_once(world: World, wire: Wire) -> None:
    wire.answer("GET", EXECUTIONS, runs(6))
    wire.answer("POST", EXECUTIONS, json_reply(run(7)))
    assert world.process()["execution_id"] == "e-7"
    assert [(r.method, r.path) for r in wire.requests] == [
        ("POST", TOKEN_PATH),
        ("GET", EXECUTIONS),
        ("POST", DATASET),
        ("POST", EXECUTIONS),
    ]


def test_a_run_knows_the_pipelines_revision_and_that_of_the_run_before(
    world: World, wire: Wire
) -> None:
    # Given two runs one after the other, by a pipeline that has changed between them
    replies = [json_reply(run(number, version=12 + number)) for number in (1, 2)]
    wire.answer("POST", EXECUTIONS, *replies, Reply(503))
    found = []
    for number, name in enumerate(("may", "june"), 1):
        wire.answer("GET", EXECUTIONS, runs(*range(1, number)))
        found.append(world.process(world.attempt(name)))
        world.end(world.attempt(name))
    # And one whose reply was lost, and that the list tells
    wire.answer("GET", EXECUTIONS, runs(1, 2), runs(1, 2), runs(1, 2, run(3, version=14)))
    found.append(world.process(world.attempt("july")))
    versions = [(m["pipeline_version"], m["pipeline_version_before"]) for m in found]
    assert versions == [(13, None), (14, 13), (14, 14)]


def test_a_run_that_was_killed_before_it_noted_its_revision_notes_it_later(
    world: World, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a function that dies between two notes
    wire.answer("GET", EXECUTIONS, runs(), runs(1))
    wire.answer("POST", EXECUTIONS, json_reply(run(1, version=13)))
    with monkeypatch.context() as patch:
        patch.setattr(Pipelines, "executed", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            world.process()
    # When it is called again, then it executes nothing, and the next run knows
    assert world.process()["pipeline_version"] == 13
    assert world.executed == 1
    assert version_before(Pipelines(world.table).known(FIELDS), "claims", "june") == 13


def test_that_an_execute_was_answered_is_noted_of_the_queue_and_of_no_other(
    world: World, wire: Wire
) -> None:
    def make(name: str) -> Any:
        attempt = world.attempt(name)
        token = f"{name} {world.now}"
        world.states.wait(token, attempt.execution_arn)
        nothing: Any = {}
        world.turns.take(CLAIMS.queue, attempt, nothing, token, f"0 {iso(world.now)}", "claims")
        turn, until = Turn(**world.states.answers[token]["turn"]), timedelta(seconds=900)
        routes: Any = None
        return world.once.make(turn, attempt, CLAIMS, FILE, world.now + until, routes)

    # Given a file whose upload is refused, and one whose pipeline is executed
    wire.answer("GET", EXECUTIONS, runs())
    wire.answer("POST", DATASET, Reply(403), Reply(200))
    wire.answer("POST", EXECUTIONS, json_reply(run(1)))
    with pytest.raises(UploadRefused):
        make("may")
    assert "executed_at" not in world.turns.state(CLAIMS.queue)
    world.end(world.attempt("may"))
    make("june")
    # Then the queue knows when, and no function works in the turn any more
    state = world.turns.state(CLAIMS.queue)
    assert state["executed_at"] == iso(START)
    assert "mark" not in state["holder"]


LOST = [
    Reply(hang_up=True),
    Reply(503),
    Reply(200, b"<html>"),
    Reply(200, b"{", missing=9),
    Reply(204),
]


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize(
    ("before", "after", "adopted"),
    [(runs(), runs(1), 1), (runs(6, 4, 5), runs(5, 7, 6, 4), 7), (Reply(204), runs(3), 3)],
)
def test_the_run_whose_reply_was_lost_is_adopted_at_once(
    world: World, wire: Wire, lost: Reply, before: Reply, after: Reply, adopted: int
) -> None:
    # Given a pipeline whose Execute makes a run and whose reply is lost
    wire.answer("GET", EXECUTIONS, before, after)
    wire.answer("POST", EXECUTIONS, lost)
    # When a file is uploaded and executed
    assert world.process()["run_number"] == adopted
    # Then Execute was not repeated, and is not when the function is called again
    assert world.process()["run_number"] == adopted
    assert world.executed == 1


@pytest.mark.parametrize(
    "list_after", [runs(6), runs(5), Reply(503), Reply(429), Reply(hang_up=True)]
)
def test_a_run_that_shows_late_is_waited_for_and_adopted(
    world: World, wire: Wire, list_after: Reply
) -> None:
    # Given a lost reply to Execute, and a list that does not show the run
    wire.answer("GET", EXECUTIONS, runs(6), list_after)
    wire.answer("POST", EXECUTIONS, Reply(503))
    with pytest.raises((ApiUnavailable, ApiThrottled)):
        world.process()
    # When it is tried again before the list can be trusted
    world.now += timedelta(seconds=LATE_LIST - 30)
    wire.answer("GET", EXECUTIONS, runs(6))
    with pytest.raises(PipelineBusy, match="shown no execution in the list yet") as busy:
        world.process()
    assert busy.value.retry_after == 30
    # And again when the run shows
    wire.answer("GET", EXECUTIONS, runs(6, run(7)))
    assert world.process()["execution_id"] == "e-7"
    # Then there was one Execute, and one upload
    assert (world.executed, world.uploaded) == (1, 1)


def test_a_file_that_has_come_to_another_queue_settles_its_own_execute_first(
    world: World, wire: Wire
) -> None:
    # Given a lost reply to Execute, and a queue that knows nothing of it: the route has changed
    wire.answer("GET", EXECUTIONS, runs(6))
    wire.answer("POST", EXECUTIONS, Reply(503))
    with pytest.raises(ApiUnavailable):
        world.process()
    world.table.update(queue_key(CLAIMS.queue), "REMOVE #last_post")
    # When it is tried again there, before and after the list shows what it has made
    with pytest.raises(PipelineBusy, match="shown no execution in the list yet"):
        world.process()
    wire.answer("GET", EXECUTIONS, runs(6, run(7)))
    assert world.process()["execution_id"] == "e-7"
    # Then it is not executed a second time
    assert (world.executed, world.uploaded) == (1, 1)


def test_an_execute_that_made_no_run_is_sent_again_after_the_allowance(
    world: World, wire: Wire
) -> None:
    wire.answer("GET", EXECUTIONS, runs(6))
    wire.answer("POST", EXECUTIONS, Reply(503), json_reply(run(7)))
    with pytest.raises(ApiUnavailable):
        world.process()
    world.now += timedelta(seconds=LATE_LIST)
    assert world.process()["execution_id"] == "e-7"
    assert (world.executed, world.uploaded) == (2, 2)


def test_the_allowance_counts_from_when_the_reply_was_given_up(
    world: World, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an Execute whose reply is waited for, for as long as the list may be late, and lost
    wire.answer("GET", EXECUTIONS, runs(6))
    wire.answer("POST", EXECUTIONS, Reply(503), json_reply(run(8)))
    execute = Quantemplate.execute_pipeline

    def slow(*given: Any) -> Execution:
        world.now += timedelta(seconds=LATE_LIST)
        return execute(*given)

    monkeypatch.setattr(Quantemplate, "execute_pipeline", slow)
    with pytest.raises(ApiUnavailable):
        world.process()
    # When it is tried again before that time has passed once more
    world.now += timedelta(seconds=LATE_LIST - 1)
    with pytest.raises(PipelineBusy, match="shown no execution"):
        world.process()
    # Then there was one Execute: the server may have begun it as late as that
    assert world.executed == 1


def test_several_runs_that_it_may_have_made_are_left_to_a_person(world: World, wire: Wire) -> None:
    # Given a lost reply, and two new runs by nobody knows whom
    others = [run(number, createdBy=None) for number in (7, 8)]
    wire.answer("GET", EXECUTIONS, runs(6), runs(6, *others))
    wire.answer("POST", EXECUTIONS, Reply(503))
    with pytest.raises(ApiUnavailable):
        world.process()
    # Then the error says so, now and later, and nothing is executed
    for _ in range(2):
        with pytest.raises(ExecuteUncertain, match=r"2 newer ones: e-7, e-8.*execution_id"):
            world.process()
    assert world.executed == 1


def test_a_run_that_is_listed_twice_is_adopted(world: World, wire: Wire) -> None:
    wire.answer("GET", EXECUTIONS, runs(6), runs(6, run(7), run(7)))
    wire.answer("POST", EXECUTIONS, Reply(503))
    assert world.process()["execution_id"] == "e-7"
    assert world.executed == 1


def test_a_clock_out_of_a_cache_is_none(world: World, wire: Wire) -> None:
    # Given a run by our user that began before the POST, and a copy of the list from before it
    listed = dated(START - timedelta(seconds=60), run(6, "Succeeded"), run(7, createdAt=at(-30)))
    listed = replace(listed, headers=dict(listed.headers) | {"Age": "60"})
    wire.answer("GET", EXECUTIONS, runs(6), listed)
    wire.answer("POST", EXECUTIONS, Reply(503))
    # Then it is not adopted at once
    with pytest.raises(ApiUnavailable):
        world.process()


def test_somebody_elses_run_is_never_adopted(world: World, wire: Wire) -> None:
    # Given that our own user is known from an earlier reply, where release 1.0.0 has noted it
    known = {"client_id": "straight-through", "user": "u-api"}
    world.table.update(queue_key(CLAIMS.queue), "SET #api_user = :known", known=known)
    # When a reply is lost, and another's run shows
    wire.answer("GET", EXECUTIONS, runs(6), runs(6, run(7, createdBy="u-somebody-else")))
    wire.answer("POST", EXECUTIONS, Reply(503))
    with pytest.raises(ApiUnavailable):
        world.process()
    with pytest.raises(PipelineBusy, match="shown no execution"):
        world.process()


def test_our_user_is_known_for_all_queues_from_any_reply(world: World, wire: Wire) -> None:
    # Given a reply to Execute in one queue
    wire.answer("GET", EXECUTIONS, runs(6))
    wire.answer("POST", EXECUTIONS, json_reply(run(7)), Reply(503))
    world.process(world.attempt("first"))
    world.end(world.attempt("first"))
    world.table.update(queue_key(CLAIMS.queue), "REMOVE #last_post")  # as when the run has ended
    # When a reply is lost in a queue that knows nothing, and another's run shows
    assert "api_user" not in (world.table.get(queue_key(CLAIMS.queue)) or {})
    wire.answer("GET", EXECUTIONS, runs(7), runs(7, run(8, createdBy="u-somebody-else")))
    with pytest.raises(ApiUnavailable):
        world.process()
    # Then it is not taken for ours
    with pytest.raises(PipelineBusy, match="shown no execution"):
        world.process()


# --- whose clock --------------------------------------------------------------------------------
def at(seconds: float, style: str = "{}Z") -> str:
    """A time so many seconds after START, with milliseconds and written in some style."""
    moment = START.replace(tzinfo=None) + timedelta(seconds=seconds)
    return style.format(moment.isoformat(timespec="milliseconds"))


@pytest.mark.parametrize("ahead", [-7200, -10, 0, 10, 7200], ids="{} s".format)
def test_a_clock_that_differs_is_corrected_by_the_servers_own(
    world: World, wire: Wire, ahead: float
) -> None:
    # Given a server whose clock differs, a lost reply, and a list that shows the run
    date = START + timedelta(seconds=ahead)
    shown = run(7, createdAt=at(ahead + 0.2))
    wire.answer("GET", EXECUTIONS, runs(6), dated(date, run(6, "Succeeded"), shown))
    wire.answer("POST", EXECUTIONS, Reply(503))
    # Then it is adopted at once
    assert world.process()["execution_id"] == "e-7"
    assert world.executed == 1


DOUBTFUL = [  # the run's createdAt, and by how much the server's Date is ahead, if it has one
    *((at(-10), 0), (at(-10), None), (at(10), None), (at(0), None)),
    *((at(0, "{}"), 0), (at(7200, "{}"), 0), (at(0, "{}Z[UTC]"), 0)),
    *((None, 0), ("1777881600000", 0), ("9999-12-31T23:59:59Z", 0), (at(0), 10)),
]


@pytest.mark.parametrize(("created", "ahead"), DOUBTFUL)
def test_times_of_the_other_side_make_us_doubt_and_never_execute_twice(
    world: World, wire: Wire, created: str | None, ahead: float | None
) -> None:
    # Given a lost reply, and a run whose time does not tell that it was made after the POST
    date = None if ahead is None else START + timedelta(seconds=ahead)
    listed = run(6, "Succeeded"), run(7, createdAt=created)
    wire.answer("GET", EXECUTIONS, runs(6), dated(date, *listed))
    wire.answer("POST", EXECUTIONS, Reply(503))
    with pytest.raises(ApiUnavailable):
        world.process()
    # Then it is not adopted while another may show
    world.now += timedelta(seconds=LATE_LIST - 20)
    date = None if date is None else date + timedelta(seconds=LATE_LIST - 20)
    wire.answer("GET", EXECUTIONS, dated(date, *listed))
    with pytest.raises(
        PipelineBusy, match=r"Execution 7 \(e-7\) may be.*its reply was lost"
    ) as busy:
        world.process()
    assert busy.value.retry_after == 20
    # And is after that
    world.now += timedelta(seconds=20)
    assert world.process()["execution_id"] == "e-7"
    assert (world.executed, world.uploaded) == (1, 1)


def test_a_doubtful_run_that_gets_company_is_left_to_a_person(world: World, wire: Wire) -> None:
    first = run(7, createdAt=at(-10))
    wire.answer("GET", EXECUTIONS, runs(6), runs(6, first), runs(6, first, run(8)))
    wire.answer("POST", EXECUTIONS, Reply(503))
    with pytest.raises(ApiUnavailable):
        world.process()
    with pytest.raises(ExecuteUncertain, match="e-7, e-8"):
        world.process()
    assert world.executed == 1


# --- what was seen before -----------------------------------------------------------------------
def test_a_list_that_goes_backwards_hides_nothing(world: World, wire: Wire) -> None:
    # Given a run by our user, by hand, that a list has shown, and an older copy of the list
    wire.answer("GET", EXECUTIONS, runs(6, run(7)), runs(6), runs(6, 7))
    wire.answer("POST", EXECUTIONS, Reply(503), json_reply(run(8)))
    with pytest.raises(PipelineBusy):
        world.process()
    # When a reply is lost, and the newer list is back
    with pytest.raises(ApiUnavailable):
        world.process(held=3600)
    world.now += timedelta(seconds=LATE_LIST)
    # Then that run is not adopted
    assert world.process()["execution_id"] == "e-8"


@pytest.mark.parametrize("older", [runs(6), runs(5), json_reply([])])
def test_an_older_copy_of_the_list_never_tells_that_no_run_was_made(
    world: World, wire: Wire, older: Reply
) -> None:
    # Given a lost reply, and a run that a list has shown once: perhaps ours
    doubtful = run(7, createdAt=at(-10))
    wire.answer("GET", EXECUTIONS, runs(6), runs(6, doubtful), older)
    wire.answer("POST", EXECUTIONS, Reply(503), json_reply(run(8)))
    with pytest.raises(ApiUnavailable):
        world.process()
    # When the allowance has passed, and an older copy of the list does not show it
    world.now += timedelta(seconds=LATE_LIST)
    with pytest.raises(PipelineBusy, match="although 7 was seen before"):
        world.process()
    # Then the file is not executed twice, and goes on with the newer list
    wire.answer("GET", EXECUTIONS, runs(6, doubtful))
    assert world.process()["execution_id"] == "e-7"
    assert (world.executed, world.uploaded) == (1, 1)


def test_a_list_that_stays_behind_is_left_to_a_person_and_the_next_file_goes_on(
    world: World, wire: Wire
) -> None:
    # Given a pipeline whose numbers begin anew, and a lost reply
    wire.answer("GET", EXECUTIONS, runs(600), runs(1))
    wire.answer("POST", EXECUTIONS, Reply(503), json_reply(run(3)))
    first = world.attempt("first")
    with pytest.raises(ApiUnavailable):
        world.process(first)
    wire.answer("GET", EXECUTIONS, runs(1, 2))
    world.now += timedelta(seconds=LATE_LIST + 3500)
    with pytest.raises(PipelineBusy):
        world.process(first)
    world.now += timedelta(seconds=100)
    with pytest.raises(
        ExecuteUncertain, match=r"no execution above 2, although 600 was seen.*same input"
    ):
        world.process(first)
    world.end(first)
    # Then the next file goes on
    assert world.process(world.attempt("second"))["execution_id"] == "e-3"
    assert world.executed == 2


def test_what_execute_has_told_was_seen_too(world: World, wire: Wire) -> None:
    # Given a run whose end nobody of us saw, and a list that does not show it
    wire.answer("GET", EXECUTIONS, runs(6))
    wire.answer("POST", EXECUTIONS, json_reply(run(7)), Reply(503))
    world.process(world.attempt("first"))
    world.end(world.attempt("first"))
    world.table.update(queue_key(CLAIMS.queue), "REMOVE #last_post")
    # When the next file's reply is lost
    with pytest.raises(ApiUnavailable):
        world.process(held=3600)
    # Then its candidates are above it
    assert world.records.get("may")["posted"]["after"] == 7


def test_what_is_another_runs_is_never_adopted(world: World, wire: Wire) -> None:
    # Given an execution in another run's record, which the numbers do not tell from a new one
    other: Any = {"id": "post", "run": "other", **FIELDS}
    world.table.together(claim(other, "e-7", 0))
    wire.answer("GET", EXECUTIONS, runs(6), runs(6, 7))
    wire.answer("POST", EXECUTIONS, Reply(503), json_reply(run(8)))
    with pytest.raises(ApiUnavailable):
        world.process()
    with pytest.raises(PipelineBusy, match="shown no execution"):
        world.process()
    # Then the file is executed anew after the allowance
    world.now += timedelta(seconds=LATE_LIST)
    assert world.process()["execution_id"] == "e-8"


def test_what_two_find_at_once_is_one_files(
    world: World, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a run that another file takes between the look for it and the note of it
    wire.answer("GET", EXECUTIONS, runs(6), runs(6, run(7)))
    wire.answer("POST", EXECUTIONS, Reply(503))
    other: Any = {"id": "post", "run": "other", **FIELDS}

    def claimed_by(*_: object) -> None:
        world.table.together(claim(other, "e-7", 0))

    monkeypatch.setattr(Pipelines, "claimed_by", claimed_by)
    with pytest.raises(ApiUnavailable):
        world.process()
    with pytest.raises(PipelineBusy, match="taken by another run"):
        world.process()
    assert "execution" not in world.records.get("may")


@pytest.mark.parametrize("new", [[run(7)], []], ids=["shows", "never shows"])
def test_a_reply_that_tells_an_old_run_is_not_believed(
    world: World, wire: Wire, new: list[dict[str, Any]]
) -> None:
    # Given an Execute that is answered with a run that was there before
    wire.answer("GET", EXECUTIONS, runs(6), runs(6), runs(6, *new))
    wire.answer("POST", EXECUTIONS, json_reply(run(6)), json_reply(run(7)))
    with pytest.raises(ApiUnavailable, match=r"answered with execution 6 \(e-6\), which is no new"):
        world.process()
    assert "execution" not in world.records.get("may")
    world.now += timedelta(seconds=LATE_LIST)
    if new:
        # Then the list tells what it has made
        assert world.process()["execution_id"] == "e-7"
    else:
        # Or a person has to look
        for _ in range(2):
            with pytest.raises(ExecuteUncertain, match=r"execution 6 \(e-6\).*same input"):
                world.process()
        # And the next file goes on
        world.end(world.attempt())
        assert world.process(world.attempt("second"))["execution_id"] == "e-7"
    assert world.executed == (1 if new else 2)


def test_where_numbers_begin_anew_one_file_is_uncertain_and_the_next_go_on(
    world: World, wire: Wire
) -> None:
    # Given a pipeline whose runs are counted from one again
    world.table.update(pipeline_key(FIELDS), "SET #highest = :number", number=900)
    wire.answer("GET", EXECUTIONS, runs(), runs(run(1)))
    wire.answer("POST", EXECUTIONS, json_reply(run(1)), json_reply(run(2)))
    with pytest.raises(ApiUnavailable):
        world.process(held=3600)
    world.now += timedelta(seconds=LATE_LIST)
    with pytest.raises(ExecuteUncertain, match=r"execution 1 \(e-1\).*number 900 was seen before"):
        world.process()
    world.end(world.attempt())
    wire.answer("GET", EXECUTIONS, runs(1))
    assert world.process(world.attempt("second"))["execution_id"] == "e-2"


@pytest.mark.parametrize("older", [runs(6), runs(5), json_reply([])])
def test_nothing_goes_up_while_the_list_is_older_than_one_before(
    world: World, wire: Wire, older: Reply
) -> None:
    # Given a run that somebody makes by hand, which a list has shown, and an older copy of it
    wire.answer("GET", EXECUTIONS, runs(6, run(7, createdBy="u-somebody")), older)
    wire.answer("POST", EXECUTIONS, json_reply(run(8)))
    with pytest.raises(PipelineBusy, match="Execution 7"):
        world.process()
    # Then the file does not go up while that run may be going on unseen
    with pytest.raises(PipelineBusy, match="although 7 was seen before: it is an older copy"):
        world.process(held=3599)
    assert (world.executed, world.uploaded) == (0, 0)
    # And goes up with the newer list
    wire.answer("GET", EXECUTIONS, runs(6, 7))
    assert world.process()["execution_id"] == "e-8"


def test_a_list_that_stays_older_for_an_hour_is_gone_by(world: World, wire: Wire) -> None:
    # Given a pipeline whose numbers begin anew
    world.table.update(pipeline_key(FIELDS), "SET #highest = :number", number=900)
    wire.answer("GET", EXECUTIONS, runs(1))
    wire.answer("POST", EXECUTIONS, json_reply(run(901)))
    # Then a file that has held its turn for an hour goes up
    assert world.process(held=3600)["execution_id"] == "e-901"


# --- a pipeline that is not found ---------------------------------------------------------------
def test_a_pipeline_that_was_never_listed_is_not_found_at_once(world: World, wire: Wire) -> None:
    wire.answer("GET", EXECUTIONS, Reply(404))
    with pytest.raises(NotFound):
        world.process()


@pytest.mark.parametrize("before", [runs(), runs(6)])
def test_a_pipeline_that_was_listed_before_is_waited_for(
    world: World, wire: Wire, before: Reply
) -> None:
    # Given a list that has been there, be it empty
    wire.answer("GET", EXECUTIONS, before, Reply(404))
    wire.answer("POST", DATASET, Reply(503))
    with pytest.raises(ApiUnavailable):
        world.process()
    # Then a 404 is waited for, as something that was met at the list
    with pytest.raises(ApiUnavailable, match=r"404.*was listed before") as waited_for:
        world.process()
    assert waited_for.value.call == "list_executions"


def test_an_old_run_that_is_not_whole_harms_nobody(world: World, wire: Wire) -> None:
    old = {"id": None, "runNumber": None, "status": "Failed", "outputs": [{"name": None}]}
    number = run(3, "Succeeded", id=3, outputs=[{}], createdAt=5)
    wire.answer("GET", EXECUTIONS, runs(6, old, number))
    wire.answer("POST", EXECUTIONS, json_reply(run(7)))
    assert world.process()["execution_id"] == "e-7"


def test_the_user_of_other_credentials_is_not_taken_for_ours(world: World, wire: Wire) -> None:
    known = {"client_id": "another-client", "user": "u-old"}
    world.table.update(queue_key(CLAIMS.queue), "SET #api_user = :known", known=known)
    wire.answer("GET", EXECUTIONS, runs(6), runs(6, run(7)))
    wire.answer("POST", EXECUTIONS, Reply(503))
    assert world.process()["execution_id"] == "e-7"


def test_a_run_that_is_going_on_is_waited_for(world: World, wire: Wire) -> None:
    wire.answer("GET", EXECUTIONS, runs(6, run(7, createdBy="u-somebody")))
    with pytest.raises(PipelineBusy, match=r"Execution 7 \(e-7\).*u-somebody.*'Started'"):
        world.process()
    assert (world.executed, world.uploaded) == (0, 0)


@pytest.mark.parametrize("status", ["Queued", "Paused", "None"])
def test_a_run_of_an_unknown_status_is_going_on_unless_it_has_an_end(
    world: World, wire: Wire, status: str
) -> None:
    wire.answer("GET", EXECUTIONS, runs(run(7, status, finishedAt=None)))
    with pytest.raises(PipelineBusy):
        world.process()
    wire.answer("GET", EXECUTIONS, runs(run(7, status)))
    wire.answer("POST", EXECUTIONS, json_reply(run(8)))
    assert world.process()["execution_id"] == "e-8"


# --- the one before -----------------------------------------------------------------------------
def lost_and_aborted(world: World, wire: Wire) -> Attempt:
    """An execution that was aborted after its Execute, whose reply never came."""
    first = world.attempt("first")
    wire.answer("GET", EXECUTIONS, runs(6))
    wire.answer("POST", EXECUTIONS, Reply(503), json_reply(run(8)))
    with pytest.raises(ApiUnavailable):
        world.process(first)
    world.end(first)
    return first


def test_the_next_file_waits_until_it_is_known_what_the_last_execute_made(
    world: World, wire: Wire
) -> None:
    first = lost_and_aborted(world, wire)
    # Then the next file does not go up while the run may still show
    with pytest.raises(PipelineBusy, match=r"run first.*shown no execution"):
        world.process(world.attempt("second"))
    # Nor while it goes on
    wire.answer("GET", EXECUTIONS, runs(6, run(7)))
    with pytest.raises(PipelineBusy, match="Execution 7"):
        world.process(world.attempt("second"))
    assert world.uploaded == 1
    # And when it has ended
    wire.answer("GET", EXECUTIONS, runs(6, 7))
    assert world.process(world.attempt("second"))["execution_id"] == "e-8"
    # Then the first file has its own run, when it is redriven, and never the second's
    world.end(world.attempt("second"))
    wire.answer("GET", EXECUTIONS, runs(6, 7, run(8)))
    assert world.records.get(first.run)["execution"]["execution_id"] == "e-7"


def test_an_execute_that_made_nothing_is_not_given_the_next_files_run(
    world: World, wire: Wire
) -> None:
    # Given an Execute of which nothing shows within the allowance, and a second file after it
    first = lost_and_aborted(world, wire)
    world.now += timedelta(seconds=LATE_LIST)
    assert world.process(world.attempt("second"))["execution_id"] == "e-8"
    world.end(world.attempt("second"))
    # When the first execution is redriven
    wire.answer("GET", EXECUTIONS, runs(6, 8))
    wire.answer("POST", EXECUTIONS, json_reply(run(9)))
    again = world.attempt("first", redrive=1)
    # Then it is executed anew
    assert world.process(again)["execution_id"] == "e-9"
    assert first.run == again.run


def killed_after_execute(
    world: World, wire: Wire, monkeypatch: pytest.MonkeyPatch, attempt: Attempt | None = None
) -> None:
    """A function dies between Execute and its note; the list shows no run."""
    wire.answer("GET", EXECUTIONS, runs(6))
    wire.answer("POST", EXECUTIONS, json_reply(run(7)))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(world.records, "executed", die)
        with pytest.raises(KeyboardInterrupt):
            world.process(attempt, killed=True)


def test_a_function_that_was_killed_after_execute_is_followed_by_an_adoption(
    world: World, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a function that dies between Execute and its note
    killed_after_execute(world, wire, monkeypatch)
    # When the next try comes, while the mark stands, it waits
    wire.answer("GET", EXECUTIONS, runs(6, run(7)))
    with pytest.raises(PipelineBusy, match="may still be uploading"):
        world.process()
    # And then finds the run
    world.now += timedelta(seconds=901)
    assert world.process()["execution_id"] == "e-7"
    assert world.executed == 1


def test_a_killed_functions_execute_may_have_been_sent_until_its_mark_lapsed(
    world: World, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a function that was killed, nobody knows when, and a list that shows no run
    killed_after_execute(world, wire, monkeypatch)
    # When the next try comes right after it must have ended
    world.now += timedelta(seconds=901)
    with pytest.raises(PipelineBusy, match="shown no execution") as busy:
        world.process()
    # Then the run may show for as long as a list may be late since then
    assert busy.value.retry_after == LATE_LIST - 1
    assert world.executed == 1


def test_a_function_that_ended_by_itself_begins_the_count_of_the_killed_ones_anew(
    world: World, wire: Wire
) -> None:
    # Given three functions in a row that were killed, one that ended, and three more
    wire.answer("GET", EXECUTIONS, Reply(503))
    for killed in (True, True, True, False, True, True, True):
        with pytest.raises(ApiUnavailable):
            world.process(killed=killed)
        world.now += timedelta(seconds=901)
    # Then the next one works on
    wire.answer("GET", EXECUTIONS, runs(6))
    wire.answer("POST", EXECUTIONS, json_reply(run(7)))
    assert world.process()["execution_id"] == "e-7"


def test_functions_that_are_killed_again_and_again_come_to_an_end(world: World, wire: Wire) -> None:
    wire.answer("GET", EXECUTIONS, Reply(503))
    for _ in range(5):
        with pytest.raises(ApiUnavailable):
            world.process(killed=True)
        world.now += timedelta(seconds=901)
    with pytest.raises(FunctionKilled, match="died 5 times in a row"):
        world.process()


def test_a_file_waits_for_the_run_that_another_pipeline_of_its_queue_still_makes(
    world: World, wire: Wire
) -> None:
    # Given two pipelines in one queue, and an execution that was aborted while its run goes on
    wire.answer("GET", EXECUTIONS, runs(6))
    wire.answer("POST", EXECUTIONS, json_reply(run(7)))
    first = world.attempt("first")
    world.process(first)
    world.end(first)
    wire.answer("GET", EXECUTIONS, runs(6, run(7)))
    # When a file of the other pipeline has the turn
    other = replace(CLAIMS, name="other", pipeline_id="p-other", queue=CLAIMS.queue)
    listed = EXECUTIONS.replace("p-claims", "p-other")
    wire.answer("GET", listed, runs(3))
    wire.answer("POST", listed, json_reply(run(4)))
    second = world.attempt("second")
    with pytest.raises(PipelineBusy, match="Execution 7"):
        world.process(second, route=other)
    # Then it goes up when that run has ended, and not before
    assert world.uploaded == 1
    wire.answer("GET", EXECUTIONS, runs(6, 7))
    assert world.process(second, route=other)["execution_id"] == "e-4"


def test_no_execute_without_the_turn(world: World, wire: Wire) -> None:
    # Given an execution that is aborted during its upload
    first = world.attempt()
    turn, mark = world.enter(first)

    class Body:
        def __len__(self) -> int:
            return 1

        def __iter__(self) -> Any:
            yield b"x"
            world.end(first)

    wire.answer("GET", EXECUTIONS, runs(6))
    with pytest.raises(TurnLost, match="was not executed"):
        world.once.upload_and_execute(turn, mark, first, CLAIMS, Body())
    assert world.executed == 0


# --- what certainly made no run -----------------------------------------------------------------
def test_no_token_after_the_upload_is_no_uncertainty(world: World, wire: Wire) -> None:
    # Given a token that is rejected at Execute, and no other to be had
    wire.answer("POST", TOKEN_PATH, token_reply("token-1"), Reply(503), token_reply("token-2"))
    wire.answer("GET", EXECUTIONS, runs(6))
    wire.answer("POST", EXECUTIONS, Reply(401), json_reply(run(7)))
    with pytest.raises(ApiUnavailable, match="Authentication"):
        world.process()
    # Then the whole attempt is repeated at once
    assert world.process()["execution_id"] == "e-7"


@pytest.mark.parametrize(("status", "error"), [(429, ApiThrottled), (404, NotFound)])
def test_an_execute_that_was_refused_is_sent_again_at_once(
    world: World, wire: Wire, status: int, error: type[Exception]
) -> None:
    wire.answer("GET", EXECUTIONS, runs(6), runs(6, run(7, createdBy=None, status="Succeeded")))
    wire.answer("POST", EXECUTIONS, Reply(status), json_reply(run(8)))
    with pytest.raises(error):
        world.process()
    assert world.process()["execution_id"] == "e-8"


@pytest.mark.parametrize("failing", [("GET", EXECUTIONS), ("POST", DATASET)])
def test_nothing_is_executed_when_an_earlier_call_fails(
    world: World, wire: Wire, failing: tuple[str, str]
) -> None:
    wire.answer("GET", EXECUTIONS, runs(6))
    wire.answer(*failing, Reply(503))
    with pytest.raises(ApiUnavailable):
        world.process()
    assert world.executed == 0


def test_what_a_post_may_have_made() -> None:
    post: Any = {"after": 6, "user": "u-api"}
    ours, unnamed = Execution("e-8", 8, "?", created_by="u-api"), Execution("e-9", 9, "?")
    before = Execution("e-6", 6, "?", created_by="u-api")
    other = Execution("e-10", 10, "?", created_by="u-x")
    listing = Listing((other, unnamed, ours, before))
    assert possible(post, listing) == [ours, unnamed]
    assert possible(post | {"user": None}, listing) == [ours, unnamed, other]

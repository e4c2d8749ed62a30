"""One attempt executes the pipeline once: the run that was made is found, and no other is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from straight_through.attempts import Attempt, attempt_of, iso
from straight_through.errors import (
    ApiThrottled,
    ApiUnavailable,
    ExecuteUncertain,
    NotFound,
    PipelineBusy,
    TurnLost,
)
from straight_through.quantemplate import Execution, Quantemplate
from straight_through.records import Records
from straight_through.routes import Route
from straight_through.runs import Runs, runs_of
from straight_through.table import Item, Table
from straight_through.turns import Turn, Turns, queue_key
from tests.unit.conftest import ROUTE
from tests.unit.fake_states import FakeStates
from tests.unit.wire import DATASET, EXECUTIONS, TOKEN_PATH, Reply, Wire, json_reply, token_reply

CLAIMS = Route("claims", **ROUTE)
FILE = b"id,paid\nC-1,1.00\n"
START = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
LATE_LIST = 120


def run(number: int, status: str = "Started", **changed: Any) -> dict[str, Any]:
    """One execution object of the API."""
    made = {"createdAt": iso(START), "createdBy": "u-api"}
    finished = {} if status == "Started" else {"finishedAt": iso(START)}
    return {"id": f"e-{number}", "runNumber": number, "status": status} | made | finished | changed


def runs(*listed: int | dict[str, Any], status: str = "Succeeded") -> Reply:
    """A list of executions."""
    return json_reply([run(each, status) if isinstance(each, int) else each for each in listed])


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
        self.runs = Runs(client, self.turns, self.records, LATE_LIST, lambda: self.now)

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
        self.turns.take(CLAIMS.queue, attempt, {}, token, stamp, "claims")
        turn = Turn(**self.states.answers[token]["turn"])
        return turn, self.turns.enter(turn, attempt, self.now + timedelta(seconds=900))

    def process(self, attempt: Attempt | None = None, *, killed: bool = False) -> Item:
        """Let an execution take the turn, upload and execute; a killed one clears no mark."""
        attempt = attempt or self.attempt()
        turn, mark = self.enter(attempt)
        try:
            return self.runs.upload_and_execute(turn, mark, attempt, CLAIMS, FILE)
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
    with pytest.raises(PipelineBusy, match="shown no run in the list yet") as busy:
        world.process()
    assert busy.value.retry_after == 30
    # And again when the run shows
    wire.answer("GET", EXECUTIONS, runs(6, run(7)))
    assert world.process()["execution_id"] == "e-7"
    # Then there was one Execute, and one upload
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


def test_several_runs_that_it_may_have_made_are_left_to_a_person(world: World, wire: Wire) -> None:
    # Given a lost reply, and two new runs by nobody knows whom
    others = [run(number, createdBy=None) for number in (7, 8)]
    wire.answer("GET", EXECUTIONS, runs(6), runs(6, *others))
    wire.answer("POST", EXECUTIONS, Reply(503))
    with pytest.raises(ApiUnavailable):
        world.process()
    # Then the error says so, now and later, and nothing is executed
    for _ in range(2):
        with pytest.raises(ExecuteUncertain, match=r"2 newer runs: e-7, e-8.*execution_id"):
            world.process()
    assert world.executed == 1


@pytest.mark.parametrize(
    "foreign",
    [
        run(7, createdBy="u-somebody-else"),
        run(7, createdAt=iso(START - timedelta(minutes=1))),
    ],
)
def test_somebody_elses_run_is_never_adopted(
    world: World, wire: Wire, foreign: dict[str, Any]
) -> None:
    # Given that our own user is known from an earlier reply
    known = {"client_id": "straight-through", "user": "u-api"}
    world.table.update(queue_key(CLAIMS.queue), "SET #api_user = :known", known=known)
    # When a reply is lost, and another's run shows
    wire.answer("GET", EXECUTIONS, runs(6), runs(6, foreign))
    wire.answer("POST", EXECUTIONS, Reply(503))
    with pytest.raises(ApiUnavailable):
        world.process()
    with pytest.raises(PipelineBusy, match="shown no run"):
        world.process()


def test_the_user_of_other_credentials_is_not_taken_for_ours(world: World, wire: Wire) -> None:
    known = {"client_id": "another-client", "user": "u-old"}
    world.table.update(queue_key(CLAIMS.queue), "SET #api_user = :known", known=known)
    wire.answer("GET", EXECUTIONS, runs(6), runs(6, run(7)))
    wire.answer("POST", EXECUTIONS, Reply(503))
    assert world.process()["execution_id"] == "e-7"


def test_a_run_that_is_going_on_is_waited_for(world: World, wire: Wire) -> None:
    wire.answer("GET", EXECUTIONS, runs(6, run(7, createdBy="u-somebody")))
    with pytest.raises(PipelineBusy, match=r"Run 7 \(e-7\).*u-somebody.*'Started'"):
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
    with pytest.raises(PipelineBusy, match=r"run first.*shown no run"):
        world.process(world.attempt("second"))
    # Nor while it goes on
    wire.answer("GET", EXECUTIONS, runs(6, run(7)))
    with pytest.raises(PipelineBusy, match="Run 7"):
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


def test_a_function_that_was_killed_after_execute_is_followed_by_an_adoption(
    world: World, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a function that dies between Execute and its note
    wire.answer("GET", EXECUTIONS, runs(6))
    wire.answer("POST", EXECUTIONS, json_reply(run(7)))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(world.records, "executed", die)
        with pytest.raises(KeyboardInterrupt):
            world.process(killed=True)
    # When the next try comes, while the mark stands, it waits
    wire.answer("GET", EXECUTIONS, runs(6, run(7)))
    with pytest.raises(PipelineBusy, match="may still be uploading"):
        world.process()
    # And then finds the run
    world.now += timedelta(seconds=901)
    assert world.process()["execution_id"] == "e-7"
    assert world.executed == 1


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
        world.runs.upload_and_execute(turn, mark, first, CLAIMS, Body())
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
    post = {"after": 6, "at": iso(START), "user": "u-api"}

    def execution(number: int, seconds: int, by: str | None) -> Execution:
        made = iso(START + timedelta(seconds=seconds))
        return Execution(f"e-{number}", number, "Started", created_at=made, created_by=by)

    ours, unnamed = execution(8, 1, "u-api"), execution(9, -4, None)
    others = [execution(6, 1, "u-api"), execution(7, -6, "u-api"), execution(10, 1, "u-x")]
    assert runs_of(post, [*others, ours, unnamed]) == [ours, unnamed]
    assert others[2] in runs_of(post | {"user": None}, others)

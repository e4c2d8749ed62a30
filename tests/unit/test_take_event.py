"""TakeEvent: who is let in, what is understood, and what an event may do."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from straight_through.hearing.key import KEPT, READ_AGAIN, Key, fingerprint
from straight_through.hearing.listeners import Listeners, listener_key
from straight_through.hearing.taking import NO_ROUTE, NOBODY, UNKNOWN, heard_events, last_heard
from straight_through.moments import from_iso, iso
from straight_through.queue.table import Table
from straight_through.starting.updates import Starter, absorbed, feed_key, when_key
from tests.model.dynamodb import TABLE as TURNS
from tests.unit.conftest import lambda_context, made_once
from tests.unit.fake_states import FakeStates

KEY = "k" * 64
COMPLETED = {
    "eventId": "ev-1",
    "eventName": "PipelineCompleted",
    "created": "2026-05-04T08:19:34Z",
    "payload": {"pipelineId": "p-claims", "pipelineExecutionId": "e-7", "status": "Succeeded"},
}
LISTENER = listener_key("p-claims", "e-7")


def updated(dataset_id: Any) -> str:
    """An event of a dataset."""
    return json.dumps({"name": "DatasetUpdated", "payload": {"datasetId": dataset_id}})


Answers = Callable[..., dict[str, Any]]


@pytest.fixture
def secret(aws: None) -> str:  # noqa: ARG001
    """The secret with the key."""
    secrets = made_once("secretsmanager")
    made = secrets.create_secret(Name="key", SecretString=json.dumps({"key": KEY}))
    return str(made["ARN"])


@pytest.fixture
def post(
    table: Table,  # noqa: ARG001
    states: FakeStates,
    secret: str,
    load: Callable[..., ModuleType],
) -> Answers:
    """Post a body, as Quantemplate does where nothing else is said."""
    app: Any = load(
        "take_event",
        TURNS_TABLE=TURNS,
        EVENTS_KEY_SECRET_ARN=secret,
        STATE_MACHINE_ARN="machine",
        MOST_UPDATE_RUNS_AN_HOUR="10",
    )
    app.states = states
    app.starter = Starter(app.table, states, "machine", app.MOST)  # type: ignore[arg-type]

    def posted(told: Any, path: str = f"/{KEY}", **changed: Any) -> dict[str, Any]:
        request: dict[str, Any] = {
            "rawPath": path,
            "requestContext": {"http": {"method": changed.pop("method", "POST")}},
            "headers": {"content-type": changed.pop("kind", "application/json; charset=utf-8")},
            "body": told if isinstance(told, str) else json.dumps(told),
            "isBase64Encoded": False,
        }
        answer = app.handler(request | changed, lambda_context("take_event"))
        assert isinstance(answer, dict)
        return answer

    return posted


def events(table: Table) -> list[tuple[str, str, str]]:
    """What was noted: name, ids, what it did."""
    return [(event["name"], event["about"], event["did"]) for event in heard_events(table)]


# --- the door ------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/", "", "/wrong", f"/{KEY}x", f"/{KEY[:-1]}", f"/{KEY}/x"])
def test_without_the_key_there_is_nothing_and_nothing_is_told(
    path: str, post: Answers, table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given somebody who does not know the key; when he posts whatever, then there is nothing there
    for body in (COMPLETED, "secret words", {"eventName": "x" * 100_000}):
        assert post(body, path) == {
            "statusCode": 404,
            "headers": {"content-type": "text/plain"},
            "body": "Not found.",
        }
    assert post("", path, method="GET")["statusCode"] == 404
    # And nothing of it is noted or logged but that it came
    assert events(table) == []
    logged = capsys.readouterr().out
    assert "secret words" not in logged
    assert path not in logged or len(path) < 2
    assert logged.count('"EventsRefused":[1.0]') == 4


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"method": "GET"}, 405),
        ({"method": "PUT"}, 405),
        ({"kind": "text/html"}, 415),
        ({"kind": ""}, 415),
        ({"body": "x" * (64 * 1024 + 1)}, 413),
        ({"body": "é" * (32 * 1024 + 1)}, 413),
        ({"body": base64.b64encode(b"x" * 65_537).decode(), "isBase64Encoded": True}, 413),
        ({"body": "{"}, 400),
        ({"body": "[" * 60_000}, 400),
        ({"body": "[]"}, 400),
        ({"body": "{}"}, 400),
        ({"body": json.dumps({"eventName": "PipelineCompleted"})}, 400),
        ({"body": json.dumps(COMPLETED | {"payload": {"pipelineId": "p-claims"}})}, 400),
        ({"body": json.dumps(COMPLETED | {"payload": [1]})}, 400),
        ({"body": updated("d#1")}, 400),
        ({"body": updated(7)}, 400),
        ({"body": updated("d" * 129)}, 400),
    ],
    ids=lambda given: f"{given}"[:40],
)
def test_what_is_no_event_is_refused_and_does_nothing(
    changed: dict[str, Any], status: int, post: Answers, table: Table
) -> None:
    # Given somebody with the key, when he posts what is no event, then it is refused
    assert post(COMPLETED, **changed)["statusCode"] == status
    # And nothing was done
    assert events(table) == []


# --- what is understood --------------------------------------------------------------------------
@pytest.mark.parametrize(
    "event",
    [
        COMPLETED,
        {"id": "ev-1", "name": COMPLETED["eventName"], "payload": COMPLETED["payload"]},
    ],
    ids=["eventName", "name"],
)
def test_both_envelopes_wake_the_run_that_waits(
    event: dict[str, Any], post: Answers, table: Table, states: FakeStates
) -> None:
    # Given a run that waits for its execution's end with a task token
    table.update(LISTENER, "SET #run = :run, #token = :token", run="may", token="t-1")
    states.wait("t-1", "arn:may")
    # When its event comes
    assert post(event)["statusCode"] == 200
    # Then it is woken, with nothing that the event said
    assert states.answers == {"t-1": {}}
    assert events(table) == [("PipelineCompleted", "p-claims e-7", "woke may")]
    assert list(last_heard(table)) == ["p-claims"]


def test_a_body_of_64_kb_is_the_longest(post: Answers, table: Table) -> None:
    body = json.dumps(COMPLETED).ljust(64 * 1024)
    assert post(body)["statusCode"] == 200
    coded = base64.b64encode(body.encode()).decode()
    assert post(coded, isBase64Encoded=True)["statusCode"] == 200
    assert post(f"{body} ")["statusCode"] == 413
    assert len(events(table)) == 2


def test_a_body_in_base64_is_read_too(post: Answers, table: Table) -> None:
    body = base64.b64encode(json.dumps(COMPLETED).encode()).decode()
    assert post(body, isBase64Encoded=True)["statusCode"] == 200
    assert events(table) == [("PipelineCompleted", "p-claims e-7", NOBODY)]


def test_an_event_that_comes_twice_or_late_wakes_nobody_again(
    post: Answers, table: Table, states: FakeStates
) -> None:
    # Given an event that has woken a run
    table.update(LISTENER, "SET #run = :run, #token = :token", run="may", token="t-1")
    states.wait("t-1", "arn:may")
    post(COMPLETED)
    first = table.get(LISTENER)
    # When it comes again, and its token is dead, then that is no error
    assert post(COMPLETED)["statusCode"] == 200
    assert [did for *_, did in events(table)] == [NOBODY, "woke may"]
    # And it counts as another one: the run may have looked before it
    second = table.get(LISTENER)
    assert first
    assert second
    assert first["heard"] != second["heard"]


def test_an_event_before_anybody_waits_is_kept_for_the_one_who_comes(
    post: Answers, table: Table
) -> None:
    # Given an event that comes before its run has looked once
    post(COMPLETED)
    # When the run looks, then it hears of it
    assert "ev-1" in Listeners(table).heard("p-claims", "e-7", "may", datetime.now(UTC))


def test_what_nobody_knows_is_counted_and_ignored(
    post: Answers, table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    assert post({"eventName": "FeedRenamed", "payload": {}})["statusCode"] == 200
    assert events(table) == [("FeedRenamed", "", UNKNOWN)]
    assert '"EventsIgnored":[1.0]' in capsys.readouterr().out


def test_an_update_that_no_route_waits_for_is_noted_as_such(post: Answers, table: Table) -> None:
    longest = "d" * 128
    assert post(updated(longest))["statusCode"] == 200
    assert events(table) == [("DatasetUpdated", longest, NO_ROUTE)]


@pytest.mark.parametrize("error", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_a_token_that_nobody_waits_with_any_more_is_no_error(
    error: str, post: Answers, table: Table, states: FakeStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a token that is dead, in each way in which Step Functions says so
    table.update(LISTENER, "SET #run = :run, #token = :token", run="may", token="t-1")

    def refused(**_: Any) -> None:
        raise getattr(states.exceptions, error)({"Error": {"Code": error}}, "SendTaskSuccess")

    monkeypatch.setattr(states, "send_task_success", refused)
    # When its event comes, then it is taken, and nobody is said to be woken
    assert post(COMPLETED)["statusCode"] == 200
    assert events(table) == [("PipelineCompleted", "p-claims e-7", NOBODY)]


def test_each_event_is_kept_for_thirty_days_the_newest_first(post: Answers, table: Table) -> None:
    for name in ("One", "Two", "Three"):
        post({"eventName": name})
    assert [name for name, *_ in events(table)] == ["Three", "Two", "One"]
    (event, *_) = heard_events(table)
    came = from_iso(event["sk"].partition("#")[0]).timestamp()
    assert event["expires_at"] - came == pytest.approx(30 * 86_400, abs=1)


def test_whoever_has_the_key_starts_ten_runs_of_a_route_that_waits_and_leaves_nothing_for_good(
    post: Answers, table: Table, states: FakeStates
) -> None:
    # Given a route that waits for a dataset, and somebody with the key who forges what he can
    table.update(feed_key("d-one", "stock"), "SET #route = :route", route="stock")
    table.update(when_key("stock"), "SET #updated = :all", all=["d-one"])
    for number in range(40):
        ended = {"pipelineId": f"p-{number}", "pipelineExecutionId": "e-1"}
        for forged in (
            {"name": "DatasetUpdated", "payload": {"datasetId": "d-one"}},
            {"name": "DatasetUpdated", "payload": {"datasetId": f"d-{number}"}},
            {"name": "PipelineCompleted", "payload": ended},
        ):
            assert post(forged | {"id": f"f-{number}"})["statusCode"] == 200
        # When each run that he has started executes at once
        table.together(absorbed("stock", iso(datetime.now(UTC))))
    # Then so many were started as the brake lets, and people will be told which events they were
    assert len(states.started) == 10
    off = (table.get(when_key("stock")) or {})["off"]
    assert [number for number in range(40) if f"f-{number}" in off["why"]] == list(range(11))
    # And all else that he has left behind is forgotten by itself
    of_routes = ("when", feed_key("d-one", "")[0])
    items = made_once("dynamodb").scan(TableName=TURNS)["Items"]
    left = [item for item in items if item["pk"]["S"] not in of_routes]
    assert len(left) == 40 * 5
    assert all("expires_at" in item for item in left)


# --- the key -------------------------------------------------------------------------------------
class Clock:
    """A clock that stands still."""

    now = 1000.0

    def __call__(self) -> float:
        """Tell the seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock."""
    return Clock()


@pytest.fixture
def key(table: Table, secret: str, clock: Clock) -> Key:
    """The door's key."""
    return Key(made_once("secretsmanager"), secret, table, clock)


def rotate(secret: str, new: str, *before: str) -> None:
    """Change the key, as the command does."""
    value = json.dumps({"key": new, "earlier": list(before)})
    made_once("secretsmanager").put_secret_value(SecretId=secret, SecretString=value)


def test_the_key_before_counts_until_the_new_one_was_used(
    key: Key, secret: str, clock: Clock, table: Table
) -> None:
    # Given a key that has been changed
    assert key.opens(f"/{KEY}")
    rotate(secret, "n" * 64, KEY)
    # When the vendor still has the old one, then that counts; the new one counts after a moment
    clock.now += READ_AGAIN + 1
    assert key.opens(f"/{KEY}")
    assert key.opens("/" + "n" * 64)
    # And once it was used the old one opens nothing, in no other process either
    assert not key.opens(f"/{KEY}")
    other = Key(made_once("secretsmanager"), secret, table, clock)
    assert not other.opens(f"/{KEY}")
    assert other.opens("/" + "n" * 64)


def test_a_key_that_is_changed_once_more_ends_the_one_before_last(
    key: Key, secret: str, clock: Clock
) -> None:
    rotate(secret, "n" * 64, KEY)
    assert key.opens("/" + "n" * 64)
    rotate(secret, "o" * 64, "n" * 64)
    clock.now += KEPT + 1
    assert key.opens("/" + "n" * 64)  # the newest was not used yet
    assert not key.opens(f"/{KEY}")
    assert key.opens("/" + "o" * 64)
    assert not key.opens("/" + "n" * 64)


def test_until_one_is_used_all_keys_before_it_count(
    key: Key, secret: str, table: Table, clock: Clock
) -> None:
    # Given a key that was changed twice, and a vendor who was told nothing of it yet
    rotate(secret, "o" * 64, "n" * 64, KEY)
    assert key.opens(f"/{KEY}")
    # When he uses the one between, then the oldest opens nothing any more, and both newer ones do
    assert key.opens("/" + "n" * 64)
    assert not key.opens(f"/{KEY}")
    other = Key(made_once("secretsmanager"), secret, table, clock)
    assert not other.opens(f"/{KEY}")
    assert other.opens("/" + "n" * 64)
    assert other.opens("/" + "o" * 64)
    assert not key.opens("/" + "n" * 64)


def test_a_function_that_knows_an_older_secret_opens_no_old_key_to_others(
    key: Key, secret: str, table: Table, clock: Clock
) -> None:
    # Given a function that has read the secret before the key was changed once more, and used
    rotate(secret, "n" * 64, KEY)
    assert key.opens(f"/{KEY}")
    rotate(secret, "o" * 64, "n" * 64)
    secrets = made_once("secretsmanager")
    assert Key(secrets, secret, table, clock).opens("/" + "o" * 64)
    # When the key between comes to it, then that ends in all others all the same
    key.opens("/" + "n" * 64)
    assert not Key(secrets, secret, table, clock).opens("/" + "n" * 64)
    # And in this one too, once it reads the secret anew
    clock.now += KEPT + 1
    assert not key.opens("/" + "n" * 64)


def test_wrong_keys_make_the_secret_be_read_seldom(
    table: Table, secret: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a flood of wrong keys
    secrets, reads = made_once("secretsmanager"), []
    real = secrets.get_secret_value

    def counted(**named: Any) -> Any:
        reads.append(named)
        return real(**named)

    monkeypatch.setattr(secrets, "get_secret_value", counted)
    key = Key(secrets, secret, table, clock)
    for _ in range(600):
        assert not key.opens("/wrong")
        clock.now += 0.1
    # Then the secret is read once in so many seconds
    assert len(reads) <= 60 / READ_AGAIN + 1


def test_a_fingerprint_tells_no_key() -> None:
    assert len(fingerprint(KEY)) == 16
    assert fingerprint(KEY) != fingerprint("n" * 64)
    assert KEY[:8] not in fingerprint(KEY)

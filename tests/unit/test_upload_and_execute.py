"""UploadAndExecute: from the turn to the run's record."""

import hashlib
import json
from typing import Any

import pytest

from straight_through.errors import (
    AccessDenied,
    CredentialsMissing,
    HeaderMismatch,
    NotFound,
    RouteConflict,
    TurnLost,
)
from straight_through.files.checks import settings_of
from straight_through.queue.pipelines import Pipelines, version_before
from straight_through.queue.records import record_key
from straight_through.queue.table import Table
from straight_through.queue.turns import queue_key
from straight_through.routes import Route, parse_route
from straight_through.run_state import SCHEMA
from tests.unit.conftest import ROUTE, Event, Handler, give_turn, made_once
from tests.unit.fake_states import FakeStates
from tests.unit.wire import DATASET, EXECUTIONS, Reply, Wire, json_reply

FILE = b"id,paid\nC-1,1.00\n"
EXECUTION = {
    "id": "e-7",
    "runNumber": 7,
    "status": "Started",
    "createdAt": "2026-05-04T08:15:33Z",
    "createdBy": "u-api",
    "version": 14,
}


@pytest.fixture
def upload(handler: Any, wire: Wire) -> Handler:
    """The handler, before a Quantemplate where all goes well."""
    wire.answer("GET", EXECUTIONS, json_reply([]))
    wire.answer("POST", DATASET, Reply(200))
    wire.answer("POST", EXECUTIONS, json_reply(EXECUTION))
    loaded: Handler = handler("upload_and_execute")
    return loaded


@pytest.fixture
def given(s3: Any, table: Table, event: Event) -> dict[str, Any]:
    """The sample event, whose file was dropped and whose execution holds the turn."""
    given = event("upload_and_execute")
    named = given["execution"]["Input"]
    put = s3.put_object(Bucket=named["bucket"], Key=named["key"], Body=FILE)
    source = {
        "bucket": named["bucket"],
        "key": named["key"],
        "version_id": put["VersionId"],
        "size": len(FILE),
        "etag": put["ETag"].strip('"'),
        "dropped_at": named["dropped_at"],
        "parent": None,
    }
    give_turn(table, given, source)
    return given


def holder(table: Table, queue: str = "p-claims") -> dict[str, Any]:
    """Who holds the queue's turn."""
    return dict((table.get(queue_key(queue)) or {}).get("holder", {}))


def test_the_first_wait_knows_how_long_earlier_runs_took(
    upload: Handler, given: dict[str, Any], wire: Wire
) -> None:
    # Given a pipeline with a run that took five minutes
    times = {"createdAt": "2026-05-03T08:00:00Z", "finishedAt": "2026-05-03T08:05:00Z"}
    before = {"id": "e-6", "runNumber": 6, "status": "Succeeded"}
    wire.answer("GET", EXECUTIONS, json_reply([EXECUTION | before | times]))
    # Then the first look comes after ten seconds, not after one
    assert upload(given)["wait_seconds"] == 10


def test_the_sample_gives_the_record_that_travels_on(
    upload: Handler, given: dict[str, Any], wire: Wire, event: Event, table: Table
) -> None:
    record = upload(given)
    # Then its shape is the next step's sample
    sample = event("check_status")["record"]
    assert record.keys() == sample.keys()
    assert record["source"].keys() == sample["source"].keys()
    fields = (
        *("run", "execution_arn", "turn", "route", "quantemplate", "status", "wait_seconds"),
        "identical_to",
    )
    assert {field: record[field] for field in fields} == {field: sample[field] for field in fields}
    assert record["source"]["size"] == len(FILE)
    assert record["source"]["sha256"] == hashlib.sha256(FILE).hexdigest()
    assert record["source"]["rows"] == 1
    # And the file's bytes went up
    assert wire.calls("POST", DATASET)[0].body == FILE
    assert json.loads(json.dumps(record)) == record
    # And the turn is held on, without a mark
    assert holder(table)["entered"]
    assert "mark" not in holder(table)


def test_a_function_that_died_before_it_noted_the_pipelines_revision_notes_it_when_called_again(
    upload: Handler,
    given: dict[str, Any],
    wire: Wire,
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a function that dies between two notes of what its Execute has made
    with monkeypatch.context() as patch:
        patch.setattr(Pipelines, "executed", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            upload(given)
    # When it is called again, then it executes nothing, and the route's next run knows it
    made = upload(given)["quantemplate"]
    assert len(wire.calls("POST", EXECUTIONS)) == 1
    assert version_before(Pipelines(table).known(made), "claims", "june") == 14


# --- what was checked before the turn -------------------------------------------------------------
def noted(table: Table, given: dict[str, Any], **checked: Any) -> None:
    """Let the file have been checked before its turn."""
    run = given["execution"]["Name"]
    table.update(record_key(run), "SET #checked = :checked", checked=checked)


def with_header(*columns: str) -> Route:
    """Let the route ask for a header."""
    document = json.dumps(ROUTE | {"header": list(columns)})
    name = "/straight-through/routes/claims"
    made_once("ssm").put_parameter(Name=name, Value=document, Overwrite=True)
    return parse_route("claims", document)


@pytest.mark.parametrize("whole", [True, False, None])
def test_what_was_not_judged_whole_by_the_routes_settings_is_judged_within_the_turn(
    upload: Handler,
    given: dict[str, Any],
    wire: Wire,
    table: Table,
    whole: bool | None,  # noqa: FBT001
) -> None:
    # Given a file that was found right by other settings, or not to its end, or never
    route = with_header("id", "amount")
    settings = "those of before" if whole else settings_of(route)
    if whole is not None:
        noted(table, given, settings=settings, whole=whole, mark=False)
    # When its turn has come, it is refused before anything goes up
    with pytest.raises(HeaderMismatch, match="'amount' missing"):
        upload(given)
    assert wire.requests == []
    # And when the route is mended, it is judged once, and that is noted
    route = with_header("id", "paid")
    upload(given)
    record = table.get(record_key(given["execution"]["Name"])) or {}
    assert record["checked"] == {"settings": settings_of(route), "whole": True, "mark": False}
    assert wire.calls("POST", DATASET)[0].body == FILE


def test_what_was_judged_is_not_judged_again(
    upload: Handler, given: dict[str, Any], wire: Wire, table: Table
) -> None:
    # Given a check that found right what another would not
    noted(table, given, settings=settings_of(with_header("other")), whole=True, mark=False)
    upload(given)
    assert wire.calls("POST", DATASET)[0].body == FILE


def test_what_another_release_has_added_harms_nothing(
    upload: Handler, given: dict[str, Any], table: Table
) -> None:
    # Given a turn, a file and a check, each with a field that this release does not know
    run, later = record_key(given["execution"]["Name"]), {"schema": 9, "later": {"is": "unknown"}}
    noted(table, given, settings=settings_of(with_header("id", "paid")), whole=True, **later)
    given["record"] = {**given["record"], "turn": given["record"]["turn"] | later, **later}
    source = (table.get(run) or {})["source"]
    table.update(run, "SET #source = :source, #later = :yes", source=source | later, yes=True)
    table.update(queue_key("p-claims"), "SET #later = :yes, #holder.#later = :yes", yes=True)
    # When the function of this one takes them up
    record = upload(given)
    # Then it does its work, and says whose state this is
    assert (record["status"], record["schema"]) == ("Started", SCHEMA)
    # And what it does not know stays where it lies
    assert (table.get(run) or {})["later"]
    assert holder(table)["later"]


@pytest.mark.parametrize("lacks", ["settings", "whole"])
def test_a_check_without_what_this_release_asks_for_is_made_anew(
    upload: Handler, given: dict[str, Any], table: Table, lacks: str
) -> None:
    checked = {"settings": settings_of(with_header("id", "paid")), "whole": True}
    noted(table, given, **{name: value for name, value in checked.items() if name != lacks})
    assert upload(given)["status"] == "Started"
    record = table.get(record_key(given["execution"]["Name"])) or {}
    assert record["checked"]["whole"]


def test_it_asks_quantemplate_three_times(
    upload: Handler, given: dict[str, Any], wire: Wire
) -> None:
    upload(given)
    assert [(r.method, r.path) for r in wire.requests][1:] == [
        ("GET", EXECUTIONS),
        ("POST", DATASET),
        ("POST", EXECUTIONS),
    ]


def test_a_second_try_returns_the_run_that_the_first_made(
    upload: Handler, given: dict[str, Any], wire: Wire
) -> None:
    first = upload(given)
    asked = len(wire.requests)
    assert upload(given) == first
    assert len(wire.requests) == asked


@pytest.mark.parametrize(
    ("reply", "asked"),
    [
        (Reply(429, b"later", headers={"Retry-After": "17"}), (17, 17)),
        (Reply(503), (3, 5)),
        (Reply(hang_up=True), (3, 5)),
    ],
)
def test_what_passes_is_waited_for_with_the_turn(
    upload: Handler,
    given: dict[str, Any],
    wire: Wire,
    table: Table,
    reply: Reply,
    asked: tuple[int, int],
) -> None:
    # Given a Quantemplate that does not take the file now
    wire.answer("POST", DATASET, reply)
    record = upload(given)
    # Then the record says what is waited for, and the wait
    assert record["status"] == "NotExecuted"
    assert asked[0] <= record["wait_seconds"] <= asked[1]
    assert record["waiting"]["for"].endswith("[route claims]")
    # And the turn is kept, without a mark
    assert "mark" not in holder(table)
    # When it is entered again, all is well
    wire.answer("POST", DATASET, Reply(200))
    assert upload(given | {"record": record})["status"] == "Started"


def test_a_run_that_is_not_ours_is_waited_for(
    upload: Handler, given: dict[str, Any], wire: Wire
) -> None:
    going = EXECUTION | {"id": "e-6", "runNumber": 6, "createdBy": "u-somebody"}
    wire.answer("GET", EXECUTIONS, json_reply([going]))
    record = upload(given)
    assert record["status"] == "NotExecuted"
    assert "Execution 6 (e-6)" in record["waiting"]["for"]
    assert "u-somebody" in record["waiting"]["for"]
    assert not wire.calls("POST", DATASET)


def test_a_turn_that_was_passed_on_is_lost(
    upload: Handler, given: dict[str, Any], table: Table, wire: Wire
) -> None:
    table.update(queue_key("p-claims"), "SET #holder.#turn_id = :other", other="other")
    with pytest.raises(TurnLost, match="queue p-claims"):
        upload(given)
    assert wire.requests == []


def test_a_route_with_another_queue_by_now_gives_the_turn_back(
    upload: Handler, given: dict[str, Any], table: Table, wire: Wire
) -> None:
    made_once("ssm").put_parameter(
        Name="/straight-through/routes/claims",
        Value=json.dumps(ROUTE | {"queue": "other"}),
        Overwrite=True,
    )
    with pytest.raises(TurnLost, match="left queue p-claims for other"):
        upload(given)
    assert holder(table) == {}
    assert wire.requests == []


def add_route(name: str, **fields: str) -> None:
    """Add a route, with the fields of the sample's where no others are given."""
    made_once("ssm").put_parameter(
        Name=f"/straight-through/routes/{name}", Type="String", Value=json.dumps(ROUTE | fields)
    )


def bind(table: Table, bound: str, queue: str, route: str) -> None:
    """Let a dataset or a pipeline belong to a route's queue."""
    table.update(
        (bound, "binding"), "SET #queue = :queue, #route = :route", queue=queue, route=route
    )


def bound_to(table: Table, bound: str) -> tuple[str, str]:
    """The queue and the route that a dataset or a pipeline belongs to."""
    binding = table.get((bound, "binding")) or {}
    return binding["queue"], binding["route"]


BOUND_DATASET, BOUND_PIPELINE = "dataset#c-broker/d-claims", "pipeline#c-broker/p-claims"


def test_dataset_and_pipeline_belong_to_the_queue_that_has_used_them(
    upload: Handler, given: dict[str, Any], table: Table
) -> None:
    assert upload(given)["status"] == "Started"
    for bound in (BOUND_DATASET, BOUND_PIPELINE):
        assert bound_to(table, bound) == ("p-claims", "claims")


@pytest.mark.parametrize(
    ("bound", "other"),
    [(BOUND_DATASET, {"pipeline_id": "p-other"}), (BOUND_PIPELINE, {"dataset_id": "d-other"})],
    ids=["dataset", "pipeline"],
)
def test_what_another_queue_uses_is_refused_with_both_routes(
    upload: Handler,
    given: dict[str, Any],
    table: Table,
    wire: Wire,
    bound: str,
    other: dict[str, str],
) -> None:
    # Given a route whose dataset or pipeline belongs to another route's queue
    add_route("premiums", queue="premiums", **other)
    bind(table, bound, "premiums", "premiums")
    # Then its file is refused before anything is uploaded
    told = bound.replace("#", " ")
    with pytest.raises(RouteConflict, match=rf"'claims' .*'premiums'.*{told}"):
        upload(given)
    assert wire.requests == []
    assert bound_to(table, bound) == ("premiums", "premiums")


@pytest.mark.parametrize("bound", [BOUND_DATASET, BOUND_PIPELINE])
@pytest.mark.parametrize(
    "other",
    [
        None,
        {"dataset_id": ""},
        {"queue": "old", "dataset_id": "d-other", "pipeline_id": "p-other"},
        {"queue": "new"},
    ],
    ids=["is gone", "is invalid", "uses another", "has another queue"],
)
def test_a_binding_that_its_route_has_left_is_taken_over(
    upload: Handler,
    given: dict[str, Any],
    table: Table,
    bound: str,
    other: dict[str, str] | None,
) -> None:
    # Given what belongs to the queue of a route that uses it there no more
    if other is not None:
        add_route("premiums", **other)
    bind(table, bound, "old", "premiums")
    # When another route's file is uploaded
    assert upload(given)["status"] == "Started"
    # Then it belongs to that one's queue
    assert bound_to(table, bound) == ("p-claims", "claims")


def test_of_two_queues_that_take_a_binding_over_at_once_one_is_refused(
    upload: Handler,
    given: dict[str, Any],
    table: Table,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given what belongs to a queue whose route is gone
    bind(table, BOUND_DATASET, "old", "gone")
    add_route("premiums", queue="premiums", pipeline_id="p-other")
    together = Table.together

    def later(self: Table, *writes: Any) -> None:
        if "ConditionCheck" in writes[0]:
            bind(table, BOUND_DATASET, "premiums", "premiums")
        together(self, *writes)

    # When another takes it over between the look at it and the write
    monkeypatch.setattr(Table, "together", later)
    # Then it is that one's, and the file is refused
    with pytest.raises(RouteConflict, match="'premiums'"):
        upload(given)
    assert bound_to(table, BOUND_DATASET) == ("premiums", "premiums")
    assert wire.requests == []


def test_a_binding_whose_queue_still_runs_is_waited_for(
    upload: Handler, given: dict[str, Any], table: Table, wire: Wire
) -> None:
    bind(table, BOUND_DATASET, "old", "claims")
    table.update(queue_key("old"), "SET #holder = :holder", holder={"run": "other"})
    record = upload(given)
    assert record["status"] == "NotExecuted"
    assert "dataset c-broker/d-claims is still in use in queue 'old'" in record["waiting"]["for"]
    assert record["wait_seconds"] == 10
    assert wire.calls("POST", DATASET) == []


def open_post_of_old(table: Table) -> None:
    """Leave open, in a queue that its route has left, what became of another file's Execute."""
    post = {
        **{name: ROUTE[name] for name in ("organisation_id", "dataset_id", "pipeline_id")},
        "id": "p-1",
        "run": "other",
        "route": "gone",
        "after": 0,
        "at": "2026-05-04T08:00:00.000Z",
        "until": "2026-05-04T08:15:00.000Z",
        "user": None,
        "granted_at": "2026-05-04T08:00:00.000Z",
        "measures": {"sha256": None, "rows": None},
    }
    bind(table, BOUND_DATASET, "old", "gone")
    table.update(queue_key("old"), "SET #last_post = :post", post=post)
    table.update(record_key("other"), "SET #posted = :post", post=post)


def test_what_a_queue_that_was_left_has_made_is_found_out_first(
    upload: Handler, given: dict[str, Any], table: Table, wire: Wire
) -> None:
    # Given a dataset of a queue that was left with an Execute of which nobody has heard
    open_post_of_old(table)
    # When the next file of another queue comes, and the list shows no execution of it
    assert upload(given)["status"] == "Started"
    # Then it is noted that it has made none, and the dataset is taken over
    assert table.get(queue_key("old")) == {"pk": "queues", "sk": "old"}
    assert "posted" not in (table.get(record_key("other")) or {})
    assert bound_to(table, BOUND_DATASET) == ("p-claims", "claims")
    assert len(wire.calls("POST", DATASET)) == 1


def test_a_newer_execute_of_a_queue_that_was_left_is_not_forgotten(
    upload: Handler,
    given: dict[str, Any],
    table: Table,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given the same, and a file of the queue that was left, which executes there once more
    open_post_of_old(table)
    change = Table.update

    def later(self: Table, key: Any, expression: str, *rest: Any, **values: Any) -> Any:
        if (key, expression) == (queue_key("old"), "REMOVE #last_post"):
            change(self, key, "SET #last_post.#id = :id, #holder = :h", id="p-2", h={"run": "x"})
        return change(self, key, expression, *rest, **values)

    # When it does so after the older one is settled, and before that is noted
    monkeypatch.setattr(Table, "update", later)
    # Then the file waits for what it makes
    assert upload(given)["waiting"]["kind"] == "PipelineBusy"
    assert (table.get(queue_key("old")) or {})["last_post"]["id"] == "p-2"
    assert wire.calls("POST", DATASET) == []


def test_what_a_queue_that_was_left_still_makes_is_waited_for(
    upload: Handler, given: dict[str, Any], table: Table, wire: Wire
) -> None:
    # Given the same, and a list that shows what that Execute has made, which goes on
    open_post_of_old(table)
    wire.answer("GET", EXECUTIONS, json_reply([EXECUTION]))
    # Then the file waits for its end, and nothing goes up
    record = upload(given)
    assert (record["status"], record["waiting"]["kind"]) == ("NotExecuted", "PipelineBusy")
    assert wire.calls("POST", DATASET) == []
    # And it is known whose it is
    assert table.get(record_key("other"))["execution"]["execution_id"] == "e-7"  # type: ignore[index]


def attached(given: dict[str, Any], table: Table, execution_id: str) -> dict[str, Any]:
    """The event of an execution that follows a run which exists."""
    execution = given["execution"]
    source = (table.get(record_key(execution["Name"])) or {})["source"]
    table.update(record_key("by-hand"), "SET #source = :source", source=source)
    execution |= {"Name": "by-hand", "Input": execution["Input"] | {"execution_id": execution_id}}
    return {"execution": execution, "record": {"turn": None}}


def test_an_attached_run_is_followed_and_nothing_is_uploaded(
    upload: Handler, given: dict[str, Any], table: Table, wire: Wire
) -> None:
    wire.answer("GET", EXECUTIONS, json_reply([EXECUTION | {"status": "Succeeded"}]))
    record = upload(attached(given, table, "e-7"))
    assert (record["quantemplate"]["execution_id"], record["turn"]) == ("e-7", None)
    assert not wire.calls("POST", DATASET)
    assert not wire.calls("POST", EXECUTIONS)


def test_an_attached_run_that_the_pipeline_does_not_have_is_told(
    upload: Handler, given: dict[str, Any], table: Table
) -> None:
    with pytest.raises(NotFound, match="no execution 'e-8'"):
        upload(attached(given, table, "e-8"))


def test_no_access_says_can_edit_and_clears_the_mark(
    upload: Handler, given: dict[str, Any], wire: Wire, table: Table
) -> None:
    wire.answer("GET", EXECUTIONS, Reply(403, b"Forbidden"))
    with pytest.raises(AccessDenied, match='"Can edit" mode'):
        upload(given)
    assert "mark" not in holder(table)


def test_a_missing_secret_is_told_with_the_file(
    upload: Handler, given: dict[str, Any], secret_arn: str
) -> None:
    made_once("secretsmanager").put_secret_value(SecretId=secret_arn, SecretString="{}")
    with pytest.raises(CredentialsMissing, match=r"another shape.*route claims"):
        upload(given)


def test_a_function_that_always_dies_is_not_started_for_ever(
    upload: Handler, given: dict[str, Any], table: Table, states: FakeStates, wire: Wire
) -> None:
    # Given a turn in which functions have died five times in a row
    assert states
    table.update(queue_key("p-claims"), "SET #holder.#kills = :five", five=5)
    with pytest.raises(Exception, match="died 5 times in a row") as raised:
        upload(given)
    assert type(raised.value).__name__ == "FunctionKilled"
    assert wire.calls("POST", DATASET) == []

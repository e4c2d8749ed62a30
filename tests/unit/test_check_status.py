"""CheckStatus: one look, and the wait until the next."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from straight_through.errors import (
    AccessDenied,
    ApiUnavailable,
    PipelineEndUnknown,
    PipelineFailed,
    StraightThroughError,
)
from straight_through.files.duplicates import twin_of
from straight_through.moments import iso
from straight_through.publishing.publish import _ran
from straight_through.queue.notices import NOTICES
from straight_through.queue.pipelines import pipeline_key
from straight_through.queue.records import record_key
from straight_through.queue.table import Table
from straight_through.queue.turns import queue_key
from straight_through.routes import Route
from straight_through.run_state import SCHEMA
from tests.unit.conftest import ROUTE, Event, Handler, give_turn, made_once
from tests.unit.fake_states import FakeStates
from tests.unit.wire import EXECUTIONS, Reply, Wire, json_reply

SUCCEEDED = {
    "id": "e-7",
    "runNumber": 7,
    "status": "Succeeded",
    "createdAt": "2026-05-04T08:15:33Z",
    "startedAt": "2026-05-04T08:15:34Z",
    "finishedAt": "2026-05-04T08:19:34Z",
    "outputs": [
        {"id": "o-1", "name": "Clean claims: Sheet 1"},
        {"id": "o-2", "name": "Validation report"},
    ],
}


@pytest.fixture
def check(handler: Any) -> Handler:
    """The handler."""
    loaded: Handler = handler("check_status")
    return loaded


def listed(wire: Wire, **changed: Any) -> None:
    """Let the list hold our run."""
    wire.answer("GET", EXECUTIONS, json_reply([SUCCEEDED | changed]))


def executed_now(event: Event) -> dict[str, Any]:
    """The sample, as if Execute had been sent a moment ago."""
    given = event("check_status")
    given["record"]["executed_at"] = iso(datetime.now(UTC))
    return given


GOES_ON: Any = {"status": "Started", "finishedAt": None, "outputs": []}


def test_a_run_that_goes_on_changes_nothing_but_the_wait(
    check: Handler, wire: Wire, event: Event
) -> None:
    listed(wire, **GOES_ON)
    given = executed_now(event)
    expected = dict(given["record"]) | {"status": "Started", "wait_seconds": 1}
    given["record"]["wait_seconds"] = 17
    assert check(given) == expected


@pytest.mark.parametrize(("events", "asked"), [("off", []), ("on", ["listener#p-claims"])])
def test_where_no_events_are_taken_the_table_is_asked_for_nothing_of_them(
    handler: Any,
    wire: Wire,
    event: Event,
    monkeypatch: pytest.MonkeyPatch,
    events: str,
    asked: list[str],
) -> None:
    # Given a run whose pipeline's highest number is known
    listed(wire, **GOES_ON)
    check = handler("check_status", QUANTEMPLATE_EVENTS=events)
    first = check(executed_now(event))
    keys, write = list[str](), Table._write

    def noted(self: Table, call: str, request: Any, **more: Any) -> Any:
        keys.append(request["Key"]["pk"]["S"])
        return write(self, call, request, **more)

    # When it is looked at again, then what is written is of events alone, where they are taken
    monkeypatch.setattr(Table, "_write", noted)
    check(executed_now(event) | {"record": first})
    assert keys == asked


@pytest.mark.parametrize("gate", [{"hold_if_rows": ["*"]}, {"hold_if_fewer_rows": 9}])
def test_outputs_of_a_route_with_a_gate_are_fetched_to_where_it_may_hold_them(
    check: Handler, wire: Wire, event: Event, table: Table, gate: dict[str, Any]
) -> None:
    listed(wire)
    value = json.dumps(ROUTE | gate)
    made_once("ssm").put_parameter(
        Name="/straight-through/routes/claims", Value=value, Overwrite=True
    )
    given = event("check_status")
    give_turn(table, given, given["record"]["source"])
    assert check(given)["gated"]


def test_a_run_that_succeeded_brings_its_times_and_outputs(
    check: Handler,
    wire: Wire,
    event: Event,
    table: Table,
    capsys: pytest.CaptureFixture[str],
) -> None:
    listed(wire)
    given, given_record = event("check_status"), event("check_status")["record"]
    give_turn(table, given, given["record"]["source"])
    found = check(given)
    # Then each output, with the rest of the record, is what the next step's samples have
    publish, download = event("publish_run")["record"], event("download_output")
    assert found["status"] == "Succeeded"
    assert found["quantemplate"] == publish["quantemplate"] == download["quantemplate"]
    assert found["outputs"][0] == download["output"]
    assert [output["id"] for output in found["outputs"]] == ["o-1", "o-2"]
    assert found.keys() == publish.keys()
    assert found.keys() - {"outputs", "gated", "not_ours"} == given_record.keys()
    assert (found["gated"], found["not_ours"]) == (False, None)
    # And the delay is measured
    assert "DetectionDelay" in capsys.readouterr().out
    # And the turn is given back
    assert "holder" not in (table.get(queue_key("p-claims")) or {})


def test_the_bytes_of_a_run_that_succeeded_are_remembered_with_it(
    check: Handler, wire: Wire, event: Event, table: Table
) -> None:
    listed(wire)
    given = event("check_status")
    source = given["record"]["source"]
    give_turn(table, given, source)
    check(given)
    ids: Any = ROUTE
    twin = twin_of(table, Route("claims", **ids), source["sha256"], "june", datetime.now(UTC))
    assert twin
    assert (twin["run"], twin["key"]) == (given["record"]["run"], source["key"])


def test_a_run_without_a_file_succeeds_and_has_no_bytes_to_remember(
    check: Handler, wire: Wire, event: Event, table: Table
) -> None:
    listed(wire)
    given = event("check_status")
    give_turn(table, given, given["record"]["source"])
    given["record"] |= {"source": None, "started_at": given["record"]["executed_at"]}
    assert check(given)["status"] == "Succeeded"
    assert list(table.items("bytes#claims")) == []


def test_the_next_file_gets_the_turn_of_a_run_that_ended(
    check: Handler, wire: Wire, event: Event, table: Table, states: FakeStates
) -> None:
    # Given a file that waits while another one's run ends
    given = event("check_status")
    give_turn(table, given, given["record"]["source"])
    table.update(
        ("tickets#p-claims", "2026-05-04T08:16:00.000Z#0#june"),
        "SET #execution_arn = :arn, #run = :run, #redrive_count = :none, #token = :token,"
        " #route = :route, #asked_at = :at",
        arn="arn:june",
        run="june",
        none=0,
        token="june",
        route="claims",
        at="2026-05-04T08:16:00.000Z",
    )
    states.wait("june", "arn:june")
    listed(wire)
    check(given)
    # Then it is woken with a turn of its own
    holder = (table.get(queue_key("p-claims")) or {})["holder"]
    turn = {"queue": "p-claims", "turn_id": holder["turn_id"]}
    assert states.answers == {"june": {"schema": SCHEMA, "turn": turn}}
    assert holder["run"] == "june"
    assert table.first("tickets#p-claims") is None


def test_a_skipped_file_gives_its_turn_back_and_settles_nothing(
    check: Handler, event: Event, table: Table
) -> None:
    # Given a file that was skipped, and an Execute before it of which nobody knows what it made
    given = event("check_status")
    give_turn(table, given, given["record"]["source"])
    table.update(queue_key("p-claims"), "SET #last_post = :post", post={"id": "of-before"})
    given["record"] |= {"status": "Skipped", "quantemplate": None}
    assert check(given)["status"] == "Skipped"
    # Then the next file still finds out
    state = table.get(queue_key("p-claims")) or {}
    assert "holder" not in state
    assert state["last_post"] == {"id": "of-before"}


def test_the_wait_that_a_throttling_server_asks_for_is_waited(
    check: Handler, wire: Wire, event: Event
) -> None:
    for asked, waited in [("17", 17), ("3600", 3600), ("9" * 400, 12 * 3600)]:
        wire.answer("GET", EXECUTIONS, Reply(429, headers={"Retry-After": asked}))
        record = check(executed_now(event))
        assert record["wait_seconds"] == waited
        assert record["status"] == "Started"


def test_trouble_is_waited_for_until_its_deadline_and_then_told(
    check: Handler, wire: Wire, event: Event
) -> None:
    # Given a Quantemplate that does not answer, for the first time
    wire.answer("GET", EXECUTIONS, Reply(503))
    record = check(executed_now(event))
    assert 3 <= record["wait_seconds"] <= 5
    # When it has not for eleven hours, the wait is long, and it is waited on
    record["waiting"]["since"] = iso(datetime.now(UTC) - timedelta(hours=11))
    assert check(event("check_status") | {"record": record})["wait_seconds"] >= 150
    # When it has not for more than twelve, it is told with the times, the file and the route
    since = record["waiting"]["since"] = iso(datetime.now(UTC) - timedelta(hours=12.1))
    late = event("check_status") | {"record": record}
    told = rf"503.*so since {since}, for 12.1 h.*12 h[.].*redrive.*\[file .*, route claims\]$"
    with pytest.raises(ApiUnavailable, match=told):
        check(late)
    # And a redrive gives it as much time again
    late["execution"] |= {"RedriveCount": 1, "RedriveTime": iso(datetime.now(UTC))}
    assert 3 <= check(late)["wait_seconds"] <= 5


def test_a_look_that_succeeds_ends_the_waiting(check: Handler, wire: Wire, event: Event) -> None:
    wire.answer("GET", EXECUTIONS, Reply(503))
    record = check(executed_now(event))
    assert record["waiting"]["kind"] == "ApiUnavailable"
    listed(wire, **GOES_ON)
    assert "waiting" not in check(event("check_status") | {"record": record})


def test_a_failed_pipeline_names_file_and_route_and_gives_the_turn_back(
    check: Handler, wire: Wire, event: Event, table: Table
) -> None:
    given = event("check_status")
    give_turn(table, given, given["record"]["source"])
    listed(wire, status="Failed")
    with pytest.raises(PipelineFailed, match=r"failed at .*\[file s3://.*, route claims\]$"):
        check(given)
    assert "holder" not in (table.get(queue_key("p-claims")) or {})


@pytest.mark.parametrize("status", ["Failed", "Cancelled"])
def test_a_redrive_after_it_was_told_runs_again(
    check: Handler, wire: Wire, event: Event, table: Table, status: str
) -> None:
    # Given a run whose bad end was told
    listed(wire, status=status)
    given = event("check_status")
    give_turn(table, given, given["record"]["source"])
    for _ in range(2):  # a retry of the same attempt tells it again
        with pytest.raises(StraightThroughError, match="Execution 7"):
            check(given)
    # When the execution is redriven
    given["execution"] |= {"RedriveCount": 1, "RedriveTime": iso(datetime.now(UTC))}
    for _ in range(2):  # also where the first reply was lost
        assert check(given)["status"] == "RunAgain"
    # Then the file is to be executed anew
    assert "execution" not in (table.get(record_key(given["execution"]["Name"])) or {})


def test_a_redriven_look_that_succeeds_resumes_the_queue_that_trouble_had_paused(
    check: Handler, wire: Wire, event: Event, table: Table
) -> None:
    # Given a queue that is paused since an execution's look met rejected credentials
    paused = {"since": "2026-05-04T09:00:00.000Z", "error": "CredentialsRejected"}
    table.update(queue_key("p-claims"), "SET #paused = :paused", paused=paused)
    listed(wire, **GOES_ON)
    given = executed_now(event)
    check(given)
    assert "paused" in (table.get(queue_key("p-claims")) or {})
    # When it is redriven and looks again
    given["execution"] |= {"RedriveCount": 1, "RedriveTime": iso(datetime.now(UTC))}
    check(given)
    assert "paused" not in (table.get(queue_key("p-claims")) or {})


def test_a_redrive_that_sees_the_bad_end_first_tells_it(
    check: Handler, wire: Wire, event: Event
) -> None:
    listed(wire, status="Failed")
    given = event("check_status")
    given["execution"] |= {"RedriveCount": 1, "RedriveTime": iso(datetime.now(UTC))}
    with pytest.raises(PipelineFailed):
        check(given)


@pytest.mark.parametrize("status", ["Completed", None, 7])
def test_an_unknown_end_is_an_end(
    check: Handler, wire: Wire, event: Event, table: Table, status: Any
) -> None:
    # Given a run that has ended with a status that nobody knows
    listed(wire, status=status)
    given = event("check_status")
    give_turn(table, given, given["record"]["source"])
    told = rf"'{status}'.*same input.*route claims\]$"
    with pytest.raises(PipelineEndUnknown, match=told):
        check(given)
    # Then the turn is passed on
    assert "holder" not in (table.get(queue_key("p-claims")) or {})
    # And redrives look again, and execute nothing
    for count in (1, 2):
        given["execution"] |= {"RedriveCount": count, "RedriveTime": iso(datetime.now(UTC))}
        with pytest.raises(PipelineEndUnknown):
            check(given)
    # And go on when the status is known by then
    listed(wire)
    assert check(given)["status"] == "Succeeded"
    assert not wire.calls("POST", EXECUTIONS)


def test_an_unknown_status_that_goes_on_is_told_after_an_hour(
    check: Handler, wire: Wire, event: Event, handler: Any, table: Table, states: FakeStates
) -> None:
    # Given a run that goes on with an unknown status, which was first seen almost an hour ago
    listed(wire, **GOES_ON | {"status": "Paused"})
    given = executed_now(event)
    record = check(given)
    assert record["waiting"]["kind"] == "UnknownStatus"
    assert list(table.items(NOTICES)) == []
    record["waiting"]["since"] = iso(datetime.now(UTC) - timedelta(minutes=60))
    record["executed_at"] = iso(datetime.now(UTC) - timedelta(minutes=80))
    for _ in range(2):
        record = check(given | {"record": record})
    # Then a note tells the sweep what to say
    (notice,) = table.items(NOTICES)
    assert "status 'Paused', which nobody here knows" in notice["text"]
    assert "claims/Schäden a+b 100%.csv, route claims" in notice["text"]
    states.wait("token", notice["arn"])
    for _ in range(2):
        handler("sweep_queues")({})
    (notice,) = table.items(NOTICES)
    assert notice["told"]
    # And when the status is known again, it is as ever
    listed(wire, **GOES_ON)
    assert "waiting" not in check(given | {"record": record})


def test_an_unknown_status_is_told_though_the_api_is_away_now_and_then(
    check: Handler, wire: Wire, event: Event
) -> None:
    listed(wire, **GOES_ON | {"status": "Paused"})
    given = executed_now(event)
    record = check(given)
    since = record["waiting"]["since"]
    for _ in range(3):
        wire.answer("GET", EXECUTIONS, Reply(503))
        record = check(given | {"record": record})
        assert record["waiting"]["kind"] == "ApiUnavailable"
        listed(wire, **GOES_ON | {"status": "Paused"})
        record = check(given | {"record": record})
    assert record["waiting"]["kind"] == "UnknownStatus"
    assert record["waiting"]["since"] == since


ODD_TIMES = [
    *(None, "2036-01-01T00:00:00Z", "1777881600000", "2026-05-04T08:15:34"),
    *("2026-05-04T08:15:34Z[UTC]", 1777881600000),
]


@pytest.mark.parametrize("started", ODD_TIMES)
@pytest.mark.parametrize("created", ["2026-05-04T08:15:33Z", *ODD_TIMES])
def test_odd_times_fail_nothing(
    check: Handler, wire: Wire, event: Event, started: Any, created: Any
) -> None:
    # Given a run with odd times, and an earlier one by somebody else with others
    ours = SUCCEEDED | {"createdBy": "u-api", "createdAt": created, "startedAt": started}
    theirs = SUCCEEDED | {"id": "e-8", "runNumber": 8, "createdBy": "u-x"}
    wire.answer("GET", EXECUTIONS, json_reply([ours, theirs]))
    # Then the look succeeds, and how long the run took is told as unknown
    found = check(event("check_status"))
    assert found["status"] == "Succeeded"
    assert _ran(found["quantemplate"]) is None


@pytest.mark.parametrize("started", ODD_TIMES)
def test_odd_times_change_no_wait(check: Handler, wire: Wire, event: Event, started: Any) -> None:
    given = event("check_status")
    given["record"]["executed_at"] = iso(datetime.now(UTC) - timedelta(seconds=1000.5))
    listed(wire, **GOES_ON | {"startedAt": started, "createdAt": started})
    assert check(given)["wait_seconds"] == 100


def test_a_pipeline_that_is_not_found_any_more_is_waited_for(
    check: Handler, wire: Wire, event: Event
) -> None:
    wire.answer("GET", EXECUTIONS, Reply(404))
    record = check(event("check_status"))
    assert "404" in record["waiting"]["for"]
    assert record["status"] == "Started"


def test_a_run_that_ended_without_an_output_says_so(
    check: Handler, wire: Wire, event: Event, capsys: pytest.CaptureFixture[str]
) -> None:
    listed(wire, outputs=[])
    assert check(event("check_status"))["outputs"] == []
    assert "without an output" in capsys.readouterr().out


def test_a_record_of_release_1_0_0_goes_on(check: Handler, wire: Wire, event: Event) -> None:
    # Given an execution under way that knows no time of our own
    given = event("check_status")
    del given["record"]["executed_at"]
    given["execution"]["StartTime"] = iso(datetime.now(UTC) - timedelta(seconds=1000.5))
    listed(wire, **GOES_ON)
    # Then it is looked at as any other, and ends as any other
    assert check(given)["wait_seconds"] == 100
    listed(wire)
    assert check(given)["status"] == "Succeeded"


@pytest.mark.parametrize("number", [7, 9])
def test_the_highest_number_that_a_look_shows_is_kept(
    check: Handler, wire: Wire, event: Event, table: Table, number: int
) -> None:
    newer = SUCCEEDED | {"id": f"e-{number}", "runNumber": number}
    wire.answer("GET", EXECUTIONS, json_reply([SUCCEEDED, newer]))
    record = check(event("check_status"))
    kept = table.get(pipeline_key(record["quantemplate"])) or {}
    # What we knew already is not written again, also by the next look
    assert kept.get("highest") == (9 if number == 9 else None)
    assert record.get("seen") == kept.get("highest")


def test_the_call_at_which_an_attempt_ends_is_noted(
    check: Handler, wire: Wire, event: Event, table: Table
) -> None:
    wire.answer("GET", EXECUTIONS, Reply(403))
    given = event("check_status")
    with pytest.raises(AccessDenied):
        check(given)
    noted = (table.get(record_key(given["execution"]["Name"])) or {})["trouble"]
    assert noted == {"error": "AccessDenied", "call": "list_executions", "redrive_count": 0}


def test_an_attached_run_is_never_run_again(check: Handler, wire: Wire, event: Event) -> None:
    listed(wire, status="Failed")
    given = event("check_status")
    given["record"]["turn"] = None
    for count in range(3):
        given["execution"] |= {"RedriveCount": count}
        with pytest.raises(PipelineFailed):
            check(given)


def test_what_was_not_executed_yet_goes_on_to_be(check: Handler, wire: Wire, event: Event) -> None:
    given = event("check_status")
    given["record"] = {"turn": given["record"]["turn"], "status": "NotExecuted", "wait_seconds": 9}
    assert check(given) == given["record"]
    assert wire.requests == []


def test_an_unknown_status_is_logged_with_the_runs_name(
    check: Handler, wire: Wire, event: Event, capsys: pytest.CaptureFixture[str]
) -> None:
    listed(wire, **GOES_ON | {"status": "Paused"})
    assert check(executed_now(event))["status"] == "Paused"
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["level"] == "WARNING"
    assert line["status"] == "Paused"
    assert line["correlation_id"] == event("check_status")["record"]["run"]

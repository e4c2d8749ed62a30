"""Who is told of what: people by a topic, other systems by events, and each once."""

import json
import uuid
from functools import partial
from typing import Any

import jsonschema

from local.process import ROOT
from local.quantemplate import Control
from tests.end_to_end.mailbox import Mailbox
from tests.end_to_end.road import Road, Run
from tests.end_to_end.stack import make_route
from tests.end_to_end.status_trouble import counts, troubled

ROW = json.loads((ROOT / "layers/straight_through/run_row.schema.json").read_text())
SCHEMA = json.loads((ROOT / "layers/straight_through/run_ended.schema.json").read_text())
CLEAN, REPORT = "Clean claims: Sheet 1", "Validation report: Sheet 1"
FAILS = {"end_status": "Failed"}


def content() -> bytes:
    """A file of one row that no other test drops."""
    return f"reference,amount\n{uuid.uuid4().hex},100\n".encode()


def facts(mailbox: Mailbox, run: Run, number: int = 1) -> dict[str, object]:
    """What the event of a run's attempt tells, as its schema has it."""
    event = mailbox.event(run, number)
    assert (event["source"], event["detail-type"]) == ("straight-through", "Run Ended")
    assert event["resources"] == [run.arn]
    jsonschema.validate(event["detail"], SCHEMA)
    return dict(event["detail"])


def test_a_failed_run_is_told_with_what_to_do(
    road: Road, stand_in: Control, mailbox: Mailbox
) -> None:
    # Given a pipeline that fails
    route = make_route(road, stand_in, CLEAN)
    stand_in.trouble("execute_pipeline", "run", id=route.pipeline_id, run=FAILS)
    # When a file is dropped
    key = f"{route.name}/may.csv"
    run = road.processed(key, content())
    # Then the message says what happened to which file, and what to do
    message = mailbox.message(run)
    assert message["Subject"] == f"Failed (PipelineFailed): {key}"
    for part in (f"s3://{road.inbox}/{key}", "Look at it in Quantemplate", "redrive", "Waited:"):
        assert part in message["Message"]
    assert (
        f"console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/{run.arn}"
        in (message["Message"])
    )
    # And the event has the same facts
    told = facts(mailbox, run)
    assert (told["status"], told["error"], told["attempt"]) == ("Failed", "PipelineFailed", 1)
    assert told["route"] == route.name
    version = road.client("s3").head_object(Bucket=road.inbox, Key=key)["VersionId"]
    assert told["file"] == {"bucket": road.inbox, "key": key, "version_id": version}
    assert told["outputs"] is None


def row(road: Road, run: Run) -> dict[str, Any] | None:
    """The line of a run in the outbox, which its schema describes; None before there is one."""
    s3, name = road.client("s3"), run.name
    listed = s3.list_objects_v2(Bucket=road.outbox, Prefix="runs/").get("Contents", [])
    for key in (each["Key"] for each in listed if each["Key"].endswith(f"/{name}.json")):
        found = json.loads(s3.get_object(Bucket=road.outbox, Key=key)["Body"].read())
        jsonschema.validate(found, ROW)
        return dict(found)
    return None


def test_each_ended_run_is_a_line_of_its_last_attempt(road: Road, stand_in: Control) -> None:
    """docs/query-your-runs.md; the functions' roles let them."""
    # Given a run that has failed
    route = make_route(road, stand_in, CLEAN, destinations=["s3://no-such-bucket-at-all/{run}"])
    key = f"{route.name}/may.csv"
    run = road.processed(key, content())
    failed = road.until(lambda: row(road, run), "the line of a failed run")
    assert (failed["status"], failed["error"], failed["attempt"]) == (
        "Failed",
        "DestinationFailed",
        1,
    )
    assert (failed["source"]["key"], failed["started_by"], failed["outputs"]) == (key, "drop", [])
    assert failed["quantemplate"]["pipeline_id"] == route.pipeline_id
    # When a redrive succeeds
    road.change(route)
    road.redrive(run)
    # Then its line tells of that, with what the manifest has
    ended = road.until(
        lambda: (found := row(road, run)) and found["attempt"] == 2 and found, "the second line"
    )
    _, _, where = ended["manifest"].removeprefix("s3://").partition("/")
    manifest = json.loads(
        road.client("s3").get_object(Bucket=road.outbox, Key=where)["Body"].read()
    )
    assert ended["status"] == "Succeeded"
    for name in ("source", "quantemplate", "outputs", "destinations"):
        assert ended[name] == manifest[name]


def test_each_attempt_is_told(road: Road, stand_in: Control, mailbox: Mailbox) -> None:
    # Given a run that has failed
    route = make_route(road, stand_in, CLEAN, destinations=["s3://no-such-bucket-at-all/{run}"])
    run = road.processed(f"{route.name}/may.csv", content())
    assert facts(mailbox, run)["attempt"] == 1
    # When its redrive fails too, and the next succeeds
    road.redrive(run)
    # Then the second failure is told, and of the success only the event
    told = facts(mailbox, run, 2)
    assert (told["attempt"], told["status"]) == (2, "Failed")
    mailbox.message(run, 2)
    road.change(route)
    assert road.redrive(run).status == "SUCCEEDED"
    told = facts(mailbox, run, 3)
    assert (told["attempt"], told["status"]) == (3, "Succeeded")
    mailbox.settled(run, 3)
    assert len(mailbox.messages(run.name)) == 2


def test_a_file_without_a_route_is_told(road: Road, mailbox: Mailbox) -> None:
    # Given a folder without a route
    folder = f"r{uuid.uuid4().hex[:8]}"
    # When a file is dropped there
    run = road.processed(f"{folder}/may.csv", content())
    # Then people are told which parameter would be its route
    message = mailbox.message(run)
    assert message["Subject"] == f"Failed (NoRoute): {folder}/may.csv"
    assert f"/straight-through/routes/{folder}" in message["Message"]
    told = facts(mailbox, run)
    assert (told["error"], told["route"], told["waited_seconds"]) == ("NoRoute", None, None)


def test_a_held_run_is_an_event_too(road: Road, stand_in: Control, mailbox: Mailbox) -> None:
    # Given a route with a gate
    route = make_route(road, stand_in, CLEAN, REPORT, hold_if_rows=[REPORT])
    # When a run is held
    run = road.processed(f"{route.name}/may.csv", content())
    # Then other systems learn why, and where its outputs are
    told = facts(mailbox, run)
    assert (told["status"], told["held"]) == ("Held", [{"name": REPORT, "rows": 1}])
    assert told["outputs"] == f"s3://{road.outbox}/held/{route.name}/may/{run.name}/"
    # And people once
    mailbox.message(run)
    assert len(mailbox.messages(run.name)) == 1


def test_a_plain_success_is_an_event_and_no_message(
    road: Road, stand_in: Control, mailbox: Mailbox
) -> None:
    # Given a route that says nothing of messages
    route = make_route(road, stand_in, CLEAN)
    # When a file is processed
    run = road.processed(f"{route.name}/may.csv", content())
    # Then the event has its facts
    told = facts(mailbox, run)
    assert (told["status"], told["error"], told["message"]) == ("Succeeded", None, None)
    assert (told["rows_in"], told["rows_out"]) == (1, {CLEAN: 1})
    assert told["outputs"] == f"s3://{road.outbox}/{route.name}/may/{run.name}/"
    assert isinstance(told["waited_seconds"], float | int)
    assert isinstance(told["ran_seconds"], float | int)
    # And nobody is bothered
    mailbox.settled(run)
    assert mailbox.messages(run.name) == []


def test_a_success_is_told_where_the_route_says_so(
    road: Road, stand_in: Control, mailbox: Mailbox
) -> None:
    # Given a route that wants every run told
    route = make_route(road, stand_in, CLEAN, notify="always")
    # When a file is processed
    run = road.processed(f"{route.name}/may.csv", content())
    # Then the message tells what came of it
    message = mailbox.message(run)
    assert message["Subject"] == f"Succeeded: {route.name}/may.csv"
    lines = dict(line.split(":", 1) for line in message["Message"].splitlines())
    assert lines["Rows in"].strip() == "1"
    assert lines["Rows out"].strip() == f"1 in {CLEAN!r}"
    assert lines["Outputs"].strip() == f"s3://{road.outbox}/{route.name}/may/{run.name}/"


def test_a_doubled_status_event_is_told_once(
    road: Road, stand_in: Control, mailbox: Mailbox
) -> None:
    # Given status events that all come twice
    route = make_route(road, stand_in, CLEAN)
    stand_in.trouble("execute_pipeline", "run", id=route.pipeline_id, run=FAILS)
    with troubled(road.endpoint, doubled=1.0):
        # When a run ends badly
        run = road.processed(f"{route.name}/may.csv", content())
        mailbox.settled(run, 2)
        assert counts(road.endpoint)["doubled"] >= 1
    # Then it is told once
    assert len(mailbox.messages(run.name)) == 1
    assert len(mailbox.events(run)) == 1


def test_a_run_of_somebody_else_after_our_upload_is_told_once(
    road: Road, stand_in: Control, mailbox: Mailbox
) -> None:
    # Given a pipeline that also runs by itself after each upload
    route = make_route(road, stand_in, CLEAN)
    others = []
    for name in ("may", "june"):
        uploads = len(stand_in.journal("upload_finished"))
        stand_in.trouble("execute_pipeline", "run", id=route.pipeline_id, run={"never_ends": True})
        key = f"{route.name}/{name}.csv"
        road.drop(key, content())
        more = lambda: len(stand_in.journal("upload_finished")) > uploads  # noqa: B023, E731
        road.until(more, "an upload")
        runs = road.until(lambda: going(stand_in, route.pipeline_id), "our run")
        others.append(stand_in.run(route.pipeline_id)["id"])
        stand_in.finish(runs[0])
        # When our runs end
        run = road.ended(road.until(partial(road.executions_of, key), "an execution")[0])
        assert run.status == "SUCCEEDED", run.cause
        mailbox.settled(run)
        road.until(lambda: not going(stand_in, route.pipeline_id), "an idle pipeline")
    # Then people are told of the first, and not again
    told = mailbox.messages(f"Route {route.name}:")
    assert [message["Subject"] for message in told] == [
        f"Route {route.name}: its pipeline also runs by itself"
    ]
    assert others[0] in told[0]["Message"]
    assert "Auto Run" in told[0]["Message"]


def going(stand_in: Control, pipeline: str) -> list[str]:
    """Ids of the pipeline's runs that go on."""
    runs = stand_in.pipelines()[pipeline]["runs"]
    return [run["id"] for run in runs if not run.get("finishedAt")]

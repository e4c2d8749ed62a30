"""Runs without a file: a route that has no dataset executes its pipeline on what is there."""

import json
from typing import Any

import boto3
import jsonschema
import pytest

from straight_through.names import run_folder
from tests.kills.world import Kill, World
from tests.machine.machine import Execution
from tests.machine.road import DATASET, PIPELINE
from tests.unit.conftest import INBOX, OUTBOX, ROOT
from tests.unit.outbox_runs import objects

MANIFEST = json.loads((ROOT / "layers/straight_through/manifest.schema.json").read_text("utf-8"))


def route(name: str, *, dataset: bool = False, **fields: Any) -> None:
    """Put a route."""
    document = {"organisation_id": "c-broker", "pipeline_id": PIPELINE} | fields
    if dataset:
        document["dataset_id"] = DATASET
    boto3.client("ssm").put_parameter(
        Name=f"/straight-through/routes/{name}",
        Type="String",
        Value=json.dumps(document),
        Overwrite=True,
    )


def filled(world: World) -> None:
    """Let Quantemplate have data before."""
    dropped = world.drop("before")
    world.settle()
    assert dropped.status == "SUCCEEDED"


@pytest.fixture
def stock(world: World) -> str:
    """A route without a dataset, and a dataset that has something."""
    filled(world)
    route("stock")
    return "stock"


def started(world: World, name: str, given: dict[str, Any]) -> Execution:
    """Start a run, and go on until nobody can go further."""
    execution = world.machine.start(name, given)
    world.settle()
    return execution


def made(world: World) -> list[dict[str, Any]]:
    """The executions of the pipeline after the first."""
    return list(world.stand_in.pipelines()[PIPELINE]["runs"])[1:]


def manifest_of(run: str, route_name: str = "stock") -> dict[str, Any]:
    """The manifest of a run, as its schema describes it."""
    s3, key = boto3.client("s3"), f"{route_name}/{run}/manifest.json"
    manifest = json.loads(s3.get_object(Bucket=OUTBOX, Key=key)["Body"].read())
    jsonschema.validate(manifest, MANIFEST)
    return dict(manifest)


def test_its_pipeline_is_executed_and_its_outputs_come_back(world: World, stock: str) -> None:
    # When somebody starts one
    uploads = world.made("POST uploads")
    execution = started(world, "by-hand", {"route": stock})
    # Then it took its turn as any other, executed once, and uploaded nothing
    assert execution.status == "SUCCEEDED", execution.cause
    assert [state for state in execution.passed if state == "TakeTurn"]
    assert len(made(world)) == 1
    assert world.made("POST uploads") == uploads
    assert not world.left_over()
    # And its outputs lie in its own folder, beside a manifest that says what caused it
    manifest = manifest_of("by-hand")
    assert manifest["source"] is None
    assert manifest["cause"] == {"by": "hand"}
    assert manifest["quantemplate"]["dataset_id"] is None
    assert [each["key"] for each in manifest["outputs"]] == ["stock/by-hand/Copy.csv"]
    # And its result tells it
    assert execution.output["cause"] == {"by": "hand"}
    assert execution.output["rows_in"] is None


def test_what_a_gate_holds_of_it_is_released(world: World, stock: str) -> None:
    # Given a gate that holds, a destination and a chain
    boto3.client("s3").create_bucket(
        Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    route("central", dataset=True)
    route(
        stock,
        hold_if_rows=["Copy"],
        destinations=["s3://lake/{route}/{date}/{stem}-{output}.csv"],
        then=[{"route": "central", "output": "*"}],
    )
    held = started(world, "by-hand", {"route": stock})
    assert held.output["status"] == "Held"
    assert held.output["manifest"] == "held/stock/by-hand/manifest.json"
    # When it is released
    release = started(world, "release", {"release": "by-hand"})
    # Then all is published by the run's name and the day of its start
    assert release.status == "SUCCEEDED", release.cause
    manifest = manifest_of("by-hand")
    day = manifest["started_at"][:10]
    s3 = boto3.client("s3")
    assert list(objects(s3, "lake")) == [f"stock/{day}/by-hand-Copy.csv"]
    (chained,) = manifest["chained"]
    assert chained["key"].startswith("central/by-hand Copy ")
    head = s3.head_object(Bucket=INBOX, Key=chained["key"])
    assert head["Metadata"]["parent-run"] == "by-hand"
    assert head["Metadata"]["path"] == "stock"


def test_one_that_failed_is_redriven_and_executed_anew(world: World, stock: str) -> None:
    # Given a pipeline that fails once
    world.stand_in.trouble("execute_pipeline", "run", run={"end_status": "Failed"})
    execution = started(world, "by-hand", {"route": stock})
    assert (execution.status, execution.error) == ("FAILED", "PipelineFailed")
    assert "[run by-hand, route stock]" in execution.cause
    # When it is redriven, then it succeeds by another execution
    world.machine.redrive(execution)
    world.settle()
    assert execution.status == "SUCCEEDED"
    assert len(made(world)) == 2


def test_one_that_is_attached_executes_nothing(world: World, stock: str) -> None:
    first = started(world, "by-hand", {"route": stock})
    followed = first.output and manifest_of("by-hand")["quantemplate"]["execution_id"]
    # When another follows the execution that the first has made
    second = started(world, "attached", {"route": stock, "execution_id": followed})
    # Then nothing was executed, and it has the same outputs
    assert second.status == "SUCCEEDED", second.cause
    assert "UploadAndExecute" in second.passed
    assert len(made(world)) == 1
    assert manifest_of("attached")["quantemplate"]["execution_id"] == followed


def test_a_route_that_uploads_needs_a_file_and_says_so_before_anybody_waits(world: World) -> None:
    filled(world)
    route("claims", dataset=True)
    execution = started(world, "by-hand", {"route": "claims"})
    assert (execution.error, execution.passed) == ("RouteNeedsFile", ["Release?", "CheckFile"])
    assert "Drop a file into the folder claims/" in execution.cause
    # And once the route has no dataset, a redrive runs it
    route("claims")
    world.machine.redrive(execution)
    world.settle()
    assert execution.status == "SUCCEEDED", execution.cause


def test_a_file_is_refused_where_a_route_takes_none(world: World) -> None:
    # Given a file in the folder of a route without a dataset
    route(world.queue)
    execution = world.drop("may")
    world.settle()
    # Then it is refused before anybody waits, and nothing was asked of Quantemplate
    assert (execution.error, execution.passed) == ("RouteTakesNoFile", ["Release?", "CheckFile"])
    assert f"[file s3://{INBOX}/{world.queue}/may.csv, route {world.queue}]" in execution.cause
    assert world.made("POST token") == 0


def test_a_route_that_loses_its_dataset_while_a_file_waits_uploads_nothing(world: World) -> None:
    # Given a file that was checked, and waits
    execution = world.drop("may")
    while "TakeTurn" not in execution.passed:
        world.step(execution)
    # When its route has no dataset any more
    route(world.queue)
    world.settle()
    # Then it is refused within its turn, and executes nothing
    assert execution.error == "RouteTakesNoFile"
    assert not world.stand_in.pipelines()[PIPELINE]["runs"]
    assert not world.left_over()


def test_one_whose_file_went_up_goes_on_where_its_route_takes_none_by_now(world: World) -> None:
    execution = world.drop("may")
    while "WaitForPipeline" not in execution.passed:
        world.step(execution)
    route(world.queue)
    world.settle()
    assert world.problems() == []


def test_a_chain_never_leads_to_a_route_that_takes_no_file(world: World) -> None:
    route("stock")
    route(world.queue, dataset=True, then=[{"route": "stock", "output": "*"}])
    execution = world.drop("may")
    world.settle()
    assert execution.error == "RouteInvalid"
    assert "'stock', which has no dataset_id" in execution.cause
    keys = objects(boto3.client("s3"), INBOX)
    assert not [key for key in keys if key.startswith("stock/")]


def test_two_of_one_route_go_one_after_the_other(world: World, stock: str) -> None:
    for name in ("one", "two"):
        world.machine.start(name, {"route": stock})
    world.settle()
    assert [e.status for e in world.executions("SUCCEEDED")].count("SUCCEEDED") == 3
    assert not list(world.stand_in.violations())
    assert len(made(world)) == 2


# --- datasets that are waited for -------------------------------------------------------------
def test_a_dataset_that_a_route_uploads_to_is_nobodys_to_wait_for(world: World) -> None:
    # Given a dataset that files go up to, and a route of the same queue that waits for its updates
    filled(world)
    route("stock", when={"updated": [DATASET]})
    # When that route runs
    execution = started(world, "by-hand", {"route": "stock"})
    # Then it is refused before anything is asked of the pipeline, and both are named with a remedy
    assert execution.error == "RouteConflict"
    assert f"Route 'stock' waits for updates of dataset c-broker/{DATASET}" in execution.cause
    assert f"route '{world.queue}' uploads to it" in execution.cause
    assert '"then"' in execution.cause
    assert not made(world)
    assert not world.left_over()
    # And once it waits for another, a redrive runs it
    route("stock", when={"updated": ["d-other"]})
    world.machine.redrive(execution)
    world.settle()
    assert execution.status == "SUCCEEDED", execution.cause


def test_a_dataset_that_is_waited_for_is_nobodys_to_upload_to(world: World) -> None:
    # Given a route that has run and waits for a dataset, to which another has uploaded before
    filled(world)
    route(world.queue, dataset_id="d-other")
    route("stock", when={"updated": [DATASET]})
    assert started(world, "by-hand", {"route": "stock"}).status == "SUCCEEDED"
    uploads = world.made(f"POST {DATASET}")
    assert uploads == 1
    route(world.queue, dataset=True)
    # When a file comes whose route uploads there
    execution = world.drop("may")
    world.settle()
    # Then it is refused before its upload
    assert execution.error == "RouteConflict"
    assert "our own uploads would be taken for others' updates" in execution.cause
    assert world.made(f"POST {DATASET}") == uploads
    # And once nobody waits for it, a redrive takes it through
    route("stock", when={"updated": ["d-other"]})
    world.machine.redrive(execution)
    world.settle()
    assert execution.status == "SUCCEEDED", execution.cause


@pytest.mark.parametrize("queue", ["stock", "other"])
def test_two_routes_may_wait_for_one_dataset_within_one_queue(world: World, queue: str) -> None:
    filled(world)
    when = {"updated": ["d-feed"]}
    route("one", queue="stock", pipeline_id="p-one", when=when)
    route("two", queue=queue, pipeline_id="p-two", when=when)
    assert started(world, "first", {"route": "one"}).error != "RouteConflict"
    second = started(world, "second", {"route": "two"})
    assert (second.error == "RouteConflict") == (queue == "other")


SIDE_EFFECTS = ("TransactWriteItems", "UpdateItem", "POST executions", "SendTaskSuccess")


@pytest.mark.parametrize("healing", ["retry", "redrive"])
def test_it_is_executed_once_wherever_its_function_is_killed(world: World, healing: str) -> None:
    # Given each place before and after a side effect of the function that executes
    def story(kill: Kill | None) -> Execution:
        world.begin(kill, healing)
        filled(world)
        route("stock")
        return started(world, "by-hand", {"route": "stock"})

    assert story(None).status == "SUCCEEDED"
    calls = world.calls["upload_and_execute"][1]
    places = [n for n, call in enumerate(calls) if call in SIDE_EFFECTS]
    assert calls.count("POST executions") == 1
    for place in sorted({at for n in places for at in (n, n + 1)}):
        # When it is killed there
        execution = story(Kill("upload_and_execute", 1, place))
        assert world.killed, calls[place - 1 : place + 1]
        # Then the pipeline was executed once for it, and nothing is left
        assert (execution.status, len(made(world))) == ("SUCCEEDED", 1), (place, execution.cause)
        assert not world.left_over()


def test_its_folder_has_no_stem() -> None:
    assert run_folder("stock/eu", None, "r-1") == "stock/eu/r-1/"

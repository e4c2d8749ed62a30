"""Outputs of one route are the files of the next."""

import json
import uuid

import pytest

from local.quantemplate import Control
from tests.end_to_end.road import Road, Route, Run
from tests.end_to_end.stack import make_route
from tests.end_to_end.test_destinations import publisher

CLEAN, REPORT = "Clean claims: Sheet 1", "Validation report: Sheet 1"


def content() -> bytes:
    """A file that no other test drops."""
    return f"reference,amount\n{uuid.uuid4().hex},100\n".encode()


def then(*routes: Route) -> list[dict[str, str]]:
    """The links of a chain to these routes."""
    return [{"route": route.name, "output": "Clean claims: *"} for route in routes]


def next_of(road: Road, run: Run) -> Run:
    """The run that a run has chained on, at its end."""
    (chained,) = road.manifest(run)["chained"]
    return road.ended(road.until(lambda: road.executions_of(chained["key"]), "the next stage")[0])


def test_an_output_goes_through_the_next_route_with_its_lineage(
    road: Road, stand_in: Control
) -> None:
    # Given a chain of three routes
    last = make_route(road, stand_in, "All: Sheet 1")
    central = make_route(road, stand_in, CLEAN, then=then(last))
    first = make_route(road, stand_in, CLEAN, REPORT, then=then(central))
    # When a file is dropped into the first
    file, key = content(), f"{first.name}/Bordereau für Mai.csv"
    run = road.processed(key, file)
    assert run.status == "SUCCEEDED", run.cause
    # Then one of its outputs is the next one's file
    second = next_of(road, run)
    assert second.status == "SUCCEEDED", second.cause
    manifest = road.manifest(second)
    assert manifest["route"] == central.name
    assert manifest["source"]["key"].startswith(f"{central.name}/")
    assert manifest["parent"] == {
        "run": run.name,
        "key": key,
        "output": CLEAN,
        "path": [first.name],
    }
    # And the last one's output is what was dropped, and knows the way that it came
    third = next_of(road, second)
    assert third.status == "SUCCEEDED", third.cause
    manifest = road.manifest(third)
    assert manifest["parent"]["path"] == [first.name, central.name]
    assert road.stored(manifest["outputs"][0]["key"]) == file


def test_a_repeated_publish_chains_once(road: Road, stand_in: Control) -> None:
    # Given a route with a next stage, whose manifest cannot be written
    central = make_route(road, stand_in, "Central")
    first = make_route(road, stand_in, CLEAN, then=then(central))
    deny = {
        "Effect": "Deny",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{road.outbox}/{first.name}/*manifest.json",
    }
    road.client("iam").put_role_policy(
        RoleName=publisher(road),
        PolicyName="no-manifest",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [deny]}),
    )
    # When a file is dropped, PublishRun fails after it has chained, and is redriven
    try:
        failed = road.processed(f"{first.name}/may.csv", content())
    finally:
        road.client("iam").delete_role_policy(RoleName=publisher(road), PolicyName="no-manifest")
    assert (failed.error, failed.failed_at) == ("OutboxDenied", "PublishRun")
    listed = road.client("s3").list_objects_v2(Bucket=road.inbox, Prefix=f"{central.name}/")
    assert listed["KeyCount"] == 1
    run = road.redrive(failed)
    assert run.status == "SUCCEEDED", run.cause
    # Then the next stage has one file, in one version, and has run once
    assert next_of(road, run).status == "SUCCEEDED"
    (chained,) = road.manifest(run)["chained"]
    found = road.client("s3").list_object_versions(Bucket=road.inbox, Prefix=f"{central.name}/")
    assert [version["Key"] for version in found["Versions"]] == [chained["key"]]
    assert len(road.executions_of(chained["key"])) == 1
    assert len(stand_in.pipelines()[central.pipeline_id]["runs"]) == 1


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_cycle_is_refused_before_it_is_entered(
    road: Road, stand_in: Control, length: int
) -> None:
    # Given a chain of routes that leads back to its first
    routes = [make_route(road, stand_in, CLEAN) for _ in range(length)]
    for route, following in zip(routes, [*routes[1:], routes[0]], strict=True):
        road.change(route, then=then(following))
    # When a file is dropped into the first
    run = road.processed(f"{routes[0].name}/may.csv", content())
    # Then the message names each hop
    assert (run.error, run.failed_at) == ("ChainCycle", "PublishRun")
    message = json.loads(run.cause)["errorMessage"]
    assert " → ".join(route.name for route in [*routes, routes[0]]) in message
    # And nothing was chained
    for route in routes[1:]:
        assert stand_in.pipelines()[route.pipeline_id]["runs"] == []
    # And when the cycle is opened, a redrive goes on
    road.change(routes[-1])
    again = road.redrive(run)
    assert again.status == "SUCCEEDED", again.cause


def test_a_chain_that_becomes_a_cycle_under_way_ends(road: Road, stand_in: Control) -> None:
    # Given a file that has come from one route into another
    second = make_route(road, stand_in, CLEAN)
    first = make_route(road, stand_in, CLEAN, then=then(second))
    stand_in.trouble("execute_pipeline", "run", id=second.pipeline_id, run={"never_ends": True})
    run = road.processed(f"{first.name}/may.csv", content())
    runs = stand_in.pipelines
    road.until(lambda: runs()[second.pipeline_id]["runs"], "the next stage")
    # When that is chained back to the first meanwhile
    road.change(second, then=then(first))
    road.change(first)
    stand_in.finish(runs()[second.pipeline_id]["runs"][0]["id"])
    # Then the way that the file has come is known, and it does not go round
    ended = next_of(road, run)
    assert (ended.error, ended.failed_at) == ("ChainCycle", "PublishRun")
    message = json.loads(ended.cause)["errorMessage"]
    assert f"{first.name} → {second.name} → {first.name}" in message
    assert len(runs()[first.pipeline_id]["runs"]) == 1


def test_a_next_route_that_does_not_exist_is_named(road: Road, stand_in: Control) -> None:
    # Given a chain to a folder without a route
    first = make_route(road, stand_in, CLEAN, then=[{"route": "nowhere-at-all", "output": CLEAN}])
    # When a file is dropped
    run = road.processed(f"{first.name}/may.csv", content())
    # Then the message names it
    assert (run.error, run.failed_at) == ("NoRoute", "PublishRun")
    assert "'nowhere-at-all'" in run.cause

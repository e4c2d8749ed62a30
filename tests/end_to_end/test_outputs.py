"""Which outputs come back, and what they carry."""

import uuid
from urllib.parse import quote

from local.quantemplate import Control
from tests.end_to_end.road import Road
from tests.end_to_end.stack import make_route

CLEAN, REPORT, MAPPING = "Clean claims: Sheet 1", "Validation report: Sheet 1", "Mapping: Sheet 1"


def content() -> bytes:
    """A file of one row that no other test drops."""
    return f"reference,amount\n{uuid.uuid4().hex},100\n".encode()


def test_only_the_outputs_that_the_route_names_come_back(road: Road, stand_in: Control) -> None:
    # Given a route that names one output in full and one by a pattern, of three
    names = ["Clean claims: *", MAPPING]
    route = make_route(road, stand_in, CLEAN, REPORT, MAPPING, outputs=names)
    # When a file is dropped
    run = road.processed(f"{route.name}/may.csv", content())
    # Then these two come back, and the third was not even asked for
    assert run.status == "SUCCEEDED", run.cause
    assert [output["name"] for output in road.manifest(run)["outputs"]] == [CLEAN, MAPPING]
    assert len(road.stored_keys(f"{route.name}/")) == 3  # with the manifest
    assert road.entered(run).count("DownloadOutput") == 2


def test_what_the_gate_looks_at_comes_back_too(road: Road, stand_in: Control) -> None:
    # Given a route that selects one output and gates another, which has no rows
    more = {"outputs": [CLEAN], "hold_if_rows": [REPORT]}
    route = make_route(road, stand_in, CLEAN, REPORT, MAPPING, **more)
    # When a file is dropped
    run = road.processed(f"{route.name}/may.csv", b"reference,amount\n")
    # Then both are there
    assert [output["name"] for output in road.manifest(run)["outputs"]] == [CLEAN, REPORT]


def test_an_output_that_the_run_did_not_make_is_an_error(road: Road, stand_in: Control) -> None:
    # Given a route that names an output that its pipeline does not make
    route = make_route(road, stand_in, CLEAN, REPORT, outputs=[CLEAN, "Loss triangles"])
    # When a file is dropped
    run = road.processed(f"{route.name}/may.csv", content())
    # Then the message names it and those that there are
    assert (run.error, run.failed_at) == ("OutputMissing", "CheckStatus")
    for name in ("Loss triangles", CLEAN, REPORT, route.name):
        assert repr(name) in run.cause or name in run.cause
    # And when the route is mended, a redrive goes on without another run
    road.change(route, outputs=[CLEAN])
    again = road.redrive(run)
    assert again.status == "SUCCEEDED", again.cause
    assert len(stand_in.pipelines()[route.pipeline_id]["runs"]) == 1


def test_outputs_carry_where_they_come_from(road: Road, stand_in: Control) -> None:
    # Given routes without and with a gate, which the run passes
    for more in ({}, {"hold_if_rows": [REPORT]}):
        route = make_route(road, stand_in, CLEAN, REPORT, **more)
        # When a file with a name that no header may hold is dropped
        key = f"{route.name}/Bordereau für Mai.csv"
        run = road.processed(key, b"reference,amount\n")
        # Then each output carries run, key and version
        for output in road.manifest(run)["outputs"]:
            head = road.client("s3").head_object(Bucket=road.outbox, Key=output["key"])
            version = road.manifest(run)["source"]["version_id"]
            told = {"run": run.name, "source-key": quote(key), "source-version": version}
            assert told.items() <= head["Metadata"].items()


def test_the_longest_key_leaves_room_for_its_lineage(road: Road, stand_in: Control) -> None:
    # Given a key that is longer, quoted, than the metadata of an object may be
    route = make_route(road, stand_in, CLEAN)
    key = f"{route.name}/{'ü' * 480}.csv"
    # When it is dropped
    run = road.processed(key, content())
    # Then its output carries as much of it as there is room for
    assert run.status == "SUCCEEDED", run.cause
    (output,) = road.manifest(run)["outputs"]
    metadata = road.client("s3").head_object(Bucket=road.outbox, Key=output["key"])["Metadata"]
    assert sum(len(name) + len(value) for name, value in metadata.items()) <= 2048
    assert metadata["source-key"].startswith(f"{route.name}/%C3%BC")


def test_a_route_that_is_deleted_under_way_is_named(road: Road, stand_in: Control) -> None:
    # Given a run that goes on
    route = make_route(road, stand_in, CLEAN)
    key = f"{route.name}/may.csv"
    stand_in.trouble("execute_pipeline", "run", id=route.pipeline_id, run={"never_ends": True})
    road.drop(key, content())
    runs = stand_in.pipelines
    road.until(lambda: runs()[route.pipeline_id]["runs"], "a run that goes on")
    # When its route is deleted before it ends
    parameter = f"{road.routes_path}/{route.name}"
    road.client("ssm").delete_parameter(Name=parameter)
    stand_in.finish(runs()[route.pipeline_id]["runs"][0]["id"])
    run = road.ended(road.until(lambda: road.executions_of(key), "an execution")[0])
    # Then the message names the parameter and says what to do
    assert (run.error, run.failed_at) == ("NoRoute", "CheckStatus")
    assert parameter in run.cause
    assert "redrive" in run.cause
    assert key in run.cause
    # And when it is there again, a redrive fetches the outputs of the same run
    road.change(route)
    assert road.redrive(run).status == "SUCCEEDED"
    assert len(runs()[route.pipeline_id]["runs"]) == 1

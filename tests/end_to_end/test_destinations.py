"""Copies of the outputs go to other buckets, each for itself."""

import json
import uuid
from typing import Any

from botocore.exceptions import ClientError

from local.quantemplate import Control
from tests.end_to_end.road import Road, Route, Run
from tests.end_to_end.stack import NOT_ALLOWED, PARTNER, make_route

CLEAN, REPORT = "Clean claims: Sheet 1", "Validation report: Sheet 1"


def content() -> bytes:
    """A file that no other test drops."""
    return f"reference,amount\n{uuid.uuid4().hex},100\n".encode()


def read(road: Road, bucket: str, key: str) -> bytes:
    """What lies there; nothing if nothing does."""
    try:
        return bytes(road.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError:
        return b""


def outcomes(road: Road, run: Run) -> dict[str, str]:
    """What became of each copy."""
    return {each["uri"]: each["outcome"] for each in road.manifest(run)["destinations"]}


def test_outputs_are_copied_to_all_destinations(road: Road, stand_in: Control) -> None:
    # Given a route with two destinations, one of them with every placeholder
    route = make_route(road, stand_in, CLEAN, REPORT)
    road.change(
        route,
        outputs=[CLEAN],
        destinations=[
            f"s3://{PARTNER}/{{route}}/{{date}}/{{stem}}/{{run}}/{{output}}.csv",
            f"s3://{road.outbox}/{route.name}-{{output}}.csv",
        ],
    )
    # When a file is dropped
    file = content()
    run = road.processed(f"{route.name}/2026/may.csv", file)
    # Then the selected output lies in both, and carries where it comes from
    assert run.status == "SUCCEEDED", run.cause
    date = road.manifest(run)["source"]["dropped_at"][:10]
    key = f"{route.name}/{date}/2026/may/{run.name}/{CLEAN}.csv"
    assert outcomes(road, run) == {
        f"s3://{PARTNER}/{key}": "Copied",
        f"s3://{road.outbox}/{route.name}-{CLEAN}.csv": "Copied",
    }
    assert read(road, PARTNER, key) == file
    assert read(road, road.outbox, f"{route.name}-{CLEAN}.csv") == file
    metadata = road.client("s3").head_object(Bucket=PARTNER, Key=key)["Metadata"]
    assert metadata["run"] == run.name
    assert metadata["source-key"] == f"{route.name}/2026/may.csv"


def test_outputs_that_would_meet_are_refused_before_any_is_written(
    road: Road, stand_in: Control
) -> None:
    # Given a route whose two outputs would have one key at its second destination
    route = make_route(road, stand_in, CLEAN, REPORT)
    fine = f"s3://{PARTNER}/{{route}}/{{output}}.csv"
    road.change(route, destinations=[fine, f"s3://{PARTNER}/{{route}}/latest.csv"])
    # When a file is dropped
    run = road.processed(f"{route.name}/may.csv", content())
    # Then both are named, and nothing was exported
    assert (run.error, run.failed_at) == ("DestinationClash", "PublishRun")
    for name in (CLEAN, REPORT, f"s3://{PARTNER}/{route.name}/latest.csv"):
        assert name in run.cause
    assert read(road, PARTNER, f"{route.name}/{CLEAN}.csv") == b""


def publisher(road: Road) -> str:
    """The role of PublishRun."""
    function = road.client("lambda").get_function_configuration(
        FunctionName="straight-through-publish_run"
    )
    return str(function["Role"].rpartition("/")[2])


def versions(road: Road, key: str) -> int:
    """How many versions of a key the outbox has."""
    listed = road.client("s3").list_object_versions(Bucket=road.outbox, Prefix=key)
    return len(listed.get("Versions", ()))


def test_a_destination_that_fails_keeps_no_other_from_its_own(
    road: Road, stand_in: Control
) -> None:
    # Given a route with a bucket that may not be written, one that does not exist, and a good one
    route = make_route(road, stand_in, CLEAN)
    name = f"{route.name}-export.csv"
    foreign, good = f"s3://{NOT_ALLOWED}/{name}", f"s3://{road.outbox}/{name}"
    missing = f"s3://no-such-bucket-{uuid.uuid4().hex[:8]}/{name}"
    road.change(route, destinations=[foreign, missing, good])
    # When a file is dropped
    file = content()
    run = road.processed(f"{route.name}/may.csv", file)
    # Then the message names the two that failed, and why
    assert (run.error, run.failed_at) == ("DestinationFailed", "PublishRun")
    assert "2 of 3 exports failed" in run.cause
    assert f"{foreign} (S3 answered 403" in run.cause
    assert missing in run.cause
    assert "DestinationBuckets" in run.cause
    # And the third is there, though there is no manifest yet
    assert read(road, road.outbox, name) == file
    assert not [k for k in road.stored_keys(f"{route.name}/") if k.endswith("manifest.json")]
    # When the role may write there, and the route is mended
    allow = {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{NOT_ALLOWED}*"}
    road.client("iam").put_role_policy(
        RoleName=publisher(road),
        PolicyName="foreign",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
    )
    road.change(route, destinations=[foreign, good])
    try:
        again = road.redrive(run)
    finally:
        road.client("iam").delete_role_policy(RoleName=publisher(road), PolicyName="foreign")
    # Then a redrive repeats what failed and nothing else
    assert again.status == "SUCCEEDED", again.cause
    assert outcomes(road, again) == {foreign: "Copied", good: "Copied"}
    assert read(road, NOT_ALLOWED, name) == file
    assert versions(road, name) == 1
    assert road.entered(again).count("DownloadOutput") == 1


def begun(road: Road, stand_in: Control, route: Route, file: bytes) -> str:
    """Drop a file whose run goes on; return its key."""
    stand_in.trouble("execute_pipeline", "run", id=route.pipeline_id, run={"never_ends": True})
    key = f"{route.name}/may.csv"
    road.drop(key, file)
    road.until(lambda: runs_of(stand_in, route), "a run that goes on")
    return key


def runs_of(stand_in: Control, route: Route) -> list[Any]:
    """The runs of a route's pipeline."""
    return list(stand_in.pipelines()[route.pipeline_id]["runs"])


def test_a_fixed_key_has_the_newest_file_though_an_older_run_ends_later(
    road: Road, stand_in: Control
) -> None:
    # Given two routes with one fixed key, and a run of the first that goes on
    latest = f"s3://{PARTNER}/{uuid.uuid4().hex}/latest.csv"
    slow = make_route(road, stand_in, CLEAN, destinations=[latest])
    quick = make_route(road, stand_in, CLEAN, destinations=[latest])
    key = latest.removeprefix(f"s3://{PARTNER}/")
    old, new, newest = content(), content(), content()
    first = begun(road, stand_in, slow, old)
    # When a newer file has been through before it ends
    second = road.processed(f"{quick.name}/june.csv", new)
    assert outcomes(road, second) == {latest: "Copied"}
    stand_in.finish(runs_of(stand_in, slow)[0]["id"])
    run = road.ended(road.until(lambda: road.executions_of(first), "an execution")[0])
    # Then the newer file's output stays, and the older run says so
    assert run.status == "SUCCEEDED", run.cause
    assert outcomes(road, run) == {latest: "Superseded"}
    assert read(road, PARTNER, key) == new
    # And the next file replaces it
    third = road.processed(f"{slow.name}/july.csv", newest)
    assert outcomes(road, third) == {latest: "Copied"}
    assert read(road, PARTNER, key) == newest

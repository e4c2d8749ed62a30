"""A dropped file comes back as its pipeline's output."""

import hashlib
import json
import uuid
from urllib.parse import quote

import jsonschema
import pytest

from local.process import ROOT
from local.quantemplate import Control
from quantemplate.client import Credentials, Quantemplate
from tests.end_to_end.road import Road, Route
from tests.end_to_end.stack import make_route, sample

SCHEMA = json.loads((ROOT / "layers/straight_through/manifest.schema.json").read_text())


def test_outputs_are_byte_for_byte_what_the_pipeline_made(road: Road, stand_in: Control) -> None:
    # Given a claims bordereau with the usual warts
    bordereau = sample("claims_may.csv")
    # When it is dropped
    key = f"claims/{uuid.uuid4().hex}/may.csv"
    run = road.processed(key, bordereau)
    # Then each output is what Quantemplate gives for that run, and the manifest agrees with it
    assert run.status == "SUCCEEDED", run.cause
    manifest = road.manifest(run)
    jsonschema.validate(manifest, SCHEMA)
    client = Quantemplate(
        Credentials(stand_in.client_id, stand_in.client_secret),
        api_url=stand_in.api_url,
        token_url=stand_in.token_url,
    )
    names = ["Clean claims: Sheet 1", "Validation report: Sheet 1", "Mapping report: Sheet 1"]
    assert [output["name"] for output in manifest["outputs"]] == names
    for output in manifest["outputs"]:
        ids = manifest["quantemplate"]
        with client.download_output(
            ids["organisation_id"], ids["pipeline_id"], ids["execution_id"], output["id"]
        ) as download:
            made = b"".join(download)
        assert road.stored(output["key"]) == made
        assert output["bytes"] == len(made)
        assert output["sha256"] == hashlib.sha256(made).hexdigest()
        assert output["rows"] == made.decode().count("\n") - 1
        assert output["key"].endswith(f"/{run.name}/{output['name']}.csv")


def test_manifest_tells_what_was_dropped(road: Road, copy_route: Route) -> None:
    # Given a file
    content = b"reference,insured\n1,M\xc3\xbcller\n"
    # When it has been processed
    key = f"{copy_route.name}/2026/may.csv"
    run = road.processed(key, content)
    # Then the manifest names the version, the route and the run
    manifest = road.manifest(run)
    head = road.client("s3").head_object(Bucket=road.inbox, Key=key)
    assert manifest["run"] == run.name
    assert manifest["execution_arn"] == run.arn
    assert manifest["route"] == copy_route.name
    assert manifest["source"] == {
        "bucket": road.inbox,
        "key": key,
        "version_id": head["VersionId"],
        "size": len(content),
        "etag": head["ETag"].strip('"'),
        "dropped_at": head["LastModified"].isoformat().replace("+00:00", "Z"),
        "sha256": hashlib.sha256(content).hexdigest(),
        "rows": 1,
    }
    assert manifest["parent"] is None
    assert manifest["quantemplate"]["pipeline_id"] == copy_route.pipeline_id
    assert manifest["quantemplate"]["run_number"] == 1
    folder = f"{copy_route.name}/2026/may/{run.name}/"
    assert road.stored_keys(copy_route.name) == [
        folder + "Copy: Sheet 1.csv",
        folder + "manifest.json",
    ]
    # And the states are those of the design, in order
    states = ["Release?", "CheckFile", "FileChecked?", "TakeTurn", "UploadAndExecute"]
    assert road.entered(run)[:6] == [*states, "WaitForPipeline"]
    download = ["DownloadOutputs", "DownloadOutput", "OutputStored?", "OutputStored"]
    assert road.entered(run)[-5:] == [*download, "PublishRun"]


def test_a_changed_pipeline_is_told_with_the_first_run_that_it_processed(
    road: Road, stand_in: Control
) -> None:
    # Given a route whose pipeline is changed after its first file
    route = make_route(road, stand_in, "Copy")
    first = road.manifest(road.processed(f"{route.name}/may.csv", b"id\n1\n"))
    stand_in.define_pipeline(
        route.pipeline_id, kind="copy", datasets=[route.dataset_id], outputs=["Copy"]
    )
    # When two more come
    more = [
        road.manifest(road.processed(f"{route.name}/{name}.csv", name.encode()))
        for name in ("june", "july")
    ]
    # Then each manifest tells by which revision it was processed, and which the run before was
    versions = [
        (made["pipeline_version"], made["pipeline_version_before"])
        for made in (manifest["quantemplate"] for manifest in (first, *more))
    ]
    assert versions == [(1, None), (2, 1), (2, 2)]


@pytest.mark.parametrize(
    "name",
    [
        "a b.csv",
        "a+b.csv",
        "a%20b.csv",
        "100%.csv",
        "übersicht März.csv",
        "😀.csv",
        "quo'te\"d, (1) [2] {3} $&@=;:.csv",
        "k" * 880 + ".csv",
        "ä" * 440 + ".csv",
        "no extension",
    ],
)
def test_any_key_works(road: Road, copy_route: Route, name: str) -> None:
    # Given a key that is awkward somewhere on the road
    key, content = f"{copy_route.name}/{name}", f"name\n{uuid.uuid4()}\n".encode()
    # When it is dropped
    run = road.processed(key, content)
    # Then it comes back under a key of at most 1,024 bytes
    assert run.status == "SUCCEEDED", run.cause
    manifest = road.manifest(run)
    assert manifest["source"]["key"] == key
    (output,) = manifest["outputs"]
    assert road.stored(output["key"]) == content
    assert len(output["key"].encode()) <= 1024


def test_output_names_stay_readable_and_distinct(road: Road, stand_in: Control) -> None:
    # Given a pipeline with awkward output names, two of them alike
    names = ["Addresses: RMS", "a/b", "Totals", "Totals", "..", "long " * 60, "😀 ü"]
    route = make_route(road, stand_in, *names)
    # When a file has been processed
    run = road.processed(f"{route.name}/may.csv", b"a\n1\n")
    # Then each has a key of its own, all in one folder
    assert run.status == "SUCCEEDED", run.cause
    outputs = road.manifest(run)["outputs"]
    assert [output["name"] for output in outputs] == names
    keys = [output["key"].removeprefix(f"{route.name}/may/{run.name}/") for output in outputs]
    assert len(set(keys)) == len(names)
    assert not any("/" in key for key in keys)
    assert keys[0] == "Addresses: RMS.csv"
    assert keys[6] == "😀 ü.csv"
    assert set(road.stored_keys(route.name)) == {
        *(output["key"] for output in outputs),
        run.output["manifest"],
    }


def test_the_deepest_folder_with_a_route_wins(road: Road, stand_in: Control) -> None:
    # Given a route, and one for a folder inside of it
    outer, inner = make_route(road, stand_in, "Outer"), make_route(road, stand_in, "Inner")
    road.route_to(inner.dataset_id, inner.pipeline_id, f"{outer.name}/eu")
    # When files are dropped beside it, into it and below it
    routes = [
        road.manifest(road.processed(f"{outer.name}/{rest}", b"a\n1\n"))["route"]
        for rest in ("may.csv", "eu/may.csv", "eu/2026 Q2/may.csv", "us/may.csv")
    ]
    # Then each takes the nearest
    assert routes == [outer.name, f"{outer.name}/eu", f"{outer.name}/eu", outer.name]


def test_a_changed_route_counts_from_the_next_file_on(road: Road, stand_in: Control) -> None:
    # Given a route under which a file has been processed
    old, new = make_route(road, stand_in, "Old"), make_route(road, stand_in, "New")
    before = road.manifest(road.processed(f"{old.name}/a.csv", b"a\n1\n"))
    # When the route is changed to another pipeline
    road.route_to(new.dataset_id, new.pipeline_id, old.name)
    after = road.manifest(road.processed(f"{old.name}/b.csv", b"a\n1\n"))
    # Then the next file goes there
    assert before["quantemplate"]["pipeline_id"] == old.pipeline_id
    assert after["quantemplate"]["pipeline_id"] == new.pipeline_id


def test_the_same_event_twice_starts_one_execution(road: Road, copy_route: Route) -> None:
    # Given a file that was processed
    key = f"{copy_route.name}/may.csv"
    run = road.processed(key, b"a\n1\n")
    # When its event comes again, which S3 does not rule out
    version = road.manifest(run)["source"]["version_id"]
    item = {"key": key, "version-id": version, "sequencer": "0065F1C2A4B7D8E901"}
    event = {
        "time": "2026-05-04T08:15:30Z",
        "detail": {"bucket": {"name": road.inbox}, "object": item},
    }
    sqs = road.client("sqs")
    (queue,) = (url for url in sqs.list_queues()["QueueUrls"] if "-Drops-" in url)
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(event))
    # Then StartRun says so and nothing new is started
    road.until(lambda: road.logs("Started already"), "a log line")
    assert road.executions_of(key) == [run.arn]


def test_overwriting_a_key_processes_both_versions(road: Road, copy_route: Route) -> None:
    # Given a file that was processed
    key = f"{copy_route.name}/may.csv"
    first = road.processed(key, b"a\nfirst\n")
    # When the key is overwritten
    road.drop(key, b"a\nsecond\n")
    road.until(lambda: len(road.executions_of(key)) == 2, "a second execution")
    second = road.ended(road.executions_of(key)[0])
    # Then each run has its own bytes and folder
    contents = [road.stored(road.manifest(run)["outputs"][0]["key"]) for run in (first, second)]
    assert contents == [b"a\nfirst\n", b"a\nsecond\n"]


def test_a_new_execution_with_the_same_input_runs_again(road: Road, copy_route: Route) -> None:
    # Given a file that was processed
    key = f"{copy_route.name}/may.csv"
    first = road.processed(key, b"a\n1\n")
    # When an operator starts a new run in the console, without naming a version
    second = road.ended(road.start({"bucket": road.inbox, "key": key}))
    # Then it runs again, pinned to the version that is there, into a folder of its own
    assert second.status == "SUCCEEDED", second.cause
    manifests = [road.manifest(run) for run in (first, second)]
    assert manifests[0]["source"] == manifests[1]["source"]
    assert [m["quantemplate"]["run_number"] for m in manifests] == [1, 2]
    assert first.output["manifest"] != second.output["manifest"]


def test_an_old_version_can_be_run_again(road: Road, copy_route: Route) -> None:
    # Given a key that was overwritten
    key = f"{copy_route.name}/may.csv"
    old = road.manifest(road.processed(key, b"a\nold\n"))["source"]["version_id"]
    road.drop(key, b"a\nnew\n")
    # When an execution is started with the old version
    run = road.ended(road.start({"bucket": road.inbox, "key": key, "version_id": old}))
    # Then the old bytes are processed
    assert road.stored(road.manifest(run)["outputs"][0]["key"]) == b"a\nold\n"


@pytest.mark.parametrize(
    "name", ["", "may.csv.filepart", "~$may.xlsx", ".DS_Store", "_SUCCESS", "._sent.csv"]
)
def test_markers_and_ignored_files_start_nothing(road: Road, copy_route: Route, name: str) -> None:
    # Given a folder marker or a file that no person means to drop
    ignored = f"{copy_route.name}/{name}"
    # When it is dropped
    road.drop(ignored, b"" if not name else b"x")
    # Then StartRun says that it is ignored, and a file after it is the only one that runs
    road.until(lambda: [line for line in road.logs('"Ignored"') if ignored in line], "a log line")
    assert road.executions_of(ignored) == []


def test_large_file_is_streamed_in_parts(road: Road, copy_route: Route) -> None:
    # Given a file beyond one part of a multipart upload
    content = b"reference,amount\n" + b'"a\nb",1\n' * 2_500_000
    # When it is processed
    run = road.processed(f"{copy_route.name}/large.csv", content)
    # Then it comes back the same, and rows are counted as CSV rows
    assert run.status == "SUCCEEDED", run.cause
    (output,) = road.manifest(run)["outputs"]
    assert output["sha256"] == hashlib.sha256(content).hexdigest()
    assert output["rows"] == 2_500_000
    head = road.client("s3").head_object(Bucket=road.outbox, Key=output["key"])
    assert head["ContentLength"] == len(content)
    assert "-" in head["ETag"], "it came in one part"


def test_no_secret_and_no_content_in_logs_and_history(road: Road, stand_in: Control) -> None:
    # Given a file with a content that can be recognised
    mark = uuid.uuid4().hex
    route = make_route(road, stand_in, "Copy")
    # When it has been processed
    run = road.processed(f"{route.name}/may.csv", f"a\n{mark}\n".encode())
    # Then neither it, nor the client secret, nor a token is in any log or history
    traces = "\n".join(road.logs()) + json.dumps(road.history(run.arn), default=str)
    assert run.name in traces
    for secret in (mark, stand_in.client_secret, "Bearer "):
        assert secret not in traces, "a secret is in a log"
        assert quote(secret) not in traces

"""What is looked at before a file goes up."""

import gzip
import json
import uuid
from functools import partial
from typing import Any

import pytest

from local.quantemplate import Control
from tests.end_to_end.mailbox import Mailbox
from tests.end_to_end.road import Road, Route, Run
from tests.end_to_end.stack import make_route
from tests.unit.sent import case, old_workbook, workbook

CLEAN = "Clean claims: Sheet 1"
MARK = b"\xef\xbb\xbf"
XLSX, XLS = workbook([["reference"], ["A"]]), old_workbook([["reference"], ["A"]])


def content() -> bytes:
    """A file that no other test drops."""
    return f"reference,amount\n{uuid.uuid4().hex},100\n".encode()


def uploaded(stand_in: Control, route: Route) -> int:
    """How often the route's dataset was uploaded to; its first version is the stand-in's own."""
    return len(stand_in.datasets()[route.dataset_id]["versions"])


def output_of(road: Road, run: Run) -> bytes:
    """The only output, which is what was uploaded."""
    assert run.status == "SUCCEEDED", run.cause
    (output,) = road.manifest(run)["outputs"]
    return road.stored(output["key"])


def test_a_gzipped_file_goes_up_without_its_mark(road: Road, copy_route: Route) -> None:
    # Given a gzipped CSV that starts with a byte-order mark, in two members
    text = content()
    file = gzip.compress(MARK + text) + gzip.compress(b"B,200\n")
    # When it is dropped
    run = road.processed(f"{copy_route.name}/may.csv.gz", file)
    # Then what went up is the same text without the mark
    (output,) = road.manifest(run)["outputs"]
    made = road.stored(output["key"])
    assert (gzip.decompress(made) if made.startswith(b"\x1f\x8b") else made) == text + b"B,200\n"


def test_a_gzipped_file_without_a_mark_goes_up_as_it_is(
    road: Road, stand_in: Control, copy_route: Route
) -> None:
    # Given a gzipped CSV without a mark
    file = gzip.compress(content())
    # When it is dropped
    run = road.processed(f"{copy_route.name}/may.csv.gz", file)
    # Then not a byte of it is changed
    assert run.status == "SUCCEEDED", run.cause
    versions = stand_in.datasets()[copy_route.dataset_id]["versions"]
    assert versions[-1]["bytes"] == len(file)


@pytest.mark.parametrize(
    ("name", "file", "says"),
    [
        ("may.csv", XLSX, "XLSX"),
        ("may.csv", gzip.compress(b"a,b\n", mtime=0), "gzip"),
        ("may.csv.gz", b"a,b\n1,2\n", "ends with .gz, and it is plain text"),
        ("may.xlsx", XLS, "XLS"),
        ("may.xls", XLSX, "XLSX"),
        ("may.XLSX", b"a,b\n", "plain text"),
        ("may.csv", case("sent-page.csv").part(0, 999), "a web page"),
        ("may.csv", case("sent-lfs-pointer.csv").part(0, 999), "Git LFS"),
        ("may.csv.gz", case("sent-gzipped-twice.csv.gz").part(0, 999), "zipped twice"),
        ("may.csv.gz", case("sent-zip-in-gz.csv.gz").part(0, 999), "a ZIP archive"),
        ("may.csv.gz", case("sent-cut.csv.gz").part(0, 999), "its end is missing"),
        ("may.xlsx", case("sent-password.xlsx").part(0, 9999), "a workbook with a password"),
        ("may.csv.gz", gzip.compress(MARK + content() * 5, mtime=0)[:-9], "damaged"),
    ],
    ids=lambda given: given if isinstance(given, str) else "file",
)
def test_a_file_that_is_not_what_its_name_says_is_refused(
    road: Road, stand_in: Control, copy_route: Route, name: str, file: bytes, says: str
) -> None:
    # Given a file whose bytes are of another format than its name says
    before = uploaded(stand_in, copy_route)
    # When it is dropped
    run = road.processed(f"{copy_route.name}/{name}", file)
    # Then it is refused, and nothing went up
    assert (run.error, run.failed_at) == ("WrongFormat", "CheckFile")
    assert says in run.cause
    assert name in run.cause
    assert uploaded(stand_in, copy_route) == before
    # And the next file goes its way
    assert road.processed(f"{copy_route.name}/next.csv", content()).status == "SUCCEEDED"


def test_a_refused_files_message_names_its_version_and_route_before_its_turn(
    road: Road, stand_in: Control, copy_route: Route, mailbox: Mailbox
) -> None:
    # Given a queue that is held by a run that goes on
    plan = {"never_ends": True}
    stand_in.trouble("execute_pipeline", "run", id=copy_route.pipeline_id, run=plan)
    road.drop(f"{copy_route.name}/first.csv", content())
    runs = lambda: stand_in.pipelines()[copy_route.pipeline_id]["runs"]  # noqa: E731
    road.until(runs, "a run")
    # When a wrong file is dropped
    key = f"{copy_route.name}/may.csv"
    run = road.processed(key, case("sent-page.csv").part(0, 999))
    # Then it is told while the other still runs
    assert (run.error, run.failed_at) == ("WrongFormat", "CheckFile")
    assert "finishedAt" not in runs()[0]
    told = mailbox.event(run)["detail"]
    head = road.client("s3").head_object(Bucket=road.inbox, Key=key)
    assert told["file"]["version_id"] == head["VersionId"]
    assert told["route"] == copy_route.name
    text = mailbox.message(run)["Message"]
    assert "a web page (HTML)" in text
    assert key in text
    stand_in.finish(runs()[0]["id"], end_status="Succeeded")


@pytest.mark.parametrize(
    ("stored", "code", "todo"),
    [
        ({"StorageClass": "GLACIER"}, "InvalidObjectState", "restore"),
        (
            {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32},
            "InvalidRequest",
            "sent again without such a key",
        ),
    ],
    ids=["archived", "the sender's own key"],
)
def test_an_object_that_may_not_be_read_is_its_own_error_and_stops_nobody(
    road: Road, copy_route: Route, stored: dict[str, Any], code: str, todo: str
) -> None:
    # Given two files that S3 does not let be read
    s3 = road.client("s3")
    keys = [f"{copy_route.name}/{name}.csv" for name in ("may", "june")]
    for key in keys:
        s3.put_object(Bucket=road.inbox, Key=key, Body=content(), **stored)
    for key in keys:
        road.until(partial(road.executions_of, key), "an execution")
        run = road.ended(road.executions_of(key)[0])
        # Then each is refused before its turn, for five minutes, with S3's code and what to do
        assert (run.error, run.failed_at) == ("SourceDenied", "CheckFile")
        assert code in run.cause
        assert todo in run.cause
    # And the next file of the queue goes its way
    assert road.processed(f"{copy_route.name}/next.csv", content()).status == "SUCCEEDED"


def test_an_empty_version_that_is_replaced_ends_quietly(
    road: Road, stand_in: Control, copy_route: Route, mailbox: Mailbox
) -> None:
    # Given a mounted bucket, which writes an empty version and then the file
    key = f"{copy_route.name}/may.csv"
    road.drop(key, b"")
    road.drop(key, content())
    road.until(lambda: len(road.executions_of(key)) > 1, "two executions")
    ended = [road.ended(arn) for arn in road.executions_of(key)]
    # Then the file went its way, and the empty version has ended as replaced by it
    (replaced,) = [run for run in ended if run.output.get("status") == "Replaced"]
    (good,) = [run for run in ended if run is not replaced]
    assert good.status == "SUCCEEDED", good.cause
    assert len(stand_in.pipelines()[copy_route.pipeline_id]["runs"]) == 1
    assert road.entered(replaced)[-1] == "Replaced"
    # And other systems are told of it, and people are not
    told = mailbox.event(replaced)["detail"]
    assert (told["status"], told["error"], told["route"]) == ("Replaced", None, copy_route.name)
    assert told["next"].startswith("Nothing: ")
    mailbox.settled(replaced)
    assert mailbox.messages(replaced.name) == []


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_a_header_row_must_be_the_routes(road: Road, stand_in: Control, suffix: str) -> None:
    # Given a route that asks for a header row
    route = make_route(road, stand_in, CLEAN, header=["reference", "amount"])
    pack = gzip.compress if suffix == "csv.gz" else bytes
    before = uploaded(stand_in, route)
    # When a file with another is dropped
    other = b"reference,Amount (GBP)\nA,1\n"
    run = road.processed(f"{route.name}/may.{suffix}", pack(other))
    # Then the message shows the difference, and nothing went up
    assert (run.error, run.failed_at) == ("HeaderMismatch", "CheckFile")
    message = json.loads(run.cause)["errorMessage"]
    assert "'amount' missing and 'Amount (GBP)' too many" in message
    assert uploaded(stand_in, route) == before
    # And one with that header row goes up, marked and quoted as it may be
    good = MARK + b'"reference","amount"\r\nA,1\r\n'
    assert road.processed(f"{route.name}/june.{suffix}", pack(good)).status == "SUCCEEDED"
    # And when the route is mended, a redrive takes the first one too
    road.change(route, header=["reference", "Amount (GBP)"])
    assert road.redrive(run).status == "SUCCEEDED"


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_identical_bytes_are_skipped_where_the_route_says_so(
    road: Road, stand_in: Control, suffix: str, mailbox: Mailbox
) -> None:
    # Given a route that skips, and a file that it has processed
    route = make_route(road, stand_in, CLEAN, identical="skip")
    file = content()
    if suffix == "csv.gz":  # with a mark that does not go up
        file = gzip.compress(MARK + file)
    first = road.processed(f"{route.name}/may.{suffix}", file)
    assert first.status == "SUCCEEDED", first.cause
    # When the same bytes come under another key
    run = road.processed(f"{route.name}/june.{suffix}", file)
    # Then nothing went up, and execution, manifest and event say why
    assert (run.status, run.output["status"]) == ("SUCCEEDED", "Skipped")
    assert len(stand_in.pipelines()[route.pipeline_id]["runs"]) == 1
    manifest = road.manifest(run)
    assert manifest["identical_to"]["run"] == first.name
    assert manifest["outputs"] == []
    told = mailbox.event(run)["detail"]
    assert (told["status"], told["identical_to"]["key"]) == (
        "Skipped",
        f"{route.name}/may.{suffix}",
    )
    # And a new execution by hand processes them all the same
    again = road.ended(road.start({"bucket": road.inbox, "key": f"{route.name}/june.{suffix}"}))
    assert again.output["status"] == "Succeeded"
    assert len(stand_in.pipelines()[route.pipeline_id]["runs"]) == 2


def test_identical_bytes_are_processed_and_told_by_default(
    road: Road, stand_in: Control, mailbox: Mailbox
) -> None:
    # Given a file that has been processed
    route = make_route(road, stand_in, CLEAN, notify="always")
    file = content()
    first = road.processed(f"{route.name}/may.csv", file)
    # When it is dropped again
    run = road.processed(f"{route.name}/june.csv", file)
    # Then it is processed, and the message says so
    assert output_of(road, run) == file
    assert road.manifest(run)["identical_to"]["run"] == first.name
    assert (
        f"Same bytes as: {route.name}/may.csv (run {first.name}"
        in (mailbox.message(run)["Message"])
    )


def test_bytes_whose_run_failed_are_not_skipped(road: Road, stand_in: Control) -> None:
    # Given a route that skips, and a file whose run has failed
    route = make_route(road, stand_in, CLEAN, identical="skip")
    failing = {"end_status": "Failed"}
    stand_in.trouble("execute_pipeline", "run", id=route.pipeline_id, run=failing)
    file = content()
    assert road.processed(f"{route.name}/may.csv", file).error == "PipelineFailed"
    # When it is dropped again
    run = road.processed(f"{route.name}/again.csv", file)
    # Then it is processed
    assert run.output["status"] == "Succeeded"
    assert output_of(road, run) == file

"""Outputs are stored whole or not at all, and measured as they go by."""

import hashlib
import json
import re
from typing import Any

import pytest
import yaml
from botocore import xform_name
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber

from quantemplate import __version__
from quantemplate.bodies import OUTPUT_TYPES, Download
from quantemplate.client import Quantemplate
from straight_through.buckets.outbox import manifest_of, store_manifest, store_output
from straight_through.buckets.outbox_refusals import refusals_at
from straight_through.errors import (
    ApiUnavailable,
    OutboxDenied,
    OutboxUnavailable,
    OutputIncomplete,
    StraightThroughError,
)
from tests.unit.conftest import OUTBOX, ROOT, unhurried
from tests.unit.wire import EXECUTIONS, Reply, Wire

OUTPUT_PATH = f"{EXECUTIONS}/e-7/outputs/o-1"
KEY = "claims/may/RUN/Clean claims: Sheet 1.csv"


def download(client: Quantemplate, s3: Any) -> Any:
    """Store the output that the wire serves."""
    with client.download_output("c-broker", "p-claims", "e-7", "o-1") as opened:
        return store_output(s3, OUTBOX, KEY, opened, {"run": "may"}, unhurried)


def left_in_outbox(s3: Any) -> tuple[list[Any], list[Any]]:
    """The objects and the multipart uploads that the outbox holds."""
    return (
        s3.list_object_versions(Bucket=OUTBOX).get("Versions", []),
        s3.list_multipart_uploads(Bucket=OUTBOX).get("Uploads", []),
    )


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("rows", [0, 3, 900_000])
def test_an_output_is_stored_byte_for_byte(
    client: Quantemplate,
    wire: Wire,
    s3: Any,
    rows: int,
    chunked: bool,  # noqa: FBT001
) -> None:
    # Given an output, the largest of which takes several parts
    content = b"id,paid\n" + b"C-1,1.00 EUR\n" * rows
    wire.answer("GET", OUTPUT_PATH, Reply(body=content, chunked=chunked))
    # When it is stored
    stored = download(client, s3)
    # Then the outbox holds the same bytes, and the measures are right
    found = s3.get_object(Bucket=OUTBOX, Key=KEY)
    assert found["Body"].read() == content
    assert found["ContentType"] == "text/csv; charset=utf-8"
    assert found["Metadata"] == {"run": "may"}
    assert stored == {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "rows": rows,
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no bytes at all, not even a header"),
        (b'Row,Value\n2,"x\n', "a quote in row 1 that never ends"),
    ],
)
def test_an_output_that_cannot_be_counted_is_stored_and_says_why(
    client: Quantemplate, wire: Wire, s3: Any, content: bytes, reason: str
) -> None:
    wire.answer("GET", OUTPUT_PATH, Reply(body=content))
    assert download(client, s3) == {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "rows": None,
        "rows_reason": reason,
    }


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [100, 20 * 1024 * 1024])
def test_an_output_that_breaks_off_leaves_nothing(
    client: Quantemplate,
    wire: Wire,
    s3: Any,
    size: int,
    chunked: bool,  # noqa: FBT001
) -> None:
    # Given a reply that ends early, before or within a multipart upload
    wire.answer("GET", OUTPUT_PATH, Reply(body=b"x" * size, missing=5, chunked=chunked))
    # When it is stored
    with pytest.raises(OutputIncomplete, match="Output o-1 of e-7 broke off"):
        download(client, s3)
    # Then there is neither an object nor an upload that waits for its end
    assert left_in_outbox(s3) == ([], [])


PAGE = b"<!doctype html><title>Back at ten</title>"


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(204), "HTTP 204"),
        (Reply(202, b"a\n1\n"), "HTTP 202"),
        (Reply(206, b"a\n1\n", {"Content-Range": "bytes 0-3/9"}), "HTTP 206"),
        (Reply(302, headers={"Location": "/login"}), "HTTP 302"),
        (Reply(body=b"", chunked=True), "nothing at all"),
        (Reply(body=b"a\n1\n", headers={"Content-Type": "text/html; charset=utf-8"}), "web page"),
        (Reply(body=PAGE, headers={"Content-Type": "text/csv"}), "web page"),
        (Reply(body=b"\xef\xbb\xbf \r\n" + PAGE.upper()), "web page"),
        (Reply(body=b'<?xml version="1.0"?><Error/>'), "web page"),
        (Reply(body=b"{}", headers={"Content-Type": "application/json"}), "application/json"),
        (Reply(body=b'{"error": "expired"}', headers={"Content-Type": "text/plain"}), "JSON"),
        (Reply(body=b'{"status": 503}', chunked=True), "JSON"),
        (Reply(body=b"\x89PNG", headers={"Content-Type": "image/png"}), "image/png"),
    ],
)
def test_what_is_no_output_is_not_stored_and_waited_for(
    client: Quantemplate, wire: Wire, s3: Any, reply: Reply, told: str
) -> None:
    wire.answer("GET", OUTPUT_PATH, reply)
    with pytest.raises(ApiUnavailable, match=told) as raised:
        download(client, s3)
    assert raised.value.call == "download_output"
    assert left_in_outbox(s3) == ([], [])


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}), "gzip-encoded"),
        (Reply(body=b"a\n", headers={"Content-Encoding": "utf-8, br"}), "br-encoded"),
        (Reply(body=b"a\n1\n", endless=True), "without its length"),
        (Reply(body=b"a\n1\n", endless=True, headers={"Content-Length": "abc"}), "without its"),
    ],
)
def test_what_cannot_be_seen_to_be_whole_is_not_stored(
    client: Quantemplate, wire: Wire, s3: Any, reply: Reply, told: str
) -> None:
    wire.answer("GET", OUTPUT_PATH, reply)
    with pytest.raises(OutputIncomplete, match=told):
        download(client, s3)
    assert left_in_outbox(s3) == ([], [])


HEADERS: list[dict[str, str]] = [
    *({"Content-Type": kind} for kind in OUTPUT_TYPES if kind),
    {"Content-Type": "Text/CSV; Charset=UTF-8"},
    {"Content-Encoding": "UTF-8"},
    {"Content-Encoding": "Identity"},
]
BODIES = [
    b'{"a",b}\n1,2\n',
    b"{\n",
    b"<none>,paid\n1,2\n",
    b"error\n",
    b" \n \n" * 30_000,
    b'{"error": 1}' + b" " * 70_000 + b"\n1\n",
]
REPORT = b"Error,Row\nbad amount,7\n"


@pytest.mark.parametrize(
    ("headers", "body"),
    [*((each, REPORT) for each in HEADERS), *(({}, body) for body in (REPORT, *BODIES))],
    ids=range(len(HEADERS) + len(BODIES) + 1),
)
def test_an_output_is_stored_whatever_its_words_are(
    client: Quantemplate, wire: Wire, s3: Any, headers: dict[str, str], body: bytes
) -> None:
    wire.answer("GET", OUTPUT_PATH, Reply(body=body, headers=headers))
    assert download(client, s3)["sha256"] == hashlib.sha256(body).hexdigest()


def test_a_download_is_read_in_pieces_of_any_size(client: Quantemplate, wire: Wire) -> None:
    wire.answer("GET", OUTPUT_PATH, Reply(body=b"0123456789"))
    with client.download_output("c-broker", "p-claims", "e-7", "o-1") as opened:
        assert isinstance(opened, Download)
        assert [opened.read(4), opened.read(4), opened.read(4), opened.read(4)] == [
            b"0123",
            b"4567",
            b"89",
            b"",
        ]


def test_the_manifest_is_written_readably_beside_the_outputs(s3: Any) -> None:
    key = store_manifest(s3, OUTBOX, "claims/Schäden/RUN/", {"route": "Schäden"})
    assert key == "claims/Schäden/RUN/manifest.json"
    found = s3.get_object(Bucket=OUTBOX, Key=key)
    text = found["Body"].read().decode()
    assert json.loads(text) == {"route": "Schäden"}
    assert "Schäden" in text
    assert found["ContentType"] == "application/json"


FAILURES = [
    (503, "SlowDown", OutboxUnavailable),
    (500, "InternalError", OutboxUnavailable),
    (400, "RequestTimeout", OutboxUnavailable),
    (400, "ThrottlingException", OutboxUnavailable),
    (403, "AccessDenied", OutboxDenied),
]


@pytest.mark.parametrize(("status", "code", "error"), FAILURES)
@pytest.mark.parametrize("what", ["output", "manifest"])
def test_what_s3_refuses_to_take_has_a_name_and_says_what_to_do(
    client: Quantemplate, wire: Wire, s3: Any, status: int, code: str, error: type, what: str
) -> None:
    # Given an S3 that does not take an object
    wire.answer("GET", OUTPUT_PATH, Reply(body=b"id,paid\n1,2\n"))
    with Stubber(s3) as stub:
        stub.add_client_error("put_object", code, http_status_code=status)
        # When one is written
        with pytest.raises(StraightThroughError, match=code) as raised:
            download(client, s3) if what == "output" else store_manifest(s3, OUTBOX, "claims/", {})
    # Then
    assert type(raised.value) is error
    assert f"s3://{OUTBOX}/claims/" in str(raised.value)
    assert str(raised.value).endswith("redrive the run.")


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("folder", ["claims", "held/claims"])
def test_an_output_has_the_tag_by_which_it_is_removed_unless_a_gate_may_hold_it(
    client: Quantemplate, wire: Wire, s3: Any, folder: str, *, parts: bool
) -> None:
    wire.answer("GET", OUTPUT_PATH, Reply(body=b"x" * (20 * 1024 * 1024 if parts else 9)))
    key = f"{folder}/may/RUN/a.csv"
    with client.download_output("c-broker", "p-claims", "e-7", "o-1") as opened:
        store_output(s3, OUTBOX, key, opened, {"run": "may"}, unhurried)
    tags = s3.get_object_tagging(Bucket=OUTBOX, Key=key)["TagSet"]
    assert tags == ([] if "held" in folder else [{"Key": "retention", "Value": "outbox"}])


def test_a_large_output_that_s3_stops_taking_leaves_nothing(
    client: Quantemplate, wire: Wire, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an S3 that breaks off at the last of several parts
    wire.answer("GET", OUTPUT_PATH, Reply(body=b"x" * 20 * 1024 * 1024))

    def broken(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://s3")

    monkeypatch.setattr(s3, "complete_multipart_upload", broken)
    # When an output is stored
    with pytest.raises(OutboxUnavailable, match=r"broke off \(EndpointConnectionError\)"):
        download(client, s3)
    # Then there is neither an object nor an upload that waits for its end
    assert left_in_outbox(s3) == ([], [])


DENIALS: dict[str, tuple[Any, str]] = {
    "HeadObject": (lambda s3: s3.head_object(Bucket=OUTBOX, Key="k"), "read"),
    "GetObject": (lambda s3: s3.get_object(Bucket=OUTBOX, Key="k"), "read"),
    "DeleteObject": (lambda s3: s3.delete_object(Bucket=OUTBOX, Key="k"), "deleted"),
    "PutObject": (lambda s3: s3.put_object(Bucket=OUTBOX, Key="k"), "written"),
}


@pytest.mark.parametrize("operation", DENIALS)
def test_a_denial_says_what_was_denied(s3: Any, operation: str) -> None:
    call, what = DENIALS[operation]
    asked: Any = "deleted" if what == "deleted" else "written"
    with Stubber(s3) as stub:
        stub.add_client_error(xform_name(operation), "AccessDenied", http_status_code=403)
        told = f"s3://{OUTBOX}/k may not be {what}: .* to {operation}"
        with pytest.raises(OutboxDenied, match=told), refusals_at(OUTBOX, "k", asked):
            call(s3)


def test_another_answer_of_s3_keeps_its_name(s3: Any) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        store_manifest(s3, "gone", "claims/", {})


def test_both_states_that_write_the_outbox_try_again() -> None:
    # Given the state machine
    machine = yaml.safe_load((ROOT / "statemachine/straight_through.asl.yaml").read_text("utf-8"))
    states = machine["States"]
    download = states["DownloadOutputs"]["ItemProcessor"]["States"]["DownloadOutput"]
    # Then it waits for S3 as it waits for Lambda
    for state in (download, states["PublishRun"]):
        retries = [
            r["ErrorEquals"] for r in state["Retry"] if "OutboxUnavailable" in r["ErrorEquals"]
        ]
        assert ["Lambda.ServiceException" in names for names in retries] == [True]


def test_what_only_the_state_machine_needs_is_not_in_the_manifest() -> None:
    # Given a record with more than people read
    plain = ("run", "execution_arn", "route", "status", "quantemplate", "identical_to")
    output = dict.fromkeys(("name", "id", "key", "bytes", "sha256", "rows"), "x")
    record: Any = dict.fromkeys((*plain, "order", "after", "gated", "turn", "wait_seconds"), "x")
    record |= {"source": {"key": "x", "parent": "p"}, "outputs": [output | {"more": 1}]}
    record["quantemplate"] = {"execution_id": "e"}  # of release 1.0.0, which told no version
    # Then the manifest has what its schema describes; who chained the file on stands for itself
    assert manifest_of(record) == {
        "schema": 2,
        **dict.fromkeys(plain, "x"),
        "quantemplate": {
            "execution_id": "e",
            "pipeline_version": None,
            "pipeline_version_before": None,
        },
        "made_by": f"straight-through {__version__}",
        "source": {"key": "x"},
        "parent": "p",
        "cause": None,
        "outputs": [output],
        "held": [],
        "destinations": [],
        "chained": [],
    }


def test_the_page_names_every_type_that_an_output_may_have() -> None:
    page = (ROOT / "docs/what-comes-back.md").read_text("utf-8")
    told = page.partition("## What counts as an output")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(\w+/[\w.+-]+)`", told)) == {each for each in OUTPUT_TYPES if each}

"""UploadAndExecute: from the execution's input to the run's record."""

import json
from typing import Any

import boto3
import pytest

from straight_through.errors import (
    AccessDenied,
    ApiThrottled,
    CredentialsMissing,
    EmptyFile,
    InputInvalid,
    NoRoute,
    RouteInvalid,
    SourceNotFound,
    StraightThroughError,
)
from tests.unit.conftest import INBOX, ROUTE, Event, Handler
from tests.unit.wire import DATASET, EXECUTIONS, Reply, Wire, json_reply

FILE = b"id,paid\nC-1,1.00\n"
EXECUTION = {
    "id": "e-7",
    "runNumber": 7,
    "status": "Started",
    "createdAt": "2026-05-04T08:15:33Z",
}


@pytest.fixture
def upload(handler: Any, wire: Wire) -> Handler:
    """The handler, before a Quantemplate where all goes well."""
    wire.answer("GET", EXECUTIONS, json_reply([]))
    wire.answer("POST", DATASET, Reply(200))
    wire.answer("POST", EXECUTIONS, json_reply(EXECUTION))
    loaded: Handler = handler("upload_and_execute")
    return loaded


def drop(s3: Any, event: dict[str, Any], content: bytes = FILE) -> dict[str, Any]:
    """Put the file that the event names and pin the event to it."""
    named = event["input"]
    put = s3.put_object(Bucket=named["bucket"], Key=named["key"], Body=content)
    return event | {"input": named | {"version_id": put["VersionId"]}}


def test_the_sample_gives_the_record_that_travels_on(
    upload: Handler, s3: Any, wire: Wire, event: Event
) -> None:
    given = drop(s3, event("upload_and_execute"))
    record = upload(given)
    # Then its shape is the next step's sample
    sample = event("check_status")
    assert record.keys() == sample.keys()
    assert record["source"].keys() == sample["source"].keys()
    assert record["source"] | given["input"] == record["source"]
    assert record["quantemplate"] == sample["quantemplate"]
    fields = ("run", "execution_arn", "route", "status", "wait_seconds")
    assert {field: record[field] for field in fields} == {field: sample[field] for field in fields}
    assert record["source"]["size"] == len(FILE)
    # And the file's bytes went up
    assert wire.calls("POST", DATASET)[0].body == FILE
    assert json.loads(json.dumps(record)) == record


def test_what_a_person_types_pins_the_version_of_now(
    upload: Handler, s3: Any, event: Event
) -> None:
    typed = event("execution_input")
    version = s3.put_object(Bucket=typed["bucket"], Key=typed["key"], Body=FILE)["VersionId"]
    record = upload(event("upload_and_execute") | {"input": typed, "run": "by-hand"})
    assert record["source"]["version_id"] == version
    assert record["run"] == "by-hand"


def test_a_throttled_upload_names_file_and_route_once(
    upload: Handler, s3: Any, wire: Wire, event: Event
) -> None:
    given = drop(s3, event("upload_and_execute"))
    wire.answer("POST", DATASET, Reply(429, b"later"))
    with pytest.raises(ApiThrottled) as raised:
        upload(given)
    about = f"[file s3://{INBOX}/{given['input']['key']}, route claims]"
    assert str(raised.value).endswith(about)
    assert str(raised.value).count(given["input"]["key"]) == 1


@pytest.mark.parametrize(
    ("key", "content", "error"),
    [
        ("premiums/may.csv", FILE, NoRoute),
        ("may.csv", FILE, NoRoute),
        ("claims/may.csv", b"", EmptyFile),
        ("broken/may.csv", FILE, RouteInvalid),
    ],
)
def test_a_file_that_cannot_go_up_is_told_before_quantemplate_is_asked(
    upload: Handler, s3: Any, wire: Wire, event: Event, key: str, content: bytes, error: type
) -> None:
    boto3.client("ssm").put_parameter(
        Name="/straight-through/routes/broken", Type="String", Value=json.dumps(ROUTE | {"x": 1})
    )
    named = {"input": {"bucket": INBOX, "key": key}}
    with pytest.raises(StraightThroughError, match=key) as raised:
        upload(drop(s3, event("upload_and_execute") | named, content))
    assert type(raised.value) is error
    assert wire.requests == []


def test_a_file_that_is_gone_is_told(upload: Handler, event: Event) -> None:
    gone = event("upload_and_execute")
    del gone["input"]["version_id"]
    with pytest.raises(SourceNotFound, match="Schäden a"):
        upload(gone)


@pytest.mark.parametrize("typed", [{}, [], "claims/may.csv", {"key": "claims/may.csv"}])
def test_an_input_without_a_file_is_told(upload: Handler, event: Event, typed: Any) -> None:
    with pytest.raises(InputInvalid):
        upload(event("upload_and_execute") | {"input": typed})


def test_no_access_says_can_edit(upload: Handler, s3: Any, wire: Wire, event: Event) -> None:
    wire.answer("GET", EXECUTIONS, Reply(403, b"Forbidden"))
    with pytest.raises(AccessDenied, match='"Can edit" mode'):
        upload(drop(s3, event("upload_and_execute")))


def test_a_missing_secret_is_told_with_the_file(
    upload: Handler, s3: Any, event: Event, secret_arn: str
) -> None:
    boto3.client("secretsmanager").put_secret_value(SecretId=secret_arn, SecretString="{}")
    with pytest.raises(CredentialsMissing, match=r"another shape.*route claims"):
        upload(drop(s3, event("upload_and_execute")))

"""UploadAndExecute of a route with a table: what is made, stored, sent and told."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from botocore.exceptions import ClientError

from straight_through.buckets.inbox import SourceBody
from straight_through.buckets.outbox import manifest_of
from straight_through.errors import FunctionKilled, OutboxDenied, OutboxUnavailable, TableUnclear
from straight_through.files.prepared import PreparedBody
from straight_through.queue.table import Table
from straight_through.queue.turns import queue_key
from tests.unit.conftest import OUTBOX, ROOT, ROUTE, Event, Handler, give_turn, made_once
from tests.unit.test_upload_and_execute import EXECUTION
from tests.unit.wire import DATASET, EXECUTIONS, Reply, Wire, json_reply

TITLES = (Path(__file__).parent / "cases/sent-titles.csv").read_bytes()
CSV = (
    'Policy,Insured,Premium\r\n007001,Müller & Söhne,1250.50\r\n007002,"Tarn, Valley",980.00\r\n'
).encode()
SCHEMA = json.loads((ROOT / "layers/straight_through/manifest.schema.json").read_text("utf-8"))


@pytest.fixture
def upload(handler: Any, wire: Wire) -> Handler:
    """The handler, before a Quantemplate where all goes well."""
    wire.answer("GET", EXECUTIONS, json_reply([]))
    wire.answer("POST", DATASET, Reply(200))
    wire.answer("POST", EXECUTIONS, json_reply(EXECUTION))
    loaded: Handler = handler("upload_and_execute")
    return loaded


@pytest.fixture
def files_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the dropped files, each time that one is opened."""
    read: list[str] = []
    opened = SourceBody._opened

    def note(body: SourceBody, **more: str) -> Any:
        read.append(body.name)
        return opened(body, **more)

    monkeypatch.setattr(SourceBody, "_opened", note)
    return read


@pytest.fixture
def tables_made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The routes for which a table is made, each time that one is."""
    made: list[str] = []
    make = PreparedBody.__init__

    def note(body: PreparedBody, route: Any, *given: Any) -> None:
        made.append(route.name)
        make(body, route, *given)

    monkeypatch.setattr(PreparedBody, "__init__", note)
    return made


def dropped(s3: Any, turns: Table, event: Event, content: bytes, **route: Any) -> dict[str, Any]:
    """The step's event for such a file, in a route with these fields."""
    made_once("ssm").put_parameter(
        Name="/straight-through/routes/claims",
        Type="String",
        Value=json.dumps(ROUTE | route),
        Overwrite=True,
    )
    given = event("upload_and_execute")
    named = given["execution"]["Input"]
    put = s3.put_object(Bucket=named["bucket"], Key=named["key"], Body=content)
    source = {
        "bucket": named["bucket"],
        "key": named["key"],
        "version_id": put["VersionId"],
        "size": len(content),
        "etag": put["ETag"].strip('"'),
        "dropped_at": named["dropped_at"],
        "parent": None,
    }
    give_turn(turns, given, source)
    return given


def test_the_table_is_stored_and_sent_and_told(
    upload: Handler, s3: Any, table: Table, event: Event, wire: Wire
) -> None:
    # Given a file with a title, a blank row and a total
    given = dropped(s3, table, event, TITLES, table={}, header=["Policy", "Insured", "Premium"])
    # When it is its turn
    record = upload(given)
    # Then the bytes that went up are those that lie in the outbox, by their hash
    prepared = record["prepared"]
    assert prepared["key"] == f"prepared/claims/{record['run']}.csv"
    stored = s3.get_object(Bucket=OUTBOX, Key=prepared["key"])
    assert wire.calls("POST", DATASET)[0].body == stored["Body"].read() == CSV
    assert prepared["sha256"] == hashlib.sha256(CSV).hexdigest() == stored["Metadata"]["sha256"]
    assert (prepared["bytes"], prepared["rows"], prepared["columns"]) == (len(CSV), 2, 3)
    # And the file is known by its own
    own = hashlib.sha256(TITLES).hexdigest()
    assert prepared["source_sha256"] == record["source"]["sha256"] == own
    assert record["source"]["rows"] == 2
    assert prepared["where"]["header_row"] == 3
    assert prepared["left_out"]["rows_below"] == 1
    # And the manifest tells it
    record["quantemplate"] |= {"started_at": None, "finished_at": None}
    ended: Any = record | {"status": "Succeeded", "outputs": []}
    manifest = manifest_of(ended)
    jsonschema.validate(manifest, SCHEMA)
    assert manifest["prepared"] == prepared
    assert "prepared" not in manifest["source"]
    assert json.loads(json.dumps(record)) == record


def test_a_second_try_stores_the_same_bytes_under_the_same_name(
    upload: Handler, s3: Any, table: Table, event: Event, wire: Wire
) -> None:
    # Given a Quantemplate that does not take the table now
    given = dropped(s3, table, event, TITLES, table={})
    wire.answer("POST", DATASET, Reply(503))
    waiting = upload(given)
    assert waiting["status"] == "NotExecuted"
    # When it does
    wire.answer("POST", DATASET, Reply(200))
    record = upload(given | {"record": waiting})
    # Then there are two versions of one object, alike
    versions = s3.list_object_versions(Bucket=OUTBOX)["Versions"]
    assert {v["Key"] for v in versions} == {record["prepared"]["key"]}
    assert len(versions) == 2
    assert len({v["ETag"] for v in versions}) == 1
    assert {request.body for request in wire.calls("POST", DATASET)} == {CSV}


def test_a_third_try_finds_what_was_made_and_makes_nothing(
    upload: Handler, s3: Any, table: Table, event: Event
) -> None:
    given = dropped(s3, table, event, TITLES, table={})
    first = upload(given)
    s3.delete_object(Bucket=OUTBOX, Key=first["prepared"]["key"])
    assert upload(given) == first
    assert "Contents" not in s3.list_objects_v2(Bucket=OUTBOX)


def test_without_a_table_the_bytes_go_up_as_they_are(
    upload: Handler, s3: Any, table: Table, event: Event, wire: Wire
) -> None:
    record = upload(dropped(s3, table, event, TITLES))
    assert wire.calls("POST", DATASET)[0].body == TITLES
    assert "prepared" not in record
    assert "Contents" not in s3.list_objects_v2(Bucket=OUTBOX)


def test_the_same_bytes_are_known_by_the_file_that_was_dropped(
    upload: Handler, s3: Any, table: Table, event: Event, wire: Wire
) -> None:
    # Given a route that has processed the very file
    given = dropped(s3, table, event, TITLES, table={}, identical="skip")
    own = hashlib.sha256(TITLES).hexdigest()
    twin = {"run": "claims-april", "key": "claims/april.csv", "at": "2026-04-01T00:00:00Z"}
    table.update(
        ("bytes#claims", own),
        "SET #run = :run, #key = :key, #at = :at, #expires_at = :expires_at",
        expires_at=2_000_000_000,
        **twin,
    )
    # Then it is skipped, and nothing is prepared
    record = upload(given)
    assert record["status"] == "Skipped"
    assert record["identical_to"] == twin
    assert wire.calls("POST", DATASET) == []
    assert "Contents" not in s3.list_objects_v2(Bucket=OUTBOX)


def test_looks_at_a_busy_pipeline_prepare_nothing(
    upload: Handler,
    s3: Any,
    table: Table,
    event: Event,
    wire: Wire,
    files_read: list[str],
    tables_made: list[str],
) -> None:
    # Given a pipeline that is busy with another's run
    given = dropped(s3, table, event, TITLES, table={})
    other = EXECUTION | {
        "id": "e-other",
        "runNumber": 6,
        "status": "Started",
        "createdBy": "u-other",
    }
    wire.answer("GET", EXECUTIONS, json_reply([other]))
    # When it is looked at again and again
    waiting = upload(given)
    first = list(files_read)
    for _ in range(5):
        waiting = upload(given | {"record": waiting})
    # Then the file is judged once, and nothing is read or made of it any more
    assert waiting["waiting"]["kind"] == "PipelineBusy"
    assert files_read == first
    assert tables_made == []
    assert "Contents" not in s3.list_objects_v2(Bucket=OUTBOX)
    # And when the pipeline is free, the table is made, once
    wire.answer("GET", EXECUTIONS, json_reply([]))
    assert upload(given | {"record": waiting})["status"] == "Started"
    assert tables_made == ["claims"]


def test_a_function_that_died_five_times_does_not_make_the_table_once_more(
    upload: Handler, s3: Any, table: Table, event: Event, tables_made: list[str]
) -> None:
    given = dropped(s3, table, event, TITLES, table={})
    table.update(queue_key("p-claims"), "SET #holder.#kills = :five", five=5)
    with pytest.raises(FunctionKilled):
        upload(given)
    assert tables_made == []


def test_what_cannot_be_told_is_not_sent(
    upload: Handler, s3: Any, table: Table, event: Event, wire: Wire
) -> None:
    # Given a table that goes on after a blank row, behind the rows that a check looks at
    content = b"Id,No\n" + b"1,2\n" * 300 + b"\n3,4\n"
    given = dropped(s3, table, event, content, table={})
    # Then it is refused with the row, and nothing was stored or sent
    with pytest.raises(TableUnclear, match=r"row 303 has '3', '4'.*\[route claims\]"):
        upload(given)
    assert wire.calls("POST", DATASET) == []
    assert "Contents" not in s3.list_objects_v2(Bucket=OUTBOX)


@pytest.mark.parametrize(
    ("status", "code", "raised"),
    [(503, "SlowDown", OutboxUnavailable), (403, "AccessDenied", OutboxDenied)],
)
def test_what_cannot_be_stored_is_not_sent(
    handler: Any,
    s3: Any,
    table: Table,
    event: Event,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    raised: type[Exception],
) -> None:
    given = dropped(s3, table, event, TITLES, table={})
    wire.answer("GET", EXECUTIONS, json_reply([]))
    uploading = handler("upload_and_execute")

    def refuse(*_: Any, **__: Any) -> None:
        answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(answer, "PutObject")

    monkeypatch.setattr("straight_through.buckets.s3_objects.write_object", refuse)
    with pytest.raises(raised):
        uploading(given)
    assert wire.calls("POST", DATASET) == []

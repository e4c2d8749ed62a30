"""The same bytes again are processed, and told; or skipped, where the route says so."""

import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from straight_through.errors import PipelineFailed, WrongFormat
from straight_through.files.duplicates import remember, twin_of
from straight_through.moments import iso
from straight_through.names import run_name
from straight_through.queue.records import record_key
from straight_through.queue.table import Table
from straight_through.reading.unzipping import MARK
from tests.unit.conftest import INBOX, ROUTE, Event, Handler, give_turn, made_once
from tests.unit.outbox_runs import PATH, route
from tests.unit.wire import DATASET, EXECUTIONS, Reply, Wire, json_reply

NOW = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
FILE = b"id,paid\nC-1,1.00\n"
SHA = hashlib.sha256(FILE).hexdigest()
RUN = {"id": "e-7", "runNumber": 7, "createdAt": "2026-05-04T08:15:33Z", "outputs": []}


# --- what is remembered ---------------------------------------------------------------------------
def test_the_same_bytes_have_an_earlier_run_within_the_time_of_the_route(table: Table) -> None:
    claims = route(identical_within_days=2)
    assert twin_of(table, claims, SHA, "may", NOW) is None
    remember(table, claims, SHA, "may", "claims/may.csv", NOW)
    found = {"run": "may", "key": "claims/may.csv", "at": iso(NOW)}
    for later in (timedelta(0), timedelta(days=1, hours=23)):
        assert twin_of(table, claims, SHA, "june", NOW + later) == found
    # And neither itself, nor other bytes, nor another route's, nor later
    assert twin_of(table, claims, SHA, "may", NOW) is None
    assert twin_of(table, claims, "0" * 64, "june", NOW) is None
    assert twin_of(table, route("premiums"), SHA, "june", NOW) is None
    assert twin_of(table, claims, SHA, "june", NOW + timedelta(days=2)) is None


def test_the_first_is_kept_until_its_time_is_over(table: Table) -> None:
    claims = route(identical_within_days=2)
    for run, days in [("may", 0), ("june", 1), ("july", 3)]:
        remember(table, claims, SHA, run, f"{run}.csv", NOW + timedelta(days=days))
    twin = twin_of(table, claims, SHA, "x", NOW + timedelta(days=4))
    assert twin
    assert twin["run"] == "july"


# --- what becomes of them -------------------------------------------------------------------------
@pytest.fixture
def upload(handler: Any, wire: Wire) -> Handler:
    """The handler, before a Quantemplate where all goes well."""
    wire.answer("GET", EXECUTIONS, json_reply([]))
    wire.answer("POST", DATASET, Reply(200))
    runs = [RUN | {"status": "Started", "id": f"e-{n}", "runNumber": n} for n in (7, 8)]
    wire.answer("POST", EXECUTIONS, *map(json_reply, runs))
    loaded: Handler = handler("upload_and_execute")
    return loaded


def dropped(s3: Any, table: Table, event: Event, key: str, content: bytes = FILE) -> dict[str, Any]:
    """What UploadAndExecute is sent for a file that was dropped, and that holds the turn."""
    put = s3.put_object(Bucket=INBOX, Key=key, Body=content)
    given = event("upload_and_execute")
    version = put["VersionId"]
    given["execution"]["Input"] |= {"key": key, "version_id": version}
    name = run_name(INBOX, key, version)
    given["execution"] |= {"Name": name, "Id": f"arn:{name}"}
    source = {
        "bucket": INBOX,
        "key": key,
        "version_id": version,
        "size": len(content),
        "etag": put["ETag"].strip('"'),
        "dropped_at": "2026-05-04T08:15:30Z",
        "parent": None,
    }
    give_turn(table, given, source)
    return given


def skipping(document: dict[str, Any]) -> None:
    """Change the route."""
    made_once("ssm").put_parameter(
        Name=f"{PATH}/claims", Value=json.dumps(ROUTE | document), Overwrite=True
    )


def ended(handler: Any, wire: Wire, given: dict[str, Any], record: Any, status: str) -> Any:
    """Let the run end, and look at it."""
    wire.answer("GET", EXECUTIONS, json_reply([RUN | {"status": status}]))
    return handler("check_status")({"execution": given["execution"], "record": record})


@pytest.mark.parametrize("skip", [False, True])
def test_the_same_bytes_under_another_key_are_processed_and_told_or_skipped(
    upload: Handler,
    handler: Any,
    s3: Any,
    table: Table,
    event: Event,
    wire: Wire,
    skip: bool,  # noqa: FBT001
) -> None:
    # Given a file that was processed to its end
    skipping({"identical": "skip"} if skip else {})
    may = dropped(s3, table, event, "claims/may.csv")
    record = upload(may)
    assert record["identical_to"] is None
    ended(handler, wire, may, record, "Succeeded")
    # When its bytes are dropped under another name
    again = dropped(s3, table, event, "claims/may (1).csv")
    second = upload(again)
    # Then the record names the first, and nothing was uploaded where such are skipped
    assert second["identical_to"]["run"] == may["execution"]["Name"]
    assert second["identical_to"]["key"] == "claims/may.csv"
    assert second["status"] == ("Skipped" if skip else "Started")
    assert len(wire.calls("POST", DATASET)) == (1 if skip else 2)
    # And a skipped one gives its turn back
    if skip:
        look = handler("check_status")({"execution": again["execution"], "record": second})
        assert look == second
        assert "holder" not in (table.get(("queues", "p-claims")) or {})


def test_the_bytes_of_a_run_that_failed_may_be_dropped_again(
    upload: Handler, handler: Any, s3: Any, table: Table, event: Event, wire: Wire
) -> None:
    skipping({"identical": "skip"})
    may = dropped(s3, table, event, "claims/may.csv")
    record = upload(may)
    with pytest.raises(PipelineFailed):
        ended(handler, wire, may, record, "Failed")
    assert upload(dropped(s3, table, event, "claims/may.csv"))["status"] == "Started"


def test_a_gzip_with_a_mark_is_known_again_too(
    upload: Handler, handler: Any, s3: Any, table: Table, event: Event, wire: Wire
) -> None:
    skipping({"identical": "skip"})
    content = gzip.compress(MARK + FILE)
    may = dropped(s3, table, event, "claims/may.csv.gz", content)
    ended(handler, wire, may, upload(may), "Succeeded")
    assert upload(dropped(s3, table, event, "claims/b.csv.gz", content))["status"] == "Skipped"


def test_what_a_person_starts_is_never_skipped(
    upload: Handler, s3: Any, table: Table, event: Event
) -> None:
    skipping({"identical": "skip"})
    remember(table, route(), SHA, "may", "claims/may.csv", datetime.now(UTC))
    given = dropped(s3, table, event, "claims/b.csv")
    given["execution"] |= {"Name": "by-hand"}
    source = (table.get(record_key(run_name(INBOX, "claims/b.csv", version(given)))) or {})[
        "source"
    ]
    give_turn(table, given, source)
    assert upload(given)["status"] == "Started"


def version(given: dict[str, Any]) -> str:
    """The version that an execution's input names."""
    return str(given["execution"]["Input"]["version_id"])


def test_a_file_whose_execute_was_sent_is_never_skipped(
    upload: Handler, s3: Any, table: Table, event: Event
) -> None:
    skipping({"identical": "skip"})
    remember(table, route(), SHA, "may", "claims/may.csv", datetime.now(UTC))
    given = dropped(s3, table, event, "claims/b.csv")
    key = record_key(given["execution"]["Name"])
    table.update(key, "SET #posted = :post", post={"id": "x", "run": "other"})
    table.update(key, "SET #uncertain = :why", why="Nobody knows.")
    with pytest.raises(Exception, match="Nobody knows"):
        upload(given)


def test_a_bucket_that_breaks_off_while_they_are_compared_is_waited_for(
    upload: Handler, s3: Any, table: Table, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    skipping({"identical": "skip"})
    given = dropped(s3, table, event, "claims/b.csv")

    def broken(_: object) -> Any:
        raise ReadTimeoutError(endpoint_url="https://s3")

    with monkeypatch.context() as patch:
        patch.setattr("botocore.response.StreamingBody.iter_chunks", lambda *_: broken(None))
        record = upload(given)
    assert record["status"] == "NotExecuted"
    assert record["waiting"]["for"].startswith("SourceUnavailable")
    assert upload(given)["status"] == "Started"


def test_a_file_of_another_format_is_told_with_its_route_before_anything_goes_up(
    upload: Handler, s3: Any, table: Table, event: Event, wire: Wire
) -> None:
    given = dropped(s3, table, event, "claims/may.xlsx")
    with pytest.raises(WrongFormat, match=r"plain text.*\[route claims\] \[file s3://"):
        upload(given)
    assert wire.calls("POST", DATASET) == []

"""The line that each ended run leaves in the outbox."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from botocore.exceptions import ClientError

from straight_through import aws
from straight_through.errors import AwsDenied, AwsUnavailable
from straight_through.names import route_run_name, row_key, run_name
from straight_through.queue.records import record_key
from straight_through.queue.table import Table
from straight_through.queue.tellings import TELLINGS
from straight_through.telling.run_rows import Overtaken, put_row, row_of
from tests.unit.conftest import INBOX, OUTBOX, ROOT, Event
from tests.unit.test_messages import MAY, RECORD, RESULT, change, facts

SCHEMA = json.loads((ROOT / "layers/straight_through/run_row.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
KEY = f"runs/year=2026/month=05/{MAY}.json"
MANIFEST: dict[str, Any] = {
    "schema": 2,
    "run": MAY,
    "source": {
        "bucket": INBOX,
        "key": "claims/may.csv",
        "version_id": "v1",
        "size": 43059,
        "etag": "e",
        "dropped_at": "2026-05-04T09:17:30Z",
        "sha256": "b" * 64,
        "rows": 352,
    },
    "parent": None,
    "quantemplate": {
        "organisation_id": "c-broker",
        "dataset_id": "d-claims",
        "pipeline_id": "p-claims",
        "execution_id": "e-1",
        "run_number": 1,
        "created_at": "2026-05-04T09:17:40Z",
        "started_at": "2026-05-04T09:17:40Z",
        "finished_at": "2026-05-04T09:21:40Z",
    },
    "outputs": [
        {
            "name": "Clean claims: Sheet 1",
            "id": "o-1",
            "key": f"claims/may/{MAY}/Clean claims: Sheet 1.csv",
            "bytes": 40273,
            "sha256": "c" * 64,
            "rows": 12345,
        }
    ],
    "destinations": [],
    "chained": [{"route": "central", "output": "Clean claims: Sheet 1", "key": "central/m.csv"}],
}


def lines(s3: Any) -> dict[str, Any]:
    """What the outbox tells of all runs, by its keys; each is one line as its schema has it."""
    found = {}
    for each in s3.list_objects_v2(Bucket=OUTBOX, Prefix="runs/").get("Contents", []):
        text = s3.get_object(Bucket=OUTBOX, Key=each["Key"])["Body"].read().decode()
        assert text.endswith("\n")
        assert text.count("\n") == 1
        found[each["Key"]] = json.loads(text)
        VALIDATOR.validate(found[each["Key"]])
    return found


def started_by(event: Event, run: str, record: Any, given: Any) -> str:
    """Who has started a run of this name, record and input."""
    told = facts(event, record=record, name=run, input=json.dumps(given))
    row = row_of(told, json.dumps(given), record)
    VALIDATOR.validate(row)
    return row["started_by"]


def test_a_run_leaves_a_line_in_the_folder_of_the_month_of_its_start(
    handler: Any, event: Event, s3: Any
) -> None:
    # Given a run that has published its outputs, and one without a manifest
    manifest = f"claims/may/{MAY}/manifest.json"
    s3.put_object(Bucket=OUTBOX, Key=manifest, Body=json.dumps(MANIFEST).encode())
    ended = handler("run_ended")
    # When they end, then each is a line
    result = RESULT | {"bucket": OUTBOX, "manifest": manifest}
    ended(change(event, "SUCCEEDED", output=json.dumps(result)))
    ended(change(event, name="other"))
    told = lines(s3)
    assert told.keys() == {KEY, "runs/year=2026/month=05/other.json"}
    # And the one has what its manifest has
    row = told[KEY]
    for name in ("source", "parent", "quantemplate", "outputs", "destinations", "chained"):
        assert row[name] == MANIFEST[name]
    assert (row["status"], row["error"], row["manifest"]) == (
        "Succeeded",
        None,
        f"s3://{OUTBOX}/{manifest}",
    )
    # And the other why it failed, and as much as is known
    other = told["runs/year=2026/month=05/other.json"]
    assert (other["status"], other["error"]) == ("Failed", "PipelineFailed")
    assert (other["manifest"], other["outputs"], other["quantemplate"]) == (None, [], None)


@pytest.mark.parametrize(
    ("started", "key"),
    [
        (datetime(2026, 5, 31, 23, 59, 59, tzinfo=UTC), "runs/year=2026/month=05/a.json"),
        (datetime(2026, 6, 1, tzinfo=UTC), "runs/year=2026/month=06/a.json"),
    ],
)
def test_months_are_those_of_utc(started: datetime, key: str) -> None:
    assert row_key("a", started.isoformat()) == key


def test_a_redrive_writes_over_the_line_of_its_run_whenever_events_come(
    handler: Any, event: Event, s3: Any
) -> None:
    # Given a run that failed in May, and whose redrive succeeded in June
    ended = handler("run_ended")
    first = change(event)
    stopped = first["detail"]["stopDate"] + int(timedelta(days=30).total_seconds() * 1000)
    second = change(event, "SUCCEEDED", redriveCount=1, stopDate=stopped)
    # When both events come twice, in any order
    for order in ([first, second], [second, first, first, second]):
        for each in order:
            ended(each)
        # Then there is one line, of the second attempt
        ((key, row),) = lines(s3).items()
        assert (key, row["attempt"], row["status"]) == (KEY, 2, "Succeeded")
        s3.delete_object(Bucket=OUTBOX, Key=KEY)


def test_who_has_started_a_run_is_told(event: Event) -> None:
    file = {"bucket": "inbox", "key": "claims/may.csv", "version_id": "v1"}
    dropped = run_name("inbox", "claims/may.csv", "v1")
    whole = file | {"size": 1, "etag": "e", "dropped_at": "2026-05-04T09:17:30Z", "parent": None}
    record: Any = {"route": "claims", "source": whole}
    parent = {"run": "a", "key": "k", "output": "o", "path": ["a"]}
    assert started_by(event, dropped, record, file) == "drop"
    chained: Any = {"route": "claims", "source": whole | {"parent": parent}}
    assert started_by(event, dropped, chained, file) == "chain"
    # A run of a file that has another name was started with an input of its own
    assert started_by(event, "again", record, file) == "hand"
    assert started_by(event, "typed", {}, {"key": 7}) == "hand"
    for cause, by in (
        ({"at": "2026-05-04T09:00:00Z"}, "schedule"),
        ({"updated": ["d-1"]}, "updates"),
        ({"by": "hand"}, "hand"),
    ):
        name, of = route_run_name("stock", "x"), {"route": "stock", "source": None, "cause": cause}
        assert started_by(event, name, of, {"route": "stock", "cause": cause}) == by
    assert started_by(event, "free", record, {"release": MAY}) == "release"
    replayed = file | {"dropped_at": "2026-05-04T09:17:30Z", "replay": "20261128-101530-3fa9"}
    assert started_by(event, f"{dropped}-replay-1", record, replayed) == "replay"
    row = row_of(facts(event, record=record), json.dumps({"release": MAY}), record)
    assert (row["releases"], row["source"]["key"]) == (MAY, "claims/may.csv")


def test_an_object_of_bytes_without_versions_is_dropped_too(event: Event) -> None:
    given = {"bucket": "inbox", "key": "claims/may.csv", "sequencer": "0077"}
    run = run_name("inbox", "claims/may.csv", "0077")
    assert started_by(event, run, {}, given) == "drop"


def test_what_is_known_of_an_execution_that_failed_is_told(event: Event) -> None:
    made = MANIFEST["quantemplate"] | {"measures": {"sha256": None, "rows": 3}, "after": 0}
    record: Any = RECORD | {"execution": made}
    row = row_of(facts(event, record=record), "{}", record)
    assert row["quantemplate"]
    assert row["quantemplate"]["execution_id"] == "e-1"
    assert "measures" not in row["quantemplate"]


# --- trouble --------------------------------------------------------------------------------------
class Trouble:
    """S3 whose PUTs of lines fail while there are codes left; then it is moto's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand between the functions and S3."""
        self.codes: list[str] = []
        self.puts = 0
        real = aws.client

        def client(service: str) -> Any:
            made = real(service)
            if service == "s3":
                monkeypatch.setattr(made, "put_object", self.between(made.put_object))
            return made

        monkeypatch.setattr(aws, "client", client)

    def between(self, put: Any) -> Any:
        """A call that fails as it is told to."""

        def asked(**given: Any) -> Any:
            self.puts += 1
            if self.codes:
                said: Any = {"Error": {"Code": self.codes.pop()}}
                raise ClientError(said, "PutObject")
            return put(**given)

        return asked


@pytest.mark.parametrize("code", ["SlowDown", "AccessDenied"])
def test_a_line_that_cannot_be_written_is_written_by_a_sweep(
    handler: Any,
    event: Event,
    s3: Any,
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
) -> None:
    # Given S3, which takes no line
    trouble = Trouble(monkeypatch)
    ended, sweep = handler("run_ended"), handler("sweep_queues")
    trouble.codes += [code] * 4
    # When a run ends, then all else is told, and the function fails: its event comes again
    with pytest.raises((AwsUnavailable, AwsDenied)):
        ended(change(event))
    assert [each["way"] for each in table.items(TELLINGS)] == ["row"]
    assert lines(s3) == {}
    # When S3 is back, then a sweep writes it, and forgets it
    trouble.codes.clear()
    for item in table.items(TELLINGS):
        old = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
        table.update((TELLINGS, item["sk"]), "SET #since = :old", old=old)
    sweep({})
    assert lines(s3)[KEY]["error"] == "PipelineFailed"
    assert not list(table.items(TELLINGS))


def test_one_put_is_all_that_a_run_costs(
    handler: Any, event: Event, s3: Any, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Trouble(monkeypatch)
    handler("run_ended")(change(event))
    assert trouble.puts == 1
    assert not [name for name in table.get(record_key(MAY)) or {} if name.startswith("row_")]
    assert lines(s3).keys() == {KEY}


def test_a_later_attempt_that_is_written_meanwhile_is_not_written_over(
    s3: Any, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given the line of a run's first attempt
    first, second, third = (
        row_of(facts(event, redriveCount=count), "{}", {}) for count in range(3)
    )
    put_row(s3, OUTBOX, first)
    # When the third is written just after the second has looked what is there
    looked = s3.head_object

    def overtaken(**given: Any) -> Any:
        seen = looked(**given)
        monkeypatch.setattr(s3, "head_object", looked)
        put_row(s3, OUTBOX, third)
        return seen

    monkeypatch.setattr(s3, "head_object", overtaken)
    put_row(s3, OUTBOX, second)
    # Then it stays
    assert [row["attempt"] for row in lines(s3).values()] == [3]


def test_others_that_write_the_same_line_for_ever_are_an_error(event: Event) -> None:
    class S3:
        def put_object(self, **_: Any) -> None:
            said: Any = {
                "Error": {"Code": "PreconditionFailed"},
                "ResponseMetadata": {"HTTPStatusCode": 412},
            }
            raise ClientError(said, "PutObject")

        def head_object(self, **_: Any) -> Any:
            return {"Metadata": {"attempt": "0"}, "ETag": "e"}

    s3: Any = S3()
    with pytest.raises(Overtaken, match="5 times"):
        put_row(s3, OUTBOX, row_of(facts(event), "{}", {}))


def test_a_manifest_that_is_gone_leaves_the_line_of_what_was_told(
    handler: Any, event: Event, s3: Any
) -> None:
    handler("run_ended")(change(event, "SUCCEEDED", output=json.dumps(RESULT | {"bucket": OUTBOX})))
    assert lines(s3)[KEY]["rows_out"] == RESULT["rows_out"]

"""A run is held at its gate, or published; what is held is released once."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import jsonschema
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError

from straight_through.errors import (
    ChainCycle,
    DestinationClash,
    InputInvalid,
    OutboxDenied,
    OutboxUnavailable,
    OutputMissing,
    ReleaseRefused,
)
from straight_through.publishing.publish import publish
from straight_through.queue.items import RunRecord
from straight_through.queue.records import Records, noted, record_key, releasing
from straight_through.queue.table import Table
from straight_through.rows import RowCount
from straight_through.telling.messages import held_because
from tests.unit.conftest import INBOX, OUTBOX, ROOT, ROUTE, Handler, made_once
from tests.unit.outbox_runs import (
    CLEAN,
    PATH,
    REPORT,
    Known,
    chained_to,
    objects,
    route,
    run_of,
    without_a_file,
)

SCHEMA = json.loads((ROOT / "layers/straight_through/manifest.schema.json").read_text("utf-8"))
FOLDER = "claims/may/may-1/"
FILE = {"bucket": INBOX, "key": "claims/may.csv"}
OUTPUTS = {CLEAN: b"id\n1\n2\n", REPORT: b"problem\nnone paid\n"}
PASSING = OUTPUTS | {REPORT: b"problem\n"}
ALL: dict[str, Any] = {
    "hold_if_rows": ("Validation report: *",),
    "destinations": ("s3://lake/{output}.csv",),
    "then": chained_to(("central", "Clean claims: *")),
}


@pytest.fixture(autouse=True)
def lake(s3: Any) -> None:
    """A bucket for exports."""
    s3.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})


CENTRAL: Any = Known(route("central"))  # the only other route


def manifest_at(s3: Any, key: str) -> dict[str, Any]:
    """A manifest, which its schema describes."""
    manifest: dict[str, Any] = json.loads(s3.get_object(Bucket=OUTBOX, Key=key)["Body"].read())
    jsonschema.Draft202012Validator(SCHEMA).validate(manifest)
    return manifest


def tagged(s3: Any) -> dict[str, bool]:
    """Whether the outbox's rule removes each object in time."""
    outbox = [{"Key": "retention", "Value": "outbox"}]
    return {
        key: s3.get_object_tagging(Bucket=OUTBOX, Key=key)["TagSet"] == outbox
        for key in objects(s3, OUTBOX)
    }


# --- the gate -------------------------------------------------------------------------------------
def test_rows_at_the_gate_hold_the_run_and_nothing_leaves(s3: Any) -> None:
    record = run_of(s3, OUTPUTS, gated=True)
    result = publish(s3, OUTBOX, record, route(**ALL), CENTRAL)
    # Then the result says so
    held = [{"name": REPORT, "rows": 1}]
    assert (result["status"], result["held"]) == ("Held", held)
    assert (result["exported"], result["chained"]) == (0, 0)
    # And all lies under held/
    folder = f"held/{FOLDER}"
    files = {f"{folder}{name}.csv" for name in OUTPUTS} | {f"{folder}manifest.json"}
    assert objects(s3, OUTBOX).keys() == files
    assert (objects(s3, "lake"), objects(s3, INBOX)) == ({}, {})
    manifest = manifest_at(s3, f"{folder}manifest.json")
    assert (manifest["status"], manifest["held"]) == ("Held", held)
    # And nothing removes it but its own rule
    assert not any(tagged(s3).values())


@pytest.mark.parametrize(
    ("rows", "more", "why"),
    [
        (3, {}, "has 3 rows; expected are at least 4"),
        (0, {}, "has 0 rows; expected are at least 4"),
        (
            None,
            {"rows_reason": "it is no text"},
            "cannot be counted: it is no text; expected are at least 4",
        ),
    ],
)
def test_a_file_with_fewer_rows_than_its_route_expects_is_held(
    s3: Any, rows: int | None, more: dict[str, Any], why: str
) -> None:
    # Given a run whose file has hardly any rows, or rows that nobody has counted
    record = run_of(s3, PASSING, gated=True)
    record["source"] |= {"rows": rows, **more}
    # When it comes to its gate
    changed = ALL | {"hold_if_fewer_rows": 4}
    result = publish(s3, OUTBOX, record, route(**changed), CENTRAL)
    # Then nothing leaves, and it is said why
    assert (result["status"], result["exported"], result["chained"]) == ("Held", 0, 0)
    assert held_because(result["held"]) == [f"'may.csv' {why}"]
    manifest = manifest_at(s3, f"held/{FOLDER}manifest.json")
    assert manifest["held"] == result["held"]
    # And a release publishes it
    released = publish(s3, OUTBOX, record, route(**changed), CENTRAL, released=True)
    assert released["status"] == "Succeeded"


def test_a_file_with_as_many_rows_as_its_route_expects_passes(s3: Any) -> None:
    record = run_of(s3, PASSING, gated=True)
    result = publish(s3, OUTBOX, record, route(hold_if_fewer_rows=3), CENTRAL)
    assert result["status"] == "Succeeded"


def test_a_run_that_passes_its_gate_lies_where_all_do_with_its_lineage(s3: Any) -> None:
    record = run_of(s3, PASSING, gated=True)
    result = publish(s3, OUTBOX, record, route(**ALL), CENTRAL)
    assert (result["status"], result["exported"], result["chained"]) == ("Succeeded", 2, 1)
    files = {f"{FOLDER}{name}.csv" for name in OUTPUTS} | {f"{FOLDER}manifest.json"}
    assert objects(s3, OUTBOX).keys() == files
    metadata = s3.head_object(Bucket=OUTBOX, Key=f"{FOLDER}{CLEAN}.csv")["Metadata"]
    assert {"run": "may-1", "source-key": "claims/may.csv"}.items() <= metadata.items()
    assert metadata["order"] == record["order"]
    assert metadata["source-version"] == "v1"
    # And is removed when its days are over, if they are given
    assert all(tagged(s3).values())
    manifest = manifest_at(s3, result["manifest"])
    assert [output["key"] for output in manifest["outputs"]] == [
        f"{FOLDER}{name}.csv" for name in OUTPUTS
    ]
    assert {each["outcome"] for each in manifest["destinations"]} == {"Copied"}
    (dropped,) = manifest["chained"]
    assert objects(s3, INBOX) == {dropped["key"]: OUTPUTS[CLEAN]}


def test_each_of_several_outputs_with_one_name_is_looked_at(s3: Any) -> None:
    record = run_of(s3, {"A": b"x\n", "B": b"x\n1\n", "C": b"x\n1\n2\n"}, gated=True)
    for output in record["outputs"]:
        output["name"] = "Report"
    result = publish(s3, OUTBOX, record, route(hold_if_rows=("Report",)), CENTRAL)
    assert result["held"] == [{"name": "Report", "rows": 1}, {"name": "Report", "rows": 2}]
    # And they count together
    assert result["rows_out"] == {"Report": 3}


def measured(content: bytes) -> dict[str, Any]:
    """The measures of an output that DownloadOutput adds."""
    rows = RowCount()
    rows.update(content)
    return {"rows": rows.rows} | ({"rows_reason": rows.reason} if rows.reason else {})


REPORTS = {path.stem: path.read_bytes() for path in (ROOT / "tests/unit/reports").glob("*.csv")}
REPORTS |= {"empty": b"", "blank": b"\n\n", "EBCDIC": "Row,Value\x852,x".encode("cp037")}


@pytest.mark.parametrize("name", REPORTS)
def test_only_a_report_that_has_no_rows_for_certain_lets_a_run_pass(s3: Any, name: str) -> None:
    # Given a run whose report is one of those that people have sent
    record = run_of(s3, {CLEAN: b"id\n1\n", REPORT: REPORTS[name]}, gated=True)
    record["outputs"][1] |= measured(REPORTS[name])
    # When it comes to its gate
    result = publish(s3, OUTBOX, record, route(**ALL), CENTRAL)
    # Then it passes only where the report is a header and nothing else
    passes = name.startswith("report-header-")
    assert result["status"] == ("Succeeded" if passes else "Held")
    assert (objects(s3, INBOX) == {}) is not passes
    # And what cannot be counted says why, in the result and in the manifest
    if not passes:
        (held,) = manifest_at(s3, result["manifest"])["held"]
        assert result["held"] == [held]
        assert held["rows"] or held["reason"]


@pytest.mark.parametrize(("execution", "told"), [("e-7", '"e-7"'), (None, '""')])
def test_a_gate_that_was_named_since_the_outputs_were_fetched_lets_nothing_pass(
    s3: Any, execution: str | None, told: str
) -> None:
    # Given a run that has not fetched what the route has put at its gate since
    record = run_of(s3, {CLEAN: b"id\n1\n"}, gated=True)
    if execution is None:
        record["quantemplate"] = None
    with pytest.raises(OutputMissing, match=rf"'Late report: \*'.*\"execution_id\": {told}"):
        publish(s3, OUTBOX, record, route(hold_if_rows=("Late report: *",)), CENTRAL)
    assert objects(s3, OUTBOX).keys() == {record["outputs"][0]["key"]}


def test_a_gate_of_all_outputs_lets_a_run_pass_that_has_none(s3: Any) -> None:
    record = run_of(s3, {}, gated=True)
    assert publish(s3, OUTBOX, record, route(hold_if_rows=("*",)), CENTRAL)["status"] == "Succeeded"


@pytest.mark.parametrize(
    ("begun", "ended", "seconds"),
    [
        ("2026-05-04T08:15:34Z", "2026-05-04T08:19:34Z", 240),
        ("2026-05-04T08:15:34Z", "2026-05-04T08:15:34Z", 0),
        ("2026-05-04T08:15:34Z", "2026-05-04T08:15:33Z", None),
        (None, "2026-05-04T08:15:34Z", None),
        ("2026-05-04T08:15:34Z", None, None),
    ],
)
def test_how_long_the_pipeline_ran_is_told_where_its_times_tell(
    s3: Any, begun: str | None, ended: str | None, seconds: float | None
) -> None:
    record = run_of(s3, PASSING)
    record["quantemplate"] |= {"started_at": begun, "finished_at": ended}
    assert publish(s3, OUTBOX, record, route(), CENTRAL)["ran_seconds"] == seconds


def test_a_run_without_a_file_tells_what_caused_it_and_has_no_rows_in(s3: Any) -> None:
    record = without_a_file(run_of(s3, PASSING))
    result = publish(s3, OUTBOX, record, route(), CENTRAL)
    assert (result["cause"], result["rows_in"]) == (record["cause"], None)
    # And one with a file has no cause
    assert "cause" not in publish(s3, OUTBOX, run_of(s3, PASSING), route(), CENTRAL)


def test_what_cannot_be_counted_has_no_sum(s3: Any) -> None:
    record = run_of(s3, {"A": b"x\n1\n", "B": b"", "C": b"x\n1\n", "D": b"x\n"})
    for output in record["outputs"][:3]:
        output["name"] = "Report"
    record["outputs"][1] |= measured(b"")
    record["source"] |= {"rows": None, "rows_reason": "a quote in row 3 that never ends"}
    result = publish(s3, OUTBOX, record, route(), CENTRAL)
    assert result["rows_out"] == {"Report": None, "D": 0}
    assert (result["rows_in"], result["rows_in_reason"]) == (
        None,
        "a quote in row 3 that never ends",
    )
    assert manifest_at(s3, result["manifest"])["outputs"][1]["rows"] is None


def test_a_run_without_outputs_says_so(s3: Any) -> None:
    result = publish(s3, OUTBOX, run_of(s3, {}), route(), CENTRAL)
    assert (result["status"], result["no_outputs"]) == ("Succeeded", True)
    assert manifest_at(s3, result["manifest"])["no_outputs"] is True
    # And one with outputs does not
    result = publish(s3, OUTBOX, run_of(s3, OUTPUTS, run="may-2"), route(), CENTRAL)
    assert "no_outputs" not in result


def test_of_very_many_outputs_a_result_has_the_first_and_counts_the_others(s3: Any) -> None:
    # Given more outputs that hold a run than a state's payload has room for
    record = run_of(s3, {"A": b""}, gated=True)
    record["outputs"] = [
        record["outputs"][0] | {"name": f"{n:04} " + "ü" * 200, "rows": 1} for n in range(2000)
    ]
    # When it is held
    result = publish(s3, OUTBOX, record, route(hold_if_rows=("*",)), CENTRAL)
    # Then the result is short and says how many it leaves out, and the manifest has all
    assert len(json.dumps(result)) < 200_000
    assert len(result["held"]) + len(result["rows_out"]) + result["left_out"] == 4000
    assert len(manifest_at(s3, result["manifest"])["held"]) == 2000


def test_a_skipped_run_has_a_manifest_and_nothing_else(s3: Any) -> None:
    twin = {"run": "april", "key": "claims/april.csv", "at": "2026-04-04T08:15:30.000Z"}
    record = run_of(s3, {}) | {"status": "Skipped", "quantemplate": None, "identical_to": twin}
    record["source"] |= {"sha256": None, "rows": None}
    result = publish(s3, OUTBOX, record, route(**ALL), CENTRAL)
    manifest = manifest_at(s3, f"{FOLDER}manifest.json")
    assert (result["status"], result["identical_to"]) == ("Skipped", twin)
    assert (manifest["status"], manifest["identical_to"]) == ("Skipped", twin)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"then": chained_to(("claims", "*"))}, ChainCycle),
        ({"destinations": ("s3://lake/one.csv",)}, DestinationClash),
    ],
)
def test_what_is_refused_is_refused_before_anything_is_written(
    s3: Any, changed: dict[str, Any], error: type[Exception]
) -> None:
    record = run_of(s3, PASSING, gated=True)
    before = objects(s3, OUTBOX)
    with pytest.raises(error):
        publish(s3, OUTBOX, record, route(**ALL | changed), CENTRAL)
    assert (objects(s3, OUTBOX), objects(s3, "lake"), objects(s3, INBOX)) == (before, {}, {})


def test_a_held_run_whose_chain_has_become_a_circle_is_not_released(s3: Any) -> None:
    # Given a held run, and a route that was made to chain on to itself since
    record = run_of(s3, OUTPUTS, gated=True)
    before = objects(s3, OUTBOX)
    circle = route(**ALL | {"then": chained_to(("claims", "*"))})
    # Then its release writes nothing
    with pytest.raises(ChainCycle):
        publish(s3, OUTBOX, record, circle, CENTRAL, released=True)
    assert (objects(s3, OUTBOX), objects(s3, "lake"), objects(s3, INBOX)) == (before, {}, {})


def test_a_result_fits_into_a_state_however_many_destinations_there_are(s3: Any) -> None:
    record = run_of(s3, {})
    output = {"id": "o", "bytes": 1, "sha256": "0" * 64, "rows": 1}
    record["outputs"] = [output | {"name": f"n{n}", "key": f"k/n{n}.csv"} for n in range(3)]
    for name in ("n0", "n1", "n2"):
        s3.put_object(Bucket=OUTBOX, Key=f"k/{name}.csv", Body=b"x")
    many = tuple(f"s3://lake/{n}/{{output}}.csv" for n in range(20))
    result = publish(s3, OUTBOX, record, route(destinations=many), CENTRAL)
    assert result["exported"] == 60
    assert len(json.dumps(result)) < 600
    assert len(manifest_at(s3, result["manifest"])["destinations"]) == 60


@pytest.mark.parametrize("operation", ["CompleteMultipartUpload", "DeleteObject"])
def test_an_outbox_that_does_not_answer_is_tried_again(
    s3: Any, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    of_all: Any = BaseClient
    real = of_all._make_api_call

    def unreached(client: Any, name: str, parameters: Any) -> Any:
        if name == operation:
            raise EndpointConnectionError(endpoint_url="https://s3")
        return real(client, name, parameters)

    record = run_of(s3, PASSING, gated=True)
    monkeypatch.setattr(BaseClient, "_make_api_call", unreached)
    with pytest.raises(OutboxUnavailable, match=r"broke off \(EndpointConnectionError\)"):
        publish(s3, OUTBOX, record, route(), CENTRAL)


@pytest.mark.parametrize(
    ("operation", "at", "told"),
    [
        ("CreateMultipartUpload", FOLDER, "may not be written"),
        ("DeleteObject", f"held/{FOLDER}", "may not be deleted"),
    ],
)
def test_an_outbox_that_denies_is_told_with_the_object_and_what_was_tried(
    s3: Any, monkeypatch: pytest.MonkeyPatch, operation: str, at: str, told: str
) -> None:
    of_all: Any = BaseClient
    real = of_all._make_api_call

    def denied(client: Any, name: str, parameters: Any) -> Any:
        if name == operation and parameters["Bucket"] == OUTBOX:
            answer: Any = {"Error": {"Code": "AccessDenied"}}
            raise ClientError(answer | {"ResponseMetadata": {"HTTPStatusCode": 403}}, name)
        return real(client, name, parameters)

    record = run_of(s3, PASSING, gated=True)
    monkeypatch.setattr(BaseClient, "_make_api_call", denied)
    where = re.escape(f"s3://{OUTBOX}/{at}{CLEAN}.csv")
    with pytest.raises(OutboxDenied, match=f"{where}.*{told}|{told}.*{where}"):
        publish(s3, OUTBOX, record, route(), CENTRAL)


# --- release --------------------------------------------------------------------------------------
@pytest.fixture
def publish_run(handler: Any, table: Table) -> Handler:
    """The handler, in a stack whose route has a gate, a destination and a chain."""
    assert table
    ssm = made_once("ssm")
    document = ROUTE | ALL | {"then": [{"route": "central", "output": "Clean claims: *"}]}
    ssm.put_parameter(Name=f"{PATH}/claims", Value=json.dumps(document), Overwrite=True)
    ssm.put_parameter(Name=f"{PATH}/central", Type="String", Value=json.dumps(ROUTE))
    loaded: Handler = handler("publish_run")
    return loaded


def execution(name: str, given: dict[str, Any], record: Any) -> dict[str, Any]:
    """What PublishRun is sent in an execution."""
    started = "2026-05-05T10:00:00.000Z"
    about = {"Name": name, "Id": f"arn:{name}", "StartTime": started, "Input": given}
    return {"execution": about, "record": record}


def release(run: Any, by: str = "by-hand") -> dict[str, Any]:
    """What PublishRun is sent in an execution that releases."""
    return execution(by, {"release": run}, {"release": run})


@pytest.fixture
def held(publish_run: Handler, s3: Any) -> Any:
    """A run that its gate holds."""
    record = run_of(s3, OUTPUTS, gated=True)
    result = publish_run(execution("may-1", FILE, record))
    assert result["status"] == "Held"
    return record


def test_what_is_held_is_released_with_its_own_name_and_place(
    publish_run: Handler, s3: Any, held: dict[str, Any]
) -> None:
    result = publish_run(release("may-1"))
    assert (result["run"], result["status"]) == ("may-1", "Succeeded")
    assert (result["exported"], result["chained"]) == (2, 1)
    manifest = manifest_at(s3, f"{FOLDER}manifest.json")
    assert (manifest["run"], manifest["status"]) == ("may-1", "Succeeded")
    assert objects(s3, "lake") == {f"{name}.csv": content for name, content in OUTPUTS.items()}
    metadata = s3.head_object(Bucket="lake", Key=f"{CLEAN}.csv")["Metadata"]
    assert metadata["order"] == held["order"]
    # And of what was held only the manifest is left, for a release that is redriven
    left = {key for key in objects(s3, OUTBOX) if key.startswith("held/")}
    assert left == {f"held/{FOLDER}manifest.json"}


def test_it_is_released_by_one_execution_as_often_as_that_is_tried(
    publish_run: Handler, s3: Any, held: dict[str, Any]
) -> None:
    assert held
    first = publish_run(release("may-1"))
    assert publish_run(release("may-1")) == first
    assert len(s3.list_object_versions(Bucket=INBOX)["Versions"]) == 1
    with pytest.raises(ReleaseRefused, match="'may-1' was released by run 'by-hand' already"):
        publish_run(release("may-1", by="another"))


@pytest.mark.parametrize(
    ("run", "error", "told"),
    [
        ("may-1", ReleaseRefused, "is not held"),
        ("", InputInvalid, "is no run's name"),
        (None, InputInvalid, "is no run's name"),
        (7, InputInvalid, "is no run's name"),
    ],
)
def test_what_is_not_held_cannot_be_released(
    publish_run: Handler, s3: Any, run: Any, error: type[Exception], told: str
) -> None:
    run_of(s3, OUTPUTS)
    with pytest.raises(error, match=rf"{told}.*\{{\"release\": \"<run>\"\}}"):
        publish_run(release(run))
    assert objects(s3, "lake") == {}


def test_what_was_held_and_is_gone_by_now_is_told(
    publish_run: Handler, s3: Any, held: dict[str, Any]
) -> None:
    assert held
    s3.delete_object(Bucket=OUTBOX, Key=f"held/{FOLDER}manifest.json")
    with pytest.raises(
        ReleaseRefused,
        match=r"manifest\.json is gone.*start a new run with the input of the run that was held",
    ):
        publish_run(release("may-1"))


# --- after any time -------------------------------------------------------------------------------
NOW = datetime(2027, 1, 4, 8, 0, tzinfo=UTC)


def expiry(table: Table, run: str = "may-1") -> datetime:
    """When the table forgets a run."""
    return datetime.fromtimestamp((table.get(record_key(run)) or {})["expires_at"], UTC)


def test_what_is_known_of_a_held_run_does_not_expire_before_it(
    publish_run: Handler, s3: Any, table: Table
) -> None:
    # Given a run that is held
    Records(table).note("may-1", NOW, route="claims")
    publish_run(execution("may-1", FILE, run_of(s3, OUTPUTS, gated=True)))
    # When its end is told
    table.together(noted("may-1", "event_0", NOW))
    # Then its record stays, for all that a person will see
    assert expiry(table) > NOW + timedelta(days=365 * 1000)
    # And is forgotten like any other once it was released
    publish_run(release("may-1"))
    assert expiry(table) < datetime.now(UTC) + timedelta(days=181)


def forget(table: Table, run: str = "may-1") -> None:
    """Let the table forget a run, as it does those that release 1.0.0 has held, after 180 days."""
    table.delete(record_key(run), "attribute_exists(#pk)")


def test_what_the_table_has_forgotten_is_released_by_its_manifest(
    publish_run: Handler, table: Table, held: dict[str, Any]
) -> None:
    # Given a held run of which nothing is known but what lies under held/
    assert held
    forget(table)
    # When it is released
    result = publish_run(release("may-1"))
    assert (result["status"], result["exported"], result["chained"]) == ("Succeeded", 2, 1)
    # Then its file is known again, and no other may release it
    record = table.get(record_key("may-1")) or {}
    assert (record["source"]["key"], record["route"]) == ("claims/may.csv", "claims")
    with pytest.raises(ReleaseRefused, match="released by run 'by-hand' already"):
        publish_run(release("may-1", by="another"))


def test_what_is_known_anew_of_a_held_run_is_all_that_its_manifest_has(
    publish_run: Handler, s3: Any, table: Table
) -> None:
    # Given a held run without a file, and one whose pipeline has made but one output
    cause = {"kind": "by hand", "by": "ann"}
    record = run_of(s3, {REPORT: b"problem\n1\n"}, gated=True) | {"cause": cause}
    publish_run(execution("may-1", FILE, record))
    # When the table has forgotten it, and it is released
    forget(table)
    publish_run(release("may-1"))
    # Then its cause and its place in the order are known as before
    known = table.get(record_key("may-1")) or {}
    assert known["cause"] == cause
    assert known["order"].endswith("#may-1")


@pytest.mark.parametrize(
    ("code", "status", "error"), [("AccessDenied", 403, OutboxDenied), ("", 503, OutboxUnavailable)]
)
def test_a_held_folder_that_cannot_be_listed_is_told(
    publish_run: Handler,
    held: dict[str, Any],
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    status: int,
    error: type[Exception],
) -> None:
    of_all: Any = BaseClient
    real = of_all._make_api_call

    def refused(client: Any, name: str, parameters: Any) -> Any:
        if name == "ListObjectsV2":
            answer: Any = {"Error": {"Code": code}}
            raise ClientError(answer | {"ResponseMetadata": {"HTTPStatusCode": status}}, name)
        return real(client, name, parameters)

    assert held
    forget(table)
    monkeypatch.setattr(BaseClient, "_make_api_call", refused)
    with pytest.raises(error, match=rf"(?i)read.*s3://{OUTBOX}/held/|s3://{OUTBOX}/held/.*read"):
        publish_run(release("may-1"))


def test_what_was_released_and_forgotten_is_not_released_again(
    publish_run: Handler, s3: Any, table: Table, held: dict[str, Any]
) -> None:
    assert held
    publish_run(release("may-1"))
    forget(table)
    with pytest.raises(ReleaseRefused, match="is not held"):
        publish_run(release("may-1", by="another"))
    assert len(s3.list_object_versions(Bucket=INBOX)["Versions"]) == 1


def test_a_manifest_of_the_release_before_is_released(
    publish_run: Handler, s3: Any, table: Table, held: dict[str, Any]
) -> None:
    # Given what release 1.0.0 has left of a held run: its manifest, and of its record these fields
    key = f"held/{FOLDER}manifest.json"
    manifest = json.loads(s3.get_object(Bucket=OUTBOX, Key=key)["Body"].read())
    fields = ("run", "execution_arn", "route", "status", "source", "parent", "quantemplate")
    more = ("identical_to", "outputs", "held", "destinations", "chained")
    of_before = {field: manifest[field] for field in (*fields, *more)}
    s3.put_object(Bucket=OUTBOX, Key=key, Body=json.dumps(of_before))
    forget(table)
    table.update(
        record_key("may-1"),
        "SET #held = :key, #order = :order, #expires_at = :soon",
        key=key,
        order=held["order"],
        soon=2_000_000_000,
    )
    # When it is released
    result = publish_run(release("may-1"))
    # Then it is as if it had been held by now's
    assert (result["status"], result["exported"], result["chained"]) == ("Succeeded", 2, 1)
    assert manifest_at(s3, f"{FOLDER}manifest.json")["status"] == "Succeeded"


@pytest.mark.parametrize(("days", "refused"), [(15, True), (17, False)])
def test_a_release_that_was_given_up_is_taken_over_when_nothing_can_redrive_it(
    table: Table, days: int, *, refused: bool
) -> None:
    # Given a release that has begun, and whose execution has failed
    records = Records(table)
    records.hold("may-1", "held/x/manifest.json", "1")
    assert records.release("may-1", "arn:first", NOW)
    later = NOW + timedelta(days=days)
    # Then another takes it over, once that one can be redriven no more
    seen = cast("RunRecord", table.get(record_key("may-1")))
    assert releasing(seen, later) == ("arn:first" if refused else "")
    if refused:
        told = "is being released by run 'first'. If that has failed, redrive that one"
        with pytest.raises(ReleaseRefused, match=told):
            records.release("may-1", "arn:second", later)
        return
    assert records.release("may-1", "arn:second", later)
    # And never once it was done
    records.released("may-1", later)
    with pytest.raises(ReleaseRefused, match="was released by run 'second' already"):
        records.release("may-1", "arn:third", later + timedelta(days=400))


def test_a_release_of_the_release_before_is_taken_over_by_nobody(table: Table) -> None:
    table.update(record_key("may-1"), "SET #held = :x, #released_by = :x, #order = :x", x="arn:x")
    with pytest.raises(ReleaseRefused, match="by run 'x' already"):
        Records(table).release("may-1", "arn:y", NOW)

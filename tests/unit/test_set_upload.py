"""UploadAndExecute of a set's run: what goes up of each member, and what is refused of one."""

import copy
import hashlib
import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from straight_through.buckets.outbox import manifest_of
from straight_through.errors import HeaderMismatch, NotInSet, TableUnclear
from straight_through.queue.records import record_key
from straight_through.queue.table import Table
from tests.unit.conftest import INBOX, OUTBOX, ROOT, ROUTE, Event, Handler, give_turn, made_once
from tests.unit.test_upload_and_execute import EXECUTION
from tests.unit.wire import EXECUTIONS, Reply, Wire, json_reply

SCHEMA = json.loads((ROOT / "layers/straight_through/manifest.schema.json").read_text("utf-8"))
CLAIMS = b"id,paid\nC-1,1.00\n"
PREMIUMS = b"Premiums of May,\n,\nPolicy,Premium\nP-1,9.00\nP-2,8.00\n,\n"
TABLE = b"Policy,Premium\r\nP-1,9.00\r\nP-2,8.00\r\n"
MEMBERS: list[dict[str, Any]] = [
    {"file": "claims-{period}.csv", "dataset_id": "d-1"},
    {"file": "premiums-{period}.csv", "dataset_id": "d-2", "table": {}},
]
UPLOADS = [f"/v1/organisations/c-broker/datasets/d-{number}" for number in (1, 2)]
Claim = Callable[..., dict[str, Any]]


def put_route(members: list[dict[str, Any]], **fields: Any) -> None:
    """Let the folder `claims` have a set of these members, or where there are none, one file."""
    route: dict[str, Any] = {**ROUTE, **fields}
    if members:
        del route["dataset_id"]
        route["set"] = {"period": "{period}", "members": members}
    made_once("ssm").put_parameter(
        Name="/straight-through/routes/claims",
        Type="String",
        Value=json.dumps(route),
        Overwrite=True,
    )


@pytest.fixture
def upload(handler: Any, wire: Wire) -> Handler:
    """The handler, before a Quantemplate where all goes well."""
    wire.answer("GET", EXECUTIONS, json_reply([]))
    for path in UPLOADS:
        wire.answer("POST", path, Reply(200))
    wire.answer("POST", EXECUTIONS, json_reply(EXECUTION))
    loaded: Handler = handler("upload_and_execute")
    return loaded


@pytest.fixture
def claim(handler: Any, s3: Any, table: Table, event: Event) -> Claim:
    """Drop both files, let CheckFile gather them, and give the turn to the run of both."""
    check = handler("check_file")

    def claim(claims: bytes = CLAIMS, premiums: bytes = PREMIUMS) -> dict[str, Any]:
        given = event("upload_and_execute")
        for name, content in (("premiums", premiums), ("claims", claims)):
            key = f"claims/{name}-05.csv"
            put = s3.put_object(Bucket=INBOX, Key=key, Body=content)
            named = {"key": key, "version_id": put["VersionId"]}
            drop = copy.deepcopy(event("check_file"))
            execution = given["execution"] if name == "claims" else {"Name": "the-premiums"}
            drop["execution"] |= execution
            drop["execution"]["Input"] = drop["execution"]["Input"] | named
            found = check(drop)
        assert found["set"]["version"] == 1
        given["execution"]["Input"] |= named
        run = given["execution"]["Name"]
        source = (table.get(record_key(run)) or {})["source"]
        give_turn(table, given, source)
        return given

    return claim


def test_a_members_table_is_made_stored_sent_and_told(
    upload: Handler, claim: Claim, s3: Any, wire: Wire
) -> None:
    # Given a set one of whose members has a table
    put_route(MEMBERS)
    given = claim()
    # When it is its turn
    record = upload(given)
    # Then one file goes up as it is, and of the other the table that is made of it
    claims, premiums = record["members"]
    assert [wire.calls("POST", path)[0].body for path in UPLOADS] == [CLAIMS, TABLE]
    assert "prepared" not in claims
    made = premiums["prepared"]
    assert made["key"] == f"prepared/claims/{record['run']}/the-premiums.csv"
    assert s3.get_object(Bucket=OUTBOX, Key=made["key"])["Body"].read() == TABLE
    assert made["sha256"] == hashlib.sha256(TABLE).hexdigest()
    # And the file is known by its own hash, its rows are those that went up
    assert (premiums["sha256"], premiums["rows"]) == (hashlib.sha256(PREMIUMS).hexdigest(), 2)
    assert made["source_sha256"] == premiums["sha256"]
    # And the manifest tells it
    record["quantemplate"] |= {"started_at": None, "finished_at": None}
    ended: Any = record | {"status": "Succeeded", "outputs": []}
    manifest = manifest_of(ended)
    jsonschema.validate(manifest, SCHEMA)
    assert [each.get("prepared") for each in manifest["members"]] == [None, made]


def test_where_a_table_is_refused_in_the_turn_no_member_has_gone_up(
    upload: Handler, claim: Claim, wire: Wire
) -> None:
    # Given a member whose first rows are right, and whose last ones are not
    put_route(MEMBERS)
    rows = b"".join(b"P-%d,9.00\n" % number for number in range(20_000))
    given = claim(premiums=PREMIUMS[:-2] + rows + b"P-1,9.00,more\n")
    # When it is its turn, then the file is named, and nothing is uploaded
    with pytest.raises(TableUnclear, match=r"member premiums-\{period\}\.csv: s3://"):
        upload(given)
    assert [wire.calls("POST", path) for path in UPLOADS] == [[], []]


def test_what_the_members_ask_for_by_now_is_checked_within_the_turn(
    upload: Handler, claim: Claim, wire: Wire
) -> None:
    # Given a set that was claimed, and since then a header that one of its files lacks
    put_route(MEMBERS)
    given = claim()
    put_route([MEMBERS[0] | {"header": ["id", "amount"]}, MEMBERS[1]])
    # When it is its turn, then the member is refused before anything goes up
    with pytest.raises(HeaderMismatch, match=r"'amount' missing.*member claims-\{period\}\.csv"):
        upload(given)
    assert [wire.calls("POST", path) for path in UPLOADS] == [[], []]
    # And when the route is mended, all go up
    put_route(MEMBERS)
    assert upload(given)["status"] == "Started"


def test_a_file_that_was_sent_for_a_dataset_is_none_of_a_set(
    upload: Handler, s3: Any, wire: Wire, table: Table, event: Event
) -> None:
    # Given a file of a route with one dataset, whose Execute was sent and answered by nobody
    put_route([])
    given = event("upload_and_execute")
    named = given["execution"]["Input"]
    named["key"] = "claims/claims-05.csv"
    put = s3.put_object(Bucket=INBOX, Key=named["key"], Body=CLAIMS)
    source = {
        "bucket": INBOX,
        "key": named["key"],
        "version_id": put["VersionId"],
        "size": len(CLAIMS),
        "etag": put["ETag"].strip('"'),
        "dropped_at": named["dropped_at"],
        "parent": None,
    }
    give_turn(table, given, source)
    wire.answer("POST", "/v1/organisations/c-broker/datasets/d-claims", Reply(200))
    wire.answer("POST", EXECUTIONS, Reply(502))
    upload(given)
    run = record_key(given["execution"]["Name"])
    table.update(run, "SET #posted.#lost_at = :before", before="2026-01-01T00:00:00+00:00")
    # When the route gathers sets by then
    put_route(MEMBERS)
    wire.answer("POST", EXECUTIONS, json_reply(EXECUTION))
    # Then it is found to have made nothing, and the pipeline is not executed on what lies there
    before = len(wire.calls("POST", EXECUTIONS))
    with pytest.raises(NotInSet, match="no dataset for it alone: nothing was uploaded"):
        upload(given)
    assert len(wire.calls("POST", EXECUTIONS)) == before

"""PublishRun: the manifest, which its schema describes."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ConnectTimeoutError

from straight_through.errors import OutboxUnavailable, RouteInvalid
from straight_through.selection import MOST_OUTPUTS
from tests.unit.conftest import OUTBOX, ROOT, ROUTE, Event, Handler, made_once

SCHEMA = json.loads(
    (ROOT / "layers/straight_through/manifest.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@pytest.fixture
def manifest(handler: Any, s3: Any, event: Event) -> dict[str, Any]:
    """What the handler writes for the sample."""
    publish: Handler = handler("publish_run")
    result = publish(event("publish_run"))
    body = s3.get_object(Bucket=OUTBOX, Key=result["manifest"])["Body"].read()
    loaded: dict[str, Any] = json.loads(body)
    return loaded


def test_the_result_says_where_the_manifest_lies(
    handler: Callable[[str], Handler], event: Event
) -> None:
    sample = event("publish_run")["record"]
    result = handler("publish_run")(event("publish_run"))
    folder = sample["outputs"][0]["key"].rpartition("/")[0]
    assert result == {
        "run": sample["run"],
        "route": "claims",
        "status": "Succeeded",
        "bucket": OUTBOX,
        "manifest": f"{folder}/manifest.json",
        "notify": "problems",
        "queue": "p-claims",
        "ran_seconds": 240.0,
        "pipeline_version": 14,
        "pipeline_version_before": None,
        "rows_in": 347,
        "rows_out": {"Clean claims: Sheet 1": 1, "Validation report": 0},
        "exported": 0,
        "chained": 0,
    }


def test_the_result_tells_no_time_that_cannot_be(
    handler: Callable[[str], Handler], event: Event
) -> None:
    # Given an execution that ended before it began, by Quantemplate's times
    given = event("publish_run")
    made = given["record"]["quantemplate"]
    made |= {"started_at": made["finished_at"], "finished_at": made["started_at"]}
    # Then nobody is told that it ran for less than no time
    assert handler("publish_run")(given)["ran_seconds"] is None


def test_the_result_tells_of_anothers_execution_and_of_rows_that_cannot_be_counted(
    handler: Callable[[str], Handler], event: Event
) -> None:
    given = event("publish_run")
    given["record"] |= {"not_ours": "e-9"}
    given["record"]["source"] |= {"rows": None, "rows_reason": "a quote that never ends"}
    result = handler("publish_run")(given)
    assert (result["not_ours"], result["rows_in"]) == ("e-9", None)
    assert result["rows_in_reason"] == "a quote that never ends"


def test_a_chain_to_keys_that_start_nothing_is_refused_with_file_and_route(
    handler: Callable[..., Handler], event: Event
) -> None:
    # Given a stack that takes keys below claims/ alone, and a route that chains on to another
    ssm, route = made_once("ssm"), {**ROUTE, "then": [{"route": "central", "output": "*"}]}
    path = "/straight-through/routes"
    ssm.put_parameter(Name=f"{path}/claims", Type="String", Value=json.dumps(route), Overwrite=True)
    ssm.put_parameter(Name=f"{path}/central", Type="String", Value=json.dumps(ROUTE))
    publish = handler("publish_run", INBOX_PREFIX="claims/")
    # When a run of it is published, then it is refused, and nothing is chained into silence
    with pytest.raises(RouteInvalid, match=r"'central'.*'claims/' \(InboxPrefix\).*route claims"):
        publish(event("publish_run"))


def test_a_manifest_that_cannot_be_written_names_file_and_route(
    handler: Callable[[str], Handler], event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an S3 that is not reached
    publish = handler("publish_run")

    def unreached(*_: Any) -> None:
        raise ConnectTimeoutError(endpoint_url="https://s3")

    of_all: Any = BaseClient
    real = of_all._make_api_call
    reached = lambda client, name, given: (  # noqa: E731 - one short line
        unreached() if name == "PutObject" else real(client, name, given)
    )
    monkeypatch.setattr(BaseClient, "_make_api_call", reached)
    # Then the error says what it is about
    about = r"manifest.json broke off \(ConnectTimeoutError\).*\[file s3://.*, route claims\]$"
    with pytest.raises(OutboxUnavailable, match=about):
        publish(event("publish_run"))


def test_the_manifest_is_what_its_schema_says(manifest: dict[str, Any]) -> None:
    VALIDATOR.check_schema(SCHEMA)
    VALIDATOR.validate(manifest)


def test_a_run_without_outputs_has_a_manifest_too(
    handler: Callable[[str], Handler], s3: Any, event: Event
) -> None:
    given = event("publish_run")
    given["record"]["outputs"] = []
    result = handler("publish_run")(given)
    body = s3.get_object(Bucket=OUTBOX, Key=result["manifest"])["Body"].read()
    VALIDATOR.validate(json.loads(body))


def test_as_many_outputs_as_a_run_fetches_fit_into_a_state(event: Event) -> None:
    """AWS Step Functions developer guide, "Service quotas": 256 KiB as UTF-8."""
    # Given the longest record of as many outputs: DownloadOutputs' result, by the longest keys
    key = f"{'k' * 768}/{'n' * 251}.csv"
    name = key.rpartition("/")[2].removesuffix(".csv")
    output = {"name": name, "id": "o-7368ee52c15ee82f", "key": key, "bytes": 40273}
    output |= {"sha256": "0" * 64, "rows": 347}
    record = event("publish_run")["record"] | {"outputs": [output] * MOST_OUTPUTS}
    # Then a state can carry it, and what PublishRun is sent, which has the execution beside it
    sent = {"execution": event("publish_run")["execution"], "record": record}
    assert len(json.dumps(sent, ensure_ascii=False).encode()) <= 256 * 1024
    # And the page on outputs says how many
    page = (ROOT / "docs" / "what-comes-back.md").read_text(encoding="utf-8")
    assert f"A run fetches {MOST_OUTPUTS} outputs at most." in page


def test_no_field_can_be_missing_or_more(manifest: dict[str, Any]) -> None:
    # Given the manifest with any one field taken away, at any depth, or one added
    changed = [*without_one(manifest), manifest | {"x": 1}]
    assert len(changed) > 25
    # Then it is no manifest, but for one that does not say of which schema it is: release 1.0.0's
    # were without, and without what has come since
    older = {field: value for field, value in manifest.items() if field != "schema"}
    assert [c for c in changed if VALIDATOR.is_valid(c)] == [older]
    for since in ("made_by", "cause"):
        del older[since]
    for since in ("pipeline_version", "pipeline_version_before"):
        del older["quantemplate"][since]
    assert VALIDATOR.is_valid(older)


def without_one(document: Any) -> Iterator[Any]:
    """Each document that lacks one field of this one, at any depth."""
    if isinstance(document, dict):
        for field, value in document.items():
            yield {f: v for f, v in document.items() if f != field}
            yield from ({**document, field: less} for less in without_one(value))
    if isinstance(document, list):
        for at, value in enumerate(document):
            yield from ([*document[:at], less, *document[at + 1 :]] for less in without_one(value))

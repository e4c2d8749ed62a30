"""PublishRun: the manifest, which its schema describes."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import jsonschema
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ConnectTimeoutError

from straight_through.errors import OutboxUnavailable, RouteInvalid
from tests.unit.conftest import OUTBOX, ROOT, ROUTE, Event, Handler

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
        "rows_in": 347,
        "rows_out": {"Clean claims: Sheet 1": 1, "Validation report": 0},
        "exported": 0,
        "chained": 0,
    }


def test_a_chain_to_keys_that_start_nothing_is_refused_with_file_and_route(
    handler: Callable[..., Handler], event: Event
) -> None:
    # Given a stack that takes keys below claims/ alone, and a route that chains on to another
    ssm, route = boto3.client("ssm"), {**ROUTE, "then": [{"route": "central", "output": "*"}]}
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


@pytest.mark.parametrize(
    ("number", "key"),
    [
        (1_000, "claims/may/claims-may-8e4a34ed3a68e23dd38f/Clean claims: Sheet 1.csv"),
        (500, f"{'k' * 205}/{'n' * 40}.csv"),
        (150, f"{'k' * 768}/{'n' * 251}.csv"),
    ],
)
def test_as_many_outputs_as_the_readme_says_fit_into_a_state(
    event: Event, number: int, key: str
) -> None:
    """AWS Step Functions developer guide, "Service quotas": 256 KiB as UTF-8."""
    # Given the longest record of so many outputs: DownloadOutputs' result
    name = key.rpartition("/")[2].removesuffix(".csv")
    output = {"name": name, "id": "o-7368ee52c15ee82f", "key": key, "bytes": 40273}
    output |= {"sha256": "0" * 64, "rows": 347}
    record = event("publish_run")["record"] | {"outputs": [output] * number}
    # And what PublishRun is sent has the execution beside it
    sent = {"execution": event("publish_run")["execution"], "record": record}
    assert len(json.dumps(sent, ensure_ascii=False).encode()) <= 256 * 1024
    # Then a state can carry it, and half as many more it could not
    assert len(json.dumps(record, ensure_ascii=False).encode()) <= 256 * 1024
    record["outputs"] += [output] * (number // 2)
    assert len(json.dumps(record, ensure_ascii=False).encode()) > 256 * 1024
    # And the page on outputs says so
    page = (ROOT / "docs" / "what-comes-back.md").read_text(encoding="utf-8")
    assert f"{number:,}" in page[page.index("A run may have about") :].partition("\n\n")[0]


def test_no_field_can_be_missing_or_more(manifest: dict[str, Any]) -> None:
    # Given the manifest with any one field taken away, at any depth, or one added
    changed = [*without_one(manifest), manifest | {"x": 1}]
    assert len(changed) > 25
    # Then it is no manifest; those of release 1.0.0 do not say which one made them
    older = {field: value for field, value in manifest.items() if field != "made_by"}
    assert [c for c in changed if VALIDATOR.is_valid(c)] == [older]


def without_one(document: Any) -> Iterator[Any]:
    """Each document that lacks one field of this one, at any depth."""
    if isinstance(document, dict):
        for field, value in document.items():
            yield {f: v for f, v in document.items() if f != field}
            yield from ({**document, field: less} for less in without_one(value))
    if isinstance(document, list):
        for at, value in enumerate(document):
            yield from ([*document[:at], less, *document[at + 1 :]] for less in without_one(value))

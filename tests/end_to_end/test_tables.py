"""A table out of what people send, from the drop to the outputs and the manifest."""

import hashlib
import json
from pathlib import Path

import jsonschema
import pytest

from local.process import ROOT
from local.quantemplate import Control
from tests.end_to_end.road import Road
from tests.end_to_end.stack import make_route

CASES = ROOT / "tests/unit/cases"
SCHEMA = json.loads(Path(ROOT / "layers/straight_through/manifest.schema.json").read_text("utf-8"))
TEXT = 'Policy,Insured,Premium\r\n007001,Müller & Söhne,1250.50\r\n007002,"Tarn, Valley",980.00\r\n'
BOOK = (
    "Policy,Insured,Inception,Premium\r\n007001,Müller & Söhne,2026-03-01,1250.5\r\n"
    '007002,"Tarn, Valley",2026-03-02,980\r\n'
)
OUTPUT = "Copy: Sheet 1"


@pytest.mark.parametrize(
    ("name", "table", "expected"),
    [
        ("sent-titles.csv", {}, TEXT),
        ("sent-titles.xlsx", {"sheet": "Premium*"}, BOOK),
        ("sent-one-member.zip", {}, TEXT),
        ("sent-utf16.csv", {}, TEXT),
        ("sent-semicolon-cp1252.csv", {}, TEXT),
    ],
)
def test_the_table_in_a_file_goes_through_its_pipeline(
    road: Road, stand_in: Control, name: str, table: dict[str, str], expected: str
) -> None:
    # Given a route that says how its table is found
    route = make_route(road, stand_in, OUTPUT, table=table)
    sent = (CASES / name).read_bytes()
    # When somebody drops what they have
    run = road.processed(f"{route.name}/{name}", sent)
    # Then the pipeline has got the table
    assert run.status == "SUCCEEDED", run.cause
    manifest = road.manifest(run)
    (output,) = manifest["outputs"]
    assert road.stored(output["key"]).decode() == expected
    # And everybody sees what was sent, in the outbox, by its hash
    jsonschema.validate(manifest, SCHEMA)
    prepared = manifest["prepared"]
    assert prepared["key"] == f"prepared/{route.name}/{manifest['run']}.csv"
    assert road.stored(prepared["key"]).decode() == expected
    assert prepared["sha256"] == hashlib.sha256(expected.encode()).hexdigest()
    assert prepared["rows"] == manifest["source"]["rows"] == 2
    assert prepared["source_sha256"] == hashlib.sha256(sent).hexdigest()


def test_what_cannot_be_told_is_refused_before_its_turn(road: Road, stand_in: Control) -> None:
    # Given a workbook two sheets of which the route's pattern fits
    route = make_route(road, stand_in, OUTPUT, table={"sheet": "*"})
    # When it is dropped
    run = road.processed(f"{route.name}/march.xlsx", (CASES / "sent-titles.xlsx").read_bytes())
    # Then it ends with the sheets' names, and nothing was uploaded
    assert (run.status, run.error) == ("FAILED", "TableUnclear")
    assert "'Cover', 'Premium March'" in run.cause
    assert stand_in.datasets()[route.dataset_id]["versions"] == []

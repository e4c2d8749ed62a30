"""The README's promises that a machine can keep: its example runs, its names are the code's."""

import json
import re
from pathlib import Path

import pytest

import straight_through.errors
from local.process import ROOT
from local.quantemplate import Control
from straight_through import quantemplate
from straight_through.errors import StraightThroughError
from straight_through.routes import RULES, parse_route

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_client_example_runs_as_it_stands(
    stand_in: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given the example, a server in the vendor's place and a file
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    defaults = quantemplate.Quantemplate.__init__.__kwdefaults__
    addresses = {"api_url": stand_in.api_url, "token_url": stand_in.token_url}
    monkeypatch.setattr(quantemplate.Quantemplate.__init__, "__kwdefaults__", defaults | addresses)
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.chdir(tmp_path)
    Path("may.csv").write_bytes((ROOT / "local/samples/claims_may.csv").read_bytes())
    given = {
        "client_id": stand_in.client_id,
        "client_secret": stand_in.client_secret,
        "organisation": "c-broker",
        "dataset": "d-claims",
        "pipeline": "p-claims",
    }
    # When it runs
    exec(compile(example, "README.md", "exec"), given)  # noqa: S102 - our own README
    # Then the outputs lie there
    assert Path("Clean claims: Sheet 1.csv").read_text().startswith("Claim Reference,")


def test_every_error_has_its_line() -> None:
    # Given all errors of the application
    named = {
        name
        for name, item in vars(straight_through.errors).items()
        if isinstance(item, type) and issubclass(item, StraightThroughError)
    } - {"StraightThroughError", "WaitedFor"}
    # When the README's table of errors is read
    table = README[README.index("| error | at |") : README.index("### From the Step Functions")]
    listed = set(re.findall(r"`([A-Z][A-Za-z]+)`", "".join(re.findall(r"(?m)^\| (.*?) \|", table))))
    # Then it names them and no other
    assert listed == named


def test_files_that_it_links_exist() -> None:
    # Given the README's links into the project
    links = re.findall(r"\]\((?!http|#)([^)]+)\)", README)
    # Then each leads somewhere
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_manifest_it_shows_has_the_schemas_fields() -> None:
    # Given the schema and the manifest that the README shows, abridged
    schema = json.loads((ROOT / "layers/straight_through/manifest.schema.json").read_text())
    shown = README[README.index('{\n  "run"') : README.index("## When something goes wrong")]
    # Then all fields of the schema are shown
    fields = set(schema["properties"])
    fields |= set(schema["properties"]["source"]["properties"])
    fields |= set(schema["properties"]["quantemplate"]["properties"])
    for each in ("outputs", "destinations", "chained"):
        fields |= set(schema["properties"][each]["items"]["properties"])
    assert fields == set(re.findall(r'"([a-z_0-9]+)":', shown))


def test_its_table_of_a_route_has_every_field_with_an_example_that_is_one() -> None:
    # Given the table of what a route can say beside its ids
    table = README[README.index("| field | for example |") : README.index("With a document in")]
    examples = dict(re.findall(r"(?m)^\| `(\w+)` \| `(.+?)` \|", table))
    # When each example is put into a route
    ids = {"organisation_id": "c-x", "dataset_id": "d-x", "pipeline_id": "p-x"}
    more = {field: json.loads(value) for field, value in examples.items()}
    parse_route("claims", json.dumps(ids | more))
    # Then none is missing
    assert set(more) == set(RULES) - set(ids)


def test_its_route_is_one() -> None:
    # Given the document that the README shows
    (document,) = re.findall(r'```json\n(\{\s+"organisation_id".*?)```', README, re.DOTALL)
    # Then it is a route
    assert parse_route("claims", document).hold_if_rows

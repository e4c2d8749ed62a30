"""The examples of the documents: those that run do, those that are documents are valid."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.process import ROOT
from local.quantemplate import Control
from quantemplate import client as quantemplate
from straight_through.routes import OF_FILES, RULES, parse_route
from tests.docs.pages import PAGES, blocks, name_of, text_of

WITH_ROUTES = {
    "README.md",
    "docs/add-a-route.md",
    "docs/gather-a-set.md",
    "docs/reference/routes.md",
    "docs/several-stages.md",
}


def test_the_client_example_runs_as_it_stands(
    stand_in: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given the example, a server in the vendor's place and a file
    example, _ = blocks(text_of("docs/notebook.md"), "python")
    defaults: Any = quantemplate.Quantemplate.__init__.__kwdefaults__
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
    exec(compile(example, "docs/notebook.md", "exec"), given)  # noqa: S102 - our own page
    # Then the outputs lie there
    assert Path("Clean claims_ Sheet 1.csv").read_text().startswith("Claim Reference,")


def test_the_manifest_it_shows_has_the_schemas_fields() -> None:
    # Given the schema and the manifest that a page shows, abridged
    schema = json.loads((ROOT / "layers/straight_through/manifest.schema.json").read_text())
    (shown,) = blocks(text_of("docs/what-comes-back.md"), "json")
    # Then all fields of the schema are shown
    fields = set(schema["properties"])
    fields |= set(schema["properties"]["source"]["properties"])
    fields |= set(schema["properties"]["quantemplate"]["properties"])
    fields |= set(schema["properties"]["set"]["properties"])
    for each in ("members", "outputs", "destinations", "chained"):
        fields |= set(schema["properties"][each]["items"]["properties"])
    assert fields == set(re.findall(r'"([a-z_0-9]+)":', shown))


def test_the_table_of_a_route_has_every_field_with_an_example_that_is_one() -> None:
    # Given the table of what a route can say
    page = text_of("docs/reference/routes.md")
    examples = dict(re.findall(r"(?m)^\| `(\w+)` \|.*\| `([^`]+)` \|$", page))
    # When the examples are put into a route
    document = {field: example_of(text) for field, text in examples.items()}
    # Then they make routes: one that takes files, one that takes none, and one that takes sets
    for left_out in (
        {"when", "set"},
        {*OF_FILES, "dataset_id", "set", "expect"},
        {*OF_FILES, "dataset_id", "when"},
    ):
        each = {name: value for name, value in document.items() if name not in left_out}
        parse_route("claims", json.dumps(each))
    # And none is missing
    assert set(document) == set(RULES)


def example_of(text: str) -> Any:
    """The value that an example shows: texts stand there as they are."""
    try:
        return json.loads(text)
    except ValueError:
        return text


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_routes_that_a_page_shows_are_routes(page: Path) -> None:
    # Given the documents of routes, as JSON or as files
    text = page.read_text("utf-8")
    shown = [block for block in blocks(text, "json") if block.startswith('{\n  "organisation_id"')]
    written = re.findall(r"(?ms)^cat > \S+\.(?:yaml|json) <<'END'\n(organisation_id.*?)^END$", text)
    written += re.findall(r"(?ms)^cat > \S+\.json <<'END'\n(\{\s+\"organisation_id.*?)^END$", text)
    # Then each is one
    for document in [*shown, *written]:
        parse_route("claims", json.dumps(yaml.safe_load(document)))
    assert shown or written or name_of(page) not in WITH_ROUTES


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_json_that_a_page_shows_is_json(page: Path) -> None:
    for block in blocks(page.read_text("utf-8"), "json"):
        json.loads(block.replace(", …", ""))

"""A route's document: the examples, the schema and the parser say the same."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from straight_through.errors import RouteInvalid
from straight_through.routes import RULES, Link, TableSpec, parse_route
from tests.unit.conftest import ROOT

SCHEMA = json.loads((ROOT / "layers/straight_through/routes.schema.json").read_text("utf-8"))
EXAMPLES = {path.stem: path for path in (ROOT / "events/routes").glob("*.json")}
IDS = {"organisation_id": "c-broker", "dataset_id": "d-claims", "pipeline_id": "p-claims"}
FEATURES = {
    "plain": set(),
    "outputs": {"outputs"},
    "gate": {"hold_if_rows"},
    "destinations": {"destinations"},
    "chain": {"then"},
    "notify": {"notify"},
    "header": {"header"},
    "table": {"table"},
    "identical": {"identical", "identical_within_days"},
    "queue": {"queue"},
}


def pattern(_: Any, patterns: str, instance: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    """A pattern as JSON Schema means it: in ECMA's language `$` stands at the very end only."""
    if isinstance(instance, str) and not re.search(patterns.replace("$", r"\Z"), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {patterns!r}")


Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": pattern})
VALIDATOR = Validator(SCHEMA)


def parses(document: Any) -> bool:
    """Whether the parser takes it."""
    try:
        parse_route("claims", json.dumps(document))
    except RouteInvalid:
        return False
    return True


# --- examples -------------------------------------------------------------------------------------
def test_each_feature_has_an_example_of_its_own_and_all_fields_are_shown() -> None:
    assert EXAMPLES.keys() == FEATURES.keys()
    assert set().union(*FEATURES.values()) | IDS.keys() == RULES.keys()


@pytest.mark.parametrize("name", sorted(FEATURES))
def test_an_example_shows_its_feature_and_is_a_route(name: str) -> None:
    text = EXAMPLES[name].read_text("utf-8")
    document = json.loads(text)
    assert document.keys() - IDS.keys() == FEATURES[name]
    VALIDATOR.validate(document)
    route = parse_route("claims", text)
    for field, value in document.items():
        parsed = getattr(route, field)
        shown = [Link(**link) for link in value] if field == "then" else value
        parsed = asdict(parsed) if field == "table" else parsed
        assert (list(parsed) if isinstance(parsed, tuple) else parsed) == shown


# --- the schema and the parser agree --------------------------------------------------------------
# Pieces that are right, and others that are nearly so.
IDENT = st.builds(
    str.__add__,
    st.sampled_from(["c-", "d-", "p-", "c", "x-", ""]),
    st.text("a-/?# \nü", max_size=3),
)
TEXTS = st.lists(st.text(max_size=3) | st.none() | st.integers(0, 1), max_size=3)
PIECES = ["s3://", "ab", "abc", "Abc", "a..b", "-", "/", "x", "ü", "{", "}", "\n", "https://"]
FILLED = ["{route}", "{stem}", "{date}", "{output}", "{run}", "{x}", "{{run}}", "{ro{run}ute}"]
URI = st.lists(st.sampled_from([*PIECES, *FILLED]), max_size=6).map("".join)
GOOD_URI = URI.map(lambda rest: f"s3://bucket/{rest}")
FOLDER = st.lists(st.sampled_from(["a", "b.c", "/", "//", "ü", " ", "\n", ""]), max_size=5).map(
    "".join
)
DEEP = st.integers(1, 12).map(lambda depth: "/".join("x" * depth))
LINK = st.fixed_dictionaries(
    {"route": FOLDER | DEEP | st.none(), "output": st.text(max_size=2) | st.none()}
) | st.dictionaries(st.sampled_from(["route", "output", "more"]), st.just("a"), max_size=3)
DAYS = st.integers(-1, 3) | st.sampled_from(
    [3650, 3651, 30.0, 30.5, 10**400, 1e308, True, False, "30", None]
)
SETTINGS: list[Any] = [
    *("find", "blank", "end", "refuse", "ignore", "utf-8", "latin-1"),
    *(";", "\t", '"', "\n", "\ufeff", "", "é", "😀", ";;"),
    *(0, 1, 1.0, 1.5, 10_000, 10_001, True),
]
TABLE: st.SearchStrategy[Any] = st.dictionaries(
    st.sampled_from(["sheet", "header_row", "encoding", "delimiter", "until", "below", "more"]),
    st.sampled_from(SETTINGS) | st.none() | st.just([]) | st.just({}),
    max_size=3,
)
ANY = st.none() | st.booleans() | st.integers() | st.text(max_size=2) | st.lists(st.none())
WRONG: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, "", [], {}, "process", [[]], [{}]])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "queue": st.text("aZ9._- \nü", max_size=4) | st.integers(99, 101).map(lambda n: "q" * n),
    "outputs": TEXTS,
    "hold_if_rows": TEXTS,
    "destinations": st.lists(GOOD_URI | URI | st.none(), max_size=2),
    "then": st.lists(LINK, max_size=2),
    "notify": st.sampled_from(["problems", "always", "never", ["always"]]),
    "header": TEXTS,
    "table": TABLE,
    "identical": st.sampled_from(["process", "skip", "Skip", 1]),
    "identical_within_days": DAYS,
}
ONE_FIELD = st.sampled_from(sorted(FIELDS)).flatmap(
    lambda name: st.tuples(st.just(name), FIELDS[name] | WRONG)
)
ONE_ID = st.tuples(st.sampled_from(sorted(IDS)), IDENT | WRONG)


@given(st.lists(ONE_FIELD, max_size=3).map(dict))
def test_what_the_parser_takes_the_schema_takes(fields: dict[str, Any]) -> None:
    document = IDS | fields
    assert parses(document) == VALIDATOR.is_valid(document)


@given(ONE_ID | st.tuples(st.text("aq", max_size=2), ANY), st.sampled_from(["", *IDS]))
def test_ids_and_unknown_fields_too(changed: tuple[str, Any], missing: str) -> None:
    document = {k: v for k, v in (IDS | dict([changed])).items() if k != missing}
    assert parses(document) == VALIDATOR.is_valid(document)


def link(**changed: Any) -> dict[str, Any]:
    """A route with one link."""
    return {"then": [{"route": "central", "output": "*"} | changed]}


@pytest.mark.parametrize(
    ("fields", "is_route"),
    [
        (link(), True),
        (link(more="x"), False),
        (link(route="/".join("x" * 10)), True),
        (link(route="/".join("x" * 11)), False),
        ({"then": [{"route": "central"}]}, False),
        ({"queue": "q" * 100}, True),
        ({"queue": "q" * 101}, False),
        ({"queue": "q\n"}, False),
        ({"destinations": ["s3://bucket/{run}"]}, True),
        ({"destinations": ["s3://bucket/{ro{run}ute}"]}, False),
        ({"identical_within_days": 3650}, True),
        ({"identical_within_days": 3651}, False),
        ({"identical_within_days": 30.0}, True),
        ({"identical_within_days": True}, False),
    ],
)
def test_at_the_very_edge_they_agree_too(fields: dict[str, Any], is_route: bool) -> None:  # noqa: FBT001
    assert (parses(IDS | fields), VALIDATOR.is_valid(IDS | fields)) == (is_route, is_route)


@pytest.mark.parametrize("document", [[], None, "c-", 7, {}])
def test_what_is_no_object_is_a_route_to_neither(document: Any) -> None:
    assert not parses(document)
    assert not VALIDATOR.is_valid(document)


# --- errors ---------------------------------------------------------------------------------------
WRONGS = [
    ("organisation_id", "x-1", "starts with 'c-'"),
    ("queue", "month end", "100 letters, digits"),
    ("outputs", [], "list of names or patterns of outputs"),
    ("hold_if_rows", [""], "list of names or patterns of outputs"),
    ("destinations", ["s3://bucket/{file}.csv"], "{route}, {stem}, {date}, {output}, {run}"),
    ("destinations", ["s3://bucket/folder/"], "list of S3 URIs"),
    ("then", [{"route": "a//b", "output": "*"}], '[{"route": "central"'),
    ("notify", "never", '"problems" or "always"'),
    ("header", "id,paid", "list of the header row's columns"),
    ("table", {"sheet": ""}, '"header_row": "find" or a number from 1 to 10000'),
    ("table", {"sheets": "Premium*"}, '"sheet": a name or a pattern'),
    ("table", {"header_row": 0}, '"until": "blank" or "end"'),
    ("table", {"encoding": "latin-1"}, "utf-8, utf-16, windows-1250"),
    ("table", {"delimiter": ";;"}, '"delimiter": "find" or one character'),
    ("identical", "refuse", '"process" or "skip"'),
    ("identical_within_days", True, "whole number of days from 1 to 3650"),
    ("destination", "s3://bucket/x", "known are organisation_id, dataset_id"),
]


@pytest.mark.parametrize(("field", "value", "expected"), WRONGS)
def test_an_error_names_route_field_value_and_what_is_expected(
    field: str, value: Any, expected: str
) -> None:
    with pytest.raises(RouteInvalid) as raised:
        parse_route("claims/eu", json.dumps(IDS | {field: value}))
    for told in ("'claims/eu'", repr(field), repr(value), expected, "routes.schema.json"):
        assert told in str(raised.value)


def test_each_field_has_an_error_that_was_looked_at() -> None:
    ids_alike = {"dataset_id", "pipeline_id"}
    assert {field for field, _, _ in WRONGS} - {"destination"} | ids_alike == RULES.keys()


def test_a_document_that_is_nested_without_end_is_told() -> None:
    with pytest.raises(RouteInvalid, match="is not JSON"):
        parse_route("claims", "[" * 100_000)


@pytest.mark.parametrize("name", ["held", "held/claims"])
def test_no_route_lies_where_gates_hold_runs(name: str) -> None:
    with pytest.raises(RouteInvalid, match=rf"'{name}'.*expected is one outside of 'held'"):
        parse_route(name, json.dumps(IDS))
    assert parse_route("heldover", json.dumps(IDS)).name == "heldover"


@pytest.mark.parametrize("name", ["prepared", "prepared/claims"])
def test_no_route_lies_where_prepared_tables_are(name: str) -> None:
    with pytest.raises(RouteInvalid, match=rf"'{name}'.*one outside of 'prepared'"):
        parse_route(name, json.dumps(IDS))
    assert parse_route("preparedness", json.dumps(IDS)).name == "preparedness"


def test_a_table_of_which_nothing_is_said_is_found_by_rule() -> None:
    assert parse_route("claims", json.dumps(IDS | {"table": {}})).table == TableSpec()
    assert parse_route("claims", json.dumps(IDS)).table is None

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
from straight_through.members import FileSet, Member
from straight_through.routes import RULES, Link, parse_route
from straight_through.table_spec import TableSpec
from tests.unit.conftest import ROOT

SCHEMA = json.loads((ROOT / "layers/straight_through/routes.schema.json").read_text("utf-8"))
EXAMPLES = {path.stem: path for path in (ROOT / "events/routes").glob("*.json")}
IDS = {"organisation_id": "c-broker", "dataset_id": "d-claims", "pipeline_id": "p-claims"}
FEATURES = {
    "plain": set(),
    "outputs": {"outputs"},
    "gate": {"hold_if_rows"},
    "fewer-rows": {"hold_if_fewer_rows"},
    "destinations": {"destinations"},
    "chain": {"then"},
    "notify": {"notify"},
    "header": {"header"},
    "table": {"table"},
    "identical": {"identical", "identical_within_days"},
    "queue": {"queue"},
    "when": {"when"},
    "set": {"set"},
    "expect": {"expect"},
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
    assert ("dataset_id" in document) == (name not in ("when", "set"))
    VALIDATOR.validate(document)
    route = parse_route("claims", text)
    for field, value in document.items():
        parsed = getattr(route, field)
        shown: Any = [Link(**link) for link in value] if field == "then" else value
        parsed = asdict(parsed) if field in ("table", "when", "set", "expect") else parsed
        if field == "expect":
            parsed["at_least"] = {"rows": parsed.pop("rows")}
        if field == "when":
            parsed["updated"] = list(parsed["updated"])
        if field == "set":
            assert route.set
            members = [vars(member) for member in route.set.members]
            parsed["members"] = [
                {name: list(said) if name == "header" else said for name, said in each.items()}
                for each in members
            ]
            shown["members"] = [
                {"header": [], "table": None}
                | {n: TableSpec(**said) if n == "table" else said for n, said in each.items()}
                for each in shown["members"]
            ]
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
WHEN: st.SearchStrategy[Any] = st.dictionaries(
    st.sampled_from(["updated", "at", "zone", "missed", "more"]),
    st.sampled_from(
        [
            *(["d-1"], ["d-1", "d-2"], ["d-1", "d-1"], [], ["p-1"], ["d-1", 7], ["d-a b"]),
            *("0 6 * * MON-FRI", "0 6 * *", "0  6 * * *", "0 6 * * *\n", "* * * * * *", ""),
            *("Europe/London", "UTC", "/x", "a b", "Z" * 65, "once", "skip", 1, None, {}),
            [f"d-{n}" for n in range(20)],
            [f"d-{n}" for n in range(21)],
        ]
    ),
    max_size=3,
)
MEMBER: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {
        "file": st.sampled_from(
            [
                "c-{p}.csv",
                "{p}/x",
                "*-{p}?",
                "{p}-{p}",
                "{p}{q}",
                "{P}",
                "c.csv",
                "*{p}",
                "",
                "}",
                1,
            ]
        ),
        "dataset_id": st.sampled_from(["d-1", "d-2", "d-3", "p-1", "", None]),
    },
    optional={"header": TEXTS, "table": TABLE},
) | st.sampled_from([{}, None, {"file": "c-{p}.csv"}, {"file": "{p}", "dataset_id": "d-1", "x": 1}])
SET: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {
        "period": st.sampled_from(["{p}", "{p}", "{q}", "a.{p}-{p}", "p", "", "{p}/x", "{p", 1]),
        "members": st.lists(MEMBER, max_size=3)
        | st.just([{"file": "x", "dataset_id": "d-1"}] * 11),
    },
    optional={"more": st.just(1)},
)
ANY = st.none() | st.booleans() | st.integers() | st.text(max_size=2) | st.lists(st.none())
WRONG: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, "", [], {}, "process", [[]], [{}]])
EXPECT = st.fixed_dictionaries(
    {
        "file": st.sampled_from(
            ["x-{period}.csv", "{period}", "x.csv", "{period}{period}", "a/{period}"]
        ),
        "every": st.sampled_from(["day", "week", "month", "quarter", "year", 1]),
        "by": st.sampled_from(
            [
                "17:00",
                "24:00",
                "working day 5, 17:00",
                "day 100, 17:00",
                "day 0, 17:00",
                "last day, 09:30",
                "last working day, 09:30",
                "day 5 17:00",
                "",
            ]
        ),
    },
    optional={
        "of": st.sampled_from(["this", "before", "next"]),
        "zone": st.sampled_from(["UTC", "Europe/London", "", "1"]),
        "holidays": st.sampled_from(["GB", "GB-ENG", "gb", ""]),
        "at_least": st.sampled_from([{"rows": 1}, {"rows": 1.0}, {"rows": 0}, {"rows": True}, {}]),
        "more": st.just(1),
    },
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "queue": st.text("aZ9._- \nü", max_size=4) | st.integers(99, 101).map(lambda n: "q" * n),
    "outputs": TEXTS,
    "hold_if_rows": TEXTS,
    "hold_if_fewer_rows": st.integers(-1, 2)
    | st.sampled_from([10**9, 10**9 + 1, 1.0, 1.5, 10**400, 1e308, True, False, "9", None]),
    "destinations": st.lists(GOOD_URI | URI | st.none(), max_size=2),
    "then": st.lists(LINK, max_size=2),
    "notify": st.sampled_from(["problems", "always", "never", ["always"]]),
    "header": TEXTS,
    "table": TABLE,
    "identical": st.sampled_from(["process", "skip", "Skip", 1]),
    "identical_within_days": DAYS,
    "when": WHEN,
    "set": st.sampled_from([{}, None, [], {"period": "{p}"}]),
    "expect": EXPECT,
}
ONE_FIELD = st.sampled_from(sorted(FIELDS)).flatmap(
    lambda name: st.tuples(st.just(name), FIELDS[name] | WRONG)
)
ONE_ID = st.tuples(st.sampled_from(sorted(IDS)), IDENT | WRONG)


@given(st.lists(ONE_FIELD, max_size=3).map(dict))
def test_what_the_parser_takes_the_schema_takes(fields: dict[str, Any]) -> None:
    document = IDS | fields
    assert parses(document) == VALIDATOR.is_valid(document)


@given(st.lists(ONE_FIELD, max_size=2).map(dict))
def test_without_a_dataset_too(fields: dict[str, Any]) -> None:
    document = {name: value for name, value in (IDS | fields).items() if name != "dataset_id"}
    assert parses(document) == VALIDATOR.is_valid(document)


@given(WHEN)
def test_what_starts_runs_they_agree_on_too(when: Any) -> None:
    document = {"organisation_id": "c-broker", "pipeline_id": "p-stock", "when": when}
    assert parses(document) == VALIDATOR.is_valid(document)


AT, UPDATED = {"at": "0 6 * * *"}, {"updated": ["d-1"]}


@pytest.mark.parametrize(
    ("when", "good"),
    [
        (AT, True),
        (UPDATED, True),
        (AT | UPDATED, True),
        (AT | {"zone": "Europe/London"}, True),
        (AT | {"missed": "skip"}, True),
        ({}, False),
        (UPDATED | {"zone": "Europe/London"}, False),
        (UPDATED | {"missed": "skip"}, False),
        (AT | {"until": "noon"}, False),
    ],
)
def test_a_route_says_when_by_updates_by_a_schedule_or_both(
    when: dict[str, Any], *, good: bool
) -> None:
    document = {"organisation_id": "c-broker", "pipeline_id": "p-stock", "when": when}
    assert (parses(document), VALIDATOR.is_valid(document)) == (good, good)


@given(SET)
def test_what_the_parser_takes_of_sets_the_schema_takes(of_set: Any) -> None:
    document = {"organisation_id": "c-broker", "pipeline_id": "p-claims", "set": of_set}
    assert VALIDATOR.is_valid(document) or not parses(document)


@given(
    st.sampled_from(["{p}", "{p}.{q}", "x-{q}"]),
    st.lists(
        st.sampled_from(
            ["c-{p}-{q}.csv", "{q}/{p}", "*_{q}_{p}?", "{p}{q}", "{q}-{P}", "", "{q", "*{p}"]
        ),
        min_size=1,
        max_size=3,
        unique=True,
    ),
)
def test_where_each_member_tells_the_period_they_agree(period: str, files: list[str]) -> None:
    members = [{"file": file, "dataset_id": f"d-{at}"} for at, file in enumerate(files)]
    of_set = {"period": period, "members": members}
    document = {"organisation_id": "c-broker", "pipeline_id": "p-claims", "set": of_set}
    assert parses(document) == VALIDATOR.is_valid(document)


PAIR = [("c-{p}.csv", "d-1"), ("e-{p}.*", "d-2")]


def with_member(**fields: Any) -> dict[str, Any]:
    """A route with a set, one of whose members has these fields too."""
    members = [{"file": file, "dataset_id": dataset} for file, dataset in PAIR]
    of_set = {"period": "{p}", "members": [members[0], members[1] | fields]}
    return {"organisation_id": "c-broker", "pipeline_id": "p-claims", "set": of_set}


@given(st.fixed_dictionaries({}, optional={"header": TEXTS | WRONG, "table": TABLE | WRONG}))
def test_what_a_member_says_of_its_file_they_agree_on(fields: dict[str, Any]) -> None:
    document = with_member(**fields)
    assert parses(document) == VALIDATOR.is_valid(document)
    # And it is right where it is right of a route with one file
    assert parses(document) == parses(IDS | fields)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("header", "id,paid", "a list of the header row's columns"),
        ("header", [], "a list of the header row's columns"),
        ("table", {"sheets": "Premium*"}, '"sheet": a name or a pattern'),
        ("table", {"header_row": 0}, '"header_row": "find" or a number from 1 to 10000'),
    ],
)
def test_a_members_wrong_field_is_told_as_a_routes(field: str, value: Any, told: str) -> None:
    with pytest.raises(RouteInvalid) as raised:
        parse_route("claims", json.dumps(with_member(**{field: value})))
    whose = f"the member 'e-{{p}}.*', whose {field!r} is {value!r}; expected is "
    assert whose in str(raised.value)
    assert told in str(raised.value)


def test_beside_a_set_it_is_told_where_the_field_belongs() -> None:
    with pytest.raises(RouteInvalid, match="in a set each member says its own"):
        parse_route("claims", json.dumps(with_member() | {"header": ["id"]}))


@pytest.mark.parametrize(
    ("period", "members", "told"),
    [
        (
            "{p}",
            [("c-{p}.csv", "d-1"), ("e-{p}.csv", "d-1")],
            "two members with the dataset_id 'd-1'",
        ),
        (
            "{p}",
            [("c-{p}.csv", "d-1"), ("c-{p}.csv", "d-2")],
            "two members with the file 'c-{p}.csv'",
        ),
        ("{p}", [("c-{p}.csv", "d-1"), ("e-{q}.csv", "d-2")], "'e-{q}.csv', which captures no 'p'"),
        (
            "{p}",
            [("{p}-{p}.csv", "d-1"), ("e-{p}.csv", "d-2")],
            "'{p}-{p}.csv', which captures 'p' t",
        ),
        ("{p}", [("c-{p}.csv", "d-1")], "a list of 2 to 10"),
    ],
)
def test_a_set_that_does_not_tell_whose_file_is_whose_is_refused(
    period: str, members: list[tuple[str, str]], told: str
) -> None:
    named = [{"file": file, "dataset_id": dataset} for file, dataset in members]
    document = {"organisation_id": "c-1", "pipeline_id": "p-1"}
    with pytest.raises(RouteInvalid) as raised:
        parse_route("claims", json.dumps(document | {"set": {"period": period, "members": named}}))
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("dataset_id", "d-9", "no 'dataset_id', since each member of a set has its own"),
        ("when", {"at": "0 6 * * *"}, "no 'set', since drops start the runs of one that has"),
        ("header", ["id"], "a 'dataset_id' too"),
    ],
)
def test_beside_a_set_stands_nothing_that_is_of_one_file_or_of_none(
    field: str, value: Any, told: str
) -> None:
    members = [{"file": file, "dataset_id": dataset} for file, dataset in PAIR]
    document: dict[str, Any] = {"organisation_id": "c-1", "pipeline_id": "p-1"}
    document |= {"set": {"period": "{p}", "members": members}, field: value}
    with pytest.raises(RouteInvalid, match=told):
        parse_route("claims", json.dumps(document))
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize(
    ("file", "name", "period"),
    [
        ("c-{p}.csv", "c-2026-05.csv", "2026-05"),
        ("c-{p}.csv", "c-.csv", None),
        ("c-{p}.csv", "C-1.csv", None),
        ("c-{p}.csv", "c-1/2.csv", None),
        ("c-{p}.csv", "c-a.csv.csv", "a.csv"),
        ("*-{p}.csv", "a-b-c.csv", "b-c"),
        ("{p}/c.csv", "2026/c.csv", "2026"),
        ("c?{p}.csv", "c_1.csv", "1"),
        ("c-{p}.*", "c-1.csv.gz", "1"),
        ("c.{p}", "cx1", None),
        ("c-{p}.csv", "c-1\n.csv", "1\n"),
        ("*-*-*-*-*-*-*-*-{p}z", "-" * 1000, None),
    ],
)
def test_a_name_tells_its_members_period(file: str, name: str, period: str | None) -> None:
    found = FileSet("{p}", (Member(file, "d-1"),)).fitting(name)
    assert [told for _, told in found] == ([] if period is None else [period])


@pytest.mark.parametrize("field", ["header", "table", "identical", "identical_within_days"])
def test_what_is_of_files_is_refused_where_there_are_none(field: str) -> None:
    fields: dict[str, Any] = {"header": ["a"], "table": {}, "identical": "skip"}
    fields |= {"identical_within_days": 3}
    document = {"organisation_id": "c-broker", "pipeline_id": "p-stock"}
    assert parse_route("stock", json.dumps(document)).dataset_id is None
    with pytest.raises(RouteInvalid, match=rf"'{field}' is .*'dataset_id' too.*takes no file"):
        parse_route("stock", json.dumps(document | {field: fields[field]}))


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
    ("hold_if_fewer_rows", 0, "whole number of rows from 1 to 1000000000"),
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
    ("expect", {"file": "claims.csv"}, '"file": a name or pattern with {period}'),
    ("when", {"zone": "UTC"}, '"updated": a list of 1 to 20 ids of datasets'),
    ("set", {"period": "x"}, 'an object with "period", such as "{period}"'),
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


@pytest.mark.parametrize("name", ["runs", "runs/claims"])
def test_no_route_lies_where_the_lines_of_runs_are(name: str) -> None:
    with pytest.raises(RouteInvalid, match=rf"'{name}'.*expected is one outside of 'runs'"):
        parse_route(name, json.dumps(IDS))
    assert parse_route("runs2", json.dumps(IDS)).name == "runs2"


@pytest.mark.parametrize("name", ["replays", "replays/claims"])
def test_no_route_lies_where_the_plans_of_replays_are(name: str) -> None:
    with pytest.raises(RouteInvalid, match=rf"'{name}'.*expected is one outside of 'replays'"):
        parse_route(name, json.dumps(IDS))
    assert parse_route("replays2", json.dumps(IDS)).name == "replays2"


@pytest.mark.parametrize("name", ["prepared", "prepared/claims"])
def test_no_route_lies_where_prepared_tables_are(name: str) -> None:
    with pytest.raises(RouteInvalid, match=rf"'{name}'.*one outside of 'prepared'"):
        parse_route(name, json.dumps(IDS))
    assert parse_route("preparedness", json.dumps(IDS)).name == "preparedness"


def test_a_table_of_which_nothing_is_said_is_found_by_rule() -> None:
    assert parse_route("claims", json.dumps(IDS | {"table": {}})).table == TableSpec()
    assert parse_route("claims", json.dumps(IDS)).table is None

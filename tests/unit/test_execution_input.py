"""An execution's input: the schema, the examples and what the functions take say the same."""

import json
from datetime import datetime
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from straight_through.errors import InputInvalid
from straight_through.execution_input import ExecutionInput, input_of
from tests.unit.conftest import ROOT, Event, Handler

SCHEMA = json.loads(
    (ROOT / "layers/straight_through/execution_input.schema.json").read_text("utf-8")
)
MOMENTS: Any = jsonschema.FormatChecker(())


def is_moment(text: Any) -> bool:
    """Whether a text is a moment in ISO 8601."""
    return not isinstance(text, str) or bool(datetime.fromisoformat(text))


MOMENTS.checks("date-time", raises=ValueError)(is_moment)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=MOMENTS)
FILE = {"bucket": "inbox", "key": "claims/may.csv"}
RELEASE = {"release": "claims-may-1"}
ROUTE: dict[str, Any] = {"route": "stock"}
CAUSES: Any = st.sampled_from(
    [
        *({"by": "hand"}, {"by": "x"}, {"by": "hand", "at": "x"}, {"at": "x"}, {"at": ""}),
        *({"at": 7}, {"updated": ["d-1", "d-2"]}, {"updated": []}, {"updated": "d-1"}),
        *({"updated": ["d-1", 7]}, {"updated": ["d-1"], "events": ["u-1"]}, {"events": ["u-1"]}),
        *({"updated": ["d-1"], "events": []}, {"updated": ["d-1"], "events": "u-1"}),
        *({"updated": ["d-1"], "at": "x"}, {"updated": [""]}, {"updated": ["d-1"], "events": [""]}),
    ]
)
VALUES: Any = CAUSES | st.sampled_from(
    [None, "", "x", 7, True, [], {}, "2026-05-04T08:15:30Z", "2026-02-30T08:15:30Z", "yesterday"]
)
FIELDS = st.sampled_from(
    [
        *("bucket", "key", "version_id", "execution_id", "dropped_at", "sequencer", "release"),
        *("route", "cause", "replay"),
        *("versionId", "Key", "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID", "comment", ""),
    ]
)
ODD: Any = st.sampled_from([None, [], "claims/may.csv", 7, {}])


def taken(document: Any) -> bool:
    """Whether the functions take an input, as the state machine leads it to them."""
    try:
        input_of(document)
    except InputInvalid:
        return False
    return True


@given(st.sampled_from([FILE, RELEASE, ROUTE, {}]), st.dictionaries(FIELDS, VALUES, max_size=3))
def test_what_the_functions_take_the_schema_takes(
    whole: dict[str, Any], more: dict[str, Any]
) -> None:
    document = whole | more
    assert taken(document) == VALIDATOR.is_valid(document), document


@given(
    st.fixed_dictionaries(
        {"replay": VALUES | st.sampled_from(["20261128-101530-3fa9", "a b", "é", "x" * 41])},
        optional={"version_id": VALUES, "dropped_at": VALUES, "sequencer": VALUES},
    )
)
def test_a_replay_says_which_version_and_of_when_to_both(more: dict[str, Any]) -> None:
    document = FILE | more
    assert taken(document) == VALIDATOR.is_valid(document), document


@given(CAUSES | VALUES)
def test_what_has_caused_a_run_without_a_file_both_take_too(cause: Any) -> None:
    document = ROUTE | {"cause": cause}
    assert taken(document) == VALIDATOR.is_valid(document), document


@given(ODD)
def test_what_is_no_object_neither_takes(document: Any) -> None:
    assert not taken(document)
    assert not VALIDATOR.is_valid(document)


def test_the_samples_are_inputs(event: Event) -> None:
    # Given what a person types, and what StartRun gives
    typed, dropped = event("execution_input"), event("take_turn")["execution"]["Input"]
    # Then both are inputs, and name their file
    for document in (typed, dropped):
        VALIDATOR.validate(document)
        assert input_of(document) == ExecutionInput(**document)


@pytest.mark.parametrize("branch", SCHEMA["oneOf"], ids=lambda branch: branch["title"])
def test_the_schemas_examples_are_inputs(branch: dict[str, Any]) -> None:
    document = {field: told["examples"][0] for field, told in branch["properties"].items()}
    VALIDATOR.validate(document)
    assert taken(document)


@pytest.mark.parametrize(
    "typo", [{"versionId": "v1"}, {"executionId": "e-1"}, {"execution_id": ""}, {"version_id": ""}]
)
def test_a_field_that_would_be_ignored_is_told_before_anything_is_done(
    handler: Any, event: Event, typo: dict[str, Any]
) -> None:
    # Given an input that means to pin a version or to attach, but does not
    given_event = event("take_turn")
    given_event["execution"] |= {"Name": "by-hand", "Input": FILE | typo}
    # Then TakeTurn refuses it, names the field and says what it takes
    take: Handler = handler("take_turn")
    (field,) = typo
    with pytest.raises(InputInvalid, match=rf"'{field}'.*\"version_id\" may pin"):
        take(given_event)


@pytest.mark.parametrize("wrong", [{"release": ""}, {"release": 7}, RELEASE | FILE])
def test_a_release_names_one_run_and_nothing_else(
    handler: Any, event: Event, wrong: dict[str, Any]
) -> None:
    # Given an input that the state machine leads to PublishRun
    given_event = event("publish_run")
    given_event["execution"] |= {"Name": "by-hand", "Input": wrong}
    # Then it is refused
    publish: Handler = handler("publish_run")
    with pytest.raises(InputInvalid, match="release"):
        publish(given_event)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (FILE | {"key": "claims/\ud800.csv"}, r"'key' has half a character: 'claims/\\ud800\.csv'"),
        (FILE | {"version_id": "\udfff"}, "'version_id' has half a character"),
        ({"release": "may\ud800"}, "'release' has half a character"),
        (FILE | {"key": 1e999}, "'key' is missing or no text"),
        (FILE | {"dropped_at": "0001-01-01T00:00:00+23:59"}, "'dropped_at' is no moment"),
        (FILE | {"dropped_at": "9999-12-31T23:59:59-23:59"}, "'dropped_at' is no moment"),
        (FILE | {f"f{n}\n": 1 for n in range(9000)}, r"'f9\\n' … and 8,990 more\."),
    ],
)
def test_an_odd_input_is_told_as_what_it_is(typed: dict[str, Any], told: str) -> None:
    with pytest.raises(InputInvalid, match=told) as raised:
        input_of(typed)
    assert len(str(raised.value)) < 1500

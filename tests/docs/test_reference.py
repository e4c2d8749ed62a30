"""The reference is what the code says now."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from docs.made import FOLDER, made_pages
from docs.pages import rooms as the_rooms
from local.process import ROOT
from straight_through import errors
from straight_through.errors import StraightThroughError
from straight_through.telling.remedies import REMEDIES, WORDS, what_to_do
from tests.docs.commands import commands
from tests.docs.pages import text_of
from tests.unit.test_state_machine import MACHINE, TEMPLATE

SCHEMAS = ROOT / "layers" / "straight_through"
MADE = dict(made_pages())


@pytest.mark.parametrize("name", sorted(MADE))
def test_a_page_is_current(name: str) -> None:
    assert (FOLDER / f"{name}.md").read_text("utf-8") == MADE[name], "make docs writes it anew"


def test_no_other_page_is_there() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == MADE.keys()


# --- errors ---------------------------------------------------------------------------------------
def test_every_error_has_its_remedy_and_its_entry() -> None:
    # Given all errors of the application
    named = {
        item
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, StraightThroughError)
    } - {StraightThroughError, errors.WaitedFor}
    # Then each has a remedy, and an entry of the page
    assert REMEDIES.keys() == named
    page = text_of("docs/reference/errors.md")
    entries = set(re.findall(r"(?m)^## (\w+)$", page))
    assert entries == {error.__name__ for error in named}


def test_a_remedys_states_are_tasks_of_the_state_machine() -> None:
    # Given all tasks, that of the map included
    states = MACHINE["States"] | MACHINE["States"]["DownloadOutputs"]["ItemProcessor"]["States"]
    tasks = {
        name
        for name, state in states.items()
        if state["Type"] == "Task" and "lambda:invoke" in state["Resource"]  # none else may fail
    }
    # Then a remedy names no other
    assert {state for remedy in REMEDIES.values() for state in remedy.at} == tasks


@pytest.mark.parametrize("error", sorted(error.__name__ for error in REMEDIES))
def test_what_to_do_is_a_sentence(error: str) -> None:
    # Given what a remedy says in words, and with commands
    words = what_to_do(error)
    commands = what_to_do(error, {step: f"<{step}>" for step in WORDS})
    # Then it is one, whose steps are filled in
    assert re.fullmatch(r"[A-Z][^<>]*\.", words)
    steps = [WORDS[step].lower() for step in re.findall(r"<(\w+)>", commands)]
    assert all(step in words.lower() for step in steps)


def test_an_error_of_aws_has_a_remedy_too() -> None:
    assert what_to_do("Lambda.Unknown") == what_to_do(None)
    assert "redrive" in what_to_do("Lambda.Unknown")


# --- commands -------------------------------------------------------------------------------------
def test_every_command_has_its_entry() -> None:
    entries = set(re.findall(r"(?m)^## (stp [a-z ]+)$", text_of("docs/reference/cli.md")))
    assert entries == set(commands())


# --- the template ---------------------------------------------------------------------------------
@pytest.mark.parametrize("part", ["Parameters", "Outputs"])
def test_every_parameter_and_output_has_its_line(part: str) -> None:
    lines = re.findall(r"(?m)^\| `(\w+)` \|", text_of("docs/reference/template.md"))
    assert set(TEMPLATE[part]) <= set(lines)
    assert set(lines) == TEMPLATE["Parameters"].keys() | TEMPLATE["Outputs"].keys()


# --- schemas --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("page", "schema"),
    [("routes", "routes"), ("events", "run_ended"), ("events", "manifest")],
)
def test_every_field_of_a_schema_has_its_line(page: str, schema: str) -> None:
    lines = set(re.findall(r"(?m)^\| `([\w.\[\]]+)` \|", text_of(f"docs/reference/{page}.md")))
    assert set(fields(json.loads((SCHEMAS / f"{schema}.schema.json").read_text("utf-8")))) <= lines


def fields(schema: dict[str, Any], above: str = "") -> Iterator[str]:
    """The dotted names of a schema's fields."""
    for name, told in schema.get("properties", {}).items():
        yield above + name
        yield from fields(told, f"{above}{name}.")
        yield from fields(told.get("items", {}), f"{above}{name}[].")


# --- the rooms ------------------------------------------------------------------------------------
def test_no_arrow_between_rooms_leads_back_up() -> None:
    # Given what imports what: the rooms stand on the ground, the ground on the client
    used = the_rooms.arrows(all_of_them=True)
    assert not [one for one, other in used if one == "quantemplate"]
    assert {other for one, other in used if one == "ground"} == {"quantemplate"}
    # Then there is an order in which each room uses only those below it
    above = {room: {other for one, other in used if one == room} for room in the_rooms.rooms()}
    while above:
        lowest = {room for room, others in above.items() if not others & above.keys()}
        assert lowest, f"these use each other: {sorted(above)}"
        above = {room: others for room, others in above.items() if room not in lowest}


@pytest.mark.parametrize("room", the_rooms.rooms())
def test_a_room_says_what_lies_there(room: str) -> None:
    assert the_rooms.told(the_rooms.rooms()[room]).endswith(".")

"""The console's modules by themselves: the picture, CSV and words."""

import json
import re
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import pytest
from playwright.sync_api import Browser

from local.process import ROOT
from stp.moments import duration
from straight_through.text import lines_shown, shown
from tests.console.modules import Modules, definition

LETTERS = 8  # pixels that the letters of a label are high
REACHED = 6  # pixels that a label may be off the box that it belongs to


@pytest.fixture(scope="module")
def opened(browser: Browser) -> Iterator[Modules]:
    """The modules, in one page for all tests: a page of their own takes most of their time."""
    context = browser.new_context()
    yield Modules(context.new_page())
    context.close()


@pytest.fixture
def modules(opened: Modules) -> Modules:
    """The modules, loaded anew."""
    opened.open()
    return opened


# --- the picture ---------------------------------------------------------------------------------
SEVERAL: dict[str, Any] = {
    "StartAt": "Ask",
    "States": {
        "Ask": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.size", "NumericGreaterThan": 5, "Next": "Large"},
                {"Not": {"Variable": "$.name", "IsPresent": True}, "Next": "Small"},
            ],
            "Default": "Small",
        },
        "Large": {
            "Type": "Parallel",
            "Branches": [
                {
                    "StartAt": "A",
                    "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Succeed"}},
                },
                {"StartAt": "C", "States": {"C": {"Type": "Pass", "End": True}}},
            ],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Ask"}],
            "Next": "Last",
        },
        "Small": {"Type": "Task", "Next": "Last"},
        "Last": {"Type": "Wait", "Seconds": 1, "End": True},
    },
}


def states_of(machine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All states of a machine, those inside of others too."""
    found = dict(machine["States"])
    for state in machine["States"].values():
        for inner in [*state.get("Branches", []), *filter(None, [state.get("ItemProcessor")])]:
            found |= states_of(inner)
    return found


def transitions_of(machine: dict[str, Any]) -> set[tuple[str, str]]:
    """All transitions between states."""
    found = set()
    for name, state in states_of(machine).items():
        targets = [state.get("Next"), state.get("Default")]
        targets += [rule["Next"] for rule in [*state.get("Choices", []), *state.get("Catch", [])]]
        found |= {(name, target) for target in targets if target}
    return found


@pytest.mark.parametrize("machine", [definition(), SEVERAL], ids=["its own", "several"])
def test_the_picture_has_every_state_and_transition_and_no_two_boxes_overlap(
    modules: Modules, machine: dict[str, Any]
) -> None:
    drawn = modules.call("picture", "m.picture(given)", machine)
    # Then every state has a box inside the picture
    boxes = {box["name"]: box for box in drawn["boxes"]}
    assert boxes.keys() - {"▶", "■"} == states_of(machine).keys()
    for box in boxes.values():
        assert 0 <= box["x"] < box["x"] + box["width"] <= drawn["width"]
        assert 0 <= box["y"] < box["y"] + box["height"] <= drawn["height"]
    # and no two boxes overlap, unless one is inside of the other
    for one, other in combinations(boxes.values(), 2):
        if one["name"] in other["path"].split("/") or other["name"] in one["path"].split("/"):
            continue
        apart = (
            one["x"] + one["width"] <= other["x"]
            or other["x"] + other["width"] <= one["x"]
            or one["y"] + one["height"] <= other["y"]
            or other["y"] + other["height"] <= one["y"]
        )
        assert apart, (one, other)
    # and every transition has an edge; those of a Catch are known as such
    edges = {(edge["from"], edge["to"]) for edge in drawn["edges"]}
    assert {edge for edge in edges if not {"▶", "■"} & set(edge)} == transitions_of(machine)
    caught = {edge["label"] for edge in drawn["edges"] if edge["caught"]}
    handlers = [h for state in states_of(machine).values() for h in state.get("Catch", [])]
    assert caught == {", ".join(handler["ErrorEquals"]) for handler in handlers}


def test_the_picture_labels_each_edge_with_what_its_choice_asks(modules: Modules) -> None:
    drawn = modules.call("picture", "m.picture(given)", SEVERAL)
    labels = {edge["label"] for edge in drawn["edges"] if edge["from"] == "Ask"}
    assert labels == {"size > 5", "not name is given", "otherwise"}


def test_the_labels_in_a_browser_keep_off_the_boxes(modules: Modules) -> None:
    # Given the picture as a browser with its own fonts shows it
    modules.page.set_content(modules.state_machine())
    areas = "all => all.map(each => each.getBoundingClientRect().toJSON())"
    labels = modules.page.locator(".edge .label").evaluate_all(areas)
    boxes = modules.page.locator(".state:not(.map) > .box").evaluate_all(areas)
    assert labels
    # Then no label is on a state
    for label in labels:
        for box in boxes:
            across = min(label["right"], box["right"]) - max(label["left"], box["left"])
            down = min(label["bottom"], box["bottom"]) - max(label["top"], box["top"])
            assert min(across, down) <= REACHED, (label, box)


def test_no_line_goes_through_its_own_label(modules: Modules) -> None:
    # Given the picture's edges: the line's points, and where the label's letters stand
    modules.page.set_content(modules.state_machine())
    edges = modules.page.locator(".edge:has(.label)").all()
    assert edges
    for edge in edges:
        line = str(edge.locator(".line").get_attribute("d"))
        points = [pair.split(" ") for pair in re.findall(r"[-\d.]+ [-\d.]+", line)]
        baseline = float(str(edge.locator(".label").get_attribute("y")))
        # Then no stretch from one side to the other goes through them
        for (_, y), (_, other) in pairwise(points):
            assert y != other or not baseline - LETTERS < float(y) < baseline, line


def test_the_picture_in_the_documents_is_current(modules: Modules) -> None:
    kept = (ROOT / "docs" / "state-machine.svg").read_text("utf-8")
    assert kept == modules.state_machine(), "Make it anew: make pictures"


# --- CSV -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "records"),
    [
        ('a,"b ""c"", d"\r\n"e\nf",\r\n', [["a", 'b "c", d'], ["e\nf", ""]]),
        ("a,b\n1,2", [["a", "b"], ["1", "2"]]),
        ('a\n""\n', [["a"], [""]]),
        ("", []),
        ("h\n\n", [["h"], [""]]),
    ],
)
def test_csv_is_read_as_its_rfc_says(modules: Modules, text: str, records: list[list[str]]) -> None:
    assert modules.call("csv", "m.records(given, 9)", text) == records


def test_csv_that_is_cut_off_ends_with_the_last_whole_record(modules: Modules) -> None:
    cut = 'a,b\n1,2\n3,"4 and'
    assert modules.call("csv", "m.records(given, 9, true)", cut) == [["a", "b"], ["1", "2"]]
    assert modules.call("csv", "m.records(given, 1)", cut) == [["a", "b"]]


def test_bytes_are_text_without_mark_and_without_half_a_character(modules: Modules) -> None:
    given = list(b"\xef\xbb\xbfL\xc3\xb8kke \xc3")
    assert modules.call("csv", "m.decoded(new Uint8Array(given))", given) == "Løkke "


# --- words ---------------------------------------------------------------------------------------
def test_a_server_that_is_not_the_stand_in_has_no_switches(modules: Modules) -> None:
    problem = modules.call("standin", "new m.StandIn(given, '').problem", "https://a.example/v1")
    assert "https://a.example/v1" in problem
    assert "make up" in problem


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"kind": "reply", "status": 503, "times": 2}, "uploads are answered 503, 2 times"),
        (
            {"kind": "reply", "answer": "firewall", "status": 500, "times": 1},
            "uploads are answered firewall, once",
        ),
        ({"kind": "drop", "times": None}, "uploads lose their reply, until it is cleared"),
        ({"kind": "run", "run": {"end_status": "Failed"}}, "The next run fails"),
        ({"kind": "run", "run": {"end_status": "Aborted"}}, "The next run ends as Aborted"),
    ],
)
def test_an_order_is_told_in_words(modules: Modules, order: dict[str, Any], words: str) -> None:
    told = modules.call("switches", "m.described(given)", {"operation": "upload_dataset", **order})
    assert told == words


# --- what others have named -----------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        "claims/Schäden 五月.csv",
        "may\x1b[2J\u202e\u200b\ufe0f\u2800\U000e0100.csv",
        "may\nNext: none\r\n\t\xa0",
        "half \ud800 of it",
        "<b>[red]</b> 😀",
    ],
)
def test_a_name_hides_nothing_and_is_shown_as_in_a_message(modules: Modules, text: str) -> None:
    # Given a text as JSON has it, which may hold half a character
    given = json.dumps(text)
    assert modules.call("dom", "m.named(JSON.parse(given))", given) == shown(text)
    lines = modules.call("dom", "m.h('p', {}, JSON.parse(given)).textContent", given)
    assert lines == lines_shown(text)


@pytest.mark.parametrize(
    "seconds", [-1, 0, 0.04, 7.26, 59.94, 60, 119.6, 3600, 3661, 86399.7, 90000, 1e6]
)
def test_a_duration_is_said_as_stp_says_it(modules: Modules, seconds: float) -> None:
    assert modules.call("dom", "m.duration(1000 * given)", seconds) == duration(seconds)


def test_rows_that_are_not_counted_are_no_number(modules: Modules) -> None:
    told = modules.call("dom", "[null, undefined, 0, 1, 2000].map(m.rowsOf)")
    assert told == ["rows not counted", "rows not counted", "0 rows", "1 row", "2,000 rows"]

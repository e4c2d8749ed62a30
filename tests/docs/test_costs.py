"""The cost tables of the documents are what the bench counts and simulates."""

import re

import pytest

from straight_through.executing.waits import next_wait
from tests.bench.cost import (
    READS,
    TRANSITION,
    TRANSITIONS,
    TRANSITIONS_A_LOOK,
    WRITES,
    table_cases,
)
from tests.bench.detection import NAMES, Case, measured
from tests.bench.events import table
from tests.unit.conftest import ROOT

COSTS = (ROOT / "docs" / "costs.md").read_text("utf-8")


def line_of(case: Case) -> list[str]:
    """The cells of a pipeline's first line in the tables of costs."""
    (line, *_) = re.findall(rf"(?m)^\| {NAMES[case.seconds]} \|.*$", COSTS)
    return [cell.strip().replace(",", "") for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("case", table_cases(runs=1000), ids=str)
def test_the_costs_are_those_of_the_simulated_looks(case: Case) -> None:
    # Given a line of the tables, and the looks that the application's own rule makes
    _, looks, transitions, invocations, _, reads, writes, dollars, *_ = line_of(case)
    # Then it tells so many looks, and what the state machine makes of them
    assert int(looks) == round(measured(case, next_wait).checks)
    assert int(transitions) == TRANSITIONS + TRANSITIONS_A_LOOK * int(looks)
    assert float(dollars) == pytest.approx(1000 * TRANSITION * int(transitions), abs=0.005)
    # And one invocation a look besides the seven of every file; the table of turns knows no looks
    assert int(invocations) == 7 + int(looks)
    assert (int(reads), int(writes)) == (READS, WRITES)


def test_what_events_save_is_what_is_simulated() -> None:
    # Given a table of few runs of each pipeline and each weather
    header, rule, *rows = table(runs=100)
    # Then the document has a line of each
    section = COSTS.split("## What events save")[1].split("## ")[0]
    assert f"{header}\n{rule}\n" in section
    told = {tuple(line.split(" | ")[:2]): line.split(" | ") for line in section.splitlines()}
    for row in rows:
        cells = row.split(" | ")
        line = told[tuple(cells[:2])]
        # And it is about what so few show
        assert float(line[2]) == pytest.approx(float(cells[2]), rel=0.3, abs=1)
        assert float(line[4]) == pytest.approx(float(cells[4]), rel=0.3, abs=0.05)

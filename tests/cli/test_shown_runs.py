"""How runs look in a terminal, whatever others have named."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console, RenderableType

from stp.endings import ending
from stp.run_facts import Run, prepared_of
from stp.shown_runs import RunsShown, run_details

EVIL = "may[red]\x1b[2J\u202e\ud800\nNext: nothing.csv"
SEEN = r"may[red]\x1b[2J\u202e\ud800\nNext: nothing.csv"
WHY = "a quote in row 1 that never ends"
FACTS: dict[str, Any] = {
    "status": "Held",
    "error": None,
    "message": None,
    "route": "claims",
    "file": {"bucket": "inbox", "key": EVIL, "version_id": "v1"},
    "started_at": "2026-05-04T08:15:30Z",
    "ended_at": "2026-05-04T08:19:30Z",
    "rows_in": None,
    "rows_in_reason": WHY,
    "rows_out": {EVIL: None, "Clean": 2000},
    "held": [{"name": EVIL, "rows": None, "reason": WHY}, {"name": "Other", "rows": 1}],
    "identical_to": {"run": "april", "key": EVIL, "at": "2026-04-04T08:15:30Z"},
    "no_outputs": False,
    "outputs": "s3://outbox/held/claims/may/",
    "next": "Look at them.",
}


def run(**changed: Any) -> Run:
    """A run with these facts."""
    began = datetime(2026, 5, 4, 8, 15, 30, tzinfo=UTC)
    return Run("may-1", "arn:x:may-1", began, {}, FACTS | changed)


def printed(*shown: RenderableType) -> str:
    """What a terminal without colours is sent."""
    console = Console(file=io.StringIO(), width=400, color_system=None)
    console.print(*shown)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("changed", [{}, {"status": "Failed", "error": EVIL, "message": EVIL}])
def test_nothing_that_others_have_named_reaches_the_terminal_raw(changed: dict[str, Any]) -> None:
    text = printed(RunsShown([run(**changed)])) + printed(run_details(run(**changed), [], {}))
    assert all(line.isprintable() for line in text.split("\n"))
    assert f"s3://inbox/{SEEN}" in text
    assert not any(line.startswith("Next") for line in text.split("\n"))


NAME = "premiums-lloyds-bordereau-2026-05-" + "0123456789" * 4  # what runs are called


@pytest.mark.parametrize("width", [30, 60, 100])
@pytest.mark.parametrize("fold", [False, True])
def test_a_narrow_terminal_keeps_a_runs_name_whole(width: int, *, fold: bool) -> None:
    # Given a terminal that has no room for a row
    console = Console(file=io.StringIO(), width=width, color_system=None, soft_wrap=not fold)
    # When runs are listed
    console.print(RunsShown([replace(run(), name=NAME)], fold=fold))
    # Then the name stands on a line of its own, which the terminal breaks, or a picture does
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert not fold or all(len(line) <= width for line in lines)
    told = "".join(line.strip() for line in lines)
    assert told.endswith(NAME)
    assert fold or lines[-1] == f"  {NAME}"
    assert "Held" in lines[0]


def test_a_wide_terminal_has_a_row_for_each_run() -> None:
    rows = [line for line in printed(RunsShown([run(), run()])).splitlines() if "may-1" in line]
    assert [("Held" in row, SEEN in row) for row in rows] == [(True, True)] * 2


def test_what_is_not_counted_is_said_and_why() -> None:
    text = printed(run_details(run(), [], {}))
    assert f"'{SEEN}' cannot be counted: {WHY}" in text
    assert "'Other' has 1 row\n" in text
    assert f"rows in       not counted: {WHY}" in text
    assert f"not counted in '{SEEN}'" in text
    assert "2,000 in 'Clean'" in text
    # And so at the end of a drop
    told = ending(run(), [{"path": "out/report.csv", "rows": None}])
    assert "out/report.csv  not counted" in told
    assert f"{SEEN} is held: '{SEEN}' cannot be counted: {WHY}, 'Other' has 1 row." in told


def test_a_run_without_outputs_says_so() -> None:
    nothing = run(status="Succeeded", no_outputs=True, held=[])
    assert "none: the run made no outputs" in printed(run_details(nothing, [], {}))
    assert f"{SEEN}: the run made no outputs." in ending(nothing, [])


def test_a_table_that_was_made_of_the_file_is_told_and_where_it_stood() -> None:
    # Given a run of a route with a table, as the application's own record keeps it
    prepared = {
        "key": "prepared/claims/may-1.csv",
        "rows": 2000,
        "columns": 3,
        "where": {
            "member": None,
            "sheet": EVIL,
            "encoding": None,
            "delimiter": "\t",
            "header_row": 3,
            "first_column": "B",
        },
        "left_out": {"rows_above": 2, "rows_below": 1, "blank_rows": 0, "blank_columns": 0},
    }
    record = {"execution": {"measures": {"sha256": "5ee", "rows": 2000, "prepared": prepared}}}
    assert prepared_of(record) == [prepared]
    # When it is shown
    shown = printed(run_details(replace(run(), prepared=prepared_of(record)), [], {}))
    # Then key, rows and place are told, and a sheet's name forges no line
    assert "table         prepared/claims/may-1.csv (2,000 rows, 3 columns)\n" in shown
    assert f"It stood at sheet '{SEEN}', delimiter '\\t', header in row 3" in shown
    assert "left out: rows above 2, rows below 1\n" in shown
    # And of a set, that of each member that has one
    members = [{"sha256": "5ee"}, {"prepared": prepared}, {"prepared": prepared | {"key": "k-2"}}]
    of_set = prepared_of({"posted": {"measures": {"sha256": None, "members": members}}})
    told = printed(run_details(replace(run(), prepared=of_set), [], {}))
    assert ("may-1.csv (2,000 rows" in told, "k-2 (2,000 rows" in told) == (True, True)
    # And a run without one has no such line
    assert prepared_of({}) == []
    assert "table" not in printed(run_details(run(), [], {}))


def test_a_run_whose_empty_file_was_replaced_ends_quietly() -> None:
    replaced = run(
        **dict.fromkeys(("rows_in_reason", "outputs", "identical_to")),
        status="Replaced",
        rows_out={},
        held=[],
        next="Nothing.",
    )
    assert ending(replaced, []) == [f"{SEEN} was empty, and a newer version has replaced it."]
    told = printed(run_details(replaced, [], {}))
    assert "✓ Replaced" in told
    named = [line.split()[0] for line in told.splitlines()[1:] if line.strip()]
    assert named == ["file", "version", "route", "next"]

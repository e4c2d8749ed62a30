"""The queries of docs/query-your-runs.md, asked of the lines that runs leave."""

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from straight_through.names import row_key
from straight_through.telling.run_rows import row_of
from tests.unit.conftest import ROOT, Event
from tests.unit.test_messages import RECORD, RESULT, facts, succeeded

PAGE = (ROOT / "docs" / "query-your-runs.md").read_text("utf-8")
VIEW, TABLE, MONTHS, ERRORS, STILL_HELD = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
SCHEMA = json.loads((ROOT / "layers/straight_through/run_row.schema.json").read_text("utf-8"))


class Asked:
    """DuckDB, in a folder with the lines of some runs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin with none."""
        self.folder = folder
        monkeypatch.chdir(folder)
        self.duckdb: Any = importlib.import_module("duckdb").connect()

    def write(self, told: Any, given: Any = None, record: Any = RECORD) -> None:
        """Write the line of a run."""
        row = row_of(told, json.dumps(given or {}), record)
        path = self.folder / row_key(row["run"], row["started_at"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(row) + "\n", "utf-8")

    def asks(self, query: str) -> list[tuple[Any, ...]]:
        """Ask, and return what comes."""
        self.duckdb.execute(VIEW.replace("CREATE VIEW", "CREATE OR REPLACE VIEW"))
        return list(self.duckdb.execute(query).fetchall())


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """DuckDB, as the page says."""
    return Asked(tmp_path, monkeypatch)


def test_the_months_of_a_route_are_counted(asked: Asked, event: Event) -> None:
    # Given a run that succeeded and one that failed in May, and one without a route in June
    asked.write(succeeded(event, RESULT) | {"run": "a", "waited_seconds": 3.0})
    asked.write(facts(event) | {"run": "b", "waited_seconds": 60.5})
    other = facts(event, record={}) | {"run": "c", "started_at": "2026-06-01T00:00:00.000Z"}
    asked.write(other | {"route": None, "waited_seconds": None}, record={})
    # When
    found = asked.asks(MONTHS)
    # Then
    assert found == [
        (2026, 5, "claims", 2, 1, 12347, 60.5, 240.0),
        (2026, 6, None, 1, 1, None, None, None),
    ]


def test_errors_are_counted_with_what_the_last_one_says(asked: Asked, event: Event) -> None:
    for number in (1, 2):
        told = facts(event) | {"run": f"r{number}", "ended_at": f"2026-05-0{number}T08:00:00.000Z"}
        asked.write(told | {"message": f"says {number}"})
    asked.write(succeeded(event, RESULT) | {"run": "well"})
    last = "2026-05-02T08:00:00.000Z"
    assert asked.asks(ERRORS) == [("PipelineFailed", "claims", 2, last, "claims/may.csv", "says 2")]


def test_what_was_released_is_not_held_any_more(asked: Asked, event: Event) -> None:
    # Given three held runs; one was released, and of another the release has failed
    for run in ("a", "b", "c"):
        asked.write(succeeded(event, RESULT | {"status": "Held"}) | {"run": run})
    asked.write(succeeded(event, RESULT) | {"run": "release-a"}, {"release": "a"})
    asked.write(facts(event) | {"run": "release-b"}, {"release": "b"})
    # Then two are held; they have ended at one moment, so that either may come first
    assert sorted(run for run, *_ in asked.asks(STILL_HELD)) == ["b", "c"]


def test_both_tables_have_columns_that_lines_have(asked: Asked, event: Event) -> None:
    # Given the columns of DuckDB's view and of Athena's table
    asked.write(facts(event))
    view = {name for name, *_ in asked.asks("DESCRIBE runs")}
    columns = re.search(r"\((.*)\)\nPARTITIONED BY \((.*?)\)", TABLE, re.DOTALL)
    assert columns
    bare = re.sub(r"<[^>]*>", "", f"{columns[1]}, {columns[2]}")
    table = {each.split()[0] for each in bare.split(",")}
    # Then they are the same, and fields of the lines beside those of the folders
    assert table == view
    assert view - {"year", "month"} <= SCHEMA["properties"].keys()
    struct = re.findall(r"(\w+): (?:string|bigint)", TABLE)
    assert set(struct) <= SCHEMA["properties"]["source"]["properties"].keys()

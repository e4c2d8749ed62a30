"""Of ugly files the very table comes out, or a refusal; never another table."""

import csv
import io
import os
from collections import Counter
from pathlib import Path

import pytest

from quantemplate.bodies import FileBody
from straight_through.errors import HeaderMismatch, TableUnclear
from straight_through.files.prepared import find, prepare
from straight_through.reading.unzipping import Limits
from tests.unit.ugly import Ugly, ugly_file

LIMITS = Limits(10**9, 500)
FILES = int(os.environ.get("UGLY_FILES", "1000"))
PARTS = 4


def made_of(ugly: Ugly, path: Path) -> list[list[str]] | None:
    """The table that is made of a file, None where it is refused."""
    path.write_bytes(ugly.data)
    out = io.BytesIO()
    try:
        made = prepare(FileBody(path), ugly.spec, ugly.header, LIMITS, out)
    except (TableUnclear, HeaderMismatch):
        return None
    table = list(csv.reader(io.StringIO(out.getvalue().decode(), newline="")))
    # The check before the turn tells the same of its first rows.
    found = find(FileBody(path), ugly.spec, ugly.header, LIMITS)
    assert found.where == made.where
    assert [list(found.names), *map(list, found.rows)] == table[: len(found.rows) + 1]
    assert made.rows == len(table) - 1
    return table


@pytest.mark.parametrize("part", range(PARTS))
def test_an_ugly_file_gives_the_table_that_is_in_it_or_a_refusal(part: int, tmp_path: Path) -> None:
    # Given many files, each made of its seed
    seeds = range(part, FILES, PARTS)
    told: Counter[str] = Counter()
    for seed in seeds:
        ugly = ugly_file(seed)
        # When its table is made
        table = made_of(ugly, tmp_path / "sent")
        # Then it is the one that was put there, or none
        about = f"seed {seed}: {', '.join(ugly.made_of)}"
        if table is not None:
            assert ugly.table is not None, f"{about}: {table[:3]}"
            assert table == ugly.table, about
        told["wrong" if ugly.table is None else "refused" if table is None else "made"] += 1
    # And few that are clear to a person are refused
    assert told["wrong"] > 0
    assert told["made"] >= 0.8 * (told["made"] + told["refused"]), told

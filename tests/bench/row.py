"""A line of the bench's table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One target and what was measured of it."""

    name: str
    target: str
    measured: str
    holds: bool


def show(rows: list[Row]) -> int:
    """Print the rows, and return the exit status: 1 where a target is missed."""
    for row in rows:
        verdict = "holds" if row.holds else "falls short"
        print(f"{row.name:<58} {row.target:<22} {row.measured:<44} {verdict}")
    return int(not all(row.holds for row in rows))

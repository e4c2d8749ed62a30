"""A line of the bench's table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One target and what was measured of it; `ratio` is the measured part of the limit."""

    name: str
    target: str
    measured: str
    holds: bool
    ratio: float | None = None


def at_most(name: str, limit: float, measured: float, unit: str = "") -> Row:
    """A row whose target is a greatest value."""
    return Row(
        name=name,
        target=f"<= {_text(limit)} {unit}".strip(),
        measured=f"{_text(measured)} {unit}".strip(),
        holds=measured <= limit,
        ratio=measured / limit,
    )


def equal(name: str, expected: float, measured: float, unit: str = "") -> Row:
    """A row whose target is this very number."""
    return Row(
        name=name,
        target=f"{_text(expected)} {unit}".strip(),
        measured=f"{_text(measured)} {unit}".strip(),
        holds=measured == expected,
        ratio=measured / expected,
    )


def line(row: Row) -> str:
    """The row as a line of text."""
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    verdict = "holds" if row.holds else "falls short"
    return f"{row.name:<58} {row.target:<22} {row.measured:<44} {ratio:>5}  {verdict}"


def show(rows: list[Row]) -> int:
    """Print the rows, and return the exit status: 1 where a target is missed."""
    for row in rows:
        print(line(row))
    return int(not all(row.holds for row in rows))


def _text(number: float) -> str:
    """A number with as many digits as it needs, at most three after the point."""
    return f"{number:,.3f}".rstrip("0").rstrip(".")

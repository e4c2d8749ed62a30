"""Which files a route expects, by when: what its `expect` says, and which period a name is of."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

PERIOD = "{period}"
# How the period stands in a file's name.
PERIODS = {
    "day": r"\d{4}-\d\d-\d\d",
    "week": r"\d{4}-W\d\d",
    "month": r"\d{4}-\d\d",
    "quarter": r"\d{4}-Q[1-4]",
}
TIME = r"([01]\d|2[0-3]):[0-5]\d"
BY = re.compile(rf"((working )?day [1-9]\d?|last (working )?day), {TIME}")
HOLIDAYS = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,4})?")
ZONE = re.compile(r"[A-Za-z][A-Za-z0-9+_/-]{0,63}")
LONGEST_FILE = 200
MOST_ROWS = 1_000_000_000


@dataclass(frozen=True)
class Expect:
    """A file that is to come in every period; `by` is a moment on a working day."""

    file: str  # a name or a pattern, with {period}
    every: str  # day, week, month or quarter
    by: str  # "working day 5, 17:00", "day 15, 17:00", "last working day, 17:00"; a day's "17:00"
    of: str = "this"  # the period in which it is due, or the one "before"
    zone: str = "UTC"
    holidays: str = ""  # whose days are no working days: "GB", "GB-ENG"; none beside weekends
    rows: int = 0  # that it has at least; 0 asks for none


def is_expect(value: Any) -> bool:
    """Whether a value says what is expected. Whether zone and holidays exist tells `calendar`."""
    if not isinstance(value, dict) or not {"file", "every", "by"} <= value.keys():
        return False
    if any(name not in RULES or not RULES[name](said) for name, said in value.items()):
        return False
    form = re.compile(TIME) if value["every"] == "day" else BY
    return bool(form.fullmatch(value["by"]))


def expect_of(value: dict[str, Any]) -> Expect:
    """Return what a route's field says."""
    least = value.get("at_least", {}).get("rows", 0)
    return Expect(**{n: said for n, said in value.items() if n != "at_least"}, rows=int(least))


RULES: dict[str, Callable[[Any], bool]] = {
    "file": lambda said: (
        isinstance(said, str)
        and len(said) <= LONGEST_FILE
        and said.count(PERIOD) == 1
        and not set(said.replace(PERIOD, "")) & set("{}/\n")
    ),
    "every": lambda said: isinstance(said, str) and said in PERIODS,
    "by": lambda said: isinstance(said, str),
    "of": lambda said: said in ("this", "before"),
    "zone": lambda said: isinstance(said, str) and bool(ZONE.fullmatch(said)),
    "holidays": lambda said: isinstance(said, str) and bool(HOLIDAYS.fullmatch(said)),
    "at_least": lambda said: (
        isinstance(said, dict)
        and said.keys() == {"rows"}
        # 30.0 is a whole number to JSON, and True is none.
        and type(said["rows"]) in (int, float)
        and 1 <= said["rows"] <= MOST_ROWS
        and said["rows"] == int(said["rows"])
    ),
}


def period_of(expect: Expect, route: str, key: str) -> str | None:
    """Return which period a file of a route is of, None for one that is not expected."""
    found = _pattern(expect.file, expect.every).fullmatch(key.removeprefix(f"{route}/"))
    return found["period"] if found else None


@cache
def _pattern(file: str, every: str) -> re.Pattern[str]:
    """Return how the names of such files look."""
    parts = {PERIOD: f"(?P<period>{PERIODS[every]})", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\{period\}|[*?])", file)
    return re.compile("".join(parts.get(piece, re.escape(piece)) for piece in pieces))

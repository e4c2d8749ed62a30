"""How the one clean table of a dataset is found in what people send: what a `table` says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

FIND = "find"
ENCODINGS = (
    "utf-8",
    "utf-16",
    "windows-1250",
    "windows-1252",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-15",
)
LAST_HEADER_ROW = 10_000


@dataclass(frozen=True)
class TableSpec:
    """How one clean table is found in what people send; `find` is by rule."""

    sheet: str = "*"  # a name or a pattern
    header_row: int | str = FIND  # counted from 1
    encoding: str = FIND
    delimiter: str = FIND
    until: str = "blank"
    below: str = "refuse"


def is_table(value: Any) -> bool:
    """Whether a value says how a table is found."""
    return isinstance(value, dict) and all(
        setting in RULES and RULES[setting](said) for setting, said in value.items()
    )


RULES: dict[str, Callable[[Any], bool]] = {
    "sheet": lambda said: isinstance(said, str) and bool(said),
    "header_row": lambda said: (
        said == FIND
        # 3.0 is a whole number to JSON, and True is none.
        or (type(said) in (int, float) and 1 <= said <= LAST_HEADER_ROW and said == int(said))
    ),
    "encoding": lambda said: said in (FIND, *ENCODINGS),
    "delimiter": lambda said: (
        said == FIND or (isinstance(said, str) and len(said) == 1 and said not in '"\r\n\0\ufeff')
    ),
    "until": lambda said: said in ("blank", "end"),
    "below": lambda said: said in ("refuse", "ignore"),
}
EXPECTED = (
    'an object with any of "sheet": a name or a pattern, "header_row": "find" or a number from '
    f'1 to {LAST_HEADER_ROW}, "encoding": "find" or one of {", ".join(ENCODINGS)}, '
    '"delimiter": "find" or one character, "until": "blank" or "end", "below": "refuse" or '
    '"ignore"'
)

"""Which file is which member of a route's set, and of which period: told by the file's name.

A member's pattern has captures such as `{period}`, `*` and `?`; the set's own text puts captures
together into the period. Two files belong together where it gives the same text for both.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from straight_through.table_spec import TableSpec

FEWEST, MOST = 2, 10  # members: all are uploaded within one turn of fifteen minutes
LONGEST = 200  # characters of a pattern
# Between two of these stands a text, or it could not be told where one ends.
_WILD = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}|\*")
PATTERN = re.compile(
    r"(?:\{[a-z][a-z0-9_]{0,31}\}|\*)?(?:[^{}*]+(?:\{[a-z][a-z0-9_]{0,31}\}|\*))*[^{}*]*"
)
PERIOD = re.compile(r"[A-Za-z0-9._-]*(?:\{[a-z][a-z0-9_]{0,31}\}[A-Za-z0-9._-]*)+")


@dataclass(frozen=True)
class Member:
    """One file of a set: how its name looks below the route's folder, and where it goes.

    `header` and `table` are what a route has of its one file.
    """

    file: str
    dataset_id: str
    header: tuple[str, ...] = ()
    table: TableSpec | None = None


@dataclass(frozen=True)
class FileSet:
    """The files that belong together; `period` is the text that is the same for all of them."""

    period: str
    members: tuple[Member, ...]

    def fitting(self, name: str) -> list[tuple[Member, str]]:
        """Return each member that a name fits, and the period that the name tells then."""
        found = []
        for member in self.members:
            if captured := _expression(member.file).fullmatch(name):
                told = _WILD.sub(lambda piece, of=captured: of[piece[1]], self.period)  # type: ignore[misc]
                found.append((member, told))
        return found


def captures_of(text: str) -> list[str]:
    """Return the names of a text's captures, in their order."""
    return [piece[1] for piece in _WILD.finditer(text) if piece[1]]


@lru_cache(maxsize=64)
def _expression(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern, which takes no time that grows with its parts.

    Each part takes as little as it can and is not tried again: that leaves the most to the rest, so
    that whatever fits at all is found.
    """
    expression, at = "", 0
    pieces = list(_WILD.finditer(pattern))
    expression = _literal(pattern[: pieces[0].start()] if pieces else pattern)
    for number, piece in enumerate(pieces):
        at = piece.end()
        following = pieces[number + 1].start() if number + 1 < len(pieces) else len(pattern)
        last = number + 1 == len(pieces)
        some = f"(?P<{piece[1]}>[^/]+{'' if last else '?'})" if piece[1] else "[^/]*"
        if not piece[1] and not last:
            some += "?"
        rest = _literal(pattern[at:following])
        expression += f"{some}{rest}" if last else f"(?>{some}{rest})"
    return re.compile(expression, re.DOTALL)


def _literal(text: str) -> str:
    """Return the expression of a text in which `?` stands for one character."""
    return "".join("[^/]" if char == "?" else re.escape(char) for char in text)

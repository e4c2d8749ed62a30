"""Which outputs of an execution a route is about: by name, or by a pattern of names."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from straight_through.errors import OutputMissing, OutputsTooMany
from straight_through.routes import Route
from straight_through.text import listed, shown

if TYPE_CHECKING:
    from quantemplate.client import Output

# Each is eleven events of a history, which holds 25,000, and up to 2 of the 256 KiB of a state.
MOST_OUTPUTS = 100


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether an output's name is one of these, or fits a pattern (*, ? and [...])."""
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def selected(made: "Sequence[Output]", route: Route) -> "list[Output]":
    """Return the outputs that the route wants, that its gate looks at, and that it chains on.

    Raises OutputMissing for a name that the execution has not made, OutputsTooMany.
    """
    wanted = {
        "outputs": route.outputs,
        "hold_if_rows": route.hold_if_rows,
        "then": tuple(link.output for link in route.then),
    }
    for field, patterns in wanted.items():
        for pattern in patterns:
            if pattern != "*" and not any(matches(output.name, (pattern,)) for output in made):
                names = listed([output.name for output in made]) or "none"
                raise OutputMissing(
                    f"The execution has made no output '{shown(pattern)}', which the route's field "
                    f"{field!r} names. It has made: {names}. If the route is wrong, mend it, then "
                    "redrive the run. If the pipeline is wrong, mend it in Quantemplate, "
                    "then start a new run with the same input."
                )
    every = [pattern for patterns in wanted.values() for pattern in patterns]
    chosen = [output for output in made if matches(output.name, every)]
    if len(chosen) > MOST_OUTPUTS:
        raise OutputsTooMany(
            f"Of {len(made)} outputs that the execution has made the route takes {len(chosen)}; "
            f"one run fetches {MOST_OUTPUTS} at most. Nothing was fetched. Name those that are "
            "wanted in the route's field 'outputs', then redrive the run."
        )
    return chosen

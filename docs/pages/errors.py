"""Each error that ends a run, from its class and its remedy."""

import inspect

from docs.tables import code
from straight_through.errors import StraightThroughError
from straight_through.telling.remedies import REMEDIES, what_to_do

ABOUT = """# Errors

An execution that fails ends at the state where it failed, with one of these names as its error; its
cause says which file and route, and what to do. The file stays in the inbox. `stp show RUN` and the
messages say the same as this page. What Redrive does at each state: [Rerun](../rerun.md).
"""
OTHERS = """## Errors of AWS

Names with a dot, such as `Lambda.Unknown`, `Sandbox.Timedout`, `States.Timeout` and
`States.DataLimitExceeded`, are AWS's own. Where trying again may help, the state machine has tried again
before: see the cause and the functions' log, then redrive. Only `States.DataLimitExceeded` at
DownloadOutputs is not mended by that: the run has [too many outputs](../what-comes-back.md#how-many-outputs).
"""


def page() -> str:
    """Return the page: an entry for each error, by name."""
    named = sorted(REMEDIES, key=lambda error: error.__name__)
    return "\n\n".join([ABOUT.strip(), *map(_entry, named), OTHERS.strip()])


def _entry(error: type[StraightThroughError]) -> str:
    """Return what is known of one error."""
    remedy = REMEDIES[error]
    happened = " ".join((inspect.getdoc(error) or "").split())
    at = ", ".join(map(code, remedy.at))
    todo = what_to_do(error.__name__)
    return f"## {error.__name__}\n\n{happened}\n\n- At: {at}\n- What to do: {todo}"

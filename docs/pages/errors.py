"""Each error that ends a run, from its class and its remedy."""

import inspect

from docs.tables import code
from straight_through.errors import StraightThroughError
from straight_through.telling.remedies import REMEDIES, what_to_do

ABOUT = """# Errors

An execution that fails ends at the state where it failed, with one of these names as its error; its
cause says which file and route, and what to do. The file stays in the inbox. `stp show RUN` and the
messages say the same as this page; where `PipelinePageUrl` is set ([Messages](../messages.md)), they lead to the
pipeline's page in Quantemplate of errors that it shows. What Redrive does at each state: [Rerun](../rerun.md).
"""
OTHERS = """## Errors of AWS

Names with a dot, such as `Lambda.Unknown`, `Sandbox.Timedout` and `States.Timeout`, are AWS's own. Where trying
again may help, the state machine has tried again before: see the cause and what was logged (`stp logs RUN`), then
redrive the run.
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
    seen = "\n- Why: the pipeline's page in Quantemplate shows it" * remedy.in_quantemplate
    return f"## {error.__name__}\n\n{happened}\n\n- At: {at}{seen}\n- What to do: {todo}"

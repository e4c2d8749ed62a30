"""What an execution can be started with, from the schema of its input."""

from docs.sources import sample, schema
from docs.tables import schema_table

ABOUT = """# The input of an execution

The state machine takes a file, a route whose runs have no file, or a release, as
[`execution_input.schema.json`](../../layers/straight_through/execution_input.schema.json) describes
them. An unknown field is refused as [`InputInvalid`](errors.md#inputinvalid) before anything is done: a
misspelt `version_id` would process another version, a misspelt `execution_id` would execute anew. How
to start one: [Start it from elsewhere](../start-from-elsewhere.md).
"""


def page() -> str:
    """Return the page."""
    whole = schema("execution_input")
    parts = [ABOUT.strip()]
    for branch in whole["oneOf"]:
        parts.append(f"## {branch['title']}\n\n{branch['description']}")
        parts.append(schema_table(branch, whole, settings=True))
    parts.append("## Sample")
    parts.append(f"```json\n{sample('execution_input')}\n```")
    return "\n\n".join(parts)

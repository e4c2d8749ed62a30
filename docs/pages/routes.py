"""What a route can say, from its schema."""

from docs.sources import sample, schema
from docs.tables import schema_table
from straight_through.names import HELD, PREPARED, RUNS
from straight_through.routes import DEEPEST

ABOUT = """# Routes

A route is the value of the parameter `/<stack name>/routes/<folder>`: a JSON object of at most 8 KB,
as [`routes.schema.json`](../../layers/straight_through/routes.schema.json) describes it, which lets
editors complete it. Each field beside the three ids is one feature; an unknown field is refused as
[`RouteInvalid`](errors.md#routeinvalid). What the features do: [Add a route](../add-a-route.md).
"""
NAMES = f"""## Names

A route's name is its folder of the inbox. Each part has letters, digits, `.`, `_` and `-`; there are at
most {DEEPEST}, and the first is none of `{HELD}`, `{PREPARED}` and `{RUNS}`. Of the folders of a key, the deepest that has a route counts.

## Samples

The smallest route, and one with a gate:
"""


def page() -> str:
    """Return the page."""
    routes = schema("routes")
    table = schema_table(routes, routes, settings=True)
    samples = [f"```json\n{sample(f'routes/{name}')}\n```" for name in ("plain", "gate")]
    return "\n\n".join([ABOUT.strip(), table, NAMES.strip(), *samples])

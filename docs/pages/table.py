"""What lies in the table, from the types of its items."""

from docs.shapes import shapes_page
from docs.sources import ROOT

ABOUT = """# The table

One DynamoDB table holds the turns, what is known of each run, and what was seen of pipelines, each item
under the keys `pk` and `sk`. Moments are ISO 8601 in UTC; `expires_at` is in seconds since 1970, and
DynamoDB forgets the item then. Every write has a condition; what each of them guards stands in
[Architecture](../architecture.md#what-guards-each-race). This is
[`queue/items.py`](../../layers/straight_through/queue/items.py) in words.
"""


def page() -> str:
    """Return the page."""
    items = ROOT / "layers/straight_through/queue/items.py"
    return f"{ABOUT.strip()}\n\n{shapes_page(items)}"

"""What travels between the states of a run, from its types."""

from docs.shapes import shapes_page
from docs.sources import ROOT

ABOUT = """# What travels

The state machine carries keys and ids from state to state, and never the contents of a file. CheckFile
returns a `FileState`, TakeTurn is answered with a `TurnState`, UploadAndExecute and CheckStatus return the
`RunState`, DownloadOutput takes an `OutputState` and returns a `StoredOutput`, and the execution's result
is a `Result`. This is [`run_state.py`](../../layers/straight_through/run_state.py) in words.
"""


def page() -> str:
    """Return the page."""
    return f"{ABOUT.strip()}\n\n{shapes_page(ROOT / 'layers/straight_through/run_state.py')}"

"""What the pages are made from: files of the project."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def schema(name: str) -> dict[str, Any]:
    """Return one of the package's JSON schemas."""
    path = ROOT / "layers" / "straight_through" / f"{name}.schema.json"
    return dict(json.loads(path.read_text("utf-8")))


def sample(name: str) -> str:
    """Return one of the sample events, as it stands."""
    return (ROOT / "events" / f"{name}.json").read_text("utf-8").strip()

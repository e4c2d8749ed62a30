"""What the functions' package says, for the page: a rule stands there, and nowhere else."""

from collections.abc import Mapping

from local.packages import package


def why_ignored(key: str, patterns: str) -> str:
    """Why such a key starts nothing, in a sentence; "" where it starts a run."""
    return str(package("straight_through.files.ignored").why_ignored(key, patterns))


def remedies(steps: Mapping[str, str]) -> dict[str, str]:
    """What to do about each error, by name; "" is for every other. `steps` are called so."""
    telling = package("straight_through.telling.remedies")
    names = ["", *(error.__name__ for error in telling.REMEDIES)]
    return {name: telling.what_to_do(name, steps) for name in names}

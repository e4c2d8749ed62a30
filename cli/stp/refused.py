"""Why a file is refused before it is sent: dropped, it would start nothing, or fail at once."""

from straight_through.files.ignored import why_ignored
from straight_through.text import shown


def why_refused(key: str, size: int, patterns: str, prefix: str, stack: str) -> str:
    """Return why a file of `size` bytes is not sent to a key, "" where it is, in sentences.

    `patterns` and `prefix` are the stack's parameters IgnorePatterns and InboxPrefix.
    """
    name = shown(key.rpartition("/")[2])
    if not size:
        return f"{name} is empty: Quantemplate takes no empty file."
    if why := why_ignored(key, patterns):
        return f"{name} would start nothing: {why}. Rename it."
    if not key.startswith(prefix):
        return (
            f"{shown(key)} would start nothing: stack {stack} takes only keys that begin with "
            f"{prefix!r} (InboxPrefix). Name a folder below it: --route."
        )
    return ""

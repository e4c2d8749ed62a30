"""What starts nothing, from `ignored.py` of the layer."""

from collections.abc import Iterable

from docs.tables import code, table
from straight_through.files.ignored import FOLDERS, NAMES, Kind

ABOUT = """# Files that start nothing

Programs leave files of their own beside those that people mean to drop. A key of the inbox starts no run
where it ends with a slash (the marker of a folder), where its file's name fits one of the patterns below,
or one of the stack's parameter `IgnorePatterns`, which adds to them. `*` stands for any characters, `?` for
one, `[...]` for one of several. Patterns marked with * fit in capitals and small letters alike; those of
the parameter fit as they are written.

The log has a line `Ignored` for each, with its key and why. `stp drop` says it before anything is uploaded.
"""
WITHIN = """## Folders

What lies in a folder of such a name, at any depth, starts nothing either.
"""
NOT = """## What is not ignored

What may hold a table is dropped like any other file, and gets an error that says what is wrong with it:
archives, encrypted files (`*.gpg`, `*.pgp`, `*.asc`), backups (`*.bak`).
"""


def page() -> str:
    """Return the page."""
    return "\n".join([ABOUT, _listed(NAMES), "", WITHIN, _listed(FOLDERS), "", NOT])


def _listed(kinds: Iterable[Kind]) -> str:
    """Return a table of patterns."""
    return table(
        ["names", "what they are"],
        ((", ".join(map(code, kind.patterns)) + " *" * kind.any_case, kind.what) for kind in kinds),
    )

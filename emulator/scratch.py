"""A server's folder for what it keeps on disk; one that was killed leaves it to the next start."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

ALIVE = "alive"  # the file that a server locks for its life


class Scratch:
    """A folder of this process's own among the temporary files, until `remove`."""

    def __init__(self, prefix: str) -> None:
        """Make it, and remove those that killed servers have left under this prefix."""
        remove_leftovers(prefix)
        # It gets its name when it is locked: before, another start would take it for a leftover.
        draft = Path(tempfile.mkdtemp(prefix=f".{prefix}"))
        self._alive = (draft / ALIVE).open("w")
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        self.path = draft.rename(draft.with_name(draft.name[1:]))

    def remove(self) -> None:
        """Remove it, and whatever is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._alive.close()


def remove_leftovers(prefix: str) -> None:
    """Remove the folders of this user's servers that live no longer."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        if is_left(folder):
            shutil.rmtree(folder, ignore_errors=True)


def is_left(folder: Path) -> bool:
    """Whether a server of this user made a folder and has ended: then the system took its lock."""
    try:
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return False
        with (folder / ALIVE).open() as alive:
            fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # it is locked, or gone; or somebody else made this folder
        return False
    return True

"""The stand-in's folder for data; one that was killed leaves its folder to the next start."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "quantemplate-"


class Scratch:
    """A folder among the temporary files, which a server locks for its life."""

    def __init__(self) -> None:
        """Remove what killed servers have left, and make one."""
        for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            if not left.is_symlink() and (lock := _locked(left)) is not None:
                shutil.rmtree(left, ignore_errors=True)
                os.close(lock)
        # It gets its name when it is locked: before, another start would take it for a leftover.
        draft = Path(tempfile.mkdtemp(prefix=f".{PREFIX}"))
        self._lock = _locked(draft)
        self.path = draft.rename(draft.with_name(draft.name[1:]))

    def remove(self) -> None:
        """Remove it, and whatever is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(folder: Path) -> int | None:
    """A lock on a folder of this user's; None where another server has it, or it is no such."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_uid == os.getuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
    except OSError:  # its server lives
        pass
    os.close(descriptor)
    return None

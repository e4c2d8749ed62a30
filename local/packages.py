"""The project's own packages, which the local stack's Python does not have on its path."""

import importlib
import sys
from types import ModuleType

from local.process import ROOT


def package(name: str) -> ModuleType:
    """A module of the functions' package or of the command, as `stp.disk`."""
    # They are on the path of this process alone: each function has the layer that it is given.
    for folder in ("layers", "cli"):
        if (path := str(ROOT / folder)) not in sys.path:
            sys.path.append(path)
    return importlib.import_module(name)

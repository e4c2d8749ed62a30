"""The private names of pinned libraries that the emulator replaces.

Each is asserted to exist, and to be replaced by one part only.
"""

import sys
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

_replaced: set[str] = set()
PINS = {"ministack": "1.5.33", "awslambdaric": "4.2.2", "moto": "5.2.5"}


class PinError(RuntimeError):
    """An installed library is not the one that this code was written against."""


def require_pinned_versions() -> None:
    """Raise PinError unless exactly the pinned versions are installed."""
    for name, pinned in PINS.items():
        if version(name) != pinned:
            raise PinError(
                f"{name} {version(name)} is installed, but {pinned} is pinned: make .venv/.run"
            )


def seam(owner: ModuleType | type, name: str) -> Any:
    """The private `name` of `owner`; raises PinError where the library no longer has it."""
    try:
        return getattr(owner, name)
    except AttributeError:
        pins = ", ".join(f"{library} {pinned}" for library, pinned in PINS.items())
        raise PinError(f"{owner.__name__}.{name} does not exist; this code needs {pins}") from None


def replace(owner: ModuleType | type, name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(original)` in the place of the private `name` of `owner`, once for all parts."""
    _once(f"{named(owner)}.{name}")
    setattr(owner, name, make(seam(owner, name)))


def replace_item(owner: ModuleType, name: str, key: str, make: Callable[[Any], Any]) -> None:
    """Put `make(original)` into a table of `owner`; the original is None where it has none."""
    _once(f"{named(owner)}.{name}[{key}]")
    table = seam(owner, name)
    table[key] = make(table.get(key))


def leave_out(package: str) -> None:
    """Let a package's modules be imported without its own, which would import far more.

    Raises PinError where there is no such package.
    """
    if not (found := find_spec(package)):
        raise PinError(f"there is no {package}; this code needs moto {PINS['moto']}")
    sys.modules.setdefault(package, module_from_spec(found))


def named(owner: ModuleType | type) -> str:
    """The whole name of a module or a class."""
    return f"{owner.__module__}.{owner.__name__}" if isinstance(owner, type) else owner.__name__


def replaced() -> set[str]:
    """The names that have been replaced."""
    return set(_replaced)


def _once(place: str) -> None:
    if place in _replaced:
        raise PinError(f"{place} is replaced by two parts; let one of them call the other")
    _replaced.add(place)

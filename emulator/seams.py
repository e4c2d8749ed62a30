"""The private names of pinned libraries that the local AWS replaces: each is asserted to exist."""

from collections.abc import Callable
from importlib.metadata import version
from types import ModuleType
from typing import Any

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
    """Put `make(original)` in the place of the private `name` of `owner`."""
    setattr(owner, name, make(seam(owner, name)))

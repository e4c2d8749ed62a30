"""A function's settings: read once from its environment, each into a typed field.

A function declares a frozen dataclass. A field is the environment variable of its name in capitals,
text or a number; a field that is a dataclass itself is read in the same way.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

Settings = TypeVar("Settings")


class SettingInvalid(Exception):
    """A variable is missing, or no number where one is needed; the message names it."""


def settings_of(kind: type[Settings], environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that an environment has. Raises SettingInvalid."""
    values = {
        name: settings_of(hint, environment)
        if is_dataclass(hint)
        else _value(name, hint, environment)
        for name, hint in _hints(kind)
    }
    return kind(**values)


def variables_of(kind: type[Any]) -> Iterator[str]:
    """Return the names of the variables that settings are read from."""
    for name, hint in _hints(kind):
        if is_dataclass(hint):
            yield from variables_of(hint)
        else:
            yield name.upper()


def _hints(kind: type[Any]) -> Iterator[tuple[str, type[Any]]]:
    """Return each field of a dataclass with its type."""
    hints = get_type_hints(kind)
    return ((field.name, hints[field.name]) for field in fields(kind))


def _value(name: str, hint: type[Any], environment: Mapping[str, str]) -> Any:
    """Return one setting. Raises SettingInvalid."""
    if is_dataclass(hint):
        return settings_of(hint, environment)
    variable = name.upper()
    if variable not in environment:
        raise SettingInvalid(f"The function's environment has no {variable}.")
    try:
        return hint(environment[variable])
    except ValueError:
        raise SettingInvalid(
            f"The function's {variable} is {environment[variable]!r}, and no number."
        ) from None

"""What a definition's paths, templates and Choices say of a state's input and the context object.

A path begins with `$` in the input and with `$$` in the context object. What our definitions do not
use is not known here, and refused.
"""

import re
from typing import Any


def at(path: str, value: Any) -> Any:
    """What stands at a path of a value. Raises KeyError."""
    assert re.fullmatch(r"\$(\.\w+)*", path), path
    for part in path.split(".")[1:]:
        if not isinstance(value, dict):
            raise KeyError(part)
        value = value[part]
    return value


def read(path: str, data: Any, context: dict[str, Any]) -> Any:
    """What a path names. Raises KeyError."""
    return at(path[1:], context) if path.startswith("$$") else at(path, data)


def filled(template: Any, data: Any, context: dict[str, Any]) -> Any:
    """A template with what its paths name. Raises KeyError."""
    if not isinstance(template, dict):
        return template
    return {
        name.removesuffix(".$"): read(value, data, context)
        if name.endswith(".$")
        else filled(value, data, context)
        for name, value in template.items()
    }


def placed(path: str | None, data: Any, result: Any) -> Any:
    """A state's input with its result at a path; where that is null, its input alone."""
    if path is None:
        return data
    return result if path == "$" else data | {path.removeprefix("$."): result}


def chosen(choice: dict[str, Any], data: Any, context: dict[str, Any]) -> str:
    """The state that a Choice goes to."""
    met = (rule["Next"] for rule in choice["Choices"] if _holds(rule, data, context))
    return str(next(met, None) or choice["Default"])


def _holds(rule: dict[str, Any], data: Any, context: dict[str, Any]) -> bool:
    """Whether a rule of a Choice is met."""
    (test,) = rule.keys() - {"Variable", "Next", "Comment"}
    path, wanted = rule.get("Variable"), rule[test]
    assert path, rule
    try:
        value = read(path, data, context)
    except KeyError:
        return test == "IsPresent" and not wanted
    match test:
        case "IsPresent":
            return bool(wanted)
        case "StringEquals":
            return bool(value == wanted)
    raise AssertionError(rule)

"""The commands of `stp`, from its Typer application."""

from typing import Any

import typer.main

from docs.tables import code, table
from stp.app import EVERYWHERE, app
from stp.said import EXIT_CODES

ABOUT = """# The command stp

What to do with it: [stp](../stp.md).
"""
CODES = """## Exit codes

Results go to stdout, all else to stderr; with `--json` results and errors are JSON.
"""


def page() -> str:
    """Return the page: every command, and the exit codes."""
    command = typer.main.get_command(app)
    codes = [(str(number), meaning) for number, meaning in EXIT_CODES.items()]
    return "\n\n".join(
        [
            ABOUT.strip(),
            f"{EVERYWHERE}\n\n{_parameters(command)}",
            *_commands("stp", command),
            CODES.strip(),
            table(["code", "meaning"], codes),
        ]
    )


def _commands(above: str, group: Any) -> list[str]:
    """Return an entry for each command of a group, and of the groups in it."""
    parts = []
    for name, command in group.commands.items():
        whole = f"{above} {name}"
        parts.append(f"## {whole}\n\n{command.help}\n\n```\n{_usage(whole, command)}\n```")
        parts.append(_parameters(command))
        parts += _commands(whole, command) if hasattr(command, "commands") else []
    return [part for part in parts if part]


def _usage(whole: str, command: Any) -> str:
    """Return a command with its arguments, as one types it."""
    words = [whole]
    for each in command.params:
        if each.param_type_name == "argument":
            word = _written(each) + "..." * (each.nargs == -1)
            words.append(word if each.required else f"[{word}]")
    if any(each.param_type_name == "option" for each in command.params):
        words.append("[OPTION...]")
    return " ".join(words + ["[COMMAND]"] * hasattr(command, "commands"))


def _parameters(command: Any) -> str:
    """Return the table of a command's arguments and options, "" where it has none."""
    rows = [
        (code(_written(each)), each.help or "", _default(each))
        for each in sorted(command.params, key=lambda each: each.param_type_name)
    ]
    return table(["", "meaning", "default"], rows) if rows else ""


def _written(each: Any) -> str:
    """Return how an argument or an option is written."""
    if each.param_type_name == "argument":
        return str(each.metavar or each.name.upper()).strip("[].")
    names = ", ".join(sorted(each.opts, key=len))
    return names if each.is_flag else f"{names} {each.name.upper()}"


def _default(each: Any) -> str:
    """Return the default of an argument or an option, "" where it has none."""
    given = "" if getattr(each, "is_flag", False) or each.default is None else str(each.default)
    return code(given) + (f" or ${each.envvar}" if each.envvar else "")

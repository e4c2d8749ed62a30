"""`stp routes`: files under version control, and the routes of the stack."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from stp.here import Here, here_of
from stp.route_checks import ERROR, HINT, Problem, online, problems_of, route_of
from stp.route_files import (
    Change,
    Document,
    apply,
    changes,
    deployed_documents,
    file_documents,
    write_files,
)
from stp.said import FAILED, UNKNOWN, Stop
from straight_through.errors import RouteInvalid
from straight_through.text import counted, lines_shown, shown

COLOURS = {"+": "green", "-": "red", "@": "cyan"}
Folder = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER", help="The folder of the files: claims/eu.yaml is route claims/eu."
    ),
]
DEFAULT = Path("routes")
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
app = typer.Typer(no_args_is_help=True, help="Routes: which folder goes to which pipeline.")


@app.command("list")
def list_routes(context: typer.Context) -> None:
    """List the stack's routes."""
    here = here_of(context)
    documents = _deployed(here)
    data, table = [], Table(box=SIMPLE, pad_edge=False, show_edge=False)
    for title in ("route", "organisation", "dataset", "pipeline", "queue", "then"):
        table.add_column(title, overflow="fold")
    for name, document in documents.items():
        try:
            route = route_of(document)
        except RouteInvalid as error:
            data.append({"route": name, "error": str(error)})
            table.add_row(name, Text(f"invalid: see stp routes show {name}", "red"))
            continue
        data.append({"route": name, "queue": route.queue, **document.value})
        ids = (route.organisation_id, ", ".join(route.datasets) or "(no file)", route.pipeline_id)
        queue = route.queue if route.queue != route.pipeline_id else ""
        then = ", ".join(link.route for link in route.then)
        table.add_row(*(Text(shown(text)) for text in (name, *ids, queue, then)))
    none = (
        f"Stack {here.stack.name} has no routes. Write routes/<folder>.yaml, then: stp routes apply"
    )
    here.said.result(data, table if documents else none)


@app.command()
def show(
    context: typer.Context,
    route: Annotated[
        str, typer.Argument(metavar="ROUTE", help="One route; all unless it is given.")
    ] = "",
    to: Annotated[Path | None, typer.Option(help="Write them as YAML files into a folder.")] = None,
) -> None:
    """Show the documents of routes, or write them as files to begin with."""
    here = here_of(context)
    documents = _deployed(here)
    if route:
        documents = {route: _known(here, documents, route)}
    if to is None:
        shown = [f"{name}:\n" + "\n".join(d.lines) for name, d in documents.items()]
        data = {name: document.value for name, document in documents.items()}
        here.said.result(data, *(shown or ["There are no routes."]))
        return
    written = write_files(documents, to)
    kept = len(documents) - len(written)
    summary = f"{counted(len(written), 'file')} written into {to}" + (
        f", {kept} there already" * bool(kept)
    )
    here.said.result([str(path) for path in written], summary)


@app.command()
def check(
    context: typer.Context,
    folder: Folder = DEFAULT,
    ask: Annotated[
        bool,
        typer.Option("--online", help="Ask the stack and Quantemplate too; nothing is changed."),
    ] = False,
    inbox_prefix: Annotated[
        str, typer.Option(help="The stack's InboxPrefix, where it is not asked (--online).")
    ] = "",
) -> None:
    """Check route files against the schema, each other and, with --online, Quantemplate."""
    here = here_of(context)
    documents = file_documents(folder)
    problems = _together(here, documents) if ask else problems_of(documents, inbox_prefix)
    if ask:
        problems += _ask(here, documents)
    errors = sum(each.level == ERROR for each in problems)
    summary = f"{counted(len(documents), 'route')} in {folder}: {counted(errors, 'error')}"
    if not documents:
        summary = f"No route files in {folder}: write {folder}/<folder of the inbox>.yaml"
    here.said.result([vars(each) for each in problems], *_shown(problems), summary)
    if errors:
        raise typer.Exit(FAILED)


@app.command("apply")
def apply_routes(
    context: typer.Context,
    folder: Folder = DEFAULT,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show it.")] = False,
    yes: Yes = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove routes that have no file.")
    ] = False,
) -> None:
    """Make the stack's routes those of the files, after showing the difference."""
    here = here_of(context)
    wanted = file_documents(folder)
    deployed = _deployed(here)
    together = wanted if prune else deployed | wanted
    problems = [each for each in _together(here, together) if each.level != HINT]
    if problems:
        for line in _shown(problems):
            here.said.err.print(line)
        if any(each.route in wanted and each.level == ERROR for each in problems):
            raise Stop("Nothing was changed. Mend the files, then: stp routes apply")
    planned = changes(deployed, wanted, prune=prune)
    kept = [] if prune else [name for name in deployed if name not in wanted]
    if kept:
        here.said.note(f"Without a file, and kept (--prune removes them): {', '.join(kept)}")
    _carry_out(here, planned, dry_run=dry_run, yes=yes)


@app.command()
def remove(
    context: typer.Context,
    route: Annotated[list[str], typer.Argument(metavar="ROUTE", help="The routes' names.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show it.")] = False,
    yes: Yes = False,
) -> None:
    """Remove routes; their files would end as NoRoute, or go to the folder above."""
    here = here_of(context)
    deployed = _deployed(here)
    planned = [Change("remove", name, _known(here, deployed, name), None) for name in route]
    left = {name: document for name, document in deployed.items() if name not in route}
    before = _together(here, deployed)
    for line in _shown([each for each in _together(here, left) if each not in before]):
        here.said.err.print(line)
    _carry_out(here, planned, dry_run=dry_run, yes=yes)


def _carry_out(here: Here, planned: list[Change], *, dry_run: bool, yes: bool) -> None:
    """Show changes, ask, and make them."""
    data = [
        {"change": each.kind, "route": each.route, "difference": each.difference}
        for each in planned
    ]
    if not planned:
        here.said.result(data, "Nothing to change: the stack has these routes already.")
        return
    for each in planned if not here.said.json else ():
        here.said.out.print(Text(f"{each.kind} {each.route}", "bold"))
        for line in each.difference[2:]:
            here.said.out.print(Text(lines_shown(line), COLOURS.get(line[:1], "")))
    if dry_run:
        here.said.result(data, f"{counted(len(planned), 'change')}, none made (--dry-run).")
        return
    here.said.confirm(
        f"Make {counted(len(planned), 'change')} to stack {here.stack.name}?", yes=yes
    )
    for each in planned:
        with here.said.doing(f"Changing {each.route}"):
            apply(here.stack, each)
    here.said.result(data, f"{counted(len(planned), 'change')} made, from the next turn on.")


def _together(here: Here, documents: dict[str, Document]) -> list[Problem]:
    """Return the problems of routes that are deployed together in the stack."""
    stack = here.stack
    return problems_of(documents, stack.inbox_prefix, takes_events=stack.takes_events)


def _ask(here: Here, documents: dict[str, Document]) -> list[Problem]:
    """Ask Quantemplate about each route that is sound. Raises CredentialsMissing."""
    problems: list[Problem] = []
    with here.said.doing("Taking a token"):
        client = here.stack.quantemplate
        client.authenticate()
    for name, document in documents.items():
        try:
            route = route_of(document)
        except RouteInvalid:
            continue  # it is told already
        with here.said.doing(f"Asking Quantemplate about {name}"):
            problems += online(client, route)
    return problems


def _deployed(here: Here) -> dict[str, Document]:
    """Read the stack's routes."""
    stack = here.stack
    with here.said.doing("Reading the routes"):
        return deployed_documents(stack)


def _known(here: Here, documents: dict[str, Document], name: str) -> Document:
    """Return a deployed route. Raises Stop."""
    if name not in documents:
        known = ", ".join(documents) or "none at all"
        raise Stop(f"Stack {here.stack.name} has no route {name!r}; it has {known}.", UNKNOWN)
    return documents[name]


def _shown(problems: list[Problem]) -> list[RenderableType]:
    """Return a line for each problem."""
    styles: dict[str, Any] = {ERROR: "red", HINT: "dim"}
    return [
        Text.assemble(
            (f"{each.level} ", styles.get(each.level, "yellow")),
            each.route,
            ": ",
            lines_shown(each.text),
        )
        for each in problems
    ]

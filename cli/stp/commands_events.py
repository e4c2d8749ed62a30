"""`stp events`: what Quantemplate's events did; the address that takes them, and its key."""

import json
import secrets
import string
import uuid
from itertools import islice
from typing import Annotated, Any

import requests
import typer
from rich.table import Table
from rich.text import Text

from stp.here import here_of
from stp.moments import ago, duration, local
from stp.said import FAILED, NOT_NOW, Stop
from stp.stack import Stack
from straight_through.hearing.key import KeySecret, changed
from straight_through.hearing.taking import TEST, heard_events
from straight_through.text import shown

app = typer.Typer(help="Quantemplate's events: what came, and what it did.")
LETTERS = string.ascii_letters + string.digits
KEY_LENGTH = 64
PATIENCE = 30  # seconds


@app.callback(invoke_without_command=True)
def events(
    context: typer.Context,
    number: Annotated[
        int, typer.Option("-n", "--number", min=1, help="So many, the newest first.")
    ] = 50,
    about: Annotated[
        str, typer.Option(help="Only those of this pipeline, execution, dataset or run.")
    ] = "",
) -> None:
    """Show the events of the last 30 days, and what each did."""
    if context.invoked_subcommand:
        return
    here = here_of(context)
    stack = here.stack
    with here.said.doing("Reading the events"):
        every = (
            {"at": e["sk"].partition("#")[0], "id": e["sk"].partition("#")[2]}
            | {"name": e["name"], "about": e["about"], "did": e["did"]}
            for e in heard_events(stack.table)
            if not about or about in f"{e['about']} {e['did']}".replace(";", " ").split()
        )
        found = list(islice(every, number))
    if not found:
        todo = (
            "stp events url" if stack.takes_events else "QuantemplateEvents is off: docs/events.md"
        )
        here.said.result(found, f"No event has come. {todo}")
        return
    here.said.result(found, _table(found))


@app.command()
def url(context: typer.Context) -> None:
    """Print the address to give to Quantemplate. Whoever has it can send events."""
    here = here_of(context)
    address = address_of(here.stack)
    here.said.result({"url": address}, address)


@app.command()
def rotate(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Make a new key, and print the new address; the old one counts until a newer was used."""
    here = here_of(context)
    stack = here.stack
    before = _secret_of(stack)
    here.said.confirm("Make a new key for events?", yes=yes)
    key = "".join(secrets.choice(LETTERS) for _ in range(KEY_LENGTH))
    value = changed(before, key, stack.table)
    with here.said.doing("Changing the key"):
        stack.client("secretsmanager").put_secret_value(
            SecretId=stack.outputs["EventsKeyArn"], SecretString=json.dumps(value)
        )
    address = address_of(stack)
    here.said.result(
        {"url": address},
        address,
        "Give this address to Quantemplate. The old one ends when this one has been used.",
    )


@app.command()
def test(context: typer.Context) -> None:
    """Send an event to the stack, to see whether the address takes it."""
    here = here_of(context)
    stack = here.stack
    address, event_id = address_of(stack), uuid.uuid4().hex
    with here.said.doing("Sending an event"):
        try:
            answer = requests.post(
                address, json={"eventName": TEST, "eventId": event_id}, timeout=PATIENCE
            )
        except requests.RequestException as error:
            # Its text holds the address, which is a secret.
            raise Stop(
                f"The address does not answer ({type(error).__name__}). Try again in a minute, and "
                "check the network between this machine and AWS.",
                NOT_NOW,
            ) from None
    if answer.status_code != requests.codes.ok:
        raise Stop(f"The address answers {answer.status_code}. {_why(answer.status_code)}", FAILED)
    here.said.result({"id": event_id, "status": 200}, "It came: stp events shows it.")


def address_of(stack: Stack) -> str:
    """Return the whole address. Raises Stop where no events are taken."""
    return f"{_output(stack, 'EventsUrl').rstrip('/')}/{_secret_of(stack)['key']}"


def _secret_of(stack: Stack) -> KeySecret:
    """Return the secret with the key. Raises Stop where no events are taken."""
    secret = stack.client("secretsmanager").get_secret_value(
        SecretId=_output(stack, "EventsKeyArn")
    )
    value: KeySecret = json.loads(secret["SecretString"])
    return value


def _output(stack: Stack, name: str) -> str:
    """Return an output that the stack has where it takes events. Raises Stop."""
    if name not in stack.outputs:
        raise Stop(
            f"Stack {stack.name} takes no events. Deploy it with QuantemplateEvents=on: "
            "docs/events.md."
        )
    return stack.outputs[name]


def _why(status: int) -> str:
    """Say what an answer tells of the address."""
    return {
        403: "Lambda lets nobody in: the function's policy lacks a permission. Deploy again.",
        404: "The key is another by now: wait ten seconds, and try again.",
        429: "Too many requests come at once: a flood, or EventsConcurrency is too low.",
    }.get(status, "The log of take_event says why.")


def _table(found: list[dict[str, Any]]) -> Table:
    """Return the events as people see them."""
    table = Table(box=None, pad_edge=False)
    for column in ("when", "event", "about", "what it did"):
        table.add_column(column)
    for each in found:
        when = f"{local(each['at'])} ({duration(ago(each['at']))})"
        row = (when, shown(each["name"]), shown(each["about"]), shown(each["did"]))
        table.add_row(*map(Text, row))
    return table

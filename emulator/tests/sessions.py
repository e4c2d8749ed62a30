"""Clients that may do what a function may do: with the credentials in its environment."""

from collections.abc import Callable
from typing import Any

import boto3

from emulator.tests.account import REGION, Account

WHOAMI = """
import os

def handler(event, context):
    return {name: os.environ[name] for name in
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}
"""


def session_clients(account: Account, role: str) -> Callable[[str], Any]:
    """Clients with the credentials that a function of this role finds in its environment."""
    return clients_of(account, account.function(WHOAMI, Role=role))


def clients_of(account: Account, whoami: str) -> Callable[[str], Any]:
    """Clients with the credentials of a function, whose code is WHOAMI."""
    found = account.invoked(whoami)
    session: Any = boto3.Session(
        found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"], found["AWS_SESSION_TOKEN"]
    )
    return lambda service: session.client(
        service, endpoint_url=account.endpoint, region_name=REGION
    )

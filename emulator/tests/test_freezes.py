"""A connection that a function has kept may be dead at its next invocation.

https://docs.aws.amazon.com/lambda/latest/dg/best-practices.html
https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3

from emulator.tests.account import Account

PATH = "/_local/freezes"
HEALTH = "/_ministack/health"
KEEPING = """
import http.client

kept = None

def handler(event, context):
    global kept
    if event.get("anew") or not kept:
        kept = http.client.HTTPConnection(event["host"], timeout=10)
        kept.connect()
    try:
        for _ in range(event.get("times", 1)):
            kept.request("GET", event["path"])
            answer = kept.getresponse()
            answer.read()
    except ConnectionError as error:
        return type(error).__name__
    return answer.status
"""


def told(endpoint: str, method: str, settings: Any = None) -> requests.Response:
    """The answer of the freezes' control."""
    return requests.request(method, endpoint + PATH, json=settings, timeout=60)


@pytest.fixture
def freezing(account: Account) -> Iterator[None]:
    """Connections outlive no freeze, for the time being."""
    assert told(account.endpoint, "PUT", {"connection_seconds": 0}).json() == {
        "connection_seconds": 0
    }
    yield
    told(account.endpoint, "DELETE").raise_for_status()


def request(account: Account, **fields: Any) -> dict[str, Any]:
    """What the function is to do."""
    host = account.endpoint.removeprefix("http://")
    return {"host": host, "path": HEALTH, "times": 2, **fields}


@pytest.mark.usefixtures("freezing")
def test_a_kept_connection_is_dead_after_a_freeze(account: Account) -> None:
    # Given a function that has used a connection twice, and kept it
    function = account.function(KEEPING)
    assert account.invoked(function, request(account)) == 200

    # When it uses it in its next invocation, then that is a reset
    assert account.invoked(function, request(account)) == "ConnectionResetError"

    # And a connection that it opens then lives through this invocation
    assert account.invoked(function, request(account, anew=True)) == 200


@pytest.mark.usefixtures("freezing")
def test_a_pool_of_connections_meets_the_reset(account: Account) -> None:
    """Also one that looks, before it uses a connection again, whether that was closed."""
    # Given a function with a pool of urllib3, which makes one try
    code = f"""
import sys

sys.path.append({str(Path(urllib3.__file__).parents[1])!r})
import urllib3

pool = urllib3.connection_from_url({account.endpoint!r}, retries=False)

def handler(event, context):
    try:
        return pool.request("GET", {HEALTH!r}).status
    except urllib3.exceptions.ProtocolError as error:
        return type(error.args[1]).__name__
"""
    function = account.function(code)
    assert account.invoked(function) == 200

    # Then its next invocation meets the reset, and the one after it has a new connection
    assert account.invoked(function) == "ConnectionResetError"
    assert account.invoked(function) == 200


def test_a_short_freeze_leaves_connections_alone(account: Account) -> None:
    assert told(account.endpoint, "GET").json() == {"connection_seconds": 350}
    function = account.function(KEEPING)
    for _ in range(3):
        assert account.invoked(function, request(account)) == 200


@pytest.mark.parametrize(
    "settings", [{"connection_seconds": -1}, {"connection_seconds": "1"}, {"seconds": 1}, []]
)
def test_settings_that_make_no_sense_are_refused(account: Account, settings: Any) -> None:
    assert told(account.endpoint, "PUT", settings).status_code == 400
    assert told(account.endpoint, "GET").json() == {"connection_seconds": 350}

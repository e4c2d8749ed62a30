"""Only pages of the local AWS's own origin may use it, under its own name; programs always may."""

import argparse
import json
from typing import Any

import pytest

from emulator.mounted import mount_from
from emulator.tests import strangers
from emulator.tests.account import Account, eventually
from emulator.tests.processes import function_processes
from emulator.tests.server_process import listening_addresses
from emulator.tests.strangers import OWN, REFUSED, TAKEN, ask

PAGE = "/_local/page/"  # emulator/tests/page.py, as conftest.py mounts it
HEALTH = "/_ministack/health"
CREDENTIALS = "Credential=test/20260101/eu-west-1/{}/aws4_request, SignedHeaders=host, Signature=0"
# A page that another server of this machine serves is foreign too: it may be anybody's.
OTHER_PORT = ["Host: 127.0.0.1:{port}", "Origin: http://127.0.0.1:9"]
OTHER_NAME = ["Host: 127.0.0.1:{port}", "Origin: http://localhost:{port}"]
OTHER_SCHEME = ["Host: 127.0.0.1:{port}", "Origin: https://127.0.0.1:{port}"]
FOREIGN = {
    **REFUSED,
    "a page of another port": OTHER_PORT,
    "a page of our other name": OTHER_NAME,
    "a page of our name, encrypted": OTHER_SCHEME,
}
PATHS = [
    HEALTH,
    "/_ministack/reset",
    "/_localstack/health",
    "/_local/status-events",
    "/_ministack/rds/iam-auth",
    "/a-bucket/a-key",
    "/?Action=GetCallerIdentity&Version=2011-06-15",
    "/2015-03-31/functions",
]


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("lines", FOREIGN.values(), ids=FOREIGN)
def test_what_another_page_sends_is_refused(
    account: Account, lines: list[str], method: str
) -> None:
    reply = ask(account.endpoint, lines, HEALTH, method)
    assert reply.status == 403
    assert not any(name.startswith("access-control") for name in reply.headers)
    if method != "HEAD":
        said = reply.json()
        assert said["__type"] == "AccessDenied"
        assert said["message"].endswith(".")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("lines", [OTHER_PORT, REFUSED["rebound"]])
def test_it_is_refused_at_every_path(account: Account, lines: list[str], path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(account.endpoint, lines, path, method).status == 403


@pytest.mark.parametrize("lines", TAKEN.values(), ids=TAKEN)
def test_programs_and_our_own_pages_are_answered(account: Account, lines: list[str]) -> None:
    for method in ("GET", "OPTIONS"):
        reply = ask(account.endpoint, lines, HEALTH, method)
        assert reply.status == 200
        # and no answer says that any page may read it
        assert not any(name.startswith("access-control") for name in reply.headers)


@pytest.mark.parametrize(
    "target", ["http://evil.example/_ministack/health", "//evil.example/", "evil.example:80"]
)
def test_a_name_in_the_request_line_counts_as_well(account: Account, target: str) -> None:
    method = "CONNECT" if target.startswith("evil") else "GET"
    reply = ask(account.endpoint, TAKEN["a program"], target, method)
    if target.startswith("//"):  # that is a path, and no name
        assert reply.status != 403
    else:
        assert reply.status == 403


@pytest.mark.parametrize(
    ("lines", "version"),
    [
        ([], "1.0"),
        ([], "1.1"),
        (["Host: 127.0.0.1:{port}", "Host: evil.example"], "1.1"),
        (["Host: 127.0.0.1:{port}", "Host: evil.example"], "1.0"),
    ],
)
def test_a_request_has_one_name(account: Account, lines: list[str], version: str) -> None:
    assert ask(account.endpoint, lines, HEALTH, version=version).status in (400, 403)


@pytest.mark.parametrize("lines", [OTHER_PORT, REFUSED["rebound"]])
def test_a_websocket_is_refused_too(account: Account, lines: list[str]) -> None:
    upgrade = [
        *lines,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    reply = ask(account.endpoint, upgrade, "/_aws/execute-api/abcdef01/prod")
    assert reply.status == 403
    assert "server" in reply.json()["message"]


def test_another_page_reads_no_secret(account: Account) -> None:
    # Given
    client = account.client("secretsmanager")
    client.create_secret(Name="door", SecretString="hush")
    body = json.dumps({"SecretId": "door"})
    call = [
        "X-Amz-Target: secretsmanager.GetSecretValue",
        "Content-Type: application/x-amz-json-1.1",
        f"Authorization: AWS4-HMAC-SHA256 {CREDENTIALS.format('secretsmanager')}",
        f"Content-Length: {len(body)}",
    ]

    def asked(lines: list[str]) -> strangers.Reply:
        return ask(account.endpoint, [*lines, *call, "", body], method="POST")

    # When, then
    for lines in (OTHER_PORT, REFUSED["rebound"], REFUSED["a page of another site"]):
        assert b"hush" not in asked(lines).body
    assert b"hush" in asked(TAKEN["our own page, with its origin"]).body


FRAME = "Sec-Fetch-Dest: iframe"
LINK = ["Host: 127.0.0.1:{port}", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"]


def test_a_link_on_another_page_opens_a_page_that_is_mounted(account: Account) -> None:
    # Given a link in somebody's message
    link = [*LINK, "Sec-Fetch-Dest: document"]
    # When it is followed, then the page is there, and sees the whole path
    for path in (PAGE, PAGE[:-1]):
        reply = ask(account.endpoint, link, path)
        assert (reply.status, reply.body) == (200, path.encode())
    # and nothing else of it: no frame, no script, no order
    assert ask(account.endpoint, [*LINK, FRAME], PAGE).status == 403
    script = ["Host: 127.0.0.1:{port}", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"]
    assert ask(account.endpoint, script, f"{PAGE}main.js").status == 403
    assert ask(account.endpoint, link, PAGE, "POST").status == 403
    assert ask(account.endpoint, link, "/_local/status-events").status == 403
    # nor where a name of another leads here
    rebound = ["Host: evil.example:{port}", *link[1:]]
    assert ask(account.endpoint, rebound, PAGE).status == 403


def test_an_address_above_a_mounted_page_leads_a_person_to_it(account: Account) -> None:
    # Given a browser in which a person types an address
    typed = ["Host: 127.0.0.1:{port}", "Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"]
    typed += ["Sec-Fetch-Dest: document"]
    for path in ("/", "/_local", "/_local/"):
        assert ask(account.endpoint, typed, path).status == 307
    # Then only a person is led there, and only from above
    assert ask(account.endpoint, typed[:1], "/").status == 200
    assert ask(account.endpoint, typed, "/_local/status-events").status == 200
    # and from where nothing is; an address with a query may be one that somebody has signed
    for path in ("/_local/nothing", "/no-bucket/no-key"):
        assert ask(account.endpoint, typed, path).status == 307
        assert ask(account.endpoint, typed, f"{path}?X-Amz-Signature=0").status != 307
        assert ask(account.endpoint, typed[:1], path).status == 404


@pytest.mark.parametrize("told", ["/bucket/=a:b", "_local/=a:b", "/_local/=a", "/_local=a:b"])
def test_a_mount_has_a_path_that_no_bucket_can_have(told: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not /_prefix/=module:app"):
        mount_from(told)


def test_the_runtime_api_of_a_function_is_no_page_either(account: Account, server: Any) -> None:
    # Given a function whose process waits for its next event
    function = account.function("def handler(event, context): return event")
    assert account.invoked(function, "first") == "first"
    _, process = server
    own = account.endpoint.removeprefix("http://")
    runtimes = eventually(lambda: listening_addresses(process.pid) - {own})
    assert function_processes(account.endpoint, function.split(":")[-1])
    # When a page asks for it
    for address in runtimes:
        for lines in (OTHER_PORT, REFUSED["rebound"], REFUSED["an image on another port"]):
            reply = ask(f"http://{address}", lines, "/2018-06-01/runtime/invocation/next")
            # Then it is refused
            assert reply.status == 403
    # and the next event reaches the function
    assert account.invoked(function, "second") == "second"


def test_the_name_is_shown_and_bounded(account: Account) -> None:
    reply = ask(account.endpoint, ["Host: " + "a" * 5000])
    assert reply.status == 403
    assert "'aaa" in reply.json()["message"]
    assert len(reply.body) < 500
    assert OWN.split(":")[0] in reply.json()["message"]

"""What pages that are not the console's can do on this machine, in a real browser: nothing."""

import base64
import io
import json
import threading
import uuid
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Playwright, Route

from local.deploy import clients
from local.quantemplate import Control
from tests.console.browser import launched
from tests.end_to_end.road import Road

EVIL = "evil.example"  # a name that its owner has led to 127.0.0.1
CREDENTIAL = "test/20260101/eu-west-1/{}/aws4_request"
TEXT = '<!doctype html><title>Somewhere</title><link rel="icon" href="data:,">'
# Each tells what the page has got to read, or that the browser or the server kept it from that.
READ = """async ([url, options]) => {
  try {
    const answer = await fetch(url, options);
    return `${answer.type} ${answer.status} ${await answer.text()}`;
  } catch (error) { return `kept away: ${error.message}`; }
}"""
SEND = """async ([url, options]) => {
  try { await fetch(url, { ...options, mode: "no-cors" }); } catch { /* unread */ }
}"""
IMAGE = """url => new Promise((resolve) => {
  const image = new Image();
  image.onload = image.onerror = resolve;
  image.src = url;
})"""
FORM = """([url, name, value]) => {
  const form = document.createElement("form");
  Object.assign(form, { method: "post", action: url, enctype: "text/plain" });
  const input = document.createElement("input");
  Object.assign(input, { name, value });
  form.append(input);
  document.body.append(form);
  form.submit();
}"""


class Somewhere(BaseHTTPRequestHandler):
    """Serves an empty page."""

    def do_GET(self) -> None:
        """Answer any request."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(TEXT)))
        self.end_headers()
        self.wfile.write(TEXT.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def other_port() -> Iterator[int]:
    """The port of another server on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Somewhere) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def deceived(playwright: Playwright) -> Iterator[Browser]:
    """A browser for which a stranger's name leads to this machine."""
    # Not every browser keeps pages of the web from addresses of this machine, as newer ones do.
    own = "LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"
    rules = (f"--host-resolver-rules=MAP {EVIL} 127.0.0.1", f"--disable-features={own}")
    with launched(playwright, *rules) as browser:
        yield browser


@pytest.fixture(params=["127.0.0.1", "rebound.localhost", EVIL])
def stranger(deceived: Browser, other_port: int, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of another origin: of another port, or of another name too."""
    with deceived.new_context() as context:
        page = context.new_page()
        page.goto(f"http://{request.param}:{other_port}/")
        yield page


@pytest.fixture
def rebound(deceived: Browser) -> Iterator[Any]:
    """Opens a page whose own name and port lead to a server by the time that it asks."""
    with deceived.new_context() as context:

        def opened(url: str) -> Page:
            page = context.new_page()
            address = f"http://{EVIL}:{urlsplit(url).port}"

            def answer(route: Route) -> None:
                route.fulfill(body=TEXT, content_type="text/html")

            page.route(f"{address}/page", answer)
            page.goto(f"{address}/page")
            assert page.evaluate("location.origin") == address
            return page

        yield opened


def secret_of(road: Road) -> list[Any]:
    """A request for the client secret."""
    headers = {
        "X-Amz-Target": "secretsmanager.GetSecretValue",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={CREDENTIAL.format('secretsmanager')}, "
        "SignedHeaders=host, Signature=0",
    }
    body = json.dumps({"SecretId": road.secret})
    return [f"{road.endpoint}/", {"method": "POST", "headers": headers, "body": body}]


def presigned(service: str, **fields: str) -> str:
    """A query that names the credentials, so that a request needs no header."""
    signature = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": CREDENTIAL.format(service),
        "X-Amz-Date": "20260101T000000Z",
        "X-Amz-Expires": "86400",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": "0",
    }
    return urlencode({**fields, **signature})


def function_named(name: str, role: str) -> str:
    """An order to make a function."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("app.py", "def handler(event, context): pass")
    code = base64.b64encode(content.getvalue()).decode()
    return json.dumps(
        {
            "FunctionName": name,
            "Runtime": "python3.13",
            "Role": role,
            "Handler": "app.handler",
            "Description": "a=b",
            "Code": {"ZipFile": code.replace("=", "\\u003d")},
        }
    ).replace("\\\\u", "\\u")


def test_another_page_reads_no_secret_and_no_settings(
    stranger: Page, road: Road, stand_in: Control
) -> None:
    assert "kept away" in stranger.evaluate(READ, secret_of(road))
    for path in ("/_ministack/health", "/_local/status-events", "/_local/console/aws.js"):
        assert "kept away" in stranger.evaluate(READ, [f"{road.endpoint}{path}", {}])
    assert "kept away" in stranger.evaluate(READ, [f"{stand_in.url}/control/settings", {}])


def test_a_page_whose_name_was_led_here_reads_nothing(
    rebound: Any, road: Road, stand_in: Control
) -> None:
    options = secret_of(road)[1]
    page = rebound(road.endpoint)
    for path, how in (("/", options), ("/_ministack/health", {}), ("/_local/console/", {})):
        assert page.evaluate(READ, [path, how]).startswith("basic 403 ")
    page = rebound(stand_in.url)
    for path in ("/control/settings", "/external/v1"):
        said = page.evaluate(READ, [path, {}])
        assert said.startswith("basic 403 ")
        assert EVIL in said


def test_another_page_makes_no_function_bucket_or_user(stranger: Page, road: Road) -> None:
    # Given names of the test's own
    name = f"door-{uuid.uuid4().hex[:8]}"
    client = clients(road.endpoint)
    (role, *_) = client("iam").list_roles()["Roles"]
    order = function_named(name, role["Arn"])
    # When a page sends what a browser sends without asking first
    functions = f"{road.endpoint}/2015-03-31/functions?{presigned('lambda')}"
    stranger.evaluate(SEND, [functions, {"method": "POST", "body": order}])
    query = presigned("iam", Action="CreateUser", Version="2010-05-08", UserName=name)
    stranger.evaluate(SEND, [f"{road.endpoint}/?{query}", {}])
    stranger.evaluate(IMAGE, f"{road.endpoint}/?{query}")
    stranger.evaluate(SEND, [f"{road.endpoint}/_ministack/reset", {"method": "POST"}])
    # and a link, and a form that is sent to a window
    with stranger.expect_navigation():
        stranger.evaluate(FORM, [functions, *order.split("=", 1)])
    assert "may not use this server" in stranger.content()
    # Then nothing of it was done
    listed = client("lambda").list_functions()["Functions"]
    assert name not in {each["FunctionName"] for each in listed}
    users = client("iam").list_users()["Users"]
    assert name not in {each["UserName"] for each in users}
    assert road.inbox in {each["Name"] for each in client("s3").list_buckets()["Buckets"]}


def test_another_page_gives_no_order(stranger: Page, rebound: Any, stand_in: Control) -> None:
    # Given a dataset that a reset would forget
    dataset = f"d-{uuid.uuid4().hex[:8]}"
    stand_in.define_dataset(dataset)
    before, expired = stand_in.settings(), stand_in.journal("tokens_expired")
    trouble = json.dumps({"operation": "token", "kind": "html"})
    for page in (stranger, rebound(stand_in.url)):
        # When a page sends what a browser sends without asking first
        for path, order in (("reset", ""), ("tokens/expire", ""), ("troubles", trouble)):
            how = {"method": "POST", "body": order}
            page.evaluate(SEND, [f"{stand_in.url}/control/{path}", how])
            page.evaluate(SEND, [f"/control/{path}", how])
        page.evaluate(SEND, [f"{stand_in.url}/control/journal", {}])
        page.evaluate(IMAGE, f"{stand_in.url}/control/settings")
        # and what it asks for first
        how = {"method": "PUT", "body": json.dumps({"client_secret": "mine"})}
        assert "mine" not in page.evaluate(READ, [f"{stand_in.url}/control/credentials", how])
    # and a form that is sent to a window
    with stranger.expect_navigation():
        stranger.evaluate(FORM, [f"{stand_in.url}/control/troubles", *trouble.split(":", 1)])
    assert "may not use this server" in stranger.content()
    # Then nothing of it was done
    assert stand_in.troubles() == []
    assert stand_in.settings() == before
    assert stand_in.journal("tokens_expired") == expired
    assert dataset in stand_in.datasets()

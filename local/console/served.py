"""The local console, an ASGI application: files of the page, and facts for it.

GET /_local/console/               the page; page/ has its modules and styles
GET /_local/console/<file>         one of its files; what names no file leads to the page
GET /_local/console/unseen.js      which characters are not seen as themselves
POST /_local/console/<fact>.json   what `FACTS` has of this name; the body has what it is asked with

The emulator mounts it, so that the page speaks to AWS in its own origin.
"""

import asyncio
import json
from collections.abc import Callable
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from local.console import facts

PATH = "/_local/console/"
MOUNT = f"{PATH}={__name__}:app"  # as the emulator is told
FOLDER = Path(__file__).with_name("page")
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FACTS: dict[str, Callable[..., Any]] = {
    "dropped": facts.dropped,
    "expected": facts.expected,
    "log_lines": facts.log_lines,
    "new_run": facts.new_run,
    "queues": facts.queues,
    "refused": facts.refused,
    "runs": facts.runs,
    "sets": facts.sets,
    "timeline": facts.timeline,
    "unusual": facts.unusual,
}
# Scripts and styles come from here only, and text never becomes HTML. The stand-in has a port of
# its own on loopback.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self' http://127.0.0.1:*; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer a request to the console."""
    method, path = scope["method"], scope["path"]
    if method == "POST" and (name := asked(path)):
        answer = partial(told, name, await whole(receive))
    else:
        answer = partial(reply, method, path)
    # In a thread: the emulator, which serves AWS beside this, does not wait for a long history.
    status, headers, body = await asyncio.to_thread(answer)
    pairs = [(name.encode(), text.encode()) for name, text in {**HEADERS, **headers}.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


@cache
def files() -> dict[str, Path]:
    """The page's files by the paths that they are served at."""
    named = {PATH + path.name: path for path in FOLDER.iterdir() if path.suffix in TYPES}
    return {**named, PATH: FOLDER / "index.html"}


def reply(method: str, path: str) -> tuple[HTTPStatus, dict[str, str], bytes]:
    """Status, headers and body of the answer to a request."""
    if f"{path}/" == PATH:
        return HTTPStatus.PERMANENT_REDIRECT, {"location": PATH}, b""
    plain = {"content-type": "text/plain; charset=utf-8"}
    if method not in ("GET", "HEAD"):
        return HTTPStatus.METHOD_NOT_ALLOWED, {**plain, "allow": "GET, HEAD"}, b"GET or HEAD\n"
    if path == f"{PATH}unseen.js":
        return HTTPStatus.OK, {"content-type": TYPES[".js"]}, unseen_module()
    if path not in files() and "." not in path.removeprefix(PATH):
        return HTTPStatus.TEMPORARY_REDIRECT, {"location": PATH}, b""
    if path not in files():
        return HTTPStatus.NOT_FOUND, plain, f"The console is at {PATH}\n".encode()
    file = files()[path]
    return HTTPStatus.OK, {"content-type": TYPES[file.suffix]}, file.read_bytes()


def asked(path: str) -> str:
    """The name of the fact that a path is of, "" for a path of another kind."""
    name = path.removeprefix(PATH).removesuffix(".json")
    return name if name in FACTS and path == f"{PATH}{name}.json" else ""


async def whole(receive: Any) -> bytes:
    """A request's body."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def told(name: str, given: bytes) -> tuple[HTTPStatus, dict[str, str], bytes]:
    """Status, headers and body of the answer to what a fact is asked with: a JSON object."""
    answer = FACTS[name](**json.loads(given))
    return HTTPStatus.OK, {"content-type": "application/json"}, json.dumps(answer).encode()


@cache
def unseen_module() -> bytes:
    """A module of the page: the characters that are not seen as themselves, as a pattern."""
    source = "/** What layers/straight_through/text.py does not show as it is. */"
    ranges = "".join(rf"\u{{{first:x}}}-\u{{{last:x}}}" for first, last in facts.unseen())
    return f"{source}\nexport const UNSEEN = /[{ranges}]/gu;\n".encode()

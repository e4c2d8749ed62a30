"""The local console's page, beside the AWS endpoint: static files, and nothing else.

GET /_local/console/               the page; local/console/ has its modules and styles
GET /_local/console/<file>         one of its files
GET /_local/console/remedies.js    what to do about each error, from the package of the functions
GET /_local/console/ignored.json   ?key=…&patterns=… why such a key starts nothing: {"why": "…"}

No bucket may be named `_local`. The page speaks to AWS itself, by the endpoint that serves it.
"""

import importlib
import json
import sys
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

from local.process import ROOT

PATH = "/_local/console/"
FOLDER = ROOT / "local" / "console"
# The steps of a remedy, called as the page's buttons are.
STEPS = {"redrive": "Redrive", "drop": "drop the file again", "rerun": "Run again"}
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
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
App = Callable[..., Awaitable[None]]


def install(app: App) -> App:
    """The application with the console in it."""
    files = {PATH + path.name: path for path in FOLDER.iterdir() if path.suffix in TYPES}
    files[PATH] = FOLDER / "index.html"
    remedies = remedies_module()

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(PATH):
            await app(scope, receive, send)
            return
        if (scope["method"], scope["path"]) == ("GET", f"{PATH}ignored.json"):
            status, headers, body = ignored(dict(parse_qsl(scope["query_string"].decode("ascii"))))
        else:
            status, headers, body = reply(files, remedies, scope["method"], scope["path"])
        pairs = [(name.encode(), text.encode()) for name, text in {**HEADERS, **headers}.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        )

    return answer


def reply(
    files: dict[str, Path], remedies: bytes, method: str, path: str
) -> tuple[HTTPStatus, dict[str, str], bytes]:
    """Status, headers and body of the answer to a request."""
    if f"{path}/" == PATH:
        return HTTPStatus.PERMANENT_REDIRECT, {"location": PATH}, b""
    plain = {"content-type": "text/plain; charset=utf-8"}
    if method not in ("GET", "HEAD"):
        return HTTPStatus.METHOD_NOT_ALLOWED, {**plain, "allow": "GET, HEAD"}, b"GET or HEAD\n"
    if path == f"{PATH}remedies.js":
        return HTTPStatus.OK, {"content-type": TYPES[".js"]}, remedies
    if path not in files:
        return HTTPStatus.NOT_FOUND, plain, f"The console is at {PATH}\n".encode()
    file = files[path]
    return HTTPStatus.OK, {"content-type": TYPES[file.suffix]}, file.read_bytes()


def ignored(asked: dict[str, str]) -> tuple[HTTPStatus, dict[str, str], bytes]:
    """Status, headers and body of the answer to why a key starts nothing."""
    rule = of_the_functions("files.ignored")
    why = rule.why_ignored(asked.get("key", ""), asked.get("patterns", ""))
    return HTTPStatus.OK, {"content-type": "application/json"}, json.dumps({"why": why}).encode()


def remedies_module() -> bytes:
    """A module of the page: what to do about each error, by name; "" is for every other."""
    remedies = of_the_functions("telling.remedies")
    names = ["", *(error.__name__ for error in remedies.REMEDIES)]
    told = {name: remedies.what_to_do(name, STEPS) for name in names}
    source = (
        "/** What to do about each error, as layers/straight_through/telling/remedies.py says. */"
    )
    return f"{source}\nexport const REMEDIES = {json.dumps(told, indent=2)};\n".encode()


def of_the_functions(module: str) -> ModuleType:
    """A module of the functions' package."""
    # It is on the path of this process alone: each function has the layer it is given.
    if (layers := str(ROOT / "layers")) not in sys.path:
        sys.path.append(layers)
    return importlib.import_module(f"straight_through.{module}")

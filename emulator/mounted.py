"""Applications of others below a path of this server, so that a page shares AWS's origin."""

import argparse
import importlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

App = Callable[..., Awaitable[None]]
# No bucket may have such a name, so that no request to S3 is taken for one to an application.
FORM = re.compile(r"(/_[a-z0-9_-]+(?:/[a-z0-9_-]+)*/)=([\w.]+):(\w+)", re.ASCII)


@dataclass(frozen=True)
class Mount:
    """An ASGI application by its module and name, and the prefix of the paths that it answers."""

    prefix: str
    module: str
    name: str

    def loaded(self) -> App:
        """The application. Raises ImportError, AttributeError."""
        app: App = getattr(importlib.import_module(self.module), self.name)
        return app


def mount_from(text: str) -> Mount:
    """A mount as it is told on the command line; raises ArgumentTypeError."""
    found = FORM.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not /_prefix/=module:app")
    return Mount(*found.groups())


def is_opened(scope: dict[str, Any]) -> bool:
    """Whether a person opens an address in a browser; one with a query may be a signed one."""
    headers = dict(scope["headers"])
    return (
        scope["method"] == "GET"
        and headers.get(b"sec-fetch-mode") == b"navigate"
        and headers.get(b"sec-fetch-dest") == b"document"
        and not scope["query_string"]
    )


def is_above(scope: dict[str, Any], prefixes: Sequence[str]) -> bool:
    """Whether there is a page only below an address, such as `/`."""
    path = scope["path"] if scope["path"].endswith("/") else f"{scope['path']}/"
    return any(prefix != path and prefix.startswith(path) for prefix in prefixes)


async def redirect(send: Any, target: str) -> None:
    """Lead to another address."""
    headers = [(b"location", target.encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 307, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def leading(send: Any, target: str) -> Any:
    """Send on what is answered; where nothing is there, lead to another address."""
    nothing = False

    async def sent(message: dict[str, Any]) -> None:
        nonlocal nothing
        if message["type"] == "http.response.start" and message["status"] == HTTPStatus.NOT_FOUND:
            nothing = True
            await redirect(send, target)
        elif not nothing:
            await send(message)

    return sent


def install(app: App, mounts: Sequence[Mount]) -> App:
    """The application with others in it; each sees whole paths, and a path without its slash.

    A person who opens an address above them in a browser, or one where nothing is, is led to the
    first one.
    """
    others = [(mount.prefix, mount.loaded()) for mount in mounts]

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            person = bool(mounts) and is_opened(scope)
            if person and is_above(scope, [mount.prefix for mount in mounts]):
                await redirect(send, mounts[0].prefix)
                return
            for prefix, other in others:
                if f"{scope['path']}/".startswith(prefix):
                    await other(scope, receive, send)
                    return
            if person:
                send = leading(send, mounts[0].prefix)
        await app(scope, receive, send)

    return answer

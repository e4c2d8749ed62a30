"""Applications of others below a path of this server, so that a page shares AWS's origin."""

import argparse
import importlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
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


def install(app: App, mounts: Sequence[Mount]) -> App:
    """The application with others in it; each sees whole paths, and a path without its slash."""
    others = [(mount.prefix, mount.loaded()) for mount in mounts]

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            for prefix, other in others:
                if f"{scope['path']}/".startswith(prefix):
                    await other(scope, receive, send)
                    return
        await app(scope, receive, send)

    return answer

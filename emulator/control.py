"""Settings that are told over HTTP while the server runs, below a path that no bucket can have.

PUT takes a JSON object and leaves what it does not name as it was at the start; GET answers with
what holds; DELETE goes back to the start.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, TypeVar

App = Callable[..., Awaitable[None]]
Fields = dict[str, Any]
Settings = TypeVar("Settings")


@dataclass(frozen=True)
class Control(Generic[Settings]):
    """A path, and what is done with the settings told there; `read` raises ValueError."""

    path: str
    initial: Settings
    read: Callable[[Fields], Settings]
    set: Callable[[Settings], None]
    report: Callable[[], Fields]

    def answering(self, app: App) -> App:
        """The application with this control in it."""

        async def answer(scope: Fields, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["path"] != self.path:
                await app(scope, receive, send)
                return
            status, content = self.answer(scope["method"], await body_of(receive))
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": json.dumps(content).encode()})

        return answer

    def answer(self, method: str, body: bytes) -> tuple[HTTPStatus, Fields]:
        """Status and content of the answer to a request."""
        if method == "PUT":
            try:
                self.set(self.read(object_of(body)))
            except ValueError as error:
                return HTTPStatus.BAD_REQUEST, {"message": str(error)}
        elif method == "DELETE":
            self.set(self.initial)
        elif method != "GET":
            return HTTPStatus.METHOD_NOT_ALLOWED, {"message": "PUT, GET or DELETE"}
        return HTTPStatus.OK, self.report()


def object_of(body: bytes) -> Fields:
    """The JSON object that a request carries; raises ValueError."""
    content = json.loads(body)
    if not isinstance(content, dict):
        raise ValueError("The settings are a JSON object")
    return content


def require_known(content: Fields, known: set[str]) -> None:
    """Raise ValueError where a setting is named that there is none of."""
    if unknown := content.keys() - known:
        raise ValueError(f"There is no setting {', '.join(sorted(unknown))}")


async def body_of(receive: Callable[[], Awaitable[Fields]]) -> bytes:
    """The whole body of a request."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body

"""Pages in a browser: only those that this server served itself may use it.

It takes everybody's credentials for an administrator's, and runs functions as whoever started it.
"""

import json
from collections.abc import Awaitable, Callable, Collection
from http import HTTPStatus
from typing import Any

from emulator import browsers

App = Callable[..., Awaitable[None]]


def install(app: App, pages: Collection[str] = ()) -> App:
    """The application behind the door; a link may lead to what is mounted below `pages`."""

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await app(scope, receive, send)
        elif why := refusal(scope, pages):
            await refuse(scope, send, why)
        else:
            await app(scope, receive, without_cors(send))

    return answer


def refusal(scope: dict[str, Any], pages: Collection[str]) -> str:
    """Why a request may not enter, in a sentence; "" where it may."""
    target = scope["raw_path"].decode("latin-1")
    headers = [(name.decode("latin-1"), text.decode("latin-1")) for name, text in scope["headers"]]
    why = browsers.refused_host(target, headers)
    if why or is_link(scope, dict(headers), pages):
        return why
    return browsers.refused_page(headers, browsers.own)


def is_link(scope: dict[str, Any], headers: dict[str, str], pages: Collection[str]) -> bool:
    """Whether a person follows a link to a page that is mounted here, and opens it by itself."""
    return (
        f"{scope['path']}/".startswith(tuple(pages))
        and scope.get("method") == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


async def refuse(scope: dict[str, Any], send: Any, why: str) -> None:
    """Answer 403, as AWS words an error, also where a WebSocket was asked for."""
    kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
    body = json.dumps({"__type": "AccessDenied", "message": why}).encode()
    length = str(len(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": f"{kind}.start", "status": HTTPStatus.FORBIDDEN, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


def without_cors(send: Any) -> Any:
    """Send answers without ministack's leave for every page; a page of our own needs none."""

    async def send_to_own(message: dict[str, Any]) -> None:
        if "headers" in message:
            kept = [pair for pair in message["headers"] if not is_cors(pair[0])]
            message = {**message, "headers": kept}
        await send(message)

    return send_to_own


def is_cors(name: bytes | str) -> bool:
    """Whether a header lets other pages read an answer."""
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    return text.lower().startswith(("access-control-", "timing-allow-origin"))

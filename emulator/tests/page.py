"""A page that the tests mount: it answers with the path that was asked for."""

from typing import Any


async def app(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Answer any request."""
    body = scope["path"].encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

"""A request to the function's URL: what may come in, and what goes back.

Source: "Invoking Lambda function URLs", payload format 2.0
(https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html).
"""

import base64
from typing import Any

from straight_through.hearing.event import LARGEST, NoEvent

NOT_FOUND = 404


def body_of(request: dict[str, Any]) -> bytes:
    """Return what was posted. Raises NoEvent."""
    if request["requestContext"]["http"]["method"] != "POST":
        raise NoEvent("Only POST is taken.", 405)
    kind = request.get("headers", {}).get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise NoEvent("Only application/json is taken.", 415)
    text = request.get("body", "")
    if len(text) > 2 * LARGEST:  # before it is decoded: Base64 takes a third more
        raise NoEvent("The body is larger than 64 KB.", 413)
    body = base64.b64decode(text) if request.get("isBase64Encoded") else text.encode()
    if len(body) > LARGEST:
        raise NoEvent("The body is larger than 64 KB.", 413)
    return body


def answer(status: int, told: str = "Not found.") -> dict[str, Any]:
    """Return the function's answer."""
    return {"statusCode": status, "headers": {"content-type": "text/plain"}, "body": told}

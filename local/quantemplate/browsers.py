"""Pages in a browser may use the control endpoint if they are of this machine; no other may."""

import re
from collections.abc import Callable
from dataclasses import replace

from local.quantemplate.messages import Call, Reply, json_reply

LOOPBACK = re.compile(r"https?://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")


def for_pages_of_this_machine(call: Call, answer: Callable[[Call], Reply]) -> Reply:
    """Answer a call, with CORS for a loopback page; 403 for any other page's."""
    origin = call.headers.get("Origin")
    if origin is None:
        return answer(call)
    if not LOOPBACK.fullmatch(origin):
        return json_reply({"error": f"a page of {origin} may not control the stand-in"}, 403)
    cors = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    if call.method == "OPTIONS":
        allowed = {
            "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": "600",
        }
        return Reply(204, headers=cors | allowed)
    reply = answer(call)
    return replace(reply, headers={**reply.headers, **cors})

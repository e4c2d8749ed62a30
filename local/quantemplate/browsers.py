"""Pages in a browser: those that the stand-in was told of control it across origins.

They are the console's. Its own pages, the errors that a person has opened, may do no harm.
"""

from collections.abc import Callable, Collection
from dataclasses import replace

from local import browsers
from local.quantemplate.messages import Call, Reply, json_reply


def refusal(target: str, call: Call, pages: Collection[str]) -> Reply | None:
    """The answer to a call that may not enter; None where it may.

    `target` is undecoded; `pages` are the origins that may enter beside the server's own.
    """

    def may(origin: str, host: str) -> bool:
        return origin.lower() in pages or browsers.own(origin, host)

    why = browsers.refusal(target, call.headers.items(), may)
    return json_reply({"error": why}, 403) if why else None


def with_cors(call: Call, answer: Callable[[Call], Reply]) -> Reply:
    """Answer a call, with CORS for the page that makes it."""
    origin = call.headers.get("Origin")
    if origin is None:
        return answer(call)
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

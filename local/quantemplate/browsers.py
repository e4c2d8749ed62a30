"""Pages in a browser: those of this machine may use the stand-in, and control it across origins."""

from collections.abc import Callable
from dataclasses import replace

from local import browsers
from local.quantemplate.messages import Call, Reply, json_reply


def refusal(target: str, call: Call) -> Reply | None:
    """The answer to a call that may not enter; None where it may. `target` is undecoded."""
    why = browsers.refusal(target, call.headers.items(), browsers.of_this_machine)
    return json_reply({"error": why}, 403) if why else None


def for_pages_of_this_machine(call: Call, answer: Callable[[Call], Reply]) -> Reply:
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

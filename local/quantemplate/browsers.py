"""Pages in a browser: those that the stand-in was told of control it across origins.

They are the console's. Its own pages, the errors that a person has opened, may do no harm. A page
whose own name leads to this machine (DNS rebinding) has a right origin and a wrong name in `Host`.

Sources: Fetch standard, "Origin header"; W3C, "Fetch Metadata Request Headers"; RFC 9112, 3.2.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from urllib.parse import urlsplit

from local.quantemplate.messages import Call, Reply, json_reply

NAME = r"(?:127\.0\.0\.1|\[::1\]|localhost\.?)"
HOST = re.compile(rf"{NAME}(?::\d{{1,5}})?", re.ASCII | re.IGNORECASE)
ORIGIN = re.compile(rf"https?://{NAME}(?::\d{{1,5}})?", HOST.flags)


def refusal(target: str, call: Call, pages: Collection[str]) -> Reply | None:
    """The answer to a call that may not enter; None where it may.

    `target` is undecoded; `pages` are the origins that may enter beside the server's own.
    """
    hosts: list[str] = call.headers.get_all("Host", [])
    origins: list[str] = call.headers.get_all("Origin", [])
    if len(hosts) != 1:
        return _refused("A request has one Host header", hosts)
    if not target.startswith("/") and target != "*":  # in absolute form, it goes before Host
        hosts.append(urlsplit(target).netloc)
    names = {host.strip() for host in hosts}
    if not all(map(HOST.fullmatch, names)):
        return _refused("This server is called 127.0.0.1 or localhost", hosts)
    allowed = {*pages, *(f"http://{name}".lower() for name in names)}
    if not allowed.issuperset(origin.strip().lower() for origin in origins):
        return _refused("Such a page may not use this server", origins)
    sites = call.headers.get_all("Sec-Fetch-Site", [])  # what images and links have for an origin
    if not origins and not {"none", "same-origin"}.issuperset(sites):
        return _refused("A page of another origin may not use this server", sites)
    return None


def _refused(why: str, given: list[str]) -> Reply:
    shown = ", ".join(given)[:100]
    return json_reply({"error": f"{why}: this request has {shown!r}."}, 403)


def origin_of_this_machine(text: str) -> str:
    """The text, an origin on this machine. Raises ValueError where it is none."""
    if not ORIGIN.fullmatch(text):
        raise ValueError(f"{text[:100]!r} is no origin on this machine")
    return text.lower()


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

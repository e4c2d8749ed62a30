"""Who may speak to a server on this machine: programs, and the pages that belong here; no others.

A browser sends what any page of the web asks for to 127.0.0.1. The page's origin comes in `Origin`;
where it does not (images, scripts, links), `Sec-Fetch-Site` says whose page asked. A page whose own
name leads to 127.0.0.1 (DNS rebinding) has an origin that looks right, but its name in `Host`.

Sources: Fetch standard, "Origin header"; W3C, "Fetch Metadata Request Headers"; RFC 9112, 3.2,
"Request Target"; RFC 6761, 6.3: `localhost` and all names below it are loopback addresses.
"""

import re
from collections.abc import Callable, Iterable

_NAME = (
    r"127\.0\.0\.1|\[::1\]|(?:[a-z0-9_-]+\.)*localhost\.?"  # S3's clients put a bucket before it
)
HOST = re.compile(rf"(?:{_NAME})(?::\d{{1,5}})?", re.ASCII | re.IGNORECASE)
AUTHORITY = re.compile(r"\A(?:[a-z][a-z0-9+.-]*://)?([^/?#]*)", re.IGNORECASE)
NOT_ANOTHER_PAGE = {"same-origin", "none"}  # of Sec-Fetch-Site; "none" is a person's own doing
SHOWN = 100  # characters of what a stranger sent

Headers = list[tuple[str, str]]
PageMay = Callable[[str, str], bool]  # origin and Host of a request


def refusal(target: str, headers: Iterable[tuple[str, str]], page_may: PageMay) -> str:
    """Why a request may not enter, in a sentence; "" where it may.

    `target` is the request line's, undecoded; `headers` are all of them, repeated ones too.
    """
    given = list(headers)
    return refused_host(target, given) or refused_page(given, page_may)


def refused_host(target: str, headers: Headers) -> str:
    """Why the name by which this server was called is refused; "" where it is this machine's."""
    hosts = _values(headers, "host")
    if len(hosts) != 1:
        return f"This request has {len(hosts)} Host headers, and must have one."
    if not target.startswith("/") and target != "*":  # in absolute form, it goes before Host
        hosts += AUTHORITY.findall(target)
    for host in hosts:
        if not HOST.fullmatch(host):
            return f"This server is called 127.0.0.1 or localhost, and not {_shown(host)}."
    return ""


def refused_page(headers: Headers, page_may: PageMay) -> str:
    """Why the page that sent a request is refused; "" where it may, or where no page did."""
    origins, (host, *_) = _values(headers, "origin"), _values(headers, "host")
    for origin in origins:
        if not page_may(origin, host):
            return f"A page of {_shown(origin)} may not use this server."
    if not origins and not NOT_ANOTHER_PAGE.issuperset(_values(headers, "sec-fetch-site")):
        return (
            "A page of another origin may not use this server. "
            "To open this address yourself, type it into the browser."
        )
    return ""


def own(origin: str, host: str) -> bool:
    """Whether a page comes from the very server that it asks."""
    return origin.lower() == f"http://{host}".lower()


def _values(headers: Headers, name: str) -> list[str]:
    return [value.strip() for key, value in headers if key.lower() == name]


def _shown(text: str) -> str:
    return repr(text[:SHOWN])

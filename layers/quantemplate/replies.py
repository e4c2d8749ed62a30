"""What a reply of Quantemplate counts as: each rule in one place.

The vendor publishes few of its replies, and proxies, firewalls and sign-in pages answer in its
place. So a call has succeeded only where the reply is one that the call can have; any other with a
status of success or a redirect says nothing of the call: it is waited for as no answer is.

    call                what counts as done                           body
    token               200, 201                                      JSON with `access_token`
    Upload Dataset      200, 201, 204                                 none, plain text, JSON (*)
    Execute Pipeline    200, 201, 202                                 the execution, JSON
    List Executions     200; 204 where none is known                an array, JSON
    Download            200 (`bodies.py` has what counts as output)   CSV
    Download Dataset    likewise; 204 where it has no data yet        CSV

Nothing that speaks of an error counts: a JSON object with a non-empty `error` or `errors`, or with
a number of 400 or more as `status` or `code`; nor does an object that breaks off. Words never do:
an output whose header is `Error,Row` is a gate's report, and "0 errors" is what a server says that
took a file.

(*) Of any type: many servers call each reply text/html, also an empty one or JSON.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import HTTPError

from quantemplate.errors import Unavailable

if TYPE_CHECKING:
    import requests  # not by the functions that only read or write S3

# The calls, as `QuantemplateError.call` names them, and the statuses by which each is done.
DONE = {
    "token": (200, 201),
    "upload_dataset": (200, 201, 204),
    "download_dataset": (200, 204),
    "execute_pipeline": (200, 201, 202),
    "list_executions": (200, 204),
    "download_output": (200,),
}
CALLS = tuple(DONE)
# Values of Content-Encoding that name no encoding: servers confuse it with the character set.
NO_ENCODINGS = frozenset({"", "identity", "none", "utf-8", "utf8"})
MOST_SMALL = 256 * 1024  # bytes of a reply that is read as a whole: a token has a few thousand
MOST_TOLD = 2000  # bytes of an error's body that are looked at
SMALL_SECONDS = 40  # for such a body to come; a time-out of the connection begins anew at each byte
LIST_SECONDS = 80  # for a list to come; a function that looks has 120
MOST_WAIT = 90 * 24 * 3600  # seconds that a server can ask us to wait: nothing here lives longer
PIECE = 32 * 1024  # bytes

# A tag, and not a column's name that begins like one: `<header>`, `<metadata>`.
_PAGE = re.compile(
    rb"<(!doctype|!--|\?xml|(html|head|body|script|title|meta)[\s/>])", re.IGNORECASE
)
_BOM = b"\xef\xbb\xbf"
_BOMS_16 = (b"\xff\xfe", b"\xfe\xff")


def media_type(response: "requests.Response") -> str:
    """Return the reply's Content-Type without its parameters, in small letters."""
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def is_page(response: "requests.Response", head: bytes) -> bool:
    """Whether a reply is a web page, by its type or its first bytes; XML is taken for one."""
    kind = media_type(response)
    named = kind in ("text/html", "text/xml", "application/xml") or kind.endswith("+xml")
    return named or bool(_PAGE.match(_start(head)))


def encoding_of(response: "requests.Response") -> str:
    """Return how a reply is encoded, "" where it comes as it is."""
    named = str(response.headers.get("Content-Encoding", "")).lower().split(",")
    encodings = ", ".join(sorted({each.strip() for each in named} - NO_ENCODINGS))
    return ascii(encodings)[1:-1][:40]


def speaks_of_error(document: Any) -> bool:
    """Whether a JSON document is one about an error; the module says which are."""
    if not isinstance(document, dict):
        return False
    codes = [document.get("status"), document.get("code")]
    numbers = [c for c in codes if isinstance(c, int | float) and not isinstance(c, bool)]
    return bool(document.get("error") or document.get("errors")) or any(n >= 400 for n in numbers)


def not_taken(response: "requests.Response", body: bytes) -> str:
    """Return what an upload's reply is that does not say that the file was taken, "" if it does."""
    if not body.strip():
        return ""
    document = document_of(body)
    if speaks_of_error(document):
        return "an error"
    if document is not None:
        return ""
    if is_page(response, body):
        return "a web page"
    if _start(body)[:1] == b"{":
        return "JSON that cannot be read"
    kind = media_type(response)
    plain = kind in ("", "application/octet-stream") or kind.startswith("text/") or "json" in kind
    return "" if plain else f"a body of type {kind[:100]!r}"


def is_json_object(body: bytes) -> bool:
    """Whether all of a body is one JSON object, which no CSV is."""
    return _start(body)[:1] == b"{" and isinstance(document_of(body), dict)


def document_of(body: bytes) -> Any:
    """Return the JSON document of a body, None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # no JSON; nested too deeply; a number of a book's length
        return None


def number_in(text: str | None) -> int | None:
    """Return the number that a header holds, None where it is none."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def retry_after(response: "requests.Response") -> float:
    """Return the Retry-After header in seconds from now; it holds seconds or a date (RFC 9110)."""
    value = str(response.headers.get("Retry-After", "")).strip()
    if value.isascii() and value.isdigit():
        return min(float(value), MOST_WAIT)
    moment = _moment(value)
    return min(max(moment.timestamp() - time.time(), 0), MOST_WAIT) if moment else 0


def date_of(response: "requests.Response") -> datetime | None:
    """Return the server's own clock, as it was when it answered; a copy from a cache has none."""
    if response.headers.get("Age", "0").strip() != "0":
        return None
    return _moment(str(response.headers.get("Date", "")))


def pieces(response: "requests.Response", what: str, seconds: float) -> Iterator[bytes]:
    """Read a body as it comes. Raises Unavailable where it breaks off or takes longer."""
    if encoding := encoding_of(response):  # a small one may unpack to anything
        raise Unavailable(f"{what} came {encoding}-encoded although it was asked for as it is.")
    until = time.monotonic() + seconds
    try:
        while piece := response.raw.read1(PIECE):
            yield piece
            if time.monotonic() > until:
                raise Unavailable(f"{what}: the reply had no end after {seconds:g} seconds.")
    except (OSError, HTTPError, ValueError) as error:
        raise Unavailable(f"{what}: the reply broke off ({type(error).__name__}).") from None


def small_body(response: "requests.Response", what: str) -> bytes:
    """Return a body that is never long. Raises Unavailable where it is, or breaks off."""
    body = b""
    for piece in pieces(response, what, SMALL_SECONDS):
        body += piece
        if len(body) > MOST_SMALL:
            raise Unavailable(f"{what}: the reply is longer than {MOST_SMALL:,} bytes.")
    return body


def beginning(response: "requests.Response", size: int) -> tuple[bytes, bool]:
    """Return the first bytes of an error's body, and whether more follow; it may break off."""
    body = b""
    try:
        for piece in pieces(response, "", SMALL_SECONDS / 4):
            body += piece
            if len(body) > size:
                break
    except Unavailable:
        return body[:size], True
    return body[:size], len(body) > size


def head_of(read: Callable[[int], bytes], size: int) -> bytes:
    """Return the first bytes of a body: enough to tell a page from data, all of a small object."""
    head = b""
    while len(head) < size and (piece := read(size - len(head))):
        head += piece
        start = _start(head)
        if (start and start[:1] not in (b"{", b"<")) or (len(head) > 4096 and start[:1] == b"<"):
            break
    return head


def _start(body: bytes) -> bytes:
    """Return a body from its first character on, in UTF-8: a page may come in UTF-16."""
    if body[:2] in _BOMS_16:
        body = body[: len(body) // 2 * 2].decode("utf-16", errors="replace").encode()
    return body.removeprefix(_BOM).lstrip()


def _moment(value: str) -> datetime | None:
    """Return the moment of a header's date, None where it is none."""
    try:
        moment = parsedate_to_datetime(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None

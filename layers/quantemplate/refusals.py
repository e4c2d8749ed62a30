"""The error that stands for a reply by which a call was not done."""

from quantemplate.errors import (
    Conflict,
    Forbidden,
    NotFound,
    QuantemplateError,
    Refused,
    Throttled,
    Unauthorized,
    Unavailable,
)
from quantemplate.replies import DONE

# What OAuth (RFC 6749, 5.2) and Keycloak call a client id or secret that is not accepted.
OF_THE_CREDENTIALS = ("invalid_client", "unauthorized_client", "invalid_credentials")
PASSING = ("temporarily_unavailable", "server_error", "temporarily disabled")
NOT_SHARED = (
    "Usually the organisation is a wrong one, or the dataset or pipeline is not shared with the "
    'API user in "Can edit" mode.'
)
PAGE = "A web page answered, and not Quantemplate."


def refusal(
    call: str, what: str, status: int, said: str, *, page: bool, retry_after: float
) -> QuantemplateError | None:
    """Return the error that a status stands for, None where the call may have been done.

    `said` is what the server said, `page` whether that was a web page, `retry_after` in seconds.
    """
    if status in DONE[call]:
        return None
    kind, why = _kind(call, status, page=page)
    message = " ".join(filter(None, (_told(what, status, said), why)))
    return kind(message, status=status, said=said, page=page, retry_after=retry_after)


def _kind(call: str, status: int, *, page: bool) -> tuple[type[QuantemplateError], str]:
    """Return the class of a refusal's error, and what its status means for this call."""
    if status == 429:
        return Throttled, ""
    if status < 400:
        return Unavailable, "That is no answer of Quantemplate to this call."
    if status >= 500 or status == 408:
        return Unavailable, ""
    if status == 401:
        return Unauthorized, "Quantemplate gives a token but does not accept it."
    if status == 403:
        return Forbidden, PAGE if page else NOT_SHARED
    if status == 404:
        return NotFound, PAGE if page else "Quantemplate does not know one of the ids."
    if status == 409 and call in ("upload_dataset", "execute_pipeline"):
        return Conflict, "The dataset or the pipeline is in use."
    if call == "upload_dataset":
        return Refused, "Quantemplate does not take this file."
    return Refused, ""


def token_refusal(
    what: str, client_id: str, url: str, status: int, error: str, words: str, *, page: bool
) -> QuantemplateError | None:
    """Return the error of a token server that says no, None where its status says all.

    `error` is what it calls the reason, `words` is all that it says.
    """
    if status not in (400, 401, 403, 404, 405):
        return None
    told, said = _told(what, status, words), f"{error} {words}".lower()
    kind: type[QuantemplateError]
    if any(reason in said for reason in PASSING):
        kind, message = Unavailable, f"{told} The token server says that it passes by itself."
    elif page and status == 404:
        kind, message = NotFound, f"{told} A web page answered at the token address, {url}."
    elif page:
        kind, message = Forbidden, f"{told} {PAGE}"
    elif status == 404 or "realm" in said:
        where = f"The token address, {url}, names a realm or a path that is not there."
        kind, message = NotFound, f"{told} {where}"
    elif error in OF_THE_CREDENTIALS or (status == 401 and not error) or "credentials" in said:
        who = f"Quantemplate rejects the client id {client_id!r} or its secret."
        kind, message = Unauthorized, f"{who} {told}"
    elif status in (401, 403):
        kind, message = Forbidden, f"{told} The token server at {url} gives this client no token."
    else:
        kind, message = Refused, f"{told} The token address is {url}."
    return kind(message, status=status, said=words, page=page)


def _told(what: str, status: int, said: str) -> str:
    """Return what was answered, as each message begins."""
    return f"{what}: HTTP {status}{f' ({said})' if said else ''}."

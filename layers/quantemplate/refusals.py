"""The error that stands for a reply by which a call was not done, with what a person does."""

from quantemplate.replies import DONE
from straight_through.errors import (
    AccessDenied,
    ApiThrottled,
    ApiUnavailable,
    CredentialsRejected,
    NotFound,
    PipelineBusy,
    RequestRefused,
    StraightThroughError,
    UploadRefused,
)

# What OAuth (RFC 6749, 5.2) and Keycloak call a client id or secret that is not accepted.
OF_THE_CREDENTIALS = ("invalid_client", "unauthorized_client", "invalid_credentials")
PASSING = ("temporarily_unavailable", "server_error", "temporarily disabled")
FIREWALL = (
    "A web page answered, and not Quantemplate: a firewall or proxy on the way refuses it. Ask who "
    "runs that, with the words of its page"
)


def refusal(
    call: str, what: str, status: int, said: str, *, page: bool, retry_after: float
) -> StraightThroughError | None:
    """Return the error that a status stands for, None where the call may have been done.

    `said` is what the server said, `page` whether that was a web page.
    """
    told = f"{what}: HTTP {status}{f' ({said})' if said else ''}."
    if status in DONE[call]:
        return None
    if passing := _passing(told, status, retry_after):
        return passing
    if status == 401:
        return CredentialsRejected(f"{told} Quantemplate gives a token but does not accept it.")
    if status == 404 and page:
        return NotFound(
            f"{told} A web page answered, and not Quantemplate: check the API's address, the "
            "stack's parameter QuantemplateApiUrl; then redrive the execution."
        )
    if status == 404:
        return NotFound(
            f"{told} Quantemplate does not know one of the ids. Mend it in the route, then redrive "
            "the execution."
        )
    if status == 409 and call in ("upload_dataset", "execute_pipeline"):
        return PipelineBusy(
            f"{told} The dataset or the pipeline is in use.", retry_after=retry_after
        )
    if status == 403:
        return _forbidden(call, told, page=page)
    if call == "upload_dataset":
        return UploadRefused(f"{told} Quantemplate does not take this file. Mend it and drop it.")
    return RequestRefused(
        f"{told} Check the API's address, which is the stack's parameter QuantemplateApiUrl, and "
        "the ids in the route; then redrive the execution."
    )


def _passing(told: str, status: int, retry_after: float) -> StraightThroughError | None:
    """Return the error of what passes by itself, None where a status is final."""
    if status == 429:
        return ApiThrottled(told, retry_after=retry_after)
    if 200 <= status < 400:
        told += " That is no answer of Quantemplate to this call."
    elif status < 500 and status != 408:
        return None
    return ApiUnavailable(told, retry_after=retry_after)


def _forbidden(call: str, told: str, *, page: bool) -> StraightThroughError:
    """Return the error of a 403: a firewall has pages, Quantemplate says it in plain text."""
    if page and call == "upload_dataset":
        return UploadRefused(
            f"{told} {FIREWALL}: something in this file's bytes displeases it, and the next file "
            "may pass. When it lets the file through, redrive the execution."
        )
    if page:
        return AccessDenied(f"{told} {FIREWALL}; then redrive the execution.")
    denied = UploadRefused if call == "upload_dataset" else AccessDenied
    return denied(
        f"{told} Usually the organisation is a wrong one, or the dataset or pipeline is not shared "
        'with the API user in "Can edit" mode. Share it or mend the id, which is in the route; '
        "then redrive the execution."
    )


def token_refusal(
    told: str, client_id: str, url: str, status: int, error: str, words: str, *, page: bool
) -> StraightThroughError | None:
    """Return the error of a token server that says no, None where its status says all.

    `error` is what it calls the reason, `words` is all that it says, `told` both with the status.
    """
    if status not in (400, 401, 403, 404, 405):
        return None
    said = f"{error} {words}".lower()
    if any(reason in said for reason in PASSING):
        return ApiUnavailable(f"{told} The token server says that it passes by itself.")
    if page:
        if status == 404:
            return NotFound(f"{told} A web page answered. Check the token address, {url}.")
        return AccessDenied(
            f"{told} {FIREWALL}. The client id and secret were not looked at. When it lets them "
            "pass, redrive the execution."
        )
    if status == 404 or "realm" in said:
        return NotFound(
            f"{told} The token address, {url}, names a realm or a path that is not there: mend the "
            "stack's parameter QuantemplateTokenUrl, then redrive the execution."
        )
    if error in OF_THE_CREDENTIALS or (status == 401 and not error) or "credentials" in said:
        return CredentialsRejected(
            f"Quantemplate rejects the client id {client_id!r} or its secret. {told} Put the right "
            "ones into the secret, then redrive the execution."
        )
    if status in (401, 403):
        return AccessDenied(
            f"{told} The token server at {url} gives this client no token. Ask who runs it, with "
            "its words; then redrive the execution."
        )
    return RequestRefused(f"{told} Check the token address, {url}.")

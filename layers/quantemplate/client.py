"""A client for the Quantemplate API, of use to any Python program.

It keeps one connection and one access token, streams what it sends and fetches, and never waits. It
repeats a request in two cases, once: after a 401, with a new token; and a GET whose connection had
been kept and was dead.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

import requests
from urllib3.exceptions import HTTPError, NewConnectionError

from quantemplate import __version__, listing, replies
from quantemplate.bodies import Body, Download, FileBody
from quantemplate.errors import QuantemplateError, Refused, Unauthorized, Unavailable
from quantemplate.executions import Execution, NotWhole, Output, execution_of
from quantemplate.listing import Listing
from quantemplate.redaction import Secrets
from quantemplate.refusals import refusal, token_refusal
from quantemplate.replies import CALLS
from quantemplate.session import Session

__all__ = ["CALLS", "Credentials", "Execution", "Listing", "Output", "Quantemplate"]

USER_AGENT = f"straight-through/{__version__}"
API_URL = "https://fabric.prod.quantemplate.com/external/v1"
TOKEN_URL = "https://accounts.prod.quantemplate.com/auth/realms/qt/protocol/openid-connect/token"  # noqa: S105
CONNECT_TIMEOUT = 10  # seconds
REPLY_TIMEOUT = 45  # seconds without a byte; less than the shortest time-out of a function
UPLOAD_REPLY_TIMEOUT = 300  # likewise, after the last byte of an upload, which the server works on
SHORT_LIFE = 60  # seconds that a token serves whose server does not say how long
LONGEST_TOKEN = 32 * 1024  # characters: more fits into no server's headers
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Credentials:
    """The client id and secret of an API user."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        """Never show the secret."""
        return f"Credentials(client_id={self.client_id!r})"


class Quantemplate:
    """The API, as one API user.

    Every call takes a token when it needs one, and may raise Unauthorized, Forbidden, NotFound,
    Refused, Throttled and Unavailable; its name is the error's `call`. `with` closes it at its end.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        api_url: str = API_URL,
        token_url: str = TOKEN_URL,
        renewed: Callable[[], Credentials] | None = None,
        raised: Callable[[QuantemplateError], Exception] = lambda error: error,
    ) -> None:
        """Take the credentials; `renewed` is asked for newer ones when they are rejected.

        `raised` is given each error that ends a call, and returns the one to raise for it.
        """
        self.credentials = credentials
        self._api_url = _safe(api_url.rstrip("/"))
        self._token_url = _safe(token_url)
        self._renewed = renewed
        self._raised = raised
        self._session = Session()
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.headers["User-Agent"] = USER_AGENT
        self._token = ""
        self._token_expires = 0.0
        self._secrets = Secrets(credentials.client_secret)

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close its connections; a call after that opens one anew."""
        self._session.close()

    def authenticate(self) -> None:
        """Take a new access token.

        Raises Unauthorized, Forbidden, NotFound, Refused, Throttled, Unavailable.
        """
        with self._named("token"):
            try:
                self._take_token()
            except Unauthorized:
                renewed = self._renewed() if self._renewed else self.credentials
                if renewed == self.credentials:
                    raise
                self.credentials = renewed
                self._secrets.add(renewed.client_secret)
                self._take_token()

    def upload_dataset(
        self, organisation_id: str, dataset_id: str, data: bytes | Path | Body
    ) -> None:
        """Overwrite the dataset with the bytes of `data`, which must not be empty."""
        body = FileBody(data) if isinstance(data, Path) else data
        path = f"/organisations/{_segment(organisation_id)}/datasets/{_segment(dataset_id)}"
        what = f"Upload Dataset {dataset_id}"
        with self._call("upload_dataset", path, what, body) as response:
            reply = replies.small_body(response, what)
            if trouble := replies.not_taken(response, reply):
                raise Unavailable(
                    f"{what}: HTTP {response.status_code} with {trouble}{self._quoted(reply)}. "
                    "Whether Quantemplate took the file is not known.",
                    status=response.status_code,
                )

    @contextmanager
    def download_dataset(
        self, organisation_id: str, dataset_id: str, *, version: int | None = None
    ) -> Iterator[Download]:
        """Open the dataset's CSV, by default of its newest version."""
        path = f"/organisations/{_segment(organisation_id)}/datasets/{_segment(dataset_id)}"
        if version is not None:
            path += f"?version={version}"
        what = f"Download Dataset {dataset_id}"
        with self._call("download_dataset", path, what) as response:
            yield Download(response, what)

    def execute_pipeline(self, organisation_id: str, pipeline_id: str) -> Execution:
        """Execute a pipeline. After Unavailable with `sent` one may have started all the same."""
        what = f"Execute Pipeline {pipeline_id}"
        path = _executions(organisation_id, pipeline_id)
        with self._call("execute_pipeline", path, what) as response:
            document = self._document(response, what)
            try:
                return execution_of(document)
            except NotWhole as error:  # it did answer 2xx: it may well have been made
                raise Unavailable(f"{what}: {error}, which the API documents.") from None

    def list_executions(
        self,
        organisation_id: str,
        pipeline_id: str,
        *,
        after: int = 0,
        ours: Collection[str] = (),
    ) -> Listing:
        """Return what is worth knowing of the pipeline's executions, however many there are.

        That is those with the ids of `ours`, with their outputs; those with a number above `after`
        and those that go on, without outputs. Only these must be whole.
        """
        what = f"List Executions of {pipeline_id}"
        path = _executions(organisation_id, pipeline_id)
        with self._call("list_executions", path, what) as response, _listed(what):
            date = replies.date_of(response)
            if response.status_code == requests.codes.no_content:
                if ours or 0 < after < listing.ABOVE_ALL:
                    raise Unavailable(f"{what}: HTTP 204, although the pipeline has had some.")
                return Listing(date=date)
            items = self._items(response, what)
            return listing.reduced(items, after=after, ours=ours, date=date)

    @contextmanager
    def download_output(
        self, organisation_id: str, pipeline_id: str, execution_id: str, output_id: str
    ) -> Iterator[Download]:
        """Open one output's CSV."""
        path = _executions(organisation_id, pipeline_id)
        path += f"/{_segment(execution_id)}/outputs/{_segment(output_id)}"
        what = f"Download Output {output_id} of {execution_id}"
        with self._call("download_output", path, what) as response:
            yield Download(response, what)

    def _take_token(self) -> None:
        """Exchange the credentials for a token (Keycloak's client credentials grant)."""
        what = "Authentication"
        form = {
            "grant_type": "client_credentials",
            "client_id": self.credentials.client_id,
            "client_secret": self.credentials.client_secret,
        }
        data = {name: value.encode(errors="replace") for name, value in form.items()}
        asked = time.monotonic()
        try:
            with self._request("POST", self._token_url, what, data=data) as response:
                self._check("token", response, what)
                reply = self._document(response, what, secret=True)
        except Unavailable as error:
            error.sent = False  # the call that the token was for
            raise
        token = reply.get("access_token") if isinstance(reply, dict) else None
        if not isinstance(token, str) or not _is_token(token):
            raise Unavailable(f"{what} brought no token.", sent=False)
        self._token = token
        self._secrets.add(token)
        # A tenth earlier, so that a token does not expire on its way.
        self._token_expires = asked + _lifetime(reply.get("expires_in")) * 0.9

    @contextmanager
    def _call(
        self, call: str, path: str, what: str, body: Body | bytes | None = None
    ) -> Iterator[requests.Response]:
        """Call the API and yield a reply that may be one; a rejected token is renewed once."""
        with self._named(call):
            client_id = self.credentials.client_id
            if time.monotonic() >= self._token_expires:
                self.authenticate()
            self._require_user(call, what, client_id)
            response = self._request_api(call, path, what, body)
            if response.status_code == requests.codes.unauthorized:
                response.close()
                self.authenticate()
                self._require_user(call, what, client_id)
                response = self._request_api(call, path, what, body)
            with response:
                self._check(call, response, what)
                yield response

    def _require_user(self, call: str, what: str, client_id: str) -> None:
        """Execute nothing as another user than the caller knows: by its user a lost one is found.

        Raises Unavailable: nothing was sent, and the next try knows the new one.
        """
        if call == "execute_pipeline" and self.credentials.client_id != client_id:
            raise Unavailable(
                f"{what}: the credentials of the client id {client_id!r} have been replaced by "
                f"those of {self.credentials.client_id!r}. Nothing was executed.",
                sent=False,
            )

    @contextmanager
    def _named(self, call: str) -> Iterator[None]:
        """Name the call that met an error, and raise the one that is wanted for it."""
        try:
            yield
        except QuantemplateError as error:
            error.call = error.call or call
            raise self._raised(error) from None

    def _request_api(
        self, call: str, path: str, what: str, body: Body | bytes | None
    ) -> requests.Response:
        """Send one request with the token."""
        method = "POST" if call in ("upload_dataset", "execute_pipeline") else "GET"
        headers = {"Authorization": f"Bearer {self._token}"}
        return self._request(method, self._api_url + path, what, data=body, headers=headers)

    def _request(self, method: str, url: str, what: str, **options: Any) -> requests.Response:
        """Send one request; a connection that fails is Unavailable."""
        patience = UPLOAD_REPLY_TIMEOUT if options.get("data") else REPLY_TIMEOUT
        try:
            response = self._session.request(
                method,
                url,
                timeout=(CONNECT_TIMEOUT, patience),
                stream=True,
                allow_redirects=False,
                **options,
            )
        except (requests.RequestException, HTTPError, UnicodeError) as error:
            # A server that dislikes a token may hang up on a long upload instead of answering 401.
            self._token_expires = 0.0
            raise Unavailable(
                f"{what}: no answer from {url} ({type(error).__name__}).",
                sent=not _refused_connection(error),
            ) from None
        if response.status_code < requests.codes.ok:  # and the reply itself is still to come
            response.close()
            raise Unavailable(f"{what}: HTTP {response.status_code} and no answer from {url}.")
        return response

    def _check(self, call: str, response: requests.Response, what: str) -> None:
        """Raise the error that the reply's status stands for, if it is one."""
        status = response.status_code
        if status in replies.DONE[call]:
            return
        body, cut = replies.beginning(response, replies.MOST_TOLD + self._secrets.longest)
        page = replies.is_page(response, body)
        said = self._secrets.shown(body, cut=cut)
        if call == "token":
            document = replies.document_of(body)
            reason = str(document.get("error", "")) if isinstance(document, dict) else ""
            client_id, url = self.credentials.client_id, self._token_url
            if error := token_refusal(what, client_id, url, status, reason, said, page=page):
                raise error
        later = replies.retry_after(response)
        if error := refusal(call, what, status, said, page=page, retry_after=later):
            raise error

    def _document(self, response: requests.Response, what: str, *, secret: bool = False) -> Any:
        """Return the reply's JSON. Raises Unavailable where it has none, or one of an error.

        Of a `secret` reply no more is told than its error: the rest may be a token.
        """
        body = replies.small_body(response, what)
        document = replies.document_of(body)
        if document is not None and not replies.speaks_of_error(document):
            return document
        kind = "no JSON, which the API sends" if document is None else "an error"
        if secret:
            told = [document.get(k) for k in ("error", "error_description")] if document else []
            body = ": ".join(each for each in told if isinstance(each, str)).encode(
                errors="replace"
            )
        raise Unavailable(f"{what}: HTTP {response.status_code} with {kind}{self._quoted(body)}.")

    def _items(self, response: requests.Response, what: str) -> Iterator[Any]:
        """Read the items of a list as they come. Raises Unavailable where it is none."""
        if replies.is_page(response, b""):
            raise Unavailable(f"{what} brought a web page and no list.")
        return listing.items_of(replies.pieces(response, what, replies.LIST_SECONDS))

    def _quoted(self, body: bytes) -> str:
        """Return what a server says in brackets, nothing where it says nothing."""
        said = self._secrets.shown(body)
        return f" ({said})" if said else ""


@contextmanager
def _listed(what: str) -> Iterator[None]:
    """Say which list is none."""
    try:
        yield
    except (NotWhole, listing.NoList) as error:
        raise Unavailable(f"{what} brought {error}.") from None


def _is_token(token: str) -> bool:
    """Whether a header can carry it."""
    return 0 < len(token) <= LONGEST_TOKEN and all("!" <= each <= "~" for each in token)


def _lifetime(told: Any) -> float:
    """Return how many seconds a token serves; what is no number of them counts as not told."""
    try:
        seconds = float(told)
    except (TypeError, ValueError, OverflowError):
        return SHORT_LIFE
    return seconds if 0 <= seconds < 366 * 86400 else SHORT_LIFE


def _safe(url: str) -> str:
    """Return the address of a server that gets our token or secret. Raises Refused."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return url
    raise Refused(
        f"The address {url} is not one to send a secret to: without https:// anybody on the way "
        "could read it. Only this machine's own addresses may begin with http://."
    )


def _executions(organisation_id: str, pipeline_id: str) -> str:
    """Return the path of a pipeline's executions."""
    return (
        f"/organisations/{_segment(organisation_id)}/pipelines/{_segment(pipeline_id)}/executions"
    )


def _segment(part: str) -> str:
    """Return an id as one segment of a path."""
    return quote(part, safe="", errors="replace")


def _refused_connection(error: BaseException) -> bool:
    """Whether nothing was sent, because no connection came about."""
    reason = error.args[0] if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(
        getattr(reason, "reason", None), NewConnectionError
    )

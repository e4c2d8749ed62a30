"""A client for the Quantemplate API, of use to any Python program.

It keeps one connection and one access token, streams what it sends and fetches, never waits and
never repeats a request but one: after a 401 it takes a new token and tries once more.
"""

import json
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from urllib3.exceptions import HTTPError, NewConnectionError

from straight_through.bodies import Body, Download, FileBody
from straight_through.errors import (
    AccessDenied,
    ApiThrottled,
    ApiUnavailable,
    CredentialsRejected,
    NotFound,
    RequestRefused,
    StraightThroughError,
)
from straight_through.executions import Execution, NotWhole, Output, execution_of
from straight_through.listing import Listing, reduced

__all__ = ["CALLS", "Credentials", "Execution", "Output", "Quantemplate"]

# The calls of the API, as `StraightThroughError.call` names them.
CALLS = (
    "token",
    "upload_dataset",
    "download_dataset",
    "execute_pipeline",
    "list_executions",
    "download_output",
)
API_URL = "https://fabric.prod.quantemplate.com/external/v1"
TOKEN_URL = "https://accounts.prod.quantemplate.com/auth/realms/qt/protocol/openid-connect/token"  # noqa: S105
CONNECT_TIMEOUT = 10  # seconds
REPLY_TIMEOUT = 45  # seconds without a byte; less than the shortest time-out of a function
UPLOAD_REPLY_TIMEOUT = 300  # likewise, after the last byte of an upload, which the server works on


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

    Every call takes a token when it needs one, and may raise CredentialsRejected, AccessDenied,
    NotFound, RequestRefused, ApiThrottled and ApiUnavailable.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        api_url: str = API_URL,
        token_url: str = TOKEN_URL,
        renewed: Callable[[], Credentials] | None = None,
        failed: Callable[[Exception], None] = lambda _error: None,
    ) -> None:
        """Take the credentials; `renewed` is asked for newer ones when they are rejected.

        `failed` is told of each error that ends a call, before it is raised.
        """
        self.credentials = credentials
        self._api_url = api_url.rstrip("/")
        self._token_url = token_url
        self._renewed = renewed
        self._failed = failed
        self._session = requests.Session()
        # Or requests would put what a .netrc holds in the place of our own header.
        self._session.auth = lambda request: request
        self._session.headers["Accept-Encoding"] = "identity"
        self._token = ""
        self._token_expires = 0.0

    def authenticate(self) -> None:
        """Take a new access token. Raises CredentialsRejected, ApiThrottled, ApiUnavailable."""
        try:
            self._take_token()
        except CredentialsRejected:
            renewed = self._renewed() if self._renewed else self.credentials
            if renewed == self.credentials:
                raise
            self.credentials = renewed
            self._take_token()

    def upload_dataset(
        self, organisation_id: str, dataset_id: str, data: bytes | Path | Body
    ) -> None:
        """Overwrite the dataset with the bytes of `data`, which must not be empty."""
        body = FileBody(data) if isinstance(data, Path) else data
        path = f"/organisations/{_segment(organisation_id)}/datasets/{_segment(dataset_id)}"
        with self._call("POST", path, f"Upload Dataset {dataset_id}", body):
            pass

    @contextmanager
    def download_dataset(
        self, organisation_id: str, dataset_id: str, *, version: int | None = None
    ) -> Iterator[Download]:
        """Open the dataset's CSV, by default of its newest version."""
        path = f"/organisations/{_segment(organisation_id)}/datasets/{_segment(dataset_id)}"
        if version is not None:
            path += f"?version={version}"
        what = f"Download Dataset {dataset_id}"
        with self._call("GET", path, what) as response:
            yield Download(response, what)

    def execute_pipeline(self, organisation_id: str, pipeline_id: str) -> Execution:
        """Start a run. After ApiUnavailable with `sent` it may have started all the same."""
        what = f"Execute Pipeline {pipeline_id}"
        with self._call("POST", _executions(organisation_id, pipeline_id), what) as response:
            try:
                return _execution(_json(response, what), what)
            except RequestRefused as error:  # it did answer 2xx: the run may well have been made
                raise ApiUnavailable(str(error)) from None

    def list_executions(self, organisation_id: str, pipeline_id: str) -> list[Execution]:
        """Return all runs of the pipeline, in no documented order."""
        what = f"List Executions of {pipeline_id}"
        with self._call("GET", _executions(organisation_id, pipeline_id), what) as response:
            if response.status_code == requests.codes.no_content:
                return []
            listed = _json(response, what)
        if not isinstance(listed, list):
            raise RequestRefused(f"{what} brought no list. Check the API's address.")
        return [_execution(item, what) for item in listed]

    def list_runs(
        self,
        organisation_id: str,
        pipeline_id: str,
        *,
        after: int = 0,
        ours: Collection[str] = (),
    ) -> Listing:
        """Return what is worth knowing of the pipeline's runs, however many there are.

        That is the runs with the ids of `ours`, those with a number above `after` and those that
        go on.
        """
        what = f"List Executions of {pipeline_id}"
        with self._call("GET", _executions(organisation_id, pipeline_id), what) as response:
            if response.status_code == requests.codes.no_content:
                return Listing()
            listed = _json(response, what)
        if not isinstance(listed, list):
            raise RequestRefused(f"{what} brought no list. Check the API's address.")
        try:
            return reduced(listed, after=after, ours=ours)
        except NotWhole as error:
            raise RequestRefused(f"{what}: {error}, which the API documents.") from None

    @contextmanager
    def download_output(
        self, organisation_id: str, pipeline_id: str, execution_id: str, output_id: str
    ) -> Iterator[Download]:
        """Open one output's CSV."""
        path = _executions(organisation_id, pipeline_id)
        path += f"/{_segment(execution_id)}/outputs/{_segment(output_id)}"
        what = f"Download Output {output_id} of {execution_id}"
        with self._call("GET", path, what) as response:
            yield Download(response, what)

    def _take_token(self) -> None:
        """Exchange the credentials for a token (Keycloak's client credentials grant)."""
        what = "Authentication"
        form = {
            "grant_type": "client_credentials",
            "client_id": self.credentials.client_id,
            "client_secret": self.credentials.client_secret,
        }
        asked = time.monotonic()
        try:
            with self._request("POST", self._token_url, what, data=form) as response:
                if response.status_code in (400, 401, 403):
                    raise CredentialsRejected(
                        f"Quantemplate rejects the client id {self.credentials.client_id!r} or its "
                        f"secret (HTTP {response.status_code} at {self._token_url}). Put the right "
                        "ones into the secret, then redrive the execution."
                    )
                _check(response, what)
                reply = _json(response, what)
        except ApiUnavailable as error:
            error.sent = False  # the call that the token was for
            raise
        try:
            self._token = str(reply["access_token"])
            lifetime = float(reply["expires_in"])
        except (TypeError, KeyError, ValueError):
            raise RequestRefused(f"{what} brought no token. Check the token address.") from None
        # A tenth earlier, so that a token does not expire on its way.
        self._token_expires = asked + lifetime * 0.9

    @contextmanager
    def _call(
        self, method: str, path: str, what: str, body: Body | bytes | None = None
    ) -> Iterator[requests.Response]:
        """Call the API and yield a 2xx reply; a rejected token is renewed once."""
        try:
            if time.monotonic() >= self._token_expires:
                self.authenticate()
            response = self._request_api(method, path, what, body)
            if response.status_code == requests.codes.unauthorized:
                response.close()
                self.authenticate()
                response = self._request_api(method, path, what, body)
            with response:
                _check(response, what)
                yield response
        except StraightThroughError as error:
            self._failed(error)
            raise

    def _request_api(
        self, method: str, path: str, what: str, body: Body | bytes | None
    ) -> requests.Response:
        """Send one request with the token."""
        headers = {"Authorization": f"Bearer {self._token}"}
        return self._request(method, self._api_url + path, what, data=body, headers=headers)

    def _request(self, method: str, url: str, what: str, **options: Any) -> requests.Response:
        """Send one request; a connection that fails is ApiUnavailable."""
        patience = UPLOAD_REPLY_TIMEOUT if options.get("data") else REPLY_TIMEOUT
        try:
            return self._session.request(
                method,
                url,
                timeout=(CONNECT_TIMEOUT, patience),
                stream=True,
                allow_redirects=False,
                **options,
            )
        except requests.RequestException as error:
            # A server that dislikes a token may hang up on a long upload instead of answering 401.
            self._token_expires = 0.0
            raise ApiUnavailable(
                f"{what}: no answer from {url} ({type(error).__name__}).",
                sent=not _refused_connection(error),
            ) from None


def _check(response: requests.Response, what: str) -> None:
    """Raise the error that the reply's status stands for, if it is one."""
    status = response.status_code
    if 200 <= status < 300:
        return
    said = f"{what}: HTTP {status}{_shown(response)}."
    if status == requests.codes.unauthorized:
        raise CredentialsRejected(f"{said} Quantemplate gives a token but does not accept it.")
    if status == requests.codes.forbidden:
        raise AccessDenied(
            f"{said} Usually the organisation is a wrong one, or the dataset or pipeline is not "
            'shared with the API user in "Can edit" mode. Share it or mend the id, which is in the '
            "route; then redrive the execution."
        )
    if status == requests.codes.not_found:
        raise NotFound(
            f"{said} Quantemplate does not know one of the ids. Mend it in the route, then redrive "
            "the execution."
        )
    if status == requests.codes.too_many_requests:
        raise ApiThrottled(said, retry_after=_retry_after(response))
    if status >= 500 or status == requests.codes.request_timeout:
        raise ApiUnavailable(said, retry_after=_retry_after(response))
    raise RequestRefused(f"{said} Check the file and the API's address.")


def _shown(response: requests.Response) -> str:
    """Return the start of an error's body on one line: it is text, JSON or nothing at all."""
    try:
        body = response.raw.read(300, decode_content=True).decode(errors="replace")
    except (requests.RequestException, OSError, HTTPError):
        return ""
    line = " ".join(body.split())
    return f" ({line})" if line else ""


def _retry_after(response: requests.Response) -> float:
    """Return the Retry-After header in seconds from now; it holds seconds or a date (RFC 9110)."""
    value = response.headers.get("Retry-After", "")
    try:
        return (
            max(float(value), 0)
            if value.isdigit()
            else max(parsedate_to_datetime(value).timestamp() - time.time(), 0)
        )
    except ValueError:
        return 0


def _json(response: requests.Response, what: str) -> Any:
    """Return the reply's JSON."""
    try:
        return json.loads(response.content)
    except requests.RequestException as error:
        raise ApiUnavailable(f"{what}: the reply broke off ({type(error).__name__}).") from None
    except ValueError:
        raise RequestRefused(
            f"{what}: HTTP {response.status_code} without the JSON that the API sends. Check the "
            "addresses of API and token."
        ) from None


def _execution(item: Any, what: str) -> Execution:
    """Return the execution that the API describes; a missing status is an unknown one."""
    try:
        return execution_of(item)
    except NotWhole as error:
        raise RequestRefused(f"{what}: {error}, which the API documents.") from None


def _executions(organisation_id: str, pipeline_id: str) -> str:
    """Return the path of a pipeline's executions."""
    return (
        f"/organisations/{_segment(organisation_id)}/pipelines/{_segment(pipeline_id)}/executions"
    )


def _segment(part: str) -> str:
    """Return an id as one segment of a path."""
    return quote(part, safe="")


def _refused_connection(error: BaseException) -> bool:
    """Whether nothing was sent, because no connection came about."""
    reason = error.args[0] if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(
        getattr(reason, "reason", None), NewConnectionError
    )

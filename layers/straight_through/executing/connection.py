"""The connection to Quantemplate with the credentials that lie in Secrets Manager.

Its errors are ours: the state machine knows them by their names, and their messages say what to do.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from quantemplate import errors as refused
from quantemplate.client import Credentials, Quantemplate
from straight_through.aws import answering, client
from straight_through.errors import (
    AccessDenied,
    ApiThrottled,
    ApiUnavailable,
    CredentialsMissing,
    CredentialsRejected,
    NotFound,
    OutputIncomplete,
    PipelineBusy,
    RequestRefused,
    StraightThroughError,
    UploadRefused,
)
from straight_through.telling.remedies import advice

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

CREDENTIALS_LIFETIME = 300  # seconds until the secret is read again
# What GetSecretValue's error codes mean for a person.
UNREADABLE = {
    "ResourceNotFoundException": "has no value",
    "InvalidRequestException": (
        "is marked for deletion. Restore it first (aws secretsmanager restore-secret)"
    ),
}


@dataclass(frozen=True)
class Access:
    """Where Quantemplate is, and where our credentials for it lie."""

    credentials_secret_arn: str
    quantemplate_api_url: str
    quantemplate_token_url: str


class Connection:
    """One Quantemplate client for all invocations of a function process."""

    def __init__(
        self,
        secrets: "SecretsManagerClient",
        access: Access,
        failed: Callable[[Exception], None] = lambda _error: None,
    ) -> None:
        """Read nothing yet: a missing secret must fail the run, not the function's start.

        `failed` is told of each call that fails.
        """
        self._secrets = secrets
        self._access = access
        self._failed = failed
        self._client: Quantemplate | None = None
        self._read_at = 0.0

    def open(self) -> Quantemplate:
        """Return the client. Raises CredentialsMissing."""
        if self._client is None or time.monotonic() - self._read_at > CREDENTIALS_LIFETIME:
            credentials = self._credentials()
            self._read_at = time.monotonic()
            if self._client is None or self._client.credentials != credentials:
                self._client = connected(
                    credentials,
                    api_url=self._access.quantemplate_api_url,
                    token_url=self._access.quantemplate_token_url,
                    renewed=self._credentials,
                    failed=self._failed,
                )
        return self._client

    def _credentials(self) -> Credentials:
        """Read the secret. Raises CredentialsMissing."""
        return read_credentials(self._secrets, self._access.credentials_secret_arn)


def connection(access: Access, failed: Callable[[Exception], None]) -> Connection:
    """Return a connection; `failed` is told of each call that fails."""
    return Connection(client("secretsmanager"), access, failed)


def connected(
    credentials: Credentials,
    *,
    api_url: str,
    token_url: str,
    renewed: Callable[[], Credentials] | None = None,
    failed: Callable[[Exception], None] = lambda _error: None,
) -> Quantemplate:
    """Return a client whose calls raise our errors, each of which `failed` is told of.

    Raises RequestRefused for an address without TLS.
    """

    def raised(error: refused.QuantemplateError) -> StraightThroughError:
        named = ours(error)
        failed(named)
        return named

    try:
        return Quantemplate(
            credentials, api_url=api_url, token_url=token_url, renewed=renewed, raised=raised
        )
    except refused.QuantemplateError as error:
        raise ours(error) from None


def ours(error: refused.QuantemplateError) -> StraightThroughError:
    """Return our error for one of the client's, with what to do added to what was answered."""
    told, later = " ".join(filter(None, (str(error), advice(error)))), error.retry_after
    named: StraightThroughError
    match error:
        case refused.Unavailable():
            named = ApiUnavailable(told, sent=error.sent, retry_after=later)
        case refused.Throttled():
            named = ApiThrottled(told, retry_after=later)
        case refused.Conflict():
            named = PipelineBusy(told, retry_after=later)
        case refused.Incomplete():
            named = OutputIncomplete(told)
        case refused.Unauthorized():
            named = CredentialsRejected(told)
        case refused.NotFound():
            named = NotFound(told)
        case refused.Forbidden() | refused.Refused() if error.call == "upload_dataset":
            named = UploadRefused(told)
        case refused.Forbidden():
            named = AccessDenied(told)
        case _:
            named = RequestRefused(told)
    named.call = error.call
    return named


def read_credentials(secrets: "SecretsManagerClient", secret_arn: str) -> Credentials:
    """Return what the secret holds. Raises CredentialsMissing, which never shows the value."""
    try:
        with answering("Secrets Manager"):
            value = secrets.get_secret_value(SecretId=secret_arn).get("SecretString", "")
    except ClientError as error:
        what = UNREADABLE.get(error.response["Error"]["Code"])
        if what is None:
            raise
        raise _missing(secret_arn, what) from None
    try:
        fields = json.loads(value)
        credentials = Credentials(fields["client_id"], fields["client_secret"])
    except (ValueError, TypeError, KeyError):
        raise _missing(secret_arn, "is of another shape") from None
    if not all(isinstance(part, str) and part for part in vars(credentials).values()):
        raise _missing(secret_arn, "has an empty field or one that is no text")
    return credentials


def _missing(secret_arn: str, what: str) -> CredentialsMissing:
    """Say what is wrong with the secret and what to put there: the token cannot be asked for."""
    error = CredentialsMissing(
        f"The secret {secret_arn} {what}. Put Quantemplate's client id and secret there as "
        '{"client_id": "…", "client_secret": "…"}, then redrive the run.'
    )
    error.call = "token"
    return error

"""The errors of the client: what was answered, and nothing of what to do about it.

    QuantemplateError
    ├── Unavailable     no answer, 408, 5xx, or what is no answer to that call
    ├── Throttled       429
    ├── Conflict        409 to Upload Dataset or Execute Pipeline: something else is going on
    ├── Incomplete      a download broke off, or its end cannot be told
    ├── Unauthorized    401; or the token server does not accept the client id or its secret
    ├── Forbidden       403; or the token server gives this client no token
    ├── NotFound        404
    └── Refused         any other 4xx; or an address without TLS, to which no secret is sent

The first three pass by themselves. `call` is one of `quantemplate.replies.CALLS`.
"""


class QuantemplateError(Exception):
    """Base of all errors of the client.

    `status` is the HTTP status, 0 where none came; `said` what the server said, in one line without
    secrets; `page` whether that was a web page, which Quantemplate does not send; `retry_after` the
    seconds after which it asks to be tried again, 0 where it does not.
    """

    call = ""  # the call that met it, "" for an address that is refused before any

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        said: str = "",
        page: bool = False,
        retry_after: float = 0,
    ) -> None:
        """Keep what was answered."""
        super().__init__(message)
        self.status = status
        self.said = said
        self.page = page
        self.retry_after = retry_after


class Unavailable(QuantemplateError):
    """No answer to the call; where it was `sent`, it may have been acted on all the same."""

    def __init__(
        self,
        message: str,
        *,
        sent: bool = True,
        status: int = 0,
        said: str = "",
        page: bool = False,
        retry_after: float = 0,
    ) -> None:
        """Keep whether the server may have got the request, too."""
        super().__init__(message, status=status, said=said, page=page, retry_after=retry_after)
        self.sent = sent


class Throttled(QuantemplateError):
    """429."""


class Conflict(QuantemplateError):
    """409: the dataset or the pipeline is in use."""


class Incomplete(QuantemplateError):
    """What was downloaded is not whole, or cannot be known to be."""


class Unauthorized(QuantemplateError):
    """401, or credentials that are not accepted."""


class Forbidden(QuantemplateError):
    """403, by Quantemplate or by a firewall on the way."""


class NotFound(QuantemplateError):
    """404: an id, an address or a realm that is not known."""


class Refused(QuantemplateError):
    """Another 4xx; or the address is not one to send a secret to."""

"""A fault, brought about at one call of one function."""

import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from botocore.exceptions import ClientError, ReadTimeoutError

from docs.faults import OUTSIDE, Fault
from local.quantemplate import Control
from local.quantemplate.pipelines import OLD_RUN
from tests.machine.agenda import Clock

Order = tuple[str, dict[str, Any]]  # of the stand-in: its kind and its fields
PATIENCE = 1.0  # seconds that the client waits for a reply that stalls or has no end
OUTSIDE_LASTS = timedelta(minutes=10)  # of a fault that a person mends, where no execution ends
THROTTLED = {  # by service
    "s3": (503, "SlowDown"),
    "dynamodb": (400, "ProvisionedThroughputExceededException"),
}
DENIED_TOO = ("denied", "s3.HeadObject", "s3.GetObject")  # one permission is for both
DENIED = {"s3": (403, "AccessDenied"), "sns": (403, "AuthorizationError")}


class Injected:
    """A fault at a call of a function; it begins with the first such call."""

    def __init__(self, function: str, call: str, fault: Fault, files: int = 1) -> None:
        """Nothing has met it yet; a person mends it when so many files have ended with it."""
        self.function, self.call, self.fault = function, call, fault
        self.files = files
        self.hits = 0
        self._began: datetime | None = None
        self._mended = False

    @property
    def delivers_twice(self) -> bool:
        """Whether SQS gives an event again that was taken."""
        return self.call == "sqs.DeleteMessage"

    def is_at(self, function: str, call: str) -> bool:
        """Whether a call meets it now."""
        same = call == self.call or (self.fault.name, self.call, call) == DENIED_TOO
        if function != self.function or not same or self._mended:
            return False
        now = Clock.now(UTC)
        self._began = self._began or now
        lasts = self.fault.lasts
        if lasts is None:
            return function not in OUTSIDE or now < self._began + OUTSIDE_LASTS
        return not self.hits if lasts == 0 else now < self._began + timedelta(seconds=lasts)

    def mend(self) -> None:
        """Let no call meet it any more."""
        self._mended = True

    # --- AWS ------------------------------------------------------------------------------------
    def in_aws(self, do: Callable[[], Any], client: Any, operation: str) -> Any:
        """Make a call of boto3's client, after all tries of its own."""
        self.hits += 1
        service = client.meta.service_model.service_name
        lost = ReadTimeoutError(endpoint_url=client.meta.endpoint_url)
        match self.fault.name:
            case "throttled":
                raise _refusal(operation, *THROTTLED.get(service, (400, "ThrottlingException")))
            case "internal error":
                raise _refusal(operation, 500, "InternalServerError")
            case "denied":
                raise _refusal(operation, *DENIED.get(service, (400, "AccessDeniedException")))
            case "time-out":
                raise lost
            case "effect done and reply lost":
                with suppress(ClientError):  # the reply says so, and is lost
                    do()
                raise lost
        raise AssertionError(self.fault)

    # --- Quantemplate ---------------------------------------------------------------------------
    def in_quantemplate(
        self, do: Callable[[str], Any], url: str, stand_in: Control, call: str
    ) -> Any:
        """Make a call of the API."""
        self.hits += 1
        host = urlsplit(url).netloc
        match self.fault.name:
            case "refused connection":
                with socket.socket() as bound:  # nobody listens there
                    bound.bind(("127.0.0.1", 0))
                    return do(url.replace(host, f"127.0.0.1:{bound.getsockname()[1]}"))
            case "DNS failure":
                unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
                with patch("socket.getaddrinfo", side_effect=unknown):
                    return do(url.replace(host, "nobody.invalid"))
            case "TLS failure":
                return do(url.replace("http:", "https:"))
        for kind, fields in orders(self.fault.name, call):
            stand_in.trouble(call, kind, **fields)
        try:
            return do(url)
        finally:
            stand_in.clear_troubles()


def orders(fault: str, call: str) -> list[Order]:
    """What the stand-in is told to do to the next call."""
    known = ORDERS.get((fault, call)) or ORDERS.get((fault, ""))
    if known:
        return known
    answer = ANSWERS.get((fault, call)) or ANSWERS.get((fault, ""))
    return [("reply", {"answer": answer} if answer else {"status": int(fault[:3])})]


UPLOAD, AFTER = "upload_dataset", {"when": "after"}
ONE_MORE = (OLD_RUN % {b"n": 1}).decode() + ","
ORDERS: dict[tuple[str, str], list[Order]] = {  # by fault and call
    ("reset half way", UPLOAD): [("drop", {"after_bytes": 4})],
    ("reset half way", ""): [("reset", {"after_bytes": 1})],
    ("slow first byte", ""): [("delay", {"seconds": 0.1})],
    ("stalled", UPLOAD): [("delay", {"seconds": PATIENCE * 2, **AFTER})],  # no body could stall
    ("stalled", ""): [("stall", {"after_bytes": 1, "seconds": PATIENCE * 2})],
    ("204", UPLOAD): [("relabel", {"status": 204})],
    ("truncated", UPLOAD): [
        ("reply", {"status": 200, "body": "{}", **AFTER}),
        ("short", {"missing": 1}),
    ],
    ("truncated", ""): [("short", {"missing": 3})],
    ("gzip", ""): [("gzip", {})],
    ("endless", "list_executions"): [
        ("reply", {"status": 200, "body": "["}),
        ("endless", {"body": ONE_MORE}),
    ],
    ("endless", ""): [("endless", {})],
    ("effect done and reply lost", ""): [("drop", AFTER)],
    ("429 with Retry-After", ""): [("reply", {"status": 429, "retry_after": 30})],
}
ANSWERS = {  # of the stand-in, by fault and call
    ("202", ""): "accepted",
    ("302", ""): "moved",
    ("401", "token"): "invalid_client",
    ("403", "upload_dataset"): "firewall",
    ("404", "token"): "wrong_realm",
    ("409", ""): "busy",
    ("502 with HTML", ""): "bad_gateway",
    ("wrong type", ""): "maintenance",
    ("wrong shape", ""): "error_json",
}


def _refusal(operation: str, status: int, code: str) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": f"{code} of a test"},
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "r"},
    }
    return ClientError(answer, operation)

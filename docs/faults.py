"""Every call that the functions make, every fault that it may meet, and what becomes of the file.

The page `reference/faults.md` shows it, and `make faults` runs each cell.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# --- the calls ------------------------------------------------------------------------------------
UPLOADS, LOOKS = "upload_and_execute", "check_status"
DOWNLOADS, PUBLISHES = "download_output", "publish_run"
QUANTEMPLATE = (  # function and call
    (UPLOADS, "token"),
    (LOOKS, "token"),
    (DOWNLOADS, "token"),
    (UPLOADS, "list_executions"),
    (LOOKS, "list_executions"),
    (UPLOADS, "upload_dataset"),
    (UPLOADS, "execute_pipeline"),
    (DOWNLOADS, "download_output"),
)
AWS: Mapping[str, tuple[str, ...]] = {  # by function
    "start_run": (
        "sqs.DeleteMessage",
        "stepfunctions.StartExecution",
    ),
    "check_file": (
        "dynamodb.GetItem",
        "dynamodb.TransactWriteItems",
        "dynamodb.UpdateItem",
        "s3.GetObject",
        "s3.HeadObject",
        "ssm.GetParameters",
    ),
    "take_turn": (
        "dynamodb.GetItem",
        "dynamodb.Query",
        "dynamodb.TransactWriteItems",
        "dynamodb.UpdateItem",
        "ssm.GetParameters",
        "stepfunctions.SendTaskSuccess",
    ),
    "upload_and_execute": (
        "dynamodb.GetItem",
        "dynamodb.TransactWriteItems",
        "dynamodb.UpdateItem",
        "s3.GetObject",
        "secretsmanager.GetSecretValue",
        "ssm.GetParameters",
    ),
    "check_status": (
        "dynamodb.GetItem",
        "dynamodb.Query",
        "dynamodb.TransactWriteItems",
        "dynamodb.UpdateItem",
        "secretsmanager.GetSecretValue",
        "ssm.GetParameters",
        "stepfunctions.SendTaskSuccess",
    ),
    "download_output": (
        "s3.AbortMultipartUpload",
        "s3.CompleteMultipartUpload",
        "s3.CreateMultipartUpload",
        "s3.PutObject",
        "s3.UploadPart",
        "secretsmanager.GetSecretValue",
    ),
    "publish_run": (
        "dynamodb.UpdateItem",
        "s3.CompleteMultipartUpload",
        "s3.CreateMultipartUpload",
        "s3.DeleteObject",
        "s3.GetObject",
        "s3.HeadObject",
        "s3.PutObject",
        "s3.UploadPartCopy",
        "ssm.GetParameters",
    ),
    "run_ended": (
        "dynamodb.DeleteItem",
        "dynamodb.GetItem",
        "dynamodb.Query",
        "dynamodb.TransactWriteItems",
        "dynamodb.UpdateItem",
        "events.PutEvents",
        "s3.GetObject",
        "s3.HeadObject",
        "s3.PutObject",
        "sns.Publish",
    ),
    "sweep_queues": (
        "dynamodb.DeleteItem",
        "dynamodb.GetItem",
        "dynamodb.Query",
        "dynamodb.TransactWriteItems",
        "dynamodb.UpdateItem",
        "sns.Publish",
        "ssm.GetParametersByPath",
        "stepfunctions.DescribeExecution",
        "stepfunctions.SendTaskFailure",
        "stepfunctions.SendTaskSuccess",
    ),
    "pause_queue": (
        "dynamodb.GetItem",
        "dynamodb.Query",
        "dynamodb.UpdateItem",
    ),
}
OUTSIDE = ("start_run", "run_ended", "sweep_queues", "pause_queue")  # of the state machine

# --- the faults -----------------------------------------------------------------------------------
ONCE, MINUTE, TEN_MINUTES = 0, 60, 600
UNTIL_MENDED = None


@dataclass(frozen=True)
class Fault:
    """What a call meets, and for how many seconds: 0 is one call, None until a person mends it."""

    name: str
    lasts: int | None = MINUTE

    def __str__(self) -> str:
        """Return its name and how long it lasts."""
        lasts = {0: "once", MINUTE: "for a minute", TEN_MINUTES: "for ten minutes"}
        return f"{self.name}, {'until mended' if self.lasts is None else lasts[self.lasts]}"


OF_HTTP = (
    Fault("refused connection"),
    Fault("DNS failure"),
    Fault("TLS failure"),
    Fault("reset half way", ONCE),
    Fault("slow first byte", ONCE),
    Fault("stalled", ONCE),
    Fault("202", TEN_MINUTES),
    Fault("204", TEN_MINUTES),
    Fault("302", TEN_MINUTES),
    Fault("401", ONCE),
    Fault("401", UNTIL_MENDED),
    Fault("403", UNTIL_MENDED),
    Fault("404", TEN_MINUTES),
    Fault("409", TEN_MINUTES),
    Fault("429 with Retry-After", TEN_MINUTES),
    Fault("429 without Retry-After", TEN_MINUTES),
    Fault("500"),
    Fault("502 with HTML"),
    Fault("503"),
    Fault("truncated", ONCE),
    Fault("gzip", ONCE),
    Fault("wrong type", TEN_MINUTES),
    Fault("wrong shape", TEN_MINUTES),
    Fault("endless", ONCE),
    Fault("effect done and reply lost", ONCE),
)

OF_AWS = (
    Fault("throttled"),
    Fault("time-out", ONCE),
    Fault("internal error", ONCE),
    Fault("denied", UNTIL_MENDED),
    Fault("effect done and reply lost", ONCE),
)

# What two files in a row end with, and whether that pauses their queue.
IN_A_ROW = {
    (UPLOADS, "token"): True,
    (UPLOADS, "list_executions"): True,
    (UPLOADS, "execute_pipeline"): True,
    (UPLOADS, "upload_dataset"): False,
    (DOWNLOADS, "download_output"): False,
}
TWICE = Fault("404", UNTIL_MENDED)


# --- the rule -------------------------------------------------------------------------------------
GOES_ON, TRIED_AGAIN, WAITED = "goes on", "tried again", "waited for"


@dataclass(frozen=True)
class End:
    """What becomes of the file that meets a fault: `error` ends its run, "" is success.

    Without an error, `how` says what it took; with one, whether the queue `pauses` or goes on.
    """

    error: str = ""
    how: str = GOES_ON
    pauses: bool = False

    def __str__(self) -> str:
        """Return it in words."""
        if not self.error:
            return self.how
        return f"**{self.error}**, the queue {'pauses' if self.pauses else 'goes on'}"


@dataclass(frozen=True)
class Cell:
    """A fault at a call that a function makes."""

    function: str
    call: str
    fault: Fault

    def __str__(self) -> str:
        """Return what a test is called by."""
        return f"{self.function}, {self.call}: {self.fault}"

    @property
    def end(self) -> End:
        """Return what is expected."""
        if (self.function, self.call) in QUANTEMPLATE:
            return _in_quantemplate(self.function, self.call, self.fault)
        return _in_aws(self.function, self.call, self.fault)


def cells() -> Iterator[Cell]:
    """Yield every call times every fault."""
    for function, call in QUANTEMPLATE:
        yield from (Cell(function, call, fault) for fault in OF_HTTP)
    for function, calls in AWS.items():
        for call in calls:
            yield from (Cell(function, call, fault) for fault in OF_AWS)


def _in_quantemplate(function: str, call: str, fault: Fault) -> End:
    """Return the end after a fault at a call of the API."""
    refused = _refused(function, call, fault)
    if refused:
        return refused
    if _harmless(function, call, fault):
        return End()
    asked = fault.name == "429 with Retry-After"  # a download keeps that, and no turn
    return End(how=WAITED if asked or function != DOWNLOADS else TRIED_AGAIN)


def _refused(function: str, call: str, fault: Fault) -> End | None:
    """Return the end where Quantemplate's answer is its last word."""
    held = function != DOWNLOADS  # the turn, whose queue can be paused
    rejected = End("CredentialsRejected", pauses=held and call != "upload_dataset")
    match fault.name, fault.lasts, call:
        case "401", _, "token":
            return rejected
        case "401", None, _:
            return rejected
        case "403", _, "upload_dataset":
            return End("UploadRefused")
        case "403", _, _:
            return End("AccessDenied", pauses=held)
        case "404", _, _ if function == LOOKS:
            return None  # its pipeline has been listed before
        case "404", _, _:
            return End("NotFound")
        case "409", _, "token" | "list_executions" | "download_output":
            return End("RequestRefused")
    return None


def _harmless(function: str, call: str, fault: Fault) -> bool:
    """Whether a run goes on as if nothing had happened."""
    effect_done = (
        "reset half way",
        "stalled",
        "truncated",
        "endless",
        "gzip",  # it is never unpacked: a small one may become anything
        "effect done and reply lost",
    )
    match fault.name, call:
        case "slow first byte", _:
            return True
        case "401", _:  # once, and a new token is taken
            return True
        case "204", "upload_dataset":  # it is one of the answers that say that it was taken
            return True
        case "204", "list_executions" if function != LOOKS:
            return True  # of a pipeline that was never listed: it has no runs
        case name, "execute_pipeline" if name in effect_done:
            return True  # the list shows the run, which is adopted
    return False


def _in_aws(function: str, call: str, fault: Fault) -> End:
    """Return the end after a fault at a call of AWS, all tries of boto3's own included."""
    if function in OUTSIDE:
        return End()
    known = KNOWN.get((function, call, fault.name)) or KNOWN.get((function, call, ""))
    if known:
        return known
    if fault.name != "denied":
        return End(how=TRIED_AGAIN)
    service = call.partition(".")[0]
    if service == "s3":
        return End("OutboxDenied" if function in (DOWNLOADS, PUBLISHES) else "SourceDenied")
    return End("AwsDenied")


LOST = "effect done and reply lost"
KNOWN = {  # what is not as with other calls of its service
    # The file is read while the turn is held.
    (UPLOADS, "s3.GetObject", "denied"): End("SourceDenied"),
    (UPLOADS, "s3.GetObject", ""): End(how=WAITED),
    # The turn's mark stays, which keeps the next try away until it lapses.
    (UPLOADS, "dynamodb.TransactWriteItems", LOST): End(how=WAITED),
    (UPLOADS, "dynamodb.UpdateItem", "throttled"): End(how=WAITED),
    # The sweep grants the turn that has been given back.
    (LOOKS, "dynamodb.TransactWriteItems", "denied"): End(how=TRIED_AGAIN),
    (LOOKS, "stepfunctions.SendTaskSuccess", "denied"): End(how=TRIED_AGAIN),
    # The execution has been answered, whatever becomes of the function.
    ("take_turn", "stepfunctions.SendTaskSuccess", LOST): End(),
    # What is left of an upload is removed by the bucket's lifecycle.
    (DOWNLOADS, "s3.AbortMultipartUpload", ""): End(how=TRIED_AGAIN),
    # Each copy that fails is named; the others are there.
    **{
        (PUBLISHES, f"s3.{operation}", "denied"): End("DestinationFailed")
        for operation in (
            "HeadObject",
            "CreateMultipartUpload",
            "UploadPartCopy",
            "CompleteMultipartUpload",
        )
    },
}

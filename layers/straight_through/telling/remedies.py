"""What a person does about each error that ends a run, and the states at which it does."""

from collections.abc import Mapping
from dataclasses import dataclass

from quantemplate import errors as refused
from straight_through import errors
from straight_through.errors import StraightThroughError

# What the steps of a remedy are called where nobody knows a command for them.
WORDS = {
    "redrive": "redrive the run",
    "drop": "drop the file again",
    "rerun": "start a new run with the same input",
    "release": 'start a new run with {"release": "<run>"} (stp release <run>)',
    "attach": "follow its execution in a new run: `stp rerun --attach RUN`",
    "add": "add the route",
    "mend": "mend the route",
    "logs": "look at the functions' log",
    "queue": "see what holds the queue up",
    "held": "see what lies under held/",
}
FIREWALL = (
    "A firewall or proxy on the way refuses it: ask who runs that, with the words of its page"
)
UNNAMED = "Mend the cause that the message names, or {logs}; then {redrive}."

# The states, by what they do.
READS_THE_FILE = ("CheckFile", "TakeTurn", "UploadAndExecute")
ASKS_QUANTEMPLATE = ("UploadAndExecute", "CheckStatus", "DownloadOutput")
READS_THE_ROUTE = ("CheckFile", "TakeTurn", "UploadAndExecute", "CheckStatus", "PublishRun")
WRITES_THE_OUTBOX = ("UploadAndExecute", "DownloadOutput", "PublishRun")
ANY = ("CheckFile", "TakeTurn", "UploadAndExecute", "CheckStatus", "DownloadOutput", "PublishRun")


@dataclass(frozen=True)
class Remedy:
    """At which states an error ends a run, and what to do; `{redrive}` and others are steps.

    `in_quantemplate`: why it came can be seen there alone, on the pipeline's page.
    """

    at: tuple[str, ...]
    todo: str
    in_quantemplate: bool = False


REMEDIES: dict[type[StraightThroughError], Remedy] = {
    errors.NoRoute: Remedy(
        READS_THE_ROUTE,
        "If the file was dropped into a wrong folder, drop it into one that has a route; else "
        "{add} and {redrive}.",
    ),
    errors.RouteInvalid: Remedy(READS_THE_ROUTE, "{mend}, then {redrive}."),
    errors.RouteTakesNoFile: Remedy(
        READS_THE_FILE,
        "If the file is to go through a pipeline, {drop} into a folder whose route has a "
        "dataset_id, or give this one a dataset_id and {redrive}.",
    ),
    errors.RouteNeedsFile: Remedy(
        READS_THE_FILE,
        "Drop a file into the route's folder. If it is to run without one, take its dataset_id "
        "away and {redrive}.",
    ),
    errors.NotInSet: Remedy(
        READS_THE_FILE,
        "Drop the file under a name that fits; or mend the route's `set` where it is wrong, and "
        "{rerun}, which gathers the file anew.",
    ),
    errors.RouteConflict: Remedy(
        ("UploadAndExecute",),
        "As the message says: give both routes one `queue` or other ids, or take the dataset out "
        "of `when`; then {redrive}.",
    ),
    errors.WrongFormat: Remedy(
        READS_THE_FILE, "Do what the message says for what the file is, then {drop}."
    ),
    errors.FileTooLarge: Remedy(
        READS_THE_FILE,
        "As the message says: drop it in parts or in another format, or allow more and {redrive}.",
    ),
    errors.TableUnclear: Remedy(
        READS_THE_FILE, "Mend the file and {drop}, or {mend} and {redrive}."
    ),
    errors.UploadRefused: Remedy(
        ("UploadAndExecute",),
        "As the message says: mend the file and {drop}, or let it through and {redrive}.",
    ),
    errors.HeaderMismatch: Remedy(
        READS_THE_FILE, "Mend the file and {drop}, or {mend} and {redrive}."
    ),
    errors.OutputMissing: Remedy(
        ("CheckStatus", "PublishRun"),
        "As the message says: {mend} and {redrive}; or mend the pipeline and {rerun}; or, to fetch "
        "an output anew, {attach}.",
        in_quantemplate=True,
    ),
    errors.OutputsTooMany: Remedy(
        ("CheckStatus",), "Name fewer in the route's field `outputs`, then {redrive}."
    ),
    errors.DestinationClash: Remedy(
        ("PublishRun",), "Let the route's destination hold {{output}}, then {redrive}."
    ),
    errors.DestinationFailed: Remedy(
        ("PublishRun",),
        "Allow the copies or {mend}, then {redrive}: it makes those copies only.",
    ),
    errors.ChainCycle: Remedy(("PublishRun",), "Take a link out of a route, then {redrive}."),
    errors.ReleaseRefused: Remedy(
        ("PublishRun",), "Nothing, if it was released already; else {held}."
    ),
    errors.EmptyFile: Remedy(("CheckFile", "TakeTurn"), "Look why it is empty, then {drop}."),
    errors.SourceNotFound: Remedy(READS_THE_FILE, "If the file is still wanted, {drop}."),
    errors.SourceDenied: Remedy(
        READS_THE_FILE, "Let the file be read as the message says and {redrive}, or {drop}."
    ),
    errors.InputInvalid: Remedy(
        ("CheckFile", "TakeTurn", "PublishRun"),
        'Start a new run with an input like {{"bucket": "…", "key": "…"}}, or {drop}.',
    ),
    errors.CredentialsMissing: Remedy(
        ASKS_QUANTEMPLATE,
        "Restore the secret (aws secretsmanager restore-secret) if it is marked for deletion, put "
        "the client id and secret into it (put-secret-value); then {redrive}.",
    ),
    errors.CredentialsRejected: Remedy(
        ASKS_QUANTEMPLATE,
        "Do what the message says of the client id and its secret, then {redrive}.",
    ),
    errors.AccessDenied: Remedy(
        ASKS_QUANTEMPLATE,
        'As the message says: share it in "Can edit" mode, {mend}, or have it let through; then '
        "{redrive}.",
    ),
    errors.NotFound: Remedy(
        ASKS_QUANTEMPLATE,
        "As the message says: {mend} or the stack's addresses, and {redrive}; where an execution "
        "is gone, {rerun}.",
    ),
    errors.RequestRefused: Remedy(
        ASKS_QUANTEMPLATE, "Check the addresses and the route's ids, then {redrive}."
    ),
    errors.ExecuteUncertain: Remedy(
        ("UploadAndExecute",),
        "Look in Quantemplate: if an execution is this file's, start a new run with its "
        "execution_id; else {rerun}.",
        in_quantemplate=True,
    ),
    errors.TransferTooSlow: Remedy(
        ("UploadAndExecute", "DownloadOutput"),
        "Make the file or the pipeline's outputs smaller; if it was slow for once, {redrive}.",
    ),
    errors.FunctionKilled: Remedy(("UploadAndExecute",), "{logs}, then {redrive}."),
    errors.PipelineBusy: Remedy(
        ("UploadAndExecute",),
        "Look in Quantemplate; when the other execution has ended, {redrive}. Where the run's "
        "history has no room for that, as `stp redrive` says, {rerun}.",
    ),
    errors.TurnOverdue: Remedy(
        ("TakeTurn",),
        "{queue}, then {redrive}. Where the run's history has no room for that, as "
        "`stp redrive` says, {rerun}.",
    ),
    errors.TurnLost: Remedy(("UploadAndExecute",), "Nothing."),
    errors.PipelineFailed: Remedy(
        ("CheckStatus",),
        "Look in Quantemplate. To run it again, {redrive}; a mended file is dropped anew.",
        in_quantemplate=True,
    ),
    errors.PipelineCancelled: Remedy(
        ("CheckStatus",), "To run it again, {redrive}.", in_quantemplate=True
    ),
    errors.PipelineOverdue: Remedy(
        ("CheckStatus",),
        "Look in Quantemplate; to wait for as long again, {redrive}. Where the run's history has "
        "no room for that, as `stp redrive` says, {attach}.",
        in_quantemplate=True,
    ),
    errors.PipelineEndUnknown: Remedy(
        ("CheckStatus",),
        "Look in Quantemplate how the execution has ended; if the file is to run anew, {rerun}.",
        in_quantemplate=True,
    ),
    errors.Unforeseen: Remedy(
        ANY, "Tell who looks after the stack, who may {logs}; when it is mended, {redrive}."
    ),
    errors.ApiUnavailable: Remedy(ASKS_QUANTEMPLATE, "When Quantemplate is back, {redrive}."),
    errors.ApiThrottled: Remedy(ASKS_QUANTEMPLATE, "When Quantemplate lets you in, {redrive}."),
    errors.SourceUnavailable: Remedy(READS_THE_FILE, "When S3 is back, {redrive}."),
    errors.AwsUnavailable: Remedy(ANY, "When the service is back, {redrive}."),
    errors.AwsDenied: Remedy(
        ANY, "Let the function's role do what the message names (deploy anew), then {redrive}."
    ),
    errors.AwsRefused: Remedy(
        ANY,
        "Mend what AWS's words name (a table that is gone, a key that is disabled); if it is "
        "nothing of that kind, tell who looks after the stack. Then {redrive}.",
    ),
    errors.OutputIncomplete: Remedy(
        ("DownloadOutput",), "Simply {redrive}: only the missing outputs are fetched."
    ),
    errors.OutboxUnavailable: Remedy(WRITES_THE_OUTBOX, "When S3 is back, {redrive}."),
    errors.OutboxDenied: Remedy(WRITES_THE_OUTBOX, "Allow what the message names, then {redrive}."),
}
_BY_NAME = {error.__name__: remedy for error, remedy in REMEDIES.items()}


def what_to_do(error: str | None, steps: Mapping[str, str] = WORDS) -> str:
    """Return what a person does about an error of this name, AWS's own names included.

    `steps` says how each of the steps of `WORDS` is called there, a command for instance.
    """
    known = _BY_NAME.get(error or "")
    told = (known.todo if known else UNNAMED).format(**steps)
    return told[0].upper() + told[1:]


def is_seen_in_quantemplate(error: str | None) -> bool:
    """Whether an error of this name is one whose cause Quantemplate alone shows."""
    known = _BY_NAME.get(error or "")
    return known is not None and known.in_quantemplate


def advice(error: refused.QuantemplateError) -> str:
    """Return what a person does about this very answer of Quantemplate, "" where that is to wait.

    By its class, its call and whether a web page came: who refuses is not always Quantemplate.
    """
    if error.call == "token":
        return _of_the_token_server(error)
    upload = error.call == "upload_dataset"
    match error:
        case refused.Unauthorized():
            return (
                "See whether the stack's parameters QuantemplateApiUrl and QuantemplateTokenUrl "
                "belong together, and ask Quantemplate whether the client id may use the API; then "
                "redrive the run."
            )
        case refused.Forbidden(page=True) if upload:
            return (
                f"{FIREWALL}: something in this file's bytes displeases it, and the next file may "
                "pass. When it lets the file through, redrive the run."
            )
        case refused.Forbidden(page=True):
            return f"{FIREWALL}; then redrive the run."
        case refused.Forbidden():
            return "Share it or mend the id, which is in the route; then redrive the run."
        case refused.NotFound(page=True):
            return (
                "Check the API's address, the stack's parameter QuantemplateApiUrl; then redrive "
                "the run."
            )
        case refused.NotFound():
            return "Mend it in the route, then redrive the run."
        case refused.Refused() if upload:
            return "Mend it and drop it again."
        case refused.Refused() if error.status:
            return (
                "Check the API's address, which is the stack's parameter QuantemplateApiUrl, and "
                "the ids in the route; then redrive the run."
            )
    return ""


def _of_the_token_server(error: refused.QuantemplateError) -> str:
    """Return what a person does where no token was given."""
    match error:
        case refused.Unauthorized():
            return "Put the right ones into the secret, then redrive the run."
        case refused.NotFound() | refused.Refused():
            return (
                "Check that address, which is the stack's parameter QuantemplateTokenUrl; then "
                "redrive the run."
            )
        case refused.Forbidden(page=True):
            return (
                f"{FIREWALL}. The client id and secret were not looked at. When it lets them pass, "
                "redrive the run."
            )
        case refused.Forbidden():
            return "Ask who runs it, with its words; then redrive the run."
    return ""

"""What people and other systems are told of a run that has ended."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import quote

from straight_through.aws import answering
from straight_through.end_facts import Facts
from straight_through.execution_input import typed
from straight_through.moments import from_iso, iso
from straight_through.queue.items import RunRecord
from straight_through.run_state import HeldOutput, Result, SetState
from straight_through.statuses import GATHERED, HELD, REPLACED, SKIPPED, SUCCEEDED
from straight_through.telling.remedies import WORDS, is_seen_in_quantemplate, what_to_do
from straight_through.text import shown, told

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef
    from mypy_boto3_sns import SNSClient

SOURCE, DETAIL_TYPE = "straight-through", "Run Ended"
SCHEMA = 2  # of the event: since 2 it has the cause of a run without a file
LONGEST_KEY = 1024  # characters of a key, which S3 takes no longer: what was typed may be
MOST_NAMED = 8  # outputs that a message names
LONGEST_NAME = 60  # characters of each of them
LONGEST_WORDS = 2048  # bytes of an error's own message in one that has more lines
LONGEST_SUBJECT = 99  # characters: "less than 100 characters long", SNS's documentation
ENDS = {"SUCCEEDED": SUCCEEDED, "FAILED": "Failed", "TIMED_OUT": "TimedOut", "ABORTED": "Aborted"}
NEXT = {
    "TimedOut": "Look in the run's history where it stood, then {redrive}.",
    "Aborted": "Somebody stopped the run. To go on, {redrive}.",
    HELD: "Look at what holds it. To publish it all the same, {release}.",
    SKIPPED: "Nothing: the same bytes were processed before.",
    REPLACED: "Nothing: the file was empty at first, or one of a set, and a newer one is there.",
    GATHERED: "Nothing: its set runs when the last of its files has come. Which wait: stp sets",
    SUCCEEDED: "Nothing.",
}
OTHERS = (
    "Within this hour no more messages come of files in this folder that find no route. All of "
    "them: stp runs --failed"
)
# Where the console of each partition of AWS is, after the region's name.
CONSOLES = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}
# What a remedy's step is where Step Functions redrives no more: after 14 days, or 24,998 events.
NO_REDRIVE = (
    "start a new run, since this one can no longer be redriven: with its execution_id, if it has "
    "made an execution (`stp rerun --attach <run>`), else with the same input"
)
# Errors of an execution that has ended: one that follows it would end alike.
ENDED_BADLY = ("PipelineFailed", "PipelineCancelled", "PipelineEndUnknown")
ANEW = "start a new run with the same input, since this one can no longer be redriven"
NOTHING: Mapping[str, str] = MappingProxyType({})
NO_OUTPUTS = "Look in Quantemplate why the run made no outputs, if it should have made some."


class TellPeople(Protocol):
    """Sends a message with a subject; `about` are the attributes that filters choose by."""

    def __call__(self, subject: str, text: str, about: Mapping[str, str] = NOTHING) -> None:
        """Send it. Raises AwsUnavailable, AwsDenied."""


@dataclass(frozen=True)
class Ended:
    """A status change of an execution, as its EventBridge event has it; times in milliseconds."""

    run: str
    execution_arn: str
    status: str
    redrive_count: int
    error: str
    cause: str
    started: int
    stopped: int
    input: str
    output: str
    redrivable: bool = True

    @property
    def result(self) -> Result:
        """What the execution returned; empty for one that ended badly."""
        ended_well = self.status == "SUCCEEDED" and self.output
        return cast("Result", dict(json.loads(self.output))) if ended_well else {}

    @property
    def releases(self) -> str:
        """The held run that the execution was to release, if it was to."""
        return str(typed(self.input).get("release", ""))


def ended_of(detail: dict[str, Any]) -> Ended:
    """Return the status change of an event's detail."""
    return Ended(
        run=detail["name"],
        execution_arn=detail["executionArn"],
        status=detail["status"],
        redrive_count=detail.get("redriveCount") or 0,
        error=detail.get("error") or "",
        cause=detail.get("cause") or "",
        started=detail["startDate"],
        stopped=detail["stopDate"],
        input=detail.get("input") or "{}",
        output=detail.get("output") or "",
        redrivable=detail.get("redriveStatus") != "NOT_REDRIVABLE",
    )


def facts_of(
    ended: Ended, record: RunRecord, steps: Mapping[str, str] = WORDS, pipeline_page: str = ""
) -> Facts:
    """Return what is told of an ended run; `run_ended.schema.json` describes it.

    `record` is the run's own, or that of the run that it was to release; `steps` says how each of
    the steps of `WORDS` is called there; `pipeline_page` how the address of a pipeline's page in
    Quantemplate is made, "" where nobody has said.
    """
    result = ended.result
    status = result.get("status") or ENDS.get(ended.status, ended.status)
    source = record.get("source") or typed(ended.input)
    post = {} if ended.releases else record.get("posted", {})
    made: Mapping[str, Any] = record.get("execution") or {}
    region = ended.execution_arn.split(":")[3]
    manifest = result.get("manifest", "")
    no_outputs = bool(result.get("no_outputs"))
    if not ended.redrivable:
        steps = {**steps, "redrive": ANEW if ended.error in ENDED_BADLY else NO_REDRIVE}
    known = NO_OUTPUTS if no_outputs else NEXT.get(status)
    following = known.format(**steps) if known else what_to_do(ended.error, steps)
    facts: Facts = {
        "schema": SCHEMA,
        "run": ended.run,
        "attempt": ended.redrive_count + 1,
        "status": status,
        "error": ended.error or None,
        "message": told(message_of(ended.cause)) or None,
        "route": result.get("route") or record.get("route"),
        "cause": result.get("cause") or record.get("cause"),
        "file": {
            "bucket": _key(source.get("bucket")),
            "key": _key(source.get("key")),
            "version_id": _key(source.get("version_id")),
        },
        "started_at": _moment(ended.started),
        "ended_at": _moment(ended.stopped),
        "waited_seconds": _seconds(_moment(ended.started), post.get("granted_at")),
        "ran_seconds": result.get("ran_seconds"),
        "pipeline_version": result.get("pipeline_version", made.get("pipeline_version")),
        "pipeline_version_before": result.get(
            "pipeline_version_before", made.get("pipeline_version_before")
        ),
        "rows_in": result.get("rows_in"),
        "rows_in_reason": result.get("rows_in_reason"),
        "rows_out": result.get("rows_out", {}),
        "held": result.get("held", []),
        "no_outputs": no_outputs,
        "left_out": result.get("left_out", 0),
        "identical_to": result.get("identical_to"),
        "outputs": f"s3://{result['bucket']}/{manifest.rpartition('/')[0]}/" if manifest else None,
        "next": following.replace("<run>", ended.run),
        "execution_arn": ended.execution_arn,
        "console": (
            f"{console_of(ended.execution_arn)}/states/home?region={region}"
            f"#/v2/executions/details/{ended.execution_arn}"
        ),
    }
    if of_set := _set_of(result, record):
        facts["set"] = of_set
    ids = next((each for each in (made, post) if "pipeline_id" in each), None)
    if pipeline_page and ids and (no_outputs or is_seen_in_quantemplate(ended.error)):
        facts["pipeline_page"] = _address_of(pipeline_page, ids)
    return facts


def _address_of(page: str, ids: Mapping[str, Any]) -> str:
    """Return the address of a pipeline's page, by how the stack's operator says it is made."""
    for name in ("organisation_id", "pipeline_id"):
        page = page.replace(f"{{{name}}}", quote(str(ids.get(name)), safe=""))
    return page


def _set_of(result: Result, record: RunRecord) -> SetState | None:
    """Return which set a run is of, None for a run of none."""
    known = result.get("set") or record.get("set")
    if known is None:
        return None
    return {
        "period": known["period"],
        "version": known["version"],
        "missing": known["missing"],
    }


def set_told(known: SetState | None) -> str | None:
    """Say which set a run is of, and who is missing; None for a run of none."""
    if known is None:
        return None
    missing = [f"'{shown(each, LONGEST_NAME)}'" for each in known["missing"]]
    version = f", version {known['version']}" if known["version"] else ""
    how = "without" if known["version"] else "waits for"
    without = f", {how} {first_of(missing)}" if missing else ""
    return f"{shown(known['period'])}{version}{without}"


def console_of(arn: str) -> str:
    """Return the address of the AWS console that shows what has this ARN."""
    _, partition, _, region, *_ = arn.split(":")
    return f"https://{region}.{CONSOLES.get(partition, 'console.aws.amazon.com')}"


def message_of(cause: str) -> str:
    """Return the message of a cause: Lambda's is a JSON document around it."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return cause


def concerns_people(facts: Facts, notify: str) -> bool:
    """Whether people are told: of what needs them, and of what was done if the route says so."""
    if facts["status"] in (REPLACED, GATHERED):
        return False  # they are told of the run that goes on instead
    return facts["status"] not in (SUCCEEDED, SKIPPED) or notify == "always"


def finds_no_route(facts: Facts) -> bool:
    """Whether a file was dropped where there is no route; a chain may lead to none too."""
    return bool(facts["error"] == "NoRoute" and not facts["route"] and facts["file"]["key"])


def hour_of_folder(facts: Facts) -> str:
    """Return the folder and the hour of an end: of files without a route one message is sent.

    An inbox that is used for other things may have thousands of them.
    """
    folder = (facts["file"]["key"] or "").rpartition("/")[0]
    digest = hashlib.sha256(folder.encode()).hexdigest()[:20]  # a key of the table has 1,024 bytes
    return f"{facts['error']} {facts['ended_at'][:13]} {digest}"


def caused_by(cause: Mapping[str, Any] | None) -> str | None:
    """Say what has caused a run without a file, None for any other."""
    match cause:
        case {"by": "hand"}:
            return "somebody started it by hand"
        case {"at": str(moment)}:
            return shown(f"its schedule, due at {moment}")
        case {"updated": [*ids]}:
            return f"updates of {first_of([shown(str(each), LONGEST_NAME) for each in ids])}"
    return None


def subject_of(facts: Facts) -> str:
    """Return a message's subject: what happened to which file, or to which run without one."""
    error = f" ({shown(facts['error'], 60)})" if facts["error"] else ""
    key = shown(facts["file"]["key"] or facts["run"], 8 * LONGEST_KEY)
    what = f"{facts['status']}{error}: "
    room = max(LONGEST_SUBJECT - len(what), 0)
    # A long key is cut at its start: the file's name stands at its end.
    return what + (key if len(key) <= room else f"…{key[len(key) - room + 1 :]}")


def text_of(facts: Facts) -> str:
    """Return a message's text, to be read at a glance; what others have named forges no line."""
    file, twin, left_out = facts["file"], facts["identical_to"], facts["left_out"]
    file_uri = f"s3://{file['bucket']}/{file['key']}"
    lines = {
        "What": facts["status"] + (f" with {shown(facts['error'])}" if facts["error"] else ""),
        "File": shown(file_uri, LONGEST_KEY) if file["key"] else "none",
        "Run": shown(facts["run"]),
        "Caused by": caused_by(facts.get("cause")),
        "Set": set_told(facts.get("set")),
        "Route": facts["route"],
        "Message": told(facts["message"] or "", LONGEST_WORDS),
        "Held because": first_of(held_because(facts["held"])),
        "Same bytes as": (
            shown(f"{twin['key']} (run {twin['run']}, {twin['at']})", LONGEST_KEY) if twin else None
        ),
        "Waited": _duration(facts["waited_seconds"]),
        "Ran": _duration(facts["ran_seconds"]),
        "Processed by": processed_by(facts),
        "Rows in": rows_in(facts["rows_in"], facts["rows_in_reason"]),
        "Rows out": first_of(rows_out(facts["rows_out"])),
        "Not listed": f"{left_out:,} more: see manifest.json" if left_out else None,
        "Outputs": "none: the run made no outputs" if facts["no_outputs"] else facts["outputs"],
        "Next": facts["next"],
        "Pipeline": facts.get("pipeline_page"),
        "Others": OTHERS if finds_no_route(facts) else None,
        "Execution": facts["console"],
    }
    texts = {name: text.replace("\n", "\n" + " " * 15) for name, text in lines.items() if text}
    return "\n".join(f"{name + ':':14} {text}" for name, text in texts.items())


def held_because(held: Iterable[HeldOutput]) -> list[str]:
    """Return why each output, or the file, holds a run."""
    return [
        f"'{shown(each['name'], LONGEST_NAME)}' "
        + (
            f"cannot be counted: {each.get('reason', 'nobody knows why')}"
            if each["rows"] is None
            else f"has {each['rows']:,} row" + "s" * (each["rows"] != 1)
        )
        + (f"; expected are at least {each['fewer_than']:,}" if "fewer_than" in each else "")
        for each in held
    ]


def processed_by(facts: Facts | dict[str, Any]) -> str | None:
    """Return by which revision of its pipeline a run was processed, and whether it is another one.

    None where Quantemplate has told none.
    """
    version, before = facts.get("pipeline_version"), facts.get("pipeline_version_before")
    if version is None:
        return None
    changed = f", before: {before}" if before is not None and before != version else ""
    return f"revision {version}{changed}"


def rows_out(rows_by_name: Mapping[str, int | None]) -> list[str]:
    """Return how many rows each output has."""
    return [
        ("not counted" if rows is None else f"{rows:,}") + f" in '{shown(name, LONGEST_NAME)}'"
        for name, rows in rows_by_name.items()
    ]


def rows_in(rows: int | None, reason: str | None) -> str | None:
    """Return how many rows the file has, None for one that has none to count."""
    if rows is not None:
        return f"{rows:,}"
    return f"not counted: {reason}" if reason else None


def first_of(texts: list[str], most: int = MOST_NAMED) -> str:
    """Return the first of many texts, and how many more there are."""
    more = f" … and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def put_event(events: "EventBridgeClient", facts: Facts) -> None:
    """Tell other systems, on the account's default event bus. Raises AwsUnavailable, AwsDenied."""
    entry: PutEventsRequestEntryTypeDef = {
        "Source": SOURCE,
        "DetailType": DETAIL_TYPE,
        "Detail": _encodable(json.dumps(facts, ensure_ascii=False)),
        "Resources": [facts["execution_arn"]],
    }
    with answering("EventBridge"):
        answer = events.put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        raise RuntimeError(f"The event was not taken: {answer['Entries'][0].get('ErrorCode')}")


def attributes_of(facts: Facts) -> dict[str, str]:
    """Return the attributes by which a subscription's filter chooses: status, route, error."""
    found = {"status": facts["status"], "route": facts["route"], "error": facts["error"]}
    return {name: shown(value, LONGEST_KEY) for name, value in found.items() if value}


def tell(
    sns: "SNSClient", topic_arn: str, subject: str, text: str, about: Mapping[str, str] = NOTHING
) -> None:
    """Tell people, by whatever is subscribed to the topic. Raises AwsUnavailable, AwsDenied.

    `about` are the message's attributes. Over HTTPS goes what Amazon Q Developer shows in a chat:
    it shows no other text ("Custom notifications", Amazon Q Developer in chat applications).
    """
    subject, text = shown(subject, LONGEST_SUBJECT), told(text)
    content = {"textType": "client-markdown", "title": _bare(subject), "description": _bare(text)}
    in_chat = {"version": "1.0", "source": "custom", "content": content}
    forms = {"default": text, "https": json.dumps(in_chat)}
    with answering("SNS"):
        sns.publish(
            TopicArn=topic_arn,
            Subject=subject,
            Message=json.dumps(forms),
            MessageStructure="json",
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in about.items()
            },
        )


def _bare(text: str) -> str:
    """Return a text that mentions nobody in a chat, whatever others have named."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _key(typed_in: object) -> str | None:
    """Return a key as it is; of one that no object can have, the ends.

    What a person has typed may be anything: None where it is no text.
    """
    if not isinstance(typed_in, str):
        return None
    return typed_in if len(typed_in) <= LONGEST_KEY else shown(typed_in, LONGEST_KEY)


def _encodable(document: str) -> str:
    """Return a document that has no surrogate alone, which no encoding takes."""
    return document.encode("utf-8", "replace").decode()


def _moment(milliseconds: int) -> str:
    """Return a moment in ISO 8601."""
    return iso(datetime.fromtimestamp(milliseconds / 1000, UTC))


def _seconds(start: str, end: str | None) -> float | None:
    """Return the seconds between two moments, None where one is not known."""
    if not end:
        return None
    between = from_iso(end) - from_iso(start)
    return max(round(between.total_seconds(), 1), 0.0)


def _duration(seconds: float | None) -> str | None:
    """Return seconds as people say them."""
    if seconds is None:
        return None
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes)
    return " ".join([*parts, *([f"{rest} s"] if rest or not parts else [])])

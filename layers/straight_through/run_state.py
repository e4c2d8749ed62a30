"""What travels between the states of one run, each shape once; the JSON keys are as the names here.

The state machine carries a run's state as it is and reads of it only `status`, `wait_seconds`,
`outputs` and what each output is fetched with. Moments are ISO 8601 in UTC. Executions carry it
across updates: what is read may be another release's, so that no field that is unknown may harm.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NotRequired, TypedDict, TypeVar, cast

SCHEMA = 2  # of what travels and what lies in the table; release 1.0.0 has written none
Kind = TypeVar("Kind")


def of_any_release(kind: type[Kind], found: Mapping[str, Any]) -> Kind:
    """Return a dataclass with those of its fields that are there; others are ignored.

    Raises TypeError where one is missing that has no default.
    """
    names = [field.name for field in fields(cast("Any", kind))]
    return kind(**{name: found[name] for name in names if name in found})


class FileState(TypedDict):
    """What CheckFile returns; the Choice after it reads `status`."""

    run: str
    route: str
    status: str  # CHECKED, EMPTY, REPLACED or GATHERED
    wait_seconds: int  # until the next look, where it is EMPTY
    set: NotRequired["SetState"]  # of a route with a set


class TurnState(TypedDict):
    """A turn that was granted: whoever passes it on answers TakeTurn's token with it."""

    queue: str
    turn_id: str


class Parent(TypedDict):
    """The run whose output was dropped by a chain, and the routes that its file came through."""

    run: str
    key: str
    output: str
    path: list[str]


class Cause(TypedDict, total=False):
    """What has caused a run without a file: one of `by`, `updated` and `at`."""

    by: str  # "hand"
    updated: list[str]  # the ids of the datasets
    events: list[str]  # the ids of the events that told it
    at: str  # the moment of a schedule


class SetState(TypedDict):
    """Which set a run is of, as it is told."""

    period: str
    version: int  # of which the run is; 0 for a member that waits for others
    missing: list[str]  # the patterns of the members that have not come


class DroppedFile(TypedDict):
    """The dropped object, pinned to one version; CheckFile notes it."""

    bucket: str
    key: str
    version_id: str | None  # None in a bucket without versions
    size: int  # bytes
    etag: str
    dropped_at: str
    parent: Parent | None  # None for a file from outside
    period: NotRequired[str]  # of a set's run: what its outputs are named by


class Measures(TypedDict):
    """What is known of bytes that went by; None is what is not known of them."""

    sha256: str | None
    rows: int | None  # of data, the header is none
    rows_reason: NotRequired[str]  # why the rows of a text are not counted


class MeasuresOfUpload(Measures):
    """The measures of a dropped file, and what was made of it by a route with a table."""

    prepared: NotRequired[Mapping[str, object]]  # files/prepared.py's
    members: NotRequired[list["Measures"]]  # of a set's run, in the order of its members


class MeasuredFile(DroppedFile, Measures):
    """The dropped object as it went up; UploadAndExecute measures it."""


class MeasuredMember(DroppedFile, Measures):
    """A member of a set as it went up; UploadAndExecute measures it."""

    file: str  # the pattern
    dataset_id: str
    run: str  # that has gathered it


class ExecutionState(TypedDict):
    """Quantemplate's execution, and the ids with which it was made; by UploadAndExecute."""

    organisation_id: str
    dataset_id: str | None  # None for a run without a file, and for a set's
    pipeline_id: str
    execution_id: str
    run_number: int
    created_at: str | None  # these times are Quantemplate's own words
    started_at: NotRequired[str | None]  # by CheckStatus
    finished_at: NotRequired[str | None]
    pipeline_version: NotRequired[int | None]  # its revision; release 1.0.0 has told neither
    pipeline_version_before: NotRequired[int | None]  # that of the route's run before


class DuplicateOf(TypedDict):
    """An earlier run of the route that had the same bytes."""

    run: str
    key: str
    at: str


class Interrupted(TypedDict):
    """A wait that an API which does not answer interrupts."""

    kind: str
    since: str


# What is waited for, by UploadAndExecute or CheckStatus; "for" says it in words.
Waiting = TypedDict(
    "Waiting",
    {
        "kind": str,
        "since": str,
        "until": str,  # the deadline
        "redrive_count": int,  # of the attempt that waits
        "for": str,
        "interrupts": NotRequired[Interrupted],
        "first": NotRequired[str],  # since when this attempt waits, for this or for what was before
        "noted": NotRequired[bool],  # whether the sweep is to tell of it
    },
)


class Listening(TypedDict):
    """How a run waits where Quantemplate's events are taken; CheckStatus's."""

    pk: NotRequired[str]  # of the item for the task token, where the next wait is a callback
    heard: str  # the last event that was noted before the last look, "" for none
    announced: int  # how many of the pipeline's ends before this one, in a row, were announced
    callbacks: int  # so far: a history has an end
    early: int  # looks that are still to follow soon, after an event that announced no end
    series: int  # how many events have announced no end


class OutputToFetch(TypedDict):
    """One output of the execution; CheckStatus names them."""

    id: str
    name: str
    file_name: str


class StoredBytes(Measures):
    """What was stored of one output."""

    bytes: int


class StoredOutput(StoredBytes):
    """One output in the outbox, as DownloadOutput returns it and the manifest has it."""

    id: str
    name: str
    key: str


class HeldOutput(TypedDict):
    """What holds a run at its gate: an output, or the file, which has too few rows."""

    name: str
    rows: int | None
    reason: NotRequired[str]  # why they are not counted
    fewer_than: NotRequired[int]  # rows that the route expects of the file, which has this name


class Exported(TypedDict):
    """A copy that was written, or left since a newer one is there."""

    output: str
    uri: str
    outcome: str  # "Copied" or "Superseded"


class Chained(TypedDict):
    """An output that was dropped into another route's folder."""

    route: str
    output: str
    key: str


class RunState(TypedDict, total=False):
    """A run on its way: TakeTurn's answer, and what each later function adds.

    Release 1.0.0 has written no `schema`, `executed_at`, `seen` and `prepared`.
    """

    schema: int  # of the release that wrote it
    turn: TurnState | None  # None for a run that follows an execution which exists
    run: str
    execution_arn: str
    order: str  # its place among others, a text that sorts
    route: str
    source: MeasuredFile | None  # None for a run without a file
    cause: Cause | None  # of a run without a file; None for any other
    started_at: str  # of a run without a file
    set: SetState  # of a set's run; so too the next
    members: list[MeasuredMember]
    prepared: Mapping[str, object]  # of the table that was made, by files/prepared.py
    quantemplate: ExecutionState | None  # None for a file that is skipped
    after: int  # the highest number of an execution that was seen before its own
    executed_at: str | None  # when Execute was sent, by our own clock
    seen: int  # the highest number that a look has shown since
    identical_to: DuplicateOf | None
    status: str
    wait_seconds: int
    waiting: Waiting
    listening: Listening  # where events are taken
    outputs: list[OutputToFetch] | list[StoredOutput]  # the latter after DownloadOutput
    gated: bool  # whether they go to held/ first
    not_ours: str | None  # the id of another's execution that followed our upload
    inbox: str  # the stack's; this and what follows by PublishRun
    held: list[HeldOutput]
    destinations: list[Exported]
    chained: list[Chained]


def named(run: str, route: str | None, source: Mapping[str, Any] | None) -> str:
    """Name a run in a message: by its file, or where it has none by itself; and by its route."""
    what = f"file s3://{source['bucket']}/{source['key']}" if source else f"run {run}"
    return f"{what}, route {route}" if route else what


def named_by(state: RunState) -> str:
    """Name the run of a state in a message."""
    return named(state["run"], state["route"], state["source"])


def key_of(state: RunState) -> str | None:
    """Return the key of a run's file, None where it has none."""
    return state["source"]["key"] if state["source"] else None


def named_key(route: str, source: Mapping[str, Any] | None) -> str | None:
    """Return the key that a run's outputs are named by: its file's, or one made of its period."""
    if source is None:
        return None
    return f"{route}/{source['period']}.csv" if source.get("period") else str(source["key"])


def began_of(state: RunState) -> str:
    """Return when a run's file was dropped, or when a run without one was started."""
    return state["source"]["dropped_at"] if state["source"] else state["started_at"]


def inbox_of(state: RunState) -> str:
    """Return the bucket that a run's file came from, or that of a run without one may chain to."""
    return state["source"]["bucket"] if state["source"] else state.get("inbox", "")


def stored(state: RunState) -> list[StoredOutput]:
    """Return the outputs of a run once they were fetched."""
    return cast("list[StoredOutput]", state.get("outputs", []))


class OutputState(TypedDict):
    """What DownloadOutput is given of a run for one of its outputs."""

    output: OutputToFetch
    run: str
    route: str
    source: MeasuredFile | None  # None for a run without a file
    gated: bool
    quantemplate: ExecutionState
    may_wait: NotRequired[bool]  # a definition of 1.0.0 does not know the wait
    waiting_since: NotRequired[str]
    wait_seconds: NotRequired[int]


class Asked(TypedDict):
    """The wait that a server has asked for while an output was fetched."""

    waiting_since: str
    wait_seconds: int


class Result(TypedDict, total=False):
    """What an execution returns: PublishRun's, which RunEnded reads and `run_ended` events tell."""

    run: str
    route: str
    status: str
    bucket: str  # the outbox
    manifest: str  # its key
    notify: str
    queue: str
    ran_seconds: float | None
    pipeline_version: int | None
    pipeline_version_before: int | None
    rows_in: int | None
    rows_in_reason: str
    rows_out: dict[str, int | None]  # by the outputs' names
    exported: int
    chained: int
    held: list[HeldOutput]
    left_out: int  # of rows_out and held, which must fit into a state
    identical_to: DuplicateOf | None
    cause: Cause | None  # of a run without a file
    set: SetState  # of a set's run, or a member of one
    no_outputs: bool
    not_ours: str | None

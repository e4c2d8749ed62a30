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
    status: str  # CHECKED, EMPTY or REPLACED
    wait_seconds: int  # until the next look, where it is EMPTY


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


class DroppedFile(TypedDict):
    """The dropped object, pinned to one version; CheckFile notes it."""

    bucket: str
    key: str
    version_id: str | None  # None in a bucket without versions
    size: int  # bytes
    etag: str
    dropped_at: str
    parent: Parent | None  # None for a file from outside


class Measures(TypedDict):
    """What is known of bytes that went by; None is what is not known of them."""

    sha256: str | None
    rows: int | None  # of data, the header is none
    rows_reason: NotRequired[str]  # why the rows of a text are not counted


class MeasuresOfUpload(Measures):
    """The measures of a dropped file, and what was made of it by a route with a table."""

    prepared: NotRequired[Mapping[str, object]]  # files/prepared.py's


class MeasuredFile(DroppedFile, Measures):
    """The dropped object as it went up; UploadAndExecute measures it."""


class ExecutionState(TypedDict):
    """Quantemplate's execution, and the ids with which it was made; by UploadAndExecute."""

    organisation_id: str
    dataset_id: str
    pipeline_id: str
    execution_id: str
    run_number: int
    created_at: str | None  # these times are Quantemplate's own words
    started_at: NotRequired[str | None]  # by CheckStatus
    finished_at: NotRequired[str | None]


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
    """An output that holds a run at its gate."""

    name: str
    rows: int | None
    reason: NotRequired[str]  # why they are not counted


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
    source: MeasuredFile
    prepared: Mapping[str, object]  # of the table that was made, by files/prepared.py
    quantemplate: ExecutionState | None  # None for a file that is skipped
    after: int  # the highest number of an execution that was seen before its own
    executed_at: str | None  # when Execute was sent, by our own clock
    seen: int  # the highest number that a look has shown since
    identical_to: DuplicateOf | None
    status: str
    wait_seconds: int
    waiting: Waiting
    outputs: list[OutputToFetch] | list[StoredOutput]  # the latter after DownloadOutput
    gated: bool  # whether they go to held/ first
    not_ours: str | None  # the id of another's execution that followed our upload
    held: list[HeldOutput]  # this and what follows by PublishRun
    destinations: list[Exported]
    chained: list[Chained]


def stored(state: RunState) -> list[StoredOutput]:
    """Return the outputs of a run once they were fetched."""
    return cast("list[StoredOutput]", state.get("outputs", []))


class OutputState(TypedDict):
    """What DownloadOutput is given of a run for one of its outputs."""

    output: OutputToFetch
    run: str
    route: str
    source: MeasuredFile
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
    rows_in: int | None
    rows_in_reason: str
    rows_out: dict[str, int | None]  # by the outputs' names
    exported: int
    chained: int
    held: list[HeldOutput]
    left_out: int  # of rows_out and held, which must fit into a state
    identical_to: DuplicateOf | None
    no_outputs: bool
    not_ours: str | None

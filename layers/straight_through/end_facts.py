"""What is told of the end of a run, each shape once; the JSON keys are as the names here.

`run_ended.schema.json` describes the facts to other systems. Moments are ISO 8601 in UTC. What was
noted to be told is JSON in the table, and may be told by the next release.
"""

from typing import NotRequired, TypedDict

from straight_through.run_state import Cause, DuplicateOf, HeldOutput, Parent, SetState


class FileNamed(TypedDict):
    """The object that was dropped, as far as an input names one."""

    bucket: str | None
    key: str | None
    version_id: str | None


class Facts(TypedDict):
    """What people and other systems are told of an end."""

    schema: NotRequired[int]  # release 1.0.0 has noted none
    run: str
    attempt: int  # from 1 on
    status: str  # one of `statuses`, or how Step Functions has ended it
    error: str | None
    message: str | None
    route: str | None  # None where none was found
    cause: NotRequired[Cause | None]  # of a run without a file; likewise
    set: NotRequired[SetState]  # of a set's run, or a member of one
    file: FileNamed  # each None for such a run
    started_at: str
    ended_at: str
    waited_seconds: float | None  # for the turn; None where it did not come
    ran_seconds: float | None  # in Quantemplate
    pipeline_version: NotRequired[int | None]  # the pipeline's revision
    pipeline_version_before: NotRequired[int | None]  # that of the route's run before
    rows_in: int | None
    rows_in_reason: str | None
    rows_out: dict[str, int | None]  # by the outputs' names
    held: list[HeldOutput]
    no_outputs: bool
    left_out: int  # of rows_out and held, which must fit into a state
    identical_to: DuplicateOf | None
    outputs: str | None  # their folder's URI
    next: str
    execution_arn: str
    console: str
    pipeline_page: NotRequired[str]  # in Quantemplate, where that alone shows why


class Row(TypedDict):
    """The line of an ended run in the outbox; `run_row.schema.json` describes it to its readers.

    What only a manifest has is empty in one that was not written yet.
    """

    schema: int
    made_by: str
    run: str
    attempt: int
    status: str
    error: str | None
    message: str | None
    route: str | None
    started_by: str  # "drop", "chain", "hand", "replay", "schedule", "updates" or "release"
    releases: str | None  # the run that it was to release
    cause: Cause | None
    started_at: str
    ended_at: str
    waited_seconds: float | None
    ran_seconds: float | None
    pipeline_version: int | None  # the pipeline's revision
    source: dict[str, object]  # as a manifest's; of a run that has none, what is known of it
    set: SetState | None
    members: list[dict[str, object]]
    parent: Parent | None
    prepared: dict[str, object] | None
    quantemplate: dict[str, object] | None
    identical_to: DuplicateOf | None
    rows_in: int | None
    rows_in_reason: str | None
    rows_out: dict[str, int | None]
    outputs: list[dict[str, object]]
    no_outputs: bool
    held: list[HeldOutput]
    destinations: list[dict[str, object]]
    chained: list[dict[str, object]]
    manifest: str | None  # its URI
    execution_arn: str


class EndTold(TypedDict):
    """An end, as it is told by the ways "event", "message" and "tags"."""

    facts: Facts
    release: bool  # whether the run was to release another


class Words(TypedDict):
    """A message to people, as it is told by the way "words"."""

    subject: str
    text: str

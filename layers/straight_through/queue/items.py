"""What lies in the table, each shape once: its key, its fields, their units and who writes them.

Moments are ISO 8601 in UTC and sort as texts; `expires_at` is in seconds since 1970. What release
1.0.0 has written without a field, or in another place, is marked so. A `schema` tells which release
has written an item; what is unknown in it stays as it is. Numbers are whole.
"""

from typing import NotRequired, TypedDict

from straight_through.run_state import DroppedFile, MeasuresOfUpload


class Mark(TypedDict):
    """The fencing token of a function that works within the turn; UploadAndExecute's."""

    id: str
    until: str  # it has ended by then, be it killed


class Holder(TypedDict):
    """Who has the turn; written by whoever grants it."""

    schema: NotRequired[int]  # release 1.0.0 has written none
    execution_arn: str
    run: str
    redrive_count: int
    token: str  # the task token that the grant answers
    route: str
    turn_id: str
    granted_at: str
    entered: bool  # whether UploadAndExecute has begun
    kills: int  # functions in a row that left no word
    mark: NotRequired[Mark]
    ended: NotRequired[int]  # the redrive count of the attempt that ended while it was marked


class Answered(TypedDict):
    """An execution that a reply to Execute told, and that cannot be its own."""

    id: str
    number: int


class PipelineIds(TypedDict):
    """The ids of one pipeline."""

    organisation_id: str
    pipeline_id: str


class RouteIds(PipelineIds):
    """The ids of a route, which stay with a run when the route changes."""

    route: str
    dataset_id: str


class Post(RouteIds):
    """An Execute that is about to be sent; UploadAndExecute's."""

    id: str
    run: str
    after: int  # the highest number of an execution that was seen before
    at: str
    until: str  # it was sent by then, if at all
    user: str | None  # Quantemplate's id of our own user, None if not known
    granted_at: str
    measures: MeasuresOfUpload
    lost_at: NotRequired[str]  # when its reply was given up
    answered: NotRequired[Answered]


class MadeExecution(RouteIds):
    """The execution that a run's Execute has made, or that it is attached to."""

    execution_id: str
    run_number: int
    created_at: str | None
    executed_at: NotRequired[str | None]  # by our own clock; release 1.0.0 has noted none
    measures: MeasuresOfUpload
    after: int


class Pause(TypedDict):
    """Why no further file begins: by a person's hand, or for an error."""

    since: str
    reason: str
    error: NotRequired[str]
    attempt: NotRequired[str]  # the run and the redrive count that ended with it
    told: NotRequired[bool]  # whether people were told


class End(TypedDict):
    """How a run has ended, where the next one may end so too."""

    run: str
    error: str
    call: str  # the call of Quantemplate's API that met it, "" if none did


class ApiUser(TypedDict):
    """Our own user, where release 1.0.0 has kept it."""

    client_id: str
    user: str


class QueueItem(TypedDict, total=False):
    """Key `queues`, the queue's name: all that decides who may do what in a queue."""

    sk: str
    holder: Holder  # none while the turn is free
    last_post: Post  # until it is known what became of it
    paused: Pause
    last_trouble: End  # by RunEnded and the sweep, of the run before
    executed_at: str  # when an Execute was last answered
    auto_run_told: bool
    api_user: ApiUser


class Ticket(TypedDict):
    """Key `tickets#<queue>`, the run's place: who waits for the turn; TakeTurn's."""

    sk: str
    schema: NotRequired[int]  # release 1.0.0 has written none
    execution_arn: str
    run: str
    redrive_count: int
    token: str
    asked_at: str
    route: str


class Trouble(TypedDict):
    """At which call of Quantemplate's API an attempt ended."""

    error: str
    call: str
    redrive_count: int


class Raised(TypedDict):
    """By which attempt the bad end of an execution was told."""

    execution_id: str
    redrive_count: int


class CheckedFile(TypedDict):
    """What was found right with a file; files/checks.py's."""

    settings: str
    whole: bool
    mark: bool


class RunRecord(TypedDict, total=False):
    """Key `run#<run>`, `record`: what is known of a run beyond its turn and every redrive.

    Beside these it has `event_<redrive count>` and `message_<redrive count>`, once it was noted
    that they are to be told.
    """

    schema: int  # by TakeTurn; release 1.0.0 has written none
    expires_at: int  # the year 9999 while the run is held; by release 1.0.0 sooner, or none
    source: DroppedFile  # by CheckFile
    route: str
    checked: CheckedFile
    execution_arn: str  # by TakeTurn
    queue: str
    ticket: str
    stamp: str  # which of several tries of TakeTurn counts
    posted: Post  # by UploadAndExecute
    execution: MadeExecution
    uncertain: str  # why it cannot be told what its Execute has made
    trouble: Trouble
    raised: Raised  # by CheckStatus
    abandoned: str  # the execution that a redrive has given up
    held: str  # by PublishRun: the key of its manifest
    order: str
    released_by: str  # the ARN of the one execution that releases it
    release_began: str  # when that one came to it last; release 1.0.0 has noted none
    released_at: str  # when it was done; release 1.0.0 has noted none


class SeenPipeline(TypedDict):
    """Key `pipeline#<organisation>/<pipeline>`, `seen`: what any run has seen of a pipeline."""

    highest: int  # the highest number of an execution


class Claim(TypedDict):
    """Key `execution#<organisation>/<pipeline>#<id>`, `claim`: the one run that it belongs to."""

    run: str
    post: str  # the id of the Execute that has made it
    expires_at: int


class KnownUser(TypedDict):
    """Key `client#<client id>`, `user`: whom Quantemplate names for what we make."""

    user: str


class Binding(TypedDict):
    """Key `dataset#…` or `pipeline#…`, `binding`: the one queue that may use it."""

    queue: str
    route: str


class Duplicate(TypedDict):
    """Key `bytes#<route>`, a SHA-256: the first run that has processed these bytes."""

    run: str
    key: str
    at: str
    expires_at: int


class Notice(TypedDict):
    """Key `notices`, run, kind and since: what people are told when it is due, once."""

    sk: str
    run: str
    arn: str
    due: str
    subject: str
    text: str
    told: bool
    telling: NotRequired[str]  # when somebody began to tell it
    expires_at: int


class Telling(TypedDict):
    """Key `tellings`, a name: what is to be told, until it was. By RunEnded and the sweep."""

    sk: str
    way: str  # by which it is told: "event", "message" or "words"
    what: str  # as JSON: what is told of an end, or a message's subject and text
    since: str  # when somebody last began to tell it
    expires_at: int


class EndedExecution(TypedDict):
    """How an execution of the state machine has ended, as Step Functions describes it; not kept."""

    status: str
    redrive_count: int
    error: str

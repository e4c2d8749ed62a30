"""What lies in the table, each shape once: its key, its fields, their units and who writes them.

Moments are ISO 8601 in UTC and sort as texts; `expires_at` is in seconds since 1970. What release
1.0.0 has written without a field, or in another place, is marked so. A `schema` tells which release
has written an item; what is unknown in it stays as it is. Numbers are whole.
"""

from typing import Literal, NotRequired, TypedDict

from straight_through.run_state import Cause, DroppedFile, MeasuresOfUpload

Way = Literal["event", "message", "tags", "row", "words"]


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
    dataset_id: str | None  # None for a run without a file, and for a set's


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
    pipeline_version_before: NotRequired[int | None]  # that of the route's run before
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
    pipeline_version: NotRequired[int | None]  # release 1.0.0 has noted neither
    pipeline_version_before: NotRequired[int | None]


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


class SetMember(TypedDict):
    """A file that was gathered: the newest by drop of one member of a set."""

    run: str
    order: str  # its place by drop, a text that sorts
    source: DroppedFile


class SetItem(TypedDict, total=False):
    """Key `sets`, `<route>#<period>`: which files of a set have come; CheckFile's.

    Each write makes a new `rev`, on the condition that it was as it was read.
    """

    sk: str
    rev: int
    route: str
    period: str
    members: dict[str, SetMember]  # by their patterns
    missing: list[str]  # the patterns of those that have not come
    version: int  # how many times the set has begun a run
    run: str  # that has claimed this version
    since: str  # when the first member came; none once the set is complete
    expires_at: int


class GatheredMember(SetMember):
    """A member with which a set's run goes on."""

    file: str  # its pattern
    dataset_id: str


class GatheredSet(TypedDict):
    """What came of a file that was gathered; written with its set's item, once."""

    period: str
    version: int  # that the run has claimed; 0 where it ends as Gathered
    order: str  # of the set's run: that of its newest member, then of the version
    members: list[GatheredMember]  # none where it ends as Gathered
    missing: list[str]  # the patterns of those that have not come


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
    source: DroppedFile | None  # by CheckFile; None for a run without a file
    cause: Cause  # of a run without a file; likewise
    route: str
    checked: CheckedFile
    set: GatheredSet  # by CheckFile, of a route with a set
    expected: str  # the period whose rows are to be counted; by CheckFile
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


class SeenEnd(TypedDict):
    """The last end of a pipeline's execution that a look has shown."""

    execution_id: str
    since: NotRequired[str]  # when that look began
    at: str  # when it was seen
    announced: bool  # whether an event had come before the look


class RouteExecution(TypedDict):
    """The last execution of a pipeline that a route's run has made, and by which revision."""

    run: str
    number: int
    version: int | None  # None where Quantemplate has told none
    before: int | None  # the version of the route's run before


class SeenPipeline(TypedDict):
    """Key `pipeline#<organisation>/<pipeline>`, `seen`: what any run has seen of a pipeline.

    Beside these it has a RouteExecution of each route; `pipelines.py` says how it is called.
    """

    highest: int  # the highest number of an execution
    announced: NotRequired[int]  # how many ends before the last, in a row, events have announced
    last_end: NotRequired[SeenEnd]  # both by CheckStatus, where events are taken


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
    use: NotRequired[str]  # WAITED_FOR, of a dataset whose updates start runs; else none


class Duplicate(TypedDict):
    """Key `bytes#<route>`, a SHA-256: the first run that has processed these bytes."""

    run: str
    key: str
    at: str
    expires_at: int


class Notice(TypedDict):
    """Key `notices`, run, kind and since: what people are told when it is due, once.

    That of a set which waits for members has the set's name in the place of a run's.
    """

    sk: str
    run: str
    arn: NotRequired[str]  # none of a set, which waits without an execution
    due: str
    subject: str
    text: str
    told: bool
    telling: NotRequired[str]  # when somebody began to tell it
    expires_at: int


class Owed(TypedDict):
    """A file that is late, or whose rows are not counted yet."""

    due: str
    told: bool  # whether people were told that it is late


class ExpectItem(TypedDict, total=False):
    """Key `expects`, a route's name: which file it expects next, and which it is owed.

    By the sweep, but for `came`. `rev` grows with each of its writes.
    """

    sk: str
    rev: int
    file: str  # this and what follows is the rule
    every: str
    by: str
    of: str
    zone: str
    holidays: str
    rows: int
    since: str  # when the sweep has first seen a rule for such periods: what was due is not judged
    judged: str  # the last period whose file was judged, as in its name; "" for none
    judged_others: dict[str, str]  # the same of what the route expected before, by its `every`
    next: str  # the period in which the next file is due
    name: str  # the period in that file's name
    due: str  # "" where none can be told
    wrong: str  # why not
    owed: dict[str, Owed]  # by the period in the name
    came: str  # what was last noted of a file that came, and of which run: CheckFile's, RunEnded's
    seen: str  # the same, when the sweep last looked at what is owed
    gone: str  # since when the route expects nothing any more
    expires_at: int


class Arrival(TypedDict, total=False):
    """Key `came#<route>#<period>`, a run: a file that was expected and is sound; by CheckFile."""

    sk: str
    key: str
    at: str  # when it was dropped
    rows: int | None  # by RunEnded, where the route asks for some; None where they are not counted
    ended: str
    expires_at: int


class Telling(TypedDict):
    """Key `tellings`, a name: what is to be told, until it was. By RunEnded and the sweep."""

    sk: str
    way: Way  # by which it is told: "event", "message", "tags", "row" or "words"
    what: str  # as JSON, one of the shapes of `end_facts.py`
    since: str  # when somebody last began to tell it
    expires_at: int


class Listener(TypedDict, total=False):
    """Key `listener#<pipeline>`, an execution's id: the events of it, and who waits for one."""

    run: str  # by CheckStatus
    token: str  # the task token of its wait; by the state machine
    heard: str  # when the last event came, and its id; by TakeEvent
    expires_at: int


class ToldUpdate(TypedDict):
    """That a dataset was updated; by an event."""

    event: str
    at: str


class PendingRun(TypedDict):
    """A run that updates have started and that has not executed yet: it takes in what comes."""

    run: str
    events: list[str]
    updated: list[str]
    at: str


class WhenOff(TypedDict):
    """Why updates start no run of a route, until a person resumes it."""

    since: str
    why: str
    told: bool  # whether people were told


class WhenItem(TypedDict, total=False):
    """Key `when`, a route's name: what starts its runs without files, and what has.

    The sweep keeps the first ones as the route has them. `rev` changes with each write.
    """

    sk: str
    rev: str
    updated: list[str]
    at: str
    zone: str
    missed: str
    wrong: str  # why no schedule can be read from it, "" if one can
    wrong_told: str  # of that, what people were told
    unsound: bool  # whether it is the whole route that cannot be read: all else is as it was
    next: str  # the moment that is due next, "" for none; by the sweep
    told: dict[str, ToldUpdate]  # by dataset, since the last Execute; TakeEvent's
    recent: list[str]  # ids of the last events: one that comes again starts nothing
    claimed: list[str]  # ids of the events of the last run that updates have started
    pending: PendingRun  # until an Execute of the route is noted, or its run has ended without
    starts: list[str]  # when updates have started runs, within the last hour
    last_run: str  # that a schedule or updates have started
    executed_at: str  # when an Execute of the route was last noted
    off: WhenOff


class Feed(TypedDict):
    """Key `feeds#<dataset>`, a route: that the route waits for updates of it; by the sweep."""

    sk: str


class HeardEvent(TypedDict):
    """Key `heard`, when it came and its id: an event, and what it did; TakeEvent's."""

    sk: str
    name: str
    about: str  # the ids of its payload
    did: str
    expires_at: int


class HeardPipeline(TypedDict):
    """Key `heard_last`, a pipeline's id: when the last event of it came; TakeEvent's."""

    sk: str
    at: str
    expires_at: int


class UsedKey(TypedDict):
    """Key `events`, a fingerprint: that this key of the address has been used; TakeEvent's."""

    used: bool


class EndedExecution(TypedDict):
    """How an execution of the state machine has ended, as Step Functions describes it; not kept."""

    status: str
    redrive_count: int
    error: str

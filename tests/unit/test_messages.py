"""What is told of a run that has ended: to people, to other systems, once."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import jsonschema
import pytest

import straight_through.aws
from quantemplate.executions import Execution
from quantemplate.listing import Listing
from straight_through.end_facts import EndTold
from straight_through.errors import AwsUnavailable
from straight_through.executing.progress import not_ours
from straight_through.queue.records import noted, record_key
from straight_through.queue.table import Table
from straight_through.queue.tellings import TELLINGS, Tellings
from straight_through.telling.messages import (
    LONGEST_SUBJECT,
    concerns_people,
    ended_of,
    facts_of,
    hour_of_folder,
    put_event,
    subject_of,
    text_of,
)
from straight_through.telling.remedies import REMEDIES
from tests.unit.conftest import ROOT, Event, unhurried

SCHEMA = json.loads((ROOT / "layers/straight_through/run_ended.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
NOW = datetime(2026, 5, 4, 9, 20, tzinfo=UTC)
IDS = {"organisation_id": "c-1/2", "dataset_id": "d-1", "pipeline_id": "p-1"}
PAGE_URL = "https://qt.example/{organisation_id}/pipelines/{pipeline_id}"
PAGE = "https://qt.example/c-1%2F2/pipelines/p-1"
SEEN_THERE = {
    *("PipelineFailed", "PipelineCancelled", "PipelineOverdue", "PipelineEndUnknown"),
    *("ExecuteUncertain", "OutputMissing"),
}
MAY = "claims-Schaden-a-b-100-6cc3ff7ed5f238c85e51"
RESULT = {
    "run": MAY,
    "route": "claims",
    "status": "Succeeded",
    "bucket": "outbox",
    "manifest": f"claims/may/{MAY}/manifest.json",
    "notify": "problems",
    "queue": "p-claims",
    "ran_seconds": 240.0,
    "pipeline_version": 14,
    "pipeline_version_before": 13,
    "rows_in": 12347,
    "rows_out": {"Clean claims: Sheet 1": 12345, "Validation report": 2},
    "exported": 2,
    "chained": 1,
}
HELD = RESULT | {"status": "Held", "held": [{"name": "Validation report", "rows": 2}]}
TWIN = {"run": "april", "key": "claims/april.csv", "at": "2026-04-04T08:15:30.000Z"}
SKIPPED = RESULT | {
    "status": "Skipped",
    "identical_to": TWIN,
    "rows_in": None,
    "rows_out": {},
    "ran_seconds": None,
}
GATHERED = {
    "run": "may",
    "route": "claims",
    "status": "Gathered",
    "wait_seconds": 0,
    "set": {"period": "2026-05", "version": 0, "missing": ["premiums-{period}.*"]},
}
REPLACED = {"run": "may", "route": "claims", "status": "Replaced", "wait_seconds": 0}
RECORD = {
    "route": "claims",
    "source": {"bucket": "inbox", "key": "claims/may.csv", "version_id": "v1"},
    "posted": {"granted_at": "2026-05-04T09:17:36.204Z"},
}


def change(event: Event, status: str = "FAILED", **detail: Any) -> dict[str, Any]:
    """A status event of the sample execution."""
    changed = event("run_ended")
    changed["detail"] |= {"status": status, **detail}
    if status != "FAILED":
        changed["detail"] |= {"error": None, "cause": None}
    if status == "SUCCEEDED" and "output" not in detail:
        changed["detail"]["output"] = json.dumps(RESULT)
    return changed


def facts(event: Event, status: str = "FAILED", record: Any = RECORD, **detail: Any) -> Any:
    """The facts of an end, which their schema describes."""
    told = facts_of(ended_of(change(event, status, **detail)["detail"]), record)
    VALIDATOR.validate(told)
    return told


def succeeded(event: Event, result: dict[str, Any]) -> Any:
    """The facts of an execution that returned this."""
    return facts(event, "SUCCEEDED", output=json.dumps(result))


ENDS: dict[str, Callable[[Event], Any]] = {
    "Failed": facts,
    "TimedOut": lambda event: facts(event, "TIMED_OUT"),
    "Aborted": lambda event: facts(event, "ABORTED"),
    "Succeeded": lambda event: succeeded(event, RESULT),
    "Held": lambda event: succeeded(event, HELD),
    "Skipped": lambda event: succeeded(event, SKIPPED),
    "Replaced": lambda event: succeeded(event, REPLACED),
    "Gathered": lambda event: succeeded(event, GATHERED),
}


@pytest.mark.parametrize(
    ("version", "before", "told"),
    [
        (14, 13, "revision 14, before: 13"),
        (13, 14, "revision 13, before: 14"),
        (14, 14, "revision 14"),
        (14, None, "revision 14"),
        (None, 13, None),
        (None, None, None),
    ],
)
def test_by_which_revision_a_run_was_processed_is_told(
    event: Event, version: int | None, before: int | None, told: str | None
) -> None:
    # Given a run that succeeded, and one that failed, of which its record tells
    versions = {"pipeline_version": version, "pipeline_version_before": before}
    for found in (
        succeeded(event, RESULT | versions),
        facts(event, record=RECORD | {"execution": versions}),
    ):
        assert {name: found[name] for name in versions} == versions
        line = f"Processed by:  {told}"
        assert ("Processed by" in text_of(found)) == bool(told)
        assert told is None or line in text_of(found).splitlines()


# --- the text -------------------------------------------------------------------------------------
def test_each_status_of_the_schema_is_looked_at() -> None:
    VALIDATOR.check_schema(SCHEMA)
    assert ENDS.keys() == set(SCHEMA["properties"]["status"]["enum"])


@pytest.mark.parametrize(
    ("partition", "region", "console"),
    [
        ("aws", "eu-west-1", "https://eu-west-1.console.aws.amazon.com/states/"),
        ("aws-cn", "cn-north-1", "https://cn-north-1.console.amazonaws.cn/states/"),
        (
            "aws-us-gov",
            "us-gov-west-1",
            "https://us-gov-west-1.console.amazonaws-us-gov.com/states/",
        ),
    ],
)
def test_the_link_leads_to_the_console_of_the_runs_own_partition(
    event: Event, partition: str, region: str, console: str
) -> None:
    # Given a run in a region of a partition
    ended = event("run_ended")
    arn = f"arn:{partition}:states:{region}:1:execution:straight-through:{MAY}"
    ended["detail"] |= {"executionArn": arn}
    # Then
    assert facts_of(ended_of(ended["detail"]), {})["console"].startswith(console)


@pytest.mark.parametrize("status", ENDS)
def test_each_end_says_what_which_file_and_what_to_do(event: Event, status: str) -> None:
    told = ENDS[status](event)
    assert told["status"] == status
    assert subject_of(told).startswith(status)
    assert subject_of(told).endswith(": claims/may.csv")
    text = text_of(told)
    run = f"Run:           {told['run']}"  # by which stp shows it, and redrives it
    for line in ("File:          s3://inbox/claims/may.csv", run, "Route:         claims"):
        assert line in text.splitlines()
    assert f"What:          {status}" in text
    assert f"Next:          {told['next']}" in text
    assert text.splitlines()[-1].endswith(f"#/v2/executions/details/{told['execution_arn']}")
    assert "Waited:        1 h 2 min 5 s" in text
    # And what is not known has no line
    assert "None" not in text
    assert all(line.partition(":")[2].strip() for line in text.splitlines())


def test_a_failure_has_its_error_and_message(event: Event) -> None:
    cause = json.dumps({"errorMessage": "Execution 7 failed.", "errorType": "PipelineFailed"})
    told = facts(event, cause=cause)
    assert (told["error"], told["message"]) == ("PipelineFailed", "Execution 7 failed.")
    assert subject_of(told) == "Failed (PipelineFailed): claims/may.csv"
    assert "Message:       Execution 7 failed." in text_of(told)
    # And a cause that is no document of Lambda's is told as it is
    for plain in ("Somebody stopped it", "[1]", '{"x": 1}'):
        assert facts(event, cause=plain)["message"] == plain


@pytest.mark.parametrize(
    ("error", "follows"), [("PipelineOverdue", True), ("PipelineFailed", False)]
)
def test_what_can_be_redriven_no_more_is_followed_by_a_new_run(
    event: Event, error: str, *, follows: bool
) -> None:
    # Given a run whose history has no room any more
    why = "Execution history event limit exceeded"
    detail = change(event, redriveStatus="NOT_REDRIVABLE", redriveStatusReason=why)["detail"]
    # When it is told of, then nobody is sent to a redrive that would be refused
    following = facts_of(ended_of(detail | {"error": error}), {})["next"]
    assert "redrive the run" not in following
    assert "since this one can no longer be redriven" in following
    # And a new one follows the execution, unless that has ended as badly as it did
    assert (f"`stp rerun --attach {MAY}`" in following) == follows
    assert ("start a new run with the same input, since" in following) != follows


@pytest.mark.parametrize("error", [*sorted(error.__name__ for error in REMEDIES), "Lambda.Unknown"])
def test_what_quantemplate_alone_shows_leads_to_the_pipelines_page(
    event: Event, error: str
) -> None:
    # Given a run whose pipeline is known, where the operator has said how its page is found
    detail = ended_of(change(event, error=error)["detail"])
    record: Any = RECORD
    known: Any = {**record, "posted": record["posted"] | IDS}
    told = facts_of(detail, known, pipeline_page=PAGE_URL)
    VALIDATOR.validate(told)
    # When it ends by an error that can be seen there alone, then people are led there
    line = f"\nPipeline:      {PAGE}\n"
    assert (told.get("pipeline_page") == PAGE) == (error in SEEN_THERE)
    assert (line in text_of(told)) == (error in SEEN_THERE)
    # And nothing is said where nobody has said how, or the pipeline is not known
    for quiet in (facts_of(detail, known), facts_of(detail, record, pipeline_page=PAGE_URL)):
        assert "pipeline_page" not in quiet
        assert "Pipeline:" not in text_of(quiet)


def test_a_run_without_outputs_leads_to_the_pipelines_page(event: Event) -> None:
    for result, leads in ((RESULT | {"no_outputs": True}, True), (RESULT, False)):
        detail = change(event, "SUCCEEDED", output=json.dumps(result))["detail"]
        known: Any = {"execution": IDS}
        told = facts_of(ended_of(detail), known, pipeline_page=PAGE_URL)
        assert (told.get("pipeline_page") == PAGE) == leads


def test_the_folder_of_one_message_fits_into_a_key_of_the_table(event: Event) -> None:
    """DynamoDB, "Quotas": 1,024 bytes of a sort key; a file's key in S3 has up to 1,024 too."""
    told = facts_of(ended_of(change(event)["detail"]), {})
    hours = []
    for folder in ("a" * 1000, "a" * 1001, "ä/" * 400):
        told["file"]["key"] = f"{folder}/may.csv"
        hours.append(hour_of_folder(told))
    assert max(len(hour.encode()) for hour in hours) < 200
    assert len(set(hours)) == 3


def test_a_success_has_its_rows_times_and_outputs(event: Event) -> None:
    text = text_of(succeeded(event, RESULT))
    for line in (
        "Ran:           4 min",
        "Rows in:       12,347",
        "Rows out:      12,345 in 'Clean claims: Sheet 1', 2 in 'Validation report'",
        f"Outputs:       s3://outbox/claims/may/{MAY}/",
    ):
        assert line in text


def test_what_is_held_says_why_and_how_to_release_it(event: Event) -> None:
    text = text_of(succeeded(event, HELD))
    assert "Held because:  'Validation report' has 2 rows" in text
    assert f'{{"release": "{MAY}"}}' in text


@pytest.mark.parametrize("result", [SKIPPED, RESULT | {"identical_to": TWIN}])
def test_the_same_bytes_are_named(event: Event, result: dict[str, Any]) -> None:
    told = succeeded(event, result)
    assert told["identical_to"] == TWIN
    assert "Same bytes as: claims/april.csv (run april, 2026-04-04" in text_of(told)


@pytest.mark.parametrize(
    "key",
    ["k" * 1024, f"claims/{'ü' * 500}/may.csv", "claims/a\nb\t\u2028.csv", "a" * 62, "a" * 63],
)
def test_a_subject_is_one_that_sns_takes_and_keeps_the_files_name(event: Event, key: str) -> None:
    """Amazon SNS API reference, Publish: no control characters, less than 100 characters."""
    told = facts(event) | {"file": {"bucket": "b", "key": key, "version_id": None}}
    subject = subject_of(told)
    assert len(subject) <= LONGEST_SUBJECT < 100
    assert subject.isprintable()
    assert subject.endswith(key[-4:])


@pytest.mark.parametrize(
    "typed", ['{"bucket": 7, "key": ["x"]}', '"x"', "[]", "null", '{"bucket": "b", "key": "k"}', ""]
)
def test_whatever_a_person_has_typed_is_told_of(event: Event, typed: str) -> None:
    told = facts(event, record={}, input=typed, error="InputInvalid")
    assert told["route"] is None
    assert text_of(told)
    assert subject_of(told).startswith("Failed (InputInvalid): ")


def test_a_file_that_found_no_route_is_named_though_it_has_no_record(event: Event) -> None:
    told = facts(event, record={}, error="NoRoute")
    assert told["file"]["key"] == "claims/Schäden a+b 100%.csv"
    assert concerns_people(told, "")


def test_a_success_whose_output_its_event_left_out_is_one(event: Event) -> None:
    told = facts(event, "SUCCEEDED", output=None)
    assert (told["status"], concerns_people(told, "")) == ("Succeeded", False)


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ({"by": "hand"}, "somebody started it by hand"),
        ({"at": "2026-05-04T05:00:00.000Z"}, "its schedule, due at 2026-05-04T05:00:00.000Z"),
        ({"updated": ["d-one", "d-two"], "events": ["u-1"]}, "updates of d-one, d-two"),
    ],
)
def test_a_run_without_a_file_is_told_by_its_name_and_what_has_caused_it(
    event: Event, cause: dict[str, Any], said: str
) -> None:
    # Given the failure of a run whose record has no file
    record: Any = {"route": "stock", "source": None, "cause": cause}
    told = facts(event, record=record, input='{"route": "stock"}', error="PipelineFailed")
    # Then systems are told of none, and of its route and its cause
    assert told["file"] == {"bucket": None, "key": None, "version_id": None}
    assert (told["route"], told["cause"], told["schema"]) == ("stock", cause, 2)
    # And people of the run itself
    text = text_of(told)
    assert f"File:          none\nRun:           {told['run']}\nCaused by:     {said}\n" in text
    assert subject_of(told).startswith("Failed (PipelineFailed): ")
    assert "s3://None" not in text


def test_a_release_is_about_the_file_that_was_held(event: Event) -> None:
    told = facts(event, input='{"release": "may"}', error="DestinationFailed")
    assert (told["file"]["key"], told["route"]) == ("claims/may.csv", "claims")
    # And did not wait for a turn
    assert told["waited_seconds"] is None


@pytest.mark.parametrize(
    ("status", "problems", "always"),
    [
        *((status, True, True) for status in ("Failed", "TimedOut", "Aborted", "Held")),
        *((status, False, True) for status in ("Succeeded", "Skipped")),
        ("Replaced", False, False),
        ("Gathered", False, False),
    ],
)
def test_people_are_told_of_what_concerns_them(
    event: Event,
    status: str,
    problems: bool,  # noqa: FBT001
    always: bool,  # noqa: FBT001
) -> None:
    told = ENDS[status](event)
    assert (concerns_people(told, "problems"), concerns_people(told, "always")) == (
        problems,
        always,
    )


def test_an_event_that_is_not_taken_is_an_error(event: Event) -> None:
    class Full:
        """An event bus that takes nothing."""

        def put_events(self, **_: Any) -> Any:
            """Refuse it."""
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}

    with pytest.raises(RuntimeError, match="ThrottlingException"):
        put_event(Full(), facts(event))  # type: ignore[arg-type]


# --- once -----------------------------------------------------------------------------------------
class Killed(BaseException):
    """The function's process dies."""


class Told:
    """What is told by each way; one may be broken, or be the death of who tells."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.messages: list[str] = []
        self.published: list[Any] = []
        self.events: list[Any] = []
        self.broken = self.dies = ""

    def publish(self, **given: Any) -> None:
        """Take a message."""
        if self.broken == "sns":
            raise ConnectionError
        if self.dies == "before":
            raise Killed
        self.messages.append(given["Subject"])
        self.published.append(given)
        if self.dies == "after":
            raise Killed

    def put_events(self, **given: Any) -> Any:
        """Take an event."""
        if self.broken == "events":
            raise ConnectionError
        (entry,) = given["Entries"]
        assert (entry["Source"], entry["DetailType"]) == ("straight-through", "Run Ended")
        VALIDATOR.validate(json.loads(entry["Detail"]))
        self.events.append(json.loads(entry["Detail"]))
        return {"FailedEntryCount": 0}


@pytest.fixture
def told(aws: None, monkeypatch: pytest.MonkeyPatch) -> Told:  # noqa: ARG001
    """Stand for SNS and EventBridge."""
    told, real = Told(), straight_through.aws.client

    def client(service: str) -> Any:
        made = real(service)
        if service == "sns":
            monkeypatch.setattr(made, "publish", told.publish)
        if service == "events":
            monkeypatch.setattr(made, "put_events", told.put_events)
        return made

    monkeypatch.setattr(straight_through.aws, "client", client)
    return told


def test_a_message_has_attributes_a_text_and_what_a_chat_shows(
    told: Told, handler: Any, event: Event, table: Table
) -> None:
    # Given a run whose file's name would call all who are in a chat
    ended = handler("run_ended")
    evil = "claims/<!channel> & may.csv"
    source = RECORD["source"] | {"key": evil}  # type: ignore[operator]
    table.update(record_key(MAY), "SET #route = :r, #source = :s", r="claims", s=source)
    # When it fails
    ended(change(event))
    # Then a filter can choose it by its route, status and error
    (sent,) = told.published
    attributes = {name: each["StringValue"] for name, each in sent["MessageAttributes"].items()}
    assert attributes == {"status": "Failed", "route": "claims", "error": "PipelineFailed"}
    # And people get the text, and a chat the same in its own form, in which nobody is called
    assert sent["MessageStructure"] == "json"
    forms = json.loads(sent["Message"])
    assert f"s3://inbox/{evil}\n" in forms["default"]
    chat = json.loads(forms["https"])
    assert (chat["version"], chat["source"]) == ("1.0", "custom")
    assert "What:          Failed with PipelineFailed" in chat["content"]["description"]
    assert not set("<>") & set(json.dumps(chat["content"], ensure_ascii=False))


def test_the_page_is_the_one_of_the_functions_setting(
    told: Told, handler: Any, event: Event, table: Table
) -> None:
    posted = {"granted_at": "2026-05-04T09:17:36.204Z", **IDS}
    table.update(record_key(MAY), "SET #posted = :posted", posted=posted)
    handler("run_ended", PIPELINE_PAGE_URL=PAGE_URL)(change(event))
    (sent,) = told.published
    assert f"Pipeline:      {PAGE}" in json.loads(sent["Message"])["default"]
    assert told.events[0]["pipeline_page"] == PAGE


def test_an_end_is_told_once_though_its_event_comes_twice_and_each_attempts_is(
    told: Told, handler: Any, event: Event
) -> None:
    ended = handler("run_ended")
    for _ in range(2):
        ended(change(event))
    assert (len(told.messages), [each["attempt"] for each in told.events]) == (1, [1])
    for _ in range(2):
        ended(change(event, redriveCount=1))
    assert (len(told.messages), [each["attempt"] for each in told.events]) == (2, [1, 2])


def test_of_files_without_a_route_one_is_told_of_a_folder_and_an_hour(
    told: Told, handler: Any, event: Event
) -> None:
    """An inbox that is used for other things: thousands of files may find no route at once."""
    ended = handler("run_ended")

    def dropped(key: str, minute: int, hour: int = 8, redrives: int = 0) -> None:
        at = f"2026-05-04T{hour:02}:{minute:02}:00+00:00"
        stopped = int(datetime.fromisoformat(at).timestamp() * 1000)
        given = json.dumps({"bucket": "inbox", "key": key})
        detail: dict[str, Any] = {"name": f"run-{key}", "input": given, "stopDate": stopped}
        ended(change(event, "FAILED", error="NoRoute", redriveCount=redrives, **detail))

    # When several files of a folder find no route within an hour, twice each
    for minute, key in enumerate(["photos/a.jpg", "photos/b.jpg", "photos/a.jpg"]):
        dropped(key, minute)
    # Then people are told of the first, and other systems of each
    assert told.messages == ["Failed (NoRoute): photos/a.jpg"]
    assert [each["file"]["key"] for each in told.events] == ["photos/a.jpg", "photos/b.jpg"]
    # And of another folder, of the next hour and of a redrive anew
    dropped("x/c.jpg", 30)
    dropped("photos/c.jpg", 30, hour=9)
    dropped("photos/a.jpg", 30, redrives=1)
    told_of = [subject.partition(": ")[2] for subject in told.messages]
    assert told_of == ["photos/a.jpg", "x/c.jpg", "photos/c.jpg", "photos/a.jpg"]


def test_a_chain_that_leads_to_no_route_is_told_of_each_run(
    told: Told, handler: Any, event: Event, table: Table
) -> None:
    # Given two runs of one folder that has a route, which chains on to none
    ended = handler("run_ended")
    for run in ("a", "b"):
        table.update(record_key(run), "SET #route = :route", route="claims")
        ended(change(event, name=run, error="NoRoute"))
    # Then both are told
    assert len(told.messages) == 2


def later(table: Table) -> None:
    """Let the minutes pass after which a sweep takes over what was not told."""
    for item in table.items(TELLINGS):
        table.update((TELLINGS, item["sk"]), "SET #since = :then", then="2026-05-04T08:00:00.000Z")


@pytest.mark.parametrize("broken", ["sns", "events"])
def test_what_could_not_be_told_is_told_by_a_sweep_and_nothing_twice(
    told: Told, handler: Any, event: Event, table: Table, broken: str
) -> None:
    ended, sweep = handler("run_ended"), handler("sweep_queues")
    # Given a service that does not take it; the other one is told all the same
    told.broken = broken
    with pytest.raises(ConnectionError):
        ended(change(event))
    assert len(told.messages) + len(told.events) == 1
    # When Lambda tries again, nothing is told twice
    ended(change(event))
    # And a sweep that comes at once leaves it to whoever may be telling it
    sweep({})
    assert len(told.messages) + len(told.events) == 1
    # When one comes later, and fails too, it says so
    later(table)
    with pytest.raises(ConnectionError):
        sweep({})
    # When one comes that can, it is told, once
    told.broken = ""
    for _ in range(2):
        later(table)
        sweep({})
    assert (len(told.messages), len(told.events)) == (1, 1)
    assert list(table.items(TELLINGS)) == []


@pytest.mark.parametrize(("dies", "times"), [("before", 1), ("after", 2)])
def test_an_end_is_told_though_its_function_dies_before_or_after_it_has_sent_it(
    told: Told, handler: Any, event: Event, table: Table, dies: str, times: int
) -> None:
    # Given a function that is killed just before, or after, it tells people
    ended, sweep = handler("run_ended"), handler("sweep_queues")
    told.dies = dies
    with pytest.raises(Killed):
        ended(change(event))
    told.dies = ""
    # When Lambda gives the event again, and a sweep comes some minutes later
    ended(change(event))
    assert len(told.messages) == times - 1
    later(table)
    sweep({})
    # Then it was told: twice where nobody can know
    assert (len(told.messages), len(told.events)) == (times, 1)


def test_an_end_that_release_one_has_told_is_not_told_again(
    told: Told, handler: Any, event: Event, table: Table
) -> None:
    # Given a record with the marks of release 1.0.0, of an event but of no message
    table.update(record_key(MAY), "SET #event_0 = :yes", yes=True)
    # When the status event comes again
    handler("run_ended")(change(event))
    # Then only what is missing is told
    assert (len(told.messages), len(told.events)) == (1, 0)


def test_an_end_is_told_though_its_queue_cannot_be_seen_to(
    told: Told, handler: Any, event: Event, table: Table
) -> None:
    # Given a record with which nothing can be passed on
    table.update(record_key(MAY), "SET #queue = :queue", queue="p-claims")
    with pytest.raises(KeyError):
        handler("run_ended")(change(event))
    assert (len(told.messages), len(told.events)) == (1, 1)


def test_of_many_that_cannot_be_told_a_sweep_tries_one_and_tells_those_that_can(
    table: Table,
) -> None:
    # Given a topic that does not answer, and a hundred messages for it beside one event
    tried: list[str] = []

    def message(what: EndTold) -> None:
        tried.append(what["facts"]["run"])
        raise AwsUnavailable("SNS does not answer.")

    events: list[Any] = []
    tellings = Tellings(table, {"message": message, "event": events.append})
    for n in range(100):
        mark = noted(f"run-{n}", "message_0", NOW)
        what = cast("EndTold", {"facts": {"run": f"run-{n}"}})
        with pytest.raises(AwsUnavailable):
            tellings.tell(f"run-{n}", "message", what, mark, NOW)
    table.update(
        (TELLINGS, "z"), "SET #way = :way, #what = :w, #since = :s", way="event", w="{}", s="2026"
    )
    table.update((TELLINGS, "a"), "SET #way = :way", way="event")  # what nobody can read
    tried.clear()
    # When a sweep comes
    with pytest.raises(KeyError):
        tellings.tell_late(NOW + timedelta(minutes=3), unhurried)
    # Then it does not wait for each of them
    assert (len(tried), events) == (1, [{}])
    # And one that has no time left goes no further
    with pytest.raises(KeyError):
        tellings.tell_late(NOW + timedelta(minutes=9), unhurried)
    tried.clear()
    with pytest.raises(AwsUnavailable, match="no time"):  # or it could go on so unseen
        tellings.tell_late(NOW + timedelta(minutes=15), lambda: 29)
    assert tried == []


def test_what_is_noted_of_it_expires(told: Told, handler: Any, event: Event, table: Table) -> None:
    handler("run_ended")(change(event))
    assert told.messages
    assert "expires_at" in (table.get(record_key(MAY)) or {})


@pytest.mark.parametrize(("notify", "messages"), [("problems", 0), ("always", 1)])
def test_a_success_is_told_where_the_route_says_so(
    told: Told, handler: Any, event: Event, notify: str, messages: int
) -> None:
    output = json.dumps(RESULT | {"notify": notify})
    handler("run_ended")(change(event, "SUCCEEDED", output=output))
    assert (len(told.messages), len(told.events)) == (messages, 1)


# --- what others have chosen ----------------------------------------------------------------------
FORGED = "may.csv\nNext:          Send the money to\x1b[2J\u202e\u200b\ud800"
NAMES = (
    "What",
    "File",
    "Run",
    "Route",
    "Message",
    "Held because",
    "Same bytes as",
    "Waited",
    "Ran",
)
MORE = (
    "Processed by",
    "Rows in",
    "Rows out",
    "Not listed",
    "Outputs",
    "Next",
    "Others",
    "Execution",
)


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        ("FAILED", {"error": FORGED, "cause": FORGED}),
        ("FAILED", {"cause": json.dumps({"errorMessage": FORGED})}),
        ("ABORTED", {"error": FORGED, "cause": FORGED}),
        ("SUCCEEDED", {"output": json.dumps(RESULT | {"rows_out": {FORGED: 1, "b": None}})}),
        (
            "SUCCEEDED",
            {
                "output": json.dumps(
                    HELD
                    | {
                        "held": [{"name": FORGED, "rows": None, "reason": "no bytes at all"}],
                        "identical_to": TWIN | {"key": FORGED},
                    }
                )
            },
        ),
    ],
)
def test_no_name_that_others_have_chosen_forges_a_line(
    event: Event, status: str, detail: dict[str, Any]
) -> None:
    # Given an end in which all that others have chosen wants to be a line of its own
    source = RECORD["source"] | {"key": FORGED}  # type: ignore[operator]
    told = facts(event, status, RECORD | {"source": source}, **detail)
    # When people are told
    text = text_of(told)
    # Then each line is ours, or stands below the one that it belongs to
    lines = text.split("\n")
    assert [line.partition(":")[0] for line in lines if not line.startswith(" " * 15)] == [
        name for name in (*NAMES, *MORE) if f"\n{name}:" in f"\n{text}"
    ]
    assert sum(line.startswith("Next:") for line in lines) == 1
    # And all can be seen and sent
    assert all(line.isprintable() for line in lines)
    assert r"s3://inbox/may.csv\nNext:" in text
    assert text.encode()
    assert subject_of(told).isprintable()


def test_however_much_went_wrong_a_message_is_short_and_keeps_its_end(event: Event) -> None:
    # Given an error whose message, names and rows are very many
    cause = "It began. " + "ü" * 30_000 + " Mend it. [file s3://inbox/may.csv, route claims]"
    held = [{"name": f"{n} " + "ü" * 900, "rows": 1} for n in range(999)]
    result = HELD | {"held": held, "rows_out": {each["name"]: 1 for each in held}, "left_out": 7}
    source = RECORD["source"] | {"key": "claims/" + "ü" * 500 + "/may.csv"}  # type: ignore[operator]
    for told in (
        facts(event, record=RECORD | {"source": source}, cause=cause),
        facts(event, "SUCCEEDED", RECORD | {"source": source}, output=json.dumps(result)),
    ):
        text = text_of(told)
        # Then what is told of it is short, and has the file, what to do and the link
        assert len(text.encode()) <= 4096
        assert f"Next:          {told['next']}" in text
        assert text.endswith(told["execution_arn"])
    assert "… and 991 more" in text
    assert "Not listed:    7 more: see manifest.json" in text
    told = facts(event, cause=cause)
    assert told["message"].endswith(" Mend it. [file s3://inbox/may.csv, route claims]")
    assert "Mend it. [file s3://inbox/may.csv, route claims]" in text_of(told)
    assert len(told["message"].encode()) <= 4096


@pytest.mark.parametrize(
    "typed",
    [
        '{"bucket": "b", "key": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"bucket": "b", "key": "\\ud800.csv"}',
        json.dumps({"bucket": "b", "key": "k" * 200_000}),
        '{"bucket": 1e999, "key": NaN}',
    ],
    ids=["deep", "surrogate", "long", "numbers"],
)
def test_no_input_is_the_death_of_who_tells_of_it(
    told: Told, handler: Any, event: Event, typed: str
) -> None:
    handler("run_ended")(change(event, input=typed, name="typed", error="InputInvalid"))
    assert len(told.messages) == len(told.events) == 1
    assert told.messages[0].startswith("Failed (InputInvalid): ")
    assert len(json.dumps(told.events)) < 20_000


def test_what_cannot_be_counted_and_a_run_without_outputs_are_said(event: Event) -> None:
    why = "a quote in row 1 that never ends"
    held = {
        "held": [{"name": "Report", "rows": None, "reason": why}, {"name": "Other", "rows": 1}],
        "rows_in": None,
        "rows_in_reason": why,
        "rows_out": {"Report": None, "Other": 1},
    }
    text = text_of(succeeded(event, HELD | held))
    for line in (
        f"Held because:  'Report' cannot be counted: {why}, 'Other' has 1 row\n",
        f"Rows in:       not counted: {why}\n",
        "Rows out:      not counted in 'Report', 1 in 'Other'\n",
    ):
        assert line in text
    nothing = succeeded(event, RESULT | {"rows_out": {}, "no_outputs": True})
    assert "Outputs:       none: the run made no outputs\n" in text_of(nothing)
    assert "Look in Quantemplate why the run made no outputs" in nothing["next"]


# --- Auto Run -------------------------------------------------------------------------------------
def test_a_run_by_itself_is_told_once(told: Told, handler: Any, event: Event, table: Table) -> None:
    ended = handler("run_ended")
    output = json.dumps(RESULT | {"not_ours": "e-8"})
    # Given a topic that does not answer at first
    told.broken = "sns"
    with pytest.raises(ConnectionError):
        ended(change(event, "SUCCEEDED", output=output))
    told.broken = ""
    for name in ("may", "may", "june"):
        ended(change(event, "SUCCEEDED", output=output, name=name))
    assert told.messages == []
    # When the sweep comes that tells it
    later(table)
    handler("sweep_queues")({})
    assert told.messages == ["Route claims: its pipeline also runs by itself"]


OURS = Execution("e-7", 7, "Succeeded", created_at="2026-05-04T08:15:33Z", created_by="u-api")


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, True),
        ({"number": 6}, False),
        ({"created_by": "u-api"}, False),
        ({"created_by": None}, False),
        ({"created_at": "2026-05-04T09:15:33Z"}, False),
        ({"created_at": None}, False),
        ({"created_at": "2026-05-04T08:15:40"}, False),
        ({"created_at": "1777881540000"}, False),
    ],
)
def test_a_run_that_is_not_ours_follows_our_upload(
    changed: dict[str, Any],
    found: bool,  # noqa: FBT001
) -> None:
    other: dict[str, Any] = {"id": "e-8", "number": 8, "status": "Started", "created_by": "u-auto"}
    other |= {"created_at": "2026-05-04T08:15:40Z"} | changed
    ours: Any = {"execution_id": "e-7"}
    listed = (OURS, Execution(**other))
    assert (not_ours(Listing(listed), ours, 6) is not None) == found
    assert not_ours(Listing(listed[1:]), ours, 6) is None

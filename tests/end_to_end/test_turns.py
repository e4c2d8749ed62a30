"""Files of one pipeline take turns, whatever operators and Quantemplate do."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.deploy import ORGANISATION
from local.quantemplate import Control
from tests.end_to_end.road import Road, Route, Run
from tests.end_to_end.stack import make_route


@pytest.fixture(autouse=True)
def _well_again(stand_in: Control) -> Iterator[None]:
    """The stand-in behaves after each test."""
    yield
    stand_in.clear_troubles()


def content(name: str) -> bytes:
    """A file that no other test drops."""
    return f"reference,amount\n{name}-{uuid.uuid4().hex},100\n".encode()


def started(road: Road, key: str, file: bytes) -> str:
    """Drop a file; return its execution once it has begun."""
    before = road.executions_of(key)
    road.drop(key, file)
    return str(
        road.until(
            lambda: next((arn for arn in road.executions_of(key) if arn not in before), ""),
            f"an execution for {key!r}",
        )
    )


def state_of(road: Road, arn: str) -> str:
    """The state that an execution has entered last."""
    entered = [e for e in road.history(arn) if "stateEnteredEventDetails" in e]
    return str(entered[-1]["stateEnteredEventDetails"]["name"]) if entered else ""


def queued(road: Road, arn: str) -> bool:
    """Whether an execution waits with its token."""
    return bool([event["type"] for event in road.history(arn)][-1] == "TaskSubmitted")


def until_queued(road: Road, *arns: str) -> None:
    """Wait until these executions wait for their turn."""
    road.until(lambda: all(queued(road, arn) for arn in arns), "the queue")


def until_looked(road: Road, arn: str) -> None:
    """Wait until an execution with the turn has found its pipeline busy."""
    run = Run(arn, "", "", "", "", "", {})
    road.until(lambda: "PipelineFinished?" in road.entered(run), "a busy pipeline")


def endless(stand_in: Control, route: Route) -> None:
    """Let the pipeline's next run go on until it is ended by hand."""
    stand_in.trouble("execute_pipeline", "run", id=route.pipeline_id, run={"never_ends": True})


def run_of(stand_in: Control, route: Route, number: int = -1) -> dict[str, Any]:
    """One of the pipeline's runs."""
    return dict(stand_in.pipelines()[route.pipeline_id]["runs"][number])


def occupied(road: Road, stand_in: Control, route: Route) -> str:
    """An execution whose run goes on until `stand_in.finish`."""
    endless(stand_in, route)
    arn = started(road, f"{route.name}/first.csv", content("first"))
    road.until(lambda: state_of(road, arn) == "WaitForPipeline", "a run that goes on")
    return arn


def finish(stand_in: Control, route: Route, status: str = "Succeeded") -> None:
    """End the run that goes on."""
    stand_in.finish(run_of(stand_in, route)["id"], end_status=status)


def output_of(road: Road, run: Run) -> bytes:
    """The only output of a run that gives its file back."""
    assert run.status == "SUCCEEDED", run.cause
    (output,) = road.manifest(run)["outputs"]
    return road.stored(output["key"])


def violations(stand_in: Control, route: Route) -> list[Any]:
    """What the stand-in saw that must never be."""
    return [e for e in stand_in.journal("violation") if route.pipeline_id in json.dumps(e)]


def test_files_of_one_pipeline_wait_for_each_other_in_order(
    road: Road, stand_in: Control, copy_route: Route
) -> None:
    # Given a run that goes on, and three files behind it
    first = occupied(road, stand_in, copy_route)
    files = {f"{copy_route.name}/{n}.csv": content(str(n)) for n in range(3)}
    waiting = {key: started(road, key, file) for key, file in files.items()}
    until_queued(road, *waiting.values())
    assert len(stand_in.pipelines()[copy_route.pipeline_id]["runs"]) == 1
    # When it ends, they go one by one, each with its own bytes
    finish(stand_in, copy_route)
    assert road.ended(first).status == "SUCCEEDED"
    runs = {key: road.ended(arn) for key, arn in waiting.items()}
    assert {key: output_of(road, run) for key, run in runs.items()} == files
    numbers = [road.manifest(run)["quantemplate"]["run_number"] for run in runs.values()]
    assert numbers == [2, 3, 4]
    assert violations(stand_in, copy_route) == []


def test_queues_do_not_wait_for_each_other(
    road: Road, stand_in: Control, copy_route: Route
) -> None:
    first = occupied(road, stand_in, copy_route)
    other = make_route(road, stand_in, "Copy")
    assert road.processed(f"{other.name}/a.csv", content("a")).status == "SUCCEEDED"
    finish(stand_in, copy_route)
    assert road.ended(first).status == "SUCCEEDED"


def test_a_queue_is_free_while_its_last_file_downloads(
    road: Road, stand_in: Control, copy_route: Route
) -> None:
    # Given a file whose output is long in coming
    stand_in.trouble("download_output", "delay", seconds=5, id=copy_route.pipeline_id)
    first = started(road, f"{copy_route.name}/first.csv", content("first"))
    road.until(lambda: state_of(road, first) == "DownloadOutput", "a download")
    # Then the next one is through before it
    second = road.processed(f"{copy_route.name}/second.csv", content("second"))
    assert second.status == "SUCCEEDED"
    assert (
        road.client("stepfunctions").describe_execution(executionArn=first)["status"] == "RUNNING"
    )
    assert road.ended(first).status == "SUCCEEDED"


def test_a_key_that_is_overwritten_while_it_waits_is_processed_twice(
    road: Road, stand_in: Control, copy_route: Route
) -> None:
    occupied(road, stand_in, copy_route)
    key = f"{copy_route.name}/may.csv"
    files = [content("old"), content("new")]
    waiting = [started(road, key, file) for file in files]
    until_queued(road, *waiting)
    finish(stand_in, copy_route)
    assert [output_of(road, road.ended(arn)) for arn in waiting] == files


def test_the_turn_of_an_aborted_execution_goes_on_and_a_redrive_takes_another(
    road: Road, stand_in: Control, copy_route: Route
) -> None:
    # Given a holder and two that wait
    states = road.client("stepfunctions")
    first = occupied(road, stand_in, copy_route)
    key, file = f"{copy_route.name}/second.csv", content("second")
    second = started(road, key, file)
    third = started(road, f"{copy_route.name}/third.csv", content("third"))
    until_queued(road, second, third)
    # When the one in the middle is aborted, and the holder's run ends
    states.stop_execution(executionArn=second)
    finish(stand_in, copy_route)
    assert road.ended(first).status == road.ended(third).status == "SUCCEEDED"
    # Then it can be redriven
    again = road.redrive(road.ended(second))
    assert output_of(road, again) == file
    assert violations(stand_in, copy_route) == []


def test_an_abort_while_the_pipeline_runs_makes_the_next_file_wait_for_that_run(
    road: Road, stand_in: Control, copy_route: Route
) -> None:
    first = occupied(road, stand_in, copy_route)
    second = started(road, f"{copy_route.name}/second.csv", content("second"))
    until_queued(road, second)
    road.client("stepfunctions").stop_execution(executionArn=first)
    # The next one has the turn, and sees that the pipeline is busy
    until_looked(road, second)
    assert len(stand_in.pipelines()[copy_route.pipeline_id]["runs"]) == 1
    # When that run ends
    finish(stand_in, copy_route)
    assert road.ended(second).status == "SUCCEEDED"
    # Then a redrive of the aborted one fetches its outputs, and executes nothing
    again = road.redrive(road.ended(first))
    assert again.status == "SUCCEEDED"
    assert road.manifest(again)["quantemplate"]["run_number"] == 1
    assert len(stand_in.pipelines()[copy_route.pipeline_id]["runs"]) == 2
    assert violations(stand_in, copy_route) == []


@pytest.mark.parametrize("status", ["Failed", "Cancelled"])
def test_a_redrive_after_a_failed_pipeline_runs_the_file_again(
    road: Road, stand_in: Control, copy_route: Route, status: str
) -> None:
    plan = {"end_status": status}
    stand_in.trouble("execute_pipeline", "run", id=copy_route.pipeline_id, run=plan)
    file = content("may")
    run = road.processed(f"{copy_route.name}/may.csv", file)
    assert run.error in ("PipelineFailed", "PipelineCancelled")
    again = road.redrive(run)
    assert output_of(road, again) == file
    assert road.manifest(again)["quantemplate"]["run_number"] == 2


def test_a_rerun_in_the_console_always_runs_again(road: Road, copy_route: Route) -> None:
    file = content("may")
    run = road.processed(f"{copy_route.name}/may.csv", file)
    execution = road.client("stepfunctions").describe_execution(executionArn=run.arn)
    again = road.ended(road.start(json.loads(execution["input"])))
    assert output_of(road, again) == file
    assert road.manifest(again)["quantemplate"]["run_number"] == 2


def test_an_attached_run_is_fetched_and_nothing_is_executed(
    road: Road, stand_in: Control, copy_route: Route
) -> None:
    file = content("may")
    run = road.processed(f"{copy_route.name}/may.csv", file)
    source = road.manifest(run)["source"]
    named = {"bucket": source["bucket"], "key": source["key"]}
    attached = road.ended(road.start(named | {"execution_id": run_of(stand_in, copy_route)["id"]}))
    assert output_of(road, attached) == file
    assert len(stand_in.pipelines()[copy_route.pipeline_id]["runs"]) == 1


def test_somebody_elses_run_is_waited_for(road: Road, stand_in: Control, copy_route: Route) -> None:
    # Given a run that somebody else has started
    road.processed(f"{copy_route.name}/a.csv", content("a"))
    stand_in.run(copy_route.pipeline_id, never_ends=True)
    key, file = f"{copy_route.name}/b.csv", content("b")
    waits = started(road, key, file)
    until_looked(road, waits)
    # When it ends, the file is processed
    finish(stand_in, copy_route)
    assert output_of(road, road.ended(waits)) == file
    assert violations(stand_in, copy_route) == []


def test_rejected_credentials_pause_the_queue_and_a_redrive_resumes_it(
    road: Road, stand_in: Control, copy_route: Route
) -> None:
    # Given credentials that Quantemplate no longer accepts
    old = stand_in.client_secret
    stand_in.rotate_credentials("rotated")
    stand_in.expire_tokens()
    try:
        first = road.processed(f"{copy_route.name}/first.csv", content("first"))
        assert first.error == "CredentialsRejected"
        # Then the next file waits and does not fail
        second = started(road, f"{copy_route.name}/second.csv", content("second"))
        until_queued(road, second)
        shown = steer(road, {"pause": "another"})
        assert shown["paused"]["reason"] == "by hand"
    finally:
        stand_in.rotate_credentials(old)
    # When the credentials are right again and the execution is redriven, both go through
    assert road.redrive(first).status == "SUCCEEDED"
    assert road.ended(second).status == "SUCCEEDED"


def steer(road: Road, payload: dict[str, str]) -> dict[str, Any]:
    """Pause or resume a queue as an operator does."""
    answer = road.client("lambda").invoke(
        FunctionName="straight-through-pause_queue", Payload=json.dumps(payload)
    )
    return dict(json.load(answer["Payload"]))


def test_an_operator_pauses_and_resumes_a_queue(road: Road, copy_route: Route) -> None:
    steer(road, {"pause": copy_route.pipeline_id, "reason": "month-end closing"})
    waits = started(road, f"{copy_route.name}/may.csv", content("may"))
    until_queued(road, waits)
    shown = steer(road, {"resume": copy_route.pipeline_id})
    assert shown["holder"]
    assert road.ended(waits).status == "SUCCEEDED"


def test_two_routes_with_one_dataset_in_two_queues_are_refused(
    road: Road, copy_route: Route, stand_in: Control
) -> None:
    # Given a route that has been used, and another with its dataset and a queue of its own
    road.processed(f"{copy_route.name}/a.csv", content("a"))
    other = make_route(road, stand_in, "Copy")
    ids = {"dataset_id": copy_route.dataset_id, "pipeline_id": other.pipeline_id}
    road.put_route(other.name, {"organisation_id": ORGANISATION, **ids})
    # When a file is dropped there
    run = road.processed(f"{other.name}/b.csv", content("b"))
    # Then both routes are named
    assert (run.error, run.failed_at) == ("RouteConflict", "UploadAndExecute")
    assert repr(copy_route.name) in run.cause
    assert repr(other.name) in run.cause
    # And with one queue, and one pipeline, for both, a redrive goes through
    ids["pipeline_id"] = copy_route.pipeline_id
    for name in (copy_route.name, other.name):
        road.put_route(name, {"organisation_id": ORGANISATION, "queue": other.name, **ids})
    again = road.redrive(run)
    assert again.status == "SUCCEEDED", again.cause


def test_a_route_that_changes_its_queue_while_files_wait_mixes_nothing(
    road: Road, stand_in: Control, copy_route: Route
) -> None:
    # Given a run that goes on, and a file that waits behind it
    first = occupied(road, stand_in, copy_route)
    file = content("second")
    second = started(road, f"{copy_route.name}/second.csv", file)
    until_queued(road, second)
    # When the route names another queue, and a third file is dropped, which has that one's turn
    ids = {"dataset_id": copy_route.dataset_id, "pipeline_id": copy_route.pipeline_id}
    queue = f"q-{copy_route.name}"
    road.put_route(copy_route.name, {"organisation_id": ORGANISATION, "queue": queue, **ids})
    third = started(road, f"{copy_route.name}/third.csv", content("third"))
    until_looked(road, third)
    assert len(stand_in.pipelines()[copy_route.pipeline_id]["runs"]) == 1
    # Then all go through, one after the other
    finish(stand_in, copy_route)
    assert road.ended(first).status == road.ended(third).status == "SUCCEEDED"
    assert output_of(road, road.ended(second)) == file
    assert violations(stand_in, copy_route) == []


@pytest.mark.parametrize("length", [2, 12])
def test_a_file_costs_the_same_however_long_its_queue_is(
    road: Road, stand_in: Control, copy_route: Route, length: int
) -> None:
    # Given a queue of this length
    first = occupied(road, stand_in, copy_route)
    keys = [f"{copy_route.name}/{number}.csv" for number in range(length)]
    with ThreadPoolExecutor(4) as pool:
        waiting = list(pool.map(lambda key: started(road, key, content(key)), keys))
    until_queued(road, *waiting)
    finish(stand_in, copy_route)
    assert road.ended(first).status == "SUCCEEDED"
    # Then each has entered the same states and called the same functions, but for its looks
    for arn in waiting:
        run = road.ended(arn)
        assert run.status == "SUCCEEDED", run.cause
        looks = ("WaitForPipeline", "CheckStatus", "PipelineFinished?")
        entered = [state for state in road.entered(run) if state not in looks]
        assert entered == [
            "Release?",
            "CheckFile",
            "FileChecked?",
            "TakeTurn",
            "UploadAndExecute",
            "DownloadOutputs",
            "DownloadOutput",
            "OutputStored?",
            "OutputStored",
            "PublishRun",
        ]
        scheduled = [e for e in road.history(arn) if e["type"] == "TaskScheduled"]
        looked = road.entered(run).count("CheckStatus")
        assert len(scheduled) == 5 + looked

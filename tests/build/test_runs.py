"""What is shown of runs, from the histories that Step Functions gives."""

from dataclasses import replace
from typing import Any

from local import runs
from local.live import ending, news, step_mark
from local.runs import Run, RunWatch
from stp.timeline import ended_at, steps, visits
from tests.cli.histories import BEGAN, at, entered, event, exited, history

LOOPED = [
    entered(0, "Upload"),
    exited(1, "Upload"),
    entered(1, "Wait"),
    exited(3, "Wait"),
    entered(3, "Check"),
    exited(4, "Check"),
    entered(4, "Wait"),
]


# --- lines -------------------------------------------------------------------------------------
def run(events: list[dict[str, Any]], status: str = "RUNNING", **more: Any) -> Run:
    found = visits(history(events))
    whole: dict[str, Any] = {"arn": "arn:may-1", "name": "may-1", "key": "claims/may.csv"}
    return Run(
        **whole,
        started=BEGAN,
        status=status,
        steps=tuple(steps(found)),
        failed_at=ended_at(found),
        **more,
    )


def told(before: Run | None, now: Run) -> list[str]:
    return [text for _, text, _ in news(before, now)]


def test_a_new_run_is_told_with_its_file_and_the_states_it_has_entered() -> None:
    assert told(None, run(LOOPED)) == ["started  claims/may.csv", "Upload", "Wait", "Check"]


def test_a_key_is_told_on_one_line() -> None:
    strange = replace(run([]), key="claims/a\nb\x1b[2J\ud800 ü.csv")
    assert told(None, strange) == [r"started  claims/a\nb\x1b[2J\ud800 ü.csv"]


def test_a_state_that_a_run_comes_back_to_is_told_once() -> None:
    assert told(run(LOOPED[:5]), run(LOOPED)) == []


def test_the_end_is_told_with_its_time_and_a_failure_with_state_error_and_message() -> None:
    failed = run(
        [*LOOPED[:5], event(4, "ExecutionFailed")],
        "FAILED",
        stopped=at(4),
        error="PipelineFailed",
        cause='{"errorMessage": "claims/may.csv:\\nrow 3", "stackTrace": ["secret"]}',
    )
    assert told(run(LOOPED[:5]), failed) == [
        "FAILED after 4.0 s at Check  PipelineFailed: claims/may.csv: row 3"
    ]
    assert ending(run([], "SUCCEEDED", stopped=at(2))) == "SUCCEEDED after 2.0 s"


def test_a_redriven_run_is_told_again_from_the_state_where_it_goes_on() -> None:
    failed = run([*LOOPED[:5], event(4, "ExecutionFailed")], "FAILED", stopped=at(4))
    events = [*LOOPED[:5], event(4, "ExecutionFailed"), event(60, "ExecutionRedriven")]
    again = run([*events, event(60, "TaskScheduled")], redrives=1, redriven=at(60))
    assert told(failed, again) == ["running again", "Check"]
    # And once only
    assert told(again, replace(again, stopped=at(61), status="SUCCEEDED")) == [
        "SUCCEEDED after 61.0 s"
    ]


def test_a_redrive_that_nobody_saw_running_is_told_at_its_time_before_the_new_end() -> None:
    # Given a run that failed, was redriven and failed again at once
    failed = run([*LOOPED[:5], event(4, "ExecutionFailed")], "FAILED", stopped=at(4))
    events = [*LOOPED[:5], event(4, "ExecutionFailed"), event(60, "ExecutionRedriven")]
    again = run(
        [*events, event(61, "ExecutionFailed")],
        "FAILED",
        stopped=at(61),
        redrives=1,
        redriven=at(60),
    )
    # Then that is what its lines say, whether or not the first failure was seen
    lines = [(at(60), "running again"), (at(60), "Check"), (at(61), "FAILED after 61.0 s at Check")]
    assert [(when, text) for when, text, _ in news(failed, again)] == lines
    assert [(when, text) for when, text, _ in news(run(LOOPED[:5]), again)] == lines
    assert told(None, again)[:2] == ["started  claims/may.csv", "Upload"]


def test_the_state_that_failed_is_marked_and_the_others_are_done() -> None:
    failed = run([*LOOPED[:5], event(4, "ExecutionFailed")], "FAILED", stopped=at(4))
    assert [step_mark(failed, step, "*")[0] for step in failed.steps] == ["✓", "✓", "✗"]
    assert [step_mark(run(LOOPED), step, "*")[0] for step in run(LOOPED).steps] == ["✓", "*", "✓"]


# --- looking -----------------------------------------------------------------------------------
class FakeStepFunctions:
    """Executions by name, newest last; counts how many histories were read."""

    def __init__(self) -> None:
        self.executions: dict[str, dict[str, Any]] = {}
        self.histories_read = 0

    def put(self, name: str, status: str, seconds: float = 0, redrives: int = 0) -> None:
        self.executions[name] = {
            "executionArn": name,
            "name": name,
            "status": status,
            "startDate": at(seconds),
            "redriveCount": redrives,
            "input": '{"key": "claims/may.csv"}',
        }

    def list_executions(self, **ask: Any) -> dict[str, Any]:
        found = [
            each
            for each in reversed(self.executions.values())
            if ask.get("statusFilter") in {None, each["status"]}
        ]
        return {"executions": found[: ask["maxResults"]]}

    def describe_execution(self, **ask: Any) -> dict[str, Any]:
        return self.executions[ask["executionArn"]] | {"stopDate": at(9)}

    def get_execution_history(self, **ask: Any) -> dict[str, Any]:
        self.histories_read += 1
        if "nextToken" in ask:
            return {"events": history(LOOPED)[3:]}
        return {"events": history(LOOPED)[:3], "nextToken": "more"}


def test_only_what_changed_is_told_and_ended_runs_are_not_read_again() -> None:
    # Given a run that has ended and one that goes on
    states = FakeStepFunctions()
    states.put("done", "SUCCEEDED")
    states.put("going", "RUNNING", 1)
    watch = RunWatch(states, "arn")
    # Then both are told once, the older first, all pages of their histories read
    assert [(now.name, len(now.steps)) for _, now in watch.changes()] == [("done", 3), ("going", 3)]
    states.histories_read = 0
    assert watch.changes() == []
    assert states.histories_read == 2
    # and the end of the other is told when it comes
    states.put("going", "SUCCEEDED", 1)
    assert [now.status for _, now in watch.changes()] == ["SUCCEEDED"]


def test_a_run_that_ends_as_before_after_a_redrive_has_changed() -> None:
    # Given a failed run that was seen
    states = FakeStepFunctions()
    states.put("may-1", "FAILED")
    watch = RunWatch(states, "arn")
    watch.changes()
    # When it is redriven and fails again between two looks
    states.put("may-1", "FAILED", redrives=1)
    # Then it is told, once
    assert [(now.status, now.redrives) for _, now in watch.changes()] == [("FAILED", 1)]
    assert watch.changes() == []


def test_in_a_flood_only_some_runs_are_followed_state_by_state() -> None:
    states = FakeStepFunctions()
    for number in range(50):
        states.put(f"run-{number}", "RUNNING", number)
    told = RunWatch(states, "arn").changes()
    assert len(told) == 50
    assert sum(bool(now.steps) for _, now in told) == runs.FOLLOWED


def test_an_old_run_that_is_redriven_behind_many_newer_ones_is_seen() -> None:
    # Given an old failed run and more newer ones than are listed in one go
    states = FakeStepFunctions()
    states.put("old", "FAILED")
    watch = RunWatch(states, "arn")
    watch.changes()
    for number in range(runs.LISTED):
        states.put(f"run-{number}", "SUCCEEDED", number)
    watch.changes()
    # When
    states.executions["old"]["status"] = "RUNNING"
    # Then
    assert [now.name for _, now in watch.changes()] == ["old"]

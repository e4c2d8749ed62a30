"""`stp redrive` and a history that has an end, on moto's AWS with Step Functions pretended."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from stp.said import FAILED, OK
from stp.stack import Stack
from straight_through.queue.records import record_key
from tests.cli.conftest import Stp

SHORT = {f"{name}Hours": "1" for name in ("PipelineDeadline", "BusyDeadline", "ApiPatience")}


@dataclass
class States:
    """A failed execution: the state that it ended in, and the number of its history's events."""

    state: str
    events: int
    refused: str = ""
    error: str = "PipelineOverdue"
    status: str = "FAILED"
    redriven: list[str] = field(default_factory=list)

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        """The execution."""
        return {
            "executionArn": executionArn,
            "name": "may",
            "status": self.status,
            "error": self.error,
            "startDate": datetime(2026, 5, 4, tzinfo=UTC),
            "input": '{"bucket": "inbox", "key": "claims/may.csv"}',
            "redriveStatus": "NOT_REDRIVABLE" if self.refused else "REDRIVABLE",
            "redriveStatusReason": self.refused,
        }

    def get_execution_history(self, **_: Any) -> dict[str, Any]:
        """Its last events."""
        entered = {"stateEnteredEventDetails": {"name": self.state}}
        return {"events": [{"id": self.events}, {"id": self.events - 9, **entered}]}

    def redrive_execution(self, *, executionArn: str) -> None:  # noqa: N803 - boto3's
        """Let it go on."""
        self.redriven.append(executionArn)


@pytest.mark.parametrize(
    ("state", "events", "settings", "made", "instead"),
    [
        ("CheckStatus", 9_000, {}, True, ""),
        ("CheckStatus", 9_000, {}, False, "stp rerun may"),  # it may wait for its Execute yet
        ("CheckStatus", 15_000, {}, True, "stp rerun --attach may"),
        ("CheckStatus", 15_000, SHORT, True, ""),
        ("UploadAndExecute", 9_000, {}, True, "stp rerun may"),
        ("PublishRun", 24_000, {}, True, ""),
        ("PublishRun", 24_900, {}, True, "stp rerun --attach may"),
    ],
)
def test_a_redrive_without_room_is_refused_with_what_to_start_instead(
    stp: Stp,
    deployed: Stack,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    events: int,
    settings: dict[str, str],
    instead: str,
    *,
    made: bool,
) -> None:
    # Given a run whose history has so many events, and that has made an execution or not
    states, client = States(state, events), Stack.client
    monkeypatch.setattr(
        Stack, "client", lambda s, name: states if name == "stepfunctions" else client(s, name)
    )
    deployed.parameters.update(settings)  # type: ignore[attr-defined]
    if made:
        made_by_it = {"execution_id": "e-7"}
        deployed.table.update(record_key("may"), "SET #execution = :made", made=made_by_it)
    # When it is redriven
    done = stp("redrive", "may")
    # Then it goes on where there is room for all that it may wait for, or another is named
    assert done.code == (FAILED if instead else OK), done.out + done.err
    assert bool(states.redriven) == (not instead)
    if instead:
        assert f"{events:,} of 25,000" in done.out
        assert done.out.strip().endswith(f"Start a new run instead: {instead}")


@pytest.mark.parametrize(
    ("state", "error", "instead"),
    [
        ("CheckStatus", "PipelineOverdue", "stp rerun --attach may"),
        # What follows an execution that has ended so would end so too.
        ("CheckStatus", "PipelineFailed", "stp rerun may"),
        ("CheckStatus", "PipelineCancelled", "stp rerun may"),
        ("UploadAndExecute", "ApiUnavailable", "stp rerun may"),
    ],
)
def test_what_step_functions_redrives_no_more_is_refused_with_what_to_start_instead(
    stp: Stp,
    deployed: Stack,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    error: str,
    instead: str,
) -> None:
    # Given a run that failed for its history, and whose execution is known
    why = "Execution history event limit exceeded"
    states, client = States(state, 25_000, refused=why, error=error), Stack.client
    monkeypatch.setattr(
        Stack, "client", lambda s, name: states if name == "stepfunctions" else client(s, name)
    )
    made = {"execution_id": "e-7"}
    deployed.table.update(record_key("may"), "SET #execution = :made", made=made)
    # When it is redriven, then that is refused, and what follows its execution is named
    done = stp("redrive", "may")
    assert done.code == FAILED
    assert why in done.out
    assert done.out.strip().endswith(f"Start a new run instead: {instead}")
    assert states.redriven == []


@pytest.mark.usefixtures("deployed")
def test_a_run_that_goes_on_is_not_redriven_and_not_to_be_processed_twice(
    stp: Stp, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a run that goes on
    why = "Execution is RUNNING and cannot be redriven"
    states, client = States("CheckStatus", 9, refused=why, status="RUNNING"), Stack.client
    monkeypatch.setattr(
        Stack, "client", lambda s, name: states if name == "stepfunctions" else client(s, name)
    )
    # When it is redriven, then nothing is done, and no second run of its file is proposed
    done = stp("redrive", "may")
    assert (done.code, states.redriven) == (FAILED, [])
    assert done.out == "may: goes on already, and needs no redrive. See: stp show may\n"

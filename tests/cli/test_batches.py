"""A batch's end, and what is done with many failed runs at once."""

from typing import Any

import pytest

from stp.commands_drop import summed_up
from stp.runs import named
from stp.said import OK, USAGE
from stp.stack import Stack
from tests.cli.conftest import Stp
from tests.cli.states import States, pretend

FAILED = {"status": "FAILED", "redriveStatus": "REDRIVABLE"}
RUNS: dict[str, Any] = {
    "a": FAILED | {"error": "PipelineFailed"},
    "b": FAILED | {"error": "ExecuteUncertain"},
    "c": FAILED | {"error": "PipelineFailed"},
    "d": {"output": '{"status": "Succeeded"}'},
}


@pytest.fixture(autouse=True)
def states(monkeypatch: pytest.MonkeyPatch) -> States:
    """Three failed runs and a good one."""
    states = States(dict(RUNS))
    pretend(monkeypatch, states)
    return states


def test_a_batch_ends_with_a_total_and_one_command_for_each_kind_of_failure(
    deployed: Stack,
) -> None:
    total, *kinds = summed_up([named(deployed, name) for name in RUNS])
    assert total == "4 files: 3 Failed, 1 Succeeded."
    assert kinds == ["PipelineFailed (2): stp redrive a c", "ExecuteUncertain (1): stp rerun b"]


@pytest.mark.usefixtures("deployed")
def test_failed_runs_of_one_error_are_listed_and_redriven(stp: Stp, states: States) -> None:
    failed = ("redrive", "--failed", "--since", "1h", "--error", "PipelineFailed")
    # When what would be redriven is asked for
    listed = stp(*failed, "--dry-run", "--json")
    # Then it is listed, the oldest drop first, and nothing is done
    assert [each["run"] for each in listed.json] == ["a", "c"]
    assert states.redriven == []
    # And nobody who cannot answer is taken for one who agrees, but sees what it is about
    done = stp(*failed)
    assert (done.code, states.redriven) == (USAGE, [])
    assert "claims/a.csv" in done.err
    # And with the answer they go on, and no other
    assert stp(*failed, "--yes").code == OK
    assert states.redriven == ["a", "c"]


@pytest.mark.usefixtures("deployed")
def test_an_error_that_none_has_is_said_to_be_so(stp: Stp, states: States) -> None:
    done = stp("redrive", "--failed", "--since", "1h", "--error", "NoSuch")
    assert done.out == "No run that can be redriven has failed with NoSuch since 1h.\n"
    assert stp("redrive", "a", "--error", "PipelineFailed").code == USAGE
    assert states.redriven == []

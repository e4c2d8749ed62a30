"""A batch's end, and what is done with many failed runs at once."""

import threading
from typing import Any

import pytest

from stp.endings import summed_up
from stp.runs import named
from stp.said import FAILED as CODE_FAILED
from stp.said import OK, USAGE
from stp.stack import Stack
from straight_through.queue.records import record_key
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
    assert total == "4 runs: 3 Failed, 1 Succeeded."
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
    done = stp("rerun", "--since", "1h", "--error", "NoSuch")
    assert (done.code, done.out) == (
        OK,
        "No run that could run again has ended with NoSuch since 1h.\n",
    )
    assert stp("redrive", "a", "--error", "PipelineFailed").code == USAGE
    assert states.redriven == []


@pytest.mark.usefixtures("deployed")
def test_runs_of_one_error_are_listed_and_run_again(stp: Stp, states: States) -> None:
    chosen = ("rerun", "--since", "1h", "--error", "PipelineFailed")
    # When what would run again is asked for, then it is listed and nothing is started
    assert [each["run"] for each in stp(*chosen, "--dry-run", "--json").json] == ["a", "c"]
    assert states.started == []
    # And nobody who cannot answer is taken for one who agrees, but sees what it is about
    done = stp(*chosen)
    assert (done.code, states.started) == (USAGE, [])
    assert "claims/c.csv" in done.err
    # And with the answer these run again, the oldest drop first, and no other
    assert stp(*chosen, "--yes").code == OK
    assert [name.partition("-")[0] for name in states.started] == ["a", "c"]


def test_it_is_asked_whether_executions_are_followed_and_not_whether_files_are_processed(
    stp: Stp, deployed: Stack, states: States
) -> None:
    # Given a run that has made an execution
    deployed.table.update(record_key("a"), "SET #execution = :made", made={"execution_id": "e-7"})
    # When such runs are to be followed, and nobody can be asked
    done = stp("rerun", "--attach", "--since", "1h")
    # Then the question says that nothing is processed again
    assert (done.code, states.started) == (USAGE, [])
    assert "Follow the executions of 1 run?" in done.err


@pytest.mark.usefixtures("deployed")
def test_all_that_ended_run_again_each_file_once(stp: Stp, states: States) -> None:
    # Given runs that ended well, badly and not at all, one that only releases, and two of one file
    states.runs |= {
        "going": {"status": "RUNNING"},
        "release": {"input": '{"release": "d"}'},
        "d-again": {"input": '{"bucket": "inbox", "key": "claims/d.csv"}'},
    }
    # When all of a time are run again, then it is these, and no file twice
    listed = stp("rerun", "--since", "1h", "--dry-run", "--json").json
    assert [each["run"] for each in listed] == ["a", "b", "c", "d-again"]
    # And of the failed ones, the failed alone
    listed = stp("rerun", "--since", "1h", "--failed", "--dry-run", "--json").json
    assert [each["run"] for each in listed] == ["a", "b", "c"]


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize("command", ["redrive", "rerun"])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((), "{} --failed --since 2h"),
        (("--error", "PipelineFailed"), "{} --failed --error PipelineFailed --since 2h"),
        (("a", "--since", "2h"), "leave them out, or name no runs"),
    ],
)
def test_what_chooses_nothing_or_twice_is_said_to_do_so(
    stp: Stp, states: States, command: str, given: tuple[str, ...], told: str
) -> None:
    done = stp(command, *given, "--yes")
    assert (done.code, states.redriven, states.started) == (USAGE, [], [])
    assert told.format(f"stp {command}") in done.err


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize("command", ["redrive", "rerun"])
def test_those_that_were_begun_are_followed_and_summed_up(
    stp: Stp, states: States, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    # Given runs of which one ends well this time
    seen_before: list[int] = []

    def follow(stack: Stack, _: Any, runs: list[str], seen: dict[str, int]) -> list[Any]:
        seen_before.extend(seen.values())
        for name in runs:
            states.runs[name] = {"output": '{"status": "Succeeded"}'} if name[0] == "a" else FAILED
        return [named(stack, name) for name in runs]

    monkeypatch.setattr("stp.commands_rerun.follow", follow)
    # When they are begun again and waited for
    done = stp(command, "--since", "1h", "--error", "PipelineFailed", "--yes", "--wait")
    # Then only what is new of each is told, and a total ends it
    assert done.code == CODE_FAILED
    assert seen_before == ([9, 9] if command == "redrive" else [0, 0])
    assert "2 runs: 1 Succeeded, 1 Failed." in done.out


@pytest.mark.usefixtures("deployed")
def test_reads_go_on_side_by_side(
    stp: Stp, states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a history that is answered only once another is asked for
    both = threading.Barrier(2, timeout=20)
    answer = states.get_execution_history

    def answered(**given: Any) -> dict[str, Any]:
        both.wait()
        return answer(**given)

    monkeypatch.setattr(states, "get_execution_history", answered)
    # When two are redriven, then both go on in the order of their drops
    assert stp("redrive", "c", "a").code == OK
    assert states.redriven == ["a", "c"]

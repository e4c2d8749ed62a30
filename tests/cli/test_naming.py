"""How a run is named: by its name, the beginning of it, its ARN, or as the newest."""

import pytest

from stp.said import FAILED, OK, UNKNOWN, USAGE
from stp.stack import Stack
from straight_through.queue.records import record_key
from tests.cli.conftest import MACHINE, Stp
from tests.cli.states import States, pretend

pytestmark = pytest.mark.usefixtures("deployed")
EXECUTION = MACHINE.replace(":stateMachine:", ":execution:")


@pytest.fixture(autouse=True)
def states(monkeypatch: pytest.MonkeyPatch) -> States:
    """Three runs, the newest last; one has another's whole name for its beginning."""
    states = States({name: {"status": "RUNNING"} for name in ("may-1", "june-1", "may-12")})
    pretend(monkeypatch, states)
    return states


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        ("may-1", "may-1"),
        ("may-12", "may-12"),
        ("ju", "june-1"),
        ("last", "may-12"),
        (f"{EXECUTION}:june-1", "june-1"),
    ],
)
def test_a_run_is_found_by_what_people_call_it(
    stp: Stp, states: States, named: str, meant: str
) -> None:
    done = stp("stop", named)
    assert (done.code, states.stopped) == (OK, [meant])
    assert done.out.startswith(f"{meant} was stopped")


def test_a_beginning_of_several_names_them_and_nothing_is_done(stp: Stp, states: States) -> None:
    done = stp("stop", "may")
    assert done.code == USAGE
    assert "2 runs begin with 'may'" in done.err
    assert done.err.splitlines()[1:] == ["  may-12", "  may-1"]
    assert states.stopped == []


@pytest.mark.parametrize("named", ["april", "", f"{EXECUTION}:ju"])
def test_what_no_run_begins_with_is_unknown(stp: Stp, states: States, named: str) -> None:
    assert stp("stop", named).code == UNKNOWN
    assert states.stopped == []


def test_one_run_that_is_named_twice_is_taken_once(stp: Stp, states: States) -> None:
    states.runs["june-1"] = {"status": "FAILED"}
    assert stp("redrive", "june", "june-1").code == OK
    assert states.redriven == ["june-1"]


def test_there_is_no_newest_before_the_first(stp: Stp, states: States) -> None:
    states.runs.clear()
    done = stp("show", "last")
    assert (done.code, "has no run yet" in done.err) == (UNKNOWN, True)


def test_a_held_run_is_released_by_the_beginning_of_its_name(
    stp: Stp, deployed: Stack, states: States
) -> None:
    # Given a run that a gate holds
    deployed.table.update(record_key("june-1"), "SET #held = :at", at="held/m.json")
    # When it is released by the beginning of its name, then that very run is
    done = stp("release", "june", "--json")
    assert done.json["releases"] == "june-1"
    assert states.started == [done.json["run"]]
    # And one that is not held is refused under its whole name
    done = stp("release", "may-12")
    assert (done.code, "Run may-12 is not held" in done.err) == (FAILED, True)

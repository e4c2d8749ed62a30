"""What a gate holds: which runs are held still, which were released, and by whom."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stp.said import OK, UNKNOWN, USAGE
from stp.stack import Stack
from straight_through.moments import iso
from straight_through.queue.records import record_key
from tests.cli.conftest import MACHINE, Stp
from tests.cli.states import States, pretend

NOW = iso(datetime.now(UTC))
LONG_AGO = iso(datetime.now(UTC) - timedelta(days=400))
BY = f"{MACHINE.replace(':stateMachine:', ':execution:')}:release-1"
HELD: dict[str, Any] = {"held": "held/claims/m.json", "route": "claims"}
RECORDS = {
    "open": HELD,
    "begun": HELD | {"released_by": BY, "release_began": NOW},
    "given-up": HELD | {"released_by": BY, "release_began": LONG_AGO},
    "released": HELD | {"released_by": BY, "release_began": NOW, "released_at": NOW},
    "released-by-1-0-0": HELD | {"released_by": BY},
    "good": {"route": "claims"},
}


@pytest.fixture(autouse=True)
def states(monkeypatch: pytest.MonkeyPatch, deployed: Stack) -> States:
    """Runs with these records, one that failed, and one that releases another."""
    held = {"output": json.dumps({"status": "Held", "route": "claims"})}
    runs: dict[str, Any] = {name: held if "held" in each else {} for name, each in RECORDS.items()}
    runs["failed"] = {"status": "FAILED", "error": "PipelineFailed"}
    runs["release-1"] = {"input": '{"release": "released"}'}
    states = States(runs)
    pretend(monkeypatch, states)
    source = {"bucket": "inbox", "key": "claims/may.csv", "version_id": "v1", "size": 3}
    for name, record in RECORDS.items():
        values = record | {"source": source}
        change = "SET " + ", ".join(f"#{each} = :{each}" for each in values)
        deployed.table.update(record_key(name), change, **values)
    return states


def test_only_open_holds_are_listed_and_one_that_a_release_has_begun_is_open(stp: Stp) -> None:
    # When what is held is asked for
    found = stp("runs", "--held", "--json").json
    # Then nothing that a release has done is there, and all else that a gate holds
    assert [each["run"] for each in found] == ["given-up", "begun", "open"]
    assert [each["released_by"] for each in found] == [None, "release-1", None]
    assert "Held, its release has begun" in stp("runs", "--held").out


def test_where_nothing_is_held_that_is_said(stp: Stp, deployed: Stack) -> None:
    deployed.client("ssm").put_parameter(
        Name=f"{deployed.routes_path}/premiums", Value="{}", Type="String"
    )
    done = stp("runs", "--held", "--route", "premiums")
    assert (done.code, done.out) == (OK, "No held runs of route premiums since 90d.\n")


def test_held_and_failed_is_a_wrong_usage(stp: Stp, states: States) -> None:
    assert stp("runs", "--held", "--failed").code == USAGE
    assert states.started == []


@pytest.mark.parametrize("run", ["released", "released-by-1-0-0"])
def test_a_released_run_says_so_and_by_whom(
    stp: Stp, monkeypatch: pytest.MonkeyPatch, run: str
) -> None:
    monkeypatch.setattr("stp.commands_runs.history", lambda *_: [])
    # When a released run is shown
    done = stp("show", run)
    # Then it is not to be released once more
    assert f"{run}  ✓ Held, released" in done.out
    assert "released by   run release-1" in done.out
    assert "Nothing: it was released. See: stp show release-1" in done.out
    assert f"stp release {run}" not in done.out


def test_one_that_is_held_says_how_to_release_it(stp: Stp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stp.commands_runs.history", lambda *_: [])
    done = stp("show", "open")
    assert "stp release open" in done.out
    assert "released by" not in done.out


def test_the_run_that_released_names_the_file_and_the_run(
    stp: Stp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stp.commands_runs.history", lambda *_: [])
    # When the run that releases another is shown
    done = stp("show", "release-1")
    # Then it is told of what file it is, and of what run
    assert "s3://inbox/claims/may.csv" in done.out
    assert "releases      run released" in done.out
    # And it is listed with its route's runs
    listed = {each["run"]: each for each in stp("runs", "--route", "claims", "--json").json}
    assert listed["release-1"]["file"]["key"] == "claims/may.csv"


@pytest.mark.parametrize("others", [[], ["forgotten-again-1"]], ids=["alone", "beginning"])
def test_what_only_the_outbox_knows_to_be_held_is_released(
    stp: Stp, states: States, deployed: Stack, others: list[str]
) -> None:
    # Given a held run that the table and Step Functions have forgotten, and others that begin so
    states.runs |= {name: {} for name in others}
    for name in ("manifest.json", "Report.csv"):
        key = f"held/claims/may.csv/forgotten/{name}"
        deployed.client("s3").put_object(Bucket="outbox", Key=key, Body=b"{}")
    # When it is released by its name
    done = stp("release", "forgotten", "--json")
    # Then a run begins that releases that one
    assert (done.code, done.json["releases"]) == (OK, "forgotten")
    assert states.started == [done.json["run"]]


def test_what_was_released_and_forgotten_is_unknown(
    stp: Stp, states: States, deployed: Stack
) -> None:
    # Given a forgotten run of which no more than its manifest lies there
    deployed.client("s3").put_object(
        Bucket="outbox", Key="held/claims/may.csv/forgotten/manifest.json", Body=b"{}"
    )
    # When it is released once more, nothing begins
    done = stp("release", "forgotten")
    assert done.code == UNKNOWN
    assert "There is no run 'forgotten'" in done.err
    assert states.started == []

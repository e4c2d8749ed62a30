"""`stp replay`: what a plan takes and leaves out, the place of each, and what it takes."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from stp.replay_costs import estimate, takes, told
from stp.said import OK
from stp.stack import Stack
from stp.timeline import Stretch, Visit
from straight_through.moments import iso
from straight_through.names import run_name
from tests.cli.conftest import Done, Stp
from tests.cli.replaying import NOW, World, keys, plans, reasons, replay, world

__all__ = ["replay", "world"]


# --- what is taken ------------------------------------------------------------------------------
def test_a_plan_has_the_files_of_a_time_in_the_order_of_their_drops(
    world: World, replay: Callable[..., Done]
) -> None:
    # Given files of the time with runs good and bad and none, and others of other times and routes
    good, bad = world.dropped("claims/b.csv", 5), world.dropped("claims/a.csv", 4)
    run = world.ended("claims/b.csv", good, "Succeeded", pipeline_version=13)
    failed = world.ended("claims/a.csv", bad, "Failed")
    world.dropped("claims/lost.csv", 6)
    world.dropped("claims/old.csv", 24 * 8)
    world.dropped("premiums/c.csv", 5)
    world.dropped("claims/notes.txt", 5)
    # When what a replay would do is asked for
    done = replay("--dry-run")
    # Then it is these, the oldest drop first, with what each supersedes
    assert (done.code, keys(done)) == (OK, ["claims/lost.csv", "claims/b.csv", "claims/a.csv"])
    lost, again, anew = done.json["files"]
    assert (lost["was"], lost["supersedes"]) == ("no run", None)
    assert (again["was"], again["supersedes"]) == ("Succeeded, revision 13", run)
    assert (anew["was"], anew["supersedes"]) == ("Failed: PipelineFailed", None)
    assert anew["last"] == failed
    # And nothing is started or kept
    assert (world.states.started, plans(world), done.json["plan"]) == ([], [], None)


def test_the_time_ends_before_its_end(world: World, stp: Stp) -> None:
    for hours in (3, 2, 1):
        world.dropped(f"claims/{hours}.csv", hours)
    since, until = (iso(NOW - timedelta(hours=hours)) for hours in (3, 1))
    span = ("--since", since, "--until", until)
    done = stp("replay", "--route", "claims", *span, "--json", "--dry-run")
    assert keys(done) == ["claims/3.csv", "claims/2.csv"]


def test_versions_of_one_second_keep_their_order(world: World, replay: Callable[..., Done]) -> None:
    versions = [world.dropped("claims/a.csv", 3) for _ in range(3)]
    done = replay("--dry-run")
    assert [each["input"]["version_id"] for each in done.json["files"]] == versions


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        (("--failed",), ["claims/failed.csv", "claims/timed.csv"]),
        (("--missed",), ["claims/missed.csv"]),
        (("--revision-before", "14"), ["claims/13.csv", "claims/held.csv"]),
        (("--revision-before", "15"), ["claims/13.csv", "claims/14.csv", "claims/held.csv"]),
    ],
)
def test_what_has_become_of_files_chooses_among_them(
    world: World, replay: Callable[..., Done], options: tuple[str, ...], taken: list[str]
) -> None:
    # Given files of every kind
    kinds: list[tuple[str, str, dict[str, Any]]] = [
        ("13", "Succeeded", {"pipeline_version": 13}),
        ("14", "Succeeded", {"pipeline_version": 14}),
        ("held", "Held", {"pipeline_version": 12}),
        ("failed", "Failed", {"pipeline_version": 12}),
        ("timed", "TimedOut", {}),
        ("stopped", "Aborted", {}),
    ]
    for name, status, more in kinds:
        key = f"claims/{name}.csv"
        world.ended(key, world.dropped(key, 3), status, **more)
    world.dropped("claims/missed.csv", 3)
    # When some are asked for, then it is these
    done = replay("--dry-run", *options)
    assert sorted(keys(done)) == taken
    assert done.json["left_out"] == []


def test_files_of_an_unknown_revision_are_told_and_not_taken(
    world: World, replay: Callable[..., Done]
) -> None:
    version = world.dropped("claims/may.csv", 3)
    run = world.ended("claims/may.csv", version, "Succeeded")
    done = replay("--revision-before", "14", "--dry-run")
    assert keys(done) == []
    assert reasons(done) == {
        "claims/may.csv": f"by which revision {run} was processed is not known"
    }


def test_what_step_functions_has_forgotten_is_not_missed(world: World, stp: Stp) -> None:
    # Given files of half a year ago: one has its line, of the other nothing is known
    old = world.dropped("claims/may.csv", 24 * 180)
    began = iso(NOW - timedelta(days=180))
    world.ended("claims/may.csv", old, "Succeeded", started_at=began)
    world.dropped("claims/lost.csv", 24 * 179)
    # When all of that time are asked for
    done = stp("replay", "--route", "claims", "--since", "200d", "--dry-run", "--json")
    # Then the other may have had a run, and is left out
    assert keys(done) == ["claims/may.csv"]
    assert "forgets runs after 90 days" in reasons(done)["claims/lost.csv"]
    # And where none is left, that is told with the time and the choice
    done = stp("replay", "--route", "claims", "--since", "170d", "--failed")
    assert re.search(
        r"Nothing to replay of route claims, dropped from [-\d]+ [:\d]+ to [-\d]* ?[:\d]+: "
        r"files whose last run has failed\.\n$",
        done.out,
    )


def test_a_failed_run_that_was_made_good_since_is_not_failed(
    world: World, replay: Callable[..., Done]
) -> None:
    # Given a failed file that was run again and ended well, and a good one that was not
    for key, first, second in (
        ("claims/mended.csv", "Failed", "Succeeded"),
        ("claims/broken.csv", "Succeeded", "Failed"),
    ):
        version = world.dropped(key, 3)
        world.ended(key, version, first)
        later = iso(NOW - timedelta(minutes=5))
        world.ended(key, version, second, name=f"{key[7:9]}-again", started_at=later)
    # Then the last run of each decides
    done = replay("--dry-run", "--failed")
    assert keys(done) == ["claims/broken.csv"]
    assert done.json["files"][0]["was"] == "Failed: PipelineFailed; before it Succeeded"


def test_what_is_not_to_be_processed_again_is_left_out_and_why(
    world: World, replay: Callable[..., Done]
) -> None:
    # Given files whose data went another way, one that goes on, one that a person has stopped
    skipped = {"identical_to": {"run": "claims-twin-1", "key": "k", "at": "t"}}
    gathered = {"set": {"period": "2026-09", "version": 0, "missing": ["p.csv"]}}
    for name, status, more in (
        ("skipped", "Skipped", skipped),
        ("gathered", "Gathered", gathered),
        ("replaced", "Replaced", {}),
        ("stopped", "Aborted", {}),
    ):
        key = f"claims/{name}.csv"
        world.ended(key, world.dropped(key, 3), status, **more)
    version = world.dropped("claims/going.csv", 3)
    going = run_name("inbox", "claims/going.csv", version)
    given = {"bucket": "inbox", "key": "claims/going.csv", "version_id": version}
    world.states.runs[going] = {"status": "RUNNING", "input": json.dumps(given)}
    # And one that was deleted before any run knew it, and one whose version is gone
    world.dropped("claims/deleted.csv", 3)
    world.stack.client("s3").delete_object(Bucket="inbox", Key="claims/deleted.csv")
    world.ended("claims/gone.csv", "v-gone", "Succeeded")
    # When all are asked for
    done = replay("--dry-run")
    # Then none of them is taken, and it is said why
    assert (done.code, keys(done)) == (OK, [])
    why = reasons(done)
    assert "processed by claims-twin-1" in why["claims/skipped.csv"]
    assert "with its set 2026-09" in why["claims/gathered.csv"]
    assert "newer version" in why["claims/replaced.csv"]
    assert f"its run {going} goes on" in why["claims/going.csv"]
    assert "stp rerun" in why["claims/stopped.csv"]
    assert "deleted" in why["claims/deleted.csv"]
    assert "no longer in the inbox" in why["claims/gone.csv"]
    assert len(why) == 7


def test_a_deleted_file_that_was_processed_is_processed_again(
    world: World, replay: Callable[..., Done]
) -> None:
    # Given a processed file that was cleared away; its version is still there
    version = world.dropped("claims/may.csv", 3)
    world.ended("claims/may.csv", version, "Succeeded")
    world.stack.client("s3").delete_object(Bucket="inbox", Key="claims/may.csv")
    assert keys(replay("--dry-run")) == ["claims/may.csv"]


def test_a_run_without_a_line_is_known_all_the_same(
    world: World, replay: Callable[..., Done]
) -> None:
    # Given a run whose end nobody has told, and one that a redrive has made good since its line
    version = world.dropped("claims/may.csv", 3)
    given = {"bucket": "inbox", "key": "claims/may.csv", "version_id": version}
    untold = run_name("inbox", "claims/may.csv", version)
    world.states.runs[untold] = {"status": "FAILED", "error": "X", "input": json.dumps(given)}
    later = world.dropped("claims/june.csv", 2)
    redriven = world.ended("claims/june.csv", later, "Failed")
    world.states.runs[redriven] = {
        "output": '{"status": "Succeeded"}',
        "input": json.dumps(given | {"key": "claims/june.csv", "version_id": later}),
    }
    # Then neither is missed, and one has failed
    assert keys(replay("--dry-run", "--missed")) == []
    assert keys(replay("--dry-run", "--failed")) == ["claims/may.csv"]


def test_a_release_is_no_run_of_the_file(world: World, replay: Callable[..., Done]) -> None:
    # Given a held run, and the failed run that was to release it
    version = world.dropped("claims/may.csv", 3)
    world.ended("claims/may.csv", version, "Held", pipeline_version=13)
    world.ended("claims/may.csv", version, "Failed", name="m-release-1", releases="m")
    # Then the file has not failed, and is held as it was
    assert replay("--dry-run").json["files"][0]["was"] == "Held, revision 13"
    assert keys(replay("--dry-run", "--failed")) == []
    assert keys(replay("--dry-run", "--revision-before", "14")) == ["claims/may.csv"]


def test_a_set_is_run_once_more_by_its_last_file(world: World, replay: Callable[..., Done]) -> None:
    # Given a set that has run twice: with each of two files as the one that came last
    for number, name in enumerate("ab", 1):
        key = f"claims/{name}-2026-09.csv"
        of_set = {"period": "2026-09", "version": number, "missing": []}
        run = world.ended(key, world.dropped(key, 5 - number), "Succeeded", set=of_set)
        order = f"{iso(NOW)}#{'7':0<40}#{run}"
        member = {"run": run, "order": order, "file": f"{name}-{{period}}.csv"}
        world.record(run, set={"version": number, "period": "2026-09", "members": [member]})
    # Then the newest of both goes with the last
    done = replay("--dry-run")
    assert keys(done) == ["claims/b-2026-09.csv"]
    assert "was run again by claims-b-2026-09" in reasons(done)["claims/a-2026-09.csv"]
    # At the place of the member, and not of the set
    assert done.json["files"][0]["input"]["sequencer"] == "7"


# --- the place of each --------------------------------------------------------------------------
def test_each_has_the_place_of_what_it_supersedes(
    world: World, replay: Callable[..., Done]
) -> None:
    # Given a run whose place its record tells, one of which only Step Functions knows it, and one
    # by hand of long ago
    at = iso(NOW - timedelta(hours=3, milliseconds=-5))
    ticket = world.dropped("claims/ticket.csv", 3)
    run = world.ended("claims/ticket.csv", ticket, "Succeeded")
    world.record(run, ticket=f"{at}#{'00a1':0<40}#{run}")
    told = world.dropped("claims/told.csv", 2)
    known = world.ended("claims/told.csv", told, "Failed")
    given = {"bucket": "inbox", "key": "claims/told.csv", "version_id": told}
    given |= {"dropped_at": iso(NOW), "sequencer": "00b2"}
    world.states.runs[known] = {"status": "FAILED", "input": json.dumps(given)}
    hand = world.dropped("claims/hand.csv", 1)
    began = iso(NOW - timedelta(minutes=7))
    world.ended("claims/hand.csv", hand, "Succeeded", name="by-hand", started_at=began)
    # When they are replayed
    done = replay("--dry-run")
    # Then each is as new as that, and says so under the plan's name
    places = {
        each["input"]["key"]: (each["input"]["dropped_at"], each["input"].get("sequencer"))
        for each in done.json["files"]
    }
    assert places == {
        "claims/ticket.csv": (at, "00a1"),
        "claims/told.csv": (iso(NOW), "00b2"),
        "claims/hand.csv": (began, None),
    }


def test_the_newest_place_that_a_file_has_had_is_its_own(
    world: World, replay: Callable[..., Done]
) -> None:
    # Given a file that was rerun by hand, and then followed at the place of its drop
    version = world.dropped("claims/may.csv", 3)
    for name, hours, seq in (("hand", 2, ""), ("may-attach", 3, "7")):
        began = iso(NOW - timedelta(hours=1, minutes=-len(name)))
        run = world.ended("claims/may.csv", version, "Succeeded", name=name, started_at=began)
        order = f"{iso(NOW - timedelta(hours=hours))}#{seq:0<40}#{run}"
        world.record(run, ticket=order)
    # Then what the rerun has brought to a destination is replaced too
    (file,) = replay("--dry-run").json["files"]
    assert file["supersedes"] == "may-attach"
    assert file["input"]["dropped_at"] == iso(NOW - timedelta(hours=2))


def test_missed_versions_of_one_second_do_not_share_a_place(
    world: World, replay: Callable[..., Done]
) -> None:
    versions = [world.dropped("claims/may.csv", 3) for _ in range(3)]
    files = replay("--missed", "--dry-run").json["files"]
    assert [each["input"]["version_id"] for each in files] == versions
    places = [each["input"]["dropped_at"] for each in files]
    assert places == [iso(NOW - timedelta(hours=3, milliseconds=-n)) for n in range(3)]


# --- what it takes ------------------------------------------------------------------------------
def visited(name: str, began: float, ended: float) -> Visit:
    """A state's visit; in seconds."""
    stretch = Stretch(NOW + timedelta(seconds=began), NOW + timedelta(seconds=ended))
    return Visit(name, "Task", 1, [stretch])


def test_what_it_takes_is_what_the_routes_runs_took(
    deployed: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given three runs that waited long for their turns, and one that is forgotten
    runs = {
        str(looks): [
            visited("CheckFile", 0, 10),
            visited("TakeTurn", 10, 5000),
            *(visited("CheckStatus", 5000 + n, 5001 + n) for n in range(looks)),
            visited("PublishRun", 5000 + 100 * looks, 5090 + 100 * looks),
        ]
        for looks in (3, 30, 9)
    }
    monkeypatch.setattr("stp.replay_costs.history", lambda _, arn: arn)
    monkeypatch.setattr("stp.replay_costs.visits", lambda arn: runs.get(arn, []))
    # When a hundred files are to run
    each = takes(deployed, [*runs, "forgotten"])
    found = estimate(100, each, None)
    # Then they take a hundred times what those took in the middle, without the waits
    assert found is not None
    assert (found.of, found.looks) == (3, 900)
    assert found.hours == pytest.approx(100 * (10 + 900 + 90) / 3600)
    assert found.dollars == pytest.approx(100 * 12 * 0.025 / 1000)
    # And a rate makes it longer
    slow = estimate(100, each, 1.0)
    assert slow is not None
    assert slow.hours == pytest.approx(99 + 1000 / 3600)
    # And of a route that never ended well nothing is known
    assert takes(deployed, []) is None
    assert "not known" in told(estimate(5, None, None))

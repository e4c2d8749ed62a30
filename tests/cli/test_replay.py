"""`stp replay`: how a plan is carried out, how it stops and goes on, and what makes no sense."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stp.replays import replay_name
from stp.said import FAILED, INTERRUPTED, NO_STACK, NOT_NOW, OK, UNKNOWN, USAGE
from straight_through.moments import iso
from straight_through.names import run_name
from tests.cli.conftest import Done, Stp
from tests.cli.replaying import IDS, NOW, SPAN, World, plans, replay, world

__all__ = ["replay", "world"]


# --- carrying it out ----------------------------------------------------------------------------
def some(world: World, count: int) -> list[str]:
    """Drop files that have failed; return the names of their runs in a plan, by their order."""
    firsts = []
    for number in range(count):
        key = f"claims/{number}.csv"
        version = world.dropped(key, 100 - number)
        firsts.append(world.ended(key, version, "Failed"))
    return firsts


def test_the_files_are_processed_in_their_order_and_told(
    world: World, replay: Callable[..., Done]
) -> None:
    # Given three files, one of which fails again, and one without a run
    firsts = some(world, 3)
    world.states.ends["claims/1.csv"] = {"status": "FAILED", "error": "PipelineFailed"}
    lost = world.dropped("claims/lost.csv", 1)
    # When they are replayed
    done = replay("--yes")
    # Then each has run once, in the order of the drops
    (plan,) = plans(world)
    own = run_name("inbox", "claims/lost.csv", lost)
    assert world.states.started == [*(replay_name(run, plan) for run in firsts), own]
    # And the plan's runs say of which plan, the missed file's is the one of its drop
    given = world.states.given
    assert [given[name].get("replay") for name in world.states.started] == [*[plan] * 3, None]
    # And what failed is told, with what mends it
    assert done.code == FAILED
    assert [each["status"] for each in done.json["runs"]].count("Failed") == 1
    assert (done.json["plan"], done.json["left"], done.json["stopped"]) == (plan, 0, False)
    assert "2/4  claims/1.csv  ✗ Failed: PipelineFailed" in done.err


def test_a_plan_is_agreed_to_before_anything_starts(world: World, stp: Stp) -> None:
    # When nobody can be asked
    some(world, 2)
    done = stp("replay", "--route", "claims", *SPAN)
    # Then the plan was shown, and nothing is started or kept
    assert done.code == USAGE
    assert "claims/1.csv" in done.err
    assert "Process 2 files again?" in done.err
    assert (world.states.started, plans(world)) == ([], [])


def test_too_many_failures_stop_a_plan_and_it_goes_on_where_it_stopped(
    world: World, stp: Stp, replay: Callable[..., Done]
) -> None:
    # Given five files, of which the first two fail
    firsts = some(world, 5)
    for number in range(2):
        world.states.ends[f"claims/{number}.csv"] = {"status": "FAILED", "error": "X"}
    # When two failures are too many
    done = replay("--yes", "--failures", "2")
    # Then the others have not begun
    (plan,) = plans(world)
    names = [replay_name(run, plan) for run in firsts]
    assert (done.code, world.states.started) == (FAILED, names[:2])
    assert (done.json["left"], done.json["stopped"]) == (3, True)
    # And what is left can be seen
    left = stp("replay", plan, "--dry-run", "--json").json["files"]
    assert [each["run"] for each in left] == names[2:]
    # And run again it goes on with these, and none runs twice
    again = stp("replay", plan)
    assert (again.code, world.states.started) == (OK, names)
    assert f"Plan {plan} is done." in again.out
    # And once more there is nothing to do
    assert stp("replay", plan, "--json").json["before"] == 5
    assert world.states.started == names


def test_ctrl_c_says_what_goes_on_and_how(
    world: World, stp: Stp, replay: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a plan whose first run takes its time
    firsts = some(world, 2)
    world.states.ends["claims/0.csv"] = {"status": "RUNNING"}

    def press(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stp.replay_runs.time.sleep", press)
    # When Ctrl-C comes
    done = replay("--yes")
    # Then what goes on is named, and how the plan goes on
    (plan,) = plans(world)
    first = replay_name(firsts[0], plan)
    assert done.code == INTERRUPTED
    assert f"{first} goes on: stp show {first}. Go on with the plan: stp replay {plan}" in done.err

    # And going on follows that run to its end before the next one starts
    def ends(_: float) -> None:
        assert world.states.started == [first]
        world.states.runs[first] |= {"status": "SUCCEEDED", "output": '{"status": "Succeeded"}'}

    monkeypatch.setattr("stp.replay_runs.time.sleep", ends)
    again = stp("replay", plan, "--json")
    names = [first, replay_name(firsts[1], plan)]
    assert (again.code, world.states.started) == (OK, names)
    assert [each["run"] for each in again.json["runs"]] == names


def test_another_plan_processes_the_same_file_once_more(
    world: World, replay: Callable[..., Done]
) -> None:
    # Given a file that one plan has processed
    some(world, 1)
    first = replay("--yes").json
    # When another has it too, then that is a run of its own, which was asked for
    second = replay("--yes").json
    assert first["runs"][0]["run"] != second["runs"][0]["run"]
    assert len(world.states.started) == 2


def test_a_run_of_the_plan_that_still_has_the_turn_keeps_none_of_it_waiting(
    world: World, replay: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a queue whose turn is still the last run's, which has ended
    some(world, 2)
    start = world.states.start_execution

    def holding(**given: Any) -> Any:
        holder = {"run": given["name"], "route": "claims"}
        world.stack.table.update(("queues", "p-claims"), "SET #holder = :h", h=holder)
        return start(**given)

    monkeypatch.setattr(world.states, "start_execution", holding)
    monkeypatch.setattr("stp.replay_runs.time.sleep", lambda _: pytest.fail("it waits"))
    assert replay("--yes").code == OK


def test_who_waits_goes_first_unless_told_otherwise(
    world: World, replay: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a queue with a file of today, and a pause
    some(world, 1)
    ticket = ("tickets#p-claims", f"{iso(NOW)}#0#today")
    queue = ("queues", "p-claims")
    world.stack.table.update(ticket, "SET #run = :run", run="today")
    world.stack.table.update(queue, "SET #paused = :p", p={"since": iso(NOW), "reason": "month"})
    seen: list[int] = []

    def passes(_: float) -> None:
        seen.append(len(world.states.started))
        if len(seen) == 1:
            world.stack.table.update(queue, "REMOVE #paused")
        if len(seen) == 2:
            world.stack.table.delete(ticket, "attribute_exists(#run)")
            holder = {"run": "today", "route": "claims"}
            world.stack.table.update(queue, "SET #holder = :h", h=holder)
        if len(seen) == 3:
            world.stack.table.update(queue, "REMOVE #holder")

    monkeypatch.setattr("stp.replay_runs.time.sleep", passes)
    # When a plan is carried out
    done = replay("--yes")
    # Then nothing starts before the queue goes on and is empty, and that is said
    assert (done.code, seen) == (OK, [0, 0, 0])
    assert "queue p-claims is paused: month; stp queue resume p-claims" in done.err
    assert "1 run of queue p-claims first" in done.err


def test_now_lets_nobody_go_first(
    world: World, replay: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    some(world, 1)
    ticket = ("tickets#p-claims", f"{iso(NOW)}#0#today")
    world.stack.table.update(ticket, "SET #run = :run", run="today")
    monkeypatch.setattr("stp.replay_runs.time.sleep", lambda _: pytest.fail("it waits"))
    assert replay("--yes", "--now").code == OK
    assert len(world.states.started) == 1


def test_a_rate_is_kept_between_the_files(
    world: World, replay: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a clock that only sleep moves on
    some(world, 3)
    clock = [0.0]
    starts: list[float] = []
    monkeypatch.setattr("stp.replay_runs.time.monotonic", lambda: clock[0])
    start = world.states.start_execution

    def sleep(seconds: float) -> None:
        clock[0] += max(seconds, 1.0)

    def note(**given: Any) -> Any:
        starts.append(clock[0])
        return start(**given)

    monkeypatch.setattr("stp.replay_runs.time.sleep", sleep)
    monkeypatch.setattr(world.states, "start_execution", note)
    # When sixty files an hour may start
    assert replay("--yes", "--per-hour", "60").code == OK
    # Then each comes a minute after the one before
    assert [round(starts[n + 1] - starts[n]) >= 60 for n in range(2)] == [True, True]


def test_what_others_have_done_meanwhile_is_not_done_again(
    world: World, replay: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a plan of three files
    firsts = some(world, 3)
    for run in firsts:
        world.states.runs[run] = {"status": "FAILED", "input": "{}"}
    confirmed = []

    def meanwhile(*_: Any, **__: Any) -> None:
        # One is run again by a person, and one is redriven, while the plan is looked at
        confirmed.append(True)
        source = {"bucket": "inbox", "key": "claims/0.csv"}
        (version,) = (
            each["VersionId"]
            for each in world.stack.client("s3").list_object_versions(
                Bucket="inbox", Prefix="claims/0.csv"
            )["Versions"]
        )
        world.record("0-again", source=source | {"version_id": version})
        world.states.runs["0-again"] = {"status": "RUNNING", "startDate": datetime.now(UTC)}
        world.states.runs[firsts[1]] = {"status": "RUNNING"}

    monkeypatch.setattr("stp.said.Said.confirm", meanwhile)
    # When it is carried out
    done = replay()
    # Then only the third runs, and why is said
    assert confirmed
    (plan,) = plans(world)
    assert world.states.started == [replay_name(firsts[2], plan)]
    why = {each["key"]: each["why"] for each in done.json["passed_over"]}
    assert "0-again has begun since" in why["claims/0.csv"]
    assert "was redriven" in why["claims/1.csv"]


def test_a_missed_files_own_event_that_comes_meanwhile_starts_it_once(
    world: World, replay: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a file that no run knows, whose event comes while the plan is looked at
    version = world.dropped("claims/may.csv", 3)
    run = run_name("inbox", "claims/may.csv", version)

    def meanwhile(*_: Any, **__: Any) -> None:
        ended = {"output": '{"status": "Succeeded"}', "startDate": datetime.now(UTC)}
        world.states.runs[run] = ended

    monkeypatch.setattr("stp.said.Said.confirm", meanwhile)
    # When it is carried out, then there is nothing left to do
    done = replay("--missed")
    assert (done.code, done.json["before"], world.states.started) == (OK, 1, [])


def test_two_who_carry_out_one_plan_run_no_file_twice(
    world: World, stp: Stp, replay: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a plan, and somebody else who goes on with it while its first file is to start
    firsts = some(world, 3)
    start = world.states.start_execution
    others: list[int] = []

    def other_first(**given: Any) -> Any:
        monkeypatch.setattr(world.states, "start_execution", start)
        others.append(stp("replay", plans(world)[0], "--json").code)
        return start(**given)

    monkeypatch.setattr(world.states, "start_execution", other_first)
    # When both carry it out
    done = replay("--yes")
    # Then each file has run once, and both know of its end
    (plan,) = plans(world)
    assert world.states.started == [replay_name(run, plan) for run in firsts]
    assert others == [OK]
    assert (done.code, len(done.json["runs"])) == (OK, 3)


def test_a_set_that_was_run_meanwhile_is_passed_over(
    world: World, replay: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a set whose run has failed, and a newer version of it that runs meanwhile
    key = "claims/b-2026-09.csv"
    of_set = {"period": "2026-09", "version": 1, "missing": []}
    world.ended(key, world.dropped(key, 3), "Failed", set=of_set)

    def meanwhile(*_: Any, **__: Any) -> None:
        change = "SET #version = :v, #run = :run"
        world.stack.table.update(("sets", "claims#2026-09"), change, v=2, run="a-newer")

    monkeypatch.setattr("stp.said.Said.confirm", meanwhile)
    # When it is replayed, then the newer one is enough
    done = replay("--failed")
    assert world.states.started == []
    assert "was run again by a-newer" in done.json["passed_over"][0]["why"]


def test_a_set_that_ran_without_some_runs_without_them_again(
    world: World, replay: Callable[..., Done]
) -> None:
    key = "claims/b-2026-09.csv"
    of_set = {"period": "2026-09", "version": 1, "missing": ["a-{period}.csv"]}
    world.ended(key, world.dropped(key, 3), "Succeeded", set=of_set)
    (file,) = replay("--dry-run").json["files"]
    assert file["input"]["incomplete"] is True


def test_a_plan_that_cannot_be_kept_starts_nothing(
    world: World, replay: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given somebody who may not write to the outbox
    some(world, 1)
    s3 = world.stack.client("s3")
    refused: Any = {
        "Error": {"Code": "AccessDenied", "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": 403},
    }

    def denied(**_: Any) -> None:
        raise ClientError(refused, "PutObject")

    monkeypatch.setattr(s3, "put_object", denied)
    # When files are replayed, then it is said which right is missing
    done = replay("--yes")
    assert (done.code, world.states.started) == (NO_STACK, [])
    assert "s3:PutObject allowed for replays/* of the outbox" in done.err


def test_what_aws_fails_at_says_how_the_plan_goes_on(
    world: World, replay: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    some(world, 2)
    throttled: Any = {"Error": {"Code": "ThrottlingException", "Message": "no"}}

    def refuse(**_: Any) -> None:
        raise ClientError(throttled, "StartExecution")

    monkeypatch.setattr(world.states, "start_execution", refuse)
    done = replay("--yes")
    (plan,) = plans(world)
    assert (done.code, f"To go on with the plan: stp replay {plan}" in done.err) == (NOT_NOW, True)


def test_plans_are_listed_the_newest_first(
    world: World, stp: Stp, replay: Callable[..., Done]
) -> None:
    # Given no plan yet, then that is said
    assert "There is no plan yet" in stp("replay", "--plans").out
    # Given two
    some(world, 2)
    ids = [replay("--yes", *of).json["plan"] for of in ((), ("--per-hour", "9999999"))]
    # Then each is told with what goes on with it
    done = stp("replay", "--plans")
    assert (done.code, "2, all files" in done.out) == (OK, True)
    listed = stp("replay", "--plans", "--json").json
    assert [each["plan"] for each in listed] == sorted(ids, reverse=True)
    assert [each["files"] for each in listed] == [2, 2]
    assert stp("replay", ids[0], "--plans").code == USAGE


# --- what makes no sense ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (("--route", "claims"), USAGE, "Say which files"),
        (("--since", "2h"), USAGE, "Say which files"),
        (("--route", "clams", *SPAN), UNKNOWN, "there are claims"),
        (("--route", "claims", *SPAN, "--failed", "--missed"), USAGE, "Name one of"),
        (("--route", "claims", "--since", "91d", "--missed"), USAGE, "90 days"),
        (("--route", "claims", *SPAN, "--until", "soon"), USAGE, "--until is 'soon'"),
        (("20261128-101530-3fa9",), UNKNOWN, "There is no plan"),
        (("20261128-101530-3fa9", "--route", "claims"), USAGE, "has its files already"),
    ],
)
@pytest.mark.usefixtures("world")
def test_what_names_no_files_or_no_plan_is_said_to_do_so(
    stp: Stp, arguments: tuple[str, ...], code: int, hint: str
) -> None:
    done = stp("replay", *arguments, "--yes")
    assert (done.code, hint in done.err) == (code, True), done.err


def test_a_chain_is_entered_only_if_it_is_meant(
    world: World, stp: Stp, replay: Callable[..., Done]
) -> None:
    # Given a route that chains on
    some(world, 1)
    world.route(then=[{"route": "central", "output": "*"}])
    # When its files are replayed, then what that means for the next route is said
    done = replay("--yes")
    assert (done.code, "count as newer" in done.err, world.states.started) == (USAGE, True, [])
    assert replay("--yes", "--chain").code == OK
    # And a plan that was agreed to while it did not chain on, does not
    world.route()
    newest = replay("--yes").json["plan"]
    world.route(then=[{"route": "central", "output": "*"}])
    done = stp("replay", newest)
    assert (done.code, "count as newer" in done.err) == (USAGE, True)
    assert stp("replay", newest, "--chain").code == OK


def test_a_route_without_files_has_none_to_replay(
    world: World, replay: Callable[..., Done]
) -> None:
    world.stack.client("ssm").put_parameter(
        Name=f"{world.stack.routes_path}/claims",
        Value=json.dumps({name: IDS[name] for name in ("organisation_id", "pipeline_id")}),
        Type="String",
        Overwrite=True,
    )
    done = replay("--yes")
    assert (done.code, "stp run claims" in done.err) == (USAGE, True)


def test_a_plan_whose_runs_are_forgotten_does_not_go_on(
    world: World, stp: Stp, replay: Callable[..., Done]
) -> None:
    # Given a plan of long ago
    some(world, 1)
    assert replay("--yes").code == OK
    (plan,) = plans(world)
    s3, key = world.stack.client("s3"), f"replays/{plan}.json"
    document = json.loads(s3.get_object(Bucket="outbox", Key=key)["Body"].read())
    document["made_at"] = iso(NOW - timedelta(days=91))
    s3.put_object(Bucket="outbox", Key=key, Body=json.dumps(document))
    # When it is to go on, then it does not: its runs could run twice
    done = stp("replay", plan)
    assert (done.code, "older than 90 days" in done.err) == (FAILED, True)
    assert len(world.states.started) == 1

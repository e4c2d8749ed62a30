"""What starts runs without files: updates of datasets, and schedules."""

import json
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from straight_through.moments import iso
from straight_through.queue.items import WhenItem
from straight_through.queue.table import Table
from straight_through.routes import When
from straight_through.starting import index as index_room
from straight_through.starting.index import Index
from straight_through.starting.ticks import due, moments, next_of
from straight_through.starting.updates import Starter, absorbed, resumed, when_key
from tests.unit.conftest import made_once

PATH = "/straight-through/routes"
MACHINE = "arn:aws:states:eu-west-1:000000000000:stateMachine:straight-through"
NOW = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
IDS = {"organisation_id": "c-broker", "pipeline_id": "p-stock"}


class Started(Exception):
    """There is such an execution already."""


class States:
    """Step Functions: what was started, by name."""

    def __init__(self) -> None:
        """Nothing was."""
        self.exceptions = SimpleNamespace(ExecutionAlreadyExists=Started)
        self.runs: dict[str, Any] = {}
        self.fails = False

    def start_execution(self, *, name: str, input: str, **_: Any) -> None:  # noqa: A002 - boto3's
        """Start one."""
        if self.fails:
            raise RuntimeError("killed")
        if name in self.runs:
            raise Started
        self.runs[name] = json.loads(input)


class World:
    """The table, the routes and who starts what is due."""

    def __init__(self, table: Table, most: int = 10) -> None:
        """No route yet."""
        self.table, self.states, self.now = table, States(), NOW
        self.starter = Starter(table, self.states, MACHINE, most)  # type: ignore[arg-type]
        self.told: list[str] = []
        self.ended: dict[str, Any] = {}
        self.paused: list[float] = []
        self.ssm = made_once("ssm")
        self.index = self.another()

    def another(self) -> Index:
        """Another process of the sweep."""
        return Index(self.table, self.ssm, PATH, self.starter, self._tell, pause=self.paused.append)

    def _tell(self, _name: str, words: Any, once: Any, _now: datetime) -> None:
        self.table.together(once)
        self.told.append(words["text"])

    def route(self, name: str = "stock", **when: Any) -> None:
        """Put a route."""
        document = IDS | ({"when": when} if when else {})
        self.ssm.put_parameter(
            Name=f"{PATH}/{name}", Type="String", Value=json.dumps(document), Overwrite=True
        )

    def sweep(self, *, minutes: float = 1) -> None:
        """Sweep, so many minutes later."""
        self.now += timedelta(minutes=minutes)
        look = lambda arn: self.ended.get(arn.rpartition(":")[2])  # noqa: E731 - one short line
        self.index.sweep(look, lambda: True, self.now, lambda: 100.0)

    def update(self, dataset: str, event: str) -> str:
        """An event tells that a dataset was updated."""
        return self.starter.updated(dataset, event, self.now)

    def execute(self, route: str = "stock") -> None:
        """A run of the route notes its Execute."""
        self.table.together(absorbed(route, iso(self.now)))

    @property
    def item(self) -> WhenItem:
        """What is known of the route."""
        return self.table.get(when_key("stock")) or {}  # type: ignore[return-value]


@pytest.fixture
def world(table: Table) -> World:
    """A world without routes."""
    return World(table)


# --- updates ----------------------------------------------------------------------------------
def test_a_run_starts_once_each_dataset_was_updated(world: World) -> None:
    # Given a route that waits for two
    world.route(updated=["d-one", "d-two"])
    world.sweep()
    # When one is told, then nothing starts; when the other is, a run does
    assert world.update("d-one", "u-1") == "stock waits for d-two too"
    assert world.states.runs == {}
    assert world.update("d-two", "u-2").startswith("started stock-updated-")
    ((name, given),) = world.states.runs.items()
    assert given["route"] == "stock"
    assert given["cause"] == {"updated": ["d-one", "d-two"], "events": ["u-1", "u-2"]}
    assert world.item["last_run"] == name
    # And a dataset that nobody waits for does nothing
    assert world.update("d-else", "u-3") == ""


def test_events_that_come_twice_or_late_start_nothing_twice(world: World) -> None:
    world.route(updated=["d-one"])
    world.sweep()
    assert world.update("d-one", "u-1").startswith("started")
    # While the run has not executed, what comes is in its data
    assert world.update("d-one", "u-1") == "stock has had it"
    assert world.update("d-one", "u-2").endswith("takes it in")
    world.execute()
    # After that, the same events start nothing, and a new one does
    for event in ("u-1", "u-2"):
        assert world.update("d-one", event) == "stock has had it"
    world.sweep()
    assert len(world.states.runs) == 1
    assert world.update("d-one", "u-3").startswith("started")
    assert len(world.states.runs) == 2


def test_what_any_run_has_executed_takes_in_what_was_told_before(world: World) -> None:
    world.route(updated=["d-one", "d-two"])
    world.sweep()
    world.update("d-one", "u-1")
    # When a run by hand executes meanwhile, then its data have that update
    world.execute()
    assert world.update("d-two", "u-2") == "stock waits for d-one too"


def test_a_run_that_ends_without_an_execute_swallows_no_later_event(world: World) -> None:
    # Given a run that updates have started, and an event that it would have taken in
    world.route(updated=["d-one"])
    world.sweep()
    world.update("d-one", "u-1")
    (first,) = world.states.runs
    world.update("d-one", "u-2")
    # When it ends without one, then the later event starts another
    world.ended[first] = {"status": "FAILED", "redrive_count": 0, "error": "NotFound"}
    world.sweep(minutes=3)
    assert len(world.states.runs) == 2
    # And where no other event came, the failed run is a person's matter
    second = list(world.states.runs)[1]
    world.ended[second] = world.ended[first]
    for _ in range(3):
        world.sweep(minutes=3)
    assert len(world.states.runs) == 2
    assert world.update("d-one", "u-3").startswith("started")


def test_a_start_that_died_is_made_up_by_the_sweep(world: World) -> None:
    world.route(updated=["d-one"])
    world.sweep()
    # Given a function that dies as it starts the run
    world.states.fails = True
    with pytest.raises(RuntimeError):
        world.update("d-one", "u-1")
    world.states.fails = False
    assert world.states.runs == {}
    # Then the sweep finds that there is no such execution, and starts it
    world.ended[world.item["pending"]["run"]] = {"status": "GONE"}
    world.sweep(minutes=3)
    assert list(world.states.runs) == [world.item["pending"]["run"]]
    world.sweep(minutes=3)
    assert len(world.states.runs) == 1


def test_one_that_died_after_its_note_is_made_up_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.route(updated=["d-one"])
    world.sweep()
    # Given a function that dies once the event is noted
    with monkeypatch.context() as dying:
        dying.setattr(Starter, "begun", lambda *_: "died")
        world.update("d-one", "u-1")
    # Then the next sweep starts the run
    world.sweep()
    assert len(world.states.runs) == 1


def test_two_at_once_start_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.route(updated=["d-one", "d-two"])
    world.sweep()
    # Given one event that comes while another is noted
    written, met = Starter.written, list[int]()

    def meets(starter: Starter, item: WhenItem, changes: Any, remove: Any = ()) -> Any:
        if not met:
            met.append(1)
            world.update("d-two", "u-2")
        return written(starter, item, changes, remove)

    monkeypatch.setattr(Starter, "written", meets)
    world.update("d-one", "u-1")
    # Then neither is lost, and one run was started
    assert len(world.states.runs) == 1


def happens(world: World, what: str, event: tuple[str, str]) -> None:
    """Let one thing happen in a world where any may."""
    pending = world.item.get("pending")
    if what == "executes" and pending and pending["run"] in world.states.runs:
        world.execute()
    elif what == "ends" and pending:
        world.ended[pending["run"]] = {"status": "FAILED"}
    elif what == "is swept":
        world.sweep(minutes=3)
    elif what == "is told, and dies":
        world.states.fails = True
        with suppress(RuntimeError):
            world.update(*event)
        world.states.fails = False
    elif what == "is told":
        world.update(*event)


def comes_to_rest(world: World) -> None:
    """Let the sweep see to what is left, and each run that has not ended execute."""
    for _ in range(4):
        pending = world.item.get("pending")
        if pending and pending["run"] not in world.states.runs:
            world.ended[pending["run"]] = {"status": "GONE"}
            world.sweep(minutes=3)
        if pending and world.ended.get(pending["run"], {}).get("status") != "FAILED":
            world.execute()
        world.sweep(minutes=3)


@pytest.mark.parametrize("seed", range(30))
def test_in_any_order_no_update_is_lost_and_none_starts_two_runs(table: Table, seed: int) -> None:
    # Given events that come in any order, some twice, between Executes, ends and lost starts
    chance = random.Random(seed)  # noqa: S311 - no secret
    world = World(table, most=1000)
    world.route(updated=["d-one", "d-two"])
    world.sweep()
    told = ["is told", "is told", "is told, and dies"]
    for _ in range(14):
        event = chance.choice(["d-one", "d-two"]), f"u-{chance.randrange(20)}"
        happens(world, chance.choice([*told, "executes", "ends", "is swept"]), event)
    # When all comes to rest
    comes_to_rest(world)
    # Then nothing is due that no run has taken in, and no two runs were started for the same events
    left = world.item.get("told", {})
    new = {each["event"] for each in left.values()} - set(world.item.get("claimed", ()))
    assert len(left) < 2 or not new
    claimed = [tuple(run["cause"]["events"]) for run in world.states.runs.values()]
    assert len(set(claimed)) == len(claimed)


# --- the brake --------------------------------------------------------------------------------
def test_a_loop_is_switched_off_told_once_and_resumed_by_a_person(table: Table) -> None:
    # Given a pipeline whose output comes back as the update that it waits for
    world = World(table, most=3)
    world.route(updated=["d-one"], at="0 * * * *")
    world.sweep()
    for number in range(3):
        assert world.update("d-one", f"u-{number}").startswith("started")
        world.execute()
    # When it would start one too many within the hour
    assert world.update("d-one", "u-3") == "switched off stock"
    assert world.update("d-one", "u-4") == "stock is switched off"
    assert len(world.states.runs) == 3
    # Then people are told once, with the events and what to do, and the schedule goes on
    for _ in range(3):
        world.sweep()
    (text,) = world.told
    assert "u-0, u-1, u-2, u-3" in text
    assert text.endswith("stp when resume stock")
    world.sweep(minutes=60)
    assert [run for run in world.states.runs if "-at-" in run]
    # And an hour later it is off still, until somebody resumes it
    assert world.update("d-one", "u-5") == "stock is switched off"
    assert resumed(world.table, "stock")
    assert world.update("d-one", "u-6").startswith("started")


def test_runs_of_more_than_an_hour_ago_do_not_count(table: Table) -> None:
    world = World(table, most=2)
    world.route(updated=["d-one"])
    world.sweep()
    for number in range(8):
        assert world.update("d-one", f"u-{number}").startswith("started")
        world.execute()
        world.now += timedelta(minutes=31)


# --- schedules --------------------------------------------------------------------------------
def test_each_moment_starts_one_run_that_is_named_after_it(world: World) -> None:
    world.route(at="0 10 * * MON-FRI", zone="Europe/London")
    # Given a schedule that is new: what was before is no matter of it
    world.sweep()
    assert world.item["next"] == "2026-05-04T09:00:00.000Z"
    world.sweep(minutes=58.5)
    assert world.states.runs == {}
    # When its moment has come, then one run starts, however often it is swept
    for _ in range(3):
        world.sweep()
    ((name, given),) = world.states.runs.items()
    assert name.startswith("stock-at-20260504T090000Z-")
    assert given == {"route": "stock", "cause": {"at": "2026-05-04T09:00:00.000Z"}}
    # And a sweep that died before it noted that starts none twice
    world.table.update(when_key("stock"), "SET #next = :next", next="2026-05-04T09:00:00.000Z")
    world.sweep()
    assert len(world.states.runs) == 1
    assert world.item["next"] == "2026-05-05T09:00:00.000Z"


@pytest.mark.parametrize(("missed", "runs"), [("once", 1), ("skip", 0)])
def test_what_was_missed_is_made_up_once_or_not_at_all(
    world: World, missed: str, runs: int
) -> None:
    world.route(at="*/30 * * * *", missed=missed)
    world.sweep()
    # Given no sweep for five hours and a quarter
    world.sweep(minutes=315)
    assert len(world.states.runs) == runs
    # Then the next moment is as ever
    world.sweep(minutes=15)
    assert len(world.states.runs) == runs + 1


@pytest.mark.parametrize(
    ("at", "zone", "wrong"),
    [
        ("0 25 * * *", "UTC", "no schedule"),
        ("0 6 * * *", "Europe/Nowhere", "no time zone"),
        ("0 6 30 2 *", "UTC", "no schedule"),
    ],
)
def test_what_is_no_schedule_starts_nothing_and_says_why(
    world: World, at: str, zone: str, wrong: str
) -> None:
    world.route(at=at, zone=zone)
    world.sweep()
    world.sweep(minutes=2000)
    assert wrong in world.item["wrong"]
    assert world.states.runs == {}
    # And people are told once, with what to do
    (text,) = world.told
    assert text.startswith('What route stock says in "when" cannot be followed: ')
    assert wrong in text
    assert "stp routes check" in text
    # And once it is mended, it counts
    world.route(at="0 6 * * *")
    world.sweep()
    assert (world.item["wrong"], world.item["next"][11:16]) == ("", "06:00")
    # And once it is wrong again, they are told again
    world.route(at=at, zone=zone)
    world.sweep()
    world.sweep()
    assert world.told == [text, text]


def test_a_route_that_cannot_be_read_is_told_once_and_keeps_its_schedule(world: World) -> None:
    # Given a schedule, and a change of the route after which it cannot be read
    world.route(at="0 * * * *")
    world.sweep()
    world.route(at="0 * * *")
    world.sweep(minutes=2)
    world.sweep()
    # Then people are told once, and the moments that it said before have their runs
    (text,) = world.told
    assert "what it said before counts" in text
    world.sweep(minutes=60)
    assert next(iter(world.states.runs)).startswith("stock-at-20260504T090000Z")
    # And once it is mended as it was, what came due meanwhile has its run
    next_one = world.item["next"]
    world.route(at="0 * * * *")
    world.sweep(minutes=70)
    assert (world.item["wrong"], len(world.states.runs)) == ("", 2)
    assert world.item["next"] > next_one
    assert world.told == [text]


def test_a_route_that_was_never_sound_is_told_once_too(world: World) -> None:
    world.route(updated=[])
    for _ in range(3):
        world.sweep()
    assert len(world.told) == 1
    # And once it is sound, its updates start runs; once it is gone, nothing is known of it
    world.route(updated=["d-one"])
    world.sweep()
    assert world.update("d-one", "u-1").startswith("started")
    world.route()
    world.sweep()
    assert world.item == {}


ZONES = ("Europe/London", "America/New_York", "Australia/Lord_Howe")
TEN_YEARS = datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)
CHANGES = (
    (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)),
    (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
)
SCHEDULES = ("30 1 * * *", "15 2 * * SUN", "*/30 * * * *", "0 6 1 * *")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("at", SCHEDULES)
def test_ten_years_have_each_moment_once_whatever_sweeps_are_lost(at: str, zone: str) -> None:
    # Given ten years (of half hours, the months in which clocks change), swept each minute, with a
    # sweep in ten lost; and all that a clock on the wall would say
    when, chance = When(at=at, zone=zone), random.Random(at + zone)  # noqa: S311 - no secret
    for begin, end in CHANGES if at.startswith("*") else [TEN_YEARS]:
        expected = []
        for moment in moments(when, begin):
            if moment > end:
                break
            expected.append(moment)
        assert len(set(expected)) == len(expected) > 100
        # When what is due is looked for a little later than it is
        ran, first = [], next_of(when, begin)
        while first and first <= end:
            now = first + timedelta(minutes=chance.choice([0, 0, 1, 2, 7]), seconds=chance.random())
            moment, first = due(when, first, now)
            ran.append(moment)
        # Then each moment has its run, in order, and none has two
        assert ran == expected


def test_fixed_times_keep_to_the_wall_when_clocks_change() -> None:
    # Given the nights in which London's clocks change in 2026
    when = When(at="30 1 * * *", zone="Europe/London")
    march = moments(when, datetime(2026, 3, 28, 12, tzinfo=UTC))
    october = moments(when, datetime(2026, 10, 24, 12, tzinfo=UTC))
    # Then what would be in the hour left out comes at its end, and in the repeated hour once
    assert [iso(next(march))[:16] for _ in range(2)] == ["2026-03-29T01:00", "2026-03-30T00:30"]
    assert [iso(next(october))[:16] for _ in range(2)] == ["2026-10-25T00:30", "2026-10-26T01:30"]


@pytest.mark.parametrize("minute", range(0, 60, 5))
@pytest.mark.parametrize(("zone", "hour"), [("Europe/London", 1), ("America/New_York", 6)])
def test_what_was_due_before_an_hour_is_repeated_is_not_due_in_it_again(
    zone: str, hour: int, minute: int
) -> None:
    # Given the hour that a clock shows for the second time, half an hour after a run at half past
    day = datetime(2026, 10, 25, tzinfo=UTC) if hour == 1 else datetime(2026, 11, 1, tzinfo=UTC)
    again = day.replace(hour=hour, minute=minute)
    # When somebody asks in it what comes next
    found = next_of(When(at="30 1 * * *", zone=zone), again)
    # Then it is tomorrow's, or this hour's, but nothing that has been
    assert found
    assert found > again


# --- the index --------------------------------------------------------------------------------
def test_a_change_of_a_route_counts_at_the_next_sweep(world: World) -> None:
    world.route(updated=["d-one"])
    world.sweep()
    world.route(updated=["d-two"])
    world.sweep()
    assert world.update("d-one", "u-1") == ""
    assert world.update("d-two", "u-2").startswith("started")
    # And one without `when`, or none at all, starts nothing more
    world.route()
    world.sweep()
    assert world.update("d-two", "u-3") == ""
    assert world.item == {}


def test_a_dataset_that_stays_is_heard_of_whatever_else_changes(world: World) -> None:
    world.route(updated=["d-one", "d-three"])
    world.sweep()
    # When another one is waited for in the place of the second
    world.route(updated=["d-one", "d-two"])
    world.sweep()
    # Then both start a run, and the third is nobody's
    assert world.update("d-three", "u-3") == ""
    assert world.update("d-one", "u-1") == "stock waits for d-two too"
    assert world.update("d-two", "u-2").startswith("started")


def test_one_routes_trouble_keeps_no_other_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two routes that are due, of which the first cannot be seen to
    for name in ("a", "b"):
        world.route(name, at="0 9 * * *")
    world.sweep()
    see_to = Index._see_to

    def troubled(self: Index, item: WhenItem, *given: Any) -> None:
        if item["sk"] == "a":
            raise RuntimeError("a")
        see_to(self, item, *given)

    monkeypatch.setattr(Index, "_see_to", troubled)
    # Then the other has its run, and the trouble is told
    with pytest.raises(RuntimeError, match="a"):
        world.sweep(minutes=61)
    assert [run.partition("-at-")[0] for run in world.states.runs] == ["b"]


def test_of_what_was_missed_the_last_moment_is_made_up() -> None:
    when = When(at="*/30 * * * *", zone="UTC")
    at = NOW + timedelta(minutes=75)
    assert due(when, NOW, at) == (NOW + timedelta(minutes=60), NOW + timedelta(minutes=90))


def test_a_route_that_is_unsound_for_a_while_keeps_what_it_had(world: World) -> None:
    world.route(updated=["d-one"])
    world.sweep()
    world.route(updated=[])
    world.sweep()
    assert world.update("d-one", "u-1").startswith("started")


class Asked:
    """The table, and how often it was asked."""

    def __init__(self, table: Table) -> None:
        """Nothing was asked yet."""
        self.table, self.asked = table, list[str]()

    def __getattr__(self, name: str) -> Any:
        """Return one of its calls, and count it."""
        self.asked.append(name)
        return getattr(self.table, name)


def test_whoever_has_no_when_pays_for_reading_the_routes_alone(table: Table) -> None:
    # Given 25 routes that files start
    asked = Asked(table)
    world = World(asked)  # type: ignore[arg-type]
    pages = list[str]()
    world.ssm.meta.events.register("before-call.ssm.*", lambda model, **_: pages.append(model.name))
    for number in range(25):
        world.route(f"claims-{number}")
    pages.clear()
    # When the sweep comes for the second time, then it reads them, ten with a request, and
    # nothing in the table
    world.sweep()
    pages.clear()
    asked.asked.clear()
    world.sweep()
    assert (pages, asked.asked) == (["GetParametersByPath"] * 3, [])
    # And once one has a `when`, it counts with the next sweep, at two queries a sweep
    world.route("claims-3", updated=["d-one"])
    world.sweep()
    assert world.update("d-one", "u-1").startswith("started claims-3")
    world.execute("claims-3")
    asked.asked.clear()
    world.sweep()
    assert asked.asked == ["items", "items"]
    # And when it has none any more, the index is emptied, and nothing is asked again
    world.route("claims-3")
    world.sweep()
    world.sweep()
    asked.asked.clear()
    world.sweep()
    assert asked.asked == []


def test_two_thousand_routes_are_read_within_two_sweeps_and_paced(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given 2,000 routes, ten on a page, of which the last waits for an update
    document = json.dumps(IDS)
    last = json.dumps(IDS | {"when": {"updated": ["d-one"]}})
    asked = []

    def page(*, NextToken: str = "0", **_: Any) -> Any:  # noqa: N803 - boto3's
        asked.append(NextToken)
        number = int(NextToken)
        names = [f"{PATH}/r{number * 10 + each}" for each in range(10)]
        found = [{"Name": n, "Value": last if n.endswith("/r1999") else document} for n in names]
        more = {"NextToken": str(number + 1)} if number < 199 else {}
        return {"Parameters": found, **more}

    monkeypatch.setattr(world.ssm, "get_parameters_by_path", page)
    # When it is swept twice
    world.sweep()
    assert len(asked) == index_room.PAGES
    world.sweep()
    # Then each page was read once, not faster than ten a second, and the last one is known
    assert asked == [str(number) for number in range(200)]
    assert len(world.paused) == 200 - 2 * index_room.UNPACED
    assert sum(world.paused) / 2 < 15
    assert world.update("d-one", "u-1").startswith("started")


def test_a_list_that_breaks_off_begins_anew_and_forgets_no_route(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.route(updated=["d-one"])
    world.sweep()
    read: Callable[..., Any] = world.ssm.get_parameters_by_path

    def breaks(**given: Any) -> Any:
        if "NextToken" in given:
            raise RuntimeError("broken off")
        return {"Parameters": [], "NextToken": "1"}

    monkeypatch.setattr(world.ssm, "get_parameters_by_path", breaks)
    with pytest.raises(RuntimeError):
        world.sweep()
    monkeypatch.setattr(world.ssm, "get_parameters_by_path", read)
    assert world.update("d-one", "u-1").startswith("started")
    world.sweep()
    assert world.item["updated"] == ["d-one"]

"""A function that is killed right before or right after any call that it makes: nothing is lost.

The calls are not listed here: each story is told once as it goes well, and then once for each call
that a function makes in it. KILL_POINTS_FULL=1 has every story take every course.
"""

import os
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest

from local.quantemplate import Control, running
from straight_through.table import Table
from tests.unit.conftest import OUTBOX, TURNS
from tests.unit.machine import MACHINE
from tests.unit.world import Kill, World

FUNCTIONS = (
    "start_run",
    "take_turn",
    "upload_and_execute",
    "check_status",
    "download_output",
    "publish_run",
    "run_ended",
    "sweep_queues",
)
COURSES = [
    ("retry", "events come"),
    ("retry", "events are lost"),
    ("redrive", "events come"),
    ("redrive", "events are lost"),
]
MOST_REDRIVES = 4
Story = Callable[[World], None]


@pytest.fixture(scope="module")
def stand_in() -> Iterator[Control]:
    """A stand-in Quantemplate."""
    with running() as control:
        yield control


@pytest.fixture
def world(
    load: Callable[..., ModuleType],
    secret_arn: str,
    s3: Any,
    table: Table,
    stand_in: Control,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """The application with a table, a topic and a stand-in Quantemplate."""
    assert s3
    assert table
    environment = {
        "STATE_MACHINE_ARN": MACHINE,
        "IGNORE_PATTERNS": "*.filepart",
        "TURNS_TABLE": TURNS,
        "TOPIC_ARN": boto3.client("sns").create_topic(Name="topic")["TopicArn"],
        "ROUTES_PATH": "/straight-through/routes",
        "CREDENTIALS_SECRET_ARN": secret_arn,
        "OUTBOX_BUCKET": OUTBOX,
        "QUANTEMPLATE_API_URL": stand_in.api_url,
        "QUANTEMPLATE_TOKEN_URL": stand_in.token_url,
        "LATE_LIST_SECONDS": "20",
        "PIPELINE_DEADLINE_HOURS": "168",
        "API_PATIENCE_HOURS": "12",
        "BUSY_DEADLINE_HOURS": "24",
        "TURN_DEADLINE_HOURS": "720",
    }
    world = World(load, stand_in, environment)
    world.watch(monkeypatch)
    return world


# --- the stories -------------------------------------------------------------------------------
def two_files(world: World) -> None:
    """Two files of one queue are dropped, and go through one after the other."""
    world.drop("first")
    world.drop("second")
    world.settle()


def a_run_fails(world: World) -> None:
    """The first file's run fails in Quantemplate; the operator redrives."""
    world.stand_in.trouble("execute_pipeline", "run", run={"end_status": "Failed"})
    two_files(world)
    redriven_until_good(world)


def credentials_are_rejected(world: World) -> None:
    """Quantemplate rejects the credentials: the queue pauses, until a redrive resumes it."""
    world.stand_in.trouble("token", "reply", status=401)
    two_files(world)
    redriven_until_good(world)


def a_reply_is_lost(world: World) -> None:
    """Execute's reply is lost, and the run is late in the list."""
    world.stand_in.trouble("execute_pipeline", "drop", when="after")
    world.stand_in.trouble("execute_pipeline", "run", run={"hidden_calls": 2})
    two_files(world)


def aborted_at(state: str) -> Story:
    """The operator aborts the first file at a state, and redrives it later."""

    def story(world: World) -> None:
        first = world.drop("first")
        world.drop("second")
        while first.state != state or (state != "TakeTurn" and first.token):
            for execution in list(world.machine.executions.values()):
                world.step(execution)
        world.machine.end(first, "ABORTED")
        world.settle()
        redriven_until_good(world)

    return story


def redriven_until_good(world: World) -> None:
    """Redrive what ended badly until nothing does."""
    for _ in range(MOST_REDRIVES):
        for execution in world.machine.executions.values():
            if execution.status != "SUCCEEDED":
                world.machine.redrive(execution)
        world.settle()


STORIES: dict[str, Story] = {
    "two files": two_files,
    "a run fails": a_run_fails,
    "credentials are rejected": credentials_are_rejected,
    "a reply is lost": a_reply_is_lost,
    "aborted at UploadAndExecute": aborted_at("UploadAndExecute"),
    "aborted at CheckStatus": aborted_at("CheckStatus"),
}


# What becomes of an execution whose function was killed, and of the events that tell of its end.
ALL_COURSES = [(story, *course) for story in STORIES for course in COURSES]
COURSES_OF_TESTS = [*ALL_COURSES[:4], *ALL_COURSES[4::3]]
FULL = bool(os.environ.get("KILL_POINTS_FULL"))


@pytest.mark.parametrize("course", ALL_COURSES if FULL else COURSES_OF_TESTS, ids=", ".join)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_killed_before_and_after_each_call(
    world: World, function: str, course: tuple[str, str, str]
) -> None:
    # Given a story that goes well
    story, healing, events = course
    lost = events == "events are lost"
    world.begin(None, lose_events=lost)
    STORIES[story](world)
    assert world.problems() == []
    invocations = [[*calls, "its end"] for calls in world.calls[function]]

    for invocation, calls in enumerate(invocations):
        for number, call in enumerate(calls):
            # When a function of it is killed before one of its calls, and so after another
            world.begin(Kill(function, invocation, number), healing, lose_events=lost)
            STORIES[story](world)

            # Then each file is processed once all the same, and the turn goes on
            where = f"killed before {call}, after {calls[:number]}, invocation {invocation}"
            assert world.killed, where
            assert world.problems() == [], where

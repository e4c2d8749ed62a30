"""A function that is killed right before or right after any call that it makes: nothing is lost.

The calls are not listed here: each story is told once as it goes well, and then once for each side
effect that a function has in it. KILL_POINTS_FULL=1 takes every call, and every story every way.
"""

import itertools
import os
from collections.abc import Callable

import pytest

from tests.kills.world import Kill, World
from tests.machine.road import IN_THE_SECRET

SWEEP = "sweep_queues"
FUNCTIONS = (
    "start_run",
    "check_file",
    "take_turn",
    "upload_and_execute",
    "check_status",
    "download_output",
    "publish_run",
    "run_ended",
    SWEEP,
)
READS = (
    "GetItem",
    "Query",
    "DescribeExecution",
    "HeadObject",
    "GetObject",
    "GetParameters",
    "GetSecretValue",
    "POST token",
    "GET executions",
    "GET output",
)
HEALING, EVENTS = ("retry", "redrive"), ("events come", "events are lost")
FULL = bool(os.environ.get("KILL_POINTS_FULL"))
MOST_REDRIVES = 4
Story = Callable[[World], None]


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
    # Until a person has mended it: one rejection alone dies with the function that met it.
    world.stand_in.rotate_credentials("another")
    two_files(world)
    assert world.made("Publish"), "nobody was told"
    world.stand_in.rotate_credentials(IN_THE_SECRET)
    redriven_until_good(world)


def a_reply_is_lost(world: World) -> None:
    """Execute's reply is lost, and the run is late in the list."""
    world.stand_in.trouble("execute_pipeline", "drop", when="after")
    # Once only: a second look may come after the time that a run may be missing.
    world.stand_in.trouble("execute_pipeline", "run", run={"hidden_calls": 1})
    two_files(world)


def aborted_at(state: str) -> Story:
    """The operator aborts the first file at a state, and redrives it later."""

    def story(world: World) -> None:
        first = world.drop("first")
        second = world.drop("second")
        while first.state != state:
            world.step(first)
            world.step(second)
        world.step(second)
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
HOLDERS = ("take_turn", "upload_and_execute", "check_status")  # work within the turn, or for it
TOLD_FOR = {  # the functions that do something in it that they do not in the others
    "two files": [function for function in FUNCTIONS if function != SWEEP],
    "a run fails": ("take_turn", "check_status", "run_ended"),
    "credentials are rejected": ("take_turn", "run_ended", SWEEP),
    "a reply is lost": ("upload_and_execute",),
    "aborted at UploadAndExecute": ("take_turn", "run_ended", SWEEP),
    "aborted at CheckStatus": ("check_status", "run_ended", SWEEP),
}


def points(calls: list[str]) -> list[int]:
    """The calls before which to kill: each side effect, and what comes after the last one.

    Between two side effects a function only reads: after the one is as before the other.
    """
    effects = [number for number, call in enumerate(calls[:-1]) if call not in READS]
    if FULL or not effects:
        return list(range(len(calls))) if FULL else []
    return [*effects, effects[-1] + 1]


def courses() -> list[tuple[str, str, str, str]]:
    """Function, story, what becomes of a killed one's execution, and of the events."""
    every = list(itertools.product(FUNCTIONS, STORIES, HEALING, EVENTS))
    return every if FULL else [course for course in every if is_telling(*course)]


def is_telling(function: str, story: str, healing: str, events: str) -> bool:
    """Whether a course shows what no other does, so that every run of the tests takes it."""
    lost = events == "events are lost"
    if healing == "redrive":
        return lost and story == "two files" and function in HOLDERS
    return function in TOLD_FOR[story] and lost == (function == SWEEP)


@pytest.mark.parametrize("course", courses(), ids=", ".join)
def test_killed_before_and_after_each_side_effect(
    world: World, course: tuple[str, str, str, str]
) -> None:
    # Given a story that goes well
    function, story, healing, events = course
    lost = events == "events are lost"
    world.begin(None, lose_events=lost)
    STORIES[story](world)
    assert world.problems() == []
    invocations = [[*calls, "its end"] for calls in world.calls[function]]

    for invocation, calls in enumerate(invocations):
        for number in points(calls):
            # When a function of it is killed before one of its calls, and so after another
            world.begin(Kill(function, invocation, number), healing, lose_events=lost)
            STORIES[story](world)

            # Then each file is processed once all the same, and the turn goes on
            where = f"invocation {invocation} killed after {calls[:number]}, before {calls[number]}"
            assert world.killed, where
            assert world.problems() == [], where

"""What happens while a fault is waited for: each call of a function is made in one of these."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.faults.world import World
from tests.machine.agenda import Clock
from tests.machine.road import DATASET, PIPELINE
from tests.unit.conftest import OUTBOX

LARGE = 8  # bytes of a part; an output has about 20


@dataclass(frozen=True)
class Story:
    """How files go through; `error` is what ends the one in question where no fault is met."""

    tell: Callable[[World], None]
    route: dict[str, Any] = field(default_factory=dict)
    part: int | None = None  # bytes of a part of an output
    error: str = ""
    pauses: bool = False
    all_end: bool = False  # and not only that one
    paused: bool = False  # the queue is, until the redriven file has met no fault


def two_files(world: World) -> None:
    """Two files of one queue are dropped."""
    world.drop("first")
    world.drop("second")
    world.settle()


def broken_off(world: World) -> None:
    """The first download breaks off once, in the middle of an output of several parts."""
    world.stand_in.trouble("download_output", "short", missing=1)
    two_files(world)


def released(world: World) -> None:
    """A gate holds both, and a person releases them."""
    two_files(world)
    for execution in list(world.machine.executions.values()):
        given = {"release": execution.name}
        world.machine.start(f"r-{execution.name}", given)
    world.settle()


def aborted(world: World) -> None:
    """The first file's execution is aborted within its turn, and no event tells of any end."""
    world.lose_events = True
    world.subject = lambda: list(world.machine.executions.values())[-1]
    world.drop("first")
    world.drop("second")
    while not (world.first and world.first.passed[-1] == "UploadAndExecute"):
        world.step()
    world.machine.end(world.first, "ABORTED")
    world.settle()


def rejected(world: World) -> None:
    """The credentials are rejected until the first file has ended, and no event tells of it."""
    world.lose_events = True
    world.stand_in.trouble("token", "reply", answer="invalid_client", times=None)
    two_files(world)


def redriven(world: World) -> None:
    """The credentials are rejected once, which pauses the queue, until a person redrives."""
    world.stand_in.trouble("token", "reply", answer="invalid_client")
    two_files(world)
    assert world.first
    world.machine.redrive(world.first)
    world.settle()


def overdue(world: World) -> None:
    """The queue is paused by hand for longer than a file may wait for its turn."""
    by_hand(world, {"pause": PIPELINE})
    two_files(world)
    for _ in range(4):  # a fault may last, meanwhile
        Clock.ahead += timedelta(days=31)
        world.settle()
    by_hand(world, {"resume": PIPELINE})
    world.settle()


def a_set(world: World) -> None:
    """Two files that belong together are dropped."""
    world.drop("claims-1")
    world.drop("premiums-1")
    world.settle()


def by_hand(world: World, event: dict[str, str]) -> None:
    """A person invokes PauseQueue, again where it fails."""
    for _ in range(20):
        try:
            world.invoke("pause_queue", event)
        except Exception:  # noqa: BLE001 - whatever it is, it is tried again
            Clock.ahead += timedelta(minutes=1)
        else:
            return
    raise AssertionError("it fails for ever")


EXPORTED = {"destinations": [f"s3://{OUTBOX}/exports/{{stem}}-{{run}}.csv"]}
MEMBERS = {"claims-{period}.csv": DATASET, "premiums-{period}.csv": "d-more"}
SET = {
    "period": "{period}",
    "members": [{"file": file, "dataset_id": dataset} for file, dataset in MEMBERS.items()],
}
STORIES = {
    "two files": Story(two_files, EXPORTED),
    "large outputs": Story(two_files, part=LARGE),
    "broken off": Story(broken_off, part=LARGE),
    "released": Story(released, {"hold_if_rows": ["Copy"]}),
    "aborted": Story(aborted),
    "rejected": Story(rejected, error="CredentialsRejected", pauses=True),
    "redriven": Story(redriven, paused=True),
    "overdue": Story(overdue, error="TurnOverdue", all_end=True),
    "a set": Story(a_set, {"set": SET}),
}

"""Every call that the functions make times every fault: what becomes of the file, and of the next.

The lists and the rule are those of the page `docs/reference/faults.md`. A run of all tests takes one
fault of each kind and each call at least once; FAULTS_FULL=1 takes all.
"""

import os

import moto.s3.models
import pytest

from docs.faults import (
    AWS,
    GOES_ON,
    OF_AWS,
    OF_HTTP,
    QUANTEMPLATE,
    TRIED_AGAIN,
    WAITED,
    Cell,
    End,
    cells,
)
from straight_through import multipart
from straight_through.remedies import REMEDIES
from tests.faults.faults import Injected
from tests.faults.stories import STORIES, Story
from tests.faults.world import World

FULL = bool(os.environ.get("FAULTS_FULL"))
NAMES = {error.__name__ for error in REMEDIES}


def some() -> list[Cell]:
    """Each call once and each fault once, at least."""
    chosen = []
    for number, (function, call) in enumerate(calls()):
        faults = OF_HTTP if (function, call) in QUANTEMPLATE else OF_AWS
        chosen.append(Cell(function, call, faults[number % len(faults)]))
    for number, fault in enumerate(OF_HTTP):
        chosen.append(Cell(*QUANTEMPLATE[number % len(QUANTEMPLATE)], fault))
    return list(dict.fromkeys(chosen))


def calls() -> list[tuple[str, str]]:
    """All calls of the page."""
    return [*QUANTEMPLATE, *((function, call) for function in AWS for call in AWS[function])]


def tell(world: World, monkeypatch: pytest.MonkeyPatch, story: Story, cell: Cell | None) -> None:
    """Let a story happen, with a fault."""
    injected = Injected(cell.function, cell.call, cell.fault) if cell else None
    world.begin(injected, **story.route)
    if story.part:
        monkeypatch.setattr(multipart, "PART", story.part)
        monkeypatch.setattr(moto.s3.models, "S3_UPLOAD_PART_MIN_SIZE", 1)
    story.tell(world)


def mended(world: World) -> None:
    """A person mends the cause and redrives what has failed."""
    if world.injected:
        world.injected.mend()
    world.stand_in.clear_troubles()
    for execution in world.executions("FAILED", "ABORTED"):
        world.machine.redrive(execution)
    world.settle()


# --- the page is of all calls ---------------------------------------------------------------------
MADE: dict[tuple[str, str], str] = {}  # the first story in which each call is made


@pytest.fixture
def made(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """The first story in which each call is made."""
    if not MADE:
        for name, story in STORIES.items():
            with monkeypatch.context() as patched:
                tell(world, patched, story, None)
                mended(world)
            assert world.problems() == [], name
            for call in world.calls:
                MADE.setdefault(call, name)
    return MADE


def test_the_page_has_every_call_that_the_functions_make(
    made: dict[tuple[str, str], str],
) -> None:
    assert sorted({*made, ("start_run", "sqs.DeleteMessage")}) == sorted(calls())


# --- the cells ------------------------------------------------------------------------------------
@pytest.mark.timeout(60)
@pytest.mark.parametrize("cell", list(cells()) if FULL else some(), ids=str)
def test_a_fault_loses_doubles_and_blocks_nothing(
    world: World,
    made: dict[tuple[str, str], str],
    monkeypatch: pytest.MonkeyPatch,
    cell: Cell,
) -> None:
    # Given a call that meets a fault
    story = STORIES[made.get((cell.function, cell.call), "two files")]
    # When files go through
    tell(world, monkeypatch, story, cell)
    # Then the file in question ends as the page says, and the other one goes through
    assert world.injected
    assert world.injected.hits or world.injected.delivers_twice, "nothing met it"
    expected = cell.end
    if story.error and not expected.error:
        expected = End(story.error, pauses=story.pauses)
    assert end_of(world) == expected, world.causes
    assert world.paused() == expected.pauses
    for error, cause in [(e.error, e.cause) for e in world.executions("FAILED")]:
        assert error in NAMES, "it has no name of ours"
        assert len(cause) <= 4096
    shown = "".join(world.causes)
    assert "s3cr3t" not in shown
    assert "Bearer" not in shown
    # When the cause is mended and what has failed is redriven
    mended(world)
    # Then each file was executed once, and is published whole, and nothing is left
    assert world.problems() == []


def end_of(world: World) -> End:
    """What has become of the file in question."""
    (subject,) = [e for e in world.machine.executions.values() if world.is_subject(e)]
    others = [e for e in world.executions("FAILED", "RUNNING") if e is not subject]
    if not world.paused():
        assert others == [], "another file has met it too, or waits"
    if subject.error:
        return End(subject.error, pauses=world.paused())
    waited = subject.name in world.waited
    return End(how=WAITED if waited else TRIED_AGAIN if subject.retried else GOES_ON)

"""Every call that the functions make times every fault: what becomes of a file, and of the next.

The lists and the rule are those of the page `docs/reference/faults.md`. A run of all tests takes
each fault and each call at least once; FAULTS_FULL=1 takes all.
"""

import os
from dataclasses import replace

import pytest

from docs.faults import (
    AWS,
    GOES_ON,
    IN_A_ROW,
    OF_AWS,
    OF_HTTP,
    QUANTEMPLATE,
    TRIED_AGAIN,
    TWICE,
    WAITED,
    Cell,
    End,
    cells,
)
from quantemplate import bodies, replies
from quantemplate import client as quantemplate
from straight_through.buckets import s3_objects
from straight_through.telling.remedies import REMEDIES
from tests.faults.faults import PATIENCE, Injected
from tests.faults.stories import STORIES, Story
from tests.faults.world import World
from tests.machine.machine import Execution

FULL = bool(os.environ.get("FAULTS_FULL"))
LONGEST = 4096  # characters of a message
PATIENT = (
    (quantemplate, "REPLY_TIMEOUT"),
    (quantemplate, "UPLOAD_REPLY_TIMEOUT"),
    (replies, "SMALL_SECONDS"),
    (replies, "LIST_SECONDS"),
)
NAMES = {error.__name__ for error in REMEDIES}


def some() -> list[Cell]:
    """Each call once and each fault once, at least."""
    http = [Cell(*QUANTEMPLATE[n % len(QUANTEMPLATE)], fault) for n, fault in enumerate(OF_HTTP)]
    others = [call for call in calls() if call not in QUANTEMPLATE]
    return http + [Cell(*call, OF_AWS[n % len(OF_AWS)]) for n, call in enumerate(others)]


def calls() -> list[tuple[str, str]]:
    """All calls of the page."""
    return [*QUANTEMPLATE, *((function, call) for function in AWS for call in AWS[function])]


def tell(world: World, monkeypatch: pytest.MonkeyPatch, story: Story, cell: Cell | None) -> None:
    """Let a story happen, with a fault."""
    injected = Injected(cell.function, cell.call, cell.fault) if cell else None
    world.begin(injected, **story.route)
    if story.part:
        monkeypatch.setattr(s3_objects, "PART", story.part)
        monkeypatch.setattr(bodies, "JUDGED", story.part)
    if cell and cell.fault.name in ("stalled", "endless"):
        for module, name in PATIENT:
            monkeypatch.setattr(module, name, PATIENCE)
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
                for call in world.calls:
                    MADE.setdefault(call, name)
                mended(world)
            assert world.problems() == [], name
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
    # When files go through, the cause is mended, and what has failed is redriven
    tell(world, monkeypatch, story, cell)
    found = different(world, story, expected_of(cell, story))
    mended(world)
    # Then the file in question has ended as the page says, and the other one has gone through;
    # each file was executed once, is published whole, and nothing is left
    found += world.problems()
    assert not found, f"[{cell}] {'; '.join(found)}"


def expected_of(cell: Cell, story: Story) -> End:
    """What becomes of the file in this story, which may end it or pause its queue itself."""
    if story.error and not cell.end.error:
        return End(story.error, pauses=story.pauses)
    if story.paused and cell.end.error:
        return replace(cell.end, pauses=True)
    return cell.end


def different(world: World, story: Story, expected: End) -> list[str]:
    """What is not as expected before anything is mended."""
    assert world.injected
    found = []
    if not (world.injected.hits or world.injected.delivers_twice):
        found.append("nothing has met the fault")
    subject = world.in_question()
    assert subject
    ended = end_of(world, subject)
    if ended != expected:
        found.append(f"{ended}; expected is: {expected}; {subject.cause}")
    others = [e for e in world.executions("FAILED", "RUNNING") if e is not subject]
    others = [e for e in others if e.name not in world.met]  # as two that publish at a time
    others = [e for e in others if e.input.get("release") != subject.name]  # it was not held yet
    if others and not world.paused() and not story.all_end:
        found.append("another file has not gone through")
    found += [
        f"{e.error} is no name of ours" for e in world.executions("FAILED") if e.error not in NAMES
    ]
    shown = [cause for cause in world.causes if len(cause) > LONGEST or "s3cr3t" in cause]
    return found + [f"no message: {cause}" for cause in shown]


def end_of(world: World, subject: Execution) -> End:
    """What has become of the file in question."""
    if subject.error:
        return End(subject.error, pauses=world.paused())
    waited = subject.name in world.waited
    return End(how=WAITED if waited else TRIED_AGAIN if subject.retried else GOES_ON)


# --- two files in a row ---------------------------------------------------------------------------
@pytest.mark.parametrize("place", IN_A_ROW, ids=", ".join)
def test_two_files_in_a_row_pause_their_queue_where_every_next_one_would_meet_it(
    world: World, place: tuple[str, str]
) -> None:
    # Given a fault that two files end with
    world.begin(Injected(*place, TWICE, files=2))
    # When three are dropped
    for name in ("first", "second", "third"):
        world.drop(name)
    world.settle()
    # Then the queue is paused before the third, with one message; or the third goes through
    first, second, third = world.machine.executions.values()
    error = Cell(*place, TWICE).end.error
    assert (first.error, second.error, third.error) == (error, error, "")
    assert world.paused() == IN_A_ROW[place]
    assert third.status == ("RUNNING" if world.paused() else "SUCCEEDED")
    pauses = [subject for subject in world.told if "is paused" in subject]
    assert len(pauses) == IN_A_ROW[place]
    # When the cause is mended and both are redriven
    mended(world)
    # Then all have gone through
    assert world.problems() == []

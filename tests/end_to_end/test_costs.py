"""What a file costs is what the table of docs/costs.md is made of."""

import uuid

import pytest

from local.quantemplate import Control
from tests.bench.cost import EVENTS, TRANSITIONS, TRANSITIONS_A_LOOK
from tests.bench.detection import EVENTS_A_LOOK
from tests.end_to_end.road import Road


@pytest.mark.parametrize("seconds", [0, 20])
def test_a_file_takes_the_transitions_that_the_table_is_made_of(
    road: Road, stand_in: Control, seconds: float
) -> None:
    # Given a pipeline with one output
    name = f"r{uuid.uuid4().hex[:8]}"
    stand_in.define_dataset(f"d-{name}")
    stand_in.define_pipeline(
        f"p-{name}", kind="copy", datasets=[f"d-{name}"], outputs=["Copy"], seconds=seconds
    )
    road.route_to(f"d-{name}", f"p-{name}", name)
    # When a file goes through it
    run = road.processed(f"{name}/may.csv", b"a\n1\n")
    # Then each look at the run takes three transitions and nine events, and all else a fixed number
    entered = road.entered(run)
    looks = entered.count("CheckStatus")
    assert looks >= 1
    assert len(entered) == TRANSITIONS + TRANSITIONS_A_LOOK * looks
    assert len(road.history(run.arn)) == EVENTS + EVENTS_A_LOOK * looks

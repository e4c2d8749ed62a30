"""An execution that is stopped during its upload: the function goes on, and keeps the turn."""

from typing import Any

from local.quantemplate import Control
from tests.end_to_end.road import Road, Route

SLOW = b"reference,amount\n" + b"A-1,100\n" * 10_000  # 4 seconds at the speed below
BYTES_PER_SECOND = 20_000.0


def test_an_abort_during_a_slow_upload_lets_the_next_file_in_only_after_it(
    road: Road, stand_in: Control, copy_route: Route
) -> None:
    # Given a file whose upload is slow, and another one that waits
    begun = len(stand_in.journal())
    stand_in.trouble(
        "upload_dataset", "slow_read", id=copy_route.dataset_id, bytes_per_second=BYTES_PER_SECOND
    )
    road.drop(f"{copy_route.name}/first.csv", SLOW)
    (first,) = road.until(
        lambda: road.executions_of(f"{copy_route.name}/first.csv"), "the first execution"
    )
    road.until(lambda: uploads(stand_in, copy_route, begun, "upload_started"), "the first upload")
    road.drop(f"{copy_route.name}/second.csv", b"reference,amount\nB-2,200\n")
    (second,) = road.until(
        lambda: road.executions_of(f"{copy_route.name}/second.csv"), "the second execution"
    )

    # When the first one is aborted, which does not stop its function
    road.client("stepfunctions").stop_execution(executionArn=first)
    assert not uploads(stand_in, copy_route, begun, "upload_finished")

    # Then the second file's upload starts only after the first one's has ended
    assert road.ended(second).status == "SUCCEEDED"
    (first_ended,) = uploads(stand_in, copy_route, begun, "upload_finished")[:1]
    second_began = uploads(stand_in, copy_route, begun, "upload_started")[1]
    assert first_ended["seq"] < second_began["seq"]
    # and the first one's function has not executed what nobody waits for any more
    assert len(stand_in.pipelines()[copy_route.pipeline_id]["runs"]) == 1

    # When it is redriven
    redriven = road.redrive(road.ended(first))

    # Then it takes a turn of its own, and is processed once
    assert redriven.status == "SUCCEEDED"
    assert road.stored(road.manifest(redriven)["outputs"][0]["key"]) == SLOW
    assert len(stand_in.pipelines()[copy_route.pipeline_id]["runs"]) == 2
    assert [v for v in stand_in.violations() if copy_route.pipeline_id in str(v)] == []


def uploads(stand_in: Control, route: Route, after: int, event: str) -> list[dict[str, Any]]:
    """The journal's entries of one event about the route's dataset."""
    entries = stand_in.journal(event, after)
    return [entry for entry in entries if entry["dataset"] == route.dataset_id]

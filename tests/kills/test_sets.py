"""A function that is killed at any side effect while a set is gathered: it runs once, with all."""

import pytest

from tests.faults.stories import SET
from tests.kills.test_kill_points import HEALING, points
from tests.kills.world import Kill, World

FUNCTIONS = ("check_file", "take_turn", "upload_and_execute", "publish_run")


def gathered(world: World, kill: Kill | None, healing: str = "retry") -> list[str]:
    """Drop both files of a set; return what is not as it must be in the end."""
    world.begin(kill, healing, set=SET)
    for name in ("claims-1", "premiums-1"):
        world.drop(name)
    world.settle()
    return world.problems()


@pytest.mark.parametrize("healing", HEALING)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_set_runs_once_wherever_a_function_is_killed(
    world: World, function: str, healing: str
) -> None:
    # Given a set that goes well
    assert gathered(world, None) == []
    invocations = [[*calls, "its end"] for calls in world.calls[function]]
    assert invocations
    for invocation, calls in enumerate(invocations):
        for number in points(calls):
            # When a function of it is killed before one of its calls, and so after another
            found = gathered(world, Kill(function, invocation, number), healing)
            # Then it runs once all the same, with all its files
            where = f"invocation {invocation} killed after {calls[:number]}, before {calls[number]}"
            assert world.killed, where
            assert found == [], where

"""The turn protocol holds, whatever happens in whatever order."""

import os
import time

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.functions import loaded
from tests.model.machine import Model
from tests.model.starting import Starting

SEED = int(os.environ.get("MODEL_SEED", "1"))
EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "120"))
LENGTH = int(os.environ.get("MODEL_LENGTH", "50"))


def settled(examples: int, *phases: Phase) -> settings:
    """Return settings under which nothing is random but by the seed."""
    return settings(
        max_examples=examples,
        stateful_step_count=LENGTH,
        phases=phases or (Phase.generate, Phase.shrink),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )


@pytest.mark.parametrize(("model", "examples"), [(Model, EXAMPLES), (Starting, EXAMPLES // 2)])
def test_all_holds_whatever_happens(model: type[Model], examples: int) -> None:
    print(f"MODEL_SEED={SEED} MODEL_EXAMPLES={examples} MODEL_LENGTH={LENGTH}")  # noqa: T201
    began, Model.steps, Model.histories = time.monotonic(), 0, 0
    # Given the functions as they are, when everything happens in any order, then all holds
    with loaded() as functions:
        Model.functions = functions
        seed(SEED)(model)
        run_state_machine_as_test(model, settings=settled(examples, Phase.generate))
    took = time.monotonic() - began
    print(f"{Model.histories} histories, {Model.steps} calls in {took:.0f} s")  # noqa: T201

"""Each completed version of a set runs exactly once, with the newest of each member."""

import os

import pytest
from hypothesis import Phase, seed
from hypothesis.stateful import run_state_machine_as_test

from tests.model.functions import loaded
from tests.model.set_machine import SetModel, WithReplays
from tests.model.test_model import SEED, settled

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "80"))


@pytest.mark.parametrize(
    ("model", "examples"), [(SetModel, EXAMPLES), (WithReplays, EXAMPLES // 4)]
)
def test_sets_are_run_once_whatever_happens(model: type[SetModel], examples: int) -> None:
    print(f"MODEL_SEED={SEED} MODEL_EXAMPLES={examples}")  # noqa: T201
    SetModel.steps = SetModel.histories = SetModel.claimed = 0
    # Given the functions as they are, when the files of sets come in any order, then all holds
    with loaded() as functions:
        SetModel.functions = functions
        seed(SEED)(model)
        run_state_machine_as_test(model, settings=settled(examples, Phase.generate))
    counts = f"{SetModel.histories} histories, {SetModel.steps} calls, {SetModel.claimed} versions"
    print(counts)  # noqa: T201
    # Hypothesis draws constants of the sources too: any change of them makes other histories.
    assert SetModel.claimed > examples // 2

"""Whatever happens, each period is judged once, and people are told what is late and what came."""

import os

from hypothesis import Phase, seed
from hypothesis.stateful import run_state_machine_as_test

from tests.model.expecting import Expecting
from tests.model.functions import loaded
from tests.model.test_model import SEED, settled

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "60"))


def test_each_period_is_judged_once_whatever_happens() -> None:
    print(f"MODEL_SEED={SEED} MODEL_EXAMPLES={EXAMPLES}")  # noqa: T201
    Expecting.steps = Expecting.histories = Expecting.judged = Expecting.messages = 0
    # Given the functions as they are, when files come or do not, then all holds
    with loaded() as functions:
        Expecting.functions = functions
        seed(SEED)(Expecting)
        run_state_machine_as_test(Expecting, settings=settled(EXAMPLES, Phase.generate))
    counts = (
        f"{Expecting.histories} histories, {Expecting.steps} calls, {Expecting.judged} verdicts"
    )
    print(f"{counts}, {Expecting.messages} messages")  # noqa: T201
    # And much was judged, and told
    assert Expecting.judged > EXAMPLES
    assert Expecting.messages > EXAMPLES

"""The model finds what is wrong with who looks for files that should come: each of these ways."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import Phase, seed
from hypothesis.stateful import run_state_machine_as_test

import straight_through.expecting.expectations
import straight_through.queue.arrivals
from straight_through.expecting.expectations import Expectations
from straight_through.queue.tellings import Tellings
from tests.model.expecting import Expecting
from tests.model.functions import loaded
from tests.model.test_model import settled
from tests.model.world import Violated

Patch = pytest.MonkeyPatch
EXAMPLES, SEED = 400, 1  # at most; all are found within some dozens
HERE = straight_through.expecting.expectations
SHOW_AT_THE_END = (
    "judge_and_tell_nobody",
    "never_tell_what_was_noted",
    "look_once_at_what_is_owed",
    "pass_a_period_over",
)


def judge_whatever_others_have(patch: Patch) -> None:
    """Two sweeps write over each other's verdicts."""
    arguments = HERE._arguments

    def broken(*given: Any) -> Any:
        (key, change, _condition), values = arguments(*given)
        return (key, change, ""), {name: said for name, said in values.items() if name != "was"}

    patch.setattr(HERE, "_arguments", broken)


def judge_at_the_very_moment(patch: Patch) -> None:
    """A file that is just being checked is late."""
    patch.setattr(HERE, "GRACE", timedelta(0))


def count_no_rows_that_are_to_come(patch: Patch) -> None:
    """A file in time is late while its run goes on."""
    patch.setattr(HERE, "PATIENCE", timedelta(0))


def forget_what_was_judged(patch: Patch) -> None:
    """A rule that is for other periods for a while judges the same ones again."""
    following = HERE._following

    def broken(expect: Any, judged: str, since: str) -> Any:
        return following(expect, "" if expect.by.endswith("18:00") else judged, since)

    patch.setattr(HERE, "_following", broken)


def judge_and_tell_nobody(patch: Patch) -> None:
    """A verdict is noted without what is to be told of it."""

    def broken(self: Expectations, item: Any, changes: Any, *_of: Any) -> Any:
        return self._write(item, changes)

    patch.setattr(Expectations, "_told", broken)


def never_tell_what_was_noted(patch: Patch) -> None:
    """What a sweep has noted, and died before it told, is told by none."""
    patch.setattr(Tellings, "tell_late", lambda *_: None)


def look_once_at_what_is_owed(patch: Patch) -> None:
    """What has come after a look at what is owed is never seen."""
    look = straight_through.queue.arrivals._look
    patch.setattr(straight_through.queue.arrivals, "_look", lambda route, _mark: look(route, "?"))


def pass_a_period_over(patch: Patch) -> None:
    """Where a sweep was lost for days, only the last period is judged."""
    patch.setattr(HERE, "MOST", 0)


BREAKS = [
    judge_whatever_others_have,
    judge_at_the_very_moment,
    count_no_rows_that_are_to_come,
    forget_what_was_judged,
    judge_and_tell_nobody,
    never_tell_what_was_noted,
    look_once_at_what_is_owed,
    pass_a_period_over,
]


@pytest.mark.parametrize("break_it", BREAKS)
def test_the_model_finds(break_it: Callable[[Patch], None], monkeypatch: Patch) -> None:
    # Given who looks for files that should come, with one piece broken
    with loaded() as functions:
        Expecting.functions = functions
        break_it(monkeypatch)
        monkeypatch.setattr(Expecting, "calms_down", break_it.__name__ in SHOW_AT_THE_END)
        # When the model plays, then an invariant does not hold
        seed(SEED)(Expecting)
        Expecting.steps = Expecting.histories = 0
        with pytest.raises(Violated) as found:
            run_state_machine_as_test(Expecting, settings=settled(EXAMPLES, Phase.generate))
    told = f"{Expecting.histories} histories, {Expecting.steps} calls"
    print(break_it.__name__, "-", told, str(found.value)[:100], flush=True)  # noqa: T201

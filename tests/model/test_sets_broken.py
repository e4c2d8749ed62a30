"""The model of sets finds what is wrong: each of these ways to break a claim, in bounded steps."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import Phase, seed
from hypothesis.stateful import run_state_machine_as_test

import straight_through.attempts
import straight_through.gathering.sets
from straight_through.attempts import Attempt
from straight_through.gathering.sets import Sets
from straight_through.queue.table import Item, Key, Table
from tests.model.functions import loaded
from tests.model.set_machine import SetModel, WithReplays
from tests.model.test_broken import without
from tests.model.test_model import settled
from tests.model.world import Violated

Patch = pytest.MonkeyPatch
EXAMPLES = 400  # at most; each is found within some dozen
SEED = 3


def write_over_each_other(patch: Patch) -> None:
    """A set's item is written whoever else has written since it was read."""
    without("#rev = :seen", only="SET #rev")(patch)


def take_arrival_for_drop(patch: Patch) -> None:
    """A file that comes later counts, though it was dropped before."""
    gather, come = Sets.gather, count()

    def broken(self: Sets, attempt: Attempt, *given: Any) -> Any:
        return gather(self, replace(attempt, place=f"9{next(come):06}"), *given)

    patch.setattr(Sets, "gather", broken)


def forget_the_claim(patch: Patch) -> None:
    """What a try has written is not looked for by the next."""
    gather = Sets.gather
    without("attribute_not_exists(#set)", only="SET #set")(patch)

    class Forgetful(Table):
        """A table whose records tell of no set."""

        def get(self, key: Key) -> Item | None:
            """Return one item without that."""
            found = super().get(key)
            return found and {name: value for name, value in found.items() if name != "set"}

    def broken(self: Sets, *given: Any) -> Any:
        table = Forgetful(self.table._dynamodb, self.table._name)
        return gather(Sets(table, self.patience), *given)

    patch.setattr(Sets, "gather", broken)


def claim_by_arrival(patch: Patch) -> None:
    """A set runs with the files that have come, without those that are missing."""
    made = straight_through.gathering.sets._gathered

    def broken(*given: Any, alone: bool) -> Any:
        del alone
        return made(*given, alone=True)

    patch.setattr(straight_through.gathering.sets, "_gathered", broken)


def let_replays_pass_for_new(patch: Patch) -> None:
    """A replay is as new as its start, and not as its drop."""
    patch.setattr(straight_through.attempts, "TELL_THEIR_PLACE", frozenset(("execution_id",)))


BREAKS = [
    write_over_each_other,
    take_arrival_for_drop,
    forget_the_claim,
    claim_by_arrival,
    let_replays_pass_for_new,
]


@pytest.mark.parametrize("break_it", BREAKS)
def test_the_model_of_sets_finds(break_it: Callable[[Patch], None], monkeypatch: Patch) -> None:
    # Given the gathering with one piece broken
    with loaded() as functions:
        SetModel.functions = functions
        break_it(monkeypatch)
        # When the model plays, then what must hold does not
        model = WithReplays if break_it is let_replays_pass_for_new else SetModel
        seed(SEED)(model)
        SetModel.steps = SetModel.histories = 0
        with pytest.raises(Violated) as found:
            run_state_machine_as_test(model, settings=settled(EXAMPLES, Phase.generate))
    told = f"{SetModel.histories} histories, {str(found.value)[:100]}"
    print(break_it.__name__, "-", told, flush=True)  # noqa: T201

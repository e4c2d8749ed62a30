"""Which outputs are fetched: those that the route, its gate and its chain name."""

from typing import Any

import pytest

from quantemplate.client import Output
from straight_through.errors import OutputMissing, OutputsTooMany
from straight_through.selection import MOST_OUTPUTS, matches, selected
from tests.unit.outbox_runs import chained_to, route

NAMES = ["Clean claims: Sheet 1", "Clean claims: Sheet 2", "Validation report: Sheet 1", "Map [1]"]
MADE = [Output(f"o-{number}", name) for number, name in enumerate(NAMES)]


def fetched(**changed: Any) -> list[str]:
    """The names of what is fetched."""
    return [output.name for output in selected(MADE, route(**changed))]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (("*",), NAMES),
        (("Clean claims: *",), NAMES[:2]),
        (("Clean claims: Sheet ?", "Map [1]"), [*NAMES[:2], NAMES[3]]),
        (("*Sheet [12]",), NAMES[:3]),
        (("Clean claims: Sheet 2",), NAMES[1:2]),
    ],
)
def test_outputs_are_named_by_name_or_pattern(patterns: tuple[str, ...], names: list[str]) -> None:
    assert fetched(outputs=patterns) == names


def test_what_gate_and_chain_look_at_is_always_fetched() -> None:
    one = ("Clean claims: Sheet 1",)
    assert fetched(outputs=one, hold_if_rows=("Validation*",)) == [NAMES[0], NAMES[2]]
    assert fetched(outputs=one, then=chained_to(("central", "Map [1]"))) == [NAMES[0], NAMES[3]]


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("outputs", {"outputs": ("Clean claims: *", "clean*")}),
        ("hold_if_rows", {"hold_if_rows": ("clean*",)}),
        ("then", {"then": chained_to(("central", "clean*"))}),
    ],
)
def test_a_name_that_the_run_did_not_make_lists_what_it_made(
    field: str, changed: dict[str, Any]
) -> None:
    with pytest.raises(OutputMissing, match=rf"'clean\*'.*field '{field}'") as raised:
        fetched(**changed)
    assert all(repr(name) in str(raised.value) for name in NAMES)


def test_a_run_without_outputs_is_one_where_all_are_wanted() -> None:
    assert selected([], route()) == []
    with pytest.raises(OutputMissing, match="It has made: none"):
        selected([], route(outputs=("A",)))


def test_names_are_matched_as_they_are_written() -> None:
    assert not matches("clean", ("Clean",))
    assert matches("[a]", ("[a]",))


def test_more_outputs_than_a_run_can_fetch_are_refused_before_any_is() -> None:
    # Given an execution that has made one more than fits into a run's history and state
    made = [Output(f"o-{number}", f"Part {number}") for number in range(MOST_OUTPUTS + 1)]
    with pytest.raises(OutputsTooMany, match=r"101 outputs.*takes 101.*100 at most.*'outputs'"):
        selected(made, route())
    # Then a route that names fewer takes them
    assert len(selected(made, route(outputs=("Part ?",)))) == 10
    assert len(selected(made[1:], route())) == MOST_OUTPUTS

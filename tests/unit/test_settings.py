"""A function's settings: each variable has its type, and what is wrong is named."""

from dataclasses import dataclass

import pytest

from straight_through.settings import SettingInvalid, settings_of, variables_of


@dataclass(frozen=True)
class Patience:
    """A part that several functions have."""

    deadline_hours: float


@dataclass(frozen=True)
class Settings:
    """A function's."""

    turns_table: str
    patience: Patience


GIVEN = {"TURNS_TABLE": "turns", "DEADLINE_HOURS": "1.5", "OTHER": "x"}


def test_each_variable_is_read_into_its_field() -> None:
    assert settings_of(Settings, GIVEN) == Settings("turns", Patience(1.5))
    assert list(variables_of(Settings)) == ["TURNS_TABLE", "DEADLINE_HOURS"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"TURNS_TABLE": None}, "has no TURNS_TABLE"),
        ({"DEADLINE_HOURS": None}, "has no DEADLINE_HOURS"),
        ({"DEADLINE_HOURS": "soon"}, "DEADLINE_HOURS is 'soon', and no number"),
        ({"DEADLINE_HOURS": ""}, "DEADLINE_HOURS is '', and no number"),
    ],
)
def test_what_is_missing_or_no_number_is_named(changed: dict[str, str | None], told: str) -> None:
    given = {name: value for name, value in (GIVEN | changed).items() if value is not None}
    with pytest.raises(SettingInvalid, match=told):
        settings_of(Settings, given)

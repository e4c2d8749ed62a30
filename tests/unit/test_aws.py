"""Clients are made when they are needed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from straight_through import aws
from straight_through.table import _from_dynamodb, _to_dynamodb

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=5), part),
    max_leaves=9,
)


def test_a_client_for_later_is_made_once_and_at_its_first_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a client for later
    made: list[str] = []

    def client(service: str) -> Any:
        made.append(service)
        return {"a": 1}

    monkeypatch.setattr(aws, "client", client)
    later = aws.later("stepfunctions")
    assert made == []
    # When it is used twice
    assert (list(later.keys()), list(later.values())) == (["a"], [1])
    # Then it was made once
    assert made == ["stepfunctions"]


@given(PLAIN)
def test_the_table_gives_back_what_it_was_given(value: Any) -> None:
    assert _from_dynamodb(_to_dynamodb(value)) == value


@pytest.mark.parametrize("value", [1.5, b"x", {1}])
def test_the_table_takes_nothing_else(value: Any) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        _to_dynamodb(value)

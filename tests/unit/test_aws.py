"""Clients are made when they are needed."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from straight_through import aws
from straight_through.aws import answering
from straight_through.errors import AwsUnavailable
from straight_through.queue.table import _PLAIN, _STORED

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**38) + 1, 10**38 - 1) | st.text(max_size=9),
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
    assert _PLAIN.deserialize(_STORED.serialize(value)) == value


def test_the_table_takes_no_broken_number() -> None:
    with pytest.raises(TypeError, match="Float"):
        _STORED.serialize(1.5)


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "ThrottlingException"), (503, "ServiceUnavailable"), (429, "TooManyRequestsException")],
)
def test_what_passes_by_itself_has_a_name_that_is_tried_again(status: int, code: str) -> None:
    refusal: Any = {
        "Error": {"Code": code, "Message": "x"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    with (
        pytest.raises(AwsUnavailable, match=f"Systems Manager .*{code}"),
        answering("Systems Manager"),
    ):
        raise ClientError(refusal, "GetParameters")


def test_a_connection_that_breaks_passes_and_a_refusal_does_not() -> None:
    with (
        pytest.raises(AwsUnavailable, match="Step Functions does not answer"),
        answering("Step Functions"),
    ):
        raise EndpointConnectionError(endpoint_url="http://nowhere")
    refusal: Any = {
        "Error": {"Code": "TaskTimedOut", "Message": "x"},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    with pytest.raises(ClientError), answering("Step Functions"):
        raise ClientError(refusal, "SendTaskSuccess")

"""Errors say which file and route they are about, once, and stay what they are."""

import pytest

from straight_through.errors import ApiThrottled, ApiUnavailable, NotFound, concerning


def test_the_subject_is_added_once_and_the_class_stays() -> None:
    with pytest.raises(NotFound) as raised, concerning("file s3://inbox/may.csv, route claims"):
        raise NotFound("HTTP 404.")
    assert str(raised.value) == "HTTP 404. [file s3://inbox/may.csv, route claims]"


def test_what_an_error_carries_stays() -> None:
    with pytest.raises(ApiThrottled) as throttled, concerning("x"):
        raise ApiThrottled("HTTP 429.", retry_after=17)
    assert throttled.value.retry_after == 17
    with pytest.raises(ApiUnavailable) as unavailable, concerning("x"):
        raise ApiUnavailable("Refused.", sent=False)
    assert not unavailable.value.sent


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(KeyError) as raised, concerning("x"):
        raise KeyError("detail")
    assert raised.value.args == ("detail",)

"""A function that dies anywhere while it publishes: the next try ends as if it had not."""

import copy
from typing import Any

import pytest
from botocore.client import BaseClient

from straight_through.publishing.publish import publish
from tests.unit.conftest import INBOX, OUTBOX
from tests.unit.outbox_runs import objects, route, run_of
from tests.unit.test_publishing import ALL, CENTRAL, PASSING


def test_whatever_call_it_dies_before_or_after_the_next_try_ends_as_if_it_had_not(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    # Given what an undisturbed run leaves
    of_all: Any = BaseClient
    real, calls = of_all._make_api_call, []
    everything = route(**ALL)
    given = run_of(s3, PASSING, gated=True)

    def counted(client: Any, name: str, parameters: Any) -> Any:
        calls.append(name)
        return real(client, name, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", counted)
        expected = publish(s3, OUTBOX, copy.deepcopy(given), everything, CENTRAL)
    left = [objects(s3, bucket) for bucket in (OUTBOX, "lake", INBOX)]
    number = len(calls)
    assert number > 20
    for at in range(number + 1):
        # When it dies just after so many of its calls, which is just before the next one
        for bucket in (OUTBOX, "lake", INBOX):
            for each in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=each["Key"])
        run_of(s3, PASSING, gated=True)
        seen = 0

        def dies(client: Any, name: str, parameters: Any, at: int = at) -> Any:
            nonlocal seen
            seen += 1
            if seen > at:
                raise KeyboardInterrupt  # it is dead: nothing more is called
            answer = real(client, name, parameters)
            if seen == number:
                raise KeyboardInterrupt  # no other call comes
            return answer

        with monkeypatch.context() as patch:
            patch.setattr(BaseClient, "_make_api_call", dies)
            with pytest.raises(KeyboardInterrupt):
                publish(s3, OUTBOX, copy.deepcopy(given), everything, CENTRAL)
        # Then the next try gives the same
        assert publish(s3, OUTBOX, copy.deepcopy(given), everything, CENTRAL) == expected, at
        assert [objects(s3, bucket) for bucket in (OUTBOX, "lake", INBOX)] == left, at

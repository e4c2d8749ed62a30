"""The tags of a dropped file, where the stack writes them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from straight_through import aws
from straight_through.errors import AwsDenied, AwsUnavailable
from straight_through.queue.records import record_key
from straight_through.queue.table import Table
from straight_through.queue.tellings import TELLINGS
from straight_through.statuses import HELD
from straight_through.telling.tags import tag_file, tags_of_end
from tests.unit.conftest import INBOX, Event
from tests.unit.test_messages import MAY, RESULT, change, facts, succeeded

ON = {"TAGGED_FILES": f"{INBOX}/claims/"}
KEY = "claims/may.csv"


class File:
    """A version of a dropped file, with its tags."""

    def __init__(self, s3: Any, table: Table, run: str = MAY) -> None:
        """Drop it, and a newer version after it; let a run's record name the first."""
        self.s3 = s3
        self.version = s3.put_object(Bucket=INBOX, Key=KEY, Body=b"a\n1\n")["VersionId"]
        self.newer = s3.put_object(Bucket=INBOX, Key=KEY, Body=b"a\n2\n")["VersionId"]
        self.source = {"bucket": INBOX, "key": KEY, "version_id": self.version}
        table.update(record_key(run), "SET #route = :r, #source = :s", r="claims", s=self.source)

    def tags(self, version: str = "") -> dict[str, str]:
        """The tags of a version."""
        asked = {"Bucket": INBOX, "Key": KEY, "VersionId": version or self.version}
        found = self.s3.get_object_tagging(**asked)["TagSet"]
        return {each["Key"]: each["Value"] for each in found}

    def tag(self, **tags: str) -> None:
        """Give it tags, as somebody else does."""
        self.s3.put_object_tagging(
            Bucket=INBOX,
            Key=KEY,
            VersionId=self.version,
            Tagging={"TagSet": [{"Key": name, "Value": each} for name, each in tags.items()]},
        )


@pytest.fixture
def file(s3: Any, table: Table) -> File:
    """The file of the sample run."""
    return File(s3, table)


def test_a_file_tells_how_it_was_processed_beside_what_it_told_before(
    handler: Any, event: Event, file: File
) -> None:
    # Given a file with a tag of somebody else's
    file.tag(owner="Müller & Söhne".replace("&", "+"))
    ended = handler("run_ended", **ON)
    # When its run fails, then
    ended(change(event))
    other = {"owner": "Müller + Söhne"}
    assert file.tags() == other | {"stp-status": "Failed", "stp-run": MAY}
    # And when it has succeeded after a redrive, then it tells that, and its rows
    ended(change(event, "SUCCEEDED", redriveCount=1))
    told = {"stp-status": "Succeeded", "stp-run": MAY, "stp-rows": "12347"}
    assert file.tags() == other | told
    # And no other version of it tells anything
    assert file.tags(file.newer) == {}


def test_nothing_is_written_unless_the_stack_is_told_to(
    handler: Any, event: Event, file: File
) -> None:
    handler("run_ended")(change(event))
    assert file.tags() == {}


@pytest.mark.parametrize(("before", "after"), [(7, 9), (8, 8)])
def test_a_file_with_more_than_seven_tags_keeps_them_and_gets_none(
    handler: Any, event: Event, file: File, before: int, after: int
) -> None:
    file.tag(**{f"t{number}": "x" for number in range(before)})
    handler("run_ended", **ON)(change(event))
    assert len(file.tags()) == after


def test_a_file_elsewhere_is_none_that_the_stack_may_tag(
    handler: Any, event: Event, file: File
) -> None:
    for folder in ("other/", f"{INBOX}/claims/eu/"):
        handler("run_ended", TAGGED_FILES=folder)(change(event, redriveCount=len(folder)))
        assert file.tags() == {}


def test_a_release_tells_of_the_file_that_was_held_unless_it_came_to_nothing(
    handler: Any, event: Event, file: File
) -> None:
    # Given a file that is held
    ended = handler("run_ended", **ON)
    output = json.dumps(RESULT | {"status": HELD})
    ended(change(event, "SUCCEEDED", output=output))
    assert file.tags()["stp-status"] == "Held"
    # When it is released, then
    typed = {"input": json.dumps({"release": MAY})}
    ended(change(event, "SUCCEEDED", name="released", **typed))
    after = {"stp-status": "Succeeded", "stp-run": "released", "stp-rows": "12347"}
    assert file.tags() == after
    # And when somebody tries to release it again, then it tells what it told
    ended(change(event, name="again", error="ReleaseRefused", **typed))
    assert file.tags() == after


def later(table: Table) -> None:
    """Let what was noted to be told be old enough for a sweep."""
    for item in table.items(TELLINGS):
        old = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
        table.update((TELLINGS, item["sk"]), "SET #since = :old", old=old)


def test_a_tag_that_could_not_be_written_is_written_by_a_sweep_and_messages_come_all_the_same(
    handler: Any,
    event: Event,
    file: File,
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given S3, which does not answer
    real = aws.client
    answers = ["SlowDown"]

    def client(service: str) -> Any:
        made = real(service)
        if service == "s3":
            put = made.put_object_tagging

            def asked(**given: Any) -> Any:
                for code in answers:
                    said: Any = {"Error": {"Code": code}}
                    raise ClientError(said, "PutObjectTagging")
                return put(**given)

            monkeypatch.setattr(made, "put_object_tagging", asked)
        return made

    monkeypatch.setattr(aws, "client", client)
    # When a run ends, then people are told, and the function fails
    ended, sweep = handler("run_ended", **ON), handler("sweep_queues", **ON)
    with pytest.raises(AwsUnavailable):
        ended(change(event))
    assert [each["way"] for each in table.items(TELLINGS)] == ["tags"]
    assert file.tags() == {}
    # When S3 is back, then a sweep writes it
    answers.clear()
    later(table)
    sweep({})
    assert file.tags()["stp-status"] == "Failed"


def test_what_is_told_late_is_not_told_over_what_came_after_it(
    handler: Any, event: Event, file: File, table: Table
) -> None:
    # Given the tags of a first attempt, which were noted and not written
    ended, sweep = handler("run_ended", **ON), handler("sweep_queues", **ON)
    given = facts(event, record={"source": file.source, "route": "claims"})
    what = json.dumps({"facts": given, "release": False})
    name = (TELLINGS, f"{MAY}#tags_0")
    table.update(name, "SET #way = :w, #what = :t, #since = :s", w="tags", t=what, s="2026")
    # When the second one was told meanwhile
    ended(change(event, "SUCCEEDED", redriveCount=1))
    later(table)
    sweep({})
    # Then
    assert file.tags()["stp-status"] == "Succeeded"
    assert table.get(name) is None


def test_a_file_that_is_gone_gets_none(handler: Any, event: Event, file: File) -> None:
    file.s3.delete_object(Bucket=INBOX, Key=KEY, VersionId=file.version)
    handler("run_ended", **ON)(change(event))
    assert file.tags(file.newer) == {}


def test_a_denial_is_one() -> None:
    class S3:
        def get_object_tagging(self, **_: Any) -> None:
            said: Any = {"Error": {"Code": "AccessDenied", "Message": "no"}}
            raise ClientError(said, "GetObjectTagging")

    s3: Any = S3()
    where: Any = {"file": {"bucket": INBOX, "key": KEY, "version_id": "v"}}
    with pytest.raises(AwsDenied, match="GetObjectTagging"):
        tag_file(s3, where)


def test_what_a_tag_may_not_hold_is_left_out_of_its_value(event: Event) -> None:
    told = succeeded(event, RESULT | {"rows_in": None}) | {"run": "Mai (1)! é-+=._:/@"}
    assert tags_of_end(told) == {"stp-status": "Succeeded", "stp-run": "Mai _1__ é-+=._:/@"}

"""`stp remove` on a local AWS of its own: files wait, and the stack goes all the same."""

import pytest

from local.deploy import ARTEFACTS
from local.quantemplate import Control
from stp.said import NO_STACK, OK, USAGE
from tests.cli.conftest import Stp
from tests.end_to_end.road import Road
from tests.end_to_end.stack import made, make_route
from tests.end_to_end.test_turns import content, endless, started, until_looked, until_queued

PLAIN = b"a,b\n1,2\n"


@pytest.fixture(scope="module")
def road(local_aws: str, stand_in: Control) -> Road:
    """The stack that is taken away, with all that may start runs."""
    return made(local_aws, stand_in, QuantemplateEvents="on")


def test_a_stack_goes_while_files_wait_and_keeps_all_data(
    local_stp: Stp, road: Road, stand_in: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stp.removal.LOOK_EVERY", 0.2)
    # Given a file that has gone through, one whose pipeline goes on, and two that wait behind it
    route = make_route(road, stand_in, "Copy: Sheet 1")
    done = road.processed(f"{route.name}/done.csv", PLAIN)
    assert done.status == "SUCCEEDED"
    endless(stand_in, route)
    keys = [f"{route.name}/{name}.csv" for name in ("runs", "waits", "waits too")]
    runs = [started(road, key, content(key)) for key in keys[:1]]
    until_looked(road, runs[0])
    runs += [started(road, key, content(key)) for key in keys[1:]]
    until_queued(road, *runs[1:])
    # and one that was dropped, and that StartRun has not taken up yet
    take_up_no_more(road)
    late = f"{route.name}/late.csv"
    road.drop(late, content(late))
    # When somebody would remove the stack and is not there to be asked, then nothing happens
    assert local_stp("remove", "--json").code == USAGE
    assert {status(road, arn) for arn in runs} == {"RUNNING"}
    # When it is removed
    removed = local_stp("remove", "--yes", "--json")
    # Then it is gone, what was under way was stopped, and each is told with its file
    assert removed.code == OK, removed.err
    assert local_stp("runs").code == NO_STACK
    assert {each["key"] for each in removed.json["stopped"]} == set(keys)
    assert removed.json["not_started"] == [late]
    # and which of them has an execution, so that nobody lets its file go through once more
    (made_by_us,) = (each for each in removed.json["stopped"] if each["execution_id"])
    assert made_by_us["key"] == keys[0]
    assert made_by_us["execution_id"] in stand_in_executions(stand_in, route.pipeline_id)
    assert not road.client("stepfunctions").list_state_machines()["stateMachines"]
    # and none of them was begun because the one before it was stopped
    assert len(stand_in.pipelines()[route.pipeline_id]["runs"]) == 2
    # and the buckets have all data, and ask for TLS as before
    s3 = road.client("s3")
    assert (removed.json["inbox"], removed.json["outbox"]) == (road.inbox, road.outbox)
    for bucket in (road.inbox, road.outbox):
        assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
    for key in keys:
        assert s3.get_object(Bucket=road.inbox, Key=key)["ContentLength"]
    assert s3.list_objects_v2(Bucket=road.outbox)["KeyCount"]
    # and its routes are named, for they stay
    assert route.name in removed.json["routes"]
    # When it is deployed again under its name, as it is told, then drops go through
    forget_artefacts(road)
    again = made(road.endpoint, stand_in, ExistingInboxBucket=removed.json["inbox"])
    assert again.inbox == road.inbox
    other = make_route(again, stand_in, "Copy: Sheet 1")
    assert again.processed(f"{other.name}/new.csv", PLAIN).status == "SUCCEEDED"


def take_up_no_more(road: Road) -> None:
    """Let StartRun read its queue no more."""
    functions = road.client("lambda")
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)

        def off(uuid: str = mapping["UUID"]) -> bool:
            return str(functions.get_event_source_mapping(UUID=uuid)["State"]) == "Disabled"

        road.until(off, "a source that is off")


def stand_in_executions(stand_in: Control, pipeline_id: str) -> list[str]:
    """The ids of a pipeline's executions."""
    return [each["id"] for each in stand_in.pipelines()[pipeline_id]["runs"]]


def forget_artefacts(road: Road) -> None:
    """Empty and delete the bucket that the stack was deployed from: each deployment makes it."""
    s3 = road.client("s3")
    for each in s3.list_objects_v2(Bucket=ARTEFACTS)["Contents"]:
        s3.delete_object(Bucket=ARTEFACTS, Key=each["Key"])
    s3.delete_bucket(Bucket=ARTEFACTS)


def status(road: Road, arn: str) -> str:
    """The status of an execution."""
    found = road.client("stepfunctions").describe_execution(executionArn=arn)
    return str(found["status"])

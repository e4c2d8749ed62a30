"""`stp events`: what came, the address with its key, and how the key is changed."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import responses

from stp.doctor import GOOD, LOOK, checks
from stp.moments import local
from stp.stack import Stack
from straight_through.hearing.event import Event
from straight_through.hearing.key import Key
from straight_through.hearing.taking import take
from straight_through.starting.updates import Starter
from tests.cli.conftest import Stp

URL = "https://abc.lambda-url.eu-west-1.on.aws/"
KEY = "k" * 64
NOW = datetime.now(UTC)


@pytest.fixture
def hearing(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack that takes events."""
    secret = stack.client("secretsmanager").create_secret(
        Name="events", SecretString=json.dumps({"key": KEY})
    )
    outputs = {**stack.outputs, "EventsUrl": URL, "EventsKeyArn": secret["ARN"]}
    hearing = replace(stack, outputs=outputs)
    vars(hearing)["resources"] = {"TakeEvent": ("AWS::Lambda::Function", "take-event")}
    monkeypatch.setattr("stp.doctor._may_run", lambda *_: True)
    monkeypatch.setattr("stp.here.open_stack", lambda *_: hearing)
    return hearing


def secret_of(stack: Stack) -> Any:
    """The secret's value."""
    of = {"SecretId": stack.outputs["EventsKeyArn"]}
    return json.loads(stack.client("secretsmanager").get_secret_value(**of)["SecretString"])


def heard(stack: Stack, event: Event, ago: float = 0) -> str:
    """Let an event come so many minutes ago."""
    states = stack.client("stepfunctions")
    starter = Starter(stack.table, states, stack.machine, 10)
    return take(stack.table, states, starter, event, NOW - timedelta(minutes=ago))


def test_what_came_is_listed_with_what_it_did(stp: Stp, hearing: Stack) -> None:
    # Given three events
    heard(hearing, Event("1", "PipelineCompleted", "p-claims", "e-7"), 5)
    heard(hearing, Event("2", "FeedRenamed"), 3)
    heard(hearing, Event("3", "DatasetUpdated", dataset_id="d-one"), 1)
    # When they are listed, then the newest is first
    listed = stp("events", "--json").json
    assert [(e["id"], e["name"], e["about"]) for e in listed] == [
        ("3", "DatasetUpdated", "d-one"),
        ("2", "FeedRenamed", ""),
        ("1", "PipelineCompleted", "p-claims e-7"),
    ]
    # And those of one pipeline, execution or dataset can be asked for, or so many
    for about in ("p-claims", "e-7"):
        assert [e["id"] for e in stp("events", "--about", about, "--json").json] == ["1"]
    assert [e["id"] for e in stp("events", "-n", "1", "--json").json] == ["3"]
    # And those of a run, also where an event has started two
    key = ("heard", "2026-05-04T08:00:00.000000+00:00#4")
    did = "started stock-updated-1-2; started other-updated-1-3"
    note = "SET #name = :name, #about = :about, #did = :did"
    hearing.table.update(key, note, name="DatasetUpdated", about="d-two", did=did)
    for run in ("stock-updated-1-2", "other-updated-1-3"):
        assert [e["id"] for e in stp("events", "--about", run, "--json").json] == ["4"]
    # And people see the same
    shown = stp("events").out
    assert "nobody waits for it" in shown
    assert "unknown, ignored" in shown


def test_the_address_holds_the_key(stp: Stp, hearing: Stack) -> None:
    assert stp("events", "url").out == f"{URL}{KEY}\n"
    assert stp("events", "url", "--json").json == {"url": f"{URL}{KEY}"}
    assert secret_of(hearing) == {"key": KEY}


def test_a_new_key_keeps_the_one_before(stp: Stp, hearing: Stack) -> None:
    # Given nobody who could answer, then nothing is changed
    asked = stp("events", "rotate")
    assert asked.code == 2
    assert secret_of(hearing) == {"key": KEY}
    # When the key is changed
    done = stp("events", "rotate", "--yes")
    value = secret_of(hearing)
    # Then the new one is as long, and the one before still counts until it is used
    assert value["earlier"] == [KEY]
    assert len(value["key"]) == 64
    assert value["key"].isalnum()
    assert value["key"] != KEY
    assert f"{URL}{value['key']}" in done.out
    assert KEY not in done.out
    # And another one too, as long as nobody has used the one between
    stp("events", "rotate", "--yes")
    assert secret_of(hearing)["earlier"] == [value["key"], KEY]
    # And once that was used, what came before it is forgotten
    secrets = hearing.client("secretsmanager")
    assert Key(secrets, hearing.outputs["EventsKeyArn"], hearing.table).opens(f"/{value['key']}")
    stp("events", "rotate", "--yes")
    after = secret_of(hearing)
    assert after["earlier"][1:] == [value["key"]]
    assert after["key"] not in after["earlier"]


@responses.activate
def test_a_test_is_sent_to_the_address(stp: Stp, hearing: Stack) -> None:  # noqa: ARG001
    # Given an address that takes it
    sent = responses.post(f"{URL}{KEY}", "Taken.")
    assert stp("events", "test").code == 0
    assert json.loads(sent.calls[0].request.body)["eventName"] == "StraightThroughTest"
    # And what keeps it out is told, and the key is not
    for status, why in {403: "permission", 404: "another by now", 429: "flood"}.items():
        responses.replace("POST", f"{URL}{KEY}", status=status)
        done = stp("events", "test")
        assert done.code == 1
        assert why in done.err
    responses.remove("POST", f"{URL}{KEY}")
    done = stp("events", "test")
    assert done.code == 5
    assert KEY not in done.err + done.out


def test_a_stack_that_takes_none_says_how_to_switch_it_on(stp: Stp, deployed: Stack) -> None:
    for command in ("url", "rotate", "test"):
        done = stp("events", command)
        assert done.code == 1
        assert "QuantemplateEvents=on" in done.err
    assert "QuantemplateEvents is off" in stp("events").out
    assert findings(deployed) == [("events", GOOD, "are off: no address of the stack is public")]


def findings(stack: Stack) -> list[tuple[str, str, str]]:
    """What the doctor says of events."""
    (check,) = [check for name, check in checks(stack) if name == "the events"]
    return [(found.about, found.state, found.what) for found in check()]


def test_the_doctor_says_when_the_last_one_came_of_each_pipeline(hearing: Stack) -> None:
    # Given two routes, and events of the pipeline of one
    for name in ("claims", "premiums"):
        ids = {"organisation_id": "c-1", "dataset_id": f"d-{name}", "pipeline_id": f"p-{name}"}
        hearing.client("ssm").put_parameter(
            Name=f"{hearing.routes_path}/{name}", Type="String", Value=json.dumps(ids)
        )
    heard(hearing, Event("1", "PipelineCompleted", "p-claims", "e-1"), 90)
    heard(hearing, Event("2", "PipelineCompleted", "p-claims", "e-2"), 30)
    # Then the last is told, and of which none has come
    last, silent = findings(hearing)
    when = local(NOW - timedelta(minutes=30))
    assert last[:2] == ("events of p-claims", GOOD)
    assert last[2] == f"the last one came at {when}"
    assert silent[:2] == ("events", LOOK)
    assert "p-premiums" in silent[2]
    assert "p-claims" not in silent[2]

"""Executions that release 1.0.0 began go on with the functions of now."""

import json
from typing import Any

import boto3
import pytest

from straight_through.queue.records import record_key
from straight_through.queue.table import Table, update
from tests.kills.world import World
from tests.machine.definition import DEFINITION, definition_of
from tests.machine.machine import Execution
from tests.model.dynamodb import TABLE

OLD = "1.0.0"
OF_OLD = ["Release?", "TakeTurn"]  # how its executions begin


@pytest.fixture
def before(world: World) -> World:
    """A stack whose executions begin with the definition of the release before."""
    world.machine.definition = definition_of(OLD)
    return world


def route_with(world: World, **fields: Any) -> None:
    """Give the world's route more fields."""
    ssm, name = boto3.client("ssm"), f"/straight-through/routes/{world.queue}"
    document = json.loads(ssm.get_parameter(Name=name)["Parameter"]["Value"]) | fields
    ssm.put_parameter(Name=name, Value=json.dumps(document), Overwrite=True)


def went_through(world: World, execution: Execution) -> bool:
    """Whether the file came back, and no state was entered that its definition has not."""
    known = {*definition_of(OLD)["States"], "DownloadOutput"}
    return world.problems() == [] and set(execution.passed) <= known


def test_one_is_checked_when_it_asks_for_its_turn_and_anew_when_it_is_redriven(
    before: World,
) -> None:
    # Given an execution that has begun before the update, of a file with another header
    route_with(before, header=["name", "amount"])
    first = before.drop("first")
    assert first.state == "TakeTurn"
    # When it comes to its turn with the functions of now
    before.settle()
    # Then it is refused before it waits, and nothing was asked of Quantemplate
    assert (first.status, first.error, first.passed) == ("FAILED", "HeaderMismatch", OF_OLD)
    assert before.made("POST token") == 0
    # When the route is mended and the execution redriven
    route_with(before, header=["name"])
    before.machine.redrive(first)
    before.settle()
    # Then it goes through
    assert went_through(before, first)


def test_one_that_waits_for_its_turn_is_checked_within_it(before: World) -> None:
    # Given an execution that asked for its turn with the functions of before: unchecked
    first = before.drop("first")
    before.step(first)
    Table(boto3.client("dynamodb"), TABLE).together(
        update(record_key(first.name), "REMOVE #checked")
    )
    # And a header that its file has not
    route_with(before, header=["name", "amount"])
    before.settle()
    # Then it is refused before its upload, and goes through when it is redriven
    assert (first.status, first.error) == ("FAILED", "HeaderMismatch")
    assert before.made("POST token") == 0
    route_with(before, header=["name"])
    before.machine.redrive(first)
    before.settle()
    assert went_through(before, first)


def test_one_of_before_and_one_of_now_take_their_turns(before: World) -> None:
    first = before.drop("first")
    before.machine.definition = DEFINITION
    second = before.drop("second")
    before.settle()
    assert before.problems() == []
    assert first.passed[:2] == OF_OLD
    assert second.passed[:2] == ["Release?", "CheckFile"]

"""`stp routes check --online`: what Quantemplate lets the API user see of a route."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.deploy import ORGANISATION
from local.quantemplate import Control, running
from quantemplate.client import Credentials, Quantemplate
from stp.route_checks import ERROR, WARNING, online
from straight_through.executing.connection import connected
from straight_through.routes import Route, parse_route

IDS = {"organisation_id": ORGANISATION, "pipeline_id": "p-stock"}


@pytest.fixture
def account() -> Iterator[Control]:
    """A Quantemplate with a pipeline and three datasets, the last one empty."""
    with running() as control:
        for dataset in ("d-one", "d-two", "d-empty"):
            control.define_dataset(dataset)
            if dataset != "d-empty":
                control.update_dataset(dataset, "a,b\n1,2\n")
        control.define_pipeline("p-stock", kind="copy", datasets=["d-one"], outputs=["Stock"])
        yield control


@pytest.fixture
def client(account: Control) -> Iterator[Quantemplate]:
    """The API as `stp` asks it."""
    credentials = Credentials(account.client_id, account.client_secret)
    made = connected(credentials, api_url=account.api_url, token_url=account.token_url)
    with made:
        yield made


def route(*datasets: str, **more: Any) -> Route:
    """A route without files that waits for these datasets."""
    return parse_route("stock", json.dumps(IDS | {"when": {"updated": datasets}} | more))


def levels(client: Quantemplate, asked: Route) -> list[tuple[str, str]]:
    """The levels of all that was found, and the first word of each text."""
    return [(found.level, found.text.split()[0]) for found in online(client, asked)]


def test_what_is_there_and_shared_is_sound_though_it_may_be_empty(client: Quantemplate) -> None:
    assert online(client, route("d-one", "d-two", "d-empty")) == []


@pytest.mark.parametrize("how", ["not shared", "unknown"])
def test_a_dataset_that_is_not_visible_is_warned_of(
    account: Control, client: Quantemplate, how: str
) -> None:
    # Given a route that waits for two datasets, of which the API user sees one
    second = "d-two" if how == "not shared" else "d-none"
    if how == "not shared":
        account.define_dataset("d-two", shared=False)
    # When Quantemplate is asked, then the other is told, and what it means for a run
    error, warning = online(client, route("d-one", second))
    assert (error.level, warning.level) == (ERROR, WARNING)
    assert error.text.startswith("AccessDenied" if how == "not shared" else "NotFound")
    assert warning.text.startswith(f"{second} is not visible to the API user.")
    assert "a run may lack data and succeed" in warning.text
    assert {error.route, warning.route} == {"stock"}


def test_a_pipeline_that_is_not_visible_is_warned_of_and_the_datasets_are_asked_for_too(
    account: Control, client: Quantemplate
) -> None:
    account.define_dataset("d-two", shared=False)
    found = levels(client, route("d-two", pipeline_id="p-none"))
    assert found == [
        (ERROR, "NotFound:"),
        (WARNING, "p-none"),
        (ERROR, "AccessDenied:"),
        (WARNING, "d-two"),
    ]


def test_the_dataset_that_a_route_uploads_to_is_warned_of(
    account: Control, client: Quantemplate
) -> None:
    account.define_dataset("d-one", shared=False)
    uploads = parse_route("claims", json.dumps(IDS | {"dataset_id": "d-one"}))
    assert levels(client, uploads) == [(ERROR, "AccessDenied:"), (WARNING, "d-one")]


def test_trouble_that_is_not_about_sight_is_no_warning(
    account: Control, client: Quantemplate
) -> None:
    account.trouble("list_executions", "reply", status=500, times=9)
    assert levels(client, route("d-one")) == [(ERROR, "ApiUnavailable:")]

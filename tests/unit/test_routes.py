"""A key finds the route of its deepest folder."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from straight_through.errors import (
    AwsUnavailable,
    NoRoute,
    RouteInvalid,
    RouteNeedsFile,
    RouteTakesNoFile,
)
from straight_through.routes import Route, Routes, parse_route, require_fit, routable_folders
from tests.unit.conftest import made_once

PATH = "/straight-through/routes"
IDS: dict[str, Any] = {
    "organisation_id": "c-broker",
    "dataset_id": "d-claims",
    "pipeline_id": "p-claims",
}


@pytest.fixture
def ssm(aws: None) -> Any:  # noqa: ARG001
    """An empty Parameter Store."""
    return made_once("ssm")


@pytest.fixture
def add(ssm: Any) -> Callable[..., None]:
    """Add a route."""

    def add(folder: str, **changed: str) -> None:
        ssm.put_parameter(
            Name=f"{PATH}/{folder}", Type="String", Value=json.dumps(IDS | changed), Overwrite=True
        )

    return add


@pytest.mark.parametrize("many", [3, 200])
def test_a_route_is_found_with_one_call_however_many_there_are(
    ssm: Any, add: Callable[..., None], many: int
) -> None:
    # Given so many routes, two of them above the file
    add("claims")
    for number in range(many - 2):
        add(f"others/{number}")
    add("claims/eu")
    # When the file's is looked for
    calls: list[str] = []
    ssm.meta.events.register("before-call.ssm", lambda model, **_: calls.append(model.name))
    route = Routes(ssm, PATH).of("claims/eu/2026/05/may.csv")
    # Then one call has found it
    assert route.name == "claims/eu"
    assert calls == ["GetParameters"]


def test_a_burst_of_files_reads_their_route_once_in_some_seconds(
    ssm: Any, add: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given routes that are kept for some seconds, and a clock
    seconds, calls = [1000.0], []

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromtimestamp(seconds[0], tz)

    monkeypatch.setattr("straight_through.routes.datetime", Clock)
    ssm.meta.events.register("before-call.ssm", lambda model, **_: calls.append(model.name))
    routes = Routes(ssm, PATH, kept=5)
    # When there is none yet, each file asks anew: one that was added counts at once
    for _ in range(2):
        with pytest.raises(NoRoute):
            routes.of("claims/may.csv")
    add("claims")
    calls.clear()
    # And files of one folder ask once in the time
    for second in range(12):
        seconds[0] = 1000.0 + second
        assert routes.of(f"claims/{second}.csv").pipeline_id == "p-claims"
        assert routes.of(f"claims/sub/{second}.csv").name == "claims"
    assert len(calls) == 2 * 3
    # And a route that a person has mended counts at once where it is told to forget
    add("claims", pipeline_id="p-other")
    assert routes.of("claims/a.csv").pipeline_id == "p-claims"
    routes.forget()
    assert routes.of("claims/a.csv").pipeline_id == "p-other"
    # And where the clock was set back
    add("claims", pipeline_id="p-third")
    seconds[0] = 500.0
    assert routes.of("claims/a.csv").pipeline_id == "p-third"


def test_the_deepest_folder_with_a_route_wins(ssm: Any, add: Callable[..., None]) -> None:
    # Given routes at two depths
    add("claims")
    add("claims/eu", pipeline_id="p-claims-eu")
    # Then each key finds the nearest above it, whatever lies between
    for key, name, pipeline in [
        ("claims/may.csv", "claims", "p-claims"),
        ("claims/eu/may.csv", "claims/eu", "p-claims-eu"),
        ("claims/eu/2026/05/may.csv", "claims/eu", "p-claims-eu"),
        ("claims/us/may.csv", "claims", "p-claims"),
        ("claims/eu 2/may.csv", "claims", "p-claims"),
        ("claims/eu.csv", "claims", "p-claims"),
    ]:
        route = Routes(ssm, PATH).of(key)
        assert (route.name, route.pipeline_id) == (name, pipeline), key


def test_a_changed_route_counts_at_once(ssm: Any, add: Callable[..., None]) -> None:
    add("claims")
    assert Routes(ssm, PATH).of("claims/may.csv").dataset_id == "d-claims"
    add("claims", dataset_id="d-new")
    assert Routes(ssm, PATH).of("claims/may.csv").dataset_id == "d-new"


@pytest.mark.parametrize(
    "key",
    ["premiums/may.csv", "claimsX/may.csv", "Claims/may.csv", "claims.csv", "/claims/may.csv"],
)
def test_a_key_outside_of_all_routes_is_told_so(
    ssm: Any, add: Callable[..., None], key: str
) -> None:
    add("claims")
    with pytest.raises(NoRoute) as raised:
        Routes(ssm, PATH).of(key)
    assert repr(key) in str(raised.value)
    assert "folder" in str(raised.value)


@pytest.mark.parametrize(
    ("key", "shown", "cause", "meant"),
    [
        ("/claims/eu/may.csv", "'/claims/eu/may.csv'", "A slash at its start", "claims/eu/may.csv"),
        ("claims//may.csv", "'claims//may.csv'", "two in a row", ""),
        ("Claims/May.csv", "'Claims/May.csv'", "Capitals count", "claims/May.csv"),
        ("claims%2Fmay.csv", "'claims%2Fmay.csv'", "looks URL-encoded", "claims/may.csv"),
        ("claims+eu/may.csv", "'claims+eu/may.csv'", "looks URL-encoded", ""),
        ("claims /may.csv", "'claims /may.csv'", "begins or ends with a space", "claims/may.csv"),
        ("claims\\may.csv", r"'claims\may.csv'", "A backslash ends no folder", "claims/may.csv"),
        ("premiums/may.csv", "'premiums/may.csv'", "", "Premiums/may.csv"),
        ("claim\u200bs/may.csv", r"'claim\u200bs/may.csv'", "", ""),
        ("a/" * 300 + "x", "'a', 'a/a', ", "", ""),
    ],
)
def test_a_key_that_misses_its_route_is_shown_with_the_likely_cause(
    ssm: Any, add: Callable[..., None], key: str, shown: str, cause: str, meant: str
) -> None:
    # Given routes that the key nearly names
    for folder in ("claims/eu", "Premiums", *(["claims"] if "claims//" not in key else [])):
        add(folder)
    # When its route is looked for
    with pytest.raises(NoRoute) as raised:
        Routes(ssm, PATH).of(key)
    # Then it is told in quotes, with what may be the cause and what may be meant
    message = str(raised.value)
    assert shown in message
    assert cause in message
    assert (f"Did you mean '{meant}'?" in message) == bool(meant)
    assert ("Did you mean" in message) == bool(meant)
    assert len(message) < 1800


def test_the_message_names_the_parameter_that_is_missing(ssm: Any) -> None:
    with pytest.raises(NoRoute, match=f"{PATH}/claims/eu, then redrive the run"):
        Routes(ssm, PATH).of("claims/eu/may.csv")


def test_the_message_names_the_parameter_that_is_wrong(ssm: Any, add: Callable[..., None]) -> None:
    # Given a good route and, deeper, a wrong one
    add("claims")
    add("claims/eu", dataset_id="p-claims")
    # Then the wrong one is named whole, and what to do after
    with pytest.raises(RouteInvalid, match="'dataset_id' is 'p-claims'") as raised:
        Routes(ssm, PATH).of("claims/eu/may.csv")
    told = f"Mend the parameter {PATH}/claims/eu, then redrive the run."
    assert str(raised.value).endswith(told)


@pytest.mark.parametrize(
    ("key", "folders"),
    [
        ("may.csv", []),
        ("a/b/c.csv", ["a", "a/b"]),
        ("a//c.csv", ["a"]),
        ("a/ü/c/d.csv", ["a"]),
        ("a/b c/d.csv", ["a"]),
        ("a+b/c.csv", []),
        ("a/b\n/c.csv", ["a"]),
        ("/".join("abcdefghijklmn"), ["/".join("abcdefghijk"[: n + 1]) for n in range(10)]),
    ],
)
def test_the_folders_end_at_the_first_that_can_have_no_route(key: str, folders: list[str]) -> None:
    assert routable_folders(key) == folders


def test_no_more_is_asked_for_than_parameter_store_takes(ssm: Any) -> None:
    # Given a key whose deeper folders pass the length of a parameter's name
    key = f"claims/{'x' * 500}/{'y' * 500}/may.csv"
    # Then one request asks for those that can exist
    with Stubber(ssm) as stub:
        names = [f"{PATH}/claims", f"{PATH}/claims/{'x' * 500}"]
        found = [{"Name": names[0], "Value": json.dumps(IDS)}]
        stub.add_response("get_parameters", {"Parameters": found}, {"Names": names})
        assert Routes(ssm, PATH).of(key) == Route("claims", **IDS)
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        (json.dumps(IDS | {"outputs": ["may\ud800"]}), "not JSON: 'utf-8' codec can't encode"),
        ("[]", "not a JSON object"),
        ('"c-broker"', "not a JSON object"),
        (json.dumps(IDS | {"dataset_id": "p-claims"}), "'dataset_id' is 'p-claims'"),
        (json.dumps(IDS | {"dataset_id": "d-"}), "'dataset_id' is 'd-'"),
        (json.dumps(IDS | {"dataset_id": "d-a/../b"}), "'dataset_id' is"),
        (json.dumps(IDS | {"dataset_id": "d-a\n"}), "'dataset_id' is"),
        (json.dumps(IDS | {"pipeline_id": 7}), "'pipeline_id' is 7"),
        (json.dumps({"organisation_id": "c-broker"}), "'pipeline_id' is missing"),
        (json.dumps(IDS | {"pipeline": "p-x"}), "unknown field 'pipeline'"),
    ],
)
def test_a_wrong_route_is_told_by_name_field_and_what_is_expected(document: str, told: str) -> None:
    with pytest.raises(RouteInvalid) as raised:
        parse_route("claims/eu", document)
    message = str(raised.value)
    assert "'claims/eu'" in message
    assert told in message
    assert '{"organisation_id": "c-…"' in message


def test_a_route_is_found_by_its_name_as_it_is_now(ssm: Any, add: Callable[..., None]) -> None:
    add("claims/eu")
    routes = Routes(ssm, PATH)
    assert routes.named("claims/eu") == Route("claims/eu", **IDS)
    add("claims/eu", dataset_id="d-new")
    assert routes.named("claims/eu").dataset_id == "d-new"


@pytest.mark.parametrize("name", ["claims", "claims/eu/more"])
def test_a_name_without_a_route_is_told_with_its_parameter(
    ssm: Any, add: Callable[..., None], name: str
) -> None:
    # Given a route above or below that name, which does not stand for it
    add("claims/eu")
    with pytest.raises(NoRoute) as raised:
        Routes(ssm, PATH).named(name)
    told = f"There is no route '{name}': the parameter {PATH}/{name} does not exist (any more). "
    assert str(raised.value) == told + "Add it, then redrive the run."


def test_a_name_whose_route_is_wrong_is_told_with_its_parameter(
    ssm: Any, add: Callable[..., None]
) -> None:
    add("claims", pipeline_id="d-claims")
    with pytest.raises(RouteInvalid) as raised:
        Routes(ssm, PATH).named("claims")
    told = f"Mend the parameter {PATH}/claims, then redrive the run."
    assert str(raised.value).endswith(told)


def test_what_was_meant_stands_before_what_may_be_added(ssm: Any, add: Callable[..., None]) -> None:
    add("Claims/Eu")
    with pytest.raises(NoRoute) as raised:
        Routes(ssm, PATH).of("claims/eu/may.csv")
    told = str(raised.value)
    assert "Did you mean 'Claims/Eu/may.csv'? That folder has a route: drop the file again" in told
    assert f"under such a key. Or add the parameter {PATH}/claims/eu, then redrive" in told
    with pytest.raises(NoRoute, match=rf"has one\. Add the parameter {PATH}/others, then"):
        Routes(ssm, PATH).of("others/may.csv")


def test_of_the_folders_that_were_meant_the_deepest_is_told(
    ssm: Any, add: Callable[..., None]
) -> None:
    add("z")
    add("z/a")
    with pytest.raises(NoRoute, match=r"Did you mean 'z/a/may\.csv'"):
        Routes(ssm, PATH).of("Z/a/may.csv")


def test_the_longest_name_of_a_parameter_is_asked_for_and_no_longer_one(ssm: Any) -> None:
    longest = "c" * (1011 - len(PATH) - 1)
    with Stubber(ssm) as stubbed:
        found = {"Name": f"{PATH}/{longest}", "Value": json.dumps(IDS)}
        stubbed.add_response(
            "get_parameters", {"Parameters": [found]}, {"Names": [f"{PATH}/{longest}"]}
        )
        assert Routes(ssm, PATH).of(f"{longest}/x/may.csv").name == longest
        stubbed.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("dataset", "has_file", "error"),
    [
        ("d-claims", True, None),
        (None, False, None),
        (None, True, RouteTakesNoFile),
        ("d-claims", False, RouteNeedsFile),
    ],
)
def test_a_route_uploads_a_file_or_runs_without_one(
    dataset: str | None, *, has_file: bool, error: type[Exception] | None
) -> None:
    route = Route("claims", "c-broker", dataset, "p-claims")
    with pytest.raises(error, match="'claims'") if error else nullcontext():
        require_fit(route, has_file=has_file)


def test_a_parameter_store_that_does_not_answer_is_told_by_its_name(ssm: Any) -> None:
    with Stubber(ssm) as stubbed:
        stubbed.add_client_error("get_parameters", "InternalServerError", http_status_code=500)
        with pytest.raises(AwsUnavailable, match="Systems Manager"):
            Routes(ssm, PATH).named("claims")


def test_a_route_is_its_own_queue_and_holds_no_list() -> None:
    many = IDS | {"outputs": ["a", "b"], "hold_if_rows": ["a"]}
    route = parse_route("claims", json.dumps(many))
    assert (route.queue, route.outputs, route.hold_if_rows) == ("p-claims", ("a", "b"), ("a",))
    assert parse_route("claims", json.dumps(many | {"queue": "q"})).queue == "q"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("destinations", [f"s3://lake/{key}"]) for key in ("{stem.csv", "stem}.csv", "{x}.csv")),
        *(("then", [{"route": route, "output": "*"}]) for route in (7, "", None, "a/")),
        ("then", [{"route": "central", "output": 7}]),
        *(("pipeline_id", wrong) for wrong in ("d-claims", "p-", "p-a b", "xp-claims", 7)),
    ],
)
def test_what_a_route_may_not_say_is_told_with_its_field(field: str, value: Any) -> None:
    with pytest.raises(RouteInvalid, match=f"'{field}'"):
        parse_route("claims", json.dumps(IDS | {field: value}))

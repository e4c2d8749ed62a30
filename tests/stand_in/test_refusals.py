"""What a real server would refuse."""

from typing import Any

import pytest

from local.quantemplate import Control
from tests.stand_in.client import Client

NOT_FOUND = {"executionId": {"value": ""}, "outputId": {"value": ""}}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/datasets/d-claims", "POST"),
        ("DELETE", "/pipelines/p-claims/executions", "GET"),
        ("POST", "/pipelines/p-claims/executions/e-1/outputs/o-1", "GET"),
    ],
)
def test_a_wrong_method_is_refused(client: Client, method: Any, path: Any, allowed: Any) -> None:
    reply = client.call(method, path)
    assert reply.status_code == 405
    assert allowed in reply.headers["Allow"]


def test_getting_a_token_by_get_is_refused(client: Client, stand_in: Control) -> None:
    assert client.session.get(stand_in.token_url, timeout=60).status_code == 405


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/datasets/d-none"),
        ("GET", "/datasets/d-none"),
        ("POST", "/pipelines/p-none/executions"),
        ("GET", "/pipelines/p-none/executions"),
    ],
)
def test_an_unknown_id_is_not_found_with_the_body_that_fits_no_call(
    client: Client, method: Any, path: Any
) -> None:
    reply = client.call(method, path, data=b"x" if "datasets" in path else None)
    assert (reply.status_code, reply.json()) == (404, NOT_FOUND)


def test_an_unknown_run_or_output_is_named_in_the_body(client: Client) -> None:
    client.upload()
    client.execute()
    run = client.finished()
    for execution in ("e-none", run["id"]):
        reply = client.call("GET", f"/pipelines/p-claims/executions/{execution}/outputs/o-none")
        assert reply.status_code == 404
        assert reply.json() == {
            "executionId": {"value": execution},
            "outputId": {"value": "o-none"},
        }


def test_an_output_is_not_found_under_another_pipeline(client: Client) -> None:
    client.upload()
    client.execute()
    run = client.finished()
    path = f"/executions/{run['id']}/outputs/{run['outputs'][0]['id']}"
    assert client.call("GET", f"/pipelines/p-premiums{path}").status_code == 404


def test_another_organisation_is_forbidden_in_plain_text(client: Client, stand_in: Control) -> None:
    path = f"{stand_in.api_url}/organisations/c-other/datasets/d-claims"
    reply = client.session.get(path, timeout=60)
    assert reply.status_code == 403
    assert reply.headers["Content-Type"].startswith("text/plain")


def test_a_pipeline_that_is_not_shared_is_forbidden(client: Client, stand_in: Control) -> None:
    stand_in.define_pipeline("p-own", datasets=["d-claims"], shared=False)
    assert client.execute("p-own").status_code == 403


def test_execute_with_a_body_is_refused_and_makes_no_run(client: Client) -> None:
    assert client.execute(json={"datasetVersion": 1}).status_code == 400
    assert client.list().json() == []


def test_a_path_outside_the_api_is_not_found(client: Client, stand_in: Control) -> None:
    reply = client.session.get(f"{stand_in.url}/external/v2/anything", timeout=60)
    assert reply.status_code == 404


def test_every_refusal_is_in_the_journal(client: Client, stand_in: Control) -> None:
    client.call("PUT", "/datasets/d-claims")
    (refused,) = stand_in.journal("refused")
    assert (refused["method"], refused["status"]) == ("PUT", 405)


def test_a_refused_upload_leaves_the_connection_usable(client: Client) -> None:
    assert client.upload(b"x" * 5_000_000, dataset="d-none").status_code == 404
    assert client.list().status_code == 200


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        ({"operation": "nothing", "kind": "drop"}, "operation is none of"),
        ({"operation": "token", "kind": "nothing"}, "kind is none of"),
        ({"operation": "token", "kind": "run"}, "run goes with execute_pipeline"),
        ({"operation": "token", "kind": "drop", "when": "later"}, "before or after"),
        ({"operation": "token", "kind": "drop", "tmies": 2}, "unknown fields tmies"),
        ({"operation": "execute_pipeline", "kind": "run", "run": {"x": 1}}, "unknown fields x"),
    ],
)
def test_an_order_that_could_never_take_effect_is_refused(
    stand_in: Control, order: Any, problem: Any
) -> None:
    with pytest.raises(ValueError, match=problem):
        stand_in.trouble(**order)

"""The token endpoint, and what a token is good for."""

from typing import Any

import pytest

from local.quantemplate import Control
from tests.stand_in.client import Client


def test_the_right_credentials_give_a_token_that_opens_the_api(stranger: Client) -> None:
    # When
    reply = stranger.token()
    # Then
    assert reply.status_code == 200
    assert reply.headers["Cache-Control"] == "no-store"
    content = reply.json()
    assert content["expires_in"] == 300
    assert content["token_type"] == "Bearer"
    assert content["refresh_token"]
    header = {"Authorization": f"Bearer {content['access_token']}"}
    assert stranger.list(headers=header).json() == []


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": None}, 400, "invalid_request"),
    ],
)
def test_a_wrong_token_request_is_refused_as_keycloak_does(
    stranger: Client, changed: Any, status: Any, error: Any
) -> None:
    reply = stranger.token(**changed)
    assert (reply.status_code, reply.json()["error"]) == (status, error)


def test_credentials_that_are_not_a_form_are_refused(stranger: Client, stand_in: Control) -> None:
    reply = stranger.session.post(stand_in.token_url, json={"client_id": "x"}, timeout=60)
    assert reply.status_code == 415


@pytest.mark.parametrize("header", [None, "Bearer made-up", "Basic made-up"])
def test_a_call_without_a_good_token_is_refused_in_plain_text(
    stranger: Client, header: Any
) -> None:
    reply = stranger.list(headers={"Authorization": header} if header else None)
    assert reply.status_code == 401
    assert reply.headers["Content-Type"].startswith("text/plain")


def test_a_token_expires_after_its_seconds(stranger: Client, stand_in: Control) -> None:
    # Given
    stand_in.settings(token_seconds=0)
    # When
    stranger.sign_in()
    # Then
    assert stranger.list().status_code == 401
    assert stand_in.journal("refused")[-1]["reason"] == "the token has expired"


def test_only_the_next_token_is_short_lived_when_trouble_says_so(
    stranger: Client, stand_in: Control
) -> None:
    stand_in.trouble("token", "token_life", seconds=7)
    assert [stranger.token().json()["expires_in"] for _ in range(2)] == [7, 300]


def test_tokens_expired_on_order_are_refused_and_new_ones_are_good(
    client: Client, stand_in: Control
) -> None:
    stand_in.expire_tokens()
    assert client.list().status_code == 401
    assert client.sign_in().list().status_code == 200


def test_after_rotation_only_the_new_secret_gives_a_token_and_old_tokens_stay(
    client: Client, stand_in: Control
) -> None:
    # Given
    old = stand_in.client_secret
    # When
    stand_in.rotate_credentials("another-secret")
    # Then
    assert client.token(client_secret=old).status_code == 401
    assert client.token(client_secret="another-secret").status_code == 200
    assert client.list().status_code == 200


def test_the_journal_holds_no_token_and_no_secret(client: Client, stand_in: Control) -> None:
    token = str(client.session.headers["Authorization"]).split()[1]
    text = str(stand_in.journal())
    assert token not in text
    assert stand_in.client_secret not in text

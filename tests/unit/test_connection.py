"""The credentials come from the secret, are kept for minutes, and are never shown."""

import traceback
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.stub import Stubber

from quantemplate.client import Credentials
from straight_through.errors import AwsDenied, CredentialsMissing
from straight_through.executing import connection
from straight_through.executing.connection import Access, Connection, read_credentials
from tests.unit.conftest import made_once
from tests.unit.wire import Reply, Wire, token_reply

VALUE = '{"client_id": "straight-through", "client_secret": "s3cr3t"}'


@pytest.fixture
def secrets(aws: None) -> Any:  # noqa: ARG001
    """Secrets Manager with the secret as the template makes it: without a value."""
    secrets = made_once("secretsmanager")
    secrets.create_secret(Name="credentials")
    return secrets


@pytest.fixture
def opened(
    secrets: Any, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> tuple[Connection, SimpleNamespace]:
    """A connection to the wire, and its clock."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(connection, "time", clock)
    access = Access("credentials", wire.api_url, wire.token_url)
    return Connection(secrets, access), clock


def put(secrets: Any, value: str) -> None:
    """Put the secret's value."""
    secrets.put_secret_value(SecretId="credentials", SecretString=value)


def test_the_secrets_value_is_read(secrets: Any) -> None:
    put(secrets, VALUE)
    assert read_credentials(secrets, "credentials") == Credentials("straight-through", "s3cr3t")


def test_a_secret_without_a_value_tells_what_to_put_there(secrets: Any) -> None:
    told = r"The secret credentials has no value.*client_secret.*redrive"
    with pytest.raises(CredentialsMissing, match=told) as raised:
        read_credentials(secrets, "credentials")
    # And that it was a token for which it was needed
    assert raised.value.call == "token"


def test_a_secret_that_is_marked_for_deletion_tells_to_restore_it(secrets: Any) -> None:
    # Given a secret with a value that somebody has deleted
    put(secrets, VALUE)
    secrets.delete_secret(SecretId="credentials")
    # Then the message says what to do, in its order
    told = r"is marked for deletion\. Restore it.*Put Quantemplate's.*redrive"
    with pytest.raises(CredentialsMissing, match=told) as raised:
        read_credentials(secrets, "credentials")
    assert "s3cr3t" not in "".join(traceback.format_exception(raised.value))
    # And restored, it is as before
    secrets.restore_secret(SecretId="credentials")
    assert read_credentials(secrets, "credentials").client_secret == "s3cr3t"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("s3cr3t", "is of another shape"),
        ('{"client_id": "straight-through", "client_secret": "s3cr3t"', "is of another shape"),
        ('["straight-through", "s3cr3t"]', "is of another shape"),
        ('"s3cr3t"', "is of another shape"),
        ("null", "is of another shape"),
        ('{"client_id": "straight-through", "secret": "s3cr3t"}', "is of another shape"),
        ('{"client_id": "", "client_secret": "s3cr3t"}', "has an empty field or one that"),
        ('{"client_id": ["s3cr3t"], "client_secret": "s3cr3t"}', "has an empty field or one that"),
        ('{"client_id": null, "client_secret": "s3cr3t"}', "has an empty field or one that"),
    ],
)
def test_a_malformed_secret_is_told_without_its_value(secrets: Any, value: str, told: str) -> None:
    put(secrets, value)
    with pytest.raises(CredentialsMissing, match=f"The secret credentials {told}") as raised:
        read_credentials(secrets, "credentials")
    assert "s3cr3t" not in "".join(traceback.format_exception(raised.value))


def test_a_secret_in_bytes_is_of_another_shape(secrets: Any) -> None:
    secrets.put_secret_value(SecretId="credentials", SecretBinary=VALUE.encode())
    with pytest.raises(CredentialsMissing, match="another shape"):
        read_credentials(secrets, "credentials")


def test_a_secrets_manager_that_denies_is_told_by_its_name(secrets: Any) -> None:
    with Stubber(secrets) as stubbed:
        stubbed.add_client_error("get_secret_value", "AccessDeniedException", http_status_code=400)
        with pytest.raises(AwsDenied, match="Secrets Manager"):
            read_credentials(secrets, "credentials")


def test_nothing_is_read_before_it_is_needed(secrets: Any) -> None:
    Connection(secrets, Access("credentials", "", ""))  # without a value, and raises nothing


def test_the_client_is_kept_for_five_minutes_and_longer_while_nothing_changes(
    secrets: Any, opened: tuple[Connection, SimpleNamespace]
) -> None:
    connected, clock = opened
    put(secrets, VALUE)
    first = connected.open()
    clock.now = 1301.0
    assert connected.open() is first


def test_a_changed_secret_is_taken_after_five_minutes_without_being_rejected(
    secrets: Any, opened: tuple[Connection, SimpleNamespace]
) -> None:
    # Given a client with the secret of now
    connected, clock = opened
    put(secrets, VALUE)
    first = connected.open()
    # When the secret changes
    put(secrets, VALUE.replace("s3cr3t", "n3w"))
    # Then the old one serves for five minutes and not longer
    clock.now = 1299.0
    assert connected.open() is first
    clock.now = 1301.0
    assert connected.open().credentials.client_secret == "n3w"
    assert connected.open() is connected.open()


def test_a_changed_secret_is_taken_at_once_when_the_old_one_is_rejected(
    secrets: Any, opened: tuple[Connection, SimpleNamespace], wire: Wire
) -> None:
    # Given a client whose secret was changed in Quantemplate and here
    connected, _ = opened
    put(secrets, VALUE)
    client = connected.open()
    put(secrets, VALUE.replace("s3cr3t", "n3w"))
    wire.answer("POST", "/token", Reply(401), token_reply("token-2"))
    # When it asks for a token
    client.authenticate()
    # Then it has the new one, and goes on being the client
    assert [r.body.decode().rpartition("=")[2] for r in wire.requests] == ["s3cr3t", "n3w"]
    assert connected.open() is client


def test_a_secret_that_is_put_later_is_found(
    secrets: Any, opened: tuple[Connection, SimpleNamespace]
) -> None:
    connected, _ = opened
    with pytest.raises(CredentialsMissing):
        connected.open()
    put(secrets, VALUE)
    assert connected.open().credentials.client_id == "straight-through"

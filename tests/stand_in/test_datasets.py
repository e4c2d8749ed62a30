"""Uploading and downloading datasets."""

import hashlib
import os
import socket
from typing import Any

import pytest

from local.quantemplate import Control
from tests.stand_in.client import Client, eventually


def chunks(content: Any, size: Any = 1000) -> Any:
    yield from (content[at : at + size] for at in range(0, len(content), size))


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_bytes_come_back_as_they_were_uploaded(
    client: Client, stand_in: Control, framing: Any
) -> None:
    # Given
    content = os.urandom(3_000_001)
    # When
    reply = client.upload(content if framing == "length" else chunks(content))
    # Then
    assert reply.status_code == 200
    assert client.call("GET", "/datasets/d-claims").content == content
    (finished,) = stand_in.journal("upload_finished")
    assert finished["sha256"] == hashlib.sha256(content).hexdigest()
    assert (finished["bytes"], finished["version"]) == (3_000_001, 1)


def test_an_upload_overwrites_and_earlier_versions_stay_readable(client: Client) -> None:
    client.upload(b"one")
    client.upload(b"two")
    reply = client.call("GET", "/datasets/d-claims")
    assert reply.content == b"two"
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert client.call("GET", "/datasets/d-claims?version=1").content == b"one"


def test_an_unknown_version_is_not_found(client: Client) -> None:
    client.upload(b"one")
    assert client.call("GET", "/datasets/d-claims?version=2").status_code == 404


def test_a_dataset_without_data_has_no_content(client: Client) -> None:
    assert client.call("GET", "/datasets/d-claims").status_code == 204


@pytest.mark.parametrize("more", [{"data": b""}, {"data": iter(())}, {"files": {"f": b"x"}}])
def test_empty_and_multipart_bodies_are_refused_and_change_nothing(
    client: Client, stand_in: Control, more: Any
) -> None:
    reply = client.call("POST", "/datasets/d-claims", **more)
    assert reply.status_code == 400
    assert stand_in.datasets()["d-claims"]["versions"] == []


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 100\r\n\r\nhalf",
        b"Transfer-Encoding: chunked\r\n\r\n64\r\nhalf",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
)
def test_an_upload_that_breaks_off_changes_nothing(
    client: Client, stand_in: Control, body: Any
) -> None:
    # Given
    token = str(client.session.headers["Authorization"]).encode()
    port = int(stand_in.url.rsplit(":", 1)[1])
    path = b"/external/v1/organisations/c-broker/datasets/d-claims"
    head = b"POST " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: " + token + b"\r\n"
    # When
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head + body)
    # Then
    (aborted,) = eventually(lambda: stand_in.journal("upload_aborted"))
    assert aborted["upload"] == stand_in.journal("upload_started")[0]["upload"]
    assert stand_in.datasets()["d-claims"]["versions"] == []


def test_a_dataset_that_is_not_shared_is_forbidden_in_plain_text(
    client: Client, stand_in: Control
) -> None:
    stand_in.define_dataset("d-claims", shared=False)
    reply = client.upload()
    assert reply.status_code == 403
    assert reply.headers["Content-Type"].startswith("text/plain")

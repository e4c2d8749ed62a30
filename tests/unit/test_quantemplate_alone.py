"""The client by itself, as a notebook has it: what it raises, and how it is closed."""

import pytest

from quantemplate import __version__, errors
from quantemplate.client import Credentials, Quantemplate
from tests.unit.wire import DATASET, EXECUTIONS, TOKEN_PATH, Reply, Wire, json_reply

ORG, PIPELINE = "c-broker", "p-claims"
PAGE = {"Content-Type": "text/html"}
SLOW = {"Retry-After": "7"}
OURS = ("redrive", "route", "stack", "the secret", "state machine", "drop ")


@pytest.fixture
def alone(wire: Wire) -> Quantemplate:
    """A client of that server whose errors nobody changes."""
    credentials = Credentials("a-notebook", "s3cr3t")
    return Quantemplate(credentials, api_url=wire.api_url, token_url=wire.token_url)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, errors.Throttled),
        (503, errors.Unavailable),
        (409, errors.Conflict),
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (422, errors.Refused),
    ],
)
def test_an_error_has_what_was_answered_and_no_advice(
    alone: Quantemplate, wire: Wire, status: int, error: type[errors.QuantemplateError]
) -> None:
    # Given a server that does not do what it is asked for
    wire.answer("POST", DATASET, Reply(status, b"not now", SLOW))
    # When it is asked
    with pytest.raises(errors.QuantemplateError) as raised:
        alone.upload_dataset(ORG, "d-claims", b"id\n1\n")
    # Then the error has its answer, and nothing of what only the stack knows
    met = raised.value
    assert (type(met), met.call, met.status) == (error, "upload_dataset", status)
    assert (met.said, met.page, met.retry_after) == ("not now", False, 7)
    assert not [word for word in OURS if word in str(met)]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(401), errors.Unauthorized),
        (Reply(403, b"<html>Blocked</html>", PAGE), errors.Forbidden),
        (json_reply({"error": "access_denied"}, 403), errors.Forbidden),
        (json_reply({"error": "Realm does not exist"}, 404), errors.NotFound),
        (Reply(404, b"<html>nginx</html>", PAGE), errors.NotFound),
        (json_reply({"error": "invalid_scope"}, 400), errors.Refused),
        (json_reply({"error": "temporarily_unavailable"}, 400), errors.Unavailable),
    ],
)
def test_a_token_servers_no_is_one_too(
    alone: Quantemplate, wire: Wire, reply: Reply, error: type[errors.QuantemplateError]
) -> None:
    wire.answer("POST", TOKEN_PATH, reply)
    with pytest.raises(errors.QuantemplateError) as raised:
        alone.list_executions(ORG, PIPELINE)
    met = raised.value
    assert (type(met), met.call, met.status) == (error, "token", reply.status)
    assert met.page == (reply.headers == PAGE)
    assert not [word for word in OURS if word in str(met)]
    assert not getattr(met, "sent", False)


def test_every_request_names_the_client_and_its_version(alone: Quantemplate, wire: Wire) -> None:
    wire.answer("GET", EXECUTIONS, json_reply([]))
    alone.list_executions(ORG, PIPELINE)
    named = {request.headers["User-Agent"] for request in wire.requests}
    assert (len(wire.requests), named) == (2, {f"straight-through/{__version__}"})


def test_a_client_that_is_left_has_closed_its_connections(
    alone: Quantemplate, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a client within `with` that has made a call
    wire.answer("GET", EXECUTIONS, json_reply([]))
    closed: list[bool] = []
    with alone as client:
        client.list_executions(ORG, PIPELINE)
        for adapter in client._session.adapters.values():
            monkeypatch.setattr(adapter, "close", lambda: closed.append(True))
    # Then at its end they are closed
    assert closed == [True, True]


def test_whoever_wants_other_errors_gets_them(wire: Wire) -> None:
    # Given a client that is told what to raise
    told = Quantemplate(
        Credentials("a-notebook", "s3cr3t"),
        api_url=wire.api_url,
        token_url=wire.token_url,
        raised=lambda error: LookupError(f"{error.call}: {error.status}"),
    )
    wire.answer("GET", EXECUTIONS, Reply(404))
    # Then that is raised, once
    with pytest.raises(LookupError, match=r"^list_executions: 404$"):
        told.list_executions(ORG, PIPELINE)

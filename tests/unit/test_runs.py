"""One attempt executes the pipeline once, or says that it cannot tell."""

import pytest

from straight_through.errors import ApiThrottled, ApiUnavailable, ExecuteUncertain, NotFound
from straight_through.quantemplate import Credentials, Quantemplate
from straight_through.routes import Route
from straight_through.runs import upload_and_execute
from tests.unit.conftest import ROUTE
from tests.unit.wire import DATASET, EXECUTIONS, TOKEN_PATH, Reply, Wire, json_reply, token_reply

CLAIMS = Route("claims", **ROUTE)
FILE = b"id,paid\nC-1,1.00\n"


def runs(*numbers: int) -> Reply:
    """A list of executions with these run numbers, in this order."""
    return json_reply([{"id": f"e-{n}", "runNumber": n, "status": "Started"} for n in numbers])


@pytest.fixture(autouse=True)
def _uploads_work(wire: Wire) -> None:
    """The dataset takes every file."""
    wire.answer("POST", DATASET, Reply(200))


def test_the_file_goes_up_before_the_pipeline_is_executed_once(
    client: Quantemplate, wire: Wire
) -> None:
    wire.answer("GET", EXECUTIONS, runs(6))
    wire.answer("POST", EXECUTIONS, json_reply({"id": "e-7", "runNumber": 7, "status": "Started"}))
    assert upload_and_execute(client, CLAIMS, FILE).id == "e-7"
    assert [(r.method, r.path) for r in wire.requests] == [
        ("POST", TOKEN_PATH),
        ("GET", EXECUTIONS),
        ("POST", DATASET),
        ("POST", EXECUTIONS),
    ]


@pytest.mark.parametrize(
    "lost",
    [
        Reply(hang_up=True),
        Reply(503),
        Reply(200, b"<html>"),
        Reply(200, b"{", missing=9),
        Reply(204),
    ],
)
@pytest.mark.parametrize(
    ("before", "after", "adopted"),
    [(runs(), runs(1), 1), (runs(6, 4, 5), runs(5, 7, 6, 4), 7), (Reply(204), runs(3), 3)],
)
def test_the_run_whose_reply_was_lost_is_adopted(
    client: Quantemplate, wire: Wire, lost: Reply, before: Reply, after: Reply, adopted: int
) -> None:
    # Given a pipeline whose Execute makes a run and whose reply is lost
    wire.answer("GET", EXECUTIONS, before, after)
    wire.answer("POST", EXECUTIONS, lost)
    # When a file is uploaded and executed
    execution = upload_and_execute(client, CLAIMS, FILE)
    # Then the run is the new one, and Execute was not repeated
    assert execution.run_number == adopted
    assert len(wire.calls("POST", EXECUTIONS)) == 1


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (runs(6), "no newer run"),
        (runs(5), "no newer run"),
        (runs(6, 7, 8), "2 newer runs"),
        (Reply(503), "no list either"),
        (Reply(429), "no list either"),
        (Reply(hang_up=True), "no list either"),
        (Reply(403), "no list either"),
        (Reply(401), "no list either"),
        (Reply(200, b"<html>"), "no list either"),
    ],
)
def test_what_cannot_be_told_is_left_to_a_person(
    client: Quantemplate, wire: Wire, after: Reply, told: str
) -> None:
    # Given a lost reply to Execute and a list that does not tell what became of it
    wire.answer("GET", EXECUTIONS, runs(6), after)
    wire.answer("POST", EXECUTIONS, Reply(503))
    # Then the error says so, and Execute was not repeated
    with pytest.raises(ExecuteUncertain, match=told) as raised:
        upload_and_execute(client, CLAIMS, FILE)
    assert "After run 6 of pipeline p-claims" in str(raised.value)
    assert "Look at the pipeline's runs" in str(raised.value)
    assert len(wire.calls("POST", EXECUTIONS)) == 1


def test_no_token_after_the_upload_is_no_uncertainty(client: Quantemplate, wire: Wire) -> None:
    # Given a token that is rejected at Execute, and no other to be had
    wire.answer("POST", TOKEN_PATH, token_reply("token-1"), Reply(503))
    wire.answer("GET", EXECUTIONS, runs(6))
    wire.answer("POST", EXECUTIONS, Reply(401))
    # Then the whole attempt may be repeated
    with pytest.raises(ApiUnavailable, match="Authentication"):
        upload_and_execute(client, CLAIMS, FILE)
    assert len(wire.calls("GET", EXECUTIONS)) == 1


def test_a_refused_connection_adopts_nothing(nobody: str, wire: Wire) -> None:
    # Given an API that goes away just before Execute, while somebody else starts a run
    class Leaving(Quantemplate):
        def upload_dataset(self, *_args: object) -> None:
            self._api_url = nobody

    wire.answer("GET", EXECUTIONS, runs(6), runs(7))
    client = Leaving(Credentials("i", "s"), api_url=wire.api_url, token_url=wire.token_url)
    # Then nothing was executed, and nothing is adopted
    with pytest.raises(ApiUnavailable, match="no answer"):
        upload_and_execute(client, CLAIMS, FILE)
    assert len(wire.calls("GET", EXECUTIONS)) == 1


@pytest.mark.parametrize(("status", "error"), [(429, ApiThrottled), (404, NotFound)])
def test_an_execute_that_was_refused_adopts_nothing(
    client: Quantemplate, wire: Wire, status: int, error: type[Exception]
) -> None:
    wire.answer("GET", EXECUTIONS, runs(6), runs(7))
    wire.answer("POST", EXECUTIONS, Reply(status))
    with pytest.raises(error):
        upload_and_execute(client, CLAIMS, FILE)
    assert len(wire.calls("GET", EXECUTIONS)) == 1


@pytest.mark.parametrize("failing", [("GET", EXECUTIONS), ("POST", DATASET)])
def test_nothing_is_executed_when_an_earlier_call_fails(
    client: Quantemplate, wire: Wire, failing: tuple[str, str]
) -> None:
    wire.answer("GET", EXECUTIONS, runs(6))
    wire.answer(*failing, Reply(503))
    with pytest.raises(ApiUnavailable):
        upload_and_execute(client, CLAIMS, FILE)
    assert not wire.calls("POST", EXECUTIONS)

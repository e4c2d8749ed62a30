"""The events that the stand-in sends to whoever has subscribed."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from local.quantemplate import Control
from tests.stand_in.client import Client, eventually


class Door(ThreadingHTTPServer):
    """A subscriber: it keeps what is posted, and answers when and as it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Posted)
        self.came: list[tuple[str, dict[str, Any]]] = []
        self.status = 200
        self.open = threading.Event()
        self.open.set()

    @property
    def url(self) -> str:
        """Its address, with a key."""
        return f"http://127.0.0.1:{self.server_port}/events/a-secret-key"

    def events(self, count: int) -> list[dict[str, Any]]:
        """The events that came, once there are so many."""
        eventually(lambda: len(self.came) >= count)
        return [event for _, event in self.came]


class Posted(BaseHTTPRequestHandler):
    """One request to the door."""

    server: Door

    def do_POST(self) -> None:
        """Take an event."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json"
        self.server.came.append((self.path, json.loads(body)))
        self.server.open.wait(60)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    thread = threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield door
    door.open.set()
    door.shutdown()
    thread.join()
    door.server_close()


def deliveries(stand_in: Control, count: int) -> list[dict[str, Any]]:
    """How the newest deliveries went, once there are so many."""

    def looked() -> Any:
        found = stand_in.events()["deliveries"]
        return found if len(found) >= count else None

    return list(eventually(looked))


def ids(events: list[dict[str, Any]]) -> list[str]:
    """Their ids, in the order in which they came."""
    return [event["eventId"] for event in events]


@pytest.mark.parametrize(
    ("envelope", "id_name", "name_name"),
    [("long", "eventId", "eventName"), ("short", "id", "name")],
)
def test_an_execution_that_ends_is_told_in_either_envelope(
    client: Client, stand_in: Control, door: Door, envelope: str, id_name: str, name_name: str
) -> None:
    # Given a subscription
    client.upload()
    stand_in.events(url=door.url, envelope=envelope)
    # When an execution ends
    run = client.execute().json()
    (event,) = door.events(1)
    # Then the subscriber is told
    assert event.keys() == {id_name, name_name, "created", "payload"}
    assert event[name_name] == "PipelineCompleted"
    assert event[id_name]
    assert event["payload"] == {
        "pipelineId": "p-claims",
        "pipelineExecutionId": run["id"],
        "status": "Succeeded",
    }
    assert door.came[0][0] == "/events/a-secret-key"


def test_a_run_that_does_not_succeed_is_told_too(stand_in: Control, door: Door) -> None:
    stand_in.events(url=door.url)
    run = stand_in.run("p-claims", never_ends=True)
    stand_in.cancel(run["id"], end_status="Canceled")
    assert door.events(1)[0]["payload"]["status"] == "Canceled"


def test_an_upload_is_told(client: Client, stand_in: Control, door: Door) -> None:
    stand_in.events(url=door.url)
    client.upload()
    (event,) = door.events(1)
    assert (event["eventName"], event["payload"]) == ("DatasetUpdated", {"datasetId": "d-claims"})


@pytest.mark.parametrize("content", [None, "Claim Ref\nC9\n"])
def test_an_update_by_somebody_else_is_told(
    client: Client, stand_in: Control, door: Door, content: str | None
) -> None:
    # Given a dataset that others keep
    stand_in.define_dataset("d-stock")
    stand_in.update_dataset("d-stock", "Claim Ref\nC1\n")
    stand_in.events(url=door.url)
    # When they update it
    stand_in.update_dataset("d-stock", content)
    # Then that is told, and the dataset holds what they have put there
    assert door.events(1)[0]["payload"] == {"datasetId": "d-stock"}
    held = client.call("GET", "/datasets/d-stock").text
    assert held == (content or "Claim Ref\nC1\n")


def test_there_is_none_of_what_is_not_shared_with_all(
    client: Client, stand_in: Control, door: Door
) -> None:
    # Given a pipeline and a dataset that some only see
    stand_in.define_dataset("d-claims", shared_with_all=False)
    stand_in.share_pipeline("p-claims", shared_with_all=False)
    stand_in.events(url=door.url)
    # When they are used, and then some that all see
    client.upload()
    client.execute()
    client.finished()
    client.upload(dataset="d-premiums")
    # Then these alone are told
    assert [event["payload"] for event in door.events(1)] == [{"datasetId": "d-premiums"}]
    assert len(deliveries(stand_in, 1)) == 1


def test_sharing_with_the_api_user_is_another_matter(stand_in: Control) -> None:
    stand_in.define_dataset("d-claims", shared_with_all=False)
    stand_in.define_dataset("d-claims", shared=False)
    found = stand_in.datasets()["d-claims"]
    assert (found["shared"], found["shared_with_all"]) == (False, False)


def test_nobody_is_told_without_a_subscription(client: Client, stand_in: Control) -> None:
    client.upload()
    assert stand_in.events()["url"] == ""
    assert not stand_in.journal("event_sent")
    with pytest.raises(ValueError, match="nobody has subscribed"):
        stand_in.send_event("DatasetUpdated", datasetId="d-claims")


def test_a_subscriber_who_does_not_answer_holds_nothing_up(
    client: Client, stand_in: Control, door: Door
) -> None:
    # Given one who takes an event and answers none
    door.open.clear()
    stand_in.events(url=door.url)
    # When many things happen
    for _ in range(12):
        assert client.upload().status_code == 200
    client.execute()
    # Then all else goes on, and a run comes to its end
    assert client.finished()["status"] == "Succeeded"
    # and what could not be told is told once he answers
    assert stand_in.events()["counts"]["taken"] == 0
    door.open.set()
    assert len(door.events(13)) == 13


@pytest.mark.parametrize("status", [301, 403, 404, 429, 500])
def test_what_a_subscriber_refuses_is_shown_and_not_sent_again(
    stand_in: Control, door: Door, status: int
) -> None:
    door.status = status
    stand_in.events(url=door.url)
    stand_in.update_dataset("d-claims")
    (failed,) = deliveries(stand_in, 1)
    assert (failed["became"], failed["status"]) == ("failed", status)
    # When something else is told
    door.status = 204
    stand_in.update_dataset("d-premiums")
    # Then only that comes
    assert [each["became"] for each in deliveries(stand_in, 2)] == ["failed", "taken"]
    assert len(door.came) == 2


def test_a_subscriber_who_is_not_there_is_shown_without_his_address(stand_in: Control) -> None:
    # Given an address that nobody listens at any more
    door = Door()
    url = door.url
    door.server_close()
    stand_in.events(url=url)
    # When something is told
    stand_in.update_dataset("d-claims")
    # Then it is shown that it failed, and the key is in no entry
    (failed,) = deliveries(stand_in, 1)
    assert (failed["became"], failed["error"]) == ("failed", "ConnectionError")
    assert "a-secret-key" not in json.dumps(stand_in.journal())


def test_events_come_twice_with_the_same_id(stand_in: Control, door: Door) -> None:
    stand_in.events(url=door.url, twice=1)
    stand_in.update_dataset("d-claims")
    first, second = door.events(2)
    assert first == second


def test_events_get_lost(stand_in: Control, door: Door) -> None:
    stand_in.events(url=door.url, lost=1)
    stand_in.update_dataset("d-claims")
    stand_in.events(lost=0)
    stand_in.update_dataset("d-premiums")
    assert [event["payload"]["datasetId"] for event in door.events(1)] == ["d-premiums"]
    assert [each["became"] for each in deliveries(stand_in, 2)] == ["lost", "taken"]


def test_a_share_of_the_events_gets_lost(stand_in: Control, door: Door) -> None:
    stand_in.events(url=door.url, lost=0.5)
    for _ in range(100):
        stand_in.update_dataset("d-claims")

    def all_told() -> Any:
        counts = stand_in.events()["counts"]
        return counts["taken"] + counts["lost"] == 100 and counts

    found = eventually(all_told)
    assert 10 < found["lost"] < 90
    assert len(door.came) == found["taken"]
    # and the setting is told beside the count
    assert stand_in.events()["lost"] == 0.5


def test_events_come_late_and_out_of_order(stand_in: Control, door: Door) -> None:
    # Given events that come after between one and three tenths of a second
    stand_in.events(url=door.url, late=0.1, scattered=0.2)
    # When many are told
    for number in range(20):
        stand_in.send_event("DatasetUpdated", datasetId=f"d-{number}")
    waiting = stand_in.events()["counts"]["waiting"]
    told = [event["payload"]["datasetId"] for event in door.events(20)]
    # Then all come, later, and in another order
    assert waiting
    assert sorted(told) == sorted(f"d-{number}" for number in range(20))
    assert told != [f"d-{number}" for number in range(20)]


def test_events_of_others_come_between(client: Client, stand_in: Control, door: Door) -> None:
    # Given that with each event comes one about a stranger's run
    client.upload()
    stand_in.events(url=door.url, strangers=1)
    # When a run ends
    run = client.execute().json()
    told = door.events(2)
    # Then two are told, and one is of a run that nobody here knows
    executions = [event["payload"]["pipelineExecutionId"] for event in told]
    assert executions.count(run["id"]) == 1
    assert len(set(ids(told))) == 2


def test_any_event_can_be_sent(stand_in: Control, door: Door) -> None:
    stand_in.events(url=door.url)
    stand_in.send_event("FeedUpdated", feedId="f-1")
    (event,) = door.events(1)
    assert (event["eventName"], event["payload"]) == ("FeedUpdated", {"feedId": "f-1"})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"url": "http://example.com/"}, "no address on this machine"),
        ({"url": "http://127.0.0.1.example.com/"}, "no address on this machine"),
        ({"url": "http://127.0.0.1:80@example.com/"}, "no address on this machine"),
        ({"url": "ftp://127.0.0.1/"}, "no address on this machine"),
        ({"url": 7}, "no address on this machine"),
        ({"envelope": "longer"}, "envelope is none of long, short"),
        ({"lost": 2}, "lost is no number from 0 to 1"),
        ({"lost": True}, "lost is no number"),
        ({"late": -1}, "late is no number from 0 to 3600"),
        ({"later": 1}, "unknown settings later"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_and_changes_nothing(
    stand_in: Control, changed: dict[str, Any], said: str
) -> None:
    before = stand_in.events()
    with pytest.raises(ValueError, match=said):
        stand_in.events(**changed)
    assert stand_in.events() == before


def test_a_reset_forgets_the_subscription(stand_in: Control, door: Door) -> None:
    stand_in.events(url=door.url, late=3600)
    stand_in.update_dataset("d-claims")
    stand_in.reset()
    after = stand_in.events()
    assert (after["url"], after["counts"]["waiting"]) == ("", 0)
    assert not door.came

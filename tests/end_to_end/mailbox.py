"""What people and other systems are told: the topic's messages and the events of ended runs."""

import json
import time
from typing import Any

from tests.end_to_end.road import Road, Run

PATTERN = {"source": ["straight-through"], "detail-type": ["Run Ended"]}


class Mailbox:
    """A queue that is subscribed to the topic, and one that a rule sends the events to."""

    def __init__(self, road: Road) -> None:
        """Subscribe."""
        self._road = road
        self._messages: list[dict[str, str]] = []
        self._events: list[dict[str, Any]] = []
        self._people = self._queue("people")
        road.client("sns").subscribe(
            TopicArn=road.topic, Protocol="sqs", Endpoint=self._arn(self._people)
        )
        self._systems = self._queue("systems")
        rules = road.client("events")
        rules.put_rule(Name="runs", EventPattern=json.dumps(PATTERN))
        target = {"Id": "systems", "Arn": self._arn(self._systems)}
        rules.put_targets(Rule="runs", Targets=[target])

    def messages(self, about: str) -> list[dict[str, str]]:
        """The messages so far that name something: a run, a file, a route."""
        self._messages += map(json.loads, self._bodies(self._people))
        return [each for each in self._messages if about in each["Subject"] + each["Message"]]

    def events(self, run: Run) -> list[dict[str, Any]]:
        """The events of a run so far."""
        self._events += map(json.loads, self._bodies(self._systems))
        return [each for each in self._events if each["detail"]["run"] == run.name]

    def message(self, run: Run, number: int = 1) -> dict[str, str]:
        """The last of so many messages of a run, once they have come."""
        found = self._road.until(lambda: len(self.messages(run.name)) >= number, "a message")
        assert found
        return self.messages(run.name)[-1]

    def event(self, run: Run, number: int = 1) -> dict[str, Any]:
        """The last of so many events of a run, once they have come."""
        assert self._road.until(lambda: len(self.events(run)) >= number, f"an event of {run.name}")
        return self.events(run)[-1]

    def settled(self, run: Run, calls: int = 1) -> None:
        """Wait until the function that tells of ends has ended so many times for the run."""

        def reports() -> bool:
            begun = [line for line in self._road.logs(run.name) if '"Ended"' in line]
            return len(begun) >= calls

        self._road.until(reports, f"{calls} calls of RunEnded")
        time.sleep(1)  # the line is its first; what it tells comes right after it

    # --- queues --------------------------------------------------------------------------------
    def _queue(self, name: str) -> str:
        """A queue that the topic and the rule may send to."""
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]},
            "Action": "sqs:SendMessage",
            "Resource": "*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        made = self._road.client("sqs").create_queue(QueueName=name, Attributes={"Policy": policy})
        return str(made["QueueUrl"])

    def _arn(self, url: str) -> str:
        attributes = self._road.client("sqs").get_queue_attributes(
            QueueUrl=url, AttributeNames=["QueueArn"]
        )
        return str(attributes["Attributes"]["QueueArn"])

    def _bodies(self, url: str) -> list[str]:
        """All that has come since the last look."""
        sqs, bodies = self._road.client("sqs"), []
        while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in found:
                bodies.append(message["Body"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

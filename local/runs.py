"""What runs are doing, read from Step Functions as anybody can: lists and histories."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from local.packages import package

if TYPE_CHECKING:
    from stp.timeline import Step

LISTED = 100  # newest executions looked at in one go
FOLLOWED = 6  # runs shown state by state at one time; of others only start and end


@dataclass(frozen=True)
class Run:
    """One execution, as far as it has come."""

    arn: str
    name: str
    key: str
    status: str
    started: datetime
    stopped: datetime | None = None
    redrives: int = 0
    redriven: datetime | None = None  # the last time
    error: str = ""
    cause: str = ""
    failed_at: str = ""
    steps: "tuple[Step, ...]" = field(default=())

    @property
    def seconds(self) -> float:
        """From start to end."""
        return ((self.stopped or self.started) - self.started).total_seconds()


class RunWatch:
    """Follows a state machine's executions from look to look."""

    def __init__(self, stepfunctions: Any, state_machine: str) -> None:
        """Nothing is seen yet."""
        self.stepfunctions = stepfunctions
        self.state_machine = state_machine
        self.seen: dict[str, Run] = {}

    def changes(self) -> list[tuple[Run | None, Run]]:
        """The runs that changed since the last look, each as it was and as it is, oldest first."""
        found = []
        followed = 0
        for listed in reversed(self.listed()):
            before = self.seen.get(listed["executionArn"])
            # A redrive may have ended as the run had ended before it.
            state = (listed["status"], listed.get("redriveCount", 0))
            if before and before.stopped and (before.status, before.redrives) == state:
                continue
            followed += listed["status"] == "RUNNING"
            now = self.read(listed, with_steps=followed <= FOLLOWED)
            if now != before:
                self.seen[now.arn] = now
                found.append((before, now))
        return found

    def listed(self) -> list[dict[str, Any]]:
        """The newest executions and all that run, newest first."""
        ask = {"stateMachineArn": self.state_machine, "maxResults": LISTED}
        newest: list[dict[str, Any]] = self.stepfunctions.list_executions(**ask)["executions"]
        running: list[dict[str, Any]] = []
        if len(newest) == LISTED:  # an old one may have been redriven
            running = self.stepfunctions.list_executions(**ask, statusFilter="RUNNING")[
                "executions"
            ]
        known = {each["executionArn"] for each in newest}
        return newest + [each for each in running if each["executionArn"] not in known]

    def read(self, listed: Mapping[str, Any], *, with_steps: bool) -> Run:
        """One execution as it is now."""
        arn = listed["executionArn"]
        described = self.stepfunctions.describe_execution(executionArn=arn)
        ended = described["status"] != "RUNNING"
        events = self.history(arn) if with_steps or ended else []
        timeline = package("stp.timeline")
        given = package("straight_through.execution_input").typed(described.get("input"))
        found = timeline.visits(events)
        redriven = [event["timestamp"] for event in events if event["type"] == timeline.REDRIVEN]
        return Run(
            arn=arn,
            name=described["name"],
            key=str(given.get("key", "")),
            status=described["status"],
            started=described["startDate"],
            stopped=described.get("stopDate") if ended else None,
            redrives=described.get("redriveCount", 0),
            redriven=redriven[-1] if redriven else described.get("redriveDate"),
            error=described.get("error", ""),
            cause=described.get("cause", ""),
            failed_at=timeline.ended_at(found),
            steps=tuple(timeline.steps(found)),
        )

    def history(self, arn: str) -> list[dict[str, Any]]:
        """All events of an execution, oldest first."""
        events: list[dict[str, Any]] = []
        token: dict[str, str] = {}
        while True:
            page = self.stepfunctions.get_execution_history(
                executionArn=arn, maxResults=1000, includeExecutionData=False, **token
            )
            events += page["events"]
            if not page.get("nextToken"):
                return events
            token = {"nextToken": page["nextToken"]}

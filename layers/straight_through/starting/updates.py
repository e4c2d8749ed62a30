"""Updates of datasets: an event is noted, and starts a run once all that a route waits for came.

The item of a route has what was told since its last Execute was noted. Whoever notes an Execute
takes that away with the very write: what was told before it is in the run's data, and what is told
after it counts for the next. All else is written on the condition that nobody has written since.
"""

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from straight_through.aws import answering
from straight_through.errors import AwsUnavailable
from straight_through.moments import iso
from straight_through.names import route_run_name
from straight_through.queue.items import PendingRun, ToldUpdate, WhenItem, WhenOff
from straight_through.queue.table import TRIES, Key, Refused, Table, Write, back_off, update
from straight_through.run_state import Cause
from straight_through.text import counted

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

WHEN = "when"  # the partition
RECENT = 50  # events of each route that are known again
HOUR = timedelta(hours=1)


def when_key(route: str) -> Key:
    """Return the key of what starts a route's runs."""
    return WHEN, route


def feed_key(dataset_id: str, route: str) -> Key:
    """Return the key by which an update of a dataset finds a route that waits for it."""
    return f"feeds#{dataset_id}", route


def unchanged(item: WhenItem) -> tuple[str, dict[str, str]]:
    """Return the condition that nobody has written since, and its values."""
    if "rev" not in item:
        return "attribute_not_exists(#rev)", {}
    return "#rev = :rev", {"rev": item["rev"]}


def absorbed(route: str, at: str) -> Write:
    """Return the write that goes with the note of an Execute: what was told is in its data."""
    return update(
        when_key(route),
        "SET #executed_at = :at, #rev = :anew REMOVE #told, #pending",
        at=at,
        anew=uuid.uuid4().hex,
    )


def resumed(table: Table, route: str) -> bool:
    """Let updates start runs of a route again; False where it was not switched off."""
    try:
        table.update(
            when_key(route),
            "SET #rev = :anew REMOVE #off, #starts",
            "attribute_exists(#off)",
            anew=uuid.uuid4().hex,
        )
    except Refused:
        return False
    return True


@dataclass(frozen=True)
class Starter:
    """Starts the runs of routes, `most` that updates have caused in an hour."""

    table: Table
    states: "SFNClient"
    machine: str
    most: int

    def updated(self, dataset_id: str, event_id: str, now: datetime) -> str:
        """Let an event tell that a dataset was updated; return what it did, "" where nobody waits.

        Raises AwsUnavailable, AwsDenied.
        """
        routes = [feed["sk"] for feed in self.table.items(feed_key(dataset_id, "")[0])]
        return "; ".join(self._told(route, dataset_id, event_id, now) for route in routes)

    def _told(self, route: str, dataset_id: str, event_id: str, now: datetime) -> str:
        """Note an update for one route, and start its run where all came."""
        for tried in range(TRIES):
            back_off(tried)
            item = cast("WhenItem", self.table.get(when_key(route)) or {})
            if dataset_id not in item.get("updated", ()):
                return f"{route} waits for it no more"
            if event_id in item.get("recent", ()):
                return f"{route} has had it"
            told: ToldUpdate = {"event": event_id, "at": iso(now)}
            changes = {
                "told": {**item.get("told", {}), dataset_id: told},
                "recent": [*item.get("recent", []), event_id][-RECENT:],
            }
            if (after := self.written(item, changes)) is not None:
                return self.begun(after, now)
        raise AwsUnavailable(f"What starts route {route!r} was changed by others again and again.")

    def begun(self, item: WhenItem, now: datetime) -> str:
        """Start a route's run where all that it waits for was told; return what was done, and why.

        `item` is as it was read or written last; where another writes meanwhile, that one does it.
        """
        route, told, wanted = item["sk"], item.get("told", {}), item.get("updated", [])
        if "off" in item:
            return f"{route} is switched off"
        if "pending" in item:
            return f"{item['pending']['run']} has not executed yet and takes it in"
        missing = [dataset for dataset in wanted if dataset not in told]
        events = sorted(told[dataset]["event"] for dataset in wanted if dataset in told)
        if missing or not events:
            return f"{route} waits for {', '.join(missing)} too"
        if set(events) <= set(item.get("claimed", ())):
            return f"{route} has run for it"
        starts = [at for at in item.get("starts", ()) if at > iso(now - HOUR)]
        if len(starts) >= self.most:
            return self._switched_off(item, events, now)
        digest = hashlib.sha256("\0".join(events).encode()).hexdigest()[:16]
        run = route_run_name(route, f"updated-{digest}")
        pending: PendingRun = {"run": run, "events": events, "updated": wanted, "at": iso(now)}
        changes = {
            "pending": pending,
            "claimed": events,
            "starts": [*starts, iso(now)],
            "last_run": run,
        }
        if self.written(item, changes) is None:
            return f"{route}: another has seen to it"
        self.start(run, route, {"updated": wanted, "events": events})
        return f"started {run}"

    def again(self, pending: PendingRun, route: str) -> None:
        """Start a run again that may never have been; where it was, nothing happens."""
        self.start(
            pending["run"], route, {"updated": pending["updated"], "events": pending["events"]}
        )

    def start(self, run: str, route: str, cause: Cause) -> bool:
        """Start a run; False where it was started before. Raises AwsUnavailable, AwsDenied."""
        given = json.dumps({"route": route, "cause": cause})
        try:
            with answering("Step Functions"):
                self.states.start_execution(stateMachineArn=self.machine, name=run, input=given)
        except self.states.exceptions.ExecutionAlreadyExists:
            return False
        return True

    def written(
        self, item: WhenItem, changes: dict[str, Any], remove: tuple[str, ...] = ()
    ) -> WhenItem | None:
        """Change a route's item; return it as it is then, None where another has changed it."""
        condition, values = unchanged(item)
        change = "SET " + ", ".join(f"#{name} = :{name}" for name in changes)
        change += f"{', ' if changes else ''}#rev = :anew"
        if remove:
            change += " REMOVE " + ", ".join(f"#{name}" for name in remove)
        anew = uuid.uuid4().hex
        try:
            return cast(
                "WhenItem",
                self.table.update(
                    when_key(item["sk"]), change, condition, **changes, **values, anew=anew
                ),
            )
        except Refused:
            return None

    def _switched_off(self, item: WhenItem, events: list[str], now: datetime) -> str:
        """Switch off a route whose updates have started too many runs: it may go round for ever."""
        why = (
            f"updates have started {counted(len(item.get('starts', ())), 'run')} of it within an "
            f"hour, and {self.most} is the most (MostUpdateRunsAnHour). The last events: "
            f"{', '.join(item.get('recent', events))}"
        )
        off: WhenOff = {"since": iso(now), "why": why, "told": False}
        if self.written(item, {"off": off}) is None:
            return f"{item['sk']}: another has seen to it"
        return f"switched off {item['sk']}"

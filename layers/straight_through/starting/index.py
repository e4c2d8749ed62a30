"""What starts runs, kept from the routes by the sweep: so an event reads no route."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from straight_through.aws import answering
from straight_through.end_facts import Words
from straight_through.errors import RouteInvalid
from straight_through.expecting.expectations import Expectations
from straight_through.moments import from_iso, iso, said
from straight_through.names import route_run_name
from straight_through.queue.items import EndedExecution, WhenItem
from straight_through.queue.table import Refused, Table, Write, update
from straight_through.routes import Route, When, parse_route
from straight_through.starting.ticks import due, next_of
from straight_through.starting.updates import WHEN, Starter, feed_key, unchanged, when_key
from straight_through.time_left import LAST, Left

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# GetParametersByPath gives ten a page, and an account has 40 requests a second of its kind for all.
PAGES = 110  # of one sweep: two of them read 2,000 routes, so that a change counts in two minutes
UNPACED, PAUSE = 5, 0.1  # pages that are read at once, and seconds between the others
LATE = timedelta(minutes=10)  # after which a moment was missed
UNSTARTED = timedelta(minutes=2)  # after which a run that has not executed is looked at
Ended = Callable[[str], EndedExecution | None]
TellOnce = Callable[[str, Words, Write, datetime], None]


class Index:
    """Which routes have runs without files, and what starts them."""

    def __init__(
        self,
        table: Table,
        ssm: "SSMClient",
        path: str,
        starter: Starter,
        tell_once: TellOnce,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the parts and the path of the routes; `tell_once` tells people something once."""
        self._table = table
        self._ssm = ssm
        self._path = path
        self._starter = starter
        self._tell_once = tell_once
        self._pause = pause
        self._read: dict[str, str] = {}  # documents by route, of a pass that goes on
        self._token: str | None = None
        self._expectations = Expectations(table, tell_once)
        self._nobody = False  # whether no route has a `when`, and the table has none: it costs none

    def sweep(self, ended: Ended, may_look: Callable[[], bool], now: datetime, left: Left) -> None:
        """Keep the index, start what is due, and let go of runs that ended without an Execute.

        One route's trouble keeps no other back; the first is raised at the end.
        """
        errors: list[Exception] = []
        for do in (
            self._refresh,
            lambda now, left: self._start_due(ended, may_look, now, left),
            self._expectations.judge,
        ):
            try:
                do(now, left)
            except Exception as error:  # noqa: BLE001 - it is raised below
                errors.append(error)
        if errors:
            raise errors[0]

    # --- the routes -----------------------------------------------------------------------------
    def _refresh(self, now: datetime, left: Left) -> None:
        """Read more of the routes; once all are read, keep the index as they are."""
        for page in range(PAGES):
            if left() < LAST:
                return
            if page >= UNPACED:
                self._pause(PAUSE)
            more: Any = {"NextToken": self._token} if self._token else {}
            try:
                with answering("Systems Manager"):
                    found = self._ssm.get_parameters_by_path(
                        Path=self._path, Recursive=True, MaxResults=10, **more
                    )
            except Exception:
                self._read, self._token = {}, None  # the next sweep begins anew
                raise
            for each in found["Parameters"]:
                self._read[each["Name"].removeprefix(f"{self._path}/")] = each["Value"]
            self._token = found.get("NextToken")
            if not self._token:
                read, self._read = self._read, {}
                self._keep(read, now)
                self._expectations.keep(read, now)
                return

    def _keep(self, documents: dict[str, str], now: datetime) -> None:
        """Make the index what these routes say."""
        asking = {name: text for name, text in documents.items() if '"when"' in text}
        if self._nobody and not asking:
            return
        known = {item["sk"]: cast("WhenItem", item) for item in self._table.items(WHEN)}
        self._nobody = not (asking or known)
        for name, document in asking.items():
            try:
                route = parse_route(name, document)
            except RouteInvalid as error:  # it stays as it was
                self._unsound(name, str(error), known.pop(name, None))
                continue
            if route.when:
                self._known(route, route.when, known.pop(name, None), now)
        for item in known.values():
            self._forget(item)

    def _known(self, route: Route, when: When, item: WhenItem | None, now: datetime) -> None:
        """Note what starts a route's runs, where that is new."""
        said = {
            "updated": list(when.updated),
            "at": when.at,
            "zone": when.zone,
            "missed": when.missed,
        }
        same = item and all(item.get(name) == value for name, value in said.items())
        if item and same and not item.get("unsound"):
            return
        before: WhenItem = item or {"sk": route.name}
        for dataset in when.updated:  # first: whoever finds it there finds what waits for it
            self._table.update(feed_key(dataset, route.name), "SET #route = :r", r=route.name)
        clock = ("at", "zone")
        changes: dict[str, Any] = dict(said)
        if any(before.get(name) != said[name] for name in clock) or before.get("unsound"):
            changes |= {"unsound": False, "wrong_told": "", **_first(when, now)}
        if same and before.get("next"):
            changes["next"] = before["next"]  # what came due meanwhile is due
        if self._starter.written(before, changes) is not None:
            self._unfeed(before, keep=when.updated)

    def _unsound(self, route: str, why: str, item: WhenItem | None) -> None:
        """Note that a route cannot be read, where that is new."""
        before: WhenItem = item or {"sk": route}
        if not (before.get("unsound") and before.get("wrong") == why):
            self._starter.written(before, {"unsound": True, "wrong": why, "wrong_told": ""})

    def _forget(self, item: WhenItem) -> None:
        """Forget a route that has nothing to start its runs."""
        condition, values = unchanged(item)
        try:
            self._table.delete(when_key(item["sk"]), condition, **values)
        except Refused:
            return  # the next sweep
        self._unfeed(item)

    def _unfeed(self, item: WhenItem, keep: tuple[str, ...] = ()) -> None:
        """Let updates of datasets find a route no more."""
        for dataset in item.get("updated", ()):
            if dataset not in keep:
                self._table.delete(feed_key(dataset, item["sk"]), "attribute_exists(#pk)")

    # --- what is due ----------------------------------------------------------------------------
    def _start_due(
        self, ended: Ended, may_look: Callable[[], bool], now: datetime, left: Left
    ) -> None:
        """Start what is due of each route."""
        if self._nobody:
            return
        errors: list[Exception] = []
        for found in self._table.items(WHEN):
            item = cast("WhenItem", found)
            if left() < LAST:
                break
            try:
                self._see_to(item, ended, may_look, now)
            except Exception as error:  # noqa: BLE001 - it is raised below
                errors.append(error)
        if errors:
            raise errors[0]

    def _see_to(
        self, item: WhenItem, ended: Ended, may_look: Callable[[], bool], now: datetime
    ) -> None:
        """Start what is due of one route."""
        if item.get("next") and item["next"] <= iso(now):
            item = self._ticked(item, now)
        pending = item.get("pending")
        if pending and pending["at"] <= iso(now - UNSTARTED) and may_look():
            machine = self._starter.machine
            arn = machine.replace(":stateMachine:", ":execution:") + f":{pending['run']}"
            found = ended(arn)
            if found and found["status"] == "GONE":
                self._starter.again(pending, item["sk"])
            elif found:
                item = self._starter.written(item, {}, ("pending",)) or item
        if item.get("wrong") and item.get("wrong_told") != item["wrong"]:
            self._tell_once(*is_wrong(item), now)
        if "off" in item and not item["off"]["told"]:
            self._tell_once(*switched_off(item), now)
        elif item.get("updated") and item.get("told"):
            self._starter.begun(item, now)

    def _ticked(self, item: WhenItem, now: datetime) -> WhenItem:
        """Start the run of the last moment that is due, and note the next one."""
        when = When(at=item["at"], zone=item["zone"], missed=item["missed"])
        moment, following = due(when, from_iso(item["next"]), now)
        changes: dict[str, Any] = {"next": iso(following) if following else ""}
        if not (when.missed == "skip" and now - moment > LATE):
            run = route_run_name(item["sk"], f"at-{moment:%Y%m%dT%H%M%SZ}")
            self._starter.start(run, item["sk"], {"at": iso(moment)})
            changes["last_run"] = run
        return self._starter.written(item, changes) or item


def switched_off(item: WhenItem) -> tuple[str, Words, Write]:
    """Return by which name, in which words and on which condition people are told of a switch."""
    route, off = item["sk"], item["off"]
    words: Words = {
        "subject": f"Updates start no more runs of route {route}",
        "text": f"Since {said(off['since'])} no update starts a run of route {route}: "
        f"{off['why']}.\n\nRuns by hand and by schedule go on. Look whether what the pipeline "
        f"makes comes back as one of these updates. Then: stp when resume {route}",
    }
    once = update(when_key(route), "SET #off.#told = :yes", "#off.#told = :no", yes=True, no=False)
    return f"when#{route}#{off['since']}", words, once


def is_wrong(item: WhenItem) -> tuple[str, Words, Write]:
    """Return by which name, in which words and on which condition people are told what is wrong."""
    route, why = item["sk"], item["wrong"]
    until = "As long as that is so, what it said before counts, if it said anything sound."
    if not item.get("unsound"):
        until = "As long as that is so, no schedule starts its runs. Updates, if it names any, do."
    words: Words = {
        "subject": f"The schedule of route {route} is wrong",
        "text": f'What route {route} says in "when" cannot be followed: {why}\n\n{until} Mend the '
        "route; stp routes check tells whether it is sound. It counts within two minutes.",
    }
    untold = "#wrong = :wrong AND (attribute_not_exists(#wrong_told) OR #wrong_told <> :wrong)"
    once = update(when_key(route), "SET #wrong_told = :wrong", untold, wrong=why)
    return f"when#{route}#wrong#{item['rev']}", words, once


def _first(when: When, now: datetime) -> dict[str, str]:
    """Return the first moment of a schedule that is new, or why it is none."""
    if not when.at:
        return {"next": "", "wrong": ""}
    try:
        moment = next_of(when, now)
    except RouteInvalid as error:
        return {"next": "", "wrong": str(error)}
    wrong = "" if moment else f"'at' is {when.at!r}, which never comes."
    return {"next": iso(moment) if moment else "", "wrong": wrong}

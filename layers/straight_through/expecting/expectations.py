"""What routes expect, kept and judged by the sweep: each period once, in order.

A verdict, the message of it and the next period are one write, on the condition that nobody has
written since. What has come is noted apart, by who checks and who ends a run; a mark in the
route's item tells the sweep to look, so that what is owed costs nothing until something comes.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, cast

from straight_through.end_facts import Words
from straight_through.errors import RouteInvalid
from straight_through.expected import Expect
from straight_through.moments import from_iso, iso, said
from straight_through.queue.arrivals import EXPECTS, arrivals_of, expect_key
from straight_through.queue.items import Arrival, ExpectItem, Owed
from straight_through.queue.table import Refused, Table, Write, update
from straight_through.routes import Route, parse_route
from straight_through.text import counted, shown
from straight_through.time_left import LAST, Left

# From the drop of a file until CheckFile has noted it, at most: a file that came in time is known.
GRACE = timedelta(minutes=10)
PATIENCE = timedelta(days=2)  # until a file whose run has not ended counts as late
MOST = 50  # periods of a route that one sweep judges
MOST_OWED = 100  # that a route keeps; the oldest is forgotten then
UNSEEN = "?"  # no mark: the sweep looks
LIFETIME = timedelta(days=400)  # of what is known of a route that expects nothing any more
IN_TIME, LATE, CAME, COUNTING = "in time", "late", "came", "counting"  # verdicts
RULE = ("file", "every", "by", "of", "zone", "holidays", "rows")
TellOnce = Callable[[str, Words, Write, datetime], None]


class Expectations:
    """What all routes expect."""

    def __init__(self, table: Table, tell_once: TellOnce) -> None:
        """Take the table; `tell_once` tells people something by the condition of a write."""
        self._table = table
        self._tell_once = tell_once
        self._nobody = False  # whether no route expects anything, and the table knows none

    def keep(self, documents: dict[str, str], now: datetime) -> None:
        """Make what is expected what the routes say; a route that cannot be read stays."""
        asking = {name: text for name, text in documents.items() if '"expect"' in text}
        if self._nobody and not asking:
            return
        known = {item["sk"]: cast("ExpectItem", item) for item in self._table.items(EXPECTS)}
        self._nobody = not (asking or known)
        for name, document in asking.items():
            item = known.pop(name, None)
            try:
                route = parse_route(name, document)
            except RouteInvalid:
                continue  # its runs tell that
            if route.expect:
                self._known(route, route.expect, item, now)
            elif item:
                known[name] = item
        for item in known.values():
            if "gone" not in item:
                expires = int((now + LIFETIME).timestamp())
                with suppress(Refused):  # another sweep has, or the next one does
                    self._write(item, {"gone": iso(now), "expires_at": expires})

    def judge(self, now: datetime, left: Left) -> None:
        """Judge what is due, and look at what is owed where something came.

        One route's trouble keeps no other back; the first is raised at the end.
        """
        if self._nobody:
            return
        errors: list[Exception] = []
        for found in self._table.items(EXPECTS):
            item = cast("ExpectItem", found)
            if left() < LAST:
                break
            try:
                if "gone" not in item and item.get("due"):
                    self._see_to(item, now)
            except Refused:
                continue  # another sweep has been there
            except Exception as error:  # noqa: BLE001 - it is raised below
                errors.append(error)
        if errors:
            raise errors[0]

    # --- the rules ------------------------------------------------------------------------------
    def _known(self, route: Route, expect: Expect, item: ExpectItem | None, now: datetime) -> None:
        """Note what a route expects, where that is new; what was judged stays judged."""
        said: dict[str, Any] = {name: getattr(expect, name) for name in RULE}
        if item and "gone" not in item and all(item.get(n) == said[n] for n in RULE):
            return
        before: ExpectItem = item or {"sk": route.name}
        # Of a rule that is mended, what was due since the rule is there is judged by the new one.
        since = before.get("since", "")
        if "gone" in before or before.get("every") != expect.every or not since:
            since = iso(now)
        changes = {**said, "since": since, "seen": UNSEEN}
        if before.get("every") != expect.every:
            others = {**before.get("judged_others", {})}
            if before.get("judged"):
                others[before["every"]] = before["judged"]
            judged = others.pop(expect.every, "")
            changes |= {"judged": judged, "judged_others": others, "owed": {}}
        changes |= _following(expect, str(changes.get("judged", before.get("judged", ""))), since)
        remove = tuple(name for name in ("gone", "expires_at") if name in before)
        try:
            self._write(before, changes, remove)
        except Refused:
            return  # the next sweep

    # --- verdicts -------------------------------------------------------------------------------
    def _see_to(self, item: ExpectItem, now: datetime) -> None:
        """Judge what is due of one route, and look at what it owes."""
        for _ in range(MOST):
            if from_iso(item["due"]) + GRACE > now:
                break
            item = self._judged(item, now)
        came, owed = item.get("came", ""), item.get("owed", {})
        news = item.get("seen") != came or not all(each["told"] for each in owed.values())
        if not owed or not news:
            return
        for name in sorted(owed):
            item = self._looked_at(item, name, now)
        if item.get("seen") != came:
            self._write(item, {"seen": came})

    def _judged(self, item: ExpectItem, now: datetime) -> ExpectItem:
        """Judge the period that is due, and go on to the next."""
        expect = rule_of(item)
        name, moment = item["name"], item["due"]
        arrivals = self._arrivals(item["sk"], name)
        owed: dict[str, Owed] = dict(item.get("owed", {}))
        kind = verdict_of(first_good(arrivals, expect.rows), arrivals, moment, now)
        if kind in (LATE, COUNTING):
            owed[name] = {"due": moment, "told": kind == LATE}
            while len(owed) > MOST_OWED:
                del owed[min(owed, key=lambda each: owed[each]["due"])]
        changes: dict[str, Any] = {"judged": name, "owed": owed}
        changes |= _following(expect, name, item["since"])
        if kind in (LATE, COUNTING):
            changes["seen"] = UNSEEN  # what came since it was asked for
        return self._told(item, changes, kind, (name, moment), arrivals, now)

    def _looked_at(self, item: ExpectItem, name: str, now: datetime) -> ExpectItem:
        """Look at what is owed: whether it has come, or what was counted is not enough."""
        expect, known = rule_of(item), item["owed"][name]
        arrivals = self._arrivals(item["sk"], name)
        rest: dict[str, Owed] = {n: each for n, each in item["owed"].items() if n != name}
        good = first_good(arrivals, expect.rows)
        kind = verdict_of(good, arrivals, known["due"], now)
        if known["told"]:
            kind = CAME if good else COUNTING  # what is told is told
        if kind == COUNTING:
            return item
        if kind == LATE:
            rest[name] = {**known, "told": True}
        return self._told(item, {"owed": rest}, kind, (name, known["due"]), arrivals, now)

    def _told(
        self,
        item: ExpectItem,
        changes: dict[str, Any],
        kind: str,
        of: tuple[str, str],
        arrivals: list[Arrival],
        now: datetime,
    ) -> ExpectItem:
        """Make the changes, and tell people with the same write where there is something to."""
        if kind not in (LATE, CAME):
            return self._write(item, changes)
        write, after = _changed(item, changes)
        name = f"expect#{item['sk']}#{of[0]}#{kind}#{after['rev']}"
        self._tell_once(name, words_of(item, kind, of, arrivals), write, now)
        stored = self._table.get(expect_key(item["sk"]))
        if not stored or stored.get("rev") != after["rev"]:
            raise Refused([stored])
        return cast("ExpectItem", stored)

    def _arrivals(self, route: str, name: str) -> list[Arrival]:
        """Return what has come of a period."""
        return [cast("Arrival", each) for each in self._table.items(arrivals_of(route, name))]

    def _write(
        self, item: ExpectItem, changes: dict[str, Any], remove: tuple[str, ...] = ()
    ) -> ExpectItem:
        """Change a route's item, if nobody has since it was read. Raises Refused."""
        arguments, values = _arguments(item, changes, remove)
        return cast("ExpectItem", self._table.update(*arguments, **values))


def rule_of(item: ExpectItem) -> Expect:
    """Return the rule of a route's item."""
    return Expect(**{name: item[name] for name in RULE})  # type: ignore[literal-required]


def _following(expect: Expect, judged: str, since: str) -> dict[str, str]:
    """Return which period is judged next, how its file is named and when it is due."""
    from straight_through.expecting import calendar  # noqa: PLC0415 - where a period is over

    try:
        calendar.require_known(expect)
        if judged:
            period, moment = calendar.next_due(expect, judged, from_iso(since))
        else:
            period, moment = calendar.first_due(expect, from_iso(since))
    except (RouteInvalid, ValueError, OverflowError) as error:
        return {"next": "", "name": "", "due": "", "wrong": str(error)}
    name = calendar.name_of(expect, period)
    return {"next": period, "name": name, "due": iso(moment), "wrong": ""}


def verdict_of(good: Arrival | None, arrivals: list[Arrival], due: str, now: datetime) -> str:
    """Return what a file is that was due: in time, late, come after all, or not known yet."""
    if good and good["at"] <= due:
        return IN_TIME
    going = any("ended" not in each and each["at"] <= due for each in arrivals)
    if going and now < from_iso(due) + PATIENCE:
        return COUNTING  # of one that came in time its run may still tell enough rows
    return CAME if good else LATE


def first_good(arrivals: list[Arrival], rows: int) -> Arrival | None:
    """Return the first file that is as it was expected."""
    good = [each for each in arrivals if not rows or (each.get("rows") or 0) >= rows]
    return min(good, key=lambda each: each["at"], default=None)


def words_of(item: ExpectItem, kind: str, of: tuple[str, str], arrivals: list[Arrival]) -> Words:
    """Return what people are told of a file that is late, or that has come after all."""
    (period, moment), route, rows, zone = of, item["sk"], item["rows"], _zone_of(item)
    file, by = shown(item["file"].replace("{period}", period)), said(moment, zone)
    least = f" with at least {counted(rows, 'row')}" if rows else ""
    if kind == LATE:
        came = [
            f"{shown(each['key'])} came at {said(each['at'], zone)}{_with(each.get('rows'))}"
            for each in arrivals
        ]
        return {
            "subject": f"Late: {file} of route {route}",
            "text": f"{file}{least} was expected by {by} and has not come.\n"
            + "".join(f"{each}.\n" for each in came)
            + "\nAsk whoever sends it; you are told when it has come after all. Who owes what: "
            "stp expected",
        }
    found = first_good(arrivals, rows)
    assert found  # noqa: S101 - for the types: one that has come is good
    how = "in time, and was known late" if found["at"] <= moment else "late"
    return {
        "subject": f"Has come: {file} of route {route}",
        "text": f"{shown(found['key'])} was dropped at {said(found['at'], zone)}, {how}: it was "
        f"expected by {by}.",
    }


def _with(rows: int | None) -> str:
    """Say how many rows a file came with."""
    return ", and its rows were not counted" if rows is None else f" with {counted(rows, 'row')}"


def _zone_of(item: ExpectItem) -> tzinfo:
    """Return the zone that a rule's times are of; UTC where the rule names none that is known."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - where somebody is told

    try:
        return ZoneInfo(item["zone"])
    except (LookupError, ValueError, OSError):
        return UTC


def _arguments(
    item: ExpectItem, changes: dict[str, Any], remove: tuple[str, ...] = ()
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the change of an item on the condition that it is as it was read."""
    rev = item.get("rev")
    values = {**changes, "rev": (rev or 0) + 1}
    change = "SET " + ", ".join(f"#{name} = :{name}" for name in values)
    change += f" REMOVE {', '.join(f'#{name}' for name in remove)}" if remove else ""
    condition = "attribute_not_exists(#rev)" if rev is None else "#rev = :was"
    was = {} if rev is None else {"was": rev}
    return (expect_key(item["sk"]), change, condition), {**values, **was}


def _changed(
    item: ExpectItem, changes: dict[str, Any], remove: tuple[str, ...] = ()
) -> tuple[Write, dict[str, Any]]:
    """Return such a change as a part of a transaction, and what it sets."""
    arguments, values = _arguments(item, changes, remove)
    return update(*arguments, **values), values

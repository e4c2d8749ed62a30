"""What has come of each set: a file notes itself, and who completes the set claims it by that.

The write is one transaction: the set's item, on the condition that nobody has written since it was
read; the record of the run, which keeps what came of its file; and what people are told of a set
that stays incomplete. So of two files that come at the same instant one writes after the other and
sees it, and a function that is killed and tried again finds what it had done.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from straight_through.attempts import Attempt
from straight_through.errors import AwsUnavailable, NotInSet
from straight_through.members import Member
from straight_through.moments import from_iso, iso, said
from straight_through.names import shortened
from straight_through.queue.items import (
    GatheredMember,
    GatheredSet,
    RunRecord,
    SetItem,
    SetMember,
)
from straight_through.queue.notices import NOTICES
from straight_through.queue.records import LIFETIME, record_key
from straight_through.queue.table import (
    TRIES,
    Key,
    Refused,
    Table,
    Write,
    back_off,
    delete,
    update,
)
from straight_through.routes import Route
from straight_through.run_state import DroppedFile, FileState, SetState
from straight_through.statuses import CHECKED, GATHERED, REPLACED
from straight_through.text import listed, shown

SETS = "sets"  # the partition
LONGEST_KEY = 1000  # bytes of a sort key: DynamoDB takes 1,024
NOTICE_KEPT = timedelta(days=14)  # after it was due


def set_key(route: str, period: str) -> Key:
    """Return the key of a set's item."""
    return SETS, shortened(f"{route}#{period}", LONGEST_KEY)


def member_of(route: Route, key: str) -> tuple[Member, str]:
    """Return which member of its route's set a file is, and of which period. Raises NotInSet."""
    if route.set is None:
        raise NotInSet(
            f"Route {route.name!r} has no set that could run without its missing members. Start a "
            'new run with the same input without "incomplete".'
        )
    name = key.removeprefix(f"{route.name}/")
    found = route.set.fitting(name)
    if len(found) == 1:
        return found[0]
    patterns = listed([member.file for member, _ in found or _none_of(route)])
    fits = f"fits {len(found)} members" if found else "fits no member"
    raise NotInSet(
        f"'{shown(name)}' {fits} of the set of route {route.name!r}: {patterns}. Nothing was "
        f"uploaded. Drop the file under a name that fits {'one of them' if found else 'one'}, or "
        'mend the route\'s "set" and start a new run with the same input.'
    )


def judged_by(route: Route, key: str) -> Route:
    """Return the route by which a file is judged: its member's, where there is a set.

    Raises NotInSet.
    """
    return route.by_member(member_of(route, key)[0]) if route.set else route


def told(gathered: GatheredSet) -> SetState:
    """Return what is told of a set."""
    return {
        "period": gathered["period"],
        "version": gathered["version"],
        "missing": gathered["missing"],
    }


def claimed(record: RunRecord, route: Route) -> GatheredSet | None:
    """Return the set that a run has claimed, None for a run that has none and whose route has none.

    Raises NotInSet for a file of a route with a set that was not gathered, or not so.
    """
    gathered = record.get("set")
    if gathered is None and route.set is None:
        return None
    if gathered and gathered["version"] and route.set:
        there = {each["file"]: each["dataset_id"] for each in gathered["members"]}
        wanted = {each.file: each.dataset_id for each in route.set.members}
        known = there.keys() | set(gathered["missing"])
        if there.items() <= wanted.items() and wanted.keys() == known:
            return gathered
    raise NotInSet(
        f"Route {route.name!r} has other members by now than when this file was checked: nothing "
        'was uploaded. Start a new run with the same input, which gathers it anew ("stp rerun").'
    )


def in_its_place(attempt: Attempt, gathered: GatheredSet | None) -> Attempt:
    """Return an attempt with the place in the queue that a set's run has."""
    return replace(attempt, place=gathered["order"]) if gathered else attempt


@dataclass(frozen=True)
class Sets:
    """All sets; people are told of one that stays incomplete for `patience`."""

    table: Table
    patience: timedelta

    def gathered(
        self, found: FileState, attempt: Attempt, source: DroppedFile, route: Route, now: datetime
    ) -> FileState:
        """Return how a file that was checked stands: it goes on as its set's run, or ends here."""
        gathered = self.gather(attempt, source, route, now)
        if gathered is None:
            period = member_of(route, source["key"])[1]
            return {**found, "status": REPLACED, "set": told(_no_run(period))}
        return {
            **found,
            "status": CHECKED if gathered["version"] else GATHERED,
            "set": told(gathered),
        }

    def gather(
        self, attempt: Attempt, source: DroppedFile, route: Route, now: datetime
    ) -> GatheredSet | None:
        """Note a file that was checked; claim the set where all have come, or it is to run so.

        None where a newer file of this member came before. Raises NotInSet, AwsUnavailable.
        """
        member, period = member_of(route, source["key"])
        for tried in range(TRIES):
            back_off(tried)
            record = cast("RunRecord", self.table.get(record_key(attempt.run)) or {})
            if "set" in record:
                return record["set"]  # by an earlier try
            key = set_key(route.name, period)
            item = cast("SetItem", self.table.get(key) or {})
            there = item.get("members", {}).get(member.file)
            if there and there["order"] > attempt.order:
                return None
            mine: SetMember = {"run": attempt.run, "order": attempt.order, "source": source}
            members = {**item.get("members", {}), member.file: mine}
            gathered = _gathered(route, period, members, item, alone=attempt.input.incomplete)
            try:
                self.table.together(
                    self._noted(key, item, gathered, members, attempt.run, route, now),
                    update(
                        record_key(attempt.run),
                        "SET #set = :set",
                        "attribute_not_exists(#set)",
                        set=gathered,
                    ),
                    *self._notice(item, gathered, attempt.run, route, now),
                )
            except Refused:
                continue  # another file of the set, or another try of this one
            return gathered
        raise AwsUnavailable(f"The set {period!r} of route {route.name!r} was changed by others.")

    def _noted(
        self,
        key: Key,
        item: SetItem,
        gathered: GatheredSet,
        members: dict[str, SetMember],
        run: str,
        route: Route,
        now: datetime,
    ) -> Write:
        """Return the write of the set's item: the file is noted, and the set claimed if need be."""
        values: dict[str, Any] = {
            "rev": item.get("rev", 0) + 1,
            "route": route.name,
            "period": gathered["period"],
            "members": members,
            "missing": gathered["missing"],
            "version": gathered["version"] or item.get("version", 0),
            "expires_at": int((now + LIFETIME).timestamp()),
        }
        removed = ""
        if gathered["version"]:
            values["run"] = run
            removed = " REMOVE #since"
        else:
            values["since"] = item.get("since", iso(now))
        change = "SET " + ", ".join(f"#{name} = :{name}" for name in values) + removed
        if "rev" not in item:
            return update(key, change, "attribute_not_exists(#rev)", **values)
        return update(key, change, "#rev = :seen", seen=item["rev"], **values)

    def _notice(
        self, item: SetItem, gathered: GatheredSet, run: str, route: Route, now: datetime
    ) -> list[Write]:
        """Return the write by which people will be told of a set that stays incomplete, or not."""
        since = item.get("since")
        if gathered["version"]:
            if not since:
                return []
            key = _notice_key(route.name, gathered["period"], since)
            return [delete(key, "attribute_exists(#pk) OR attribute_not_exists(#pk)")]
        since = since or iso(now)
        due = from_iso(since) + self.patience
        subject, text = incomplete(route.name, gathered["period"], since, gathered["missing"])
        return [
            update(
                _notice_key(route.name, gathered["period"], since),
                "SET #run = :run, #due = :due, #subject = :subject, #text = :text,"
                " #told = if_not_exists(#told, :no), #expires_at = :expires_at",
                run=run,
                due=iso(due),
                subject=subject,
                text=text,
                no=False,
                expires_at=int((due + NOTICE_KEPT).timestamp()),
            )
        ]


def incomplete(route: str, period: str, since: str, missing: list[str]) -> tuple[str, str]:
    """Return the subject and the text that tell of a set that waits for members."""
    return (
        f"Set {shown(period, 40)} of route {shown(route, 30)} waits",
        f"The set {shown(period)} of route {route} has waited since {said(since)} for "
        f"{listed(missing)}, and goes on waiting: its run begins when the last of them is dropped. "
        "This is told once.\n\nAsk whoever sends them. All sets that wait: stp sets\n"
        f"To run it without them: stp sets run {route} {shown(period)}",
    )


def _no_run(period: str) -> GatheredSet:
    """Return what comes of a file that does not go on."""
    return {"period": period, "version": 0, "order": "", "members": [], "missing": []}


def _none_of(route: Route) -> list[tuple[Member, str]]:
    """Return all members, for a message about a file that fits none."""
    return [(member, "") for member in route.set.members] if route.set else []


def _notice_key(route: str, period: str, since: str) -> Key:
    """Return the key of what people are told of a set that waits since then."""
    return NOTICES, shortened(f"set#{route}#{period}", LONGEST_KEY - len(since) - 1) + f"#{since}"


def _gathered(
    route: Route, period: str, members: dict[str, SetMember], item: SetItem, *, alone: bool
) -> GatheredSet:
    """Return what comes of a set with these members; `alone`: it runs though some are missing."""
    assert route.set  # noqa: S101 - for the types
    missing = [each.file for each in route.set.members if each.file not in members]
    if missing and not alone:
        return {**_no_run(period), "missing": missing}
    version = item.get("version", 0) + 1
    chosen: list[GatheredMember] = [
        {**members[each.file], "file": each.file, "dataset_id": each.dataset_id}
        for each in route.set.members
        if each.file in members
    ]
    newest = max(each["order"] for each in chosen)
    return {
        "period": period,
        "version": version,
        "order": f"{newest}#{version:08}",
        "members": chosen,
        "missing": missing,
    }

"""Which files a replay takes: of a route, of a time, by what has become of them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from stp.known_runs import RELEASES, Known, Past, Version, Wanted, past_of
from stp.replays import Plan, Planned, replay_name
from stp.run_facts import RUNNING, route_of
from stp.runs import read
from stp.stack import Stack
from stp.unknown_files import CLOCKS, LONGEST_AGO, UNVERSIONED
from straight_through.attempts import order_of
from straight_through.files.ignored import why_ignored
from straight_through.moments import from_iso, iso
from straight_through.names import run_name
from straight_through.queue.table import Item
from straight_through.statuses import GATHERED, HELD, REPLACED, SKIPPED, SUCCEEDED
from straight_through.text import shown

ALL, FAILED, MISSED, REVISION = "all", "failed", "missed", "revision before"
PROCESSED_NOTHING = (SKIPPED, REPLACED, GATHERED)
PROCESSED = (SUCCEEDED, HELD)
STOPPED = "Aborted"
INSTANT = timedelta(milliseconds=1)
ENDED_BADLY = ("Failed", "TimedOut")


@dataclass(frozen=True)
class Which:
    """What chooses among the files of a time."""

    kind: str = ALL
    revision: int = 0  # with REVISION: what was processed by an older one

    @property
    def told(self) -> str:
        """What it chooses, as people read it."""
        return {
            ALL: "all files",
            FAILED: "files whose last run has failed",
            MISSED: "files that no run knows",
            REVISION: f"files processed by a revision before {self.revision}",
        }[self.kind]


@dataclass(frozen=True)
class Dropped:
    """A version of a file that lies in the inbox."""

    version: Version
    at: datetime
    deleted: bool  # by now; the version is still there

    @property
    def key(self) -> str:
        """Its key."""
        return self.version[1]

    @property
    def run(self) -> str:
        """The name that its drop gives its run."""
        return run_name(*self.version)


@dataclass(frozen=True)
class LeftOut:
    """A file of the time that is not taken, and why."""

    key: str
    version_id: str
    dropped_at: str
    why: str


@dataclass(frozen=True)
class Chosen:
    """The files of a replay and those that are left out, each in the order of their drops."""

    plan: Plan
    left_out: list[LeftOut]
    past: Past


def choose(
    stack: Stack,
    plan: Plan,
    which: Which,
    routes: Collection[str],
    tell: Callable[[str], None] = lambda _: None,
) -> Chosen:
    """Return a plan with the files that it is to take."""
    since, until = from_iso(plan.since), from_iso(plan.until)
    files = dropped(stack, plan.route, routes, since, until)
    own = {each.run: each.version for each in files}
    past = past_of(stack, Wanted(plan.route, since, until, own), routes, tell)
    found: list[Planned] = []
    left_out: list[LeftOut] = []
    for file in files:
        chosen = _Choice(stack, plan, which, file, past).taken()
        if isinstance(chosen, Planned):
            found.append(chosen)
        elif chosen:
            left_out.append(LeftOut(file.key, file.version[2], iso(file.at), chosen))
    left_out += _gone(past, set(own.values()), which)
    left_out.sort(key=lambda each: each.dropped_at)
    return Chosen(replace(plan, files=found), left_out, past)


def dropped(
    stack: Stack, route: str, routes: Collection[str], since: datetime, until: datetime
) -> list[Dropped]:
    """Return the versions that were dropped into a route's folder in a time, the oldest first."""
    bucket, ignored = stack.outputs["InboxBucket"], stack.parameters.get("IgnorePatterns", "")
    listed, deleted = [], set()
    pages = stack.client("s3").get_paginator("list_object_versions")
    for page in pages.paginate(Bucket=bucket, Prefix=f"{route}/"):
        listed += page.get("Versions", ())
        deleted |= {each["Key"] for each in page.get("DeleteMarkers", ()) if each["IsLatest"]}
    found = [
        Dropped(
            (bucket, each["Key"], each["VersionId"]), each["LastModified"], each["Key"] in deleted
        )
        for each in reversed(listed)  # S3 lists the newest version of a key first
        if since <= each["LastModified"] < until
        and each["Key"].startswith(stack.inbox_prefix)
        and route_of(each["Key"], routes) == route
        and not why_ignored(each["Key"], ignored)
    ]
    return _apart(sorted(found, key=lambda each: each.at))


def _apart(files: Sequence[Dropped]) -> list[Dropped]:
    """Return files so that no two versions of a key are of one moment: S3 tells seconds alone."""
    last: dict[str, datetime] = {}
    found = []
    for file in files:
        at = max(file.at, last[file.key] + INSTANT) if file.key in last else file.at
        last[file.key] = at
        found.append(replace(file, at=at))
    return found


@dataclass(frozen=True)
class _Choice:
    """One file, and what decides whether it is taken."""

    stack: Stack
    plan: Plan
    which: Which
    file: Dropped
    past: Past

    def taken(self) -> Planned | str:
        """Return the file as it is planned, or why it is left out: "" if nobody asked for it."""
        every = self.past.runs.get(self.file.version, [])
        runs = [run for run in every if run.status != RELEASES]
        if going := next((run for run in runs if run.status == RUNNING), None):
            return f"its run {going.run} goes on"
        if self.file.version[2] == UNVERSIONED:
            return "it was dropped before the bucket kept versions: what it was is not known"
        counts = [run for run in runs if run.status not in PROCESSED_NOTHING]
        if runs and not counts:
            return self._processed_nothing(runs[-1])
        last = counts[-1] if counts else None
        stands = next((run for run in reversed(counts) if run.status in PROCESSED), None)
        if last is None:
            return self._missed()
        if why := self._not_asked(last, stands):
            return "" if why == NOBODY_ASKED else why
        if last.status == STOPPED:
            return f"a person has stopped {last.run}. If it is meant: stp rerun {last.run}"
        if newer := self._set_again(last):
            return f"its set {shown(last.set['period'])} was run again by {newer}"
        return self._again(last, stands, every)

    def _not_asked(self, last: Known, stands: Known | None) -> str:
        """Return why the file is not among those that are asked for, "" if it is."""
        if self.which.kind == MISSED:
            return NOBODY_ASKED
        if self.which.kind == FAILED:
            return "" if last.status in ENDED_BADLY else NOBODY_ASKED
        if self.which.kind == REVISION:
            if stands is None:
                return NOBODY_ASKED
            revision = stands.facts.get("pipeline_version")
            if revision is None:
                return f"by which revision {stands.run} was processed is not known"
            return "" if revision < self.which.revision else NOBODY_ASKED
        return ""

    def _processed_nothing(self, run: Known) -> str:
        """Say why a file was not processed by itself; only where it might be asked for."""
        if self.which.kind != ALL:
            return ""
        if run.status == SKIPPED:
            twin = run.facts.get("identical_to") or {}
            return f"its bytes were processed by {twin.get('run', 'another run')}"
        if run.status == GATHERED:
            period = (run.facts.get("set") or {}).get("period", "")
            return f"it was gathered, and is processed with its set {shown(period)}"
        return "a newer version has replaced it"

    def _set_again(self, last: Known) -> str:
        """Return the run by which a run's set was run again, with the newest of each member."""
        if not last.set:
            return ""
        period = last.set["period"]
        later = [
            run
            for run in self.past.sets.get(period, [])
            if run.set["version"] > last.set["version"] and run.version != self.file.version
        ]
        return later[-1].run if later else ""

    def _missed(self) -> Planned | str:
        """Return a file that no run knows, under the name that its drop would have given its run.

        So it cannot start twice, were its event to come yet.
        """
        if self.which.kind not in (MISSED, ALL):
            return ""
        if self.file.deleted:
            return "it was deleted before any run knew it"
        if self.file.at < datetime.now(UTC) - LONGEST_AGO + CLOCKS:
            return "no run of it is known, and Step Functions forgets runs after 90 days"
        if self.file.run in self.past.names:
            return f"its run {self.file.run} is not known to the end"
        bucket, key, version_id = self.file.version
        at = iso(self.file.at)
        given = {"bucket": bucket, "key": key, "version_id": version_id, "dropped_at": at}
        return Planned(self.file.run, given, at, "no run", None, None, None, [])

    def _again(self, last: Known, stands: Known | None, every: Sequence[Known]) -> Planned:
        """Return a file that is processed again, at the place that its run has had."""
        bucket, key, version_id = self.file.version
        good = [run for run in every if run.status in PROCESSED]
        dropped_at, sequencer = self._place(good or [last])
        given = {"bucket": bucket, "key": key, "version_id": version_id, "dropped_at": dropped_at}
        given |= {"sequencer": sequencer} if sequencer else {}
        given |= {"replay": self.plan.id}
        incomplete = bool(last.set and (last.facts.get("set") or {}).get("missing"))
        return Planned(
            run=replay_name(self.file.run, self.plan.id),
            input=given | ({"incomplete": True} if incomplete else {}),
            dropped_at=iso(self.file.at),
            was=_was(last, stands),
            supersedes=stands.run if stands else None,
            last=last.run,
            last_status=last.status,
            known=[run.run for run in every],
            period=last.set.get("period"),
            set_version=last.set.get("version", 0),
        )

    def _place(self, runs: Sequence[Known]) -> tuple[str, str]:
        """Return the moment and S3's sequencer of the newest place that one of some runs has had.

        What is at a destination has the place of the run that has put it there, and only what is
        of the same place or a later one replaces it.
        """
        moment, sequencer, _ = max(self._order(run) for run in runs).split("#", 2)
        return moment, sequencer.rstrip("0")  # it is filled up with zeros

    def _order(self, run: Known) -> str:
        """Return a run's place among others, a text that sorts."""
        if order := _order_of(run.record, run.run):
            return order
        if run.arn:
            return read(self.stack, run.arn).order
        by_hand = run.facts.get("started_by") == "hand"
        at = str(run.facts["started_at"]) if by_hand else iso(self.file.at)
        return order_of(at, None, run.run)


NOBODY_ASKED = "nobody has asked for it"


def _order_of(record: Item, run: str) -> str:
    """Return a run's place by its record, "" where that does not tell."""
    members = record.get("set", {}).get("members", [])
    own = next((member["order"] for member in members if member["run"] == run), "")
    return str(own or ("" if members else record.get("ticket", "")))


def _was(last: Known, stands: Known | None) -> str:
    """Say what has become of a file."""
    told = f"{last.status}: {last.facts['error']}" if last.facts.get("error") else last.status
    revision = stands.facts.get("pipeline_version") if stands else None
    if stands and last is not stands:
        told = f"{told}; before it {stands.status}"
    return f"{told}, revision {revision}" if revision is not None else told


def _gone(past: Past, there: Collection[Version], which: Which) -> list[LeftOut]:
    """Return the files that were processed and lie in the inbox no more."""
    asked = {FAILED: ENDED_BADLY, MISSED: ()}.get(which.kind)
    return [
        LeftOut(
            version[1],
            version[2],
            iso(from_iso(runs[-1].source["dropped_at"])),
            f"this version is no longer in the inbox; see what came of it: stp show {runs[-1].run}",
        )
        for version, runs in past.runs.items()
        if version not in there and version[2] and (asked is None or runs[-1].status in asked)
    ]

"""What has become of files: by the lines of ended runs in the outbox, and by Step Functions.

The lines stay, Step Functions forgets a run after 90 days. It is asked for what has no line: runs
that go on, that have just ended, or whose end was never told.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import Any

from stp.pace import side_by_side
from stp.run_facts import BAD, GOING, RUNNING
from stp.runs import MOST_LISTED, MOST_RECORDS, listed, read, records_of
from stp.stack import Stack
from stp.unknown_files import CLOCKS, LONGEST_AGO
from straight_through.moments import from_iso
from straight_through.names import RUNS
from straight_through.queue.table import Item

Version = tuple[str, str, str]  # bucket, key and version id of a dropped file
Tell = Callable[[str], None]
RELEASES = "Releases"  # the status of a run that processes nothing


@dataclass(frozen=True)
class Known:
    """What is known of a run of a file: a line's or an execution's facts, and its record."""

    run: str
    status: str
    facts: Item
    record: Item
    arn: str = ""  # while Step Functions knows it

    @property
    def version(self) -> Version:
        """The file's version that it has processed."""
        file = self.facts.get("source") or self.facts["file"]
        return file["bucket"], file["key"], file["version_id"]

    @property
    def source(self) -> Item:
        """What is known of the file beside its version."""
        return self.facts.get("source") or self.record.get("source") or {}

    @property
    def set(self) -> Item:
        """The period and version of the set that it has run, empty for any other."""
        found = self.facts.get("set") or {}
        return found if found.get("version") else {}


@dataclass(frozen=True)
class Past:
    """All that is known of some files."""

    runs: dict[Version, list[Known]]  # by the version that each is of, the oldest start first
    sets: dict[str, list[Known]]  # the runs of the route's sets, by period; likewise
    names: frozenset[str]  # of every run that there is a word of, whatever it is of
    samples: list[str]  # ARNs of the route's newest runs that ended well, the newest first


@dataclass(frozen=True)
class Wanted:
    """The files that are asked about: of a route, dropped in a time."""

    route: str
    since: datetime
    until: datetime
    own: Mapping[str, Version]  # versions in the inbox, by the names that their drops give runs

    @cached_property
    def versions(self) -> frozenset[Version]:
        """The versions in the inbox."""
        return frozenset(self.own.values())

    def of(self, version: Version, route: str | None, source: Mapping[str, Any]) -> bool:
        """Whether a run's file is one of them, or was one and lies in the inbox no more."""
        if version in self.versions:
            return True
        at = source.get("dropped_at")
        return bool(route == self.route and at and self.since <= from_iso(at) < self.until)


def past_of(stack: Stack, wanted: Wanted, routes: Collection[str], tell: Tell) -> Past:
    """Return what is known of files, and of the sets of their route."""
    lines = _lines(stack, wanted.since)
    back = max(wanted.since - CLOCKS, datetime.now(UTC) - LONGEST_AGO)
    # Of each its status alone: there may be a million.
    executions = {
        each["name"]: str(each["status"]) for each in listed(stack, back, at_once=MOST_LISTED)
    }
    samples: list[str] = []
    chosen: list[tuple[str, Item]] = []
    names = [*executions, *(name for name in lines if name not in executions)]
    for at in range(0, len(names), MOST_RECORDS):
        some = names[at : at + MOST_RECORDS]
        records = records_of(stack, some)
        tell(f"{min(at + MOST_RECORDS, len(names)):,} of {len(names):,} runs")
        for name in some:
            record, status = records.get(name, {}), executions.get(name, "")
            if status == "SUCCEEDED" and _made(record, wanted.route):
                samples.append(stack.execution_arn(name))
            if _may_be_of(name, record, wanted, status, lines):
                chosen.append((name, record))

    def known(each: tuple[str, Item]) -> Known:
        name, record = each
        return _known(stack, name, record, executions.get(name, ""), lines.get(name), routes)

    stack.client("s3"), stack.client("stepfunctions")  # boto3's session makes one at a time
    past = Past({}, {}, frozenset(names), samples or _newest(stack, wanted.route))
    found = []
    for each in side_by_side(known, chosen):
        found.append(each)
        tell(f"{len(found):,} of {len(chosen):,} runs of these files")
    for each in sorted(found, key=lambda each: str(each.facts["started_at"])):
        route = each.facts.get("route")
        if wanted.of(each.version, route, each.source):
            past.runs.setdefault(each.version, []).append(each)
        if each.set and route == wanted.route:
            past.sets.setdefault(each.set["period"], []).append(each)
    return past


def source_of(record: Item) -> Version | None:
    """Return the version that a run's record has pinned, None where it has none."""
    source = record.get("source")
    return (source["bucket"], source["key"], source["version_id"]) if source else None


def _lines(stack: Stack, since: datetime) -> dict[str, str]:
    """Return the keys of the lines of all runs since a month, by the runs' names."""
    pages = stack.client("s3").get_paginator("list_objects_v2")
    bucket = stack.outputs["OutboxBucket"]
    return {
        each["Key"].rpartition("/")[2].removesuffix(".json"): each["Key"]
        for folder in _months(since)
        for page in pages.paginate(Bucket=bucket, Prefix=folder)
        for each in page.get("Contents", ())
    }


def _months(since: datetime) -> Iterator[str]:
    """Yield the folders of the lines of runs that were started since then."""
    first, last = (since - CLOCKS).astimezone(UTC), datetime.now(UTC) + CLOCKS
    for month in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
        yield f"{RUNS}/year={month // 12:04}/month={month % 12 + 1:02}/"


def _newest(stack: Stack, route: str) -> list[str]:
    """Return the ARNs of a route's runs that ended well, of the newest of all."""
    newest = islice(listed(stack, None, at_once=MOST_LISTED), MOST_LISTED)
    names = [each["name"] for each in newest if each["status"] == "SUCCEEDED"]
    found = []
    for at in range(0, len(names), MOST_RECORDS):
        some = names[at : at + MOST_RECORDS]
        records = records_of(stack, some)
        found += [name for name in some if _made(records.get(name, {}), route)]
    return [stack.execution_arn(name) for name in found]


def _made(record: Item, route: str) -> bool:
    """Whether a run of the route has made an execution."""
    return record.get("route") == route and "execution" in record


def _may_be_of(
    name: str,
    record: Item,
    wanted: Wanted,
    status: str,
    lines: Collection[str],
) -> bool:
    """Whether a run may be of one of the files; what its record does not tell is looked up.

    `status` is Step Functions' word, "" where it does not know the run.
    """
    version, route = source_of(record), record.get("route")
    if version is None:
        known = name in wanted.own or name in lines or status in GOING
        return known and "cause" not in record
    claimed = record.get("set", {}).get("version") and route == wanted.route
    return bool(claimed) or wanted.of(version, route, record["source"])


def _known(
    stack: Stack,
    name: str,
    record: Item,
    told: str,
    line: str | None,
    routes: Collection[str],
) -> Known:
    """Return what is known of one run; `told` is Step Functions' word, "" where it knows none."""
    arn = stack.execution_arn(name) if told else ""
    if line and told not in GOING:
        bucket = stack.outputs["OutboxBucket"]
        row = json.loads(stack.client("s3").get_object(Bucket=bucket, Key=line)["Body"].read())
        if not told or _agree(row["status"], told):
            return Known(name, _of_release(row, row["status"]), row, record, arn)
    run = read(stack, arn, routes, record)
    status = RUNNING if run.running else run.status
    facts = run.facts | {"releases": run.releases or None}
    return Known(name, _of_release(facts, status), facts, record, arn)


def _of_release(facts: Item, status: str) -> str:
    """Return a run's status; one that only releases another has processed no file."""
    return RELEASES if facts.get("releases") else status


def _agree(status: str, told: str) -> bool:
    """Whether a line is of the end that Step Functions tells: a redrive's may not be there yet."""
    return BAD[told] == status if told in BAD else status not in BAD.values()

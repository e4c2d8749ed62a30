"""Plans of a replay: which versions of which files are processed again, in the order of drops.

A plan is one object of the outbox. The name of each of its runs is made of the plan and of the
file, so that Step Functions starts none twice, and how far a plan has come is read from there.
"""

import hashlib
import json
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from quantemplate import __version__
from stp.said import NO_STACK, UNKNOWN, Stop
from stp.stack import Stack
from stp.unknown_files import LONGEST_AGO
from straight_through.aws import answer_of
from straight_through.moments import from_iso, iso
from straight_through.names import LONGEST_RUN_NAME, REPLAYS

SCHEMA = 1
PLAN = re.compile(rf"{REPLAYS}/[A-Za-z0-9-]+\.json")
MOST_TOLD = 20  # plans that are listed


@dataclass(frozen=True)
class Planned:
    """A file of a plan; `run` is the name of the run that processes it, started with `input`."""

    run: str
    input: dict[str, Any]
    dropped_at: str
    was: str  # what has become of it before, as people read it
    supersedes: str | None  # the run whose results its own replace
    last: str | None  # the run by which it was chosen
    last_status: str | None
    known: list[str]  # all runs of this version that there were when the plan was made
    period: str | None = None  # of the set that it is of
    set_version: int = 0

    @property
    def key(self) -> str:
        """The file's key."""
        return str(self.input["key"])

    @property
    def version(self) -> tuple[str, str, str]:
        """The file's version."""
        return self.input["bucket"], self.input["key"], self.input["version_id"]


@dataclass(frozen=True)
class Plan:
    """What a replay is to do; moments are ISO 8601 in UTC."""

    id: str  # ids sort by the time at which they were made
    made_at: str
    route: str
    since: str
    until: str
    which: str
    per_hour: float | None
    chain: bool  # whether it was agreed that its route chains on
    files: list[Planned]

    @property
    def made(self) -> datetime:
        """When it was made."""
        return from_iso(self.made_at)


def new_id(now: datetime) -> str:
    """Return a plan's id."""
    return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def replay_name(first: str, plan: str) -> str:
    """Return the name of a plan's run of a file; `first` is the name that the drop gives its run.

    It is the same for the same plan and version, and for no other.
    """
    fingerprint = hashlib.sha256(f"{plan}\0{first}".encode()).hexdigest()[:12]
    mark = f"-replay-{fingerprint}"
    return first[: LONGEST_RUN_NAME - len(mark)].rstrip("-") + mark


def put_plan(stack: Stack, plan: Plan) -> str:
    """Store a plan; return its address. Raises Stop where AWS lets nobody."""
    bucket, key = stack.outputs["OutboxBucket"], _key(plan.id)
    document = {"schema": SCHEMA, "made_by": f"straight-through {__version__}", **asdict(plan)}
    try:
        stack.client("s3").put_object(
            Bucket=bucket,
            Key=key,
            Body=json.dumps(document, indent=1).encode(),
            ContentType="application/json",
            IfNoneMatch="*",
        )
    except ClientError as error:
        if answer_of(error)[1] != "AccessDenied":
            raise
        raise Stop(
            f"Nothing was started: your AWS user may not keep the plan at s3://{bucket}/{key}. "
            f"Have s3:PutObject allowed for {REPLAYS}/* of the outbox.",
            NO_STACK,
        ) from None
    return f"s3://{bucket}/{key}"


def plan_of(stack: Stack, plan_id: str) -> Plan:
    """Return the plan of this id. Raises Stop where there is none, or it is too old to go on."""
    bucket = stack.outputs["OutboxBucket"]
    try:
        found = stack.client("s3").get_object(Bucket=bucket, Key=_key(plan_id))
    except ClientError as error:
        if answer_of(error)[1] != "NoSuchKey":
            raise
        raise Stop(f"There is no plan {plan_id!r}. See them: stp replay --plans", UNKNOWN) from None
    plan = _read(found)
    if plan.made < datetime.now(UTC) - LONGEST_AGO:
        # The names of its runs are free again: what has run would run once more.
        raise Stop(
            f"Plan {plan_id} is older than 90 days, for which Step Functions knows runs: how far "
            "it has come cannot be told any more. Make a new one: stp replay --route "
            f"{plan.route} --since … --until …"
        )
    return plan


def newest_plans(stack: Stack) -> list[Plan]:
    """Return the newest plans, the newest first."""
    s3, bucket = stack.client("s3"), stack.outputs["OutboxBucket"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{REPLAYS}/")
    keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
    own = [key for key in keys if PLAN.fullmatch(key)]
    return [_read(s3.get_object(Bucket=bucket, Key=key)) for key in own[: -MOST_TOLD - 1 : -1]]


def made_now(**known: Any) -> Plan:
    """Return a plan without files, made now."""
    now = datetime.now(UTC)
    return Plan(id=new_id(now), made_at=iso(now), files=[], **known)


def _read(found: Any) -> Plan:
    """Return the plan of an object. Raises Stop for one that another release has made."""
    document: dict[str, Any] = json.loads(found["Body"].read())
    schema, made_by = document.pop("schema"), document.pop("made_by")
    if schema != SCHEMA:
        raise Stop(f"A plan is of another release, {made_by}: use the stp that has made it.")
    return Plan(**document | {"files": [Planned(**each) for each in document["files"]]})


def _key(plan_id: str) -> str:
    """Return the key of a plan's object."""
    return f"{REPLAYS}/{plan_id}.json"

"""Where copies of a run's outputs go: any number of S3 URIs, each for itself."""

import re
from collections import Counter
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from straight_through.aws import answer_of, passes
from straight_through.buckets.s3_objects import copy_if_newer
from straight_through.errors import (
    DestinationClash,
    DestinationFailed,
    OutboxUnavailable,
    OutputMissing,
    RouteInvalid,
)
from straight_through.names import lineage_of, stem_of
from straight_through.routes import Route
from straight_through.run_state import (
    Exported,
    RunState,
    StoredOutput,
    began_of,
    inbox_of,
    named_key,
    stored,
)
from straight_through.selection import matches
from straight_through.text import listed, shown

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MOST_TOLD = 5  # copies that failed, of those that a message names
LONGEST_URI = 400  # characters of each


def targets_of(state: RunState, route: Route) -> list[tuple[StoredOutput, str]]:
    """Return each output of the run with each URI that it goes to.

    Raises DestinationClash where two would meet on one key, RouteInvalid for one in the inbox.
    """
    inbox = inbox_of(state)
    for uri in route.destinations:
        if uri.startswith(f"s3://{inbox}/"):
            raise RouteInvalid(
                f"Route {route.name!r}: field 'destinations' has {uri!r}, which lies in the inbox; "
                "expected is another bucket. What is to go through another route goes there by "
                "'then', which never goes round for ever. Mend the route, then redrive the "
                "run. Nothing was exported."
            )
    outputs = [o for o in stored(state) if matches(o["name"], route.outputs)]
    found = [
        (output, _filled(uri, state, output)) for uri in route.destinations for output in outputs
    ]
    (uri, times), *_ = Counter(uri for _, uri in found).most_common(1) or [("", 0)]
    if times > 1:
        names = listed([output["name"] for output, other in found if other == uri])
        raise DestinationClash(
            f"Outputs {names} would all go to {shown(uri, LONGEST_URI)}, and only one would stay. "
            "Let the destination "
            "hold {output}, then redrive the run. Nothing was exported."
        )
    return found


def export(s3: "S3Client", bucket: str, state: RunState, route: Route) -> list[Exported]:
    """Copy the outputs to all destinations; return what became of each.

    One that fails keeps no other from its own: while any of the failures may pass by itself it is
    OutboxUnavailable, which is tried again. Raises DestinationFailed, OutboxUnavailable.
    """
    done: list[Exported] = []
    failed, passing = [], False
    for output, uri in targets_of(state, route):
        target_bucket, _, key = uri.removeprefix("s3://").partition("/")
        metadata = lineage_of(state["run"], state["source"]) | {
            "output": output["id"],
            "order": state["order"],
        }
        try:
            outcome = copy_if_newer(s3, (bucket, output["key"]), (target_bucket, key), metadata)
        except (BotoCoreError, ClientError, OutboxUnavailable, OutputMissing) as error:
            failed.append(f"{shown(uri, LONGEST_URI)} ({_reason(error)})")
            passing = passing or (not isinstance(error, OutputMissing) and passes(error))
            continue
        done.append({"output": output["name"], "uri": uri, "outcome": outcome})
    if not failed:
        return done
    more = f" … and {len(failed) - MOST_TOLD:,} more" if len(failed) > MOST_TOLD else ""
    told = (
        f"{len(failed)} of {len(failed) + len(done)} exports failed: "
        f"{'; '.join(failed[:MOST_TOLD])}{more}."
    )
    if passing:
        raise OutboxUnavailable(f"{told} Redrive the run: only these are repeated.")
    there = " The others are there." if done else ""
    raise DestinationFailed(
        f"{told}{there} Let the role of the PublishRun function write to them (the parameter "
        "DestinationBuckets, and the bucket's own policy in another account), or mend the route; "
        "then redrive the run: only these are repeated."
    )


def _filled(uri: str, state: RunState, output: StoredOutput) -> str:
    """Return a destination with its placeholders filled in."""
    values = {
        "route": state["route"],
        "stem": stem_of(state["route"], named_key(state["route"], state["source"]), state["run"]),
        "date": began_of(state)[:10],
        "output": output["key"].rpartition("/")[2].removesuffix(".csv"),
        "run": state["run"],
    }
    return re.sub(r"\{(\w+)\}", lambda placeholder: values[placeholder[1]], uri)


def _reason(error: Exception) -> str:
    """Return why a copy failed, in a word or two."""
    if isinstance(error, ClientError):
        return "S3 answered {}, {}".format(*answer_of(error))
    if isinstance(error, OutputMissing):
        return "the output is gone from the outbox"
    return type(error).__name__

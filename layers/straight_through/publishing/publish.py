"""What becomes of a run's outputs: held at a gate, or exported and chained on."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from quantemplate.times import moment_of
from straight_through.buckets.outbox import TO_REMOVE, made_nothing, manifest_of, store_manifest
from straight_through.buckets.outbox_refusals import refusals_at
from straight_through.buckets.s3_objects import copy_if_newer
from straight_through.errors import OutputMissing
from straight_through.names import held_folder, lineage_of, run_folder
from straight_through.publishing.chain import chain_on, path_of, require_inside, require_no_cycle
from straight_through.publishing.destinations import export, targets_of
from straight_through.routes import Route, Routes
from straight_through.run_state import (
    ExecutionState,
    HeldOutput,
    Result,
    RunState,
    StoredOutput,
    named_key,
    stored,
)
from straight_through.selection import matches
from straight_through.statuses import HELD, SKIPPED, SUCCEEDED
from straight_through.text import shown

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MOST_TOLD = 64 * 1024  # bytes of JSON of each list in a result: a state's payload is 256 KB


def rows_at_gate(state: RunState, route: Route) -> list[HeldOutput]:
    """Return what holds the run back: outputs with rows, a file with few, and what is not counted.

    Raises OutputMissing where the route has named one since the outputs were fetched: a gate that
    cannot be looked at lets nothing pass.
    """
    names = [output["name"] for output in stored(state)]
    for pattern in route.hold_if_rows:
        if pattern != "*" and not any(matches(name, (pattern,)) for name in names):
            made = state["quantemplate"]
            run = made["execution_id"] if made else ""
            raise OutputMissing(
                f"The gate's output '{shown(pattern)}' was not fetched: the route has named it "
                "since. Start a new run with the file's bucket and key and "
                f'"execution_id": "{run}", which fetches it; '
                "or mend the route, then redrive the run."
            )
    found: list[HeldOutput] = []
    for output in stored(state):
        if output["rows"] != 0 and matches(output["name"], route.hold_if_rows):
            found.append({"name": output["name"], "rows": output["rows"]})
            if output.get("rows_reason"):
                found[-1]["reason"] = output["rows_reason"]
    return found + _few_rows(state, route)


def _few_rows(state: RunState, route: Route) -> list[HeldOutput]:
    """Return the file, if it has fewer rows than the route expects, or they are not counted."""
    least, source = route.hold_if_fewer_rows, state["source"]
    if least is None or source is None:
        return []
    rows = source.get("rows")
    if rows is not None and rows >= least:
        return []
    name = source["key"].rpartition("/")[2]
    found: HeldOutput = {"name": name, "rows": rows, "fewer_than": int(least)}
    if reason := source.get("rows_reason"):
        found["reason"] = reason
    return [found]


def publish(
    s3: "S3Client",
    outbox: str,
    state: RunState,
    route: Route,
    routes: Routes,
    *,
    inbox_prefix: str = "",
    released: bool = False,
) -> Result:
    """Hold the run, or export it and chain it on, its manifest last; return what became of it.

    `inbox_prefix` is how the keys begin that start a run. Every part may be repeated. Raises
    RouteInvalid, DestinationClash, DestinationFailed, ChainCycle, NoRoute,
    OutboxUnavailable, OutboxDenied.
    """
    if state["status"] == SKIPPED:
        return _finish(s3, outbox, route, state, _folder(state))
    held = [] if released else rows_at_gate(state, route)
    if held:
        state |= {"status": HELD, "held": held}
        return _finish(s3, outbox, route, state, _held(state))
    targets_of(state, route)
    require_inside(route, inbox_prefix)
    require_no_cycle(route, path_of(state), routes)
    staged = [o["key"] for o in stored(state) if o["key"].startswith(_held(state))]
    state |= {"status": SUCCEEDED, "outputs": _out_of_held(s3, outbox, state)}
    state["destinations"] = export(s3, outbox, state, route)
    state["chained"] = chain_on(s3, outbox, state, route)
    finished = _finish(s3, outbox, route, state, _folder(state))
    for key in staged:  # last: until then all can be repeated
        with refusals_at(outbox, key, "deleted"):
            s3.delete_object(Bucket=outbox, Key=key)
    return finished


def _finish(s3: "S3Client", outbox: str, route: Route, state: RunState, folder: str) -> Result:
    """Write the manifest and return the execution's result."""
    manifest = manifest_of(state)
    key = store_manifest(s3, outbox, folder, manifest)
    rows, held, source = _rows_by_name(stored(state)), manifest["held"], state["source"]
    rows_told, held_told = dict(_fitting(rows.items())), _fitting(held)
    made: Mapping[str, Any] = state["quantemplate"] or {}
    left_out = len(rows) - len(rows_told) + len(held) - len(held_told)
    result: Result = {
        "run": state["run"],
        "route": state["route"],
        "status": state["status"],
        "bucket": outbox,
        "manifest": key,
        "notify": route.notify,
        "queue": route.queue,
        "ran_seconds": _ran(state["quantemplate"]),
        "pipeline_version": made.get("pipeline_version"),
        "pipeline_version_before": made.get("pipeline_version_before"),
        "rows_in": _rows_in(state),
        "rows_out": rows_told,
        "exported": len(manifest["destinations"]),
        "chained": len(manifest["chained"]),
    }
    if "set" in state:
        result["set"] = state["set"]
    if source and (reason := source.get("rows_reason")):
        result["rows_in_reason"] = reason
    if cause := state.get("cause"):
        result["cause"] = cause
    if held:
        result["held"] = held_told
    if left_out:
        result["left_out"] = left_out
    if state["identical_to"]:
        result["identical_to"] = state["identical_to"]
    if made_nothing(state):
        result["no_outputs"] = True
    if state.get("not_ours"):
        result["not_ours"] = state["not_ours"]
    return result


def _out_of_held(s3: "S3Client", outbox: str, state: RunState) -> list[StoredOutput]:
    """Put outputs that passed the gate, or were released, where those of other runs lie."""
    moved: list[StoredOutput] = []
    for output in stored(state):
        key = output["key"]
        if key.startswith(_held(state)):
            target = _folder(state) + key.removeprefix(_held(state))
            metadata = lineage_of(state["run"], state["source"]) | {
                "output": output["id"],
                "order": state["order"],
            }
            with refusals_at(outbox, target):
                copy_if_newer(s3, (outbox, key), (outbox, target), metadata, TO_REMOVE)
            key = target
        moved.append(output | {"key": key})
    return moved


def _fitting(entries: Iterable[Any]) -> list[Any]:
    """Return the first entries, as many as a result has room for."""
    found, room = [], MOST_TOLD
    for entry in entries:
        room -= len(json.dumps(entry)) + 2
        if room < 0:
            break
        found.append(entry)
    return found


def _rows_in(state: RunState) -> int | None:
    """Return the rows of the run's file, or of all files of a set; None where some do not tell."""
    own, members = state["source"], state.get("members", [])
    rows = [file["rows"] for file in members] or ([own["rows"]] if own else [])
    counted = [each for each in rows if each is not None]
    return sum(counted) if counted and len(counted) == len(rows) else None


def _rows_by_name(outputs: Sequence[StoredOutput]) -> dict[str, int | None]:
    """Return the rows of all outputs of each name, None where one is not counted."""
    rows: dict[str, int | None] = {}
    for output in outputs:
        before, more = rows.get(output["name"], 0), output["rows"]
        rows[output["name"]] = None if before is None or more is None else before + more
    return rows


def _ran(run: ExecutionState | None) -> float | None:
    """Return the seconds that the pipeline ran, None where Quantemplate's times do not tell."""
    if run is None:
        return None
    begun, ended = moment_of(run.get("started_at")), moment_of(run.get("finished_at"))
    if begun is None or ended is None or ended < begun:
        return None
    return (ended - begun).total_seconds()


def _folder(state: RunState) -> str:
    """Return the run's folder."""
    return run_folder(state["route"], _key(state), state["run"])


def _held(state: RunState) -> str:
    """Return the run's folder at the gate."""
    return held_folder(state["route"], _key(state), state["run"])


def _key(state: RunState) -> str | None:
    """Return the key that the run's folders are named by."""
    return named_key(state["route"], state["source"])

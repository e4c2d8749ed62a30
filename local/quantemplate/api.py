"""The API of Quantemplate: six operations, each refused as the real server would refuse it."""

from __future__ import annotations

from collections.abc import Callable

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from local.quantemplate import delivery, trouble
from local.quantemplate.account import ORGANISATION, Account
from local.quantemplate.datasets import Dataset
from local.quantemplate.messages import Call, Refused, Reply, json_reply
from local.quantemplate.pipelines import API_USER, Pipeline, plan_from
from local.quantemplate.trouble import Trouble, not_found

API_PATH = "/external/v1"
TOKEN_PATH = "/auth/realms/qt/protocol/openid-connect/token"
_DATASET = f"{API_PATH}/organisations/<organisation>/datasets/<dataset>"
_EXECUTIONS = f"{API_PATH}/organisations/<organisation>/pipelines/<pipeline>/executions"

ROUTES = Map(
    [
        Rule(TOKEN_PATH, methods=["POST"], endpoint="token"),
        Rule(_DATASET, methods=["POST"], endpoint="upload_dataset"),
        Rule(_DATASET, methods=["GET"], endpoint="download_dataset"),
        Rule(_EXECUTIONS, methods=["POST"], endpoint="execute_pipeline"),
        Rule(_EXECUTIONS, methods=["GET"], endpoint="list_executions"),
        Rule(
            f"{_EXECUTIONS}/<execution>/outputs/<output>",
            methods=["GET"],
            endpoint="download_output",
        ),
    ],
    strict_slashes=False,
    merge_slashes=False,
)
Ids = dict[str, str]


def answer(account: Account, call: Call) -> Reply:
    """Answer one call; a refusal is noted in the journal and comes back as its reply."""
    operation = None
    try:
        operation, ids = _route(call)
        if operation != "token":
            account.tokens.check(call)
            _check_ids(account, ids)
        return _performed(account, call, operation, ids)
    except Refused as refusal:
        account.journal.note(
            "refused",
            operation=operation,
            method=call.method,
            path=call.path,
            status=refusal.reply.status,
            reason=refusal.reason,
        )
        return refusal.reply


def _route(call: Call) -> tuple[str, Ids]:
    try:
        operation, ids = ROUTES.bind("").match(call.path, call.method)
    except NotFound as error:
        raise Refused(Reply(404, b"Not Found"), "no such path") from error
    except MethodNotAllowed as error:
        allow = {"Allow": ", ".join(error.valid_methods or ())}
        raise Refused(Reply(405, b"Method Not Allowed", headers=allow), "wrong method") from error
    return operation, dict(ids)


def _check_ids(account: Account, ids: Ids) -> None:
    """Refuse an organisation that is not ours, and what does not exist or is not shared."""
    if ids["organisation"] != ORGANISATION:
        raise Refused(Reply(403, b"Forbidden"), "not the user's organisation")
    with account.journal.lock:
        found: Dataset | Pipeline | None
        if "dataset" in ids:
            found = account.datasets.by_id.get(ids["dataset"])
        else:
            found = account.pipelines.by_id.get(ids["pipeline"])
    if found is None:
        raise Refused(not_found(ids), "unknown dataset or pipeline")
    if not found.shared:
        raise Refused(Reply(403, b"Forbidden"), "not shared with the API user")


def _performed(account: Account, call: Call, operation: str, ids: Ids) -> Reply:
    resource = ids.get("dataset") or ids.get("pipeline")
    troubles = account.troubles.take(operation, resource)
    reply = trouble.meet_before(troubles, call, ids)
    if reply is None:
        reply = OPERATIONS[operation](account, call, ids, troubles)
        reply = trouble.meet_after(troubles, call, reply, ids)
    return delivery.badly_delivered(troubles, reply)


def _token(account: Account, call: Call, _ids: Ids, troubles: dict[str, Trouble]) -> Reply:
    life = troubles.get("token_life")
    if life is None:
        return account.tokens.issue(call)
    return account.tokens.issue(call, life.seconds, told=life.seconds is not None)


def _upload_dataset(account: Account, call: Call, ids: Ids, troubles: dict[str, Trouble]) -> Reply:
    if call.headers.get("Content-Type", "").lower().startswith("multipart/"):
        raise Refused(Reply(400, b"The body is the raw file, not multipart"), "multipart body")
    if not call.has_length():
        raise Refused(Reply(411, b"Length Required"), "no length")
    dataset_id = ids["dataset"]
    with account.journal.lock:
        upload = account.datasets.begin(dataset_id)
        account.pipelines.upload_begins(upload, dataset_id)
    slow = troubles.get("slow_read")
    received = account.datasets.receive(
        upload, call.pieces(slow.bytes_per_second if slow else None)
    )
    if received is None:
        raise Refused(Reply(400, b"The body is empty"), "empty body")
    with account.journal.lock:
        account.datasets.overwrite(upload, received)
        account.pipelines.dataset_changed(dataset_id)
    return Reply(200)


def _download_dataset(
    account: Account, call: Call, ids: Ids, _troubles: dict[str, Trouble]
) -> Reply:
    with account.journal.lock:
        versions = account.datasets.by_id[ids["dataset"]].versions
        wanted = call.query.get("version", str(len(versions)))
        if not versions and "version" not in call.query:
            return Reply(204)
        found = next((version for version in versions if str(version.number) == wanted), None)
        if found is None:
            raise Refused(not_found(ids), "unknown version")
        account.journal.note("dataset_downloaded", **found.facts())
    return Reply(200, found.path, "text/csv; charset=utf-8")


def _execute_pipeline(
    account: Account, call: Call, ids: Ids, troubles: dict[str, Trouble]
) -> Reply:
    if call.has_body() and call.body():
        raise Refused(Reply(400, b"Execute takes no body"), "Execute with a body")
    order = troubles.get("run")
    plan = plan_from((order.run or {}) if order else {})
    return json_reply(account.pipelines.execute(ids["pipeline"], API_USER, plan))


def _list_executions(
    account: Account, _call: Call, ids: Ids, troubles: dict[str, Trouble]
) -> Reply:
    older = troubles.get("older")
    listed = account.pipelines.listed(ids["pipeline"], older.missing if older else 0)
    return Reply(200, listed, "application/json")


def _download_output(
    account: Account, _call: Call, ids: Ids, _troubles: dict[str, Trouble]
) -> Reply:
    with account.journal.lock:
        run = account.pipelines.find(ids["execution"])
        if run is None or run.pipeline.id != ids["pipeline"]:
            raise Refused(not_found(ids), "unknown execution")
        output = next((output for output in run.outputs if output.id == ids["output"]), None)
        if output is None:
            raise Refused(not_found(ids), "unknown output")
        account.journal.note(
            "output_downloaded", **run.facts(), output=output.id, sha256=output.sha256
        )
    return Reply(200, output.path, "text/csv; charset=utf-8")


OPERATIONS: dict[str, Callable[[Account, Call, Ids, dict[str, Trouble]], Reply]] = {
    "token": _token,
    "upload_dataset": _upload_dataset,
    "download_dataset": _download_dataset,
    "execute_pipeline": _execute_pipeline,
    "list_executions": _list_executions,
    "download_output": _download_output,
}

"""The control endpoint: what tests and demos tell the stand-in, beside the vendor's API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from local.quantemplate.account import Account
from local.quantemplate.clock import FORMS, Clock
from local.quantemplate.messages import Call, Reply, json_reply
from local.quantemplate.pipelines import SOMEBODY_ELSE, Plan, described, history_from, plan_from

CONTROL_PATH = "/control"


def answer(account: Account, call: Call) -> Reply:
    """Carry out one order; 400 with {"error"} says what is wrong with it."""
    try:
        endpoint, ids = ROUTES.bind("").match(call.path, call.method)
        content = call.json() if call.has_body() else {}
        result = ORDERS[endpoint](account, content, {**call.query, **ids})
    except (NotFound, MethodNotAllowed) as error:
        return json_reply({"error": f"no such order: {call.method} {call.path}"}, error.code)
    except (KeyError, TypeError, ValueError) as error:
        return json_reply({"error": str(error)}, 400)
    return json_reply(result)


def _settings(account: Account, _content: dict[str, Any], _ids: dict[str, str]) -> Any:
    return {
        "time_scale": account.pipelines.time_scale,
        "token_seconds": account.tokens.seconds,
        "clock_ahead": account.pipelines.clock.ahead,
        "times": account.pipelines.clock.times,
        "client_id": account.tokens.client_id,
        "client_secret": account.tokens.client_secret,
    }


def _set(account: Account, content: dict[str, Any], ids: dict[str, str]) -> Any:
    if unknown := set(content) - {"time_scale", "token_seconds", "clock_ahead", "times"}:
        raise ValueError(f"unknown settings {', '.join(sorted(unknown))}")
    clock = account.pipelines.clock
    times = content.get("times", clock.times)
    if times not in FORMS:
        raise ValueError(f"times is none of {', '.join(FORMS)}")
    ahead = float(content.get("clock_ahead", clock.ahead))
    account.pipelines.clock = Clock(ahead, times)
    account.pipelines.time_scale = float(content.get("time_scale", account.pipelines.time_scale))
    account.tokens.seconds = float(content.get("token_seconds", account.tokens.seconds))
    return _settings(account, content, ids)


def _rotate(account: Account, content: dict[str, Any], _ids: dict[str, str]) -> Any:
    with account.journal.lock:
        account.tokens.client_id = str(content.get("client_id", account.tokens.client_id))
        account.tokens.client_secret = str(content["client_secret"])
        account.journal.note("credentials_rotated")
    return {}


def _expire(account: Account, _content: dict[str, Any], _ids: dict[str, str]) -> Any:
    account.tokens.expire()
    return {}


def _datasets(account: Account, _content: dict[str, Any], _ids: dict[str, str]) -> Any:
    with account.journal.lock:
        return {
            dataset.id: {
                "shared": dataset.shared,
                "shared_with_all": dataset.shared_with_all,
                "versions": [
                    version.facts() | {"bytes": version.bytes} for version in dataset.versions
                ],
            }
            for dataset in account.datasets.by_id.values()
        }


def _define_dataset(account: Account, content: dict[str, Any], ids: dict[str, str]) -> Any:
    if unknown := set(content) - {"shared", "shared_with_all"}:
        raise ValueError(f"unknown fields {', '.join(sorted(unknown))}")
    account.define_dataset(ids["id"], **{name: bool(each) for name, each in content.items()})
    return {}


def _update_dataset(account: Account, content: dict[str, Any], ids: dict[str, str]) -> Any:
    if unknown := set(content) - {"content"}:
        raise ValueError(f"unknown fields {', '.join(sorted(unknown))}")
    given = content.get("content")
    account.update_dataset(ids["id"], None if given is None else str(given).encode())
    return {}


def _share_pipeline(account: Account, content: dict[str, Any], ids: dict[str, str]) -> Any:
    with account.journal.lock:
        account.pipelines.by_id[ids["id"]].shared_with_all = bool(content["shared_with_all"])
    return {}


def _events(account: Account, _content: dict[str, Any], _ids: dict[str, str]) -> Any:
    return account.events.report()


def _set_events(account: Account, content: dict[str, Any], _ids: dict[str, str]) -> Any:
    account.events.set(content)
    return account.events.report()


def _send_event(account: Account, content: dict[str, Any], _ids: dict[str, str]) -> Any:
    name, payload = content["name"], content["payload"]
    if not isinstance(name, str) or not isinstance(payload, dict) or len(content) > 2:
        raise ValueError("an event has a name, and an object for its payload")
    if not account.events.sending.url:
        raise ValueError("nobody has subscribed")
    account.events.tell(name, payload)
    return {}


def _pipelines(account: Account, _content: dict[str, Any], _ids: dict[str, str]) -> Any:
    with account.journal.lock:
        return {
            pipeline.id: described(pipeline)
            | {
                "runs": [
                    run.shown(account.pipelines.clock)
                    for run in account.pipelines.runs[pipeline.id]
                ]
            }
            for pipeline in account.pipelines.by_id.values()
        }


def _define_pipeline(account: Account, content: dict[str, Any], ids: dict[str, str]) -> Any:
    account.define_pipeline(ids["id"], content)
    return {}


def _history(account: Account, content: dict[str, Any], ids: dict[str, str]) -> Any:
    history = history_from(content)
    with account.journal.lock:
        account.pipelines.histories[ids["id"]] = history
    return {}


def _run(account: Account, content: dict[str, Any], _ids: dict[str, str]) -> Any:
    plan = plan_from({key: value for key, value in content.items() if key != "pipeline"})
    return account.pipelines.execute(content["pipeline"], SOMEBODY_ELSE, plan)


def _cancel(account: Account, content: dict[str, Any], ids: dict[str, str]) -> Any:
    return _end(account, ids["id"], Plan(end_status="Cancelled"), content)


def _finish(account: Account, content: dict[str, Any], ids: dict[str, str]) -> Any:
    return _end(account, ids["id"], Plan(), content)


def _end(account: Account, run_id: str, plan: Plan, content: dict[str, Any]) -> Any:
    if unknown := set(content) - {"end_status", "keep_outputs"}:
        raise ValueError(f"unknown fields {', '.join(sorted(unknown))}")
    if not account.pipelines.end_now(run_id, replace(plan, **content)):
        raise ValueError("no such run is going")
    return {}


def _troubles(account: Account, _content: dict[str, Any], _ids: dict[str, str]) -> Any:
    return account.troubles.waiting()


def _trouble(account: Account, content: dict[str, Any], _ids: dict[str, str]) -> Any:
    plan_from(content.get("run") or {})
    account.troubles.add(content)
    return {}


def _clear(account: Account, _content: dict[str, Any], _ids: dict[str, str]) -> Any:
    account.troubles.clear()
    return {}


def _journal(account: Account, _content: dict[str, Any], ids: dict[str, str]) -> Any:
    return account.journal.entries(int(ids.get("after", "0")))


ORDERS: dict[str, Callable[[Account, dict[str, Any], dict[str, str]], Any]] = {
    "GET /settings": _settings,
    "PUT /settings": _set,
    "PUT /credentials": _rotate,
    "POST /tokens/expire": _expire,
    "GET /datasets": _datasets,
    "PUT /datasets/<id>": _define_dataset,
    "POST /datasets/<id>/update": _update_dataset,
    "GET /pipelines": _pipelines,
    "PUT /pipelines/<id>": _define_pipeline,
    "PUT /pipelines/<id>/history": _history,
    "PUT /pipelines/<id>/sharing": _share_pipeline,
    "POST /runs": _run,
    "POST /runs/<id>/cancel": _cancel,
    "POST /runs/<id>/finish": _finish,
    "GET /troubles": _troubles,
    "POST /troubles": _trouble,
    "DELETE /troubles": _clear,
    "GET /events": _events,
    "PUT /events": _set_events,
    "POST /events": _send_event,
    "GET /journal": _journal,
}
ROUTES = Map(
    [
        Rule(CONTROL_PATH + path, methods=[method], endpoint=f"{method} {path}")
        for method, path in map(str.split, ORDERS)
    ]
)

"""The functions' own handlers, loaded once, with the model's world in the place of AWS."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import straight_through.aws
import straight_through.executing.check_status
import straight_through.executing.connection
import straight_through.executing.execute_once
import straight_through.executing.upload_and_execute
import straight_through.gathering.sets
import straight_through.queue.pauses
import straight_through.queue.reconcile
import straight_through.queue.table
import straight_through.queue.turns
import straight_through.routes
import straight_through.telling.ends

if TYPE_CHECKING:
    from tests.model.world import World

FOLDER = Path(__file__).parents[2] / "functions"
SECONDS = {  # the functions' time-outs, as in the template
    "start_run": 30,
    "check_file": 120,
    "take_turn": 120,
    "upload_and_execute": 900,
    "check_status": 120,
    "run_ended": 60,
    "sweep_queues": 120,
    "pause_queue": 60,
    "take_event": 30,
}
ENVIRONMENT = {
    "POWERTOOLS_SERVICE_NAME": "model",
    "POWERTOOLS_METRICS_NAMESPACE": "Model",
    "TURNS_TABLE": "turns",
    "ROUTES_PATH": "/routes",
    "TOPIC_ARN": "topic",
    "STATE_MACHINE_ARN": "machine",
    "IGNORE_PATTERNS": ".*",
    "CREDENTIALS_SECRET_ARN": "secret",
    "QUANTEMPLATE_API_URL": "https://quantemplate.test/api",
    "QUANTEMPLATE_TOKEN_URL": "https://quantemplate.test/token",
    "LATE_LIST_SECONDS": "120",
    "QUANTEMPLATE_EVENTS": "on",
    "EVENTS_KEY_SECRET_ARN": "key",
    "EMPTY_FILE_MINUTES": "10",
    "SET_WAIT_HOURS": "48",
    "OUTBOX_BUCKET": "outbox",
    "INBOX_BUCKET": "inbox",
    "INBOX_PREFIX": "",
    "LARGEST_UNZIPPED_GB": "20",
    "LARGEST_UNZIPPED_RATIO": "500",
    "API_PATIENCE_HOURS": "12",
    "BUSY_DEADLINE_HOURS": "24",
    "PIPELINE_DEADLINE_HOURS": "168",
    "TURN_DEADLINE_HOURS": "720",
    "QUEUE_ALARM_HOURS": "4",
    "MOST_UPDATE_RUNS_AN_HOUR": "3",
    "PIPELINE_PAGE_URL": "",
    "TAGGED_FILES": "",
}


class Quiet:
    """A logger and metrics that say nothing."""

    def __getattr__(self, _name: str) -> Any:
        """Return a method that does nothing."""
        return lambda *_given, **_named: None


class Functions:
    """The handlers, before the world that is set last."""

    def __init__(self) -> None:
        """Load nothing yet."""
        self.world: World | None = None
        self.apps: dict[str, ModuleType] = {}

    def begin(self, world: "World", *, hears: bool = False) -> None:
        """Be the functions of another world, each in a new process; one may hear of events."""
        self.world = world
        looks = self.apps["check_status"].step
        looks._settings = replace(looks._settings, quantemplate_events="on" if hears else "off")
        for app in self.apps.values():
            if hasattr(app, "intake"):
                app.intake.routes.forget()

    def handler(self, name: str) -> Any:
        """Return a function's handler without its logging."""
        handler = self.apps[name].handler
        return getattr(handler, "__wrapped__", handler)

    def service(self, name: str, *_given: Any, **_named: Any) -> Any:
        """Return what takes the place of a client of AWS."""
        return Service(self, name)


class Service:
    """One of the services of the world that is set last."""

    def __init__(self, functions: Functions, name: str) -> None:
        """Keep its name."""
        self._functions = functions
        self._name = name

    def __getattr__(self, call: str) -> Any:
        """Return one of its calls."""
        assert self._functions.world
        return getattr(self._functions.world.services[self._name], call)


@contextmanager
def loaded() -> Iterator[Functions]:
    """Load the functions, with virtual time for them and the layer."""
    functions = Functions()

    class VirtualTime(datetime):
        """The world's clock."""

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            """Return the time there."""
            assert functions.world
            return functions.world.now().astimezone(tz)

    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        for module in (straight_through.aws, straight_through.executing.connection):
            patch.setattr(module, "client", functions.service)
        asked = Service(functions, "quantemplate")
        patch.setattr(straight_through.executing.connection, "connection", lambda *_: asked)
        steps = (
            straight_through.executing.upload_and_execute,
            straight_through.executing.check_status,
            straight_through.telling.ends,
        )
        for module in steps:
            patch.setattr(module, "metrics", Quiet())
        # The model itself says when the next try comes.
        for module in (straight_through.queue.table, straight_through.gathering.sets):
            patch.setattr(module, "back_off", lambda _tried: None)
        for name in SECONDS:
            app = _load(name)
            patch.setattr(app, "logger", Quiet())
            for part in ("step", "ends"):
                if hasattr(app, part):
                    patch.setattr(getattr(app, part), "_logger", Quiet())
            patch.setattr(app, "metrics", Quiet(), raising=False)
            patch.setattr(app, "datetime", VirtualTime, raising=False)
            functions.apps[name] = app
        for module in (
            *steps,
            straight_through.routes,
            straight_through.queue.turns,
            straight_through.executing.execute_once,
            straight_through.queue.pauses,
            straight_through.queue.reconcile,
        ):
            patch.setattr(module, "datetime", VirtualTime)
        yield functions


def _load(name: str) -> ModuleType:
    """Import one function's app under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"model_{name}", FOLDER / name / "app.py")
    assert spec
    assert spec.loader
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    return app


def context_of(deadline: datetime, world: "World") -> SimpleNamespace:
    """Return what Lambda passes beside the event."""
    left = lambda: int((deadline - world.now()).total_seconds() * 1000)  # noqa: E731
    return SimpleNamespace(get_remaining_time_in_millis=left)

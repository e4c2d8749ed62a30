"""How long a route's runs usually take: Quantemplate is asked, within the time that people wait."""

import statistics
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from stp.queues import routes_of
from stp.route_files import deployed_documents
from stp.stack import Stack
from straight_through.errors import StraightThroughError
from straight_through.routes import Route

Found = TypeVar("Found")
PATIENCE = 5.0  # seconds for an answer that is told beside something else


class HowLong:
    """What is known of each route; each pipeline is asked for once."""

    def __init__(
        self, stack: Stack, note: Callable[[str], None], patience: float = PATIENCE
    ) -> None:
        """Take whom to tell, once, that it cannot be known."""
        self._stack, self._note, self._patience = stack, note, patience
        self._routes: dict[str, Route] | None = None
        self._known: dict[str, float | None] = {}
        self._asking = True

    def __call__(self, name: str) -> float | None:
        """Return the seconds that a route's runs usually take, None where it is not known."""
        if self._routes is None:
            self._routes = routes_of(deployed_documents(self._stack))
        route = self._routes.get(name)
        if route is None:
            return None
        if route.pipeline_id not in self._known:
            self._known[route.pipeline_id] = self._ask(route) if self._asking else None
        return self._known[route.pipeline_id]

    def _ask(self, route: Route) -> float | None:
        """Ask Quantemplate; where it gives no good answer in time, it is asked no more."""
        try:
            listed = _within(
                self._patience,
                lambda: self._stack.quantemplate.list_executions(
                    route.organisation_id, route.pipeline_id
                ),
            )
        except TimeoutError:
            self._give_up(f"Quantemplate has not answered within {self._patience:.0f} s.")
        except (StraightThroughError, ClientError, BotoCoreError) as error:
            self._give_up(str(error))
        else:
            return statistics.median(listed.durations) if listed.durations else None
        return None

    def _give_up(self, why: str) -> None:
        """Ask no more, and say why."""
        self._asking = False
        self._note(f"How long it still takes is not known: {why}")


def _within(seconds: float, ask: Callable[[], Found]) -> Found:
    """Return an answer that comes in time. Raises TimeoutError, and what asking raises."""
    answer: Future[Found] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True).start()  # one that is late keeps nobody from ending
    return answer.result(seconds)

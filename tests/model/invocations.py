"""Invocations of functions that stop before every call to the outside, and can be killed there.

Only one runs at any time: the model steps one, and it runs to its next call.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from greenlet import getcurrent, greenlet

from tests.machine.machine import Call, Execution, Killed

_running: "list[Invocation]" = []  # one at most


class Invocation:
    """One invocation of a function; `at` names the call before which it stands."""

    def __init__(self, name: str, function: Callable[[], Any], call: Call | None = None) -> None:
        """Stand before its beginning."""
        self.name = name
        self.number = 0
        self.call = call  # of the state that it works for, if it does
        self.at = "begin"
        self.result: Any = None
        self.error: BaseException | None = None
        self.ended = False
        self.killed = False
        self.began_at_write = 0  # how many writes the table had seen
        self.deadline = datetime.max.replace(tzinfo=UTC)
        self.uploaded: list[str] = []  # the datasets
        self._function = function
        self._runs = greenlet(self._run)

    @property
    def about(self) -> Execution:
        """The execution that it works for."""
        assert self.call
        return self.call.execution

    def step(self, trouble: str = "") -> None:
        """Make the call, with or without trouble, and run to the next one or to the end."""
        self._let_run(trouble)

    def kill(self) -> None:
        """Do nothing more, not even what would be cleaned up."""
        self.killed = True
        if self.at == "begin":
            self.ended = True
        if not self.ended:
            self._let_run()

    def _let_run(self, trouble: str = "") -> None:
        _running.append(self)
        self._runs.parent = getcurrent()
        self._runs.switch(trouble)
        _running.remove(self)

    def _run(self, _trouble: str) -> None:
        try:
            self.result = self._function()
            stop("return")  # so that it can be killed after its last call
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - as Lambda does
            self.error = error
        self.ended = True

    def stop(self, at: str) -> str:
        """Stand before a call until the model says go; return the trouble that it meets."""
        trouble = ""
        if not self.killed:
            self.at = at
            assert self._runs.parent
            trouble = self._runs.parent.switch()
        if self.killed:
            raise Killed
        return trouble


def running() -> Invocation | None:
    """Return the invocation that runs; None where the model itself looks."""
    return _running[0] if _running else None


def stop(at: str) -> str:
    """Stop the invocation that runs before a call to the outside; return the call's trouble."""
    invocation = running()
    return invocation.stop(at) if invocation else ""

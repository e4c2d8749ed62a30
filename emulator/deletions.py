"""State machines that are being deleted: it lasts until the last of their executions has ended.

AWS documentation: "DeleteStateMachine" (AWS Step Functions API reference).
https://docs.aws.amazon.com/step-functions/latest/apireference/API_DeleteStateMachine.html
CloudFormation's own handler waits until there is no such machine any more:
https://github.com/aws-cloudformation/aws-cloudformation-resource-providers-stepfunctions
"""

import time
from collections.abc import Callable
from typing import Any

from ministack.services import stepfunctions

from emulator.seams import seam
from emulator.service_error import ServiceError

Fields = dict[str, Any]
DELETING = "DELETING"
LONGEST_WAIT = 2 * 3600  # seconds that CloudFormation gives a handler
LOOK = 0.1  # seconds between two looks whether a machine is gone


class Deletions:
    """Deletes state machines; `running` tells whether one has executions that have not ended."""

    def __init__(self, running: Callable[[str], bool]) -> None:
        self._running = running
        self._machines = seam(stepfunctions, "_state_machines")
        self._remove = seam(stepfunctions, "_delete_state_machine")

    def begin(self, machine: str) -> None:
        """Delete a state machine, given its ARN; one that there is not counts as deleted."""
        if stored := self._machines.get(machine):
            stored["status"] = DELETING
            self.go_on(machine)

    def go_on(self, machine: str) -> None:
        """End the deletion if there is one, and no execution holds it up any more."""
        if self.under_way(machine) and not self._running(machine):
            self._remove({"stateMachineArn": machine})

    def under_way(self, machine: str) -> bool:
        """Whether a state machine is being deleted."""
        stored = self._machines.get(machine)
        return bool(stored) and stored["status"] == DELETING

    def require_none(self, machine: str) -> None:
        """Raise ServiceError StateMachineDeleting where a state machine is being deleted."""
        if self.under_way(machine):
            message = f"State Machine is being deleted: '{machine}'"
            raise ServiceError("StateMachineDeleting", message)

    def of_stacks(self, time_scale: float) -> Callable[[Fields], Fields]:
        """A stack's state machines: their names may be taken, and their deletion is waited for."""

        def handlers_of(handlers: Fields) -> Fields:
            def create(logical_id: str, properties: Fields, stack: str) -> Any:
                taken = [arn for arn in list(self._machines) if self.under_way(arn)]
                for arn in taken:
                    if arn.endswith(f":stateMachine:{properties.get('StateMachineName')}"):
                        raise ValueError(f"State Machine is being deleted: '{arn}'")
                return handlers["create"](logical_id, properties, stack)

            def delete(machine: str, _properties: Fields) -> None:
                self.begin(machine)
                end = time.monotonic() + LONGEST_WAIT * time_scale
                while self.under_way(machine):
                    if time.monotonic() > end:
                        raise ValueError(
                            f"{machine} is still being deleted: executions are running"
                        )
                    time.sleep(LOOK)

            return {**handlers, "create": create, "delete": delete}

        return handlers_of

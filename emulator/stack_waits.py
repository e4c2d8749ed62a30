"""What CloudFormation waits for it waits for on a thread, and not where every request is served."""

from collections.abc import Callable

from ministack.services.cloudformation import stacks

from emulator.seams import replace

WAITED_FOR = {
    "AWS::Lambda::Function",  # between the two calls of an update
    "AWS::StepFunctions::StateMachine",  # until its executions have ended
}


def install() -> None:
    """Let resources of these types have a thread."""
    replace(stacks, "_runs_on_worker_thread", on_a_thread)


def on_a_thread(original: Callable[[str], bool]) -> Callable[[str], bool]:
    """Whether a resource of a type has a thread."""
    return lambda resource_type: resource_type in WAITED_FOR or original(resource_type)

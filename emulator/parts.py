"""The parts of the emulator, in the order in which they come into ministack and moto.

Each module says what is otherwise on AWS, by AWS's documentation; seams.py sees that no two parts
replace one name. Import this when ministack's environment is set, and not before.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ministack.app import app

from emulator import (
    access,
    async_invocations,
    concurrency,
    door,
    dynamodb_expressions,
    event_targets,
    events,
    function_urls,
    functions,
    logs,
    mounted,
    parameters,
    roles,
    schedules,
    secrets_manager,
    stack_waits,
    step_functions,
    storage,
    tables,
    throttling,
    topics,
    transactions,
)
from emulator.function_host import FunctionHost
from emulator.mounted import Mount
from emulator.quotas import Quotas
from emulator.status_trouble import StatusTrouble
from emulator.updates import Updates

App = Callable[..., Awaitable[Any]]


def install(
    host: FunctionHost, time_scale: float, quotas: Quotas, mounts: Sequence[Mount] = ()
) -> App:
    """Put all parts in; return the application to serve. Raises PinError."""
    trouble, updates = StatusTrouble(), Updates(time_scale)
    # The services, as ministack's modules and moto's engine know them.
    functions.install(host)
    machines = step_functions.install(time_scale, quotas)
    access.install(machines.machine_of_token)
    events.install(trouble.dispatching)
    event_targets.install()
    schedules.install(time_scale)
    concurrency.install(quotas, time_scale)
    updates.install()
    async_invocations.install(updates.in_two_calls)
    stack_waits.install()
    secrets_manager.install()
    parameters.install()
    roles.install()
    tables.install()
    dynamodb_expressions.install()
    transactions.install(quotas)
    storage.install()
    topics.install()
    logs.install()
    # What a request goes through, from the inside to the outside.
    called = function_urls.install(app, host.endpoint_url, quotas)
    limited = throttling.install(trouble.control().answering(called), quotas)
    controls = (updates.control(), host.freezes.control(), host.forks.control(), quotas.control())
    for control in controls:
        limited = control.answering(limited)
    served = mounted.install(limited, mounts)
    if host.journal:
        served = host.journal.install(served)
    return door.install(served, [mount.prefix for mount in mounts])

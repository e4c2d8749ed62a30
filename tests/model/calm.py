"""What must come of all files once everything calms down, whatever has happened before."""

from datetime import timedelta

from tests.model.world import World

ROUNDS = 120
MOST_STEPS = 5000
# These ends are right where a person, a pipeline or a deadline brought them about.
RIGHT_ENDS = {
    "ApiUnavailable",
    "CredentialsRejected",
    "ExecuteUncertain",
    "FunctionKilled",
    "NoRoute",
    "NotFound",
    "PipelineBusy",
    "PipelineCancelled",
    "PipelineEndUnknown",
    "PipelineFailed",
    "PipelineOverdue",
    "RouteConflict",
    "SourceUnavailable",
    "States.Timeout",
    "TurnOverdue",
}


def run_all(world: World) -> None:
    """Let every invocation go on to its end; together they must come to an end."""
    for _ in range(MOST_STEPS):
        if not world.invocations:
            return
        world.step(world.invocations[0])
    world.forbid("the functions go on for ever")


def calm_down(world: World, *, events: bool) -> None:
    """No more trouble: sweeps run, runs end, time passes; status events come, or never do."""
    quantemplate = world.quantemplate
    quantemplate.down = quantemplate.rejects = quantemplate.gone = False
    quantemplate.behind = timedelta(0)
    for _ in range(ROUNDS):
        run_all(world)
        if not events:
            world.states.ends.clear()
        for end in world.states.ends:
            world.invoke("run_ended", {"detail": end})
        world.states.ends.clear()
        for run in quantemplate.runs:
            if run.going:
                quantemplate.end(run, "Succeeded")
        for item in world.dynamodb.items("queues"):
            if "paused" in item:
                world.invoke("pause_queue", {"resume": item["sk"]["S"]})
        world.invoke("sweep_queues", {})
        run_all(world)
        if not still_going(world):
            return
        wake_at = world.next_wake()
        left = (wake_at - world.now()).total_seconds() if wake_at else 0
        world.pass_time(max(left, 100))
    world.forbid(f"it never ends: {still_going(world)}")


def still_going(world: World) -> list[str]:
    """Return what has not ended or was left behind."""
    left = [e.name for e in world.states.executions.values() if e.status == "RUNNING"]
    for item in world.dynamodb.items():
        if item["pk"]["S"].startswith("tickets#"):
            left.append(f"a ticket of {item['run']['S']}")
        if "pending" in item:
            left.append(f"a run that {item['sk']['S']} waits for, {item['pending']['M']['run']}")
        if "holder" in item:
            left.append(f"a turn of {item['holder']['M']['run']['S']} in {item['sk']['S']}")
    return left


def check_ends(world: World, before: set[str]) -> None:
    """Require that nothing but what may end a run has ended one."""
    for execution in world.states.executions.values():
        wrong = execution.status == "FAILED" and execution.error not in RIGHT_ENDS
        if wrong and execution.name not in before:
            world.forbid(f"{execution.name} ended with {execution.error}")


def check_probe(world: World, folders: list[str], *, events: bool) -> None:
    """Require that a new file of each route goes through: nothing blocks its queue for ever."""
    names = set(world.states.executions)
    for folder in folders:
        world.start(world.drop(f"{folder}/probe.csv"))
    calm_down(world, events=events)
    for execution in world.states.executions.values():
        if execution.name not in names and execution.status != "SUCCEEDED":
            world.forbid(f"the probe {execution.name} ended with {execution.error}")

"""The state machine, the template, the functions and the errors agree."""

import inspect
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from stp.history_room import OTHERS
from straight_through import errors
from straight_through.hearing.listeners import listener_key
from straight_through.settings import variables_of
from straight_through.statuses import NOT_EXECUTED, RUN_AGAIN, SKIPPED, SUCCEEDED
from straight_through.telling.remedies import WRITES_THE_OUTBOX
from tests.unit.conftest import ROOT, Event

ASL = (ROOT / "statemachine/straight_through.asl.yaml").read_text(encoding="utf-8")
MACHINE = yaml.safe_load(ASL)
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")

# What a function leaves that was killed, or whose reply was lost: each finds out what it had done.
KILLED = {
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
    "Sandbox.Timedout",
}
# What a function fails with between the two calls of its update: new layer, old code.
HALF_UPDATED = {"Runtime.ImportModuleError", "Runtime.UserCodeSyntaxError", "SettingInvalid"}


class _Template(yaml.SafeLoader):
    """Reads CloudFormation's short functions as what they are given."""


def _short_function(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    """Return the argument of a short function."""
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_Template.add_multi_constructor("!", _short_function)
TEMPLATE = yaml.load((ROOT / "template.yaml").read_text("utf-8"), _Template)  # noqa: S506
RESOURCES = TEMPLATE["Resources"]


def states_of(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """All states, those of Maps and Parallels included."""
    for name, state in machine["States"].items():
        yield name, state
        for inner in [state.get("ItemProcessor"), *state.get("Branches", [])]:
            if inner:
                yield from states_of(inner)


STATES = dict(states_of(MACHINE))
TASKS = {  # of functions
    name: state
    for name, state in STATES.items()
    if state["Type"] == "Task" and "lambda:invoke" in state["Resource"]
}


def retried(state: dict[str, Any]) -> set[str]:
    """The names of the errors after which a state is tried again."""
    return {name for retry in state.get("Retry", []) for name in retry["ErrorEquals"]}


def errors_of(heading: str) -> set[str]:
    """The errors that stand under a heading of the tree in the module's docstring."""
    tree = inspect.getdoc(errors) or ""
    branch = re.split(r"[├└]── (?=waited|tried|gone|final)", tree.split("\n\n")[1])
    (found,) = [part for part in branch if part.startswith(heading)]
    named = [line.split("  ")[0] for line in re.findall(r"[├└]── (.*)", found)]
    return {name for names in named for name in names.split(", ")}


ALL_ERRORS = {
    name
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.StraightThroughError)
    and kind not in (errors.StraightThroughError, errors.WaitedFor)
}
RETRIED = {name for state in STATES.values() for name in retried(state)}
DENIED_BY_S3 = {  # and the states that meet it
    "SourceDenied": ("CheckFile", "UploadAndExecute"),
    "OutboxDenied": WRITES_THE_OUTBOX,
    "DestinationFailed": ("PublishRun",),
}


def test_the_tree_of_errors_has_each_class_once() -> None:
    branches = [errors_of(name) for name in ("waited", "tried again", "gone astray", "final")]
    assert set().union(*branches) == ALL_ERRORS
    assert sum(map(len, branches)) == len(ALL_ERRORS)


def test_what_is_said_to_be_tried_again_is_and_nothing_final() -> None:
    assert errors_of("tried again") <= RETRIED
    assert not (errors_of("final") | errors_of("gone astray")) & RETRIED
    # And every other name in a Retry is one of AWS's
    assert all(
        re.match(r"(Lambda|Runtime|Sandbox)\.|States\.Timeout$|SettingInvalid$", name)
        for name in RETRIED - ALL_ERRORS
    )


def test_what_is_waited_for_is() -> None:
    waited = {name for name in ALL_ERRORS if issubclass(getattr(errors, name), errors.WaitedFor)}
    assert errors_of("waited") == waited - {"WaitedFor"}
    # And the states that hold the turn do not retry it: their functions say how long to wait
    assert not (retried(STATES["UploadAndExecute"]) | retried(STATES["CheckStatus"])) & waited


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_function_that_was_killed_or_is_half_updated_is_called_again(name: str) -> None:
    assert retried(TASKS[name]) >= KILLED | HALF_UPDATED
    # And one that did not return in time too, but where a task waits for its turn
    assert ("States.Timeout" in retried(TASKS[name])) == (name != "TakeTurn")


@pytest.mark.parametrize("name", sorted(TASKS))
def test_what_a_role_may_not_is_tried_again_for_five_minutes(name: str) -> None:
    # Given AWS's denial, which may be that of a role that has just been changed
    (retry,) = [r for r in TASKS[name]["Retry"] if "AwsDenied" in r["ErrorEquals"]]
    denied = {"AwsDenied"} | {error for error, states in DENIED_BY_S3.items() if name in states}
    assert set(retry["ErrorEquals"]) == denied
    # Then the last of its tries comes after five minutes
    waits = [
        retry["IntervalSeconds"] * retry["BackoffRate"] ** n for n in range(retry["MaxAttempts"])
    ]
    assert sum(waits) == 300
    assert max(waits) <= 30


def retried_for(name: str, error: str) -> tuple[float, float, int]:
    """For how many hours a task is tried again after an error, on average; the longest wait between
    two tries in seconds; how often.

    Step Functions, "Handling errors in workflows": FULL jitter waits between 0 and the delay.
    """
    (retry,) = [r for r in TASKS[name]["Retry"] if error in r["ErrorEquals"]]
    assert retry["JitterStrategy"] == "FULL"
    delays = [
        min(retry["IntervalSeconds"] * retry["BackoffRate"] ** n, retry["MaxDelaySeconds"])
        for n in range(retry["MaxAttempts"])
    ]
    return sum(delays) / 2 / 3600, max(delays), retry["MaxAttempts"]


@pytest.mark.parametrize("name", sorted(TASKS))
def test_no_burst_ends_a_run_where_an_accounts_functions_are_all_busy(name: str) -> None:
    hours, longest, tries = retried_for(name, "Lambda.TooManyRequestsException")
    assert hours > 1
    # And what has not asked for its turn yet asks soon, since until then later files go before it
    assert name == "DownloadOutput" or longest <= 600
    # And a history has room for all tries: of three events each
    assert name == "DownloadOutput" or 3 * (tries + 10) < OTHERS / 5


def test_a_download_is_tried_for_as_long_as_its_error_says() -> None:
    # Given how long its waits are on average
    hours, _, tries = retried_for("DownloadOutput", "ApiUnavailable")
    # Then they take what people are told
    assert "about twelve hours" in (inspect.getdoc(errors.ApiUnavailable) or "")
    assert abs(hours - 12) < 0.1
    # And each of the tries takes three events of a history that is finite
    assert 3 * tries * STATES["DownloadOutputs"]["MaxConcurrency"] < 10_000


def test_only_a_lost_turn_is_caught_and_asked_for_again() -> None:
    caught = {
        (name, error, catch["Next"])
        for name, state in STATES.items()
        for catch in state.get("Catch", [])
        for error in catch["ErrorEquals"]
    }
    (lost,) = errors_of("gone astray")
    assert {each for each in caught if each[0] in TASKS} == {("UploadAndExecute", lost, "TakeTurn")}


def test_whatever_ends_the_wait_for_an_event_a_look_follows() -> None:
    # Given the wait for an event, which no error may end a run with
    wait = STATES["WaitForEvent"]
    by_name = {error: c for c in wait["Catch"] for error in c["ErrorEquals"]}
    # Then an event, the time, and an event that came before all lead to a look
    assert wait["Next"] == "CheckStatus"
    for error in ("States.Timeout", "DynamoDb.ConditionalCheckFailedException"):
        assert by_name[error]["Next"] == "CheckStatus"
    # And whatever else it is, the clock tells when to look
    assert by_name["States.ALL"]["Next"] == "WaitForPipeline"
    assert wait["Catch"][-1] is by_name["States.ALL"]
    # And the run's state stays what it is: an event tells nothing
    assert [c["ResultPath"] for c in wait["Catch"]] == [None, None]
    assert wait["ResultPath"] is None
    # And whoever sees in the console that it timed out reads there that it is meant to
    assert "timed out" in wait["Comment"]
    # And it takes as long as the clock would
    assert wait["TimeoutSecondsPath"] == STATES["WaitForPipeline"]["SecondsPath"]


def test_the_machine_writes_in_the_items_of_those_who_listen_and_nowhere_else() -> None:
    # Given the item that CheckStatus notes, and what the state machine's role may write
    pk, _ = listener_key("p-claims", "e-1")
    (statements,) = [
        p["Statement"]
        for p in RESOURCES["StateMachine"]["Properties"]["Policies"]
        if "Statement" in p
    ]
    condition, right, _ = statements[0]
    assert condition == "TakeEvents"
    (pattern,) = right["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    # Then it is that item's
    assert right["Action"] == "dynamodb:UpdateItem"
    assert fnmatchcase(pk, pattern)
    assert not fnmatchcase("queues", pattern)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_calls_its_function_and_outlives_it(name: str) -> None:
    # Given a task, whose name is its function's
    task, function = TASKS[name], RESOURCES[name]
    assert task["Parameters"]["FunctionName"] == f"${{{name}}}"
    folder = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
    assert function["Properties"]["CodeUri"] == f"functions/{folder}/"
    assert (ROOT / "functions" / folder / "app.py").is_file()
    # Then its own time-out is the longer one
    assert task["TimeoutSeconds"] > function["Properties"]["Timeout"]
    waits = ".waitForTaskToken" if name == "TakeTurn" else ""
    assert task["Resource"] == "arn:${Partition}:states:::lambda:invoke" + waits
    assert task.get("OutputPath") == (None if waits else "$.Payload")


def test_each_choice_has_a_default_and_the_machine_a_deadline() -> None:
    choices = [state for state in STATES.values() if state["Type"] == "Choice"]
    assert choices
    assert all(choice["Default"] in STATES for choice in choices)
    # And the machine's deadlines come behind the longest that the functions may be given
    hours = {
        name: parameter["MaxValue"]
        for name, parameter in TEMPLATE["Parameters"].items()
        if name.endswith(("DeadlineHours", "PatienceHours"))
    }
    assert TASKS["TakeTurn"]["TimeoutSeconds"] > hours["TurnDeadlineHours"] * 3600
    assert MACHINE["TimeoutSeconds"] > sum(hours.values()) * 3600


def test_states_lead_to_states_and_none_ends_in_a_failure_of_its_own() -> None:
    assert not {"Fail"} & {state["Type"] for state in STATES.values()}
    for state in STATES.values():
        assert {state.get("Next"), state.get("Default")} - {None} <= STATES.keys()


def test_the_definition_parses_as_it_is_and_has_no_alias() -> None:
    tokens = {type(token) for token in yaml.scan(ASL)}
    assert not tokens & {yaml.AliasToken, yaml.AnchorToken}


def test_each_placeholder_is_filled_and_none_for_nothing() -> None:
    filled = RESOURCES["StateMachine"]["Properties"]["DefinitionSubstitutions"]
    assert set(PLACEHOLDER.findall(ASL)) == filled.keys()
    assert filled.pop("Partition") == "AWS::Partition"
    assert filled.pop("TurnsTable") == "TurnsTable"
    assert all(arn == f"{name}.Arn" for name, arn in filled.items())


def test_the_machine_may_call_each_function_of_its_tasks() -> None:
    policies = RESOURCES["StateMachine"]["Properties"]["Policies"]
    allowed = {
        p["LambdaInvokePolicy"]["FunctionName"] for p in policies if "LambdaInvokePolicy" in p
    }
    assert allowed == TASKS.keys()


def test_a_batch_stays_hidden_six_times_as_long_as_its_function_may_take() -> None:
    hidden = RESOURCES["Drops"]["Properties"]["VisibilityTimeout"]
    assert hidden >= 6 * RESOURCES["StartRun"]["Properties"]["Timeout"]


@pytest.mark.parametrize(
    "name",
    [*sorted(TASKS), "StartRun", "RunEnded", "SweepQueues", "PauseQueue", "TakeEvent"],
)
def test_a_function_has_each_variable_that_it_reads(
    name: str, load: Callable[..., ModuleType]
) -> None:
    properties = RESOURCES[name]["Properties"]
    given = properties["Environment"]["Variables"].keys()
    app = load(Path(properties["CodeUri"]).name, **dict.fromkeys(given, "1"))
    assert given - {"POWERTOOLS_SERVICE_NAME"} == set(variables_of(app.Settings))


# --- the sample events are what the states send ---------------------------------------------------


@pytest.mark.parametrize(
    "name", ["CheckFile", "TakeTurn", "UploadAndExecute", "CheckStatus", "PublishRun"]
)
def test_a_step_is_sent_what_the_sample_holds(event: Event, name: str) -> None:
    payload = STATES[name]["Parameters"]["Payload"]
    sample = event(re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower())
    assert {field.removesuffix(".$") for field in payload} == sample.keys()
    assert payload["execution.$"] == "$$.Execution"
    # And the input is what start_run gives, or a person
    assert event("execution_input").keys() <= sample["execution"]["Input"].keys()


def test_download_output_is_sent_what_the_sample_holds(event: Event) -> None:
    selected = STATES["DownloadOutputs"]["ItemSelector"]
    sample = event("download_output")
    assert {field.removesuffix(".$") for field in selected} == sample.keys()
    # And the rest of it is a part of what the steps before and after are sent
    assert selected["output.$"] == "$$.Map.Item.Value"
    assert selected["may_wait"] is sample["may_wait"] is True
    for field in sample.keys() - {"output", "may_wait"}:
        assert selected[f"{field}.$"] == f"$.{field}"
        assert sample[field] == event("publish_run")["record"][field]


def test_the_steps_are_sent_the_whole_record() -> None:
    assert STATES["DownloadOutput"]["Parameters"]["Payload.$"] == "$"
    for name in ("UploadAndExecute", "CheckStatus", "PublishRun"):
        assert STATES[name]["Parameters"]["Payload"]["record.$"] == "$"


def test_the_record_only_grows_on_its_way(event: Event) -> None:
    first, last = event("check_status")["record"], event("publish_run")["record"]
    assert first.keys() | {"outputs", "gated", "not_ours"} == last.keys()
    for field in ("run", "execution_arn", "route", "source", "order", "after", "identical_to"):
        assert first[field] == last[field]
    assert first["quantemplate"].items() <= last["quantemplate"].items()


def test_the_states_read_only_fields_that_the_record_has(event: Event) -> None:
    assert STATES["WaitForPipeline"]["SecondsPath"] == "$.wait_seconds"
    choices = STATES["PipelineFinished?"]["Choices"]
    *by_status, by_event = choices
    assert {choice["Variable"] for choice in by_status} == {"$.status"}
    # Where CheckStatus has named the item for the task token, an event may end the wait
    assert by_event == {"Variable": "$.listening.pk", "IsPresent": True, "Next": "WaitForEvent"}
    known = {
        SUCCEEDED: "DownloadOutputs",
        SKIPPED: "PublishRun",
        NOT_EXECUTED: "UploadAndExecute",
        RUN_AGAIN: "TakeTurn",
    }
    assert {choice["StringEquals"]: choice["Next"] for choice in by_status} == known
    outputs = STATES["DownloadOutputs"]
    assert (outputs["ItemsPath"], outputs["ResultPath"]) == ("$.outputs", "$.outputs")
    assert {"wait_seconds", "status", "outputs"} <= event("publish_run")["record"].keys()


def test_an_execution_that_releases_goes_to_publish_run_and_every_other_is_checked() -> None:
    assert MACHINE["StartAt"] == "Release?"
    release = STATES["Release?"]
    assert release["Choices"] == [
        {"Variable": "$.release", "IsPresent": True, "Next": "PublishRun"}
    ]
    assert release["Default"] == "CheckFile"

"""State machine definitions: read, checked and compiled for the engine."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationNotFoundError
from botocore.session import get_session
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

Definition = dict[str, Any]
TYPES = {"Task", "Pass", "Wait", "Choice", "Succeed", "Fail", "Map", "Parallel"}
NEEDED = {"Task": "Resource", "Choice": "Choices"}
INTRINSIC = re.compile(r"States\.\w+\(.*\)")
# By an AWS SDK: the service's name, and the operation's in camelCase.
SDK_CALL = re.compile(
    r"arn:aws[a-z-]*:states:::aws-sdk:([a-z0-9]+):([a-z]\w*?)(?:\.waitForTaskToken)?"
)
NO_CALL = re.compile(r"arn:aws[a-z-]*:states:::(?:aws-sdk:.*|dynamodb:\w+\..*)")
WAITS = {"Seconds", "SecondsPath", "Timestamp", "TimestampPath"}


@dataclass(frozen=True)
class Problem:
    """Why a definition is refused; codes as in AWS's "ValidateStateMachineDefinition"."""

    code: str
    message: str
    location: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message} at {self.location}"


@lru_cache(maxsize=256)
def compile_definition(definition: str) -> Program:
    """The engine's program; parsing takes long, and a program may run many times at once."""
    return AmazonStateLanguageParser.parse(definition)[0]


def as_json(definition: str) -> str:
    """The definition as JSON; a template's definition file may be YAML."""
    try:
        json.loads(definition)
    except ValueError:
        try:
            loaded = yaml.safe_load(definition)
        except yaml.YAMLError:
            return definition  # the check says what is wrong with it
        return json.dumps(loaded) if isinstance(loaded, dict) else definition
    return definition


def problems(definition: str) -> list[Problem]:
    """All that forbids this definition."""
    try:
        machine = json.loads(definition)
    except ValueError as error:
        return [Problem("INVALID_JSON_DESCRIPTION", str(error), "/")]
    if not isinstance(machine, dict):
        return [Problem("SCHEMA_VALIDATION_FAILED", "Not a JSON object", "/")]
    found = [*_problems_of_scope(machine, ""), *_repeated_names(machine)]
    if found:
        return found
    try:
        compile_definition(definition)
    except Exception as error:  # noqa: BLE001 - whatever the grammar raises, it refuses the text
        return [Problem("SCHEMA_VALIDATION_FAILED", str(error), "/")]
    return []


def _problems_of_scope(machine: Definition, at: str) -> Iterator[Problem]:
    """Problems of one set of states: the machine's own, an iteration's or a branch's."""
    yield from _jsonata(machine, at)
    states = machine.get("States")
    if not isinstance(states, dict) or not states:
        yield Problem("SCHEMA_VALIDATION_FAILED", "States is missing", at or "/")
        return
    start: Any = machine.get("StartAt")
    if start not in states:
        yield _missing_target(start, f"{at}/StartAt")
        return
    for name, state in states.items():
        yield from _problems_of_state(state, states, f"{at}/States/{name}")
    for name in states.keys() - _reachable(states, start):
        yield Problem(
            "MISSING_TRANSITION_TARGET", f'State "{name}" is not reachable.', f"{at}/States/{name}"
        )
    if not any(_ends(state) for state in states.values()):
        yield Problem("MISSING_END_STATE", "No state ends the workflow", f"{at}/States")


def _problems_of_state(state: Any, states: Definition, at: str) -> Iterator[Problem]:
    kind = state.get("Type") if isinstance(state, dict) else None
    if kind not in TYPES:
        yield Problem("SCHEMA_VALIDATION_FAILED", f"{kind!r} is no state type", f"{at}/Type")
        return
    yield from _jsonata(state, at)
    if kind in NEEDED and not state.get(NEEDED[kind]):
        yield Problem("SCHEMA_VALIDATION_FAILED", f"{NEEDED[kind]} is missing", at)
    if kind == "Wait" and len(WAITS & state.keys()) != 1:
        yield Problem("SCHEMA_VALIDATION_FAILED", f"Needs one of {sorted(WAITS)}", at)
    if kind not in {"Choice", "Succeed", "Fail"} and ("Next" in state) == bool(state.get("End")):
        yield Problem("SCHEMA_VALIDATION_FAILED", "Needs either Next or End: true", at)
    for field in ("Parameters", "ItemSelector", "ResultSelector"):
        yield from _no_paths(state.get(field), f"{at}/{field}")
    yield from _problems_of_call(state, at)
    for field, target in _transitions(state):
        if target not in states:
            yield _missing_target(target, f"{at}/{field}")
    for field, scope in _inner_scopes(state):
        yield from _problems_of_scope(scope, f"{at}/{field}")
    if kind in {"Map", "Parallel"} and not list(_inner_scopes(state)):
        yield Problem("SCHEMA_VALIDATION_FAILED", "Has no states of its own", at)


def _problems_of_call(state: Definition, at: str) -> Iterator[Problem]:
    """What forbids the call of a state that is a Task; AWS's page is named in engine_sdk.py.

    The optimised integration of DynamoDB waits for nothing:
    https://docs.aws.amazon.com/step-functions/latest/dg/integrate-optimized.html
    """
    if state["Type"] != "Task":
        return
    if len({"TimeoutSeconds", "TimeoutSecondsPath"} & state.keys()) == 2:
        message = "TimeoutSeconds and TimeoutSecondsPath exclude each other"
        yield Problem("SCHEMA_VALIDATION_FAILED", message, at)
    resource = str(state.get("Resource"))
    if found := SDK_CALL.fullmatch(resource):
        known = _parameters_of(*found.groups())
    elif NO_CALL.fullmatch(resource):
        known = None
    else:
        return
    if known is None:
        message = f"The resource provided {resource} is not recognized"
        yield Problem("SCHEMA_VALIDATION_FAILED", message, f"{at}/Resource")
        return
    for name in {name.removesuffix(".$") for name in state.get("Parameters") or {}} - known:
        message = f"The field {name!r} is not supported by Step Functions"
        yield Problem("SCHEMA_VALIDATION_FAILED", message, f"{at}/Parameters")


@lru_cache(maxsize=256)
def _parameters_of(service: str, action: str) -> frozenset[str] | None:
    """What an operation of an AWS API takes; None where there is no such operation."""
    try:
        model = get_session().get_service_model({"sfn": "stepfunctions"}.get(service, service))
        shape = model.operation_model(action[0].upper() + action[1:]).input_shape
    except (UnknownServiceError, OperationNotFoundError):
        return None
    return frozenset(shape.members if shape else ())


def _missing_target(target: object, location: str) -> Problem:
    return Problem("MISSING_TRANSITION_TARGET", f"Missing target {target!r}", location)


def _jsonata(fields: Definition, at: str) -> Iterator[Problem]:
    if fields.get("QueryLanguage", "JSONPath") != "JSONPath":
        yield Problem(
            "SCHEMA_VALIDATION_FAILED",
            f"The local AWS knows JSONPath only, not {fields['QueryLanguage']!r}",
            f"{at}/QueryLanguage",
        )


def _no_paths(template: Any, at: str) -> Iterator[Problem]:
    """Fields named `….$` whose value is neither a path nor an intrinsic function."""
    if isinstance(template, list):
        for index, value in enumerate(template):
            yield from _no_paths(value, f"{at}[{index}]")
    if not isinstance(template, dict):
        return
    for name, value in template.items():
        if not name.endswith(".$"):
            yield from _no_paths(value, f"{at}/{name}")
        elif not (isinstance(value, str) and (value[:1] == "$" or INTRINSIC.fullmatch(value))):
            message = f"{value!r} is neither a JSONPath nor an intrinsic function"
            yield Problem("SCHEMA_VALIDATION_FAILED", message, f"{at}/{name}")


def _transitions(state: Definition) -> Iterator[tuple[str, str]]:
    for field in ("Next", "Default"):
        if field in state:
            yield field, state[field]
    for field in ("Choices", "Catch"):
        for index, rule in enumerate(state.get(field) or []):
            yield f"{field}[{index}]/Next", rule.get("Next")


def _inner_scopes(state: Definition) -> Iterator[tuple[str, Definition]]:
    for field in ("ItemProcessor", "Iterator"):
        if field in state:
            yield field, state[field]
    for index, branch in enumerate(state.get("Branches") or []):
        yield f"Branches[{index}]", branch


def _reachable(states: Definition, start: str) -> set[str]:
    reached: set[str] = set()
    open_states = [start]
    while open_states:
        name = open_states.pop()
        if name in states and name not in reached:
            reached.add(name)
            open_states += [target for _, target in _transitions(states[name])]
    return reached


def _ends(state: Definition) -> bool:
    return bool(state.get("End")) or state.get("Type") in {"Succeed", "Fail"}


def _repeated_names(machine: Definition) -> Iterator[Problem]:
    """State names are unique in the whole machine."""
    seen: set[str] = set()
    for name, location in _names(machine, ""):
        if name in seen:
            yield Problem("DUPLICATE_STATE_NAME", f"{name!r} appears more than once", location)
        seen.add(name)


def _names(scope: Definition, at: str) -> Iterator[tuple[str, str]]:
    states = scope.get("States")
    for name, state in (states if isinstance(states, dict) else {}).items():
        yield name, f"{at}/States/{name}"
        if isinstance(state, dict):
            for field, inner in _inner_scopes(state):
                yield from _names(inner, f"{at}/States/{name}/{field}")

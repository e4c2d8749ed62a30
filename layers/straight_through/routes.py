"""A route is a folder of the inbox and a parameter that says where its files go."""

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from straight_through.errors import NoRoute, RouteInvalid

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# What Parameter Store allows in a name. A folder with any other character has no route of its own.
LEGAL_FOLDER = re.compile(r"[A-Za-z0-9._-]+")
DEEPEST = 10  # GetParameters takes ten names
LONGEST_NAME = 1011  # characters of a parameter's name; PutParameter's documentation

# The fields of a route and the prefix of Quantemplate's ids.
FIELDS = {"organisation_id": "c-", "dataset_id": "d-", "pipeline_id": "p-"}
QUEUE_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True)
class Route:
    """Where the files of one folder go; `name` is the folder, without slashes at its ends."""

    name: str
    organisation_id: str
    dataset_id: str
    pipeline_id: str
    queue: str = ""  # whose turns its files take; the pipeline, unless the route names another

    def __post_init__(self) -> None:
        """Let the queue be the pipeline where none is named."""
        object.__setattr__(self, "queue", self.queue or self.pipeline_id)


def find_route(ssm: "SSMClient", routes_path: str, key: str) -> Route:
    """Return the route of the deepest folder of `key` that has one, with one request.

    Raises NoRoute and RouteInvalid.
    """
    folders = routable_folders(key)
    names = [f"{routes_path}/{folder}" for folder in folders]
    names = [name for name in names if len(name) <= LONGEST_NAME]
    found = ssm.get_parameters(Names=names)["Parameters"] if names else []
    if not found:
        raise NoRoute(_no_route(key, folders, routes_path))
    deepest = max(found, key=lambda parameter: len(parameter["Name"]))
    name = deepest["Name"].removeprefix(f"{routes_path}/")
    try:
        return parse_route(name, deepest["Value"])
    except RouteInvalid as error:
        raise RouteInvalid(
            f"{error} Mend the parameter {deepest['Name']}, then redrive the execution."
        ) from None


def read_route(ssm: "SSMClient", routes_path: str, name: str) -> Route:
    """Return the route of this very folder as it stands now. Raises NoRoute and RouteInvalid."""
    found = ssm.get_parameters(Names=[f"{routes_path}/{name}"])["Parameters"]
    if not found:
        raise NoRoute(f"There is no route {name!r} any more.")
    return parse_route(name, found[0]["Value"])


def routable_folders(key: str) -> list[str]:
    """Return the folders of `key` that may have a route, the shallowest first."""
    folders: list[str] = []
    for part in key.split("/")[:-1][:DEEPEST]:
        if not LEGAL_FOLDER.fullmatch(part):
            break
        folders.append(f"{folders[-1]}/{part}" if folders else part)
    return folders


def parse_route(name: str, document: str) -> Route:
    """Return the route that a JSON document describes. Raises RouteInvalid."""
    try:
        fields = json.loads(document)
    except ValueError as error:
        raise RouteInvalid(f"Route {name!r} is not JSON: {error}. {_expected()}") from None
    if not isinstance(fields, dict):
        raise RouteInvalid(f"Route {name!r} is not a JSON object. {_expected()}")
    for field, prefix in FIELDS.items():
        value = fields.get(field)
        if not isinstance(value, str) or not re.fullmatch(rf"{prefix}[^\s/?#]+", value):
            found = f"is {value!r}" if field in fields else "is missing"
            raise RouteInvalid(
                f"Route {name!r}: field {field!r} {found}; expected is an id that starts with "
                f"{prefix!r}, as Quantemplate shows it. {_expected()}"
            )
    queue = fields.get("queue")
    if "queue" in fields and not (isinstance(queue, str) and QUEUE_NAME.fullmatch(queue)):
        raise RouteInvalid(
            f"Route {name!r}: field 'queue' is {queue!r}; expected is a name of at most 100 "
            f"letters, digits, '.', '_' and '-'. {_expected()}"
        )
    unknown = sorted(fields.keys() - FIELDS.keys() - {"queue"})
    if unknown:
        raise RouteInvalid(f"Route {name!r}: unknown field {unknown[0]!r}. {_expected()}")
    return Route(name, **fields)


def _expected() -> str:
    """Say what a route looks like."""
    return (
        'A route is {"organisation_id": "c-…", "dataset_id": "d-…", "pipeline_id": "p-…"}; "queue" '
        "may name another queue than the pipeline's own."
    )


def _no_route(key: str, folders: list[str], routes_path: str) -> str:
    """Say why `key` has no route and how to give it one."""
    if folders:
        return (
            f"No route for {key!r}: none of its folders ({', '.join(folders)}) has one. Add the "
            f"parameter {routes_path}/{folders[-1]}, then redrive the execution. Or drop the file "
            "into a folder that has a route."
        )
    return (
        f"No route for {key!r}: it lies in no folder that can have one. Put the file into a folder "
        "whose name has only letters, digits, '.', '_' and '-'."
    )

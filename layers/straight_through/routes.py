"""A route is a folder of the inbox and a parameter that says where its files go."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from straight_through.aws import answering
from straight_through.errors import NoRoute, RouteInvalid
from straight_through.names import HELD, PREPARED
from straight_through.text import listed, shown

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# What Parameter Store allows in a name. A folder with any other character has no route of its own.
LEGAL_FOLDER = re.compile(r"[A-Za-z0-9._-]+")
DEEPEST = 10  # GetParameters takes ten names
LONGEST_NAME = 1011  # characters of a parameter's name; PutParameter's documentation
# Folders of the outbox that are no route's.
RESERVED = {HELD: "the runs that gates hold", PREPARED: "the tables that were made of files"}
FIND = "find"
ENCODINGS = (
    "utf-8",
    "utf-16",
    "windows-1250",
    "windows-1252",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-15",
)
LAST_HEADER_ROW = 10_000


@dataclass(frozen=True)
class Link:
    """The next stage of a chain: outputs that a pattern names go into a route's folder."""

    route: str
    output: str


@dataclass(frozen=True)
class TableSpec:
    """How a route's one clean table is found in what people send; `find` is by rule."""

    sheet: str = "*"  # a name or a pattern
    header_row: int | str = FIND  # counted from 1
    encoding: str = FIND
    delimiter: str = FIND
    until: str = "blank"
    below: str = "refuse"


@dataclass(frozen=True)
class Route:
    """Where the files of one folder go; `name` is the folder, without slashes at its ends."""

    name: str
    organisation_id: str
    dataset_id: str
    pipeline_id: str
    queue: str = ""  # whose turns its files take; the pipeline, unless the route names another
    outputs: tuple[str, ...] = ("*",)
    hold_if_rows: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    then: tuple[Link, ...] = ()
    notify: str = "problems"
    header: tuple[str, ...] = ()
    table: TableSpec | None = None
    identical: str = "process"
    identical_within_days: int = 30

    def __post_init__(self) -> None:
        """Let the queue be the pipeline where none is named."""
        object.__setattr__(self, "queue", self.queue or self.pipeline_id)


KEPT = 2  # seconds: Parameter Store answers 40 requests a second, for all of an account


class Routes:
    """The routes of a stack, each as it is when it is asked for, or was `kept` seconds before."""

    def __init__(self, ssm: "SSMClient", path: str, kept: float = 0) -> None:
        """Take Parameter Store, and the path under which the routes lie."""
        self._ssm = ssm
        self._path = path
        self._kept = kept
        self._found: dict[tuple[str, ...], tuple[float, Route]] = {}

    def forget(self) -> None:
        """Read every route anew: a person may have mended one."""
        self._found.clear()

    def of(self, key: str) -> Route:
        """Return the route of the deepest folder of `key` that has one, with one request.

        A second one, where there is none, looks for keys that may have been meant.

        Raises NoRoute and RouteInvalid.
        """
        folders = tuple(routable_folders(key))
        now = datetime.now(UTC).timestamp()  # which goes on while a function is frozen
        self._found = {
            names: (read_at, route)
            for names, (read_at, route) in self._found.items()
            if 0 <= now - read_at < self._kept
        }
        if folders not in self._found:
            self._found[folders] = now, self._read_of(key, folders)
        return self._found[folders][1]

    def _read_of(self, key: str, folders: Sequence[str]) -> Route:
        """Return the route of the deepest of these folders. Raises NoRoute and RouteInvalid."""
        names = [f"{self._path}/{folder}" for folder in folders]
        names = [name for name in names if len(name) <= LONGEST_NAME]
        found = _read(self._ssm, names) if names else []
        if not found:
            raise NoRoute(_no_route(self._ssm, key, folders, self._path))
        deepest = max(found, key=lambda parameter: len(parameter["Name"]))
        name = deepest["Name"].removeprefix(f"{self._path}/")
        return _parsed(name, deepest["Name"], deepest["Value"])

    def named(self, name: str) -> Route:
        """Return the route of this very folder. Raises NoRoute and RouteInvalid."""
        parameter = f"{self._path}/{name}"
        found = _read(self._ssm, [parameter])
        if not found:
            raise NoRoute(
                f"There is no route {name!r}: the parameter {parameter} does not exist (any more). "
                "Add it, then redrive the run."
            )
        return _parsed(name, parameter, found[0]["Value"])


def _parsed(name: str, parameter: str, document: str) -> Route:
    """Return the route that a parameter has. Raises RouteInvalid with what to do."""
    try:
        return parse_route(name, document)
    except RouteInvalid as error:
        raise RouteInvalid(
            f"{error} Mend the parameter {parameter}, then redrive the run."
        ) from None


def _read(ssm: "SSMClient", names: list[str]) -> list[Any]:
    """Return those of the parameters that exist. Raises AwsUnavailable."""
    with answering("Systems Manager"):
        return list(ssm.get_parameters(Names=names)["Parameters"])


def routable_folders(key: str) -> list[str]:
    """Return the folders of `key` that may have a route, the shallowest first."""
    folders: list[str] = []
    for part in key.split("/")[:-1][:DEEPEST]:
        if not LEGAL_FOLDER.fullmatch(part):
            break
        folders.append(f"{folders[-1]}/{part}" if folders else part)
    return folders


def parse_route(name: str, document: str) -> Route:
    """Return the route that a JSON document describes. Raises RouteInvalid.

    `routes.schema.json` says the same for editors.
    """
    try:
        fields = json.loads(document)
        json.dumps(fields, ensure_ascii=False).encode()  # half a character is no text
    except (ValueError, RecursionError) as error:
        raise RouteInvalid(f"Route {name!r} is not JSON: {error}. {_EXPECTED}") from None
    for folder, has in RESERVED.items():
        if f"{name}/".startswith(f"{folder}/"):
            raise RouteInvalid(
                f"Route {name!r}: its name is {name!r}; expected is one outside of {folder!r}, "
                f"where the outbox has {has}. {_EXPECTED}"
            )
    if not isinstance(fields, dict):
        raise RouteInvalid(f"Route {name!r} is not a JSON object. {_EXPECTED}")
    for field in FIELDS:
        if field not in fields:
            raise RouteInvalid(f"Route {name!r}: field {field!r} is missing. {_EXPECTED}")
    for field, value in fields.items():
        if field not in RULES:
            known = ", ".join(RULES)
            raise RouteInvalid(
                f"Route {name!r}: unknown field '{shown(field)}' (it is {_short(value)}); "
                f"known are {known}. {_EXPECTED}"
            )
        fits, expected = RULES[field]
        if not fits(value):
            raise RouteInvalid(
                f"Route {name!r}: field {field!r} is {_short(value)}; expected is "
                f"{expected}. {_EXPECTED}"
            )
    links = tuple(Link(**link) for link in fields.pop("then", ()))
    table = TableSpec(**fields.pop("table")) if "table" in fields else None
    fields = {f: tuple(value) if isinstance(value, list) else value for f, value in fields.items()}
    return Route(name, then=links, table=table, **fields)


# --- what a field must be -----------------------------------------------------------------------
# Not by msgspec, which would make the schema from the same declaration (tried with 0.22: 1 per cent
# of a start, 0.5 MB). With the schema's words this module would grow by a third, and the schema
# stays a file for editors. msgspec tells the field of a wrong value only within a sentence, refuses
# 30.0 for 30, and takes a newline where a pattern ends.
_EXPECTED = (
    'A route is {"organisation_id": "c-…", "dataset_id": "d-…", "pipeline_id": "p-…"} and what '
    "routes.schema.json allows beside."
)
FIELDS = {"organisation_id": "c-", "dataset_id": "d-", "pipeline_id": "p-"}
PLACEHOLDERS = ("route", "stem", "date", "output", "run")
_QUEUE = re.compile(r"[A-Za-z0-9._-]{1,100}")
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/(.*[^/])", re.DOTALL)
Rule = tuple[Callable[[Any], bool], str]


def _is_id(prefix: str) -> Rule:
    """Let a field be an id with this prefix."""
    pattern = re.compile(rf"{prefix}[^\s/?#]+")
    expected = f"an id that starts with {prefix!r}, as Quantemplate shows it"
    return lambda value: isinstance(value, str) and bool(pattern.fullmatch(value)), expected


def _is_texts(value: Any) -> bool:
    """Whether a value is a list of texts, none of them empty, and at least one."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(text, str) and text for text in value)
    )


def _is_destinations(value: Any) -> bool:
    """Whether a value is a list of S3 URIs whose placeholders are known."""
    return _is_texts(value) and all(
        (found := _BUCKET.fullmatch(uri)) and _fills(found[1]) for uri in value
    )


def _fills(template: str) -> bool:
    """Whether a key's placeholders are all known."""
    bare = re.sub(f"{{({'|'.join(PLACEHOLDERS)})}}", "", template)
    return "{" not in bare and "}" not in bare


def _is_links(value: Any) -> bool:
    """Whether a value is a list of links of a chain."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(link, dict)
            and link.keys() == {"route", "output"}
            and all(isinstance(part, str) and part for part in link.values())
            and routable_folders(f"{link['route']}/")[-1:] == [link["route"]]
            for link in value
        )
    )


def _is_table(value: Any) -> bool:
    """Whether a value says how a table is found."""
    return isinstance(value, dict) and all(
        setting in TABLE_RULES and TABLE_RULES[setting](said) for setting, said in value.items()
    )


TABLE_RULES: dict[str, Callable[[Any], bool]] = {
    "sheet": lambda said: isinstance(said, str) and bool(said),
    "header_row": lambda said: (
        said == FIND
        # 3.0 is a whole number to JSON, and True is none.
        or (type(said) in (int, float) and 1 <= said <= LAST_HEADER_ROW and said == int(said))
    ),
    "encoding": lambda said: said in (FIND, *ENCODINGS),
    "delimiter": lambda said: (
        said == FIND or (isinstance(said, str) and len(said) == 1 and said not in '"\r\n\0\ufeff')
    ),
    "until": lambda said: said in ("blank", "end"),
    "below": lambda said: said in ("refuse", "ignore"),
}
_PATTERNS = 'a list of names or patterns of outputs, such as ["Clean claims: *"]'
RULES: dict[str, Rule] = {
    **{field: _is_id(prefix) for field, prefix in FIELDS.items()},
    "queue": (
        lambda value: isinstance(value, str) and bool(_QUEUE.fullmatch(value)),
        "a name of at most 100 letters, digits, '.', '_' and '-'",
    ),
    "outputs": (_is_texts, _PATTERNS),
    "hold_if_rows": (_is_texts, _PATTERNS),
    "destinations": (
        _is_destinations,
        'a list of S3 URIs such as ["s3://bucket/path/{stem}-{output}.csv"], with the placeholders '
        + ", ".join(f"{{{name}}}" for name in PLACEHOLDERS),
    ),
    "then": (_is_links, 'a list such as [{"route": "central", "output": "Clean claims: *"}]'),
    "notify": (lambda value: value in ("problems", "always"), '"problems" or "always"'),
    "header": (_is_texts, "a list of the header row's columns"),
    "table": (
        _is_table,
        'an object with any of "sheet": a name or a pattern, "header_row": "find" or a number from '
        f'1 to {LAST_HEADER_ROW}, "encoding": "find" or one of {", ".join(ENCODINGS)}, '
        '"delimiter": "find" or one character, "until": "blank" or "end", "below": "refuse" or '
        '"ignore"',
    ),
    "identical": (lambda value: value in ("process", "skip"), '"process" or "skip"'),
    "identical_within_days": (
        # 30.0 is a whole number to JSON, and True is none.
        lambda value: type(value) in (int, float) and 1 <= value <= 3650 and value == int(value),
        "a whole number of days from 1 to 3650",
    ),
}


def _no_route(ssm: "SSMClient", key: str, folders: Sequence[str], path: str) -> str:
    """Say why `key` has no route, what it is like that has one, and how to give it one."""
    told = f"No route for {_quoted(key)}: "
    told += (
        f"none of its folders ({listed(folders)}) has one."
        if folders
        else "it lies in no folder that can have one."
    )
    told += "".join(f" {cause}" for looks_so, cause in _LIKELY_CAUSES if looks_so.search(key))
    meant = _meant(ssm, key, path)
    if meant:
        told += (
            f" Did you mean {_quoted(meant)}? That folder has a route: drop the file again under "
            "such a key."
        )
    if folders:
        return (
            f"{told} {'Or add' if meant else 'Add'} the parameter {path}/{folders[-1]}, "
            "then redrive the run. Or drop the file into a folder that has a route."
        )
    if meant:
        return told
    return (
        f"{told} Put the file into a folder whose name has only letters, digits, '.', '_' and '-'."
    )


def _meant(ssm: "SSMClient", key: str, path: str) -> str:
    """Return a key much like this one whose folder has a route, "" if there is none.

    It is only told: no file goes where nobody has put it.
    """
    plain = unquote_plus(key).replace("\\", "/")
    parts = [part.strip() for part in plain.split("/")]
    plain = "/".join(part for part in parts if part)
    likely = [plain, plain.lower(), "/".join(part.capitalize() for part in plain.split("/"))]
    asked: dict[str, str] = {}
    for candidate in likely:
        for folder in routable_folders(candidate)[:NEAREST]:
            name = f"{path}/{folder}"
            if len(name) <= LONGEST_NAME:
                asked.setdefault(name, folder + plain[len(folder) :])
    found = [parameter["Name"] for parameter in _read(ssm, list(asked))] if asked else []
    return asked[max(found, key=len)] if found else ""


def _short(value: Any) -> str:
    """Return a field's value as a message shows it."""
    return shown(repr(value))


def _quoted(key: str) -> str:
    """Return a key in quotes, so that spaces at its ends are seen."""
    return f"'{shown(key, LONGEST_KEY)}'"


NEAREST = 3  # folders of each key that may have been meant: nine names in all
LONGEST_KEY = 1100  # characters; S3's are shorter
_LIKELY_CAUSES = (
    (re.compile("^/|//"), "A slash at its start, or two in a row, make a folder without a name."),
    (re.compile(r"(^|/)\s|\s/"), "A folder's name begins or ends with a space."),
    (re.compile(r"%[0-9A-Fa-f]{2}|\+[^/]*/"), "It looks URL-encoded: S3 takes a key as it is."),
    (re.compile(r"\\"), "A backslash ends no folder: S3 wants a slash."),
    (re.compile(r"^[^/]*[A-Z][^/]*/"), "Capitals count: 'Claims' is not 'claims'."),
)

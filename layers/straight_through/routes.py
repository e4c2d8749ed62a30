"""A route is a folder of the inbox and a parameter that says where its files go.

One without a dataset takes no files: its pipeline works on what Quantemplate has already.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from straight_through.aws import answering
from straight_through.errors import NoRoute, RouteInvalid, RouteNeedsFile, RouteTakesNoFile
from straight_through.expected import Expect, expect_of, is_expect
from straight_through.members import (
    FEWEST,
    LONGEST,
    MOST,
    PATTERN,
    PERIOD,
    FileSet,
    Member,
    captures_of,
)
from straight_through.names import HELD, PREPARED, REPLAYS, RUNS
from straight_through.table_spec import EXPECTED as EXPECTED_TABLE
from straight_through.table_spec import TableSpec, is_table
from straight_through.text import listed, shown

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# What Parameter Store allows in a name. A folder with any other character has no route of its own.
LEGAL_FOLDER = re.compile(r"[A-Za-z0-9._-]+")
DEEPEST = 10  # GetParameters takes ten names
LONGEST_NAME = 1011  # characters of a parameter's name; PutParameter's documentation
# Folders of the outbox that are no route's.
RESERVED = {
    HELD: "the runs that gates hold",
    PREPARED: "the tables that were made of files",
    RUNS: "a line for each run that has ended",
    REPLAYS: "the plans of replays",
}
MOST_ROWS = 1_000_000_000  # that a route may expect of a file


@dataclass(frozen=True)
class Link:
    """The next stage of a chain: outputs that a pattern names go into a route's folder."""

    route: str
    output: str


@dataclass(frozen=True)
class When:
    """What starts the runs of a route without files: updates of all these datasets, a schedule."""

    updated: tuple[str, ...] = ()  # ids of datasets
    at: str = ""  # five fields of cron
    zone: str = "UTC"
    missed: str = "once"


@dataclass(frozen=True)
class Route:
    """Where the files of one folder go; `name` is the folder, without slashes at its ends."""

    name: str
    organisation_id: str
    dataset_id: str | None  # None for a route whose runs have no file, or the files of a set
    pipeline_id: str
    queue: str = ""  # whose turns its runs take; the pipeline, unless the route names another
    outputs: tuple[str, ...] = ("*",)
    hold_if_rows: tuple[str, ...] = ()
    hold_if_fewer_rows: int | None = None  # of data in the file; None holds none
    destinations: tuple[str, ...] = ()
    then: tuple[Link, ...] = ()
    notify: str = "problems"
    header: tuple[str, ...] = ()
    table: TableSpec | None = None
    identical: str = "process"
    identical_within_days: int = 30
    when: When | None = None
    expect: Expect | None = None
    set: FileSet | None = None  # files that belong together, each with a dataset of its own

    def __post_init__(self) -> None:
        """Let the queue be the pipeline where none is named."""
        object.__setattr__(self, "queue", self.queue or self.pipeline_id)

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets that its files overwrite; none for a route that takes no file."""
        if self.set:
            return tuple(member.dataset_id for member in self.set.members)
        return (self.dataset_id,) if self.dataset_id else ()

    def by_member(self, member: Member) -> "Route":
        """Return the route by which a member's file is judged, and made ready: its own fields."""
        return replace(self, header=member.header, table=member.table)


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


def require_fit(route: Route, *, has_file: bool) -> None:
    """Raise RouteTakesNoFile and RouteNeedsFile where a run has what its route cannot use."""
    if has_file and not route.datasets:
        raise RouteTakesNoFile(
            f"Route {route.name!r} has no dataset_id, so it takes no file: its runs execute the "
            "pipeline on what Quantemplate has. Nothing was uploaded. Drop the file into the "
            "folder of a route that takes it; or give this route a dataset_id, then redrive the "
            "run."
        )
    if not has_file and route.datasets:
        raise RouteNeedsFile(
            f"Route {route.name!r} uploads to dataset {', '.join(route.datasets)}, and this run "
            f"has no file: nothing was executed. Drop a file into the folder {route.name}/. If the "
            f"route is to run without one, take its {'set' if route.set else 'dataset_id'} away, "
            "then redrive the run."
        )


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
    _require_fields(name, fields)
    if "expect" in fields:
        fields["expect"] = expect_of(fields["expect"])
    if "when" in fields:
        when = fields["when"]
        fields["when"] = When(**when | {"updated": tuple(when.get("updated", ()))})
    if "set" in fields:
        of_set = fields["set"]
        fields["set"] = FileSet(of_set["period"], tuple(map(_member_of, of_set["members"])))
    links = tuple(Link(**link) for link in fields.pop("then", ()))
    table = TableSpec(**fields.pop("table")) if "table" in fields else None
    fields = {f: tuple(value) if isinstance(value, list) else value for f, value in fields.items()}
    return Route(name, then=links, table=table, **{"dataset_id": None} | fields)


def _member_of(said: dict[str, Any]) -> Member:
    """Return a member of a set."""
    table = TableSpec(**said["table"]) if "table" in said else None
    return Member(said["file"], said["dataset_id"], tuple(said.get("header", ())), table)


def _require_fields(name: str, fields: dict[str, Any]) -> None:
    """Raise RouteInvalid for a field that is missing, unknown, wrong, or of no use alone."""
    for field in NEEDED:
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
    _require_of_use(name, fields)
    if "set" in fields:
        _require_told(name, fields["set"])


def _require_of_use(name: str, fields: dict[str, Any]) -> None:
    """Raise RouteInvalid for a field that is of no use without another, or beside it."""
    for field in OF_FILES:
        if field in fields and "dataset_id" not in fields:
            of_set = "; in a set each member says its own" if field in OF_MEMBERS else ""
            raise RouteInvalid(
                f"Route {name!r}: field {field!r} is {_short(fields[field])}; expected is that the "
                f"route has a 'dataset_id' too, since without one it takes no file{of_set}. "
                f"{_EXPECTED}"
            )
    if "expect" in fields and not fields.keys() & {"dataset_id", "set"}:
        raise RouteInvalid(
            f"Route {name!r}: field 'expect' is {_short(fields['expect'])}; expected is that the "
            f"route has a 'dataset_id' or a 'set' too, since without one it takes no file. "
            f"{_EXPECTED}"
        )
    for field, other, why in EITHER:
        if field in fields and other in fields:
            raise RouteInvalid(
                f"Route {name!r}: field {field!r} is {_short(fields[field])}; expected is that the "
                f"route has no {other!r}, since {why}. {_EXPECTED}"
            )


def _require_told(name: str, of_set: dict[str, Any]) -> None:
    """Raise RouteInvalid for a member whose rules are wrong, or names that do not tell whose."""
    members = of_set["members"]
    for member, field in product(members, OF_MEMBERS):
        fits, expected = RULES[field]
        if field in member and not fits(member[field]):
            raise RouteInvalid(
                f"Route {name!r}: field 'set' has the member {_short(member['file'])}, whose "
                f"{field!r} is {_short(member[field])}; expected is {expected}. {_EXPECTED}"
            )
    datasets = [member["dataset_id"] for member in members]
    files = [member["file"] for member in members]
    for what, each in (("dataset_id", datasets), ("file", files)):
        twice = next((one for one in each if each.count(one) > 1), None)
        if twice is not None:
            raise RouteInvalid(
                f"Route {name!r}: field 'set' has two members with the {what} {_short(twice)}; "
                f"expected is that each has its own. {_EXPECTED}"
            )
    for file in files:
        captures = captures_of(file)
        again = next((one for one in captures if captures.count(one) > 1), None)
        missing = [one for one in captures_of(of_set["period"]) if one not in captures]
        if again or missing:
            wrong = f"captures {again!r} twice" if again else f"captures no {missing[0]!r}"
            raise RouteInvalid(
                f"Route {name!r}: field 'set' has the member {_short(file)}, which {wrong}; "
                "expected is that each member captures, once, what 'period' names. "
                f"{_EXPECTED}"
            )


# --- what a field must be -----------------------------------------------------------------------
# Not by msgspec, which would make the schema from the same declaration (tried with 0.22: 1 per cent
# of a start, 0.5 MB). With the schema's words this module would grow by a third, and the schema
# stays a file for editors. msgspec tells the field of a wrong value only within a sentence, refuses
# 30.0 for 30, and takes a newline where a pattern ends.
_EXPECTED = (
    'A route is {"organisation_id": "c-…", "dataset_id": "d-…", "pipeline_id": "p-…"} and what '
    "routes.schema.json allows beside; one whose runs need no file has no dataset_id, and one "
    'whose files belong together has a "set" in its place.'
)
FIELDS = {"organisation_id": "c-", "dataset_id": "d-", "pipeline_id": "p-"}
NEEDED = ("organisation_id", "pipeline_id")
OF_MEMBERS = ("header", "table")  # of one file, so that each member of a set may have its own
OF_FILES = ("hold_if_fewer_rows", "header", "table", "identical", "identical_within_days")
# Fields of which a route has one at most, and why.
EITHER = (
    ("when", "dataset_id", "a drop starts the runs of one that has"),
    ("set", "dataset_id", "each member of a set has its own"),
    ("when", "set", "drops start the runs of one that has"),
)
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


CRON = re.compile(r"[0-9A-Za-z*,/#-]+( [0-9A-Za-z*,/#-]+){4}")
ZONE = re.compile(r"[A-Za-z][A-Za-z0-9+_/-]{0,63}")
MOST_UPDATED = 20  # datasets, which one transaction binds to the route's queue
_DATASET = _is_id("d-")[0]


def _is_when(value: Any) -> bool:
    """Whether a value says what starts a route's runs. Whether a schedule is one tells `ticks`."""
    if not isinstance(value, dict) or not value.keys() & {"updated", "at"}:
        return False
    if value.keys() & {"zone", "missed"} and "at" not in value:
        return False
    return all(part in WHEN_RULES and WHEN_RULES[part](said) for part, said in value.items())


WHEN_RULES: dict[str, Callable[[Any], bool]] = {
    "updated": lambda said: (
        isinstance(said, list)
        and 1 <= len(said) <= MOST_UPDATED
        and all(map(_DATASET, said))
        and len(set(said)) == len(said)
    ),
    "at": lambda said: isinstance(said, str) and bool(CRON.fullmatch(said)),
    "zone": lambda said: isinstance(said, str) and bool(ZONE.fullmatch(said)),
    "missed": lambda said: said in ("once", "skip"),
}


def _is_set(value: Any) -> bool:
    """Whether a value names the members of a set. Whether they tell the period is told apart."""
    return (
        isinstance(value, dict)
        and value.keys() == {"period", "members"}
        and isinstance(value["period"], str)
        and len(value["period"]) <= LONGEST
        and bool(PERIOD.fullmatch(value["period"]))
        and isinstance(value["members"], list)
        and FEWEST <= len(value["members"]) <= MOST
        and all(map(_is_member, value["members"]))
    )


def _is_member(value: Any) -> bool:
    """Whether a value is a member of a set. Of its header and table it is told apart."""
    return (
        isinstance(value, dict)
        and {"file", "dataset_id"} <= value.keys() <= {"file", "dataset_id", *OF_MEMBERS}
        and isinstance(value["file"], str)
        and 1 <= len(value["file"]) <= LONGEST
        and bool(PATTERN.fullmatch(value["file"]))
        and _DATASET(value["dataset_id"])
    )


EXPECTED_HEADER = "a list of the header row's columns"
_PATTERNS = 'a list of names or patterns of outputs, such as ["Clean claims: *"]'
RULES: dict[str, Rule] = {
    **{field: _is_id(prefix) for field, prefix in FIELDS.items()},
    "queue": (
        lambda value: isinstance(value, str) and bool(_QUEUE.fullmatch(value)),
        "a name of at most 100 letters, digits, '.', '_' and '-'",
    ),
    "outputs": (_is_texts, _PATTERNS),
    "hold_if_rows": (_is_texts, _PATTERNS),
    "hold_if_fewer_rows": (
        # 30.0 is a whole number to JSON, and True is none.
        lambda value: (
            type(value) in (int, float) and 1 <= value <= MOST_ROWS and value == int(value)
        ),
        f"a whole number of rows from 1 to {MOST_ROWS}",
    ),
    "destinations": (
        _is_destinations,
        'a list of S3 URIs such as ["s3://bucket/path/{stem}-{output}.csv"], with the placeholders '
        + ", ".join(f"{{{name}}}" for name in PLACEHOLDERS),
    ),
    "then": (_is_links, 'a list such as [{"route": "central", "output": "Clean claims: *"}]'),
    "notify": (lambda value: value in ("problems", "always"), '"problems" or "always"'),
    "header": (_is_texts, EXPECTED_HEADER),
    "table": (is_table, EXPECTED_TABLE),
    "identical": (lambda value: value in ("process", "skip"), '"process" or "skip"'),
    "identical_within_days": (
        # 30.0 is a whole number to JSON, and True is none.
        lambda value: type(value) in (int, float) and 1 <= value <= 3650 and value == int(value),
        "a whole number of days from 1 to 3650",
    ),
    "expect": (
        is_expect,
        'an object with "file": a name or pattern with {period}, "every": "day", "week", "month" '
        'or "quarter", and "by": such as "working day 5, 17:00", "day 15, 17:00" or "last working '
        'day, 17:00", of a day "17:00"; beside them may stand "of": "this" or "before", "zone", '
        'such as "Europe/London", "holidays", such as "GB" or "GB-ENG", and "at_least": '
        '{"rows": 1}',
    ),
    "when": (
        _is_when,
        f'an object with "updated": a list of 1 to {MOST_UPDATED} ids of datasets, or "at": five '
        'fields of cron such as "0 6 * * MON-FRI", or both; beside "at" may stand "zone", such as '
        '"Europe/London", and "missed": "once" or "skip"',
    ),
    "set": (
        _is_set,
        f'an object with "period", such as "{{period}}", and "members": a list of {FEWEST} to '
        f'{MOST} such as {{"file": "claims-{{period}}.csv", "dataset_id": "d-…"}}, with a text '
        'between two captures or *; a member may have a "header" and a "table" of its own',
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

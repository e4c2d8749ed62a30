"""`stp routes`: files, checks, differences, and what is changed."""

import json
from pathlib import Path
from typing import Any

import pytest

from stp.route_checks import problems_of
from stp.route_files import Document
from stp.said import FAILED, UNKNOWN, USAGE
from stp.stack import Stack
from straight_through.routes import parse_route
from tests.cli.conftest import Stp

IDS = {"organisation_id": "c-1", "dataset_id": "d-1", "pipeline_id": "p-1"}


def ids(number: int, **more: object) -> dict[str, object]:
    """A route's document with ids of its own."""
    return {"organisation_id": "c-1", "dataset_id": f"d-{number}", "pipeline_id": f"p-{number}"} | (
        more
    )


def documents(**routes: object) -> dict[str, Document]:
    """Documents of routes; two underscores stand for a slash."""
    names = {name: name.replace("__", "/") for name in routes}
    return {names[n]: Document(names[n], value, f"{n}.yaml") for n, value in routes.items()}


def put(stack: Stack, name: str, value: object) -> None:
    """Deploy a route."""
    stack.client("ssm").put_parameter(
        Name=f"{stack.routes_path}/{name}", Value=json.dumps(value), Type="String"
    )


def texts(found: dict[str, Document]) -> list[str]:
    """What is wrong with routes, a line for each problem."""
    return [f"{each.level} {each.route} {each.text}" for each in problems_of(found)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one route as YAML, and one as JSON."""
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims.yaml").write_text(
        "# the broker's\norganisation_id: c-1\ndataset_id: d-1\npipeline_id: p-1\n"
    )
    (tmp_path / "claims" / "eu.json").write_text(json.dumps(ids(2)))
    return tmp_path


# --- checks -------------------------------------------------------------------------------------
def test_sound_routes_have_no_problem() -> None:
    assert texts(documents(a=ids(1), b=ids(2))) == []


def gathering(*datasets: str, number: int = 9, **more: object) -> dict[str, object]:
    """A route with a set whose members have these datasets."""
    members = [{"file": f"{name}-{{p}}.csv", "dataset_id": name} for name in datasets]
    whole = ids(number, set={"period": "{p}", "members": members}, **more)
    return {name: value for name, value in whole.items() if name != "dataset_id"}


def test_datasets_of_a_set_are_of_its_queue_alone_and_no_update_of_them_starts_a_run() -> None:
    sound = documents(a=gathering("d-1", "d-2"), b=ids(3, then=[{"route": "a", "output": "*"}]))
    assert texts(sound) == []
    # Given another queue that uploads to one, then both routes are told
    found = texts(documents(a=gathering("d-1", "d-2"), b=ids(2)))
    assert [text.partition(" is used")[0] for text in found] == [
        "error a dataset_id d-2",
        "error b dataset_id d-2",
    ]
    # And so is one that waits for its updates
    waits = {"organisation_id": "c-1", "pipeline_id": "p-5", "when": {"updated": ["d-1"]}}
    (text,) = texts(documents(a=gathering("d-1", "d-2"), b=waits))
    assert text.startswith('error b "when" waits for updates of d-1, which route a uploads to')


def test_a_document_that_is_no_route_is_an_error() -> None:
    (text,) = texts(documents(a={"organisation_id": "c-1"}))
    assert text.startswith("error a ")
    assert "dataset_id" in text


def test_a_folder_that_can_have_no_route_is_an_error() -> None:
    (text,) = texts({"Q2 claims": Document("Q2 claims", ids(1), "x")})
    assert "no folder that can have a route" in text


def test_a_document_larger_than_a_parameter_is_an_error() -> None:
    (text,) = texts(documents(a=ids(1, header=["column"] * 1000)))
    assert "8,192" in text


def test_a_dataset_shared_by_two_queues_is_an_error_of_both() -> None:
    # Given two routes with one dataset and pipelines of their own
    found = texts(documents(a=ids(1), b=ids(2) | {"dataset_id": "d-1"}))
    # Then both are told
    assert [text.split()[:2] for text in found] == [["error", "a"], ["error", "b"]]


def test_a_dataset_shared_within_one_queue_is_none() -> None:
    same = documents(a=ids(1, queue="q"), b=ids(2, queue="q") | {"dataset_id": "d-1"})
    assert texts(same) == []


def test_what_the_inboxs_prefix_leaves_out_is_told() -> None:
    # Given a route below the prefix that chains on to one outside it, and one around it
    found = documents(
        qt__in__a=ids(1, then=[{"route": "b", "output": "*"}]), b=ids(2), qt=ids(3), qt__b=ids(4)
    )
    told = [f"{each.level} {each.route}" for each in problems_of(found, "qt/in/")]
    # Then the link is an error, and a folder in which nothing starts a warning
    assert {"error qt/in/a", "warning b", "warning qt/b"} <= set(told)
    assert "warning qt" not in told
    assert [each for each in problems_of(found) if "InboxPrefix" in each.text] == []


def test_check_knows_the_prefix_of_the_stack_or_the_one_that_is_given(
    stp: Stp, deployed: Stack, folder: Path
) -> None:
    # Given a route file that chains on to another
    document = ids(3, then=[{"route": "claims", "output": "*"}])
    (folder / "x.json").write_text(json.dumps(document))
    assert stp("routes", "check", str(folder)).code == 0
    # When the prefix is given, or is that of the stack that they would be applied to
    done = stp("routes", "check", str(folder), "--inbox-prefix", "x/")
    vars(deployed)["parameters"] = {**deployed.parameters, "InboxPrefix": "x/"}
    applied = stp("routes", "apply", str(folder), "--yes")
    # Then it is refused
    assert (done.code, applied.code) == (FAILED, FAILED)
    assert '"then" leads to claims' in done.out
    assert "Nothing was changed" in applied.err


def test_a_chain_that_goes_round_is_an_error() -> None:
    # Given a → b → c → a
    links = {n: [{"route": to, "output": "*"}] for n, to in (("a", "b"), ("b", "c"), ("c", "a"))}
    found = texts(documents(**{n: ids(i, then=links[n]) for i, n in enumerate("abc")}))
    # Then each of them is told, with the way round
    assert len(found) == 3
    assert "a → b → c → a" in found[0]


def test_a_chain_into_a_cycle_of_others_is_their_error_only() -> None:
    link = [{"route": "b", "output": "*"}]
    found = texts(documents(a=ids(1, then=link), b=ids(2, then=link)))
    assert [text.split()[1] for text in found] == ["b"]


def test_a_chain_to_nowhere_is_an_error() -> None:
    (text,) = texts(documents(a=ids(1, then=[{"route": "b", "output": "*"}])))
    assert "which is no route" in text


def test_a_chain_to_a_route_that_takes_no_file_is_an_error() -> None:
    then = [{"route": "stock", "output": "*"}]
    stock = {"organisation_id": "c-1", "pipeline_id": "p-3"}
    (text,) = texts(documents(a=ids(1, then=then), stock=stock))
    assert text.startswith('error a "then" leads to stock, which has no dataset_id')


def test_two_routes_without_a_dataset_share_none() -> None:
    stock = {"organisation_id": "c-1", "pipeline_id": "p-3"}
    assert texts(documents(stock=stock, other=stock | {"pipeline_id": "p-4"})) == []


def waiting(number: int, *datasets: str, **more: Any) -> dict[str, Any]:
    """A route without a dataset of its own, whose runs updates of these start."""
    fields = {name: value for name, value in ids(number).items() if name != "dataset_id"}
    return {**fields, "when": {"updated": list(datasets)}, **more}


def test_a_dataset_that_is_waited_for_is_nobodys_to_upload_and_one_queues_alone() -> None:
    # Given a route that waits for what another uploads, then that is an error of the one that waits
    (text,) = texts(documents(a=ids(1), b=waiting(2, "d-1")))
    assert text.startswith("error b ")
    assert '"then"' in text
    # And two of two queues that wait for one dataset are an error; within one queue they are none
    (text,) = texts(documents(a=waiting(1, "d-9"), b=waiting(2, "d-9")))
    assert "another queue" in text
    same = documents(a=waiting(1, "d-9", queue="q"), b=waiting(2, "d-9", queue="q"))
    assert texts(same) == []


@pytest.mark.parametrize(
    ("at", "zone"),
    [
        ("nonsense", "UTC"),
        ("0 25 * * *", "UTC"),
        ("0 0 31 2 *", "Europe/London"),
        ("0 6 * * *", "Europe/Nowhere"),
    ],
)
def test_a_schedule_that_is_none_or_never_comes_is_an_error(at: str, zone: str) -> None:
    route = waiting(1) | {"when": {"at": at, "zone": zone}}
    (text,) = texts(documents(a=route))
    assert text.startswith("error a ")


def test_a_route_inside_another_is_a_hint() -> None:
    (text,) = texts(documents(claims=ids(1), claims__eu=ids(2)))
    assert text.startswith("hint claims/eu lies inside route claims")


def test_files_are_named_by_their_path(stp: Stp, folder: Path) -> None:
    # When files of both kinds are checked
    done = stp("routes", "check", str(folder), "--json")
    # Then only the hint is told
    assert done.code == 0
    assert [each["route"] for each in done.json] == ["claims/eu"]


@pytest.mark.parametrize(
    ("name", "text"), [("claims.yml", "a: 1"), ("b.yaml", "a: ["), ("c.json", "[]")]
)
def test_files_that_cannot_be_routes_fail_the_check(
    stp: Stp, folder: Path, name: str, text: str
) -> None:
    # Given a second file of a route, broken YAML, or a list
    (folder / name).write_text(text)
    # Then the check fails
    assert stp("routes", "check", str(folder)).code == FAILED


def test_a_missing_folder_says_how_to_begin(stp: Stp, tmp_path: Path) -> None:
    done = stp("routes", "check", str(tmp_path / "none"))
    assert done.code == USAGE
    assert "stp routes show --to" in done.err


# --- what is changed ----------------------------------------------------------------------------
def test_a_dry_run_shows_and_changes_nothing(stp: Stp, deployed: Stack, folder: Path) -> None:
    # Given a deployed route that differs from its file
    put(deployed, "claims", IDS | {"pipeline_id": "p-0"})
    # When the files are applied, but dry
    done = stp("routes", "apply", str(folder), "--dry-run")
    # Then the difference is shown and nothing is changed
    assert done.code == 0
    assert '-  "pipeline_id": "p-0"' in done.out
    assert '+  "pipeline_id": "p-1"' in done.out
    assert stp("routes", "show", "claims", "--json").json["claims"]["pipeline_id"] == "p-0"


def test_applied_files_are_the_routes(stp: Stp, deployed: Stack, folder: Path) -> None:
    # Given another route without a file
    put(deployed, "premiums", ids(3))
    # When the files are applied
    done = stp("routes", "apply", str(folder), "--yes")
    # Then they are there, and the other is kept
    assert done.code == 0
    assert "premiums" in done.err
    assert [r["route"] for r in stp("routes", "list", "--json").json] == [
        "claims",
        "claims/eu",
        "premiums",
    ]
    # And applied again, they change nothing
    assert "Nothing to change" in stp("routes", "apply", str(folder)).out
    # And --prune removes the other
    stp("routes", "apply", str(folder), "--prune", "--yes")
    assert len(stp("routes", "list", "--json").json) == 2


def test_a_header_of_120_long_columns_is_applied_and_compared(
    stp: Stp, deployed: Stack, tmp_path: Path
) -> None:
    # Given a route that asks for 120 columns of 60 characters, more than a standard parameter holds
    header = [
        f"{number:03} {'Sum insured of the building in the currency of it':.56}"
        for number in range(120)
    ]
    header = [f"{column:x<60}" for column in header]
    (tmp_path / "wide.json").write_text(json.dumps(ids(1, header=header), indent=2))
    # When it is applied
    done = stp("routes", "apply", str(tmp_path), "--yes")
    # Then it is there, as it is
    assert done.code == 0, done.err
    name = f"{deployed.routes_path}/wide"
    (found,) = deployed.client("ssm").get_parameters(Names=[name])["Parameters"]
    assert len(found["Value"]) > 4096
    assert parse_route("wide", found["Value"]).header == tuple(header)
    # And a file is judged by it
    file = tmp_path / "may.csv"
    file.write_text(",".join(header) + "\n")
    done = stp("drop", "--check", str(file), "--route", "wide")
    assert done.code == 0, done.err
    file.write_text(",".join(header[:60]) + "\n")
    done = stp("drop", "--check", str(file), "--route", "wide", "--json")
    assert done.code == FAILED
    assert "and 52 more missing" in done.json[0]["message"]
    assert len(done.json[0]["message"]) < 1200


def test_nothing_is_applied_without_an_answer(stp: Stp, deployed: Stack, folder: Path) -> None:
    done = stp("routes", "apply", str(folder))
    assert done.code == USAGE
    assert "--yes" in done.err
    assert f"Stack {deployed.name} has no routes" in stp("routes", "list").out


def test_files_that_clash_with_a_deployed_route_are_not_applied(
    stp: Stp, deployed: Stack, folder: Path
) -> None:
    # Given a deployed route with a file's dataset and another pipeline
    put(deployed, "other", ids(9) | {"dataset_id": "d-1"})
    # Then nothing is applied
    assert stp("routes", "apply", str(folder), "--yes").code == FAILED
    assert len(stp("routes", "list", "--json").json) == 1


def test_a_removed_route_is_gone(stp: Stp, deployed: Stack) -> None:
    put(deployed, "claims", IDS)
    assert stp("routes", "remove", "claims", "--yes").code == 0
    assert stp("routes", "list", "--json").json == []
    assert stp("routes", "remove", "claims", "--yes").code == UNKNOWN


@pytest.mark.parametrize("name", ["claims/../../eu", "aux", "claims/con", "claims./eu"])
def test_a_route_that_no_file_can_be_named_as_is_not_written(
    stp: Stp, deployed: Stack, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a route whose name is no file's, on Windows at least
    folder = tmp_path / "a" / "b"
    document = Document(name, IDS, "somewhere")
    monkeypatch.setattr("stp.commands_routes.deployed_documents", lambda _: {name: document})
    assert deployed
    # When it is to be written
    done = stp("routes", "show", "--to", str(folder))
    # Then that is refused, and nothing lies anywhere
    assert done.code != 0
    assert name in done.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_routes_as_files_follow_no_link_out_of_their_folder(
    stp: Stp, deployed: Stack, tmp_path: Path
) -> None:
    put(deployed, "claims/eu", IDS)
    folder, other = tmp_path / "routes", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    (folder / "claims").symlink_to(other)
    done = stp("routes", "show", "--to", str(folder))
    assert done.code != 0
    assert "is a link to another place" in done.err
    assert list(other.iterdir()) == []


def test_routes_as_files_to_begin_with(stp: Stp, deployed: Stack, tmp_path: Path) -> None:
    # Given a deployed route
    put(deployed, "claims/eu", IDS)
    # When it is written as a file
    assert stp("routes", "show", "--to", str(tmp_path)).code == 0
    # Then that is the same route
    assert (tmp_path / "claims" / "eu.yaml").is_file()
    assert "Nothing to change" in stp("routes", "apply", str(tmp_path)).out

"""`stp drop`: which file goes where, before anything is uploaded; and the version that it made."""

import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from quantemplate.bodies import FileBody
from stp.said import FAILED, OK, UNKNOWN, USAGE, Stop
from stp.stack import Stack
from stp.upload import planned, upload
from straight_through.names import run_name
from tests.cli.conftest import Done, Stp
from tests.unit.conftest import ROUTE
from tests.unit.sent import CASES, old_workbook, workbook


@pytest.fixture
def routed(deployed: Stack) -> Stack:
    """A stack with the routes claims and claims/eu, and a versioned inbox."""
    for name in ("claims", "claims/eu"):
        deployed.client("ssm").put_parameter(
            Name=f"{deployed.routes_path}/{name}", Value=json.dumps({}), Type="String"
        )
    deployed.client("s3").put_bucket_versioning(
        Bucket="inbox", VersioningConfiguration={"Status": "Enabled"}
    )
    return deployed


def file(folder: Path, name: str, content: str = "a\n1\n") -> Path:
    """A file of this machine."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_a_file_goes_into_the_routes_folder(routed: Stack, tmp_path: Path) -> None:
    (drop,) = planned(routed, [file(tmp_path, "may.csv")], "claims/eu")
    assert drop.key == "claims/eu/may.csv"


def test_a_folder_inside_a_route_is_one_too(routed: Stack, tmp_path: Path) -> None:
    (drop,) = planned(routed, [file(tmp_path, "may.csv")], "claims/2026")
    assert drop.key == "claims/2026/may.csv"


def test_a_file_that_lies_in_a_folder_of_a_route_needs_no_name(
    routed: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file(tmp_path, "claims/eu/may.csv")
    (drop,) = planned(routed, [Path("claims/eu/may.csv")], "")
    assert drop.key == "claims/eu/may.csv"


def test_of_several_files_each_that_would_go_nowhere_is_named(
    stp: Stp, routed: Stack, tmp_path: Path
) -> None:
    # Given a file that is empty, one that would be ignored, and a good one
    paths = [file(tmp_path, "may.csv", ""), file(tmp_path, "notes.txt"), file(tmp_path, "june.csv")]
    # When they are dropped together
    done = stp("drop", *map(str, paths), "--route", "claims")
    # Then both are told at once, and nothing is uploaded
    assert done.code == USAGE
    assert "may.csv is empty" in done.err
    assert "notes.txt" in done.err
    assert "june.csv" not in done.err
    assert "Contents" not in routed.client("s3").list_objects_v2(Bucket="inbox")


@pytest.mark.parametrize(
    ("name", "content", "route", "hint"),
    [
        ("may.csv", "a\n", "", "--route: claims, claims/eu"),
        ("may.csv", "", "claims", "is empty"),
        ("may.csv.filepart", "a\n", "claims", "its name fits *.filepart"),
        ("notes.txt", "a\n", "claims", "fits notes.* of the stack's parameter IgnorePatterns"),
    ],
)
def test_what_would_go_nowhere_is_not_uploaded(
    stp: Stp, routed: Stack, tmp_path: Path, name: str, content: str, route: str, hint: str
) -> None:
    # Given a file that no run would process
    path = file(tmp_path, name, content)
    # When it is dropped
    done = stp("drop", str(path), "--route", route)
    # Then it is refused with what to do, and the inbox is empty
    assert done.code == USAGE
    assert hint in done.err
    assert "Contents" not in routed.client("s3").list_objects_v2(Bucket="inbox")


def test_a_folder_that_no_route_serves_is_said_to_be_so(
    stp: Stp, routed: Stack, tmp_path: Path
) -> None:
    # When a file is dropped into a folder that no route has
    done = stp("drop", str(file(tmp_path, "may.csv", "a\n")), "--route", "clams")
    # Then that has the exit code of what is not known, and those that are there are named
    assert done.code == UNKNOWN
    assert "No route serves the folder 'clams'. Routes are: claims, claims/eu" in done.err
    assert "Contents" not in routed.client("s3").list_objects_v2(Bucket="inbox")


def test_a_place_for_the_outputs_is_made_before_anything_is_sent(
    stp: Stp, routed: Stack, tmp_path: Path
) -> None:
    # Given a file where the folder for the outputs is to be
    path = file(tmp_path, "may.csv", "a\n")
    # When a file is dropped, whose outputs are to go there
    done = stp("drop", str(path), "--route", "claims", "--to", str(path))
    # Then it says so without a traceback, and nothing was sent
    assert (done.code, done.out) == (FAILED, "")
    assert "It failed on this machine: " in done.err
    assert "Contents" not in routed.client("s3").list_objects_v2(Bucket="inbox")


def test_what_lies_outside_the_inboxs_prefix_is_not_uploaded(
    stp: Stp, routed: Stack, tmp_path: Path
) -> None:
    # Given a stack that takes some keys only
    vars(routed)["parameters"] = {**routed.parameters, "InboxPrefix": "claims/eu"}
    path = file(tmp_path, "may.csv", "a\n")
    # When a file is dropped beside them
    done = stp("drop", str(path), "--route", "claims")
    # Then it is refused with where to
    assert done.code == USAGE
    assert "takes only keys that begin with 'claims/eu'" in done.err
    assert "Contents" not in routed.client("s3").list_objects_v2(Bucket="inbox")


# --- checked here ---------------------------------------------------------------------------------
@pytest.fixture
def asking(routed: Stack) -> Stack:
    """The stack, whose route claims asks for a header; the route tables finds a table."""
    changes: dict[str, dict[str, Any]] = {
        "claims": {"header": ["Policy", "Insured", "Premium"]},
        "claims/eu": {},
        "tables": {"table": {"sheet": "Premium*"}},
    }
    for name, fields in changes.items():
        routed.client("ssm").put_parameter(
            Name=f"{routed.routes_path}/{name}",
            Value=json.dumps(ROUTE | fields),
            Type="String",
            Overwrite=True,
        )
    return routed


CHECKED = [
    ("sent-page.csv", "claims", "WrongFormat", "a web page (HTML)"),
    ("sent-cut.csv.gz", "claims", "WrongFormat", "its end is missing"),
    ("sent-password.xlsx", "claims", "WrongFormat", "a workbook with a password"),
    ("sent-utf16.csv", "claims", "HeaderMismatch", "in UTF-16"),
    ("sent-one-member.zip", "claims", "WrongFormat", "a ZIP archive (march.csv)"),
]


@pytest.mark.parametrize(("name", "route", "error", "says"), CHECKED)
def test_a_file_is_checked_here_as_the_stack_would(
    stp: Stp, asking: Stack, name: str, route: str, error: str, says: str
) -> None:
    # When a file that would be refused is checked
    done = stp("drop", "--check", str(CASES / name), "--route", route)
    # Then it is told as the stack would tell it, and nothing is sent
    assert done.code == FAILED
    assert error in done.out
    assert says in done.out
    assert "Contents" not in asking.client("s3").list_objects_v2(Bucket="inbox")


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_a_service_that_refuses_says_nothing_of_the_file(
    stp: Stp, asking: Stack, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    # Given a person whom Parameter Store denies the routes, or throttles
    assert asking
    of_all: Any = BaseClient
    call = of_all._make_api_call

    def refused(client: Any, operation: str, given: Any) -> Any:
        if operation == "GetParameters":
            answer: Any = {"Error": {"Code": code, "Message": "User: alice may not"}}
            raise ClientError(answer, operation)
        return call(client, operation, given)

    monkeypatch.setattr(BaseClient, "_make_api_call", refused)
    # Then the command fails with the service's refusal, and judges no file
    done = stp("drop", "--check", str(CASES / "sent-titles.csv"), "--route", "claims")
    assert done.code != 0
    assert code in done.err
    assert "sent-titles.csv" not in done.out


TABLE = "Policy,Insured\nP1,Müller\n"
DOUBTED = {
    "utf16.csv": (TABLE.encode("utf-16"), ["UTF-16"]),
    "latin.csv": (TABLE.encode("cp1252"), ["not UTF-8"]),
    "semicolons.csv": (TABLE.replace(",", ";").encode(), ["with semicolons in its name"]),
    "tabs.csv": (TABLE.replace(",", "\t").encode(), ["with tabs in its name"]),
    "sep.csv": (b"sep=;\nPolicy;Insured\n", ["'sep=;', which would be the header"]),
    "marked.csv": (TABLE.encode("utf-8-sig"), []),
    "one-column.csv": (b"Policy\nP1\n", []),
    "book.xlsx": (workbook([["Policy; old", "Insured"], ["P1", "M"]]), []),
}


@pytest.mark.parametrize("name", DOUBTED)
def test_what_quantemplate_may_not_read_is_told_before_it_is_sent(
    stp: Stp, asking: Stack, tmp_path: Path, name: str
) -> None:
    # Given a file for a route that takes any, as it is
    assert asking
    content, says = DOUBTED[name]
    path = tmp_path / name
    path.write_bytes(content)
    # When it is checked
    done = stp("drop", "--check", str(path), "--route", "claims/eu", "--json")
    # Then it is taken, and what may go wrong is said, with what to do
    (told,) = done.json
    assert (done.code, told["error"], len(told["doubts"])) == (OK, "", len(says))
    assert all(part in doubt for part, doubt in zip(says, told["doubts"], strict=True))
    shown = stp("drop", "--check", str(path), "--route", "claims/eu").out
    assert shown.count('give the route a "table"') == len(says)


def warned(done: Done) -> list[str]:
    """What a drop warns of; that it takes long is none of it."""
    return [line for line in done.err.splitlines() if line.startswith("! ")]


@pytest.mark.parametrize("name", DOUBTED)
def test_a_plain_drop_says_so_in_a_line_and_sends_it(
    stp: Stp, asking: Stack, tmp_path: Path, name: str
) -> None:
    # Given the same files, and an inbox that keeps versions
    keeps: Any = {"Status": "Enabled"}
    s3 = asking.client("s3")
    s3.put_bucket_versioning(Bucket="inbox", VersioningConfiguration=keeps)
    content, says = DOUBTED[name]
    path = tmp_path / name
    path.write_bytes(content)
    # When they are dropped
    done = stp("drop", str(path), "--route", "claims/eu", "--json")
    # Then what may go wrong is said, and they are there
    lines = warned(done)
    assert (done.code, len(lines)) == (OK, len(says))
    assert all(name in line and part in line for part, line in zip(says, lines, strict=True))
    assert s3.get_object(Bucket="inbox", Key=f"claims/eu/{name}")["Body"].read() == content


def test_a_plain_drop_names_the_error_that_its_run_would_end_with(
    stp: Stp, asking: Stack, tmp_path: Path
) -> None:
    # Given a file with another header than its route asks for, and one of a route that finds tables
    keeps: Any = {"Status": "Enabled"}
    asking.client("s3").put_bucket_versioning(Bucket="inbox", VersioningConfiguration=keeps)
    path = file(tmp_path, "may.csv", "Policy;Insured;Premium\n1;2;3\n")
    # When they are dropped, then the first one is warned of, in a line
    (line,) = warned(stp("drop", str(path), "--route", "claims"))
    assert line.startswith(f"! {path}: its run may end as HeaderMismatch. ")
    assert "Nothing was uploaded" not in line
    assert warned(stp("drop", str(path), "--route", "tables")) == []


def test_a_plain_drop_reads_no_more_than_the_beginning(
    stp: Stp, asking: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given large files
    keeps: Any = {"Status": "Enabled"}
    asking.client("s3").put_bucket_versioning(Bucket="inbox", VersioningConfiguration=keeps)
    content = b"Policy,Insured,Premium\n" + os.urandom(5_000_000).hex().encode()
    paths = [tmp_path / "may.csv", tmp_path / "may.csv.gz"]
    for path, body in zip(paths, (content, gzip.compress(content)), strict=True):
        path.write_bytes(body)
    read: list[int] = []
    part, chunks = FileBody.part, FileBody.__iter__

    def counted_part(body: FileBody, start: int, size: int) -> bytes:
        found = part(body, start, size)
        read.append(len(found))
        return found

    def counted_chunks(body: FileBody) -> Iterator[bytes]:
        for chunk in chunks(body):
            read.append(len(chunk))
            yield chunk

    monkeypatch.setattr(FileBody, "part", counted_part)
    monkeypatch.setattr(FileBody, "__iter__", counted_chunks)
    # When they are dropped, then each is looked at, and not read twice
    done = stp("drop", *map(str, paths), "--route", "claims")
    assert (done.code, warned(done)) == (OK, [])
    assert 0 < sum(read) < sum(path.stat().st_size for path in paths) / 3


ODD = {
    "blank.csv": b"\n\n\n",
    "zeros.csv": bytes(5000),
    "quote.csv": b'Policy,"Insured,Premium\n1,2,3\n',
    "latin.csv": b"Policy;M\xfcller\n\xff\xfe\n",
    "odd.csv": b"\xff\xfeP\x00o",
    "cut.xlsx": workbook([["Policy", "Insured", "Premium"]])[:-30],
    "book.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "cut.xls": old_workbook([["Policy"], ["1"]])[:3000],
    "nothing.csv.gz": gzip.compress(b""),
    "behind.csv.gz": gzip.compress(b"Policy,Insured,Premium\n") + b"garbage",
    "zip.csv": b"PK\x03\x04" + bytes(100),
    "no.zip": b"PK\x05\x06" + bytes(18),
    "no-ending": b"\x00\x01",
}


@pytest.mark.parametrize("route", ["claims", "tables"])
@pytest.mark.parametrize("name", ODD)
def test_whatever_a_file_is_its_check_ends_with_a_reason(
    stp: Stp, asking: Stack, tmp_path: Path, name: str, route: str
) -> None:
    assert asking
    path = tmp_path / name
    path.write_bytes(ODD[name])
    done = stp("drop", "--check", str(path), "--route", route, "--json")
    assert done.code == FAILED
    (told,) = done.json
    assert told["error"] in ("WrongFormat", "HeaderMismatch", "TableUnclear")
    assert told["message"].endswith("Nothing was uploaded.")


GOOD = {
    "may.csv": b"\xef\xbb\xbfPolicy,Insured,Premium\n007001,M\xc3\xbcller,1250.50\n",
    "may.csv.gz": gzip.compress(b"Policy,Insured,Premium\n007001,M\xc3\xbcller,1250.50\n"),
    "may.tsv": b"Policy\tInsured\tPremium\n007001\tM\xc3\xbcller\t1250.50\n",
    "may.xlsx": workbook([["Policy", "Insured", "Premium"], ["007001", "Müller", "1250.50"]]),
    "may.xls": old_workbook([["Policy", "Insured", "Premium"], ["007001", "Müller", "1250.50"]]),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_file_is_shown_as_its_dataset_would_see_it(
    stp: Stp, asking: Stack, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(GOOD[name])
    done = stp("drop", "--check", str(path), "--route", "claims", "--json")
    assert done.code == 0, done.err
    (told,) = done.json
    assert (told["route"], told["key"], told["error"]) == ("claims", f"claims/{name}", "")
    assert told["rows"] == [["Policy", "Insured", "Premium"], ["007001", "Müller", "1250.50"]]
    # And for people, as a table
    shown = stp("drop", "--check", str(path), "--route", "claims").out
    assert re.search(r"✓ .*may.* would be taken by route claims", shown)
    assert "007001" in shown
    assert "Contents" not in asking.client("s3").list_objects_v2(Bucket="inbox")


def test_a_table_is_shown_where_it_stands(stp: Stp, asking: Stack) -> None:
    assert asking
    done = stp("drop", "--check", str(CASES / "sent-titles.xlsx"), "-r", "tables", "--json")
    assert done.code == 0, done.err
    assert done.json[0]["rows"][0] == ["Policy", "Insured", "Inception", "Premium"]
    assert len(done.json[0]["rows"]) == 3


def test_a_file_of_a_set_is_checked_by_its_members_own_fields(
    stp: Stp, asking: Stack, tmp_path: Path
) -> None:
    # Given a set of which each member has a header, and one a table
    members = [
        {"file": "claims-{period}.csv", "dataset_id": "d-1", "header": ["id", "paid"]},
        {"file": "premiums-{period}.csv", "dataset_id": "d-2", "header": ["Policy"], "table": {}},
    ]
    route: dict[str, Any] = {"organisation_id": "c-1", "pipeline_id": "p-1"}
    route |= {"set": {"period": "{period}", "members": members}}
    name, value = f"{asking.routes_path}/sets", json.dumps(route)
    asking.client("ssm").put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
    # When the header of the one comes in both
    for file in ("claims", "premiums"):
        (tmp_path / f"{file}-05.csv").write_bytes(b"id,paid\nC-1,1.00\n")
    paths = [str(tmp_path / f"{file}-05.csv") for file in ("claims", "premiums")]
    done = stp("drop", "--check", *paths, "--route", "sets", "--json")
    # Then the other is refused
    assert done.code == FAILED
    assert [each["error"] for each in done.json] == ["", "TableUnclear"]
    assert done.json[0]["rows"] == [["id", "paid"], ["C-1", "1.00"]]


def test_what_a_file_holds_is_shown_on_its_line(stp: Stp, asking: Stack, tmp_path: Path) -> None:
    assert asking
    path = file(tmp_path, "may.csv", 'id,"a\nb\x1b[31m",' + "x" * 99 + "\n1,2,3\n" + "1,2,3\n" * 99)
    shown = stp("drop", "--check", str(path), "--route", "claims/eu").out
    assert "\x1b" not in shown
    assert "x" * 30 not in shown
    assert len(shown.splitlines()) <= 9


def test_a_missing_file_and_two_of_one_name_are_refused(routed: Stack, tmp_path: Path) -> None:
    with pytest.raises(Stop, match="no file"):
        planned(routed, [tmp_path / "none.csv"], "claims")
    twice = [file(tmp_path, "a/may.csv"), file(tmp_path, "b/may.csv")]
    with pytest.raises(Stop, match="Several files"):
        planned(routed, twice, "claims")


def test_a_drop_names_its_run(stp: Stp, routed: Stack, tmp_path: Path) -> None:
    # When a file is dropped
    done = stp("drop", str(file(tmp_path, "may.csv")), "--route", "claims", "--json")
    # Then the run is that of the version in the inbox
    (told,) = done.json
    head = routed.client("s3").head_object(Bucket="inbox", Key="claims/may.csv")
    assert told["version_id"] == head["VersionId"]
    assert told["run"] == run_name("inbox", "claims/may.csv", head["VersionId"])


def test_our_version_is_found_where_another_has_followed(
    routed: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given somebody who overwrites the key right after our upload
    s3 = routed.client("s3")
    ours = s3.upload_file

    def overtaken(*arguments: object, **options: object) -> None:
        ours(*arguments, **options)
        s3.put_object(Bucket="inbox", Key="claims/may.csv", Body=b"theirs")

    monkeypatch.setattr(s3, "upload_file", overtaken)
    # When we drop a file
    (drop,) = planned(routed, [file(tmp_path, "may.csv")], "claims")
    sent: list[int] = []
    dropped = upload(routed, drop, sent.append)
    # Then it is our version that is followed, and all bytes were told
    found = s3.get_object(Bucket="inbox", Key="claims/may.csv", VersionId=dropped.version_id)
    assert found["Body"].read() == b"a\n1\n"
    assert sum(sent) == 4


def test_an_inbox_without_versions_says_that_nothing_can_be_followed(
    stp: Stp, routed: Stack, tmp_path: Path
) -> None:
    # Given a bucket whose versions are switched off
    routed.client("s3").put_bucket_versioning(
        Bucket="inbox", VersioningConfiguration={"Status": "Suspended"}
    )
    # When a file is dropped
    done = stp("drop", str(file(tmp_path, "may.csv")), "--route", "claims")
    # Then it is told that its run cannot be found
    assert done.code == FAILED
    assert "stp doctor" in done.err

"""`stp drop`: which file goes where, before anything is uploaded; and the version that it made."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from stp.said import FAILED, USAGE, Stop
from stp.stack import Stack
from stp.upload import planned, upload
from straight_through.names import run_name
from tests.cli.conftest import Stp
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


@pytest.mark.parametrize(
    ("name", "content", "route", "hint"),
    [
        ("may.csv", "a\n", "", "--route: claims, claims/eu"),
        ("may.csv", "a\n", "premiums", "No route serves"),
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

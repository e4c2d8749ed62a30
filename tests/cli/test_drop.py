"""`stp drop`: which file goes where, before anything is uploaded; and the version that it made."""

import json
from pathlib import Path

import pytest

from stp.said import FAILED, USAGE, Stop
from stp.stack import Stack
from stp.upload import planned, upload
from straight_through.names import run_name
from tests.cli.conftest import Stp


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

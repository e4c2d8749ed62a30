"""Copies of outputs go to each destination, each for itself."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from straight_through.errors import (
    DestinationClash,
    DestinationFailed,
    OutboxUnavailable,
    RouteInvalid,
    StraightThroughError,
)
from straight_through.publishing.destinations import export, targets_of
from tests.unit.conftest import INBOX, OUTBOX, made_once
from tests.unit.outbox_runs import CLEAN, REPORT, objects, route, run_of, without_a_file

LAKE = "lake"


@pytest.fixture
def lake(s3: Any) -> Any:
    """S3 with a third bucket, of others."""
    s3.create_bucket(Bucket=LAKE, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket=LAKE, VersioningConfiguration={"Status": "Enabled"})
    return s3


Break = Callable[..., None]


@pytest.fixture
def breaking(lake: Any, monkeypatch: pytest.MonkeyPatch) -> Break:
    """Let writes to some keys fail."""
    real = lake.create_multipart_upload

    def breaking(failing: dict[str, Exception]) -> None:
        def begin(**given: Any) -> Any:
            if given["Key"] in failing:
                raise failing[given["Key"]]
            return real(**given)

        monkeypatch.setattr(lake, "create_multipart_upload", begin)

    return breaking


def answer(status: int, code: str) -> ClientError:
    """S3's refusal."""
    refusal = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(refusal, "CreateMultipartUpload")  # type: ignore[arg-type]


def uris(record: Any, *destinations: str, **changed: Any) -> list[str]:
    """Where the outputs go."""
    return [uri for _, uri in targets_of(record, route(destinations=destinations, **changed))]


def test_each_placeholder_is_filled(s3: Any) -> None:
    record = run_of(s3, {CLEAN: b"a\n"}, key="claims/eu/Mai 2026.csv.gz")
    assert uris(record, "s3://lake/{route}/{stem}/{date}/{run}/{output}.csv") == [
        f"s3://lake/claims/eu/Mai 2026/2026-05-04/may-1/{CLEAN}.csv"
    ]


@pytest.mark.parametrize("text", ["{run}", "{output}", "\\1", "{", "}{date}", r"\g<0>"])
def test_a_value_that_looks_like_a_placeholder_stays_as_it_is(s3: Any, text: str) -> None:
    record = run_of(s3, {text: b"a\n"}, key=f"claims/{text}.csv")
    assert uris(record, "s3://lake/{stem}-{output}.csv") == [f"s3://lake/{text}-{text}.csv"]


def test_only_the_outputs_that_the_route_wants_go(s3: Any) -> None:
    record = run_of(s3, {CLEAN: b"a\n", REPORT: b"a\n"})
    assert uris(record, "s3://lake/{output}.csv", outputs=("Clean claims: *",)) == [
        f"s3://lake/{CLEAN}.csv"
    ]


def test_outputs_of_one_name_go_by_their_file_names(s3: Any) -> None:
    record = run_of(s3, {"A": b"a\n", "B": b"b\n"})
    for output, stem in zip(record["outputs"], ["A (o-1)", "A (o-2)"], strict=True):
        output |= {"name": "A", "key": f"claims/may/may-1/{stem}.csv"}
    assert uris(record, "s3://lake/{output}.csv") == [
        "s3://lake/A (o-1).csv",
        "s3://lake/A (o-2).csv",
    ]


@pytest.mark.parametrize(
    "destinations", [("s3://lake/{stem}.csv",), ("s3://lake/{run}/x", "s3://lake/{output}")]
)
def test_two_that_would_meet_are_refused_before_anything_is_written(
    lake: Any, destinations: tuple[str, ...]
) -> None:
    record = run_of(lake, {CLEAN: b"a\n", REPORT: b"b\n"})
    with pytest.raises(DestinationClash, match=f"'{CLEAN}', '{REPORT}' would all go to s3://lake/"):
        export(lake, OUTBOX, record, route(destinations=destinations))
    assert objects(lake, LAKE) == {}


def test_a_destination_in_the_inbox_is_refused(lake: Any) -> None:
    record = run_of(lake, {CLEAN: b"a\n"})
    told = f"Route 'claims': field 'destinations' has 's3://{INBOX}/claims/x.csv'.*'then'"
    with pytest.raises(RouteInvalid, match=told):
        export(lake, OUTBOX, record, route(destinations=(f"s3://{INBOX}/claims/x.csv",)))
    # And one whose name only begins alike is not
    assert uris(record, f"s3://{INBOX}-2/x.csv") == [f"s3://{INBOX}-2/x.csv"]


def test_copies_tell_run_source_and_place(lake: Any) -> None:
    record = run_of(lake, {CLEAN: b"a\n1\n"}, key="claims/Schäden.csv")
    done = export(lake, OUTBOX, record, route(destinations=("s3://lake/latest.csv",)))
    assert done == [{"output": CLEAN, "uri": "s3://lake/latest.csv", "outcome": "Copied"}]
    assert lake.head_object(Bucket=LAKE, Key="latest.csv")["Metadata"] == {
        "run": "may-1",
        "source-key": "claims/Sch%C3%A4den.csv",
        "source-version": "v1",
        "output": "o-1",
        "order": record["order"],
    }


def test_the_latest_is_never_replaced_by_an_older_run_that_finishes_later(lake: Any) -> None:
    latest = route(destinations=("s3://lake/latest.csv",))
    june = run_of(lake, {CLEAN: b"june"}, run="june", order="2026-06-04T08:15:30.000Z#0#june")
    may = run_of(lake, {CLEAN: b"may"})
    export(lake, OUTBOX, june, latest)
    assert export(lake, OUTBOX, may, latest)[0]["outcome"] == "Superseded"
    assert objects(lake, LAKE) == {"latest.csv": b"june"}


def test_one_that_fails_keeps_no_other_and_a_redrive_repeats_only_it(
    lake: Any, breaking: Break
) -> None:
    # Given three destinations, one of which may not be written
    record = run_of(lake, {CLEAN: b"clean"})
    three = route(destinations=tuple(f"s3://lake/{name}.csv" for name in "abc"))
    breaking({"b.csv": answer(403, "AccessDenied")})
    told = r"1 of 3 exports failed: s3://lake/b.csv \(S3 answered 403, AccessDenied\).*only these"
    with pytest.raises(DestinationFailed, match=told):
        export(lake, OUTBOX, copy.deepcopy(record), three)
    assert objects(lake, LAKE) == {"a.csv": b"clean", "c.csv": b"clean"}
    # When it is mended, and the execution redriven
    breaking({})
    done = export(lake, OUTBOX, record, three)
    # Then only that one is written
    assert [each["outcome"] for each in done] == ["Copied"] * 3
    versions = lake.list_object_versions(Bucket=LAKE)["Versions"]
    assert sorted(each["Key"] for each in versions) == ["a.csv", "b.csv", "c.csv"]


def test_of_many_that_fail_the_first_are_named_and_the_others_counted(
    lake: Any, breaking: Break
) -> None:
    # Given more destinations that fail than a message has room for, and no other
    names = [f"{letter}.csv" for letter in "abcdefghijklmnopqrstuvwxyz"]
    record = run_of(lake, {CLEAN: b"clean"})
    breaking({name: answer(403, "AccessDenied") for name in names})
    with pytest.raises(DestinationFailed) as raised:
        export(lake, OUTBOX, record, route(destinations=tuple(f"s3://lake/{n}" for n in names)))
    # Then what it names and what it counts are all of them, and no others are said to be there
    named = str(raised.value).count("s3://lake/")
    assert 0 < named < len(names)
    assert "26 of 26 exports failed: s3://lake/a.csv" in str(raised.value)
    assert f" … and {len(names) - named} more. Let" in str(raised.value)
    # And of exactly so many, none is only counted
    few = names[:named]
    with pytest.raises(DestinationFailed, match=r"AccessDenied\). Let"):
        export(lake, OUTBOX, record, route(destinations=tuple(f"s3://lake/{n}" for n in few)))


def test_that_the_others_are_there_is_said_where_some_are(lake: Any, breaking: Break) -> None:
    record = run_of(lake, {CLEAN: b"clean"})
    breaking({"b.csv": answer(403, "AccessDenied")})
    with pytest.raises(DestinationFailed, match=r"AccessDenied\). The others are there. Let"):
        export(lake, OUTBOX, record, route(destinations=("s3://lake/a.csv", "s3://lake/b.csv")))


def test_an_output_that_is_gone_is_told_as_gone(lake: Any) -> None:
    record = run_of(lake, {CLEAN: b"clean"})
    lake.delete_object(Bucket=OUTBOX, Key=record["outputs"][0]["key"])
    with pytest.raises(DestinationFailed, match=r"a.csv \(the output is gone from the outbox\)"):
        export(lake, OUTBOX, record, route(destinations=("s3://lake/a.csv",)))


PASSING = [
    answer(503, "SlowDown"),
    answer(400, "RequestTimeout"),
    answer(400, "ThrottlingException"),
    EndpointConnectionError(endpoint_url="https://s3"),
]


@pytest.mark.parametrize("passing", PASSING, ids=str)
@pytest.mark.parametrize("final", [{}, {"c.csv": answer(403, "AccessDenied")}])
def test_what_passes_by_itself_is_tried_again_also_beside_what_does_not(
    lake: Any, breaking: Break, passing: Exception, final: dict[str, Exception]
) -> None:
    record = run_of(lake, {CLEAN: b"clean"})
    three = route(destinations=tuple(f"s3://lake/{name}.csv" for name in "abc"))
    breaking({"a.csv": passing, **final})
    reason = "S3 answered" if isinstance(passing, ClientError) else "EndpointConnectionError"
    with pytest.raises(OutboxUnavailable, match=rf"s3://lake/a\.csv \({reason}") as raised:
        export(lake, OUTBOX, copy.deepcopy(record), three)
    assert all(key in str(raised.value) for key in final)
    # And when it has passed, what is left is told as such
    breaking(final)
    error = DestinationFailed if final else None
    try:
        export(lake, OUTBOX, record, three)
        assert error is None
    except StraightThroughError as left:
        assert type(left) is error  # noqa: PT017 - which one depends
    assert objects(lake, LAKE).keys() == {"a.csv", "b.csv", "c.csv"} - final.keys()


def test_a_run_without_a_file_goes_by_its_own_name(s3: Any) -> None:
    record = without_a_file(run_of(s3, {CLEAN: b"a"}))
    assert uris(record, "s3://lake/{stem}.csv") == ["s3://lake/may-1.csv"]


def test_a_bucket_that_does_not_exist_is_told(lake: Any) -> None:
    record = run_of(lake, {CLEAN: b"clean"})
    with pytest.raises(DestinationFailed, match=r"s3://gone/x.csv \(S3 answered 404"):
        export(made_once("s3"), OUTBOX, record, route(destinations=("s3://gone/x.csv",)))

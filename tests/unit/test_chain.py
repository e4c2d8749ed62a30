"""A chain drops outputs into other routes' folders, once, and never goes round for ever."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from straight_through.buckets.inbox import pin_source
from straight_through.errors import ChainCycle, NoRoute, OutboxUnavailable, RouteInvalid
from straight_through.execution_input import input_of
from straight_through.publishing.chain import (
    chain_on,
    path_of,
    require_inside,
    require_no_cycle,
)
from tests.unit.conftest import INBOX, OUTBOX
from tests.unit.outbox_runs import (
    CLEAN,
    REPORT,
    Known,
    chained_to,
    objects,
    route,
    run_of,
    without_a_file,
)

known: Any = Known
TO_CENTRAL = route(then=chained_to(("central", "Clean claims: *")))


def test_an_output_is_dropped_with_its_lineage(s3: Any) -> None:
    # Given a run of a file from outside
    record = run_of(s3, {CLEAN: b"a\n1\n", REPORT: b"a\n"}, key="claims/eu/Schäden.csv")
    # When it is chained on
    (dropped,) = chain_on(s3, OUTBOX, record, TO_CENTRAL)
    # Then only the output that the link names lies in the other route's folder
    assert objects(s3, INBOX) == {dropped["key"]: b"a\n1\n"}
    assert dropped["key"].startswith(f"central/Schäden {CLEAN} ")
    assert dropped["key"].endswith(".csv")
    # And whoever pins it knows where it comes from
    assert pin_source(s3, input_of({"bucket": INBOX, "key": dropped["key"]})).parent == {
        "run": "may-1",
        "key": "claims/eu/Schäden.csv",
        "output": CLEAN,
        "path": ["claims"],
    }


def test_each_output_that_a_link_names_is_dropped_wherever_it_stands(s3: Any) -> None:
    # Given outputs of which the first is not chained on
    record = run_of(s3, {REPORT: b"r", CLEAN: b"c"})
    # When two links name the second, then both get it
    both = chained_to(("central", "Clean claims: *"), ("north", "Clean claims: *"))
    dropped = chain_on(s3, OUTBOX, record, route(then=both))
    assert [(each["route"], each["output"]) for each in dropped] == [
        ("central", CLEAN),
        ("north", CLEAN),
    ]
    assert list(objects(s3, INBOX).values()) == [b"c", b"c"]


def test_a_run_without_a_file_is_a_parent_without_a_key(s3: Any) -> None:
    record = without_a_file(run_of(s3, {CLEAN: b"c"}))
    (dropped,) = chain_on(s3, OUTBOX, record, TO_CENTRAL)
    pinned: Any = pin_source(s3, input_of({"bucket": INBOX, "key": dropped["key"]})).parent
    assert pinned == {"run": "may-1", "key": "", "output": CLEAN, "path": ["claims"]}


def test_the_path_grows_with_each_hop(s3: Any) -> None:
    parent = {"run": "a", "key": "a/x.csv", "output": "o", "path": ["a", "b/c"]}
    record = run_of(s3, {CLEAN: b"a\n"}, parent=parent)
    (dropped,) = chain_on(s3, OUTBOX, record, TO_CENTRAL)
    pinned: Any = pin_source(s3, input_of({"bucket": INBOX, "key": dropped["key"]})).parent or {}
    assert pinned["path"] == ["a", "b/c", "claims"]
    assert path_of(record) == ["a", "b/c"]


def test_repeated_it_writes_nothing_more(s3: Any) -> None:
    record = run_of(s3, {CLEAN: b"a\n"})
    assert chain_on(s3, OUTBOX, record, TO_CENTRAL) == chain_on(s3, OUTBOX, record, TO_CENTRAL)
    assert len(s3.list_object_versions(Bucket=INBOX)["Versions"]) == 1
    # And another run of the same file has a key of its own
    again = run_of(s3, {CLEAN: b"a\n"}, run="may-2")
    chain_on(s3, OUTBOX, again, TO_CENTRAL)
    assert len(objects(s3, INBOX)) == 2


def test_outputs_of_one_name_are_both_dropped(s3: Any) -> None:
    record = run_of(s3, {"A": b"a", "B": b"b"})
    for output in record["outputs"]:
        output["name"] = "A"
    chain_on(s3, OUTBOX, record, route(then=chained_to(("central", "A"))))
    assert sorted(objects(s3, INBOX).values()) == [b"a", b"b"]


@pytest.mark.parametrize("letter", ["x", "ü", "€", "😀"])
def test_no_name_is_too_long_for_what_s3_takes_as_metadata_and_key(s3: Any, letter: str) -> None:
    """Amazon S3 user guide, "Working with object metadata": 2 KB; object keys: 1,024 bytes."""
    # Given the longest names
    long = letter * (900 // len(letter.encode()))
    parent = {"run": "r" * 80, "key": "k", "output": "o", "path": ["p" * 100] * 40}
    record = run_of(s3, {CLEAN: b"a"}, key=f"claims/{long}.csv", run="r" * 80, parent=parent)
    record["outputs"][0]["name"] = long
    (dropped,) = chain_on(s3, OUTBOX, record, route(then=chained_to(("central", "*"))))
    # Then
    metadata = s3.head_object(Bucket=INBOX, Key=dropped["key"])["Metadata"]
    assert sum(len(name) + len(value) for name, value in metadata.items()) <= 2048
    assert all(value.isascii() for value in metadata.values())
    assert len(dropped["key"].encode()) <= 1024
    # And the routes that were gone through last are still known, whole
    path = metadata["path"].split(",")
    assert path[-1] == "claims"
    assert set(path[:-1]) == {"p" * 100}


@pytest.mark.parametrize(
    ("links", "hops"),
    [
        ({"claims": "claims"}, "claims → claims"),
        ({"claims": "b", "b": "claims"}, "claims → b → claims"),
        ({"claims": "b", "b": "c/d", "c/d": "claims"}, "claims → b → c/d → claims"),
        ({"claims": "b", "b": "c", "c": "b"}, "claims → b → c → b"),
    ],
)
def test_a_cycle_is_refused_with_each_hop(links: dict[str, str], hops: str) -> None:
    routes = {name: route(name, then=chained_to((to, "*"))) for name, to in links.items()}
    with pytest.raises(ChainCycle, match=f"for ever: {hops}\\. Nothing was chained"):
        require_no_cycle(routes["claims"], [], known(*routes.values()))


def test_a_cycle_that_the_file_came_through_before_a_route_changed_is_refused() -> None:
    back = route(then=chained_to(("a", "*")))
    with pytest.raises(ChainCycle, match="a → b → claims → a"):
        require_no_cycle(back, ["a", "b"], known(route("a")))


def test_two_ways_to_one_route_are_no_cycle() -> None:
    fork = route(then=chained_to(("b", "*"), ("c", "*")))
    join = [route(name, then=chained_to(("d", "*"))) for name in "bc"]
    require_no_cycle(fork, [], known(*join, route("d")))


def test_a_link_to_no_route_says_which() -> None:
    far = route("b", then=chained_to(("gone", "*")))
    with pytest.raises(NoRoute, match="Route 'b' chains on to 'gone', which has no route"):
        require_no_cycle(route(then=chained_to(("b", "*"))), [], known(far))


@pytest.mark.parametrize("prefix", ["", "b", "b/", "b/c"])
def test_a_link_inside_the_prefix_is_gone(prefix: str) -> None:
    require_inside(route(then=chained_to(("b/c", "*"))), prefix)


@pytest.mark.parametrize("prefix", ["a/", "b/c/", "b/cd", "B"])
def test_a_link_to_keys_that_start_nothing_is_refused(prefix: str) -> None:
    # Given a link to keys that the stack's rule does not take
    leads = route(then=chained_to(("b", "*")))
    # Then nothing is chained into silence
    with pytest.raises(RouteInvalid, match=rf"chains on to 'b'.*begin with '{prefix}'.*redrive"):
        require_inside(leads, prefix)


def test_an_inbox_that_does_not_answer_is_tried_again(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = run_of(s3, {CLEAN: b"a\n"})

    def busy(**_: Any) -> None:
        answer = {"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
        raise ClientError(answer, "CompleteMultipartUpload")  # type: ignore[arg-type]

    monkeypatch.setattr(s3, "complete_multipart_upload", busy)
    with pytest.raises(OutboxUnavailable, match=f"s3://{INBOX}/central/"):
        chain_on(s3, OUTBOX, record, TO_CENTRAL)

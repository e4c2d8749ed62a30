"""Names are legal, distinct and readable, whatever people call their files."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from straight_through.names import file_names, run_folder, run_name

KEYS = st.text(min_size=1, max_size=1024).filter(lambda key: len(key.encode()) <= 1024)
FOLDERS = st.lists(st.text("abcXYZ019._-", min_size=1, max_size=200), min_size=1, max_size=5)
NAMES = st.text(st.characters(), max_size=300)  # surrogates too: JSON can hold them
IDS = st.text("oO-aAbB12", min_size=1, max_size=40)


@given(KEYS, st.text(min_size=1))
def test_any_key_gives_a_legal_execution_name(key: str, version: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}", run_name("inbox", key, version))


@given(KEYS, st.text("abc", min_size=1), st.text("abc", min_size=1))
def test_the_name_is_the_same_for_the_same_version_and_for_no_other(
    key: str, one: str, other: str
) -> None:
    same = run_name("inbox", key, one) == run_name("inbox", key, other)
    assert same == (one == other)


def test_bucket_key_and_version_are_kept_apart() -> None:
    names = {
        run_name("inbox", "claims/may.csv", "1"),
        run_name("inbox2", "claims/may.csv", "1"),
        run_name("inbox", "claims/may.csv1", ""),
        run_name("inbox", "claims/may.xlsx", "1"),
        run_name("inbox", "claims-may.csv", "1"),
    }
    assert len(names) == 5


def test_the_name_tells_which_file_it_is() -> None:
    assert run_name("inbox", "claims/Schäden 2026.csv.gz", "1").startswith("claims-Schaden-2026-")
    assert run_name("inbox", "x" * 900 + "/may.csv", "1").rpartition("-")[0].endswith("x-may")
    assert re.fullmatch("[0-9a-f]{20}", run_name("inbox", "保険.csv", "1"))


@given(KEYS, FOLDERS, st.text("abc", min_size=1, max_size=80), NAMES, IDS)
def test_no_key_of_an_output_is_longer_than_s3_allows(
    key: str, folders: list[str], run: str, name: str, output_id: str
) -> None:
    route = "/".join(folders)
    folder = run_folder(route, f"{route}/{key}", run)
    assert len((folder + file_names([(output_id, name)])[0]).encode()) <= 1024
    assert folder.endswith(f"/{run}/")


@pytest.mark.parametrize(
    ("key", "folder"),
    [
        ("claims/may.csv", "claims/may/RUN/"),
        ("claims/eu/may.csv.gz", "claims/eu/may/RUN/"),
        ("claims/a+b 100%.v2.xlsx", "claims/a+b 100%.v2/RUN/"),
        ("claims/.csv", "claims/.csv/RUN/"),
        ("claims/no extension", "claims/no extension/RUN/"),
        ("claims/v1.2/may", "claims/v1.2/may/RUN/"),
    ],
)
def test_the_folder_is_route_stem_and_run(key: str, folder: str) -> None:
    assert run_folder("claims", key, "RUN") == folder


def test_stems_that_are_cut_alike_stay_distinct() -> None:
    # Given two keys that differ only far behind the cut
    one, other = (f"claims/{'ü' * 440}{n}.csv" for n in (1, 2))
    # Then their folders differ, and are still in the route's
    folders = {run_folder("claims", key, "RUN") for key in (one, other)}
    assert len(folders) == 2
    assert all(folder.startswith("claims/üü") for folder in folders)
    assert all(len(folder.encode()) <= 1024 - 255 for folder in folders)


def test_the_longest_of_everything_fits_into_a_key() -> None:
    # Given a key and a route as long as they can be, and the longest names of run and output
    for route, stem in [("claims", "ü" * 506), ("r" * 1000, "x" * 10)]:
        folder = run_folder(route, f"{route}/{stem}.csv", "R" * 80)
        (name,) = file_names([("o-1", "ü" * 300)])
        # Then S3 takes the output's key, and most of its room is used
        assert 1000 < len((folder + name).encode()) <= 1024


@given(st.lists(st.tuples(IDS, NAMES), max_size=6))
def test_file_names_are_distinct_and_safe(outputs: list[tuple[str, str]]) -> None:
    names = file_names(outputs)
    assert len({name.casefold() for name in names}) == len(outputs)
    for name in names:
        assert len(name.encode()) <= 255
        assert not set(name) & {"/", "\\", "\0", "\n", "\r"}
        assert name.removesuffix(".csv") not in ("", ".", "..")
        assert name.endswith(".csv")


@given(st.lists(st.sampled_from(["a", "A", "a (o-1)", "a (o-1) (o-1)", "ß", "ss"]), max_size=6))
def test_names_that_look_like_marked_ones_stay_distinct(names: list[str]) -> None:
    outputs = [(f"o-{number}", name) for number, name in enumerate(names)]
    assert len({name.casefold() for name in file_names(outputs)}) == len(outputs)


def test_ids_that_differ_in_case_only_stay_distinct() -> None:
    names = file_names([("o-aB", "Clean"), ("o-Ab", "Clean")])
    assert len({name.casefold() for name in names}) == 2


def test_readable_names_stay_as_they_are() -> None:
    outputs = [("o-1", "Clean claims: Sheet 1"), ("o-2", "Schäden 🚗"), ("o-3", "a/b\\c\nd")]
    assert file_names(outputs) == ["Clean claims: Sheet 1.csv", "Schäden 🚗.csv", "a_b_c_d.csv"]


def test_outputs_of_one_name_carry_their_ids() -> None:
    outputs = [("o-1", "Report"), ("o-2", "report"), ("o-3", "Other"), ("o-4", " .. ")]
    assert file_names(outputs) == ["Report (o-1).csv", "report (o-2).csv", "Other.csv", "_.csv"]

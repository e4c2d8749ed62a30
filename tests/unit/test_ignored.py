"""What lies beside the files that people drop starts nothing; what may be data starts a run."""

import pytest

from straight_through.files.ignored import FOLDERS, NAMES, why_ignored

BESIDE = [
    "._may.csv",
    ".~lock.may.ods#",
    "~$may.xlsx",
    "may.csv.part",
    "may.csv.partial",
    "may.csv.filepart",
    "may.csv.crdownload",
    "may.csv.tmp",
    "~WRL0001.tmp",
    "MAY.CSV.TMP",
    "May.Csv.FilePart",
    ".nfs0000000000a1b2c300000001",
    ".fuse_hidden0000001200000001",
    "Thumbs.db",
    "THUMBS.DB",
    "desktop.ini",
    "Desktop.ini",
    "may.csv.md5",
    "may.csv.MD5",
    "may.csv.sha1",
    "may.csv.sha256",
    "may.csv.sha512",
    "SHA256SUMS",
    "may.csv.sha256sum",
    ".part-00000.csv.crc",
    ".DS_Store",
    "_SUCCESS",
    "_started_8143",
    "_committed_8143",
    "claims_$folder$",
    ".may.csv.swp",
    "may.csv~",
    ".#may.csv",
    "#may.csv#",
    ".may.csv.X3k9Qz",
    ".in.may.csv",
    ".pureftpd-upload.5f3a.15.1",
    ".azDownload-8d1f-may.csv",
    "may.csv:Zone.Identifier",
    ".may.csv.icloud",
    "may.csv.sig",
]
BELOW = [
    "_temporary/0/_temporary/attempt_2026_m_000000_0/part-00000.csv",
    "__MACOSX/may.csv",
    ".rsync-partial/may.csv",
    ".~tmp~/may.csv",
    "$RECYCLE.BIN/may.csv",
    ".Trash-1000/files/may.csv",
    "@eaDir/may.csv",
]
DATA = [
    "may.csv",
    "part-00000.csv",
    "may.part.csv",
    "may.tmp.csv",
    "tmp",
    "part",
    "md5.csv",
    "_claims.csv",
    "~may.csv",
    "$may.csv",
    "#1 may.csv",
    ".may.csv",
    "SUCCESS",
    "_success",
    "x_SUCCESS",
    "may.csv.asc",
    "may.csv.gpg",
    "may.bak",
    "may.csv.gz",
    "may.xlsx",
    "Thumbs.db.csv",
    "desktop.csv",
    ".NFS-claims.csv",
    "ünïcode ~ name.csv",
]


@pytest.mark.parametrize("name", BESIDE + BELOW)
def test_what_lies_beside_files_starts_nothing(name: str) -> None:
    for key in (name, f"claims/{name}", f"claims/eu/{name}"):
        why = why_ignored(key)
        assert why.startswith(("its name fits ", "its folder fits "))
        assert ": " in why


@pytest.mark.parametrize("name", DATA)
def test_what_may_be_data_starts_a_run(name: str) -> None:
    for key in (name, f"claims/{name}", f"_SUCCESS/{name}", f"a.tmp/{name}"):
        assert why_ignored(key) == ""


@pytest.mark.parametrize("key", ["claims/", "claims/eu/", "/", ""])
def test_the_marker_of_a_folder_starts_nothing(key: str) -> None:
    assert why_ignored(key) == "it is the marker of a folder"


def test_the_parameter_adds_names_as_they_are_written() -> None:
    more = "*.note, log-[0-9].txt,,"
    said = " of the stack's parameter IgnorePatterns"
    assert why_ignored("claims/may.note", more) == f"its name fits *.note{said}"
    assert why_ignored("claims/log-1.txt", more) == f"its name fits log-[0-9].txt{said}"
    for key in ("claims/may.NOTE", "a.note/may.csv", "claims/log-x.txt", "claims/may.csv"):
        assert why_ignored(key, more) == ""
    # and takes nothing away
    assert why_ignored("claims/may.csv.tmp", more)


def test_a_pattern_is_built_in_once() -> None:
    patterns = [pattern for kind in (*NAMES, *FOLDERS) for pattern in kind.patterns]
    assert len(set(patterns)) == len(patterns)

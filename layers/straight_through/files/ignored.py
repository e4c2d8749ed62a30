"""Keys that start nothing: what programs leave beside the files that people mean to drop.

Only what can be nobody's table is built in. What may hold one (`*.bak`, `*.asc`, `*.gpg`, `*.zip`)
is dropped like any other file and gets an error that says what is wrong with it.
"""

import fnmatch
from collections.abc import Iterable
from typing import NamedTuple


class Kind(NamedTuple):
    """Patterns (*, ? and [...]) of one kind; a name that fits is ignored."""

    what: str
    patterns: tuple[str, ...]
    any_case: bool = True  # as on Windows and macOS


NAMES = (
    Kind(
        "an upload or download that is not whole yet",
        (
            "*.filepart",
            "*.part",
            "*.partial",
            "*.crdownload",
            "*.opdownload",
            "*.aria2",
            ".in.*",
            ".pureftpd-upload.*",
            ".azdownload-*",
            "*.!sync",
        ),
    ),
    Kind("a temporary file", ("*.tmp", ".*.sw[a-z]", "*~", ".#*", "#*#")),
    Kind("rsync's copy of a file that is not whole yet", (".*.??????",)),
    Kind("the lock or owner file of an office program", ("~$*", ".~lock.*#")),
    Kind("an attribute file of macOS", ("._*", ".DS_Store", ".localized", ".apdisk", ".*.icloud")),
    Kind("a settings file of Windows", ("Thumbs.db", "ehthumbs.db", "desktop.ini")),
    Kind("a mark of where a download came from", ("*:Zone.Identifier",)),
    Kind("a file that was deleted while it was open", (".nfs*", ".fuse_hidden*"), any_case=False),
    Kind(
        "a checksum",
        (
            "*.md5",
            "*.sha1",
            "*.sha224",
            "*.sha256",
            "*.sha384",
            "*.sha512",
            "*.sfv",
            "*.md5sum",
            "*.sha1sum",
            "*.sha256sum",
            "*.sha512sum",
            ".*.crc",
            "md5sums",
            "sha1sums",
            "sha256sums",
            "sha512sums",
        ),
    ),
    Kind("a detached signature", ("*.sig",)),
    Kind(
        "a marker of Hadoop or Spark",
        ("_SUCCESS", "_started_*", "_committed_*", "_metadata", "_common_metadata", r"*_$folder$"),
        any_case=False,
    ),
)
FOLDERS = (  # all that lies below them, at any depth
    Kind(
        "unfinished work of Hadoop, Spark or rsync",
        ("_temporary", ".spark-staging*", ".hive-staging*", ".rsync-partial", ".~tmp~"),
    ),
    Kind(
        "a folder of an operating system or a storage device",
        (
            "__MACOSX",
            ".AppleDouble",
            ".Spotlight-V100",
            ".fseventsd",
            ".TemporaryItems",
            ".Trash*",
            "$RECYCLE.BIN",
            "System Volume Information",
            "@eaDir",
        ),
    ),
)


def why_ignored(key: str, more: str = "") -> str:
    """Return why a key starts nothing, "" where it starts a run.

    `more` is the stack's parameter IgnorePatterns: patterns of names, separated by commas.
    """
    *folders, name = key.split("/")
    if not name:
        return "it is the marker of a folder"
    for kind in NAMES:
        if fits := _fitting(name, kind):
            return f"its name fits {fits}: {kind.what}"
    for kind in FOLDERS:
        for folder in folders:
            if fits := _fitting(folder, kind):
                return f"its folder fits {fits}: {kind.what}"
    if fits := _first(name, (each.strip() for each in more.split(","))):
        return f"its name fits {fits} of the stack's parameter IgnorePatterns"
    return ""


def _fitting(name: str, kind: Kind) -> str:
    """Return the first pattern of a kind that a name fits; "" where it fits none."""
    if not kind.any_case:
        return _first(name, kind.patterns)
    return _first(name.lower(), kind.patterns, lower=True)


def _first(name: str, patterns: Iterable[str], *, lower: bool = False) -> str:
    return next((p for p in patterns if fnmatch.fnmatchcase(name, p.lower() if lower else p)), "")

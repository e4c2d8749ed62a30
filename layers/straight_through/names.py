"""The names that a run gives: its own, and those of the files that it writes."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

HELD = "held"
PREPARED = "prepared"
RUNS = "runs"  # the lines that tell of all ended runs
REPLAYS = "replays"  # the plans by which files are processed again
LONGEST_RUN_NAME = 80  # StartExecution's documentation
LONGEST_KEY = 1024  # bytes of UTF-8; S3's documentation on object keys
LONGEST_LINEAGE = 450  # bytes of a text in metadata: S3 takes 2 KB of it in all
LONGEST_FILE_NAME = 255  # bytes: what file systems allow, for those who copy the outbox to one


def run_name(bucket: str, key: str, version: str) -> str:
    """Return the execution's name: the same for the same version of an object, and for no other."""
    fingerprint = _fingerprint("\0".join((bucket, key, version)), 20)
    plain = (
        unicodedata.normalize("NFKD", _without_extension(key)).encode("ascii", "ignore").decode()
    )
    readable = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")
    readable = readable[-(LONGEST_RUN_NAME - len(fingerprint) - 1) :].lstrip("-")
    return f"{readable}-{fingerprint}" if readable else fingerprint


def route_run_name(route: str, cause: str) -> str:
    """Return the name of a run without a file, which its route and a text give: the same for both.

    `cause` has letters, digits and `-` alone.
    """
    fingerprint = _fingerprint(f"{route}\0{cause}", 8)
    end = f"-{cause[: LONGEST_RUN_NAME - 20]}-{fingerprint}"
    readable = re.sub(r"[^A-Za-z0-9]+", "-", route).strip("-")
    return readable[-(LONGEST_RUN_NAME - len(end)) :].lstrip("-") + end


def run_folder(route: str, key: str | None, run: str) -> str:
    """Return the outbox folder of a run, `<route>/<file stem>/<run>/`, with room for any file name.

    The stem is the key below the route's folder without its extension. One that is too long is cut
    and ends in a hash of the whole. That of a run without a file, whose key is None, is
    `<route>/<run>/`.
    """
    if key is None:
        room = LONGEST_KEY - LONGEST_FILE_NAME - len(f"{HELD}///{run}".encode())
        return f"{shortened(route, room)}/{run}/"
    stem = _without_extension(key.removeprefix(f"{route}/"))
    room = LONGEST_KEY - LONGEST_FILE_NAME - len(f"{HELD}///{run}".encode())
    return f"{shortened(f'{route}/{stem}', room)}/{run}/"


def held_folder(route: str, key: str | None, run: str) -> str:
    """Return the outbox folder of a run that a gate may hold back."""
    return f"{HELD}/{run_folder(route, key, run)}"


def prepared_key(route: str, run: str) -> str:
    """Return the outbox key of the table that a run has made of its file."""
    end = f"/{run}.csv"
    return shortened(f"{PREPARED}/{route}", LONGEST_KEY - len(end.encode())) + end


def row_key(run: str, started_at: str) -> str:
    """Return the outbox key of the line that tells how a run has ended; `started_at` is ISO 8601.

    Folders are named as Athena and others know partitions: a query of a month reads that month.
    """
    return f"{RUNS}/year={started_at[:4]}/month={started_at[5:7]}/{run}.json"


def chained_key(route: str, key: str | None, file_name: str, run: str) -> str:
    """Return the inbox key of an output that is chained on, fixed by its run and its file name.

    It begins with the stem of the run's file, or where it has none with the run.
    """
    stem = run if key is None else _without_extension(key).rpartition("/")[2]
    fingerprint = _fingerprint(f"{run}\0{file_name}", 12)
    name = shortened(f"{stem} {_without_extension(file_name)}", LONGEST_FILE_NAME - 20)
    return f"{route}/{name} {fingerprint}.csv"


def stem_of(route: str, key: str | None, run: str) -> str:
    """Return what a destination's `{stem}` is: the file's stem, or where there is none the run."""
    if key is None:
        return run
    return run_folder(route, key, run).removeprefix(f"{route}/").removesuffix(f"/{run}/")


def lineage_of(run: str, source: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the metadata that outputs carry: their run, its source's key and version if any."""
    if source is None:
        return {"run": run}
    version = source["version_id"] or ""
    return {"run": run, "source-key": quoted(source["key"]), "source-version": version}


def quoted(text: str) -> str:
    """Return a text as metadata can hold it, in ASCII; a long one is cut and ends in a hash."""
    whole = quote(text)
    # A byte takes three characters at most.
    return whole if len(whole) <= LONGEST_LINEAGE else quote(shortened(text, LONGEST_LINEAGE // 3))


def file_names(outputs: Sequence[tuple[str, str]]) -> list[str]:
    """Return a CSV file name for each (id, name) of a run's outputs; no two are alike, in any case.

    Colons and spaces stay. What no path can hold becomes `_`; outputs of one name carry their id.
    """
    plain = [_file_stem(name) for _, name in outputs]
    marked = [_file_stem(name, output_id) for output_id, name in outputs]
    count = Counter(stem.casefold() for stem in plain)
    stems = [m if count[p.casefold()] > 1 else p for p, m in zip(plain, marked, strict=True)]
    # An output may be called as another is with its id, or ids differ in case only: then all carry
    # theirs and a number.
    if len({stem.casefold() for stem in stems}) < len(stems):
        stems = [
            _file_stem(name, f"{output_id} {n}") for n, (output_id, name) in enumerate(outputs)
        ]
    return [f"{stem}.csv" for stem in stems]


def _file_stem(name: str, output_id: str = "") -> str:
    """Return `name` as a file's stem, with the output's id where one is given."""
    mark = f" ({_legible(output_id)})" if output_id else ""
    room = LONGEST_FILE_NAME - len(f"{mark}.csv".encode())
    return shortened(_legible(name) or "output", room) + mark


def _legible(name: str) -> str:
    """Replace slashes and control characters, and the dots that would name a folder."""
    safe = "".join("_" if c in "/\\" or unicodedata.category(c)[0] == "C" else c for c in name)
    return re.sub(r"^\.+$", "_", safe.strip())


def _without_extension(key: str) -> str:
    """Return `key` without its last extension; `.csv.gz` counts as one."""
    folder, slash, name = key.rpartition("/")
    name = name.removesuffix(".gz") if name != ".gz" else name
    stem, dot, _ = name.rpartition(".")
    return folder + slash + (stem if dot and stem else name)


def shortened(text: str, room: int) -> str:
    """Cut `text` to `room` bytes of UTF-8; what was cut ends in a hash of the whole."""
    if len(text.encode()) <= room:
        return text
    fingerprint = "-" + _fingerprint(text, 16)
    cut = text.encode()[: max(room - len(fingerprint), 0)].decode(errors="ignore").rstrip("/ .")
    return cut + fingerprint


def _fingerprint(text: str, digits: int) -> str:
    """Return the first hexadecimal digits of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:digits]

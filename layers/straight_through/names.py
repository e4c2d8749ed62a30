"""The names that a run gives: its own, and those of the files that it writes."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

LONGEST_RUN_NAME = 80  # StartExecution's documentation
LONGEST_KEY = 1024  # bytes of UTF-8; S3's documentation on object keys
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


def run_folder(route: str, key: str, run: str) -> str:
    """Return the outbox folder of a run, `<route>/<file stem>/<run>/`, with room for any file name.

    The stem is the key below the route's folder without its extension. One that is too long is cut
    and ends in a hash of the whole.
    """
    stem = _without_extension(key.removeprefix(f"{route}/"))
    room = LONGEST_KEY - LONGEST_FILE_NAME - len(f"//{run}".encode())
    return f"{_shortened(f'{route}/{stem}', room)}/{run}/"


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
    return _shortened(_legible(name) or "output", room) + mark


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


def _shortened(text: str, room: int) -> str:
    """Cut `text` to `room` bytes of UTF-8; what was cut ends in a hash of the whole."""
    if len(text.encode()) <= room:
        return text
    fingerprint = "-" + _fingerprint(text, 16)
    cut = text.encode()[: max(room - len(fingerprint), 0)].decode(errors="ignore").rstrip("/ .")
    return cut + fingerprint


def _fingerprint(text: str, digits: int) -> str:
    """Return the first hexadecimal digits of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:digits]

"""Names of files on a person's disk: legal on Windows, macOS and Linux alike.

Source: Microsoft, "Naming Files, Paths, and Namespaces".
"""

import re
import unicodedata
from collections.abc import Iterable

from straight_through.names import shortened

# Beside what no system takes: control characters, halves of characters, and marks that turn the
# direction of a text, by which a name can look like another.
ILLEGAL = re.compile(
    r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u2028-\u202e\u2066-\u2069]'
)
RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE
)
LONGEST = (
    200  # bytes; a disk takes 255, and what writes a file puts a mark behind its name meanwhile
)


def legal_name(name: str) -> str:
    """Return a file's name as every disk takes it, and in no other folder; `_` is put for the rest.

    A reserved name (`CON`) begins with `_`; one that is too long is cut and ends in a hash.
    """
    legal = re.sub(r"[. ]+$", lambda end: "_" * len(end[0]), ILLEGAL.sub("_", name)) or "_"
    if RESERVED.fullmatch(legal):
        legal = f"_{legal}"
    stem, dot, extension = legal.rpartition(".")
    if dot and stem and len(extension) <= 10:
        end = f".{extension}"
        return shortened(stem, LONGEST - len(end.encode())) + end
    return shortened(legal, LONGEST)


def legal_names(names: Iterable[str]) -> list[str]:
    """Return a legal name for each; no two are one on a disk that knows no case."""
    taken: set[str] = set()
    made = []
    for name in names:
        legal, number = legal_name(name), 1
        while _compared(legal) in taken:
            number += 1
            stem, dot, extension = name.rpartition(".")
            stem, extension = (stem, dot + extension) if dot else (name, "")
            mark = f" ({number}){extension}"
            legal = legal_name(shortened(stem, LONGEST - len(mark.encode())) + mark)
        taken.add(_compared(legal))
        made.append(legal)
    return made


def _compared(name: str) -> str:
    """Return a name as a disk without case, or with one form of each letter, compares it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())

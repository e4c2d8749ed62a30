"""How texts that others have chosen are told: nothing hidden, no line forged, within bounds.

Names of files, columns, outputs and people may hold anything: line breaks, a terminal's commands,
characters that turn the reading around or cannot be seen, surrogates that no encoding takes.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

MOST = 200  # characters of a name
LONGEST_MESSAGE = 4096  # bytes of UTF-8 of all that is told of one error
# Printable to Python, and yet not to be seen: fillers, joiners and selectors of variants.
UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}


def shown(text: str, most: int = MOST) -> str:
    r"""Return a text in one line of at most `most` characters, its middle counted where it is cut.

    What breaks a line, commands a terminal or cannot be seen is shown as Python writes it: `\n`.
    """
    if len(text) <= most:
        whole = "".join(map(_visible, text))
        if len(whole) <= most:
            return whole
    room = max(most - len(_left_out(len(text))), 0)
    head = _fitting(text, room // 2)
    tail = _fitting(reversed(text), room - room // 2)
    left_out = _left_out(len(text) - len(head) - len(tail))
    return ("".join(head) + left_out + "".join(reversed(tail)))[:most]


def listed(texts: Sequence[str], most: int = 10) -> str:
    """Return the first few of many names, each in quotes, and how many more there are."""
    names = ", ".join(f"'{shown(text)}'" for text in texts[:most])
    more = len(texts) - most
    return f"{names} … and {more:,} more" if more > 0 else names


def counted(number: int, what: str) -> str:
    """Return a number of things."""
    return f"{number:,} {what}" + "s" * (number != 1)


def told(message: str, most: int = LONGEST_MESSAGE) -> str:
    """Return a message as it may be told: its lines kept, within `most` bytes of UTF-8.

    It is cut in its middle: the end has the file and what to do.
    """
    raw = message.encode("utf-8", "backslashreplace")
    if len(raw) <= most:
        visible = lines_shown(raw.decode())
        if len(visible.encode()) <= most:
            return visible
    cut = f" … and {len(raw):,} bytes in all … "
    room = max(most - len(cut.encode()), 0)
    head = lines_shown(raw[: room // 2].decode(errors="ignore"))
    tail = lines_shown(raw[len(raw) - room // 2 :].decode(errors="ignore"))
    # What was made visible has grown: of both the outer part is kept.
    head = head.encode()[: room // 2].decode(errors="ignore")
    tail = tail.encode()[max(len(tail.encode()) - room // 2, 0) :].decode(errors="ignore")
    return head + cut + tail


def lines_shown(text: str) -> str:
    """Return a text with its lines as they are, and all else of it to be seen."""
    return "".join(char if char == "\n" else _visible(char) for char in text)


def is_seen(char: str) -> bool:
    """Whether a character is seen as itself."""
    return char.isprintable() and char not in UNSEEN


def _visible(char: str) -> str:
    """Return a character, or its escape where it would not be seen as itself."""
    if is_seen(char):
        return char
    return char.encode("unicode_escape").decode()


def _fitting(chars: Iterable[str], room: int) -> list[str]:
    """Return as many characters as fit, each as it is shown."""
    found: list[str] = []
    for char in islice(chars, room):
        room -= len(piece := _visible(char))
        if room < 0:
            break
        found.append(piece)
    return found


def _left_out(count: int) -> str:
    """Say how much is not shown."""
    return f" … and {count:,} more … "

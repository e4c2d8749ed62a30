"""How many rows of data a CSV has, counted while its bytes go by; none that is not certain.

The rules are those of Python's `csv` in its strict mode: a value begins with a quote or has none
that means anything, what follows a closing quote is the end of its value, lines end with \\n or \\r
or both, and a blank line is no row.
"""

import codecs
import re
from collections import Counter
from copy import copy
from functools import cache

_NO_MARK = bytes(set(range(256)) - set(b'"\n'))  # every byte but quote and newline
_BLANKS = re.compile(rb"\n\n+")
_BLANK = re.compile(rb"\n\n")  # `in` takes twice as long to find it, at many short lines
_TO_NEWLINE = bytes.maketrans(b"\r", b"\n")
# What no header has: it may be another encoding, or other ends of lines, and hide rows.
_NO_HEADER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_LONGEST_START = 64 * 1024  # bytes within which the first line should end
_MOST_QUOTES = 1024 * 1024  # bytes of quotes in a row, which cannot be told apart before their end
DELIMITERS = b",;\t|"

NO_BYTES = "no bytes at all, not even a header"
NO_HEADER = "blank lines only, not even a header"
NUL = "it has NUL bytes, as UTF-16 has and a CSV has not"
NOT_UTF8 = "its header is not UTF-8"
ODD_HEADER = "its header has control characters"
TWO_WAYS = "its header can be read in two ways, as one line or as several"


class RowCount:
    """Counts the data rows of a CSV as its bytes go by, in little memory whatever they are."""

    def __init__(self, delimiter: bytes | None = b",") -> None:
        """Begin before the header; with no delimiter, the first line tells which one it is."""
        self._delimiter = delimiter
        self._begun = False
        self._kept = b""  # what only the next bytes can tell: quotes, a \r, a file's first line
        self._before = b"\n"  # the last byte that was read
        self._in_quotes = False
        self._ended = 0  # rows that have ended, the header too
        self._header = b""  # the last few bytes of the header, if they are no whole character
        self._first = b""  # what the header may be, as far as it is looked at once more
        self._doubt = ""  # why the header cannot be believed to be all
        self._reason = ""

    @property
    def rows(self) -> int | None:
        """Return the rows without the header, None where they cannot be counted."""
        end = self._at_end()
        return None if end._reason else end._ended - 1

    @property
    def reason(self) -> str:
        """Return why the rows cannot be counted, "" if they can."""
        return self._at_end()._reason

    def update(self, chunk: bytes) -> None:
        """Count on.

        Seconds for 1 GiB (x86-64): 1 without quotes, 2 with few or with \\r, 5 where every value is
        quoted, 20 where quotes stand within values. A function's network gives 1 GiB in 10 or more.
        """
        if self._reason or not chunk:
            return
        if b"\0" in chunk:
            self._reason = NUL
            return
        text = self._kept + chunk
        if not self._begun and len(text) < _LONGEST_START and not re.search(rb"[\r\n]", text):
            self._kept = text
            return
        told = text.rstrip(b'"\r')
        self._kept = text[len(told) :]
        if len(self._kept) > _MOST_QUOTES:
            self._reason = f"{len(self._kept):,} quotes in a row in {self._place()}"
        self._take(told)

    def _at_end(self) -> "RowCount":
        """Return the count as it is if no more bytes come."""
        end = copy(self)
        if end._reason:
            return end
        if not end._begun and not end._kept:
            end._reason = NO_BYTES
            return end
        end._take(end._kept + b"\n")
        if end._in_quotes:
            end._reason = f"a quote in {end._place()} that never ends"
        elif not end._reason and end._ended == 0:
            end._reason = NO_HEADER
        elif not end._reason and end._ended == 1:
            end._reason = end._doubt or (NOT_UTF8 if end._header else end._other_way())
        return end

    def _other_way(self) -> str:
        """Say whether a header of several lines has rows in it, if another delimiter is its own."""
        if b'"' not in self._first or not re.search(rb"[\r\n].", self._first):
            return ""
        if len(self._first) > _LONGEST_START:
            return TWO_WAYS
        for delimiter in DELIMITERS:
            other = RowCount(bytes([delimiter]))
            other._begun = True
            other._take(self._first.rstrip(b"\r\n") + b"\n")
            if not other._reason and not other._in_quotes and other._ended > 1:
                return TWO_WAYS
        return ""

    def _take(self, text: bytes) -> None:
        """Count on, in bytes that end in no quote and in no \\r of a pair."""
        if not self._begun:
            text = self._begin(text)
        if self._ended < 2:  # all that has come may be header
            self._first += text[: _LONGEST_START + 1 - len(self._first)]
            self._look_at_header(text)
        if text and not self._reason:
            self._count(text)

    def _begin(self, text: bytes) -> bytes:
        """Leave out a byte-order mark, and find the delimiter if it is not known."""
        self._begun = True
        text = text.removeprefix(codecs.BOM_UTF8)
        if self._delimiter is None:
            line = re.split(rb"[\r\n]", re.sub(rb'"[^"]*"', b"", text.lstrip(b"\r\n")), maxsplit=1)
            found = Counter(byte for byte in line[0] if byte in DELIMITERS)
            self._delimiter = bytes([found.most_common(1)[0][0]]) if found else b","
        return text

    def _look_at_header(self, text: bytes) -> None:
        """Note what a header cannot have."""
        if self._doubt:
            return
        try:
            decoded, length = codecs.utf_8_decode(self._header + text, "strict", False)  # noqa: FBT003
        except UnicodeDecodeError:
            self._doubt = NOT_UTF8
            return
        self._header = (self._header + text)[length:]
        if _NO_HEADER.search(decoded):
            self._doubt = ODD_HEADER

    def _count(self, text: bytes) -> None:
        """Count the lines that end outside of quotes and are not blank."""
        delimiter = self._delimiter or b","
        if b"\r" in text:
            pairs = text.count(b"\r\n")
            if pairs == text.count(b"\r"):
                text = text.translate(None, b"\r")
            else:
                text = (text.replace(b"\r\n", b"\n") if pairs else text).translate(_TO_NEWLINE)
        # With what came before, so that the first quote and the first line's end can be told.
        text = (delimiter + b'"' if self._in_quotes else self._before) + text
        ends = -1 if text.startswith(b"\n") else 0
        self._before = text[-1:]
        # Where no value begins with a quote, none means anything: 5" pipe.
        if b'"' not in text or not (delimiter + b'"' in text or b'\n"' in text):
            self._ended += ends + _lines(text)
            return
        whole, still_open, no_text = _patterns(delimiter)
        read = whole.match(text)
        assert read  # noqa: S101 - it matches nothing, too
        rest, literal = read.end(), read[1] is not None
        self._in_quotes = rest < len(text)
        if self._in_quotes and not still_open.fullmatch(text, rest):
            self._in_quotes = False
            self._ended += ends + _lines(no_text.sub(b'"', text[:rest]))
            self._reason = f"text after a closing quote in {self._place()}"
        elif literal or _BLANK.search(text):
            self._ended += ends + _lines(no_text.sub(b'"', text))
        else:
            # Of all between two quotes only the newlines count, and mostly there are none.
            pieces = text.translate(None, _NO_MARK).replace(b'""', b"").split(b'"')
            self._ended += ends + sum(map(len, pieces[::2]))

    def _place(self) -> str:
        """Say in which row the next byte stands."""
        return f"row {self._ended:,}" if self._ended else "the header"


def _lines(text: bytes) -> int:
    """Return the lines that are not blank, of a text without quoted values."""
    return (_BLANKS.sub(b"\n", text) if _BLANK.search(text) else text).count(b"\n")


@cache
def _patterns(delimiter: bytes) -> tuple["re.Pattern[bytes]", ...]:
    r"""Return how whole values, one that is still open, and what is no plain text are found.

    A quote after a delimiter or a newline begins a quoted value. One after another quote, which
    ends such a value, begins its next part: `""` in quotes is a quote. Any other is text itself:
    the group of the first pattern, up to the end of its value.
    """
    sign = re.escape(delimiter)
    begins = b"(?<=[" + sign + b'\n"])"'
    ends = b'"(?=[' + sign + b'\n"])'
    # The quoted values of a row at once: a third faster.
    quoted = begins + b'[^"]*+(?:"' + sign + b'"[^"]*+)*' + ends
    begins_not = b"(?<![" + sign + b'\n"])'
    literal = b'"[^' + sign + b"\n]*+"
    return (
        re.compile(b'[^"]*+(?:(?:' + quoted + b"|" + begins_not + b"(" + literal + b'))[^"]*+)*+'),
        re.compile(begins + b'[^"]*+'),
        re.compile(begins + b'[^"]*+(?:"|\\Z)|' + literal),
    )

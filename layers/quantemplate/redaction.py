"""What a server says, as a message may show it: one short line, without our secrets."""

import base64
import re
from collections import deque

MOST_SHOWN = 300  # characters
HIDDEN = "(hidden)"
SHORTEST_SECRET = 4  # characters: fewer would be found everywhere, and hide what a server says


class Secrets:
    """The last few secrets and tokens: a server may echo what it got a while ago."""

    def __init__(self, *secrets: str) -> None:
        """Take the first ones."""
        self._forms: deque[set[str]] = deque(map(_forms, secrets), maxlen=8)

    def __repr__(self) -> str:
        """Never show one."""
        return "Secrets()"

    def add(self, secret: str) -> None:
        """Hide this one too."""
        self._forms.append(_forms(secret))

    @property
    def longest(self) -> int:
        """How many characters one of them takes at most: a pattern is longer than what it finds."""
        return max((len(form) for forms in self._forms for form in forms), default=0)

    def shown(self, body: bytes, *, cut: bool = False) -> str:
        """Return what a server says on one line of at most MOST_SHOWN characters, without secrets.

        It may echo the request as it was, or quoted for a URL, JSON, HTML or Basic. `cut` says that
        more followed, so that the last characters may begin a secret.
        """
        text = body.decode(errors="replace").replace("\0", "")  # UTF-16 has them between letters
        for form in sorted({f for forms in self._forms for f in forms}, key=len, reverse=True):
            text = re.sub(form, HIDDEN, text, flags=re.IGNORECASE)
        if cut:
            text = text[: max(len(text) - self.longest, 0)]
        line = " ".join(text.split())[:MOST_SHOWN]
        return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)[:MOST_SHOWN]


def _forms(secret: str) -> set[str]:
    """Return the patterns of a secret as it may stand in a page."""
    if len(secret) < SHORTEST_SECRET:
        return set()
    data = secret.encode(errors="replace")
    forms = {data.hex()}
    for lead in range(3):  # within a longer text in Base64: without what its neighbours change
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            coded = encode(b"\0" * lead + data).decode().rstrip("=")
            whole = len(coded) - (1 if (lead + len(data)) % 3 else 0)
            forms.add(coded[(0, 2, 3)[lead] : whole])
    readable = {re.escape(form) for form in forms if len(form) >= SHORTEST_SECRET}
    return {"".join(map(_quoted, secret)), *readable}


def _quoted(character: str) -> str:
    """Return the pattern of a character, as it is or quoted for a URL, JSON or HTML."""
    if character.isascii() and character.isalnum():
        return character
    data = character.encode(errors="replace")
    url = "".join(f"%(?:25)?{byte:02x}" for byte in data)
    units = character.encode("utf-16-be", errors="surrogatepass")
    escaped = "".join(rf"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
    return rf"(?:\\?{re.escape(character)}|{url}|{escaped}|&[#\w]{{1,8}};|\+)"

"""The key in the address that Quantemplate posts to: whoever has it may send events.

It is the one thing that keeps others out, since Quantemplate signs nothing.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NotRequired, TypedDict, cast

from straight_through.aws import answering
from straight_through.queue.table import Key as TableKey
from straight_through.queue.table import Table

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

USED = "events"  # the partition
KEPT, READ_AGAIN = 300, 10  # seconds that the secret is kept; until a wrong key reads it anew


class KeySecret(TypedDict):
    """The secret's value. A rotation keeps the `earlier` keys, until a newer one has been used."""

    key: str  # 64 letters and digits: more than 256 bits
    earlier: NotRequired[list[str]]  # the newest first


class Key:
    """The key, as the secret has it; read seldom, however many wrong ones come."""

    def __init__(
        self,
        secrets: "SecretsManagerClient",
        secret_arn: str,
        table: Table,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read nothing yet."""
        self._secrets = secrets
        self._arn = secret_arn
        self._table = table
        self._clock = clock
        self._secret: KeySecret | None = None
        self._read_at = 0.0
        self._used: set[str] = set()  # keys that are known to have been used

    def opens(self, path: str) -> bool:
        """Whether a request's path is the key. Raises AwsUnavailable, AwsDenied."""
        given = path.removeprefix("/").encode()
        if self._secret is None or self._clock() - self._read_at > KEPT:
            self._read()
        elif not self._fits(given) and self._clock() - self._read_at > READ_AGAIN:
            self._read()  # it may have been changed since
        return self._fits(given)

    def _fits(self, given: bytes) -> bool:
        """Whether this is the key, or one before that still counts."""
        keys = _keys(cast("KeySecret", self._secret))
        # All are compared, in constant time: how long it takes tells nothing.
        places = [at for at, key in enumerate(keys) if hmac.compare_digest(given, key.encode())]
        if not places or any(self._was_used(newer) for newer in keys[: places[0]]):
            return False
        if keys[places[0] + 1 :]:
            self._note_used(keys[places[0]])
        return True

    def _read(self) -> None:
        """Read the secret."""
        with answering("Secrets Manager"):
            found = self._secrets.get_secret_value(SecretId=self._arn)
        self._secret = json.loads(found["SecretString"])
        self._read_at = self._clock()

    def _note_used(self, key: str) -> None:
        """Note that a key has been used: from now on those before it open nothing."""
        if key not in self._used:
            self._table.update(used_key(key), "SET #used = :yes", yes=True)
            self._used.add(key)

    def _was_used(self, key: str) -> bool:
        """Whether a key has been used."""
        if key not in self._used and was_used(self._table, key):
            self._used.add(key)
        return key in self._used


def changed(secret: KeySecret, new: str, table: Table) -> KeySecret:
    """Return the secret with a new key, and those before it that open still.

    Where the key of now has not been used, nobody knows which of them Quantemplate has.
    """
    before = _keys(secret)
    for number, key in enumerate(before, 1):
        if was_used(table, key):
            before = before[:number]
            break
    return {"key": new, "earlier": before}


def _keys(secret: KeySecret) -> list[str]:
    """Return all keys of the secret, the newest first."""
    return [secret["key"], *secret.get("earlier", [])]


def was_used(table: Table, key: str) -> bool:
    """Whether it was noted that a key has been used; of one that follows none it never is."""
    return table.get(used_key(key)) is not None


def used_key(key: str) -> TableKey:
    """Return where it is noted that a key has been used: each has its own, so that none is lost."""
    return USED, fingerprint(key)


def fingerprint(key: str) -> str:
    """Return what tells one key from another, and tells no key."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]

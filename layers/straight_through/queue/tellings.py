"""What is to be told: noted before it is sent, and forgotten once it was.

Whoever notes it sends it at once. Where that fails, or its function dies, the sweep sends it later:
so all is told at least once, and twice only where a function dies after sending it.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal, TypedDict, cast, overload

from straight_through.end_facts import EndTold, Row, Words
from straight_through.errors import AwsDenied, AwsUnavailable
from straight_through.moments import iso
from straight_through.queue.items import Telling, Way
from straight_through.queue.table import Refused, Table, Write, update
from straight_through.time_left import LAST, Left

TELLINGS = "tellings"  # the partition
PATIENCE = timedelta(minutes=2)  # longer than a function lives that has begun to tell
LIFETIME = timedelta(days=14)


class Ways(TypedDict, total=False):
    """How each thing is told, by what its way is called in the table."""

    event: Callable[[EndTold], None]
    message: Callable[[EndTold], None]
    tags: Callable[[EndTold], None]
    row: Callable[[Row], None]
    words: Callable[[Words], None]


class Tellings:
    """All that is to be told yet."""

    def __init__(self, table: Table, ways: Ways) -> None:
        """Take the table and, by their names, the ways by which things are told."""
        self._table = table
        self._ways = ways

    @overload
    def tell(
        self,
        name: str,
        way: Literal["event", "message", "tags"],
        what: EndTold,
        once: Write,
        now: datetime,
    ) -> None: ...

    @overload
    def tell(
        self, name: str, way: Literal["row"], what: Row, once: Write, now: datetime
    ) -> None: ...

    @overload
    def tell(
        self, name: str, way: Literal["words"], what: Words, once: Write, now: datetime
    ) -> None: ...

    def tell(
        self, name: str, way: Way, what: EndTold | Row | Words, once: Write, now: datetime
    ) -> None:
        """Tell something once, by the condition of the write `once`.

        Raises Refused, whose second item is what that write met: it was noted before. Any other
        error is one of telling it, which the sweep does again.
        """
        telling: Telling = {
            "sk": name,
            "way": way,
            "what": json.dumps(what),
            "since": iso(now),
            "expires_at": int((now + LIFETIME).timestamp()),
        }
        note = update(
            (TELLINGS, name),
            "SET #way = :way, #what = :what, #since = :since, #expires_at = :expires_at",
            way=way,
            what=telling["what"],
            since=telling["since"],
            expires_at=telling["expires_at"],
        )
        self._table.together(note, once)
        self._send(telling)

    def tell_late(self, now: datetime, left: Left) -> None:
        """Tell what was noted and not told, while there are seconds `left`.

        One that cannot be told keeps no other back, unless the service that would tell it does not
        answer. The first error is raised at the end; AwsUnavailable too where no time was left
        for any, or it could go on so for ever unseen.
        """
        errors: list[Exception] = []
        silent: set[Way] = set()  # the ways that do not work now
        tried = False
        for item in self._table.items(TELLINGS):
            telling = cast("Telling", item)
            if left() < LAST:
                if not tried and telling.get("since", "") <= iso(now - PATIENCE):
                    raise AwsUnavailable("There was no time to tell what has waited to be told.")
                break  # the next sweep goes on
            try:
                if telling["since"] > iso(now - PATIENCE) or telling["way"] in silent:
                    continue
                tried = True
                if taken := self._taken(telling, now):
                    self._send(taken)
            except (AwsDenied, AwsUnavailable) as error:
                silent.add(telling["way"])
                errors.append(error)
            except Exception as error:  # noqa: BLE001 - it is raised below
                errors.append(error)
        if errors:
            raise errors[0]

    def _taken(self, telling: Telling, now: datetime) -> Telling | None:
        """Take over what another has not told; None where it was told, or taken over, meanwhile."""
        try:
            self._table.update(
                (TELLINGS, telling["sk"]),
                "SET #since = :now",
                "#since = :since",
                now=iso(now),
                since=telling["since"],
            )
        except Refused:
            return None
        return {**telling, "since": iso(now)}

    def _send(self, telling: Telling) -> None:
        """Tell it, and forget it."""
        self._ways[telling["way"]](json.loads(telling["what"]))
        with suppress(Refused):  # it took so long that another tells it too
            self._table.delete((TELLINGS, telling["sk"]), "#since = :since", since=telling["since"])

"""Messages with times of their own, a batch at a time: each batch is one transaction, as that of an append is.

Promises: positions in a channel are unique, increasing, and in the order of commit, also beside live sends; one bad line does
not fail its neighbours; a key that was used before brings nothing, however late its line comes; a line that is refused changes
nothing. What is in the channel already is never moved, and nothing is written below it.

Only a batch writes into months that are over, and such a month may be about to be dropped (`history/retention/months.py`). So
before all else it takes a lock on its months, which batches share: from then on they are not dropped, and one that is gone by
then is made again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from history.axis import DAY, MILLISECOND
from history.channels.model import MADE_BY_CALL, missing
from history.channels.service import Channels
from history.clock import Clock
from history.database import Database
from history.errors import DatabaseUnavailable, InvalidInput, OutcomeUnknown, Unavailable
from history.messages import store as messages_store
from history.messages.append import Appends
from history.messages.model import Month, Sender, references, unknown_media
from history.transfer import store
from history.transfer.batch import Batch, FileGone
from history.transfer.model import FILE, Line, Outcome, Place, Room

_AT_ONCE = 2
"""Batches in their transactions; others wait, so that sends always find a connection."""
_MOST_STREAMS = 16
"""Each holds up to two batches in memory."""
_TRIES = 5


class Imports:
    """Batches of lines on their way into the database."""

    def __init__(self, database: Database, channels: Channels, clock: Clock, appends: Appends) -> None:
        self._database = database
        self._channels = channels
        self._clock = clock
        self._appends = appends
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self.room = Room(_MOST_STREAMS, kind="imports")

    async def commit(self, app_key: str, lines: Sequence[Line], *, key_kept: int) -> Outcome:
        """Store these lines in their order, or say of each why not; keys hold for `key_kept` microseconds.

        Unavailable where the database does not take any: then none of them is stored, or nobody knows (OutcomeUnknown).
        """
        async with self._turns:
            return await self._bisect(app_key, lines, key_kept)

    async def _bisect(self, app_key: str, lines: Sequence[Line], key_kept: int) -> Outcome:
        """What the database refuses for a reason that nobody foresaw is narrowed down to its line."""
        try:
            return await self._store(app_key, lines, key_kept)
        except Unavailable:
            raise
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is the line's
            if len(lines) == 1:
                return Outcome(refused=[(lines[0][0], exc)])
        middle = len(lines) // 2
        first = await self._bisect(app_key, lines[:middle], key_kept)
        rest = await self._bisect(app_key, lines[middle:], key_kept)
        return Outcome(
            imported=first.imported + rest.imported,
            there=first.there + rest.there,
            refused=first.refused + rest.refused,
        )

    async def _store(self, app_key: str, lines: Sequence[Line], key_kept: int) -> Outcome:
        for _ in range(_TRIES):
            unknown = await self._unknown_files(app_key, lines)
            try:
                return await self._database.retrying(partial(self._write, app_key, lines, unknown, key_kept))
            except messages_store.NoMonth:
                # again and again, because a month may be dropped while it is still empty
                await self._appends.make(_months(lines))
            except FileGone:
                # the next look refuses its line
                continue
        raise DatabaseUnavailable("Months or files went while the lines were stored; send them again.")

    async def _unknown_files(self, app_key: str, lines: Sequence[Line]) -> dict[int, Exception] | None:
        """Lines that refer to a file that is not there, or to too many; None where none refers to any."""
        naming = [(line[0], line[6]) for line in lines if FILE in line[6]]
        if not naming:
            return None
        bad: dict[int, Exception] = {}
        wanted = {}
        for number, content in naming:
            try:
                wanted[number] = references(content)
            except InvalidInput as exc:
                bad[number] = exc
        if any(wanted.values()):
            async with self._database.reading() as connection:
                ids = sorted({id_ for ids in wanted.values() for id_ in ids})
                there = await messages_store.list_media(connection, ids)
            bad |= {
                number: unknown_media()
                for number, ids in wanted.items()
                if any(there.get(id_) != app_key for id_ in ids)
            }
        return bad

    async def _write(
        self, app_key: str, lines: Sequence[Line], unknown: Mapping[int, Exception] | None, key_kept: int
    ) -> Outcome:
        """One try: all that may be stored in one transaction, or nothing."""
        bad = unknown or {}
        nowhere = await self._nowhere(lines, bad)
        refused: list[tuple[int, Exception]] = []
        if nowhere:
            refused = [
                (line[0], bad.get(line[0]) or missing(line[1].key)) for line in lines if line[1] in nowhere
            ]
            lines = [line for line in lines if line[1] not in nowhere]
        if not lines:
            return Outcome(refused=refused)
        now, months = self._clock.now(), _months(lines)
        batch = Batch(lines, bad, files=unknown is not None, now=now, expires_at=now + key_kept)
        senders: dict[Sender, int] = {}
        try:
            async with self._database.writing() as connection:
                await store.share_months(connection, months)
                arranged = await batch.arrange(connection, self._channels)
                if arranged.rows:
                    await messages_store.insert_messages(connection, arranged.rows)
                    senders = await self._appends.note_senders(connection, arranged.writers)
                    await batch.note(connection)
        except OutcomeUnknown as exc:
            await self._appends.ask(batch.transaction_id, exc)
        self._channels.remember(batch.ids)
        self._appends.remember_senders(senders)
        arranged = batch.arranged
        self._appends.appended[app_key] += len(arranged.rows)
        return Outcome(imported=len(arranged.rows), there=arranged.there, refused=refused + arranged.refused)

    async def _nowhere(self, lines: Sequence[Line], bad: Mapping[int, Exception]) -> set[Place]:
        """Channels that are not there and that none of the lines may make."""
        places = {line[1] for line in lines}
        makers = {line[1] for line in lines if line[0] not in bad} if bad else places
        asked = [place for place in places if place.key.type in MADE_BY_CALL or place not in makers]
        found = await self._channels.locate([place.key for place in asked]) if asked else []
        return {place for place, id_ in zip(asked, found, strict=True) if id_ is None}


def _months(lines: Sequence[Line]) -> list[Month]:
    """The months of these lines; after the last day of one also the next, because its last millisecond may be full."""
    days = {line[2] * MILLISECOND // DAY for line in lines}
    months = {Month.of((day + more) * DAY) for day in days for more in (0, 1)}
    return sorted(months, key=lambda month: month.first)

"""Messages go in by group commit and come out as history.

Promises: whoever was answered has his message on disk; positions in a channel are unique, increasing, and in the order of
commit; after a commit whose outcome is unknown nothing is sent again blindly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from history.axis import DAY
from history.batches import Batches
from history.channels.model import ChannelKey
from history.channels.service import Channels
from history.clock import Clock
from history.cursors import message_id
from history.database import Connection, Database
from history.errors import ClockJumped, DatabaseUnavailable, OutcomeUnknown
from history.messages import store
from history.messages.model import MOST_PAGE_BYTES, Draft, Flags, Message, Month, Range, positions
from history.messages.store import MessageRow

_MOST_BATCH_BYTES = 4 * 1024 * 1024
_MOST_WAITING_BYTES = 64 * 1024 * 1024
"""One batch in flight and these waiting bound the memory of sends; a single request may be larger than a batch."""
_MONTHS_AHEAD = 2


class Messages:
    """The use-cases of messages."""

    def __init__(
        self,
        database: Database,
        channels: Channels,
        clock: Clock,
        *,
        most_batch_bytes: int = _MOST_BATCH_BYTES,
    ) -> None:
        """With `most_batch_bytes` 0 every request is a commit of its own."""
        self._database = database
        self._channels = channels
        self._clock = clock
        self._batches: Batches[Draft, list[str]] = Batches(
            self._commit, weigh=Draft.weight, most_weight=most_batch_bytes, most_waiting=_MOST_WAITING_BYTES
        )

    async def send(self, draft: Draft) -> list[str]:
        """Store a message in each channel of the draft, all or none; their ids in the order of the channels."""
        return await self._batches.submit(draft)

    async def history(self, channel: ChannelKey, user_id: str, range_: Range, *, most: int) -> list[Message]:
        """A page of what the user may read there, newest first; empty where that is nothing."""
        channel_id = (await self._channels.locate([channel]))[0]
        if channel_id is None:
            return []
        async with self._database.reading() as connection:
            return await store.list_history(
                connection,
                app_key=channel.app_key,
                channel_id=channel_id,
                user_id=user_id,
                range_=range_,
                most=most,
                most_bytes=MOST_PAGE_BYTES,
            )

    async def make_months(self, *, now: int) -> None:
        """Have this month and the next ones ready, so that a month's end never stops a send."""
        months = [Month.of(now)]
        for _ in range(_MONTHS_AHEAD):
            months.append(months[-1].next())
        async with self._database.reading() as connection:
            there = await store.list_months(connection)
        missing = [month for month in months if month.table not in there]
        if missing:
            async with self._database.writing() as connection:
                await store.insert_months(connection, missing)

    async def _commit(self, drafts: Sequence[Draft]) -> list[list[str]]:
        # a jump of the clock, a missing month, a lost commit: each is put right once, then the batch is refused
        for again in (True, False):
            try:
                return await self._database.retrying(lambda: self._append(drafts))
            except store.NoMonth:
                if not again:
                    raise DatabaseUnavailable("There is no partition for this month.") from None
                await self.make_months(now=self._clock.now())
            except ClockJumped:
                if not again:
                    raise
        raise AssertionError("unreachable")

    async def _append(self, drafts: Sequence[Draft]) -> list[list[str]]:
        keys = {key for draft in drafts for key in draft.channels}
        ids: dict[ChannelKey, int] = {}
        given: list[list[int]] = []
        transaction_id: str | None = None
        try:
            async with self._database.writing() as connection:
                ids = await self._channels.ensure(connection, keys)
                reserved = await self._reserve(connection, drafts, ids)
                transaction_id = reserved.transaction_id
                given = positions(drafts, {key: reserved.ends[ids[key]] for key in keys})
                await store.insert_messages(connection, _rows(drafts, ids, given))
        except OutcomeUnknown:
            committed = await self._database.committed(transaction_id) if transaction_id else None
            if committed is False:
                raise DatabaseUnavailable(
                    "The database went away before the commit; send the message again."
                ) from None
            if committed is None:
                raise
        self._channels.remember(ids)
        return [
            [message_id(ids[key], position) for key, position in zip(draft.channels, row, strict=True)]
            for draft, row in zip(drafts, given, strict=True)
        ]

    async def _reserve(
        self, connection: Connection, drafts: Sequence[Draft], ids: dict[ChannelKey, int]
    ) -> store.Reserved:
        counts: dict[int, int] = {}
        due: dict[int, int] = {}
        asked_at, now = self._clock.mark(), self._clock.now()
        for draft in drafts:
            for key in draft.channels:
                counts[ids[key]] = counts.get(ids[key], 0) + 1
                if not draft.flags & Flags.PERSISTED:
                    # the first instant at which time alone may let it go: a day's window or its days as missed
                    due[ids[key]] = now + DAY
        reserved = await store.reserve_positions(connection, counts, due, now=now)
        if reserved is None:
            self._channels.forget(list(ids))
            raise DatabaseUnavailable("A channel has vanished from the database; send the message again.")
        if not self._clock.observe(reserved.clock, asked_at):
            raise ClockJumped("The database's clock jumped by more than a second; send the message again.")
        return reserved


def _rows(
    drafts: Sequence[Draft], ids: dict[ChannelKey, int], given: list[list[int]]
) -> Iterator[MessageRow]:
    for draft, row in zip(drafts, given, strict=True):
        for key, position in zip(draft.channels, row, strict=True):
            yield (ids[key], position, int(draft.flags), draft.sender, draft.type, draft.content, None)

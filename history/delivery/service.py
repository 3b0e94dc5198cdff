"""Sync and acknowledge.

Promises: a missed message is given until it is acknowledged or expires, whatever is cleaned; in the compensation window
nothing that is stored is withheld unless a clean carried the flag; what a page held counts as received only when the
device comes back with that page's cursor (cleans) or acknowledges (messages).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from history import cursors
from history.apps.service import Apps
from history.batches import Batches
from history.channels.model import ChannelKey
from history.channels.service import Channels
from history.clock import Clock
from history.database import Database
from history.delivery import store
from history.delivery.model import CleanNotice, Delivered, Reader, Receipt, SyncCursor, SyncPage, fill, reach
from history.errors import InvalidInput
from history.messages.model import MOST_PAGE_BYTES

_MOST_RECEIPTS = 2_000
_MOST_WAITING_RECEIPTS = 50_000
_START = (0, 0)


class Delivery:
    """The use-cases of devices."""

    def __init__(self, database: Database, apps: Apps, channels: Channels, clock: Clock) -> None:
        self._database = database
        self._apps = apps
        self._channels = channels
        self._clock = clock
        self._receipts: Batches[Sequence[Receipt], None] = Batches(
            self._commit, weigh=len, most_weight=_MOST_RECEIPTS, most_waiting=_MOST_WAITING_RECEIPTS
        )

    async def sync(self, reader: Reader, *, limit: int, cursor: str | None, reinstalled: bool) -> SyncPage:
        """What the device lacks: first the cleans it has not heard of, then messages, `limit` of both together.

        A cursor goes on where its page ended, so `reinstalled` counts on a first page alone.
        """
        at = _read(cursor, reader) if cursor else None
        if at is not None and at.told:
            async with self._database.writing() as connection:
                await store.update_told(connection, reader, dict(at.told))
        if at is None and reinstalled:
            async with self._database.writing() as connection:
                await store.delete_device_marks(connection, reader)
        after = at.after if at is not None and at.after is not None else _START
        settings = await self._apps.settings(reader.app_key)
        reaches = reach(settings, now=self._clock.now())
        async with self._database.reading() as connection:
            cleans = await store.list_clean_notices(connection, reader, most=limit)
            # one more than the page takes says whether there is more
            most = limit - len(cleans) + 1
            found = await store.list_messages(
                connection, reader, reaches, after=after, most=most, most_bytes=MOST_PAGE_BYTES
            )
        return _page(reader, cleans, found, limit=limit, after=after)

    async def acknowledge(self, reader: Reader, delivered: Sequence[tuple[ChannelKey, str]]) -> None:
        """The device has received everything in each channel up to and including the message; all or nothing."""
        receipts = await self._receipts_of(reader, delivered)
        if receipts:
            await self._receipts.submit(receipts)

    async def _receipts_of(
        self, reader: Reader, delivered: Sequence[tuple[ChannelKey, str]]
    ) -> list[Receipt]:
        ids = await self._channels.locate([channel for channel, _ in delivered])
        receipts = []
        for number, ((_, text), id_) in enumerate(zip(delivered, ids, strict=True)):
            field = f"delivered[{number}].messageId"
            try:
                channel_id, position = cursors.read_message_id(text)
            except cursors.NotOurs as exc:
                raise InvalidInput(
                    field, f"{field} must be a messageId that a sync or a send answered."
                ) from exc
            if channel_id != id_:
                raise InvalidInput(field, f"{field} is not of that channel; check channelType and channelId.")
            receipts.append(Receipt(reader=reader, channel_id=channel_id, position=position))
        async with self._database.reading() as connection:
            last = await store.list_last_positions(
                connection,
                app_key=reader.app_key,
                user_id=reader.user_id,
                channel_ids=[receipt.channel_id for receipt in receipts],
            )
        for number, receipt in enumerate(receipts):
            # marks only rise: one beyond the end would swallow messages that are not written yet
            if receipt.position > last.get(receipt.channel_id, -1):
                field = f"delivered[{number}].messageId"
                raise InvalidInput(field, f"{field} names a message that userId cannot have received.")
        return receipts

    async def _commit(self, batch: Sequence[Sequence[Receipt]]) -> list[None]:
        receipts = [receipt for receipts in batch for receipt in receipts]

        async def update() -> None:
            async with self._database.writing() as connection:
                await store.update_marks(connection, receipts)

        await self._database.retrying(update)
        ids = sorted({receipt.channel_id for receipt in receipts})
        async with self._database.writing() as connection:
            await store.mark_due(connection, ids, now=self._clock.now())
        return [None] * len(batch)


def _page(
    reader: Reader,
    cleans: list[CleanNotice],
    found: list[Delivered],
    *,
    limit: int,
    after: tuple[int, int],
) -> SyncPage:
    page = fill(found[: limit - len(cleans)], most_bytes=MOST_PAGE_BYTES)
    more = len(page) < len(found) or len(cleans) == limit
    if page:
        after = (page[-1].message.channel_id, page[-1].message.position)
    told = [(clean.channel_id, clean.cutoff) for clean in cleans]
    cursor = SyncCursor(reader=_digest(reader), told=told, after=after if more else None)
    return SyncPage(cleans=cleans, messages=page, cursor=cursors.pack(cursor), has_more=more)


def _digest(reader: Reader) -> str:
    parts = (reader.app_key, reader.user_id, reader.device_id)
    return sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()[:16]


def _read(cursor: str, reader: Reader) -> SyncCursor:
    try:
        at = cursors.unpack(cursor, SyncCursor)
    except cursors.NotOurs as exc:
        raise InvalidInput(
            "cursor", "cursor must be one that a sync answered; leave it out to begin anew."
        ) from exc
    if at.reader != _digest(reader):
        raise InvalidInput("cursor", "cursor belongs to another device; leave it out to begin anew.")
    return at

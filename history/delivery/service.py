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
from history.axis import NEVER, SECOND
from history.batches import Batches
from history.channels.model import ChannelKey
from history.channels.service import Channels
from history.clock import Clock
from history.database import Database
from history.delivery import store
from history.delivery.model import (
    MOST_UNREAD,
    CleanNotice,
    ConversationView,
    Delivered,
    Device,
    Listing,
    OnAxis,
    Reader,
    RecallNotice,
    Receipt,
    RemovalNotice,
    SyncCursor,
    SyncPage,
    fill,
    fill_conversations,
    reach,
)
from history.errors import InvalidInput
from history.messages.model import MOST_PAGE_BYTES

_MOST_RECEIPTS = 2_000
_MOST_WAITING_RECEIPTS = 50_000
_START = (0, 0)
_SEEN_EVERY = 3_600 * SECOND
"""When a device was last seen is written once an hour: a period of days is counted from it."""
_MOST_SEEN = 100_000


class Delivery:
    """The use-cases of devices."""

    def __init__(self, database: Database, apps: Apps, channels: Channels, clock: Clock) -> None:
        self._database = database
        self._apps = apps
        self._channels = channels
        self._clock = clock
        self._seen: dict[Reader, int] = {}
        self._receipts: Batches[Sequence[Receipt], None] = Batches(
            self._commit, weigh=len, most_weight=_MOST_RECEIPTS, most_waiting=_MOST_WAITING_RECEIPTS
        )

    async def sync(self, reader: Reader, *, limit: int, cursor: str | None, reinstalled: bool) -> SyncPage:
        """What the device lacks: first the cleans it has not heard of, then messages, `limit` of both together.

        A cursor goes on where its page ended, so `reinstalled` counts on a first page alone.
        """
        at = _read(cursor, reader) if cursor else None
        await self._receive(reader, at, reinstalled=reinstalled)
        after = at.after if at is not None and at.after is not None else _START
        settings = await self._apps.settings(reader.app_key)
        reaches = reach(settings, now=self._clock.now())
        async with self._database.reading() as connection:
            lacking = await store.list_lacking(connection, reader, reaches)
            cleans = await store.list_clean_notices(connection, reader, lacking.cleans, most=limit)
            left = limit - len(cleans)
            recalls = await store.list_recall_notices(connection, reader, lacking.recalls, most=left)
            left -= len(recalls)
            removals = await store.list_removal_notices(connection, reader, lacking.removals, most=left)
            # one more than the page takes says whether there is more
            most = left - len(removals) + 1
            found = await store.list_messages(
                connection,
                reader,
                reaches,
                lacking.messages,
                after=after,
                most=most,
                most_bytes=MOST_PAGE_BYTES,
            )
        return _page(reader, cleans, recalls, removals, found, limit=limit, after=after)

    async def _receive(self, reader: Reader, at: SyncCursor | None, *, reinstalled: bool) -> None:
        """Take in what the device says by coming: that it is there, and that it has the page of this cursor."""
        await self._touch(reader)

        async def work() -> None:
            async with self._database.writing() as connection:
                if at is None:
                    await store.delete_device_marks(connection, reader)
                else:
                    await store.update_told(
                        connection,
                        reader,
                        cutoffs=dict(at.told),
                        recalls=dict(at.recalled),
                        removals=dict(at.removed),
                    )

        if reinstalled if at is None else at.told or at.recalled or at.removed:
            await self._database.retrying(work)

    async def _touch(self, reader: Reader) -> None:
        """Remember that the device is in use: marks without a device would never be swept."""
        now = self._clock.now()
        seen = self._seen.get(reader)
        if seen is not None and now - seen < _SEEN_EVERY:
            return
        async with self._database.writing() as connection:
            await store.touch_device(connection, reader, now=now, seen_before=now - _SEEN_EVERY)
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen[reader] = now

    async def acknowledge(self, reader: Reader, delivered: Sequence[tuple[ChannelKey, str]]) -> None:
        """The device has received everything in each channel up to and including the message; all or nothing."""
        receipts = await self._receipts_of(reader, delivered)
        if receipts:
            await self._touch(reader)
            await self._receipts.submit(receipts)

    async def conversations(
        self, app_key: str, user_id: str, *, cursor: str | None, most: int
    ) -> tuple[list[ConversationView], str | None]:
        """A page of a user's conversations, the newest activity first, and the cursor of the next page."""
        listing = Listing(
            place=_below(cursor) if cursor else (NEVER, NEVER),
            most=most + 1,
            most_unread=MOST_UNREAD + 1,
            last_message=True,
            most_bytes=MOST_PAGE_BYTES,
            now=self._clock.now(),
        )
        async with self._database.reading() as connection:
            found = await store.list_conversations(connection, app_key, user_id, listing)
        page = fill_conversations(found[:most], most_bytes=MOST_PAGE_BYTES)
        more = len(page) < len(found)
        return page, cursors.pack(page[-1].place) if more else None

    async def read(self, user_id: str, channel: ChannelKey, message: str | None) -> None:
        """The user has read everything up to a message, or all there is."""
        refused = InvalidInput("channelId", "channelId names no channel that userId takes part in.")
        channel_id = (await self._channels.locate([channel]))[0]
        if channel_id is None:
            raise refused
        position = _position(message, channel_id, "messageId") if message is not None else None
        async with self._database.writing() as connection:
            if not await store.raise_read(
                connection, channel.app_key, user_id, channel_id, position, now=self._clock.now()
            ):
                raise refused

    async def devices(self, app_key: str, user_id: str) -> Sequence[Device]:
        """The devices of a user, the last used first."""
        async with self._database.reading() as connection:
            return await store.list_devices(connection, app_key, user_id)

    async def remove_device(self, reader: Reader) -> None:
        """Forget a device and what it has; if it comes again it is a new one."""

        async def work() -> None:
            async with self._database.writing() as connection:
                await store.delete_device(connection, reader)
                await store.delete_device_marks(connection, reader)

        await self._database.retrying(work)
        self._seen.pop(reader, None)

    async def _receipts_of(
        self, reader: Reader, delivered: Sequence[tuple[ChannelKey, str]]
    ) -> list[Receipt]:
        ids = await self._channels.locate([channel for channel, _ in delivered])
        receipts = []
        for number, ((_, text), id_) in enumerate(zip(delivered, ids, strict=True)):
            position = _position(text, id_, f"delivered[{number}].messageId")
            receipts.append(Receipt(reader=reader, channel_id=id_ or 0, position=position))
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

        async def mark() -> None:
            async with self._database.writing() as connection:
                await store.mark_waiting_due(connection, ids, now=self._clock.now())

        await self._database.retrying(mark)
        return [None] * len(batch)


def _position(text: str, channel_id: int | None, field: str) -> int:
    """Where the message stands that a caller names; an error that names the field where it is none of that channel."""
    try:
        named, position = cursors.read_message_id(text)
    except cursors.NotOurs as exc:
        raise InvalidInput(field, f"{field} must be a messageId that a sync or a send answered.") from exc
    if named != channel_id:
        raise InvalidInput(field, f"{field} is not of that channel; check channelType and channelId.")
    return position


def _below(cursor: str) -> tuple[int, int]:
    try:
        return cursors.unpack(cursor, tuple[OnAxis, OnAxis])
    except cursors.NotOurs as exc:
        raise InvalidInput("cursor", "cursor must be one that the page before answered.") from exc


def _page(
    reader: Reader,
    cleans: list[CleanNotice],
    recalls: list[RecallNotice],
    removals: list[RemovalNotice],
    found: list[Delivered],
    *,
    limit: int,
    after: tuple[int, int],
) -> SyncPage:
    left = limit - len(cleans) - len(recalls) - len(removals)
    page = fill(found[:left], most_bytes=MOST_PAGE_BYTES)
    more = len(page) < len(found) or left == 0
    if page:
        after = (page[-1].message.channel_id, page[-1].message.position)
    cursor = SyncCursor(
        reader=_digest(reader),
        told=[(clean.channel_id, clean.cutoff) for clean in cleans],
        recalled=list({recall.channel_id: recall.stamp for recall in recalls}.items()),
        after=after if more else None,
        removed=[(removal.channel_id, removal.removals) for removal in removals],
    )
    return SyncPage(
        cleans=cleans,
        recalls=recalls,
        removals=removals,
        messages=page,
        cursor=cursors.pack(cursor),
        has_more=more,
    )


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

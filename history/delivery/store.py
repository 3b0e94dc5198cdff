"""What devices were given and told: marks, and the pages that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import UNSET

from history.channels.model import ChannelKey, ChannelType
from history.cursors import message_id
from history.database import Connection, Row, columns
from history.delivery.model import (
    CleanNotice,
    ConversationChange,
    ConversationView,
    Delivered,
    Device,
    Listing,
    Reach,
    Reader,
    RecallNotice,
    Receipt,
    RemovalNotice,
)
from history.messages.model import Message
from history.queries import statement


def _channel(app_key: str, row: Row) -> ChannelKey:
    return ChannelKey(app_key, ChannelType(row["channel_type"]), tuple(row["channel_key"]))


def _message(row: Row, type_: str) -> Message:
    return Message(
        channel_id=row["channel_id"],
        position=row["position"],
        sender=row["sender"],
        type=type_,
        content=row["content"],
        flags=row["flags"],
        metadata=row["metadata"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """The channels where a device may lack something, in no order."""

    cleans: list[int]
    recalls: list[int]
    removals: list[int]
    messages: list[int]


async def list_lacking(connection: Connection, reader: Reader, reach: Reach) -> Lacking:
    """Where the other statements of a sync have to look."""
    rows = await connection.fetch(
        statement("delivery", "list_lacking"),
        reader.app_key,
        reader.user_id,
        reader.device_id,
        reach.missed_from,
        reach.window_from,
    )
    return Lacking(
        **{
            name: [row["channel_id"] for row in rows if row[name]]
            for name in ("cleans", "recalls", "removals", "messages")
        }
    )


async def _list_notices(
    connection: Connection, name: str, reader: Reader, channel_ids: Sequence[int], *, most: int
) -> list[Row]:
    if not channel_ids or not most:
        return []
    return await connection.fetch(
        statement("delivery", name), reader.app_key, reader.user_id, reader.device_id, most, channel_ids
    )


async def list_messages(
    connection: Connection,
    reader: Reader,
    reach: Reach,
    channel_ids: Sequence[int],
    *,
    after: tuple[int, int],
    most: int,
    most_bytes: int,
) -> list[Delivered]:
    """One page of the rules Missed and Compensation in these channels, in the order of channels and positions."""
    if not channel_ids:
        return []
    rows = await connection.fetch(
        statement("delivery", "sync_page"),
        reader.app_key,
        reader.user_id,
        reader.device_id,
        reach.missed_from,
        reach.window_from,
        *after,
        most,
        most_bytes,
        channel_ids,
    )
    return [
        Delivered(
            message=_message(row, row["type"]),
            channel=_channel(reader.app_key, row),
            origin="missed" if row["missed"] else "compensation",
        )
        for row in rows
    ]


async def list_clean_notices(
    connection: Connection, reader: Reader, channel_ids: Sequence[int], *, most: int
) -> list[CleanNotice]:
    """Those of these channels whose effective history cutoff differs from what the device was told."""
    rows = await _list_notices(connection, "list_clean_notices", reader, channel_ids, most=most)
    return [
        CleanNotice(
            channel_id=row["channel_id"],
            channel=_channel(reader.app_key, row),
            cutoff=row["cutoff"],
            everyone=row["for_everyone"],
            restored=row["cutoff"] < row["told"],
        )
        for row in rows
    ]


async def _tell(connection: Connection, name: str, reader: Reader, told: Mapping[int, int]) -> None:
    if not told:
        return
    ids = sorted(told)
    await connection.execute(
        statement("delivery", name),
        reader.app_key,
        reader.user_id,
        reader.device_id,
        ids,
        [told[id_] for id_ in ids],
    )


async def update_told(
    connection: Connection,
    reader: Reader,
    *,
    cutoffs: Mapping[int, int],
    recalls: Mapping[int, int],
    removals: Mapping[int, int],
) -> None:
    """The device knows of these, by channel; channels that are none of the user's are passed over."""
    given = [told for told in (cutoffs, recalls, removals) if told]
    if len(given) > 1:
        # an acknowledgement of the same device takes all of these rows in the order of channels
        await connection.execute(
            statement("delivery", "lock_device_marks"),
            reader.app_key,
            reader.user_id,
            reader.device_id,
            sorted({id_ for told in given for id_ in told}),
        )
    await _tell(connection, "update_told", reader, cutoffs)
    await _tell(connection, "update_told_recalls", reader, recalls)
    await _tell(connection, "update_told_removals", reader, removals)


async def delete_device_marks(connection: Connection, reader: Reader) -> None:
    """Forget what a device has and knows."""
    await connection.execute(
        statement("delivery", "delete_device_marks"), reader.app_key, reader.user_id, reader.device_id
    )


async def list_last_positions(
    connection: Connection, *, app_key: str, user_id: str, channel_ids: Sequence[int]
) -> dict[int, int]:
    """How far each of these channels has come, where the user has a conversation there."""
    rows = await connection.fetch(statement("delivery", "list_last_positions"), app_key, user_id, channel_ids)
    return {row["channel_id"]: row["last_position"] for row in rows}


async def update_marks(connection: Connection, receipts: Sequence[Receipt]) -> None:
    """Raise the users' delivered marks and the devices' marks, in the order of channels."""
    users: dict[tuple[int, str], int] = {}
    devices: dict[tuple[int, str, str], int] = {}
    for receipt in receipts:
        user = (receipt.channel_id, receipt.reader.user_id)
        device = (*user, receipt.reader.device_id)
        users[user] = max(users.get(user, 0), receipt.position)
        devices[device] = max(devices.get(device, 0), receipt.position)
    await connection.execute(
        statement("delivery", "raise_delivered"),
        *columns(sorted((*user, position) for user, position in users.items()), 3),
    )
    await connection.execute(
        statement("delivery", "raise_device_marks"),
        *columns(sorted((*device, at) for device, at in devices.items()), 4),
    )


async def mark_waiting_due(connection: Connection, channel_ids: Sequence[int], *, now: int) -> None:
    """Let reclaim look at these channels again, where it waits for something there."""
    await connection.execute(statement("delivery", "mark_waiting_due"), channel_ids, now)


async def list_recall_notices(
    connection: Connection, reader: Reader, channel_ids: Sequence[int], *, most: int
) -> list[RecallNotice]:
    """The recalls that the device was not told of, in the order of channels and stamps."""
    rows = await _list_notices(connection, "list_recall_notices", reader, channel_ids, most=most)
    return [
        RecallNotice(
            channel_id=row["channel_id"],
            channel=_channel(reader.app_key, row),
            stamp=row["stamp"],
            message_id=message_id(row["channel_id"], row["position"]),
        )
        for row in rows
    ]


async def touch_device(connection: Connection, reader: Reader, *, now: int, seen_before: int) -> None:
    """Remember that the device is in use."""
    await connection.execute(
        statement("delivery", "touch_device"),
        reader.app_key,
        reader.user_id,
        reader.device_id,
        now,
        seen_before,
    )


async def list_devices(connection: Connection, app_key: str, user_id: str) -> list[Device]:
    """The devices of a user, the last used first."""
    rows = await connection.fetch(statement("delivery", "list_devices"), app_key, user_id)
    return [Device(**dict(row)) for row in rows]


async def delete_device(connection: Connection, reader: Reader) -> None:
    """Forget a device; its marks are the caller's to delete."""
    await connection.execute(
        statement("delivery", "delete_device"), reader.app_key, reader.user_id, reader.device_id
    )


async def list_removal_notices(
    connection: Connection, reader: Reader, channel_ids: Sequence[int], *, most: int
) -> list[RemovalNotice]:
    """The conversations that left the user's list and that the device was not told of, in the order of channels."""
    rows = await _list_notices(connection, "list_removal_notices", reader, channel_ids, most=most)
    return [
        RemovalNotice(
            channel_id=row["channel_id"], channel=_channel(reader.app_key, row), removals=row["removals"]
        )
        for row in rows
    ]


async def list_conversations(
    connection: Connection, app_key: str, user_id: str, listing: Listing
) -> list[ConversationView]:
    """A stretch of a user's conversations: the newest activity first, or, backward, the nearest to the place."""
    filters = listing.filters
    rows = await connection.fetch(
        statement("delivery", "list_conversations"),
        app_key,
        user_id,
        *listing.place,
        -1 if listing.backward else 1,
        listing.last_message,
        listing.most,
        listing.most_unread,
        listing.most_bytes,
        listing.now,
        filters.muted,
        filters.archived,
        filters.pinned,
        filters.type,
        listing.channel_id,
    )
    return [_conversation(app_key, row) for row in rows]


def _conversation(app_key: str, row: Row) -> ConversationView:
    return ConversationView(
        channel_id=row["channel_id"],
        channel=ChannelKey(app_key, ChannelType(row["type"]), tuple(row["key"])),
        user_id=row["user_id"],
        created_at=row["created_at"],
        last_active_at=row["activity"] or None,
        listed_position=row["listed_position"],
        opened_at=row["opened_at"],
        pinned=row["pinned"],
        muted=row["muted"],
        archived_at=row["archived_at"],
        pinned_message=row["pinned_message"],
        read_position=row["read_position"],
        delivered_position=row["delivered_position"],
        history_from=row["history_from"],
        unread=row["unread"],
        last_message=_message(row, row["message_type"]) if row["position"] is not None else None,
    )


async def get_place(connection: Connection, app_key: str, user_id: str, channel_id: int) -> int | None:
    """The activity with which a conversation was last listed, on the list or not; None where the user has none."""
    position: int | None = await connection.fetchval(
        statement("delivery", "get_place"), app_key, user_id, channel_id
    )
    return position


async def update_listed(connection: Connection, user_id: str, places: Mapping[int, int]) -> None:
    """Remember the activity with which these channels' conversations are listed."""
    ids = sorted(places)
    await connection.execute(
        statement("delivery", "update_listed"), user_id, ids, [places[id_] for id_ in ids]
    )


async def is_shown(
    connection: Connection, app_key: str, user_id: str, channel_id: int, position: int, *, now: int
) -> bool:
    """Whether the user may read the message, in a conversation on his list."""
    return bool(
        await connection.fetchval(
            statement("delivery", "is_shown"), app_key, user_id, channel_id, position, now
        )
    )


async def update_conversation(
    connection: Connection, app_key: str, user_id: str, channel_id: int, change: ConversationChange
) -> bool:
    """Change a conversation on the user's list; False where it is not there."""
    status = await connection.execute(
        statement("delivery", "update_conversation"),
        app_key,
        user_id,
        channel_id,
        change.pinned,
        change.muted,
        change.archived_at is not UNSET,
        None if change.archived_at is UNSET else change.archived_at,
        change.pinned_message is not UNSET,
        None if change.pinned_message is UNSET else change.pinned_message,
        change.opened_at,
        change.read_all,
    )
    return bool(status == "UPDATE 1")


async def list_removable(
    connection: Connection, app_key: str, user_id: str, channel_ids: Sequence[int]
) -> set[int]:
    """The channels where the user has a conversation that he has not removed, also where he has left."""
    rows = await connection.fetch(statement("delivery", "list_removable"), app_key, user_id, channel_ids)
    return {row["channel_id"] for row in rows}


async def lock_removable(
    connection: Connection, app_key: str, user_id: str, channel_ids: Sequence[int]
) -> None:
    """Lock the channels, sorted, where the user has a conversation: what is on his list there stands still."""
    await connection.execute(statement("delivery", "lock_removable"), app_key, user_id, channel_ids)


async def remove_conversations(
    connection: Connection, app_key: str, user_id: str, channel_ids: Sequence[int], *, tell: bool | None
) -> set[int]:
    """Take conversations from the user's list; the channels of those that were there. The caller holds their locks."""
    rows = await connection.fetch(
        statement("delivery", "remove_conversations"), app_key, user_id, channel_ids, tell
    )
    return {row["channel_id"] for row in rows if row["there"]}


async def restore_conversation(connection: Connection, app_key: str, user_id: str, channel_id: int) -> None:
    """Put a removed conversation back on the user's list. The caller holds the channel's lock."""
    await connection.execute(statement("delivery", "restore_conversation"), app_key, user_id, channel_id)


async def raise_read(
    connection: Connection, app_key: str, user_id: str, channel_id: int, position: int | None, *, now: int
) -> bool:
    """The user has read everything up to a position, or all there is; False where he cannot have."""
    status = await connection.execute(
        statement("delivery", "raise_read"), app_key, user_id, channel_id, position, now
    )
    return bool(status == "UPDATE 1")

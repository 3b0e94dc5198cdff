"""What devices were given and told: marks, and the pages that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from history.channels.model import ChannelKey, ChannelType
from history.cursors import message_id
from history.database import Connection, Row
from history.delivery.model import (
    CleanNotice,
    Conversation,
    Delivered,
    Device,
    Reach,
    Reader,
    RecallNotice,
    Receipt,
)
from history.messages.model import Flags, Message
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
        flags=Flags(row["flags"]),
        metadata=row["metadata"],
    )


async def list_messages(
    connection: Connection,
    reader: Reader,
    reach: Reach,
    *,
    after: tuple[int, int],
    most: int,
    most_bytes: int,
) -> list[Delivered]:
    """One page of the rules Missed and Compensation, in the order of channels and positions."""
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
    )
    return [
        Delivered(
            message=_message(row, row["type"]),
            channel=_channel(reader.app_key, row),
            origin="missed" if row["missed"] else "compensation",
        )
        for row in rows
    ]


async def list_clean_notices(connection: Connection, reader: Reader, *, most: int) -> list[CleanNotice]:
    """The channels whose effective history cutoff differs from what the device was told."""
    rows = await connection.fetch(
        statement("delivery", "list_clean_notices"), reader.app_key, reader.user_id, reader.device_id, most
    )
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


async def update_told(connection: Connection, reader: Reader, told: Mapping[int, int]) -> None:
    """The device knows of these cutoffs; channels that are none of the user's are passed over."""
    ids = sorted(told)
    await connection.execute(
        statement("delivery", "update_told"),
        reader.app_key,
        reader.user_id,
        reader.device_id,
        ids,
        [told[id_] for id_ in ids],
    )


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
        *(
            list(column)
            for column in zip(*sorted((*user, position) for user, position in users.items()), strict=True)
        ),
    )
    await connection.execute(
        statement("delivery", "raise_device_marks"),
        *(
            list(column)
            for column in zip(*sorted((*device, at) for device, at in devices.items()), strict=True)
        ),
    )


async def mark_due(connection: Connection, channel_ids: Sequence[int], *, now: int) -> None:
    """Let reclaim look at these channels again, where it waits for something there."""
    await connection.execute(statement("delivery", "mark_due"), channel_ids, now)


async def list_recall_notices(connection: Connection, reader: Reader, *, most: int) -> list[RecallNotice]:
    """The recalls that the device was not told of, in the order of channels and stamps."""
    rows = await connection.fetch(
        statement("delivery", "list_recall_notices"), reader.app_key, reader.user_id, reader.device_id, most
    )
    return [
        RecallNotice(
            channel_id=row["channel_id"],
            channel=_channel(reader.app_key, row),
            stamp=row["stamp"],
            message_id=message_id(row["channel_id"], row["position"]),
        )
        for row in rows
    ]


async def update_told_recalls(connection: Connection, reader: Reader, told: Mapping[int, int]) -> None:
    """The device knows of the recalls up to these stamps."""
    ids = sorted(told)
    await connection.execute(
        statement("delivery", "update_told_recalls"),
        reader.app_key,
        reader.user_id,
        reader.device_id,
        ids,
        [told[id_] for id_ in ids],
    )


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


async def list_conversations(
    connection: Connection,
    app_key: str,
    user_id: str,
    *,
    below: tuple[int, int],
    most: int,
    most_unread: int,
    most_bytes: int,
    now: int,
) -> list[Conversation]:
    """A page of a user's conversations, the newest activity first."""
    rows = await connection.fetch(
        statement("delivery", "list_conversations"),
        app_key,
        user_id,
        *below,
        most,
        most_unread,
        most_bytes,
        now,
    )
    return [
        Conversation(
            channel_id=row["channel_id"],
            channel=ChannelKey(app_key, ChannelType(row["type"]), tuple(row["key"])),
            last_position=row["last_position"],
            last_message=_message(row, row["message_type"]) if row["position"] is not None else None,
            unread=row["unread"],
            read_position=row["read_position"],
            delivered_position=row["delivered_position"],
            history_from=row["history_from"],
            pinned=row["pinned"],
            muted=row["muted"],
            archived_at=row["archived_at"],
        )
        for row in rows
    ]


async def raise_read(
    connection: Connection, app_key: str, user_id: str, channel_id: int, position: int | None
) -> bool:
    """The user has read everything up to a position, or all there is; False where he cannot have."""
    status = await connection.execute(
        statement("delivery", "raise_read"), app_key, user_id, channel_id, position
    )
    return bool(status == "UPDATE 1")

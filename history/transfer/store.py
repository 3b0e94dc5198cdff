"""The rows of channels and keys as an import needs them, the locks of months, and messages in bulk."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from history.channels.model import ChannelKey, ChannelType
from history.database import Connection, Row, columns
from history.messages.model import ClientKey, Message, Month
from history.queries import statement
from history.transfer.model import Exported, Spot, Stand

_KEY_COLUMNS = ("channel_id", "sender", "key", "position", "expires_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A channel to export, and from where on."""

    id: int
    channel: ChannelKey
    first: int


async def share_months(connection: Connection, months: Iterable[Month]) -> None:
    """Keep months from being dropped: before all other locks, because it may wait for a drop's questions."""
    await connection.execute(statement("transfer", "share_months"), sorted(month.number for month in months))


async def list_stands(connection: Connection, ids: Iterable[int], *, now: int) -> dict[int, Stand]:
    """Where channels stand; without those that have ended."""
    rows = await connection.fetch(statement("transfer", "list_stands"), sorted(ids), now)
    return _stands(rows)


async def lock_stands(
    connection: Connection, ids: Iterable[int], *, now: int
) -> tuple[dict[int, Stand], str | None]:
    """The same, locked in the order of their ids; and the transaction's id, None where all have ended."""
    rows = await connection.fetch(statement("transfer", "lock_stands"), sorted(ids), now)
    return _stands(rows), rows[0]["transaction_id"] if rows else None


def _stands(rows: Sequence[Row]) -> dict[int, Stand]:
    return {
        row["id"]: Stand(
            last_position=row["last_position"],
            common_position=row["common_position"],
            silent_to=row["silent_to"],
            some_removed=row["some_removed"],
        )
        for row in rows
    }


async def list_runs(connection: Connection, ends: Sequence[tuple[int, int, int]]) -> dict[int, int]:
    """Of each (channel id, lowest position, last position), where the run begins that ends with the last one.

    It is not followed below the lowest; a channel whose last message is gone has none.
    """
    rows = await connection.fetch(statement("transfer", "list_runs"), *columns(ends, 3))
    return {row["id"]: row["position"] for row in rows}


async def move_channels(
    connection: Connection, spots: Sequence[Spot], firsts: Mapping[int, int], *, look_at: int
) -> None:
    """Let channels end with their new messages; they are locked, and in the order of their ids."""
    await connection.execute(
        statement("transfer", "move_channels"),
        [spot.id for spot in spots],
        [firsts[spot.id] for spot in spots],
        [spot.last for spot in spots],
        [spot.common_position for spot in spots],
        [spot.silent_to for spot in spots],
        [look_at if spot.fleeting else None for spot in spots],
        look_at,
    )


async def insert_keys(connection: Connection, positions: Mapping[ClientKey, int], *, expires_at: int) -> bool:
    """COPY keys in, sorted; False, and none of them is in, where one was there already."""
    rows = [(*key, position, expires_at) for key, position in positions.items()]
    rows.sort()
    try:
        # a savepoint: what comes after it asks for them one by one
        async with connection.transaction():
            await connection.copy_records_to_table("message_keys", records=rows, columns=_KEY_COLUMNS)
    except asyncpg.UniqueViolationError:
        return False
    return True


async def list_known_keys(
    connection: Connection, keys: Collection[ClientKey], *, now: int
) -> dict[ClientKey, int]:
    """Where the messages stand that these keys stand for now."""
    rows = await connection.fetch(statement("transfer", "list_known_keys"), *columns(keys, 3), now)
    return {(row["channel_id"], row["sender"], row["key"]): row["position"] for row in rows}


async def list_there(connection: Connection, places: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
    """Which of these (channel id, position) are on disk."""
    rows = await connection.fetch(statement("transfer", "list_there"), *columns(places, 2))
    return {(row["channel_id"], row["position"]) for row in rows}


async def delete_keys(connection: Connection, keys: Collection[ClientKey]) -> None:
    """Give back keys that were claimed in this transaction."""
    await connection.execute(statement("transfer", "delete_keys"), *columns(sorted(keys), 3))


async def list_sources(
    connection: Connection,
    app_key: str,
    *,
    after: int,
    types: Sequence[ChannelType],
    only: int | None,
    now: int,
    most: int,
) -> list[Source]:
    """Channels of an app in the order of their ids."""
    rows = await connection.fetch(
        statement("transfer", "list_sources"), app_key, after, [int(t) for t in types], only, now, most
    )
    return [
        Source(
            id=row["id"],
            channel=ChannelKey(app_key, ChannelType(row["type"]), tuple(row["key"])),
            first=row["first"],
        )
        for row in rows
    ]


async def list_lines(
    connection: Connection, sources: Sequence[Source], *, end: int, most: int, most_bytes: int
) -> tuple[list[Exported], bool]:
    """Messages of these channels from their firsts on, at most so many of each; and whether bytes cut them off."""
    rows = await connection.fetch(
        statement("transfer", "list_lines"),
        [source.id for source in sources],
        [source.first for source in sources],
        end,
        most,
        most_bytes,
    )
    channels = {source.id: source.channel for source in sources}
    found = [_exported(row, channels[row["channel_id"]]) for row in rows]
    return found, bool(rows) and rows[-1]["bytes"] >= most_bytes


def _exported(row: Row, channel: ChannelKey) -> Exported:
    message = Message(
        channel_id=row["channel_id"],
        position=row["position"],
        sender=row["sender"],
        type=row["type"],
        content=row["content"],
        flags=row["flags"],
        metadata=row["metadata"],
    )
    recipients = row["recipients"]
    return Exported(
        message=message, channel=channel, recipients=None if recipients is None else tuple(recipients)
    )

"""The rows of messages: written by COPY, read as pages; and the months that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from history.channels.model import ChannelKey, ChannelType
from history.database import Connection, Row, columns
from history.messages.model import (
    ClientKey,
    Found,
    Message,
    MessageRow,
    Month,
    Range,
    ReferenceRow,
    Sender,
)
from history.queries import statement

_COLUMNS = ("channel_id", "position", "flags", "sender", "type", "content", "recipients", "metadata")
_REFERENCE_COLUMNS = (
    "channel_id",
    "position",
    "media_id",
    "app_key",
    "flags",
    "sender",
    "recipients",
)


class NoMonth(Exception):
    """A row falls in a month that has no partition yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """What a reservation answered: the last position of each channel, and a reading of the database's clock."""

    ends: dict[int, int]
    some_removed: list[int]
    """The channels where a conversation may come back to its user's list."""
    transaction_id: str
    clock: int


async def reserve_positions(
    connection: Connection,
    counts: Mapping[int, int],
    due: Mapping[int, int],
    *,
    now: int,
    targeted: Mapping[int, int] | None = None,
    unseen: Mapping[int, tuple[str, int]] | None = None,
) -> Reserved:
    """Reserve positions, locking the channels in the order of their ids; one that has ended or vanished is left out.

    `targeted` says how many at the end of each channel's messages name their recipients, `unseen` how many there are one
    sender's, for everybody but himself.
    """
    tails, alone = targeted or {}, unseen or {}
    ids = sorted(counts)
    rows = await connection.fetch(
        statement("messages", "reserve_positions"),
        ids,
        [counts[id_] for id_ in ids],
        now,
        [due.get(id_) for id_ in ids],
        [tails.get(id_, 0) for id_ in ids],
        [alone[id_][0] if id_ in alone else None for id_ in ids],
        [alone[id_][1] if id_ in alone else 0 for id_ in ids],
    )
    ends = {row["id"]: row["last_position"] for row in rows}
    if not rows:
        return Reserved(ends={}, some_removed=[], transaction_id="", clock=now)
    return Reserved(
        ends=ends,
        some_removed=sorted(row["id"] for row in rows if row["some_removed"]),
        transaction_id=rows[0]["transaction_id"],
        clock=rows[-1]["clock"],
    )


async def list_removed(connection: Connection, channel_ids: Iterable[int]) -> set[tuple[int, str]]:
    """(channel, user) of the conversations there that a message for everybody brings back."""
    rows = await connection.fetch(statement("messages", "list_removed"), sorted(channel_ids))
    return {(row["channel_id"], row["user_id"]) for row in rows}


async def update_noted(
    connection: Connection, tails: Mapping[tuple[int, str], int], back: AbstractSet[tuple[int, str]]
) -> None:
    """Remember the last targeted message of each (channel, user), and bring conversations back to their users' lists."""
    pairs = sorted(tails.keys() | back)
    await connection.execute(
        statement("messages", "update_noted"),
        *columns(pairs, 2),
        [tails.get(pair) for pair in pairs],
        [pair in back for pair in pairs],
    )


async def update_some_removed(connection: Connection, channel_ids: Sequence[int]) -> None:
    """Where all are back, appends need not look any more. The channels are locked by the caller, sorted."""
    await connection.execute(statement("messages", "update_some_removed"), channel_ids)


async def claim_keys(
    connection: Connection, lapses: Mapping[ClientKey, int], *, now: int
) -> dict[ClientKey, int]:
    """Claim idempotency keys; the positions of those that somebody had before."""
    keys = sorted(lapses)
    rows = await connection.fetch(
        statement("messages", "claim_keys"), *columns(keys, 3), [lapses[key] for key in keys], now
    )
    won = {(row["channel_id"], row["sender"], row["key"]) for row in rows}
    lost = [key for key in keys if key not in won]
    if not lost:
        return {}
    found = await connection.fetch(statement("messages", "list_key_positions"), *columns(lost, 3))
    return {(row["channel_id"], row["sender"], row["key"]): row["position"] for row in found}


async def update_key_positions(connection: Connection, positions: Mapping[ClientKey, int]) -> None:
    """Remember which messages the claimed keys stand for."""
    keys = sorted(positions)
    await connection.execute(
        statement("messages", "update_key_positions"), *columns(keys, 3), [positions[key] for key in keys]
    )


async def upsert_senders(connection: Connection, positions: Mapping[Sender, int]) -> None:
    """Remember who wrote where, at this position or up to a day after it. The channels are locked by the caller."""
    senders = sorted(positions)
    await connection.execute(
        statement("messages", "upsert_senders"),
        *columns(senders, 2),
        [positions[sender] for sender in senders],
    )


async def insert_messages(connection: Connection, rows: Iterable[MessageRow]) -> None:
    """COPY them in; NoMonth where a partition is missing."""
    try:
        await connection.copy_records_to_table("messages", records=rows, columns=_COLUMNS)
    except asyncpg.CheckViolationError as exc:
        # a row without a partition has this code and no constraint's name
        if exc.constraint_name is None:
            raise NoMonth from exc
        raise


async def share_media(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, str]:
    """Hold files still until the commit; the app of each that may be referred to."""
    rows = await connection.fetch(statement("messages", "share_media"), sorted(ids))
    return {row["id"]: row["app_key"] for row in rows}


async def list_media(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, str]:
    """The app of each of these files that may be referred to now."""
    rows = await connection.fetch(statement("messages", "list_media"), ids)
    return {row["id"]: row["app_key"] for row in rows}


async def insert_references(connection: Connection, rows: Iterable[ReferenceRow]) -> None:
    """COPY in which messages refer to which files; the caller shares the files."""
    await connection.copy_records_to_table("media_refs", records=rows, columns=_REFERENCE_COLUMNS)


async def lock_media(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, str]:
    """Lock files in the order of their ids; the app of each that may be referred to."""
    rows = await connection.fetch(statement("messages", "lock_media"), sorted(ids))
    return {row["id"]: row["app_key"] for row in rows if row["state"] == "ready"}


async def list_media_of(connection: Connection, channel_id: int, positions: Sequence[int]) -> set[UUID]:
    """The files that these messages refer to."""
    rows = await connection.fetch(statement("messages", "list_media_of"), channel_id, positions)
    return {row["media_id"] for row in rows}


async def delete_references(
    connection: Connection, channel_id: int, positions: Sequence[int], *, now: int
) -> None:
    """These messages say nothing any more: the files that only they needed may go."""
    ids = sorted(await list_media_of(connection, channel_id, positions))
    if ids:
        await connection.execute(statement("messages", "mark_media_due"), ids, now)
        await connection.execute(statement("messages", "delete_refs"), channel_id, positions)


async def list_history(
    connection: Connection,
    *,
    app_key: str,
    channel_id: int,
    user_id: str,
    range_: Range,
    now: int,
    most: int,
    most_bytes: int,
    with_recalled: bool = False,
) -> list[Message]:
    """One page of the History rule, newest first, extended over the last millisecond it touches.

    `with_recalled` adds what was recalled, without what it said.
    """
    rows = await connection.fetch(
        statement("messages", "history_page"),
        app_key,
        channel_id,
        user_id,
        now,
        range_.first,
        range_.end,
        most,
        most_bytes,
        with_recalled,
    )
    return [Message(**_fields(channel_id, row), recalled=row["recalled"]) for row in rows]


async def list_after(
    connection: Connection,
    *,
    app_key: str,
    channel_id: int,
    user_id: str,
    above: int,
    now: int,
    most: int,
    most_bytes: int,
) -> list[Message]:
    """What the user may read above a position, oldest first."""
    rows = await connection.fetch(
        statement("messages", "history_after"), app_key, channel_id, user_id, now, above, most, most_bytes
    )
    return [Message(**_fields(channel_id, row)) for row in rows]


def _fields(channel_id: int, row: Row) -> dict[str, Any]:
    return {
        "channel_id": channel_id,
        "position": row["position"],
        "sender": row["sender"],
        "type": row["type"],
        "content": row["content"],
        "flags": row["flags"],
        "metadata": row["metadata"],
        "edited_at": row["edited_at"],
    }


async def get_shown(
    connection: Connection, *, app_key: str, channel_id: int, user_id: str, position: int, now: int
) -> Found | None:
    """One message as the History rule shows it to the user; None where it does not."""
    row = await connection.fetchrow(
        statement("messages", "get_shown"), app_key, channel_id, user_id, now, position
    )
    if row is None:
        return None
    channel = ChannelKey(app_key, ChannelType(row["channel_type"]), tuple(row["channel_key"]))
    return Found(**_fields(channel_id, row), channel=channel)


async def list_stored(
    connection: Connection, channel_id: int, range_: Range, *, most: int, most_bytes: int, with_recalled: bool
) -> list[Message]:
    """What is on disk and not granted away, newest first; what was recalled without what it said."""
    rows = await connection.fetch(
        statement("messages", "list_stored"),
        channel_id,
        range_.first,
        range_.end,
        most,
        most_bytes,
        with_recalled,
    )
    return [Message(**_fields(channel_id, row), recalled=row["recalled"]) for row in rows]


async def list_months(connection: Connection) -> set[str]:
    """The names of the partitions that there are."""
    return {row["name"] for row in await connection.fetch(statement("messages", "list_months"))}


async def insert_months(connection: Connection, months: Sequence[Month]) -> None:
    """Make partitions that are missing. Made apart and then attached, readers and writers need not wait for them."""
    # one maker at a time: two that attach the same month would fail each other
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('tidemark months'))")
    await connection.execute("SET LOCAL lock_timeout = '5s'")
    there = await list_months(connection)
    for month in months:
        if month.table in there:
            continue
        bounds = f"FROM ({month.first}) TO ({month.next().first})"
        await connection.execute(f"CREATE TABLE {month.table} (LIKE messages INCLUDING ALL)")
        await connection.execute(f"ALTER TABLE messages ATTACH PARTITION {month.table} FOR VALUES {bounds}")


async def get_message(connection: Connection, channel_id: int, position: int) -> tuple[str, bool] | None:
    """The sender of a message that is on disk, and whether it is recalled."""
    row = await connection.fetchrow(statement("messages", "get_message"), channel_id, position)
    return (row["sender"], row["recalled"]) if row else None


async def recall(connection: Connection, channel_id: int, position: int, *, now: int) -> bool:
    """Flag a message for everyone, empty it unless it is held, and leave the row from which devices learn of it.

    False where that was done before. The caller shares the app's row, so that no hold comes in between.
    """
    stamp = await connection.fetchval(statement("messages", "next_recall"), channel_id, now)
    held = await connection.fetchval(statement("messages", "is_held"), channel_id)
    row = await connection.fetchrow(
        statement("messages", "update_recalled"), channel_id, position, stamp, held
    )
    if row is None:
        return False
    await connection.execute(
        statement("messages", "insert_recall"),
        channel_id,
        stamp,
        position,
        row["sender"],
        row["recipients"],
        now,
        not held,
    )
    if not held:
        await delete_references(connection, channel_id, [position], now=now)
    return True


async def get_editable(connection: Connection, channel_id: int, position: int, *, now: int) -> str | None:
    """The sender of a message that everyone may still see; the caller has locked the channel."""
    sender: str | None = await connection.fetchval(
        statement("messages", "get_editable"), channel_id, position, now
    )
    return sender


async def update_edited(
    connection: Connection,
    channel_id: int,
    position: int,
    *,
    content: str | None,
    metadata: str | None,
    now: int,
) -> Message | None:
    """Change what a message says, None leaving it as it is; nothing where a hold covers the channel."""
    row = await connection.fetchrow(
        statement("messages", "update_edited"), channel_id, position, content, metadata, now
    )
    return Message(**_fields(channel_id, row)) if row else None


async def replace_references(
    connection: Connection,
    app_key: str,
    channel_id: int,
    position: int,
    *,
    before: Iterable[UUID],
    after: Sequence[UUID],
    now: int,
) -> None:
    """What an edited message refers to; the caller has locked the files."""
    gone = sorted(set(before) - set(after))
    await connection.execute(statement("messages", "mark_media_due"), gone, now)
    await connection.execute(statement("messages", "delete_refs"), channel_id, [position])
    await connection.execute(statement("messages", "insert_refs"), channel_id, position, app_key, after)


async def hide(
    connection: Connection, channel_id: int, user_id: str, positions: Sequence[int], *, now: int
) -> set[int] | None:
    """Hide messages from one participant; those that are on disk. None where he takes no part in the channel."""
    await connection.execute(statement("messages", "mark_due"), channel_id, now)
    stamp = await connection.fetchval(statement("messages", "next_hide"), channel_id, user_id)
    if stamp is None:
        return None
    rows = await connection.fetch(statement("messages", "list_on_disk"), channel_id, positions)
    await connection.execute(statement("messages", "insert_hidden"), channel_id, user_id, positions, stamp)
    return {row["position"] for row in rows}

"""The rows of messages: written by COPY, read as pages; and the months that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import asyncpg

from history.database import Connection
from history.messages.model import Message, Month, Range
from history.queries import statement

_COLUMNS = ("channel_id", "position", "flags", "sender", "type", "content", "recipients")
MessageRow = tuple[int, int, int, str, str, str, list[str] | None]


class NoMonth(Exception):
    """A row falls in a month that has no partition yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """What a reservation answered: the last position of each channel, and a reading of the database's clock."""

    ends: dict[int, int]
    transaction_id: str
    clock: int


async def reserve_positions(
    connection: Connection, counts: dict[int, int], due: dict[int, int], *, now: int
) -> Reserved | None:
    """Reserve positions in all channels, locking them in the order of their ids; None where one is not there."""
    ids = sorted(counts)
    rows = await connection.fetch(
        statement("messages", "reserve_positions"),
        ids,
        [counts[id_] for id_ in ids],
        now,
        [due.get(id_) for id_ in ids],
    )
    if len(rows) != len(ids):
        return None
    ends = {row["id"]: row["last_position"] for row in rows}
    return Reserved(ends=ends, transaction_id=rows[0]["transaction_id"], clock=rows[-1]["clock"])


async def insert_messages(connection: Connection, rows: Iterable[MessageRow]) -> None:
    """COPY them in; NoMonth where a partition is missing."""
    try:
        await connection.copy_records_to_table("messages", records=rows, columns=_COLUMNS)
    except asyncpg.CheckViolationError as exc:
        # a row without a partition has this code and no constraint's name
        if exc.constraint_name is None:
            raise NoMonth from exc
        raise


async def list_history(
    connection: Connection,
    *,
    app_key: str,
    channel_id: int,
    user_id: str,
    range_: Range,
    most: int,
    most_bytes: int,
) -> list[Message]:
    """One page of the History rule, newest first, extended over the last millisecond it touches."""
    rows = await connection.fetch(
        statement("messages", "history_page"),
        app_key,
        channel_id,
        user_id,
        range_.first,
        range_.end,
        most,
        most_bytes,
    )
    return [
        Message(
            channel_id=channel_id,
            position=row["position"],
            sender=row["sender"],
            type=row["type"],
            content=row["content"],
        )
        for row in rows
    ]


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

"""Rows of side tables whose period is over. No message is touched here."""

from __future__ import annotations

from history.database import Connection, columns
from history.queries import statement


async def delete_side_rows(connection: Connection, name: str, *, now: int, most: int) -> int:
    """Run one of the statements that end rows of a side table; how many went."""
    status: str = await connection.execute(statement("sweep", name), now, most)
    return int(status.removeprefix("DELETE "))


async def delete_unused_devices(connection: Connection, *, now: int, most: int) -> int:
    """Forget devices that were not seen for long, and what they had; how many."""
    rows = await connection.fetch(statement("sweep", "delete_unused_devices"), now, most)
    if rows:
        await connection.execute(statement("sweep", "delete_marks_of_devices"), *columns(rows, 3))
    return len(rows)


async def delete_ended_conversations(connection: Connection, *, now: int, most: int) -> int:
    """Forget those who left long ago, those of groups dismissed long ago, and what their devices had; how many."""
    rows = await connection.fetch(statement("sweep", "delete_left_conversations"), now, most)
    rows += await connection.fetch(statement("sweep", "delete_dismissed_conversations"), now, most)
    if rows:
        await connection.execute(statement("sweep", "delete_marks_of_users"), *columns(rows, 2))
    return len(rows)

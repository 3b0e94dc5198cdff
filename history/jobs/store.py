"""The rows of jobs, and what their steps take next."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from history.database import Connection, Row
from history.jobs.model import Job
from history.queries import statement


def _job(row: Row) -> Job:
    return Job(**{name: row[name] for name in Job.__dataclass_fields__})


async def insert_job(connection: Connection, *values: object) -> None:
    """Write a new job."""
    await connection.execute(statement("jobs", "insert_job"), *values)


async def insert_job_steps(
    connection: Connection, id_: UUID, app_key: str, user_id: str, before: int, most: int
) -> None:
    """Give a job the channels that a user takes part in, as they are now."""
    rows = await connection.fetch(statement("jobs", "insert_job_steps"), id_, app_key, user_id, before, most)
    total = sum(row["channels"] for row in rows)
    await connection.execute(statement("jobs", "update_job_total"), id_, total)


async def get_job(connection: Connection, app_key: str, id_: UUID) -> Job | None:
    """A job as it is now."""
    row = await connection.fetchrow(statement("jobs", "get_job"), app_key, id_)
    return _job(row) if row else None


async def lease_jobs(connection: Connection, now: int, lease_ends: int, most: int) -> list[Job]:
    """Jobs that are ours until the lease ends."""
    rows = await connection.fetch(statement("jobs", "lease_jobs"), now, lease_ends, most)
    return [_job(row) for row in rows]


async def lock_job(connection: Connection, id_: UUID) -> Job | None:
    """A job, locked until the transaction ends."""
    row = await connection.fetchrow(statement("jobs", "lock_job"), id_)
    return _job(row) if row else None


async def update_job(connection: Connection, *values: object) -> None:
    """Write how far a job came."""
    await connection.execute(statement("jobs", "update_job"), *values)


async def cancel_job(
    connection: Connection, id_: UUID, *, now: int, by: str | None, reason: str | None
) -> None:
    """Stop a job; its requests are to be undone."""
    await connection.execute(statement("jobs", "cancel_job"), id_, now, by, reason)
    await connection.execute(statement("jobs", "delete_job_step"), id_, None)


async def delete_next_step(connection: Connection, id_: UUID) -> list[Row]:
    """Take a job's next step: its channels, each with the end of what the job takes there. Empty where none is left."""
    rows = await connection.fetch(statement("jobs", "list_next_step"), id_)
    if rows:
        await connection.execute(statement("jobs", "delete_job_step"), id_, rows[0]["number"])
    return rows


async def list_requests_of_job(
    connection: Connection, id_: UUID, now: int, most: int
) -> list[tuple[int, UUID]]:
    """(channel id, id) of the requests of a job that may still be undone."""
    rows = await connection.fetch(statement("jobs", "list_requests_of_job"), id_, now, most)
    return [(row["channel_id"], row["id"]) for row in rows]


async def list_positions_by_sender(
    connection: Connection, channel_id: int, senders: Sequence[str], after: int, before: int, most: int
) -> list[int]:
    """The next messages of some senders in a channel."""
    rows = await connection.fetch(
        statement("jobs", "list_positions_by_sender"), channel_id, senders, after, before, most
    )
    return [row["position"] for row in rows]

"""The rows of runs, and what they measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from history.database import Connection, Row
from history.queries import statement
from history.runs.model import Backlog, Run, Work


def _run(row: Row) -> Run:
    fields = {name: row[name] for name in Run.__dataclass_fields__}
    return Run(**{**fields, "dropped_months": tuple(row["dropped_months"])})


async def get_backlog(connection: Connection, app_key: str, *, now: int, most: int) -> Backlog:
    """The channels of an app that are due, counted up to `most`."""
    row = await connection.fetchrow(statement("runs", "get_backlog"), app_key, now, most)
    if row is None:
        raise LookupError("an aggregate has one row")
    return Backlog(due=row["due"], age=0 if row["since"] is None else now - row["since"])


async def upsert_runs(
    connection: Connection, started_at: int, apps: Mapping[str, tuple[Backlog, Work]], *, size: int | None
) -> None:
    """Begin the runs of these apps, with the bytes that messages take, or add to them what was done and say what is left."""
    rows = sorted(apps.items())
    await connection.execute(
        statement("runs", "upsert_runs"),
        started_at,
        [app_key for app_key, _ in rows],
        [backlog.due for _, (backlog, _) in rows],
        [backlog.age for _, (backlog, _) in rows],
        [work.done for _, (_, work) in rows],
        [work.unfinished for _, (_, work) in rows],
        [work.deleted for _, (_, work) in rows],
        size,
    )


async def get_bytes(connection: Connection) -> int:
    """What messages take on disk, with indexes and TOAST."""
    size: int = await connection.fetchval(statement("runs", "get_bytes"))
    return size


async def add_dropped(connection: Connection, started_at: int, months: Sequence[str], *, size: int) -> None:
    """Tell the runs of a minute of months that were dropped, and the bytes that messages take after it."""
    await connection.execute(statement("runs", "add_dropped"), started_at, months, size)


async def get_inflow(connection: Connection, *, first: int) -> dict[int, int]:
    """What came in for all apps in each minute from `first` on, where somebody told."""
    rows = await connection.fetch(statement("runs", "get_inflow"), first)
    return {row["started_at"]: row["appended"] for row in rows}


async def add_appended(connection: Connection, started_at: int, messages: Mapping[str, int]) -> set[str]:
    """Add messages that came in to the runs of a minute; the apps that have one."""
    apps = sorted(messages)
    rows = await connection.fetch(
        statement("runs", "add_appended"), started_at, apps, [messages[app_key] for app_key in apps]
    )
    return {row["app_key"] for row in rows}


async def list_runs(connection: Connection, app_key: str, *, below: int, most: int) -> list[Run]:
    """The runs of an app that began before an instant, the newest first."""
    return [_run(row) for row in await connection.fetch(statement("runs", "list_runs"), app_key, below, most)]


async def list_last_runs(connection: Connection, *, first: int, last: int) -> list[Run]:
    """The newest run of each app that began between the two instants, both included."""
    return [_run(row) for row in await connection.fetch(statement("runs", "list_last_runs"), first, last)]


async def get_silence(connection: Connection) -> tuple[int | None, int | None]:
    """(when the last run began, since when there is an app); None where there is none."""
    row = await connection.fetchrow(statement("runs", "get_silence"))
    return (row["last"], row["first_app"]) if row else (None, None)

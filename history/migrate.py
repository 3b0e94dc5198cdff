"""Bring a database to this code's schema, or say why a process cannot start on it. No other module changes the schema."""

from __future__ import annotations

from pathlib import Path

from history.channels.service import Channels
from history.database import Database, open_database
from history.errors import SchemaMismatch
from history.messages.service import Messages

_TREE = Path(__file__).parents[1]
SCHEMA = _TREE / "schema.sql"
MIGRATIONS = _TREE / "migrations"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('tidemark migrate'))"
_THERE = "SELECT to_regclass('schema_version') IS NOT NULL"
_VERSION = "SELECT max(version) FROM schema_version"


def migrations() -> dict[int, Path]:
    """The numbered steps; the highest number is the version of schema.sql."""
    return {int(path.name[:4]): path for path in sorted(MIGRATIONS.glob("[0-9][0-9][0-9][0-9]_*.sql"))}


async def migrate(database_url: str) -> int:
    """Make the schema in an empty database, or take an older one step by step to this version; the version.

    Several that run at once wait for each other. A database of a newer version is left alone: SchemaMismatch.
    """
    steps = migrations()
    newest = max(steps)
    async with open_database(database_url, readers=1, writers=1) as database:
        while True:
            async with database.writing() as connection:
                await connection.execute(_LOCK)
                if not await connection.fetchval(_THERE):
                    await connection.execute(SCHEMA.read_text(encoding="utf-8"))
                    continue
                version = await connection.fetchval(_VERSION)
                if version > newest:
                    raise _mismatch(version, newest)
                if version < newest:
                    await connection.execute(steps[version + 1].read_text(encoding="utf-8"))
                    await connection.execute("UPDATE schema_version SET version = $1", version + 1)
                    continue
            break
        async with database.clock() as clock:
            await Messages(database, Channels(database), clock).make_months(now=clock.now())
    return newest


async def check(database: Database) -> None:
    """SchemaMismatch unless the database has exactly this code's version."""
    newest = max(migrations())
    async with database.reading() as connection:
        version = await connection.fetchval(_VERSION) if await connection.fetchval(_THERE) else 0
    if version != newest:
        raise _mismatch(version, newest)


def _mismatch(version: int, newest: int) -> SchemaMismatch:
    if version < newest:
        return SchemaMismatch(
            f"The database has schema version {version}, this code needs {newest}: run `tidemark migrate` first."
        )
    return SchemaMismatch(
        f"The database has schema version {version}, this code knows {newest}: start a newer Tidemark."
    )

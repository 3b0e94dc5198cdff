"""The rows of apps and keys."""

from __future__ import annotations

from dataclasses import astuple

from history.apps.model import SETTING_NAMES, AppListing, AppSettings
from history.database import Connection, Row
from history.queries import statement


def _settings(row: Row) -> AppSettings:
    return AppSettings(**{name: row[name] for name in SETTING_NAMES})


async def insert_app(connection: Connection, *, app_key: str, name: str, secret: bytes, now: int) -> None:
    """Write a new app with default settings."""
    await connection.execute(statement("apps", "insert_app"), app_key, name, secret, now)


async def insert_key(
    connection: Connection, *, hashed: bytes, kind: str, app_key: str | None, name: str, now: int
) -> None:
    """Write a new key."""
    await connection.execute(statement("apps", "insert_key"), hashed, kind, app_key, name, now)


async def get_key(connection: Connection, hashed: bytes) -> tuple[str, str | None] | None:
    """(kind, app key) of a key."""
    row = await connection.fetchrow(statement("apps", "get_key"), hashed)
    return (row["kind"], row["app_key"]) if row else None


async def get_app(connection: Connection, app_key: str) -> tuple[AppListing, bytes, AppSettings] | None:
    """An app, its sealed secret and its settings."""
    row = await connection.fetchrow(statement("apps", "get_app"), app_key)
    if row is None:
        return None
    listing = AppListing(app_key=row["app_key"], name=row["name"], created_at=row["created_at"])
    return listing, row["secret"], _settings(row)


async def lock_app(connection: Connection, app_key: str) -> AppSettings | None:
    """The settings, the row locked against grants until the transaction ends."""
    row = await connection.fetchrow(statement("apps", "lock_app"), app_key)
    return _settings(row) if row else None


async def share_app(connection: Connection, app_key: str) -> AppSettings | None:
    """The settings, held still until the transaction ends."""
    row = await connection.fetchrow(statement("apps", "share_app"), app_key)
    return _settings(row) if row else None


async def list_apps(connection: Connection) -> list[AppListing]:
    """All apps, oldest first."""
    return [AppListing(**dict(row)) for row in await connection.fetch(statement("apps", "list_apps"))]


async def update_settings(
    connection: Connection, app_key: str, settings: AppSettings, *, moves_floors: bool
) -> None:
    """Write all settings; where they move floors, leave the mark that makes every channel due."""
    await connection.execute(statement("apps", "update_settings"), app_key, *astuple(settings), moves_floors)


async def update_secret(connection: Connection, app_key: str, secret: bytes) -> bool:
    """Write another sealed secret; False where there is no such app."""
    return bool(await connection.execute(statement("apps", "update_secret"), app_key, secret) == "UPDATE 1")


async def list_time_zones(connection: Connection) -> frozenset[str]:
    """The zones that Postgres knows."""
    return frozenset(row["name"] for row in await connection.fetch(statement("apps", "list_time_zones")))

"""The rows of apps and keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from uuid import UUID

import asyncpg

from history.apps.model import SETTING_NAMES, AppListing, AppSettings, Instance, Key, SealedApp, Token
from history.database import Connection, Row
from history.errors import Conflict
from history.queries import statement

_TAKEN = "apps_tencent_sdk_app_id_key"


def _settings(row: Row) -> AppSettings:
    values = {name: row[name] for name in SETTING_NAMES}
    return AppSettings(**{**values, "tencent_key": row["tencent_key"] is not None})


async def insert_app(connection: Connection, *, app_key: str, name: str, secret: bytes, now: int) -> None:
    """Write a new app with default settings."""
    await connection.execute(statement("apps", "insert_app"), app_key, name, secret, now)


async def insert_key(connection: Connection, key: Key, *, hashed: bytes) -> None:
    """Write a new key."""
    await connection.execute(
        statement("apps", "insert_key"),
        hashed,
        key.id,
        key.kind,
        key.app_key,
        key.name,
        key.read_only,
        key.created_at,
    )


async def get_key(connection: Connection, hashed: bytes) -> Key | None:
    """A key by its hash."""
    row = await connection.fetchrow(statement("apps", "get_key"), hashed)
    return Key(**dict(row)) if row else None


async def update_key_used(connection: Connection, hashed: bytes, *, now: int) -> None:
    """Remember that the key was used, once a minute at most."""
    await connection.execute(statement("apps", "update_key_used"), hashed, now)


async def list_keys(connection: Connection, app_key: str | None) -> list[Key]:
    """The keys that open one app alone, or those that open all; oldest first."""
    return [Key(**dict(row)) for row in await connection.fetch(statement("apps", "list_keys"), app_key)]


async def delete_key(connection: Connection, app_key: str | None, id_: UUID) -> bool:
    """Revoke a key; False where there is none of that id."""
    return bool(await connection.execute(statement("apps", "delete_key"), app_key, id_) == "DELETE 1")


async def insert_token(
    connection: Connection, token: Token, *, hashed: bytes, now: int, expires_at: int
) -> None:
    """Write a user's new access token."""
    await connection.execute(
        statement("apps", "insert_token"), hashed, token.app_key, token.user_id, now, expires_at
    )


async def get_token(connection: Connection, hashed: bytes, *, now: int) -> Token | None:
    """Whose token it is, where it has not expired."""
    row = await connection.fetchrow(statement("apps", "get_token"), hashed, now)
    return Token(app_key=row["app_key"], user_id=row["user_id"]) if row else None


async def expire_tokens(connection: Connection, app_key: str, user_ids: Sequence[str], *, at: int) -> None:
    """Let all tokens of these users end at an instant, or before."""
    await connection.execute(statement("apps", "expire_tokens"), app_key, user_ids, at)


async def get_instance(connection: Connection, app_key: str, user_id: str) -> Instance | None:
    """The instance that has a row."""
    return _instance(await connection.fetchrow(statement("apps", "get_instance"), app_key, user_id))


async def get_instance_of_token(connection: Connection, hashed: bytes) -> Instance | None:
    """The instance that a token opens."""
    return _instance(await connection.fetchrow(statement("apps", "get_instance_of_token"), hashed))


async def get_user_with_conversation(connection: Connection, app_key: str, user_id: str) -> bool:
    """Whether the user has a conversation."""
    found = await connection.fetchval(statement("apps", "get_user_with_conversation"), app_key, user_id)
    return found is not None


async def insert_instance(
    connection: Connection,
    app_key: str,
    user_id: str,
    *,
    hashed: bytes | None,
    connected: bool | None,
    now: int,
) -> Instance:
    """Write an instance, or change what is not None of the one that is there; it as it is then."""
    [row] = await connection.fetch(
        statement("apps", "insert_instance"), app_key, user_id, hashed, connected, now
    )
    return Instance(**dict(row))


def _instance(row: Row | None) -> Instance | None:
    return Instance(**dict(row)) if row else None


async def get_app(connection: Connection, app_key: str) -> SealedApp | None:
    """An app with its secrets sealed."""
    row = await connection.fetchrow(statement("apps", "get_app"), app_key)
    if row is None:
        return None
    return SealedApp(
        app_key=row["app_key"],
        name=row["name"],
        created_at=row["created_at"],
        secret=row["secret"],
        previous_secret=row["previous_secret"],
        previous_secret_until=row["previous_secret_until"],
        tencent_key=row["tencent_key"],
        settings=_settings(row),
    )


async def get_tencent_app(connection: Connection, sdk_app_id: int) -> str | None:
    """The key of the app whose Tencent surface has this number."""
    app_key: str | None = await connection.fetchval(statement("apps", "get_tencent_app"), sdk_app_id)
    return app_key


async def lock_app(connection: Connection, app_key: str) -> AppSettings | None:
    """The settings, the row locked against grants until the transaction ends."""
    row = await connection.fetchrow(statement("apps", "lock_app"), app_key)
    return _settings(row) if row else None


async def share_app(connection: Connection, app_key: str) -> AppSettings | None:
    """The settings, held still until the transaction ends."""
    row = await connection.fetchrow(statement("apps", "share_app"), app_key)
    return _settings(row) if row else None


async def share_apps(connection: Connection, app_keys: Iterable[str]) -> None:
    """Wait for whoever locked one of these apps, and keep others from it until the transaction ends."""
    await connection.execute(statement("apps", "share_apps"), sorted(set(app_keys)))


async def list_apps(connection: Connection) -> list[AppListing]:
    """All apps, oldest first."""
    return [AppListing(**dict(row)) for row in await connection.fetch(statement("apps", "list_apps"))]


async def update_settings(
    connection: Connection,
    app_key: str,
    settings: AppSettings,
    *,
    tencent_key: bytes | None,
    moves_floors: bool,
) -> None:
    """Write all settings, and the Tencent key where it is another one; Conflict where its number is taken.

    Where they move floors, leave the mark that makes every channel due.
    """
    try:
        await connection.execute(
            statement("apps", "update_settings"), app_key, *astuple(settings), tencent_key, moves_floors
        )
    except asyncpg.UniqueViolationError as exc:
        if exc.constraint_name != _TAKEN:
            raise
        raise Conflict("Another app here has this tencentSdkAppId; each number is of one app.") from exc


async def update_secret(connection: Connection, app_key: str, secret: bytes, *, previous_until: int) -> bool:
    """Write another sealed secret, the one before good until then; False where there is no such app."""
    status = await connection.execute(statement("apps", "update_secret"), app_key, secret, previous_until)
    return bool(status == "UPDATE 1")


async def list_time_zones(connection: Connection) -> frozenset[str]:
    """The zones that Postgres knows."""
    return frozenset(row["name"] for row in await connection.fetch(statement("apps", "list_time_zones")))

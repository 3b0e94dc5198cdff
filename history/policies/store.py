"""The rows of holds and policies."""

from __future__ import annotations

from uuid import UUID

from history.channels.model import ChannelKey, ChannelType
from history.database import Connection
from history.policies.model import Hold, Scope, Shortening
from history.queries import statement


def _type(scope: Scope) -> int | None:
    return None if scope.type is None else int(scope.type)


async def insert_hold(connection: Connection, hold: Hold) -> None:
    """Write a new hold."""
    await connection.execute(
        statement("policies", "insert_hold"),
        hold.id,
        hold.app_key,
        hold.kind,
        None if hold.channel is None else int(hold.channel.type),
        None if hold.channel is None else list(hold.channel.key),
        hold.user_id,
        hold.reason,
        hold.created_at,
    )


async def list_holds(connection: Connection, app_key: str) -> list[Hold]:
    """The holds of an app, oldest first."""
    return [
        Hold(
            id=row["id"],
            app_key=row["app_key"],
            channel=None
            if row["channel_key"] is None
            else ChannelKey(app_key, ChannelType(row["channel_type"]), tuple(row["channel_key"])),
            user_id=row["user_id"],
            reason=row["reason"],
            created_at=row["created_at"],
        )
        for row in await connection.fetch(statement("policies", "list_holds"), app_key)
    ]


async def delete_hold(connection: Connection, app_key: str, id_: UUID) -> bool:
    """Release a hold; False where the app has none of that id."""
    return bool(await connection.execute(statement("policies", "delete_hold"), app_key, id_) == "DELETE 1")


async def get_policy(connection: Connection, scope: Scope) -> tuple[int | None, int | None]:
    """(the days that count for the scope now, the scope's own days)."""
    row = await connection.fetchrow(
        statement("policies", "get_policy"), scope.app_key, _type(scope), scope.channel_id
    )
    return (row["max_age_days"], row["own"]) if row else (None, None)


async def update_policy(connection: Connection, scope: Scope, max_age_days: int | None) -> None:
    """Set the scope's own days; None: it has none."""
    if scope.type is None:
        await connection.execute(
            statement("policies", "update_retention_days"), scope.app_key, max_age_days or 0
        )
    elif max_age_days is None:
        await connection.execute(
            statement("policies", "delete_policy"), scope.app_key, int(scope.type), scope.channel_id
        )
    else:
        await connection.execute(
            statement("policies", "upsert_policy"),
            scope.app_key,
            int(scope.type),
            scope.channel_id,
            max_age_days,
        )


async def mark_app_due(connection: Connection, app_key: str) -> None:
    """Have the worker look at the floor of every channel of the app."""
    await connection.execute(statement("policies", "mark_app_due"), app_key)


async def count_older(connection: Connection, scope: Scope, *, first: int, end: int, most: int) -> Shortening:
    """What lies between the two instants in the channels of the scope."""
    row = await connection.fetchrow(
        statement("policies", "count_older"),
        scope.app_key,
        _type(scope),
        scope.channel_id,
        first,
        end,
        most,
    )
    if row is None:
        raise LookupError("an aggregate has one row")
    return Shortening(messages=row["messages"], channels=row["channels"], complete=row["messages"] < most)

"""The rows of channels, and of conversations as far as they say who takes part."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from history.channels.model import ChannelKey, ChannelType, Group, Joined, Member
from history.database import Connection
from history.queries import statement


async def get_channels(connection: Connection, ids: Sequence[int]) -> dict[int, ChannelKey]:
    """Which keys hold these ids."""
    rows = await connection.fetch(statement("channels", "get_channels"), ids)
    return {
        row["id"]: ChannelKey(row["app_key"], ChannelType(row["type"]), tuple(row["key"])) for row in rows
    }


async def insert_channels(connection: Connection, channels: Mapping[int, ChannelKey], *, now: int) -> None:
    """Make the channels that are not there yet."""
    ids = sorted(channels)
    await connection.execute(
        statement("channels", "insert_channels"),
        ids,
        [channels[id_].app_key for id_ in ids],
        [int(channels[id_].type) for id_ in ids],
        [json.dumps(channels[id_].key) for id_ in ids],
        now,
    )


async def insert_conversations(
    connection: Connection, channels: Mapping[int, ChannelKey], *, shown_to: str | None
) -> None:
    """Make the conversations of those who take part without joining, where they are not there yet.

    With `shown_to` they are on that user's list alone.
    """
    rows = sorted((id_, user, key.app_key) for id_, key in channels.items() for user in key.participants())
    await connection.execute(
        statement("channels", "insert_conversations"),
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
        shown_to,
    )


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])


async def insert_group(
    connection: Connection, id_: int, key: ChannelKey, *, name: str, owner: str, members: int, now: int
) -> bool:
    """Make a group; False where the id is taken."""
    return await _insert(
        connection, id_, key, now, name=name, owner=owner, members=members, ttl=None, from_last=False
    )


async def insert_open(
    connection: Connection, id_: int, key: ChannelKey, *, ttl: int | None, from_last: bool, now: int
) -> bool:
    """Make an open channel; False where the id is taken."""
    return await _insert(
        connection, id_, key, now, name=None, owner=None, members=0, ttl=ttl, from_last=from_last
    )


async def _insert(
    connection: Connection,
    id_: int,
    key: ChannelKey,
    now: int,
    *,
    name: str | None,
    owner: str | None,
    members: int,
    ttl: int | None,
    from_last: bool,
) -> bool:
    status = await connection.execute(
        statement("channels", "insert_channel"),
        id_,
        key.app_key,
        int(key.type),
        list(key.key),
        now,
        name,
        owner,
        members,
        ttl,
        from_last,
        now + ttl if ttl is not None else None,
    )
    return bool(_count(status))


async def reopen_channel(
    connection: Connection, id_: int, *, ttl: int | None, from_last: bool, now: int
) -> None:
    """Let an open channel that has ended live again, empty; nothing where it lives."""
    await connection.execute(statement("channels", "reopen_channel"), id_, now, ttl, from_last)


async def get_group(connection: Connection, id_: int, channel_id: str) -> Group | None:
    """A group that is there and not dismissed."""
    row = await connection.fetchrow(statement("channels", "get_group"), id_)
    if row is None or row["dismissed_at"] is not None:
        return None
    return Group(
        channel_id=channel_id,
        name=row["name"],
        owner=row["owner"],
        created_at=row["created_at"],
        member_count=row["member_count"],
    )


async def lock_channel(connection: Connection, id_: int) -> int | None:
    """Lock a channel that is not dismissed; its last position."""
    row = await connection.fetchrow(statement("channels", "lock_channel"), id_)
    return row["last_position"] if row else None


async def insert_members(
    connection: Connection, id_: int, app_key: str, users: Iterable[str], *, join_position: int, now: int
) -> int:
    """Let users join, or join anew; how many were not in before."""
    return _count(
        await connection.execute(
            statement("channels", "insert_members"), id_, sorted(users), app_key, join_position, now
        )
    )


async def update_left(
    connection: Connection, id_: int, users: Sequence[str], *, leave_position: int, now: int
) -> int:
    """Let users leave; how many were in."""
    return _count(
        await connection.execute(statement("channels", "update_left"), id_, users, leave_position, now)
    )


async def update_member_count(connection: Connection, id_: int, more: int, *, due: int | None) -> None:
    """Count members that came or went; leavers may raise the floor."""
    await connection.execute(statement("channels", "update_member_count"), id_, more, due)


async def dismiss_channels(connection: Connection, ids: Iterable[int], *, now: int) -> int:
    """Dismiss groups, destroy open channels; how many still were there."""
    return _count(await connection.execute(statement("channels", "dismiss_channels"), sorted(ids), now))


async def expire_channel(connection: Connection, id_: int, *, now: int) -> None:
    """Destroy an open channel whose time is over; nothing where it is not."""
    await connection.execute(statement("channels", "expire_channel"), id_, now)


async def list_members(
    connection: Connection, id_: int, *, after: tuple[int, str], newest_first: bool, owner: str, most: int
) -> list[Member]:
    """A page of the participants of a group, by when they joined."""
    name = "list_members_backward" if newest_first else "list_members_forward"
    rows = await connection.fetch(statement("channels", name), id_, *after, most)
    return [
        Member(user_id=row["user_id"], joined_at=row["joined_at"], owner=row["user_id"] == owner)
        for row in rows
    ]


async def list_joined(
    connection: Connection,
    app_key: str,
    user_id: str,
    *,
    after: tuple[int, int],
    newest_first: bool,
    most: int,
) -> list[tuple[int, Joined]]:
    """A page of the groups of a user, each with its channel's id."""
    rows = await connection.fetch(
        statement("channels", "list_joined"), app_key, user_id, *after, most, -1 if newest_first else 1
    )
    return [
        (
            row["id"],
            Joined(
                group=Group(
                    channel_id=row["key"][0],
                    name=row["name"],
                    owner=row["owner"],
                    created_at=row["created_at"],
                    member_count=row["member_count"],
                ),
                joined_at=row["joined_at"],
            ),
        )
        for row in rows
    ]


async def list_direct(connection: Connection, app_key: str, user_id: str, *, most: int) -> list[ChannelKey]:
    """The direct channels of a user."""
    rows = await connection.fetch(statement("channels", "list_direct"), app_key, user_id, most)
    return [ChannelKey(app_key, ChannelType.DIRECT, tuple(row["key"])) for row in rows]

"""The rows of channels, and of conversations as far as they say who takes part."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from history.channels.model import ChannelKey, ChannelType
from history.database import Connection
from history.queries import statement


async def get_channels(connection: Connection, ids: Sequence[int]) -> dict[int, ChannelKey]:
    """Which keys hold these ids."""
    rows = await connection.fetch(statement("channels", "get_channels"), ids)
    return {
        row["id"]: ChannelKey(row["app_key"], ChannelType(row["type"]), tuple(row["key"])) for row in rows
    }


async def insert_channels(connection: Connection, channels: Mapping[int, ChannelKey]) -> None:
    """Make the channels that are not there yet."""
    ids = sorted(channels)
    await connection.execute(
        statement("channels", "insert_channels"),
        ids,
        [channels[id_].app_key for id_ in ids],
        [int(channels[id_].type) for id_ in ids],
        [json.dumps(channels[id_].key) for id_ in ids],
    )


async def insert_conversations(connection: Connection, channels: Mapping[int, ChannelKey]) -> None:
    """Make the conversations of those who take part without joining, where they are not there yet."""
    rows = sorted((id_, user, key.app_key) for id_, key in channels.items() for user in key.participants())
    await connection.execute(
        statement("channels", "insert_conversations"),
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
    )

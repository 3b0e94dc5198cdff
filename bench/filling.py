"""Histories to measure on, written by SQL as the product would have left them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from bench import load
from bench.ground import Ground
from history.channels.model import ChannelKey, ChannelType, channel_key, derived_id
from history.messages.model import Flags

SPACING = 100_000
"""Microseconds from one message to the next."""
_MESSAGES = """INSERT INTO messages (channel_id, position, flags, sender, type, content)
SELECT id, $2::bigint + n * $3::bigint, $4, ($5::text[])[1 + n % cardinality($5::text[])], 'RC:TxtMsg', $6
FROM unnest($1::bigint[]) id, generate_series(0, $7::bigint - 1) n"""
_CHANNELS = """INSERT INTO channels (id, app_key, type, key, last_position, member_count)
SELECT id, $2, $3, ARRAY(SELECT json_array_elements_text(key)), $5, $6
FROM unnest($1::bigint[], $4::json[]) AS u (id, key)"""
_CONVERSATIONS = """INSERT INTO conversations (channel_id, user_id, app_key, delivered_position, joined_at)
SELECT channel_id, user_id, $1, $4, $5 FROM unnest($2::bigint[], $3::text[]) AS u (channel_id, user_id)"""


async def channels(
    ground: Ground,
    keys: Sequence[ChannelKey],
    users: Iterable[tuple[int, str]],
    *,
    last: int,
    delivered: int,
    members: int = 0,
) -> list[int]:
    """Channels whose last message stands at `last`, and conversations (number of the key, user) delivered up to there."""
    ids = [derived_id(key, 0) for key in keys]
    await ground.raw.execute(
        _CHANNELS,
        ids,
        ground.app_key,
        int(keys[0].type),
        [json.dumps(key.key) for key in keys],
        last,
        members,
    )
    pairs = [(ids[number], user) for number, user in users]
    await ground.raw.execute(
        _CONVERSATIONS,
        ground.app_key,
        [id_ for id_, _ in pairs],
        [user for _, user in pairs],
        delivered,
        1 if members else None,
    )
    return ids


async def messages(
    ground: Ground,
    ids: Sequence[int],
    first: int,
    count: int,
    *,
    senders: Sequence[str],
    spacing: int = 1,
    flags: int = 3,
) -> None:
    """So many messages in each of these channels from a position on, of these senders in turn."""
    await ground.raw.execute(
        _MESSAGES, ids, first, spacing, flags, list(senders), load.CONTENT, count, timeout=600
    )


def direct(ground: Ground, user: str, other: str) -> ChannelKey:
    """The channel of two users."""
    return channel_key(ground.app_key, ChannelType.DIRECT, channel_id=other, user_id=user)


def group(ground: Ground, id_: str) -> ChannelKey:
    """A group."""
    return ChannelKey(ground.app_key, ChannelType.GROUP, (id_,))


async def history(
    ground: Ground, user: str, other: str, count: int, *, senders: Sequence[str] | None = None, flags: int = 3
) -> int:
    """A direct channel of so many delivered messages that end a second ago; its id."""
    end = ground.api.clock.now() - 1_000_000
    first = end - (count - 1) * SPACING
    await ground.api.messages.make_months(now=first)
    (id_,) = await channels(
        ground, [direct(ground, user, other)], [(0, user), (0, other)], last=end, delivered=end
    )
    await messages(
        ground, [id_], first, count, spacing=SPACING, senders=senders or (user, other), flags=flags
    )
    if senders is not None and not flags & Flags.ECHOED:
        await ground.raw.execute(
            "UPDATE channels SET unseen_by = $2, unseen_from = $3, unseen_to = $4 WHERE id = $1",
            id_,
            senders[-1],
            first,
            end,
        )
    return id_


async def settle(ground: Ground) -> None:
    """Statistics and a clean map of pages, as autovacuum would have left them."""
    await ground.raw.execute("VACUUM ANALYZE", timeout=600)
    await ground.raw.execute("CHECKPOINT", timeout=600)

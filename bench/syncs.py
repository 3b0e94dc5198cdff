"""What a device lacks: ten messages among more and more conversations."""

from __future__ import annotations

import statistics

from bench import filling, load
from bench.ground import Ground
from bench.latency import in_turn
from bench.rows import Row, times

SYNC = "/v4/user/message/sync"


async def measure(ground: Ground) -> list[Row]:
    """What a device lacks: ten messages among more and more conversations."""
    sizes = [10, 1_000, 10**5]
    for size in sizes:
        ground.step(f"writing {size:,} conversations")
        await conversations(ground, f"device{size}", size, unread=10)
    await filling.settle(ground)
    async with ground.process() as api:
        ground.step("syncing")
        requests = {
            size: load.request(SYNC, {"userId": f"device{size}", "deviceId": "d"}, ground.keys)
            for size in sizes
        }
        few = await in_turn(api, {str(size): [requests[size]] for size in sizes[:2]})
        many = (await load.run(api.port, iter([requests[sizes[2]]] * 5), connections=1)).check()
    ground.figures["syncs"] = {
        **{int(size): statistics.median(took) for size, took in few.items()},
        sizes[2]: many.quantile(0.5) * 1000,
    }
    return [
        times(
            "sync with 1,000 conversations, 10 unread",
            few["1000"],
            few["10"],
            limit="with 10",
            budget=3,
        ),
        Row(name="sync with 100,000 conversations, 10 unread", value=many.quantile(0.5) * 1000, unit="ms"),
    ]


async def conversations(ground: Ground, user: str, count: int, *, unread: int) -> None:
    """Direct channels with a message each, which the user's device has but for the last of some."""
    now = ground.api.clock.now()
    last = now - 2_000_000
    keys = [filling.direct(ground, user, f"{user}-{number}") for number in range(count)]
    pairs = [(number, name) for number in range(count) for name in (user, f"{user}-{number}")]
    ids = await filling.channels(ground, keys, pairs, last=last, delivered=last)
    await ground.raw.execute(
        """INSERT INTO messages (channel_id, position, flags, sender, type, content)
        SELECT id, $2, 3, $3 || '-' || n - 1, 'RC:TxtMsg', $4 FROM unnest($1::bigint[]) WITH ORDINALITY AS u (id, n)""",
        ids,
        last,
        user,
        load.CONTENT,
    )
    await ground.raw.execute(
        """INSERT INTO device_marks (channel_id, user_id, device_id, position)
        SELECT id, $2, 'd', $3 FROM unnest($1::bigint[]) id""",
        ids,
        user,
        last,
    )
    for table, column in (("conversations", "delivered_position"), ("device_marks", "position")):
        await ground.raw.execute(
            f"UPDATE {table} SET {column} = 0 WHERE user_id = $1 AND channel_id = ANY ($2)",  # noqa: S608
            user,
            ids[:unread],
        )

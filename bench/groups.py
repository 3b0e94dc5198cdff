"""What one member of a group does, in groups of 10 to 100,000."""

from __future__ import annotations

from bench import filling, load
from bench.ground import Ground
from bench.histories import CLEAN, LONG_AGO
from bench.latency import in_turn
from bench.rows import Row, times
from bench.syncs import SYNC

_SEND = "/v4/group-channel/message/send"


async def measure(ground: Ground) -> list[Row]:
    """What one member of a group does, in groups of 10 and of 100,000."""
    sizes = [10, 1_000, 10**5]
    for size in sizes:
        ground.step(f"making a group of {size:,}")
        end = ground.api.clock.now() - 1_000_000
        (id_,) = await filling.channels(
            ground,
            [filling.group(ground, f"of{size}")],
            [(0, f"of{size}-{number}") for number in range(size)],
            last=end,
            delivered=end,
            members=size,
        )
        await filling.messages(ground, [id_], end - 99, 100, senders=[f"of{size}-1"])
    await filling.settle(ground)
    rows = []
    async with ground.process() as api:
        for name, path, body in (
            ("a message sent to a group", _SEND, _to_group),
            ("a sync of a member", SYNC, _sync_member),
            ("a clean by a member", CLEAN, _clean_group),
        ):
            ground.step(name)
            got = await in_turn(
                api, {str(size): [load.request(path, body(size), ground.keys)] for size in sizes}
            )
            rows.append(times(f"{name} of 100,000", got[str(10**5)], got["10"], limit="of 10"))
    return rows


def _to_group(size: int) -> dict[str, object]:
    return {
        "fromUserId": f"of{size}-1",
        "toChannelIds": [f"of{size}"],
        "messageType": "RC:TxtMsg",
        "content": load.CONTENT,
    }


def _sync_member(size: int) -> dict[str, object]:
    return {"userId": f"of{size}-2", "deviceId": "d", "limit": 50}


def _clean_group(size: int) -> dict[str, object]:
    return {"channelType": 3, "fromUserId": f"of{size}-3", "channelId": f"of{size}", "sentAt": LONG_AGO}

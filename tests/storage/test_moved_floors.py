"""Settings that move floors: the worker marks every channel of their apps due, in bounded steps."""

from __future__ import annotations

import pytest

from history.axis import DAY
from history.retention import reclaim
from tests.factories import NOON, World

HOUR = DAY // 24
NEXT = "SELECT next_reclaim_at FROM channels"


@pytest.mark.parametrize(
    "changes",
    [
        {"multi_device_sync": False},
        {"compensation_days": 0},
        {"compensation_time_zone": "Pacific/Kiritimati"},
    ],
)
async def test_a_setting_that_moves_floors_makes_every_channel_of_the_app_due(
    world: World, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Channel by channel, in bounded steps, though nothing happens in them; no other setting does."""
    monkeypatch.setattr(reclaim, "_MOST_MARKED", 2)
    await world.set(undo_seconds=0)
    for other in ("bob", "cid", "dan"):
        await world.ack(other, "ann", await world.send("ann", other, at=NOON - 3 * HOUR))
        await world.clean(other, "ann")
    world.clock.set(NOON)
    assert await world.work() == 0
    await world.set(clean_rate_limit=5, max_content_bytes=10)
    assert await world.reclaim.mark_moved(now=NOON) == 0
    await world.set(**changes)
    assert [await world.reclaim.mark_moved(now=NOON) for _ in range(4)] == [1, 1, 1, 0]
    assert await world.work() == 3


async def test_apps_without_channels_hold_up_none_that_come_after_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are marked as others are, and then the next ones are looked at in the same job."""
    monkeypatch.setattr(reclaim, "_MOST_APPS", 2)
    await world.work()
    for other in ("bob", "cid"):
        await world.send("ann", other)
    await world.execute(
        "INSERT INTO apps (app_key, name, secret, created_at) SELECT '0' || n, 'empty', '', 0 FROM generate_series(1, 5) n"
    )
    await world.execute("UPDATE channels SET next_reclaim_at = NULL")
    await world.execute("UPDATE apps SET mark_due_after = -1")
    while await world.reclaim.mark_moved(now=NOON):
        pass
    assert [row["next_reclaim_at"] for row in await world.rows(NEXT)] == [NOON] * 2
    assert await world.value("SELECT count(*) FROM apps WHERE mark_due_after IS NOT NULL") == 0

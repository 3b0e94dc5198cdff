"""The job that lets side tables end, as the worker runs it."""

from __future__ import annotations

import pytest

from history.axis import DAY
from tests.factories import NOON, World
from tests.worker.bursts import burst

# arq closes its pool by a name that redis-py has given up
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def test_the_job_lets_go_what_has_ended_and_nothing_else(world: World, redis_url: str) -> None:
    await world.post(world.channel(), client_key="old")
    await world.post(world.channel(), client_key="young", at=NOON + 1)
    world.clock.set(NOON + DAY)
    await burst(world, redis_url, "sweep_side_tables")
    assert await world.value("SELECT array_agg(key) FROM message_keys") == ["young"]
    assert len(await world.stored()) == 2

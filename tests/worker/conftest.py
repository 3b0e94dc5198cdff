"""A world of services, and the queue as the API has it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from arq.connections import ArqRedis

from server.queue import Breaker, Queue, open_redis
from tests.factories import World, open_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """All services, one app, noon of 2026-03-10."""
    async with open_world(database_url) as opened:
        yield opened


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[ArqRedis]:
    """A client of the queue, as the API has one."""
    async with open_redis(redis_url) as opened:
        yield opened


@pytest.fixture
def queue(redis: ArqRedis) -> Queue:
    """How the API announces cleans."""
    return Queue(redis, Breaker())

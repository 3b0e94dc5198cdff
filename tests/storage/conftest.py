"""A world of services on a database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.factories import World, open_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """All services, one app, noon of 2026-03-10."""
    async with open_world(database_url) as opened:
        yield opened

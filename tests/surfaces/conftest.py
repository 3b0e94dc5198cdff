"""One API process for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.api.client import Api, open_api


@pytest.fixture
async def api(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    """A server in this process at noon of 2026-03-10, an app and an admin key."""
    async with open_api(database_url, redis_url) as opened:
        yield opened

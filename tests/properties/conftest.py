"""The ground of fixed walks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.properties.ground import Ground, open_ground
from tests.properties.walk import Walk, begin_walk


@pytest.fixture(scope="module")
def ground(shared_database_url: str, shared_redis_url: str) -> Iterator[Ground]:
    """One for all walks of a module: each begins by emptying it."""
    with open_ground(shared_database_url, shared_redis_url) as opened:
        yield opened


@pytest.fixture
def walk(ground: Ground) -> Walk:
    """An app without an undo window; a group of three."""
    return begin_walk(ground)

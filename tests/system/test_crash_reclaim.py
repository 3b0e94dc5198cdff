"""kill -9 of everything in the middle of a large deletion: it goes on where it stood, and takes nothing that it must not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from tests.api.backend import Backend, until
from tests.system.conftest import Up

MANY = 100_000
FILL = """
WITH ch AS (
    UPDATE channels SET last_position = last_position + $2 WHERE key = ARRAY['ann', 'bob'] COLLATE "C"
    RETURNING id, last_position
), c AS (
    UPDATE conversations SET delivered_position = ch.last_position FROM ch WHERE channel_id = ch.id
)
INSERT INTO messages SELECT $1, ch.last_position - n, 1, 'ann', 'text', 'old' FROM ch, generate_series(0, $2 - 1) n
"""
LEFT = "SELECT count(*) FROM messages"


def ask(up: Up, sql: str, *arguments: object) -> Any:
    """One value from the database itself."""

    async def fetch() -> Any:
        connection = await asyncpg.connect(up.demo()["databaseUrl"])
        try:
            return await connection.fetchval(sql, *arguments)
        finally:
            await connection.close()

    return asyncio.run(fetch())


@pytest.mark.timeout(150)
def test_a_deletion_that_was_killed_goes_on_to_its_end(start: Callable[..., Up]) -> None:
    up = start()
    up.wait_until_ready()
    backend = Backend(up.demo())
    backend.set(undoSeconds=0, multiDeviceSync=False)
    backend.send("ann", "bob", "first", echo=True)
    channel = ask(up, "SELECT id FROM channels WHERE key = ARRAY['ann', 'bob'] COLLATE \"C\"")
    ask(up, FILL, channel, MANY)
    for user, other in (("ann", "bob"), ("bob", "ann")):
        backend.clean(user, other)
    survivors = [f"kept {number}" for number in range(3)]
    for content in survivors:
        backend.send("ann", "bob", content, echo=True)
    until(lambda: ask(up, LEFT) < MANY, what="the deletion begins")
    up.kill_everything()
    up = start(port=up.port)
    up.wait_until_ready()
    assert ask(up, LEFT) > 3, "killed too late to tell anything"
    until(lambda: ask(up, LEFT) <= 3, seconds=90, what="the deletion ends")
    backend = Backend(up.demo())
    for user, other in (("ann", "bob"), ("bob", "ann")):
        assert sorted(backend.contents(user, other)) == survivors
    assert [content for content, _ in backend.given("bob")] == survivors
    assert up.stop() == 0

"""What a call costs the database: the blocks that its statements touch, each explained where and when it runs.

Postgres plans a statement for its values a few times and then, where that looks as cheap, once for any values; what it guesses
then may be far off. So both plans are run, and the dearer one counts.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.factories import World

_MODES = ("force_custom_plan", "force_generic_plan")


class _Explaining:
    """A connection that explains each statement with its arguments before it runs it, and takes back what that did."""

    def __init__(self, connection: Any, seen: list[tuple[str, int]]) -> None:
        self._connection = connection
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in {"fetch", "fetchrow", "fetchval", "execute"}:
            return found

        async def explained(sql: str, *arguments: object) -> Any:
            blocks = max([await self._blocks(mode, sql, arguments) for mode in _MODES])
            self._seen.append((sql, blocks))
            return await found(sql, *arguments)

        return explained

    async def _blocks(self, mode: str, sql: str, arguments: tuple[object, ...]) -> int:
        prepared = await self._connection.prepare(sql)
        types = [type_.name for type_ in prepared.get_parameters()]
        # EXECUTE takes no parameters itself
        texts = [f"quote_nullable(${number}::{type_}::text)" for number, type_ in enumerate(types, 1)]
        values = ", ".join(await self._connection.fetchrow(f"SELECT {', '.join(texts)}", *arguments))
        trial = self._connection.transaction()
        await trial.start()
        await self._connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        text = await self._connection.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE {prepared.get_name()}"
            + (f" ({values})" if values else "")
        )
        await trial.rollback()
        plan = json.loads(text)[0]["Plan"]
        blocks: int = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        return blocks


async def blocks_of(
    world: World, patch: pytest.MonkeyPatch, call: Callable[[], Awaitable[object]]
) -> dict[str, int]:
    """The blocks of 8 KB that each statement of a call touches, by the statement's first line, and of all of them ("")."""
    seen: list[tuple[str, int]] = []
    with patch.context() as within:
        for name in ("reading", "writing"):
            open_ = getattr(world.database, name)

            @asynccontextmanager
            async def explaining(open_: Any = open_, **named: bool) -> AsyncIterator[Any]:
                async with open_(**named) as connection:
                    yield _Explaining(connection, seen)

            within.setattr(world.database, name, explaining)
        await call()
    found: dict[str, int] = {"": 0}
    for sql, blocks in seen:
        first = sql.strip().splitlines()[0]
        found[first] = found.get(first, 0) + blocks
        found[""] += blocks
    return found

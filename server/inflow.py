"""What this process stores, told to the runs of the retention job every few seconds.

A send must not pay for a statistic, so messages are counted in memory and written in one statement for all of them, away
from the commits. What is counted is exact; a process that is killed takes its last seconds with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from history.errors import Unavailable
from history.messages.service import Messages
from history.runs.service import Runs

EVERY_SECONDS = 5.0


@asynccontextmanager
async def telling(messages: Messages, runs: Runs, *, every: float = EVERY_SECONDS) -> AsyncIterator[None]:
    """Tell the runs while the block lasts, and once more at its end."""
    task = asyncio.create_task(_tell(messages, runs, every))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        with suppress(Unavailable):
            await runs.tell_appended(messages.appended)


async def _tell(messages: Messages, runs: Runs, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        # what could not be told stays counted
        with suppress(Unavailable):
            await runs.tell_appended(messages.appended)

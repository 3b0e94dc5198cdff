"""One process of several: it says when it is ready, and ends when its parent is gone.

Both go over one socket that the parent made. Nothing else has its other end, so whatever kills the parent closes it: no
process stays behind with the port.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable

from aiohttp import web

READY = b"\n"


def under_parent(control: socket.socket) -> Callable[[web.Application], AsyncIterator[None]]:
    """A cleanup context, for after all the others: once it is entered, requests are answered."""

    async def told(_: web.Application) -> AsyncIterator[None]:
        control.settimeout(0)
        loop = asyncio.get_running_loop()

        def parent_is_gone() -> None:
            loop.remove_reader(control)
            # as if it had sent it: requests that are under way are finished
            signal.raise_signal(signal.SIGTERM)

        loop.add_reader(control, parent_is_gone)
        try:
            control.send(READY)
            yield
        finally:
            loop.remove_reader(control)
            control.close()

    return told

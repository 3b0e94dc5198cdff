"""The API process that is measured: Tidemark's own, and a route behind the same middleware that does nothing."""

from __future__ import annotations

import os
import sys
from typing import Any

import uvloop
from aiohttp import web

from history.config import Settings
from history.logs import configure_logs
from server.app import build_app, settle_garbage
from server.calls import SERVICES, Call, Caller, Reply
from server.middleware import endpoint
from server.native import SERVER_API
from server.surface import Route
from server.wire.cleans import Clean
from server.wire.messages import DirectSend, UserDelivery, UsersSent

NO_SEND, NO_CLEAN = "/bench/no-send", "/bench/no-clean"


async def no_send(_: Call[Any]) -> Reply:
    """As large an answer as a send's."""
    return Reply(result=UsersSent([UserDelivery("user", "1" * 32)]))


async def no_clean(_: Call[Any]) -> Reply:
    """As large an answer as a clean's."""
    return Reply(result=None)


_NO_OPS = tuple(
    Route(
        surface=SERVER_API,
        method="POST",
        path=path,
        caller=Caller.APP,
        handler=handler,
        body=body,
        summary="Nothing",
    )
    for path, handler, body in ((NO_SEND, no_send, DirectSend), (NO_CLEAN, no_clean, Clean))
)


def main() -> None:
    """`single`: every send is a commit of its own."""
    port, single = int(sys.argv[1]), "single" in sys.argv
    configure_logs("json")
    settle_garbage()
    app = build_app(Settings.from_environ(os.environ))
    for route in _NO_OPS:
        app.router.add_post(route.path, endpoint(route))

    async def one_by_one(app: web.Application) -> None:
        if single:
            app[SERVICES].messages._batches._most_weight = 0

    app.on_startup.append(one_by_one)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None, loop=uvloop.new_event_loop())


if __name__ == "__main__":
    main()

"""The composition root of the API process."""

from __future__ import annotations

import gc
import socket
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import uvloop
from aiohttp import web

from history.clock import Clock
from history.config import Settings
from history.logs import configure_logs
from server.calls import SERVICES
from server.docs import add_docs
from server.gate import GATE, Gate
from server.middleware import SURFACES, answer_errors, endpoint, expectation
from server.openapi import document
from server.parent import under_parent
from server.routes import ALL_ROUTES
from server.services import open_services

MOST_BODY_BYTES = 8 * 1024 * 1024
"""No request may be larger: content of 1 MiB, the most that a setting allows, with every character escaped."""


def build_app(settings: Settings, *, clock: Clock | None = None) -> web.Application:
    """The application, its services opened when it starts; a test hands in its own clock."""
    app = web.Application(
        middlewares=[answer_errors],
        client_max_size=MOST_BODY_BYTES,
        # bodies are unpacked by server/packing.py; what is under way is finished also for a caller who has gone (the server
        # that aiohttp has for tests would cancel it)
        handler_args={"auto_decompress": False, "handler_cancellation": False},
    )

    async def services(app: web.Application) -> AsyncIterator[None]:
        async with open_services(settings, clock) as opened:
            app[SERVICES] = opened
            yield

    app[GATE] = Gate()
    app[SURFACES] = {route.path: route.surface for route in ALL_ROUTES}
    app.cleanup_ctx.append(services)
    for route in ALL_ROUTES:
        # some load balancers ask with HEAD whether a process is well
        add = app.router.add_get if route.method == "GET" else partial(app.router.add_route, route.method)
        add(route.path, endpoint(route), expect_handler=expectation)
    app.router.add_get("/openapi.json", document(ALL_ROUTES), expect_handler=expectation)
    add_docs(app)
    return app


def serve(settings: Settings) -> None:
    """Run the API until SIGTERM or SIGINT; requests that are under way are finished."""
    configure_logs(settings.log_format)
    _run(build_app(settings), host=settings.host, port=settings.port)


def serve_on(settings: Settings, sockets: Sequence[socket.socket], control: socket.socket) -> None:
    """The same as one process of several, on sockets that all of them share, until their parent is gone as well."""
    configure_logs(settings.log_format)
    app = build_app(settings)
    app.cleanup_ctx.append(under_parent(control))
    _run(app, sock=sockets)


def _run(app: web.Application, **where: Any) -> None:
    settle_garbage()
    web.run_app(
        app,
        print=None,
        access_log=None,
        shutdown_timeout=10,
        loop=uvloop.new_event_loop(),
        **where,
    )


def settle_garbage() -> None:
    """The collector looks at what requests make, not at the modules, and less often.

    An import makes some ten objects a line. By default a full collection came every few batches and went through all that is
    loaded: a sixth of its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)

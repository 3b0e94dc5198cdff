"""The composition root of the API process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import uvloop
from aiohttp import web

from history.clock import Clock
from history.config import Settings
from history.logs import configure_logs
from server.calls import SERVICES
from server.docs import add_docs
from server.middleware import SURFACES, answer_errors, endpoint, expectation
from server.openapi import document
from server.routes import ALL_ROUTES
from server.services import open_services

MOST_BODY_BYTES = 8 * 1024 * 1024
"""No request may be larger: content of 1 MiB, the most that a setting allows, with every character escaped."""


def build_app(settings: Settings, *, clock: Clock | None = None) -> web.Application:
    """The application, its services opened when it starts; a test hands in its own clock."""
    app = web.Application(middlewares=[answer_errors], client_max_size=MOST_BODY_BYTES)

    async def services(app: web.Application) -> AsyncIterator[None]:
        async with open_services(settings, clock) as opened:
            app[SERVICES] = opened
            yield

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
    web.run_app(
        build_app(settings),
        host=settings.host,
        port=settings.port,
        print=None,
        access_log=None,
        shutdown_timeout=10,
        loop=uvloop.new_event_loop(),
    )

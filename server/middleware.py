"""Around every request: who calls, the body's form, the request id, and errors in the words of its surface."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiohttp import HttpVersion11, web

from history.errors import Forbidden, TidemarkError
from server import parse
from server.calls import SERVICES, Call, Caller
from server.errors import INTERNAL, Failed, NoSuchPath, NotTaken, WrongMethod, answer
from server.gate import GATE, PASSAGE
from server.native import PLAIN
from server.surface import Route, Surface

log = structlog.get_logger()

Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]
REQUEST_ID = "X-Request-ID"
_LONGEST_REQUEST_ID = 36
_SURFACE = web.RequestKey("surface", Surface)
SURFACES: web.AppKey[Mapping[str, Surface]] = web.AppKey("surfaces", Mapping[str, Surface])
"""Whose each path is, to refuse another method in the words of its surface."""


def endpoint(route: Route) -> Endpoint:
    """The aiohttp handler of a route: authenticate, parse, call, render."""
    surface = route.surface

    async def admitted(request: web.Request) -> web.StreamResponse:
        request[_SURFACE] = surface
        if route.caller is Caller.ANYONE:
            # whoever asks whether a process is well is told, however much is under way
            return await handle(request)
        with request.app[GATE].passed() as request[PASSAGE]:
            return await handle(request)

    async def handle(request: web.Request) -> web.StreamResponse:
        services = request.app[SERVICES]
        who = await surface.identify(request, route, services)
        body = await surface.body(request, route.body) if route.body is not None else None
        if route.caller is Caller.USER and who.user not in (None, getattr(body, "userId", None)):
            raise Forbidden("This access token is of another user than userId.")
        query = parse.from_fields(request.query.items(), route.query) if route.query is not None else None
        call = Call(
            services=services,
            who=who,
            body=body,
            path=request.match_info,
            query=query,
            headers=request.headers,
            chunks=parse.chunks(request) if route.takes is not None else None,
        )
        return surface.done(await route.handler(call))

    return admitted


@web.middleware
async def answer_errors(request: web.Request, handler: Endpoint) -> web.StreamResponse:
    """Every error in the form of its surface and the status of its class; the request id goes back as it came."""
    request_id = request.headers.get(REQUEST_ID, "")[:_LONGEST_REQUEST_ID]
    try:
        response = await handler(request)
    except web.HTTPMethodNotAllowed as exc:
        allowed = ", ".join(sorted(exc.allowed_methods))
        request[_SURFACE] = await _whose(request)
        response = _refused(request, WrongMethod(f"This path takes {allowed}."))
        response.headers["Allow"] = allowed
    except web.HTTPNotFound:
        response = _refused(
            request, NoSuchPath("There is nothing at this path; /openapi.json lists what there is.")
        )
    except web.HTTPException as exc:
        # what aiohttp refuses by itself: headers and encodings that it does not take
        response = _refused(request, NotTaken(f"The request was not taken: {exc.reason}.", status=exc.status))
    except TidemarkError as exc:
        response = _refused(request, exc)
        # some surfaces say HTTP 200 to everything
        if answer(exc).status >= INTERNAL.status:
            log.warning(
                "A request was refused.", path=request.path, error=type(exc).__name__, request_id=request_id
            )
    except Exception:
        # what went wrong stands in the log, never in the answer
        log.exception("A request failed.", path=request.path, request_id=request_id)
        response = _refused(request, Failed("Something went wrong here; try again later."))
    if request_id:
        response.headers[REQUEST_ID] = request_id
    request.get(_SURFACE, PLAIN).complete(request, response)
    return response


async def expectation(request: web.Request) -> web.StreamResponse | None:
    """The answer to the header Expect: go on, where the client waits for that; no, to anything else."""
    # aiohttp asks before any middleware runs, and its own answer would be plain text
    if request.version == HttpVersion11:
        if request.headers["Expect"].lower() != "100-continue":
            return await answer_errors(request, _refuse_expectation)
        if request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return None


async def _refuse_expectation(_: web.Request) -> web.StreamResponse:
    raise web.HTTPExpectationFailed


async def _whose(request: web.Request) -> Surface:
    """The surface of a path that is there for other methods."""
    for resource in request.app.router.resources():
        _, methods = await resource.resolve(request)
        if methods:
            return request.app[SURFACES].get(resource.canonical, PLAIN)
    return PLAIN


def _refused(request: web.Request, error: TidemarkError) -> web.Response:
    surface: Surface = request.get(_SURFACE, PLAIN)
    return surface.fault(error)

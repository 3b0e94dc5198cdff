"""Around every request: who calls, the body's form, the request id, and errors in the words of its surface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing

import structlog
from aiohttp import HttpVersion11, web

from history.errors import Forbidden, TidemarkError
from server import parse
from server.calls import SERVICES, Bytes, Call, Caller
from server.errors import INTERNAL, Failed, NoSuchPath, NotTaken, WrongMethod, answer
from server.gate import GATE, PASSAGE
from server.native import PLAIN
from server.surface import Route, Surface

log = structlog.get_logger()

Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]
REQUEST_ID = "X-Request-ID"
_LONGEST_REQUEST_ID = 36
MOST_STALL = 600.0
"""Seconds that a reader may take for one chunk of a stream, which is some 4 MiB; then he is let go."""
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
        reply = await route.handler(call)
        response = surface.done(reply)
        if isinstance(reply.result, Bytes) and reply.result.chunks is not None:
            # here, where a lost connection still ends what is waited for, and what is held is still counted
            await _stream(request, response, reply.result.chunks)
        return response

    return admitted


class _Gone(Exception):
    """Who reads a stream is no longer there, or takes nothing of it."""


async def _stream(
    request: web.Request, response: web.StreamResponse, chunks: AsyncGenerator[bytes, None]
) -> None:
    """Hand the chunks on as they come. However it ends, they are closed when it has.

    What fails before the first chunk is answered as every error is. After it nothing can be taken back: the answer breaks off.
    """
    async with aclosing(chunks):
        chunk = None if request.method == "HEAD" else await anext(chunks, None)
        _complete(request, response)
        try:
            await _sent(response.prepare(request))
            while chunk is not None:
                await _sent(response.write(chunk))
                # let go of before the next one is made
                chunk = b""
                chunk = await anext(chunks, None)
            await _sent(response.write_eof())
        except _Gone:
            if request.transport is not None:
                request.transport.abort()
        except TidemarkError as exc:
            log.warning("An answer broke off.", error=type(exc).__name__, **_named(request))
            _break_off(request)
        except Exception:
            log.exception("A request failed.", **_named(request))
            _break_off(request)


async def _sent(part: Awaitable[object]) -> None:
    """Wait until the reader has taken a part of an answer, or nearly."""
    try:
        async with asyncio.timeout(MOST_STALL):
            await part
    except (ConnectionError, TimeoutError) as exc:
        raise _Gone from exc


def _break_off(request: web.Request) -> None:
    """End an answer without its last chunk, so that its reader sees that it is not whole."""
    if request.transport is not None:
        request.transport.close()


@web.middleware
async def answer_errors(request: web.Request, handler: Endpoint) -> web.StreamResponse:
    """Every error in the form of its surface and the status of its class; the request id goes back as it came."""
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
            log.warning("A request was refused.", error=type(exc).__name__, **_named(request))
    except Exception:
        # what went wrong stands in the log, never in the answer
        log.exception("A request failed.", **_named(request))
        response = _refused(request, Failed("Something went wrong here; try again later."))
    if not response.prepared:
        _complete(request, response)
    return response


def _complete(request: web.Request, response: web.StreamResponse) -> None:
    """What every answer has, before its head is sent."""
    if request_id := _request_id(request):
        response.headers[REQUEST_ID] = request_id
    request.get(_SURFACE, PLAIN).complete(request, response)


def _named(request: web.Request) -> dict[str, str]:
    """What the log calls a request."""
    return {"path": request.path, "request_id": _request_id(request)}


def _request_id(request: web.Request) -> str:
    return request.headers.get(REQUEST_ID, "")[:_LONGEST_REQUEST_ID]


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

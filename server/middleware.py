"""Around every request: who calls, the body's form, the request id, and errors as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import structlog
from aiohttp import web
from msgspec import Struct

from history.errors import Forbidden, NotConfirmed, RateLimited, TidemarkError, Unavailable
from server import parse
from server.auth import admin_of, signed_app, user_token
from server.calls import SERVICES, Call, Caller, Reply, Route
from server.errors import INTERNAL, BodyTooLarge, NoSuchPath, NotJson, WrongMethod, answer
from server.wire.common import Fault, Unconfirmed

log = structlog.get_logger()

Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]
REQUEST_ID = "X-Request-ID"
_LONGEST_REQUEST_ID = 36
_NOT_TAKEN = 1002
_JSON = "application/json; charset=utf-8"
_encoder = msgspec.json.Encoder()


class Success(Struct):
    """A success of the server API without a result."""

    code: int = 0


class Result(Struct, kw_only=True):
    """A success of the server API."""

    code: int = 0
    result: Struct


def endpoint(route: Route) -> Endpoint:
    """The aiohttp handler of a route: authenticate, parse, call, render."""

    async def handle(request: web.Request) -> web.StreamResponse:
        services, path = request.app[SERVICES], request.match_info
        app, user, admin = None, None, None
        if route.caller is Caller.USER:
            user = await user_token(request.headers, services.apps)
        if user is not None:
            app = await services.apps.find(user.app_key)
        elif route.caller in (Caller.APP, Caller.USER):
            app = await signed_app(request.headers, services.apps, services.limits, now=services.clock.now())
        elif route.caller is Caller.ADMIN:
            admin = await admin_of(
                request.headers, services.apps, app_key=path.get("appKey"), reads=route.method == "GET"
            )
        body = await _body(request, route.body) if route.body is not None else None
        if user is not None and getattr(body, "userId", None) != user.user_id:
            raise Forbidden("This access token is of another user than userId.")
        call = Call(services=services, app=app, admin_of=admin, body=body, path=path, query=request.query)
        return _render(await route.handler(call), enveloped=route.enveloped)

    return handle


async def _body(request: web.Request, type_: type[Struct]) -> Struct:
    if not request.body_exists:
        # before its type: clients that send nothing still name one
        return parse.decode(b"", type_)
    if "Content-Type" in request.headers and request.content_type != "application/json":
        raise NotJson("Send the body as JSON, with Content-Type: application/json.")
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge as exc:
        raise BodyTooLarge("The body is too large; send less in one request.") from exc
    except web.RequestPayloadError as exc:
        raise NotJson("The body is not packed as its Content-Encoding says; send it plainly.") from exc
    return parse.decode(raw, type_)


def _render(reply: Reply, *, enveloped: bool) -> web.Response:
    value: Struct | None = reply.result
    if enveloped:
        value = Success() if value is None else Result(result=value)
    return web.Response(
        body=_encoder.encode(value), status=reply.status, headers={"Content-Type": _JSON, **reply.headers}
    )


@web.middleware
async def answer_errors(request: web.Request, handler: Endpoint) -> web.StreamResponse:
    """Every error as {"code","errorMessage"} in the status of its class; the request id goes back as it came."""
    request_id = request.headers.get(REQUEST_ID, "")[:_LONGEST_REQUEST_ID]
    try:
        response = await handler(request)
    except web.HTTPNotFound:
        response = _fault(NoSuchPath("There is nothing at this path; /openapi.json lists what there is."))
    except web.HTTPMethodNotAllowed as exc:
        response = _fault(WrongMethod(f"This path takes {', '.join(sorted(exc.allowed_methods))}."))
        response.headers["Allow"] = ", ".join(sorted(exc.allowed_methods))
    except TidemarkError as exc:
        response = _fault(exc)
        if response.status >= INTERNAL.status:
            log.warning(
                "A request was refused.", path=request.path, error=type(exc).__name__, request_id=request_id
            )
    except web.HTTPException as exc:
        # what aiohttp refuses by itself: headers and encodings that it does not take
        response = _json(Fault(_NOT_TAKEN, f"The request was not taken: {exc.reason}."), exc.status)
    except Exception:
        # what went wrong stands in the log, never in the answer
        log.exception("A request failed.", path=request.path, request_id=request_id)
        response = _json(Fault(INTERNAL.code, "Something went wrong here; try again later."), INTERNAL.status)
    if request_id:
        response.headers[REQUEST_ID] = request_id
    return response


def _fault(error: TidemarkError) -> web.Response:
    row = answer(error)
    body: Struct = Fault(row.code, str(error))
    if isinstance(error, NotConfirmed):
        body = Unconfirmed(row.code, str(error), error.messages, error.channels, error.confirm)
    response = _json(body, row.status)
    if isinstance(error, RateLimited):
        response.headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error, Unavailable):
        response.headers["Retry-After"] = "1"
    return response


def _json(value: Struct, status: int) -> web.Response:
    return web.Response(body=_encoder.encode(value), status=status, headers={"Content-Type": _JSON})

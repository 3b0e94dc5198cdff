"""Tidemark's own surfaces: the server API, whose answers stand in {"code":0,"result":…}, and the plain one of admins."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from aiohttp import web
from msgspec import Struct

from history.errors import NotConfirmed, RateLimited, TidemarkError, Unavailable
from server import parse
from server.calls import Bytes, Caller, Reply
from server.errors import NotJson, NotTaken, answer
from server.surface import Surface
from server.wire.common import Fault, Unconfirmed

JSON = "application/json; charset=utf-8"
_encoder = msgspec.json.Encoder()


class Success(Struct):
    """A success of the server API without a result."""

    code: int = 0


class Result(Struct, kw_only=True):
    """A success of the server API."""

    code: int = 0
    result: Struct


def as_json(value: Struct | None, status: int = 200) -> web.Response:
    """An answer in JSON."""
    return web.Response(body=_encoder.encode(value), status=status, headers={"Content-Type": JSON})


def say_when(response: web.Response, error: TidemarkError) -> web.Response:
    """With Retry-After where the same call may be made again."""
    if isinstance(error, RateLimited):
        response.headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error, Unavailable):
        response.headers["Retry-After"] = "1"
    return response


class Plain(Surface):
    """Admin calls and the open ones: JSON in, the result itself out."""

    fault_type: ClassVar[type[Struct]] = Fault
    statuses: ClassVar = {
        Caller.APP: ("400", "401", "404", "409", "429", "430", "503"),
        Caller.USER: ("400", "401", "403", "503"),
        Caller.ADMIN: ("400", "401", "403", "404", "409", "430", "503"),
        Caller.KEY_OR_BEARER: ("400", "401", "403", "404", "416", "430", "503"),
        Caller.ANYONE: ("503",),
    }

    async def body(self, request: web.Request, type_: type[Struct]) -> Struct:
        if not request.body_exists:
            # before its type: clients that send nothing still name one
            return parse.decode(b"", type_)
        if "Content-Type" in request.headers and request.content_type != "application/json":
            raise NotJson("Send the body as JSON, with Content-Type: application/json.")
        return parse.decode(await parse.read(request), type_)

    def done(self, reply: Reply) -> web.StreamResponse:
        if isinstance(reply.result, Bytes):
            kind = web.Response if reply.result.chunks is None else web.StreamResponse
            return kind(status=reply.status, headers=reply.headers)
        response = as_json(self.success(reply.result), reply.status)
        if reply.headers:
            response.headers.update(reply.headers)
        return response

    def success(self, result: Struct | None) -> Struct | None:
        """What a success says."""
        return result

    def fault(self, error: TidemarkError) -> web.Response:
        row = answer(error)
        body: Struct = Fault(row.code, str(error))
        if isinstance(error, NotConfirmed):
            body = Unconfirmed(row.code, str(error), error.messages, error.channels, error.confirm)
        status = error.status if isinstance(error, NotTaken) else row.status
        return say_when(as_json(body, status), error)


class ServerApi(Plain):
    """The server API."""

    def success(self, result: Struct | None) -> Struct:
        return Success() if result is None else Result(result=result)


PLAIN = Plain()
SERVER_API = ServerApi()

"""How Clarity speaks."""

from __future__ import annotations

from typing import ClassVar

from aiohttp import web
from msgspec import Struct

from history.errors import NotEnabled, TidemarkError
from server import parse
from server.calls import Caller, Reply
from server.errors import INTERNAL, NotForm, answer
from server.native import as_json, say_when
from server.surface import Surface
from server.surfaces.clarity.wire import ClarityFault

_FORM = "application/x-www-form-urlencoded"
_DOCS = "/docs"


class Clarity(Surface):
    """Forms, as its curl examples send them, or JSON."""

    form = _FORM
    fault_type = ClarityFault
    statuses: ClassVar = {Caller.BEARER: ("400", "401", "403", "404", "409", "429", "503")}

    async def body(self, request: web.Request, type_: type[Struct]) -> Struct:
        if request.method == "GET":
            return parse.from_fields(request.query.items(), type_)
        raw = await parse.read(request)
        if request.content_type == "application/json":
            return parse.decode(raw, type_)
        if raw and request.content_type not in (_FORM, "application/octet-stream"):
            raise NotForm("Send the body as a form (application/x-www-form-urlencoded) or as JSON.")
        return parse.from_fields(parse.form_fields(raw), type_)

    def done(self, reply: Reply) -> web.Response:
        if reply.result is None:
            return web.Response(status=204)
        return as_json(reply.result, reply.status)

    def fault(self, error: TidemarkError) -> web.Response:
        status = answer(error).status
        if isinstance(error, NotEnabled):
            # 430 is a status of another API
            status = 403
        kind = "invalid_request" if status < INTERNAL.status else "api_error"
        return say_when(as_json(ClarityFault(kind, str(error), _DOCS), status), error)


CLARITY = Clarity()
SOURCE = "clarity"
"""Where a clean comes from, in the journal."""

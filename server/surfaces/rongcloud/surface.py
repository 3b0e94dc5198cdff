"""How RongCloud's server API speaks: forms or JSON in, {"code":200,…} or {"code","errorMessage"} out.

Its SDKs change to their second host on any status from 500 on (the Java one above 500). So a 5xx here is a failure of ours
alone: too much load is 429 like every limit, a lost Redis is none.
"""

from __future__ import annotations

from typing import ClassVar

from aiohttp import web
from msgspec import Struct

from history.errors import Overloaded, TidemarkError
from server import parse
from server.calls import Caller, Reply
from server.errors import Answer, EmptyBody, NotForm, NotTaken, answer
from server.native import as_json, say_when
from server.surface import Surface
from server.wire.common import Fault

_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
_TOO_MUCH = Answer(429, 1008)
"""The second host has the same work before it; the caller is to wait."""


class RongCloud(Surface):
    """Calls that its documentation gives a form."""

    form = _FORM
    fault_type = Fault
    statuses: ClassVar = {Caller.APP: ("400", "401", "404", "429", "430", "503")}

    async def body(self, request: web.Request, type_: type[Struct]) -> Struct:
        """A form, or JSON whose values may be texts: each call takes both, by Content-Type."""
        given = await parse.read(request)
        if not given.strip():
            raise EmptyBody("The request has no body; send a form, or JSON.")
        kind = request.content_type if "Content-Type" in request.headers else _FORM
        if kind == _JSON:
            return parse.decode(given, type_, strict=False)
        if kind != _FORM:
            raise NotForm(f"Send the body with Content-Type {_FORM}, or {_JSON}.")
        return parse.from_fields(parse.form_fields(given), type_)

    def done(self, reply: Reply) -> web.Response:
        response = as_json(reply.result, reply.status)
        response.headers.update(reply.headers)
        return response

    def fault(self, error: TidemarkError) -> web.Response:
        row = _TOO_MUCH if isinstance(error, Overloaded) else answer(error)
        status = error.status if isinstance(error, NotTaken) else row.status
        return say_when(as_json(Fault(row.code, str(error)), status), error)


class RongCloudJson(RongCloud):
    """Calls that its documentation gives JSON."""

    form = _JSON


BY_FORM = RongCloud()
BY_JSON = RongCloudJson()

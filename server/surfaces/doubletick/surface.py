"""How DoubleTick's API speaks: a raw API key, JSON bodies with DELETE too, errors in the form of its web framework."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

from aiohttp import web
from msgspec import Struct

from history.errors import NotFound, TidemarkError
from server import parse
from server.calls import Caller
from server.errors import NotTaken, answer
from server.native import Plain, as_json, say_when
from server.surfaces.doubletick.wire import DoubleTickFault

_FIXED = {
    401: ("Invalid public api key", "Unauthorized"),
    403: ("You don't have the required permissions to perform this action.", "Forbidden"),
}
_REASONS = {430: "Not Enabled"}
"""What HTTP has no words for."""


class NoCustomers(NotFound):
    """None of the numbers is a customer's."""

    def __init__(self, numbers: list[str]) -> None:
        super().__init__("No matching customers found")
        self.numbers = numbers


class DoubleTick(Plain):
    """DoubleTick's public API."""

    fault_type = DoubleTickFault
    statuses: ClassVar = {Caller.KEY: ("400", "401", "403", "404", "429", "430", "503")}

    async def body(self, request: web.Request, type_: type[Struct]) -> Struct:
        if request.method in ("GET", "HEAD"):
            return parse.from_fields(request.query.items(), type_)
        return await super().body(request, type_)

    def fault(self, error: TidemarkError) -> web.Response:
        if isinstance(error, NoCustomers):
            return as_json(DoubleTickFault(message=str(error), notFoundPhoneNumbers=error.numbers), 404)
        status = error.status if isinstance(error, NotTaken) else answer(error).status
        if status in _FIXED:
            message, reason = _FIXED[status]
        elif status == 400:
            message, reason = "Bad Request", str(error)
        else:
            message, reason = str(error), _REASONS.get(status) or HTTPStatus(status).phrase
        return say_when(
            as_json(DoubleTickFault(message=message, error=reason, statusCode=status), status), error
        )


DOUBLETICK = DoubleTick()

"""How one API speaks: how it knows its callers, reads their requests, and writes answers and errors.

Handlers know none of it, so each foreign API is a surface of its own, its handlers, and a row a call in a route table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from aiohttp import web
from msgspec import Struct

from history.errors import TidemarkError
from server.auth import identify
from server.calls import Caller, Handler, Reply, Who
from server.services import Services


class Surface(ABC):
    """One API."""

    form: ClassVar[str] = "application/json"
    """The media type of its request bodies."""
    fault_type: ClassVar[type[Struct]]
    """The form of its errors."""
    statuses: ClassVar[dict[Caller, tuple[str, ...]]]
    """The HTTP statuses of its refusals."""

    async def identify(self, request: web.Request, route: Route, services: Services) -> Who:
        """Who calls; one of the refusals where nobody may call like this."""
        return await identify(
            request.headers, route.caller, services, path=request.match_info, reads=route.method == "GET"
        )

    @abstractmethod
    async def body(self, request: web.Request, type_: type[Struct]) -> Struct:
        """What the request says, in this form; an error whose sentence names the field."""

    @abstractmethod
    def done(self, reply: Reply) -> web.StreamResponse:
        """A success."""

    @abstractmethod
    def fault(self, error: TidemarkError) -> web.Response:
        """A refusal, or a failure of ours."""

    def complete(  # noqa: B027 # most surfaces have nothing to add
        self, request: web.Request, response: web.StreamResponse
    ) -> None:
        """What stands on every answer, successes and errors alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One row of the route table: docs, OpenAPI and the tests of who may call walk the same rows."""

    surface: Surface
    method: str
    path: str
    caller: Caller
    handler: Handler
    summary: str
    body: type[Struct] | None = None
    """What the request says: in its body, of a GET in its query."""
    query: type[Struct] | None = None
    """What else stands in the query."""
    result: type[Struct] | None = None
    other_result: type[Struct] | None = None
    """What it may answer instead, where what it is asked for decides."""
    status: int = 200
    """Of its success."""
    takes: str | None = None
    """The media type of a body that is no request of a type, but bytes that the handler reads as they come."""
    gives: str | None = None
    """The media type of a success that is bytes."""

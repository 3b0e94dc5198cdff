"""What a handler is given and what it gives back; the route table is made of these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar

from aiohttp import web
from msgspec import Struct

from history.apps.model import App
from server.services import Services

SERVICES = web.AppKey("services", Services)
B = TypeVar("B", bound=Struct | None)


class Caller(Enum):
    """Who may call a route."""

    APP = "a chat backend, by signature"
    USER = "a chat backend, by signature; or the user that the body names, by bearer access token"
    ADMIN = "an admin, by bearer key"
    ANYONE = "anyone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[B]):
    """One request, authenticated and parsed."""

    services: Services
    app: App | None
    """The app that signed, or whose user calls; None on the other routes."""
    admin_of: str | None
    """The one app that the admin key opens; None where it opens all."""
    body: B
    path: Mapping[str, str]
    query: Mapping[str, str]

    @property
    def signed_by(self) -> App:
        """The app, on routes for apps."""
        if self.app is None:
            raise LookupError("only a route for apps has an app: see its caller in the route table")
        return self.app


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is answered: a result, or nothing but success."""

    result: Struct | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


Handler = Callable[[Call[Any]], Awaitable[Reply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One row of the route table: docs, OpenAPI and the tests of who may call walk the same rows."""

    method: str
    path: str
    caller: Caller
    handler: Handler
    summary: str
    body: type[Struct] | None = None
    result: type[Struct] | None = None

    @property
    def name(self) -> str:
        """The handler's name: unique where a path is no alias."""
        return self.handler.__name__

    @property
    def enveloped(self) -> bool:
        """The server API answers {"code":0,"result":…}; the other routes answer the result itself."""
        return self.path.startswith("/v4/")

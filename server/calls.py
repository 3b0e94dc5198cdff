"""What a handler is given and what it gives back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
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
    BEARER = "a user, by bearer access token"
    KEY = "a chat backend, by an API key of its app"
    KEY_OR_BEARER = "a chat backend, by an API key of its app; or a user, by bearer access token"
    INSTANCE = "a chat backend, by an API key of its app; or an instance of it, by its token"
    USERSIG = "a chat backend, by a UserSig of its app's Tencent admin"
    ADMIN = "an admin, by bearer key"
    ANYONE = "anyone"


class Who(Struct, frozen=True, kw_only=True):
    """Who calls."""

    app: App | None = None
    """The app that signed, whose key it is, or whose user calls; None on the other routes."""
    user: str | None = None
    """The user of the access token, the admin of a UserSig, the instance of the path; None where there is none."""
    admin_of: str | None = None
    """The one app that the admin key opens; None where it opens all."""


class Call(Struct, Generic[B], frozen=True, kw_only=True):
    """One request, authenticated and parsed."""

    services: Services
    who: Who
    body: B
    path: Mapping[str, str]
    query: Any
    """Of the route's type; None on routes that look at no query."""
    headers: Mapping[str, str] = {}
    chunks: AsyncGenerator[bytes, None] | None = None
    """The body as it comes, on routes that take one which is no request of a type."""

    @property
    def app(self) -> App:
        """The app that calls, or whose user or instance does, on all routes but those of admins and open ones."""
        if self.who.app is None:
            raise LookupError(
                "only a route for apps and their users has an app: see its caller in the route table"
            )
        return self.who.app

    @property
    def user(self) -> str:
        """The user of the access token, the admin of the UserSig, or the instance, on routes for them alone."""
        if self.who.user is None:
            raise LookupError("only a route for users has a user: see its caller in the route table")
        return self.who.user


class Bytes(Struct):
    """A result that is no JSON: bytes, handed on as they come and then closed. None: a success without any."""

    chunks: AsyncGenerator[bytes, None] | None


class Reply(Struct, frozen=True, kw_only=True):
    """What is answered: a result, or nothing but success."""

    result: Struct | None = None
    headers: Mapping[str, str] = {}
    status: int = 200


Handler = Callable[[Call[Any]], Awaitable[Reply]]

"""How RyzeAPI speaks: a token in a header, the instance in the path, the limit's headers on every answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from aiohttp import web
from msgspec import Struct

from history.apps.model import App, Instance
from history.axis import SECOND
from history.errors import BadKey, Forbidden, InvalidInput, NotEnabled, NotFound, RateLimited, TidemarkError
from server import parse
from server.calls import SERVICES, Caller, Reply, Who
from server.errors import EmptyBody, NotJson, NotTaken, answer
from server.limits import Standing, standing
from server.native import as_json, say_when
from server.services import Services
from server.surface import Route, Surface
from server.surfaces.ryze.wire import RyzeFault, RyzeLeave, RyzeProblem

TOO_OFTEN = "Rate limit exceeded. Try again later."
NOT_FOUND = "Instance not found"
INVALID_TOKEN = "Invalid token"  # noqa: S105 # a sentence
_PREFIX = "tm_instance_"
_STANDING = web.RequestKey("standing", Standing)


class NotConnected(NotEnabled):
    """The instance is switched off."""


class Ryze(Surface):
    """RyzeAPI, for an app by its API key or for an instance by its own token."""

    fault_type = RyzeFault
    statuses: ClassVar = {Caller.INSTANCE: ("400", "401", "403", "404", "429", "503")}

    def __init__(self, *, reads: bool = False, explains: bool = False) -> None:
        """`reads`: a key that may only read is enough. `explains`: what is wrong with a body is said after its error."""
        self._reads = reads
        self._explains = explains

    async def identify(self, request: web.Request, _: Route, services: Services) -> Who:
        """The app, and as the user the instance of the path; refused where the token does not open it."""
        token, now = _token(request.headers), services.clock.now()
        app, own = await self._opened(token, services)
        request[_STANDING] = counted = await services.limits.count_call(token, now=now)
        if counted.exceeded:
            raise RateLimited(TOO_OFTEN, retry_after=counted.resets_at - now // SECOND)
        name = request.match_info["instance"]
        if not name.strip():
            raise InvalidInput("instance", "Instance name is required")
        if own is not None and own.user_id != name:
            raise Forbidden("Instance token does not match this instance")
        instance = own or await _instance(app, name, services)
        if not instance.connected:
            raise NotConnected("Instance is not connected to WhatsApp")
        return Who(app=app, user=name)

    async def body(self, request: web.Request, type_: type[Struct]) -> Struct:
        raw = await parse.read(request)
        if type_ is RyzeLeave and not raw.strip():
            return type_()
        try:
            return parse.decode(raw, type_)
        except (NotJson, EmptyBody, InvalidInput) as exc:
            more = f": {exc}" if self._explains else ""
            raise InvalidInput("body", f"Invalid request body{more}") from exc

    def done(self, reply: Reply) -> web.Response:
        response = as_json(reply.result, reply.status)
        response.headers.update(reply.headers)
        return response

    def fault(self, error: TidemarkError) -> web.Response:
        status = error.status if isinstance(error, NotTaken) else answer(error).status
        if isinstance(error, NotEnabled):
            # 430 is a status of another API
            status = 503 if isinstance(error, NotConnected) else 403
        text = TOO_OFTEN if isinstance(error, RateLimited) else str(error)
        return say_when(as_json(RyzeFault(error=RyzeProblem(text)), status), error)

    def complete(self, request: web.Request, response: web.StreamResponse) -> None:
        """With the limit's headers. Who showed no token of ours has used nothing."""
        found = request.get(_STANDING) or standing(now=request.app[SERVICES].clock.now())
        response.headers["X-RateLimit-Limit"] = str(found.limit)
        response.headers["X-RateLimit-Remaining"] = str(found.remaining)
        response.headers["X-RateLimit-Reset"] = str(found.resets_at)

    async def _opened(self, token: str, services: Services) -> tuple[App, Instance | None]:
        """The app of a token, and the one instance that it opens; None where it opens all."""
        try:
            if token.startswith(_PREFIX):
                own = await services.apps.find_instance_of_token(token)
                return await services.apps.find(own.app_key), own
            key = await services.apps.find_key(token, kind="api")
        except BadKey as exc:
            raise BadKey(INVALID_TOKEN) from exc
        if key.app_key is None or (key.read_only and not self._reads):
            raise Forbidden("This API key may only read.")
        return await services.apps.find(key.app_key), None


def _token(headers: Mapping[str, str]) -> str:
    """The token: of its own header, else after Bearer."""
    scheme, _, bearer = headers.get("Authorization", "").partition(" ")
    token = headers.get("token", "").strip() or (bearer.strip() if scheme.lower() == "bearer" else "")
    if not token:
        raise BadKey("Missing token in header")
    return token


async def _instance(app: App, name: str, services: Services) -> Instance:
    try:
        return await services.apps.find_instance(app.app_key, name)
    except NotFound as exc:
        raise NotFound(NOT_FOUND) from exc


CHANGES, EXPLAINED, READS = Ryze(), Ryze(explains=True), Ryze(reads=True, explains=True)

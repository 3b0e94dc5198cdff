"""How Tencent's two forms speak: its REST API for backends, and deleteConversation for web clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from aiohttp import web
from msgspec import Struct

from history.apps.model import App
from history.errors import InvalidInput, NotFound, RateLimited, TidemarkError, UnknownApp
from server import parse
from server.calls import Caller, Reply, Who
from server.errors import NotJson, NotTaken, answer
from server.native import as_json, say_when
from server.services import Services
from server.surface import Route, Surface
from server.surfaces.tencent import codes, usersig
from server.surfaces.tencent.codes import Refused, Service
from server.surfaces.tencent.wire import TencentAnswer, WebFault

_LONGEST_NUMBER = 10


class Rest(Surface):
    """One service of the REST API: a UserSig of the app's admin in the query, JSON in, HTTP 200 out whatever became of it."""

    fault_type = TencentAnswer
    statuses: ClassVar = {Caller.USERSIG: ("200",)}

    def __init__(self, service: Service) -> None:
        self.service = service

    async def identify(self, request: web.Request, _: Route, services: Services) -> Who:
        """The app that sdkappid names, where the identifier is its admin and the usersig his."""
        query = request.query
        app = await _named(query.get("sdkappid", ""), services)
        identifier, sig = query.get("identifier", ""), query.get("usersig", "")
        if not identifier:
            raise Refused(codes.NO_IDENTIFIER, "The URL has no identifier; it is the app's admin.")
        if not sig:
            raise Refused(codes.NO_USERSIG, "The URL has no usersig; sign one for the identifier.")
        key, number = app.tencent_key, app.settings.tencent_sdk_app_id
        if key is None or number is None:
            raise Refused(codes.UNKNOWN_APP, "This app has no Tencent surface: its tencentKey is not set.")
        usersig.verify(sig, key=key, sdk_app_id=number, identifier=identifier, now=services.clock.now())
        if identifier != app.settings.tencent_admin:
            raise Refused(
                codes.NOT_ADMIN, "This identifier is not the app's admin; see its setting tencentAdmin."
            )
        return Who(app=app, user=identifier)

    async def body(self, request: web.Request, type_: type[Struct]) -> Struct:
        if request.query.get("contenttype", "json") != "json":
            raise NotTaken("contenttype must be json.")
        # clients of the field send JSON as a form as often as not
        return parse.convert(folded(decoded(await parse.read(request)), type_), type_)

    def done(self, reply: Reply) -> web.Response:
        result = reply.result if isinstance(reply.result, TencentAnswer) else TencentAnswer()
        response = as_json(self._displaying(result))
        response.headers.update(reply.headers)
        return response

    def fault(self, error: TidemarkError) -> web.Response:
        failed = TencentAnswer(ActionStatus="FAIL", ErrorInfo=str(error), ErrorCode=self.service.code(error))
        return say_when(as_json(self._displaying(failed)), error)

    def _displaying(self, result: TencentAnswer) -> TencentAnswer:
        if self.service.displays:
            result.ErrorDisplay = ""
        return result


async def _named(text: str, services: Services) -> App:
    if not text:
        raise Refused(codes.NO_APP, "The URL has no sdkappid.")
    unknown = Refused(
        codes.UNKNOWN_APP, "There is no app with this sdkappid; see its setting tencentSdkAppId."
    )
    if not text.isascii() or not text.isdigit() or len(text) > _LONGEST_NUMBER:
        raise unknown
    try:
        return await services.apps.find_tencent(int(text))
    except UnknownApp as exc:
        raise unknown from exc


def decoded(body: bytes) -> Mapping[str, Any]:
    """The body as an object; none is an empty one."""
    try:
        found = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise NotJson("The body is not JSON in UTF-8; send a JSON object.") from exc
    if not isinstance(found, dict):
        raise NotJson("The body must be a JSON object.")
    return found


def folded(values: Mapping[str, Any], type_: type[Struct]) -> dict[str, Any]:
    """The values under the type's names, whatever their case; a name in its own spelling counts first."""
    names = {name.lower(): name for name in type_.__struct_fields__}
    found = {names.get(name.lower(), name): value for name, value in values.items()}
    return found | {name: value for name, value in values.items() if name in names.values()}


NOT_FOUND, INVALID_ID, INVALID_OPERATION, TOO_OFTEN = 2500, 2503, 2905, 2996


class TooMany(InvalidInput):
    """More conversations than one call takes."""


class Web(Surface):
    """deleteConversation of the web SDK over HTTP, for a user by his access token."""

    fault_type = WebFault
    statuses: ClassVar = {Caller.BEARER: ("400", "401", "403", "404", "429", "430", "503")}

    async def body(self, request: web.Request, type_: type[Struct]) -> Struct:
        body = await parse.read(request)
        if body.lstrip().startswith(b'"'):
            # one conversation may stand alone, as the SDK takes it
            try:
                alone = msgspec.json.decode(body, type=str)
            except (msgspec.DecodeError, UnicodeDecodeError) as exc:
                raise NotJson("The body is not JSON in UTF-8.") from exc
            return parse.convert({"conversationIDList": alone}, type_)
        return parse.decode(body, type_)

    def done(self, reply: Reply) -> web.Response:
        return as_json(reply.result, reply.status)

    def fault(self, error: TidemarkError) -> web.Response:
        row = answer(error)
        code = row.code
        if isinstance(error, TooMany):
            code = INVALID_OPERATION
        elif isinstance(error, InvalidInput) and error.field.startswith("conversationIDList"):
            code = INVALID_ID
        elif isinstance(error, NotFound):
            code = NOT_FOUND
        elif isinstance(error, RateLimited):
            code = TOO_OFTEN
        status = error.status if isinstance(error, NotTaken) else row.status
        return say_when(as_json(WebFault(code=code, message=str(error)), status), error)


RECENT_CONTACT, GROUP, OPEN_IM = Rest(codes.RECENT_CONTACT), Rest(codes.GROUP), Rest(codes.OPEN_IM)
WEB = Web()

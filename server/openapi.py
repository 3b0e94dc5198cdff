"""/openapi.json: the route table as OpenAPI 3.1, generated from the types that parse the requests."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from server.calls import Caller
from server.native import PLAIN, SERVER_API
from server.samples import curl, sample, sample_request
from server.surface import Route

_SCHEMA = "#/components/schemas/{name}"
_SIGNATURE = {
    "AppKey": ("App-Key", "The app key. Each of the four headers may be sent with the prefix RC-."),
    "Nonce": ("Nonce", "Any text of up to 128 characters."),
    "Timestamp": ("Timestamp", "The Unix time in seconds or milliseconds."),
    "Signature": ("Signature", "hex SHA1(AppSecret + Nonce + Timestamp)."),
}
_USERSIG = {
    "SdkAppId": ("sdkappid", "The app's tencentSdkAppId."),
    "Identifier": ("identifier", "The app's tencentAdmin."),
    "UserSig": ("usersig", "A UserSig of the identifier, made with the app's tencentKey."),
}
_SECURITY: dict[Caller, list[dict[str, list[str]]]] = {
    Caller.APP: [{name: [] for name in _SIGNATURE}],
    Caller.USER: [{name: [] for name in _SIGNATURE}, {"AccessToken": []}],
    Caller.BEARER: [{"AccessToken": []}],
    Caller.KEY: [{"ApiKey": []}],
    Caller.KEY_OR_BEARER: [{"ApiKey": []}, {"AccessToken": []}],
    Caller.INSTANCE: [{"Token": []}],
    Caller.USERSIG: [{"SdkAppId": [], "Identifier": [], "UserSig": []}],
    Caller.ADMIN: [{"AdminKey": []}],
    Caller.ANYONE: [],
}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_REASONS = {
    "400": "A field is missing, wrong or too long; the sentence names it. Nothing was changed.",
    "401": "The signature or the key does not match.",
    "403": "The key or the token may not do this.",
    "409": "It stands in the way of something that is there.",
    "430": "The app's settings have this service off.",
    "404": "There is no such thing.",
    "416": "The range lies behind the end.",
    "429": "Too many requests in this second; see Retry-After.",
    "503": "Nothing was decided; try again after Retry-After seconds.",
}


def describe(routes: Sequence[Route]) -> dict[str, Any]:
    """The document as plain data."""
    types = {type_ for route in routes for type_ in _types(route)}
    ordered = sorted(types, key=lambda type_: type_.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_SCHEMA)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidemark",
            "version": "1",
            "description": "A self-hosted chat message store with a history-retention service.",
        },
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _schemes()},
    }


def document(routes: Sequence[Route]) -> Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]]:
    """The handler that answers it."""
    body = msgspec.json.encode(describe(routes))

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    return handle


def _schemes() -> dict[str, Any]:
    signed = {
        name: {"type": "apiKey", "in": "header", "name": header, "description": text}
        for name, (header, text) in _SIGNATURE.items()
    }
    signed |= {
        name: {"type": "apiKey", "in": "query", "name": word, "description": text}
        for name, (word, text) in _USERSIG.items()
    }
    bearer = {"type": "http", "scheme": "bearer"}
    key = {"type": "apiKey", "in": "header", "name": "Authorization"}
    token = {"type": "apiKey", "in": "header", "name": "token"}
    return {**signed, "AdminKey": bearer, "AccessToken": bearer, "ApiKey": key, "Token": token}


def _types(route: Route) -> list[type[Struct]]:
    asked = route.body if route.method != "GET" else None
    return [
        type_
        for type_ in (asked, route.result, route.other_result, route.surface.fault_type)
        if type_ is not None
    ]


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    surface = route.surface
    operation: dict[str, Any] = {
        "tags": [_tag(route)],
        "operationId": f"{route.method.lower()}{re.sub(r'[^A-Za-z0-9]+', '_', route.path)}",
        "summary": route.summary,
        "description": inspect.getdoc(route.handler) or route.summary,
        "security": _SECURITY[route.caller],
        "responses": _responses(route),
    }
    body = None
    if route.body is not None and route.method != "GET":
        body = sample_request(_reference(route.body), schemas, route.path)
        operation["requestBody"] = {
            "required": True,
            "content": {surface.form: {"schema": _reference(route.body), "example": body}},
        }
    if route.takes is not None:
        operation["requestBody"] = {"required": True, "content": {route.takes: _BYTES}}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    asked = route.body if route.method == "GET" else None
    parameters += [one for type_ in (asked, route.query) if type_ is not None for one in _query(type_)]
    if parameters:
        operation["parameters"] = parameters
    operation["x-codeSamples"] = [
        {
            "lang": "Shell",
            "label": "curl",
            "source": curl(
                route.method,
                route.path,
                route.caller,
                query={one["name"]: one["example"] for one in parameters if "example" in one},
                body=body,
                form=surface.form if body is not None else route.takes,
            ),
        }
    ]
    return operation


def _responses(route: Route) -> dict[str, Any]:
    refused, reasons = _reference(route.surface.fault_type), route.surface.statuses[route.caller]
    done, said = _content(route), "Done."
    if str(route.status) in reasons:
        done, said = _json({"anyOf": [_answer(route), refused]}), "Done, or refused: the body says which."
    return {
        **{
            status: {"description": _REASONS[status], "content": _json(refused)}
            for status in reasons
            if status != str(route.status)
        },
        str(route.status): {"description": said, "content": done},
    }


def _tag(route: Route) -> str:
    """Under which word the page lists it: its surface, of our own the part of the path that names its subject."""
    parts = route.path.split("/")
    if route.surface is SERVER_API:
        return f"{parts[1]} {parts[2]}"
    if route.surface is PLAIN:
        return {"admin": "admin", "v1": "media"}.get(parts[1], "health")
    return type(route.surface).__name__


def _query(type_: type[Struct]) -> list[dict[str, Any]]:
    [schema] = msgspec.json.schema_components([type_])[1].values()
    examples = sample(schema, {})
    return [
        {"name": name, "in": "query", "required": name in examples, "schema": value}
        | ({"example": examples[name]} if name in examples else {})
        for name, value in schema["properties"].items()
    ]


def _answer(route: Route) -> dict[str, Any]:
    result: dict[str, Any] | None = _reference(route.result) if route.result is not None else None
    if result is not None and route.other_result is not None:
        result = {"anyOf": [result, _reference(route.other_result)]}
    if route.surface is not SERVER_API:
        return result or {"type": "object"}
    properties: dict[str, Any] = {"code": {"type": "integer", "const": 0}}
    if result is not None:
        properties["result"] = result
    return {"type": "object", "properties": properties, "required": list(properties)}


def _reference(type_: type[Struct]) -> dict[str, str]:
    return {"$ref": _SCHEMA.format(name=type_.__name__)}


def _content(route: Route) -> dict[str, Any]:
    return _json(_answer(route)) if route.gives is None else {route.gives: _BYTES}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}

"""/openapi.json: valid, complete, and true of what the server answers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from server.calls import Caller
from server.openapi import describe
from server.routes import ALL_ROUTES, ROUTES
from server.surface import Route
from tests.api.client import CLEAN, Answer, Api, signed

DOCUMENT = describe(ALL_ROUTES)
USERS = st.sampled_from(["ann", "bob", "cid"])
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


async def test_it_is_served_to_anyone_and_valid(api: Api) -> None:
    answer = await api.request("GET", "/openapi.json")
    assert answer.status == 200
    assert answer.json == DOCUMENT
    assert answer.json["openapi"].startswith("3.1")
    validate(answer.json, cls=OpenAPIV31SpecValidator)


def test_it_has_every_route_and_no_other() -> None:
    written = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert written == {(route.method, route.path) for route in ALL_ROUTES}


def test_every_operation_says_what_it_takes_and_who_may_call() -> None:
    for route in ALL_ROUTES:
        operation = DOCUMENT["paths"][route.path][route.method.lower()]
        reads = route.method == "GET"
        takes = route.takes is not None or (route.body is not None and not reads)
        assert ("requestBody" in operation) is takes
        assert bool(operation["security"]) is (route.caller is not Caller.ANYONE)
        names = {"path": list[str](), "query": list[str]()}
        for parameter in operation.get("parameters", []):
            names[parameter["in"]].append(parameter["name"])
        assert names["path"] == re.findall(r"{(\w+)}", route.path)
        asked = [route.body if reads else None, route.query]
        assert names["query"] == [name for type_ in asked if type_ for name in type_.__struct_encode_fields__]


async def test_a_status_is_a_receipt_or_a_job_and_the_document_says_so(api: Api) -> None:
    path = f"{CLEAN}/status"
    (route,) = (route for route in ROUTES if route.path == path)
    job = (await api.do("channel/message/history/clean/user", userId="bob"))["requestId"]
    receipt = (await api.clean()).headers["Clean-Request-Id"]
    for id_ in (job, receipt):
        answer = await api.post(path, {"requestId": id_})
        assert answer.status == 200
        check(route, answer)
    schema = resolved(
        DOCUMENT["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    )
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(schema, {"code": 0, "result": {"requestId": job}})


def resolved(schema: Any) -> Any:
    """The schema with what it refers to in its place."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return resolved(DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
        return {key: resolved(value) for key, value in schema.items()}
    return [resolved(item) for item in schema] if isinstance(schema, list) else schema


def check(route: Route, answer: Answer) -> None:
    """The answer is one that the document has, in status and form."""
    responses = DOCUMENT["paths"][route.path][route.method.lower()]["responses"]
    assert str(answer.status) in responses, (answer.status, answer.body)
    content = responses[str(answer.status)]["content"]
    if answer.headers["Content-Type"].split(";")[0] == route.gives:
        # bytes, or lines of JSON
        assert list(content) == [route.gives]
        return
    schema = resolved(content["application/json"]["schema"])
    jsonschema_rs.validate(schema, answer.json)


def text(schema: dict[str, Any], name: str) -> st.SearchStrategy[Any]:
    """Texts of the schema; ids are few, so that requests meet one another."""
    if name.endswith(("userId", "UserId", "channelId", "toUserIds")):
        return USERS
    return st.text(min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 40), 40))


def values(schema: dict[str, Any], name: str = "") -> st.SearchStrategy[Any]:
    """Values that the schema allows."""
    if "anyOf" in schema:
        return st.one_of([values(one, name) for one in schema["anyOf"]])
    kinds: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
        "string": lambda: text(schema, name),
        "integer": lambda: st.integers(schema.get("minimum", -(10**15)), bound(schema)),
        "boolean": st.booleans,
        "null": st.none,
        "array": lambda: st.lists(
            values(schema["items"], name), min_size=schema.get("minItems", 0), max_size=3
        ),
        "object": lambda: objects(schema),
    }
    return kinds[schema["type"]]() if "type" in schema else ANYTHING


def bound(schema: dict[str, Any]) -> int:
    """The largest integer that the schema allows."""
    most: int = schema.get("maximum", schema.get("exclusiveMaximum", 10**15 + 1) - 1)
    return most


def objects(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Objects of the schema, with optional fields or without."""
    properties = {name: values(value, name) for name, value in schema.get("properties", {}).items()}
    required = set(schema.get("required", []))
    return st.fixed_dictionaries(
        {name: value for name, value in properties.items() if name in required},
        optional={name: value for name, value in properties.items() if name not in required},
    )


def broken(body: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Any]:
    """Bodies in which one field may be anything, or that are something else altogether."""
    fields = st.dictionaries(
        st.sampled_from(["userId", "channelId", "sentAt", "limit", "content"]), ANYTHING, max_size=2
    )
    return st.one_of(body, st.builds(lambda one, other: {**one, **other}, body, fields), ANYTHING)


def bodies(route: Route) -> st.SearchStrategy[Any]:
    """What the hypothesis run sends."""
    if route.body is None:
        return st.none()
    return broken(objects(resolved({"$ref": f"/{route.body.__name__}"})))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_no_request_is_answered_outside_the_document(api: Api, route: Route) -> None:
    await api.set(cleanRateLimit=0, undoSeconds=0)
    path = route.path.replace("{appKey}", (await api.new_app("patched")).app_key)
    headers = {
        **signed(api.keys, timestamp=api.now_ms),
        "Authorization": f"Bearer {api.admin_key}",
    }
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(body=bodies(route))
    def run(body: Any) -> None:
        data = None if route.body is None else json.dumps(body).encode()
        asked = api.request(route.method, path, data=data, headers=headers)
        check(route, asyncio.run_coroutine_threadsafe(asked, loop).result(10))

    await asyncio.to_thread(run)

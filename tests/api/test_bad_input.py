"""Every field of every route against every kind of wrong value: one documented answer, and nothing is changed."""

from __future__ import annotations

import copy
import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from server.calls import Caller
from server.routes import ROUTES
from server.surface import Route
from tests.api.bodies import NOBODY, OF_APP, SENDS, UPDATES, Scene, bodies, filled, make_scene
from tests.api.client import ACK, CLEAN, DELETE, SEND, SYNC, Answer, Api, signed
from tests.api.wrong_values import ABSENT, FIELDS, Wrong

TAKING = [route for route in ROUTES if route.body is not None]
AREAS = sorted({route.handler.__module__ for route in TAKING})
EVERY_AREA = pytest.mark.parametrize("area", AREAS, ids=lambda area: area.rpartition(".")[2])


async def call(api: Api, route: Route, scene: Scene, data: bytes | None, **headers: str) -> Answer:
    """The call with the credential that the route wants, and these bytes."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if route.caller is Caller.ADMIN:
        given["Authorization"] = f"Bearer {api.admin_key}"
    elif route.caller is Caller.KEY_OR_BEARER:
        given["Authorization"] = api.keys.api_key
    else:
        given |= signed(api.keys, timestamp=api.now_ms)
    path = filled(route.path, api.keys.app_key, scene)
    return await api.request(route.method, path, data=io.BytesIO(data) if data else data, headers=given)


async def ready(api: Api, area: str) -> tuple[Scene, list[tuple[Route, dict[str, Any]]]]:
    """An app in which the bodies of these routes are right, and the routes with their bodies."""
    await api.set(cleanRateLimit=0)
    scene = await make_scene(api)
    some = bodies(scene, api.now_ms)
    routes = [route for route in TAKING if route.handler.__module__ == area]
    return scene, [(route, some[route.method, route.path] or {}) for route in routes]


async def accepted(api: Api, scene: Scene, routes: list[tuple[Route, dict[str, Any]]]) -> None:
    """Nothing but the wrong value was wrong."""
    for route, body in routes:
        answer = await call(api, route, scene, json.dumps(body).encode())
        assert answer.status == 200, (route.path, body, answer.body)


def changed(body: dict[str, Any], field: str, value: object) -> dict[str, Any]:
    """The body with one field set to something else, or taken out."""
    body = copy.deepcopy(body)
    at: Any = body
    *outer, name = [int(part) if part.isdigit() else part for part in field.split(".")]
    for part in outer:
        at = at[part]
    if value is ABSENT:
        del at[name]
    else:
        at[name] = value
    return body


def surrogates(wrong: list[Wrong]) -> Iterator[str]:
    """Half a character, alone and in the middle, wherever a text is wanted."""
    if ("a\0b", 1002) in wrong:
        yield from ("\ud800", "a\udfffb")


def named(field: str) -> str:
    """The field as the sentence must name it: the last name counts, lists have numbers."""
    return [part for part in field.split(".") if not part.isdigit()][-1]


def required(field: str, wrong: list[Wrong]) -> bool:
    return "." in field or any(value is ABSENT for value, _ in wrong)


def twice(body: dict[str, Any], field: str, value: object) -> bytes:
    """The body with this value in one more member of that name, at its end."""
    return json.dumps(body)[:-1].encode() + f",{json.dumps(field)}:{json.dumps(value)}}}".encode()


def test_the_table_has_every_field_of_every_route_and_no_other() -> None:
    assert set(FIELDS) == {(route.method, route.path) for route in TAKING}
    some = bodies(NOBODY, 0)
    for route in TAKING:
        assert route.body is not None
        names = set(route.body.__struct_encode_fields__)
        assert {field.split(".")[0] for field in FIELDS[route.method, route.path]} == names, route.path
        body = some[route.method, route.path]
        assert body is not None
        assert set(body) == names, route.path


@EVERY_AREA
async def test_each_wrong_value_has_one_documented_answer_and_changes_nothing(api: Api, area: str) -> None:
    scene, routes = await ready(api, area)
    before = await api.everything()
    for route, body in routes:
        for field, table in FIELDS[route.method, route.path].items():
            for value, code in [*table, *((half, 1002) for half in surrogates(table))]:
                answer = await call(api, route, scene, json.dumps(changed(body, field, value)).encode())
                assert (answer.status, answer.code) == (400, code), (route.path, field, value, answer.body)
                half = isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value)
                assert half or named(field) in answer.refused(400, code), (route.path, field, value)
            if "." not in field:
                # named twice, the last one counts: here the wrong one
                value, code = next(pair for pair in table if pair[0] is not ABSENT)
                answer = await call(api, route, scene, twice(body, field, value))
                assert (answer.status, answer.code) == (400, code), (route.path, field, answer.body)
    assert await api.everything() == before
    await accepted(api, scene, routes)


@EVERY_AREA
@pytest.mark.parametrize("how", ["null", "absent"])
async def test_an_optional_field_may_be_null_or_absent(api: Api, area: str, how: str) -> None:
    scene, routes = await ready(api, area)
    least = []
    for route, body in routes:
        table = FIELDS[route.method, route.path]
        needed = {name: value for name, value in body.items() if required(name, table[name])}
        least.append((route, dict.fromkeys(body) | needed if how == "null" else needed))
    await accepted(api, scene, least)


async def test_of_a_field_that_stands_twice_the_last_one_counts(api: Api) -> None:
    body = {"fromUserId": "ann", "toUserIds": ["bob"], "messageType": "x", "content": "first"}
    (await api.raw(SEND, twice(body, "content", "second"))).done()
    (await api.raw(SEND, twice({**body, "content": "a\0b"}, "content", "third"))).done()
    assert await api.contents() == ["third", "second"]


@EVERY_AREA
async def test_a_body_that_is_no_json_object_is_refused(api: Api, area: str) -> None:
    scene, routes = await ready(api, area)
    wrong: list[tuple[bytes | None, int]] = [
        (None, 1003),
        (b"", 1003),
        (b" \n\t", 1003),
        (b"[]", 1002),
        (b"null", 1002),
        (b'"x"', 1002),
        (b"7", 1002),
        (b"{", 1002),
        (b"{}{}", 1002),
        (b"userId=bob", 1002),
        (b'{"userId":"\xff\xfe"}', 1002),
        (b'{"userId":"a\x00b"}', 1002),
        (b'\x00{"userId":"bob"}', 1002),
        (b"\xef\xbb\xbf{}", 1002),
        (b"[" * 100_000, 1002),
        (b'{"a":' * 100_000, 1002),
        (b'{"fromUserId":7,"userId":7,"overlapSeconds":' + b"9" * 10_000 + b"}", 1002),
    ]
    before = await api.everything()
    for route, body in routes:
        for data, code in wrong:
            answer = await call(api, route, scene, data)
            assert (answer.status, answer.code) == (400, code), (route.path, (data or b"")[:40], answer.body)
        right = json.dumps(body).encode()
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "nonsense"):
            (await call(api, route, scene, right, Content_Type=kind)).refused(400, 1002, "Content-Type")
        large = json.dumps({**body, "more": "x" * 9 * 1024 * 1024}).encode()
        (await call(api, route, scene, large)).refused(413, 1508)
    assert await api.everything() == before
    await accepted(api, scene, routes)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("data", [b"{}", b"not json", b"\xff", b'{"appKey":"x"}'])
async def test_a_body_that_is_not_asked_for_is_not_read(api: Api, method: str, data: bytes) -> None:
    scene = await make_scene(api)
    for route in ROUTES:
        if route.body is None and route.method == method:
            assert (await call(api, route, scene, data)).status == 200, route.path


@pytest.mark.parametrize("app_key", ["nope", "%00", "%FF%FE", "%F0%9F%98%80", "x" * 2000, "%2e%2e", "a%2Fb"])
async def test_names_in_a_path_that_are_none_are_not_found(api: Api, app_key: str) -> None:
    scene = await make_scene(api)
    before = await api.everything()
    for route in ROUTES:
        if not route.path.startswith(OF_APP):
            continue
        body = bodies(scene, api.now_ms)[route.method, route.path]
        (await api.admin(route.method, filled(route.path, app_key, scene), body)).refused(404, 404)
        for name in ("{keyId}", "{holdId}", "{mediaId}"):
            if name in route.path:
                path = route.path.replace("{appKey}", api.keys.app_key).replace(name, app_key)
                (await api.admin(route.method, path)).refused(404, 404)
    assert await api.everything() == before


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/json;v=1"]
)
async def test_json_by_any_spelling_is_taken(api: Api, kind: str) -> None:
    body = {"fromUserId": "ann", "toUserIds": ["bob"], "messageType": "x", "content": "y"}
    (await api.raw(SEND, json.dumps(body).encode(), Content_Type=kind)).done()


async def test_a_body_that_unpacks_badly_or_too_large_is_refused(api: Api) -> None:
    body = {"fromUserId": "ann", "toUserIds": ["bob"], "messageType": "x", "content": "y"}
    (await api.raw(SEND, gzip.compress(json.dumps(body).encode()), Content_Encoding="gzip")).done()
    bomb = gzip.compress(b" " * 64 * 1024 * 1024)
    (await api.raw(SEND, bomb, Content_Encoding="gzip")).refused(413, 1508)
    answer = await api.raw(SEND, b"not packed at all", Content_Encoding="gzip")
    assert answer.status == 400


@pytest.mark.parametrize(
    ("path", "changes", "word"),
    [
        (SENDS["direct"], {"toUserIds": ["bob", "ann"]}, "toUserIds"),
        (SENDS["group"], {"toChannelIds": ["g", "d"]}, "toUserIds"),
        ("/v4/group-channel/history-message/list", {"endAt": 10**14 - 1}, "startAt"),
        ("/v4/open-channel/history-message/list", {"endAt": 0}, "14 days"),
        (UPDATES["direct"], {"fromUserId": "bob", "targetId": "ann"}, "fromUserId"),
        (UPDATES["group"], {"fromUserId": "bob"}, "fromUserId"),
        ("/v4/message/delete", {"fromUserId": "bob"}, "fromUserId"),
        ("/v4/user/conversation/read", {"channelId": "nobody"}, "channelId"),
        ("/v4/user/conversation/read", {"userId": "eve"}, "channelId"),
        ("/v4/user/conversation/read", {"channelType": 1, "channelId": "ann"}, "messageId"),
        ("/v4/user/conversation/read", {"messageId": "x"}, "messageId"),
        (SYNC, {"cursor": "x"}, "cursor"),
        (ACK, {"userId": "eve"}, "messageId"),
    ],
)
async def test_what_does_not_fit_together_is_refused(
    api: Api, path: str, changes: dict[str, object], word: str
) -> None:
    scene = await make_scene(api)
    body = bodies(scene, api.now_ms)["POST", path]
    assert body is not None
    before = await api.everything()
    (await api.post(path, {**body, **changes})).refused(400, 1002, word)
    assert await api.everything() == before


@pytest.mark.parametrize("path", [CLEAN, DELETE])
async def test_both_names_of_a_clean_refuse_the_same(api: Api, path: str) -> None:
    (await api.post(path, {"channelType": 2, "fromUserId": "a", "channelId": "b"})).refused(400, 1002)

"""Who may call what: every route of the table against every kind of credential, of its own app and of another."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from history.axis import SECOND
from server.calls import SERVICES, Caller
from server.routes import ROUTES
from tests.api.bodies import (
    ADMIN,
    EXPORT,
    FILE,
    HIDE,
    IMPORT,
    NOBODY,
    OF_APP,
    POLICIES,
    UPLOAD,
    Scene,
    bodies,
    filled,
    make_scene,
)
from tests.api.client import Answer, Api, Keys, open_api, signed

USER_PATH = "/v4/user/"
# A new route is not done before it stands here, with the column that it belongs to.
COLUMNS = {
    "backend": {
        *(("POST", f"/v4/{kind}-channel/message/send") for kind in ("direct", "group", "open", "system")),
        *(
            ("POST", f"/v4/{kind}-channel/history-message/list")
            for kind in ("direct", "group", "open", "system")
        ),
        *(("POST", f"/v4/{kind}-channel/message/update") for kind in ("direct", "group")),
        ("POST", "/v4/message/delete"),
        ("POST", "/v4/channel/message/history/clean"),
        ("POST", "/v4/channel/message/history/delete"),
        *(
            ("POST", f"/v4/channel/message/history/clean/{word}")
            for word in ("batch", "preview", "status", "list", "cancel", "user")
        ),
        ("POST", "/v4/channel/message/recall-by-sender"),
        ("POST", "/v4/channel/message/history/hide"),
        ("POST", "/v4/message/explain"),
        ("POST", IMPORT),
        ("GET", EXPORT),
        *(("POST", f"/v4/group-channel/{word}") for word in ("create", "join", "leave", "dismiss")),
        ("POST", "/v4/group-channel/member/list"),
        ("POST", "/v4/group-channel/joined/list"),
        ("POST", "/v4/open-channel/create"),
        ("POST", "/v4/open-channel/destroy"),
        ("POST", "/v4/auth/access-token/issue"),
        ("POST", "/v4/auth/access-token/expire"),
    },
    "user": {
        ("POST", "/v4/user/message/sync"),
        ("POST", "/v4/user/message/ack"),
        ("POST", "/v4/user/conversation/list"),
        *(("POST", f"/v4/user/conversation/{word}") for word in ("read", "update", "delete")),
        ("POST", "/v4/user/device/list"),
        ("POST", "/v4/user/device/remove"),
    },
    "admin, all apps, reads": {("GET", ADMIN)},
    "admin, all apps, writes": {("POST", ADMIN)},
    "admin, one app, reads": {
        *(("GET", f"{OF_APP}/{word}") for word in ("settings", "keys", "holds", "media")),
        *(("GET", path) for path in POLICIES),
        ("GET", f"{OF_APP}/retention/runs"),
    },
    "admin, one app, writes": {
        ("PATCH", f"{OF_APP}/settings"),
        ("POST", f"{OF_APP}/secret"),
        ("POST", f"{OF_APP}/keys"),
        ("DELETE", f"{OF_APP}/keys/{{keyId}}"),
        ("POST", f"{OF_APP}/instances"),
        ("PATCH", f"{OF_APP}/instances/{{instance}}"),
        ("POST", f"{OF_APP}/holds"),
        ("DELETE", f"{OF_APP}/holds/{{holdId}}"),
        ("DELETE", f"{OF_APP}/media/{{mediaId}}"),
        *((method, path) for method in ("PUT", "DELETE") for path in POLICIES),
    },
    "files": {("POST", UPLOAD), ("GET", FILE)},
    "open": {("GET", "/healthz"), ("GET", "/readyz")},
}
CALLERS = {
    "backend": Caller.APP,
    "user": Caller.USER,
    "files": Caller.KEY_OR_BEARER,
    "open": Caller.ANYONE,
}


class Row(NamedTuple):
    """What a credential is answered in each column of COLUMNS."""

    backend: int
    user: int
    reads_all: int
    writes_all: int
    reads_one: int
    writes_one: int
    files: int = 401
    open: int = 200


NOTHING = Row(401, 401, 401, 401, 401, 401)
MATRIX: dict[str, Row] = {
    "nobody": NOTHING,
    "wrong signature": NOTHING,
    "signature by another app's secret": NOTHING,
    "own signature": Row(200, 200, 401, 401, 401, 401),
    "wrong bearer key": NOTHING,
    "API key": NOTHING._replace(files=200),
    "API key of another app": NOTHING._replace(files=0),
    "admin key": Row(401, 401, 200, 200, 200, 200),
    "admin key that reads": Row(401, 401, 200, 403, 200, 403),
    "admin key of this app": Row(401, 401, 200, 403, 200, 200),
    "admin key of this app that reads": Row(401, 401, 200, 403, 200, 403),
    "admin key of another app": Row(401, 401, 200, 403, 403, 403),
    "admin key of another app that reads": Row(401, 401, 200, 403, 403, 403),
    "token of the user": Row(401, 200, 401, 401, 401, 401, 200),
    "token of another user": Row(401, 403, 401, 401, 401, 401, 0),
    "token of the user, of another app": Row(401, 0, 401, 401, 401, 401, 0),
    "token of the user, expired": NOTHING,
    "token of the user, ended": NOTHING,
    # a signature does not help where a bearer key decides
    "own signature beside a token of another user": Row(200, 403, 401, 401, 401, 401, 0),
    "own signature beside an API key": Row(200, 401, 401, 401, 401, 401, 200),
}
"""0: he is let in as what he is elsewhere; see the test of that, and of files tests/api/test_media.py."""


@pytest.fixture
async def api(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    async with open_api(database_url, redis_url) as opened:
        yield opened


async def token_of(api: Api, user: str, keys: Keys | None = None) -> str:
    """An access token."""
    issued = await api.of(keys).do("auth/access-token/issue", userId=user, name=user)
    text: str = issued["accessToken"]
    return text


async def bearer_of(api: Api, credential: str, other: Keys) -> str:
    """The bearer key or token of a credential."""
    keys = other if "another app" in credential else None
    if credential.startswith("token"):
        text = await token_of(api, "cid" if "another user" in credential else "bob", keys)
        if credential.endswith("expired"):
            api.clock.advance(365 * 86_400 * SECOND)
        if credential.endswith("ended"):
            await api.do("auth/access-token/expire", userIds=["bob"], expiresAt=api.now_ms)
        return text
    if credential == "admin key that reads":
        service = api.client.app[SERVICES].apps
        return (await service.create_key("x", kind="admin", app_key=None, read_only=True))[0]
    if "app" in credential and "admin" in credential:
        return await api.key("admin-read" if "reads" in credential else "admin", keys=keys)
    found = {
        "wrong bearer key": api.admin_key[:-1] + "~",
        "API key": api.keys.api_key,
        "API key of another app": other.api_key,
        "admin key": api.admin_key,
    }
    return found[credential]


async def headers_of(api: Api, credential: str, other: Keys) -> dict[str, str]:
    """How a caller with this credential shows himself."""
    if credential == "nobody":
        return {}
    own, _, beside = credential.partition(" beside an ")
    own, _, beside = (own, "", beside) if beside else credential.partition(" beside a ")
    if "signature" not in own:
        return {"Authorization": f"Bearer {await bearer_of(api, own, other)}"}
    secret = {"wrong signature": "wrong", "own signature": api.keys.secret}.get(own, other.secret)
    headers = signed(replace(api.keys, secret=secret), timestamp=api.now_ms)
    return headers | (await headers_of(api, beside, other) if beside else {})


LINE = b'{"channelType":1,"channelId":"una","fromUserId":"ivo","messageType":"t","content":"theirs","sentAt":1700000000000}'


async def ask(api: Api, route: tuple[str, str], body: Any, scene: Scene, headers: dict[str, str]) -> Answer:
    """The call, its path filled in."""
    data = None if body is None else json.dumps(body).encode()
    if route == ("POST", UPLOAD):
        data, headers = b"secret of ours", {"Content-Type": "text/plain", **headers}
    if route == ("POST", IMPORT):
        data, headers = LINE, {"Content-Type": "application/x-ndjson", **headers}
    path = filled(route[1], api.keys.app_key, scene)
    return await api.request(route[0], path, data=data, headers=headers)


def test_every_route_is_in_the_matrix_with_its_caller_and_a_body() -> None:
    declared = {(route.method, route.path): route.caller for route in ROUTES}
    assert len(declared) == len(ROUTES)
    assert declared == {
        route: CALLERS.get(column, Caller.ADMIN) for column, routes in COLUMNS.items() for route in routes
    }
    for route in ROUTES:
        # a token of a user is looked at nowhere but where the path says so
        assert (route.caller is Caller.USER) is route.path.startswith(USER_PATH)
        assert (route.caller is Caller.ADMIN) is route.path.startswith("/admin/")
    some = bodies(NOBODY, 0)
    assert {route: body is not None for route, body in some.items()} == {
        (route.method, route.path): route.body is not None for route in ROUTES
    }


@pytest.mark.parametrize("credential", MATRIX)
async def test_each_credential_reaches_what_is_its_own_and_changes_nothing_else(
    api: Api, credential: str
) -> None:
    other, scene = await api.new_app(), await make_scene(api)
    headers = await headers_of(api, credential, other)
    ready = bodies(scene, api.now_ms)
    statuses = {
        route: status
        for routes, status in zip(COLUMNS.values(), MATRIX[credential], strict=True)
        for route in sorted(routes)
    }
    before = await api.everything()
    for route in (route for route, status in statuses.items() if status in (401, 403)):
        answer = await ask(api, route, ready[route], scene, headers)
        assert answer.status == statuses[route], (route, answer.body)
        answer.refused(answer.status, {401: 1004, 403: 403}[answer.status])
    assert await api.everything() == before
    for route in (route for route, status in statuses.items() if status == 200):
        answer = await ask(api, route, ready[route], scene, headers)
        assert answer.status == 200, (route, answer.body)


def lost(before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, Counter[str]]:
    """Rows that were changed or taken away."""
    gone = {table: Counter(rows) - Counter(after[table]) for table, rows in before.items()}
    return {table: rows for table, rows in gone.items() if rows}


# what another app is answered that uses our ids: all that is there of it is its own
STRANGERS = {
    "/v4/group-channel/message/send": 404,
    "/v4/open-channel/message/send": 404,
    "/v4/direct-channel/message/update": 404,
    "/v4/group-channel/message/update": 404,
    "/v4/group-channel/join": 404,
    "/v4/group-channel/leave": 404,
    "/v4/group-channel/dismiss": 404,
    "/v4/group-channel/member/list": 404,
    "/v4/channel/message/history/clean/status": 404,
    "/v4/channel/message/history/clean/cancel": 404,
    "/v4/message/explain": 400,
    "/v4/user/message/ack": 400,
    "/v4/user/conversation/read": 400,
    "/v4/user/conversation/update": 404,
}


@pytest.mark.parametrize("credential", ["signature", "token"])
async def test_ids_of_one_app_open_nothing_in_another(api: Api, credential: str) -> None:
    scene, other = await make_scene(api), await api.new_app()
    await api.sync("bob", "tablet")
    token = await token_of(api, "bob", other)
    ours = await token_of(api, "bob")
    for route, body in bodies(scene, api.now_ms).items():
        if not route[1].startswith("/v4/" if credential == "signature" else USER_PATH):
            continue
        theirs = {**body, "content": "theirs"} if body is not None and "content" in body else body
        headers = {"Authorization": f"Bearer {token}"}
        if credential == "signature":
            headers = signed(other, timestamp=api.now_ms)
        before = await api.everything()
        answer = await ask(api, route, theirs, scene, headers)
        assert answer.status == STRANGERS.get(route[1], 200), (route, answer.body)
        said = answer.body
        if route[1] == HIDE:
            # it repeats the ids that it was asked for, and must not say that they are there
            (item,) = answer.json["result"]["items"]
            assert (item["messageId"], item["code"]) == (scene.group, 404)
            said = said.replace(scene.group.encode(), b"")
        for text in ("of ours", "our group", "tablet", scene.direct, scene.group, scene.open, scene.system):
            assert text.encode() not in said, route
        missing = lost(before, await api.everything())
        assert not missing, (route, missing)
    assert len((await api.sync("bob", "watch"))["messages"]) == 3
    assert (await api.bearing(ours, "POST", "/v4/user/device/list", {"userId": "bob"})).status == 200


async def test_an_admin_key_of_another_app_shows_and_revokes_nothing_of_ours(api: Api) -> None:
    scene, other = await make_scene(api), await api.new_app()
    theirs = await api.key("admin", keys=other)
    (row,) = (await api.bearing(theirs, "GET", ADMIN)).json["apps"]
    assert row["appKey"] == other.app_key
    before = await api.everything()
    path = f"/admin/apps/{other.app_key}/keys/{scene.key_id}"
    for key in (theirs, api.admin_key):
        (await api.bearing(key, "DELETE", path)).refused(404, 404)
    assert await api.everything() == before
    path = f"/admin/apps/{api.keys.app_key}/keys/{scene.key_id}"
    (await api.bearing(theirs, "DELETE", path)).refused(403, 403)
    assert (await api.admin("DELETE", path)).json == {}


async def test_page_tokens_and_cursors_of_another_app_show_nothing_of_ours(api: Api) -> None:
    await make_scene(api)
    other = await api.new_app()
    lists: list[tuple[str, str, dict[str, Any]]] = [
        ("group-channel/joined/list", "pageToken", {"userId": "bob", "pageSize": 1}),
        ("user/conversation/list", "cursor", {"userId": "bob", "pageSize": 1}),
    ]
    for path, name, body in lists:
        first = await api.do(path, **body)
        (rest,) = (await api.of(other).do(path, **body, **{name: first[name]})).values()
        assert rest == [], path
    first = await api.do("group-channel/member/list", channelId="g", pageSize=1)
    await api.of(other).do("group-channel/create", channelId="g", name="theirs", owner="eve")
    body = {"channelId": "g", "pageToken": first["pageToken"]}
    page = await api.of(other).do("group-channel/member/list", **body)
    assert {member["userId"] for member in page["members"]} <= {"eve"}


def test_every_path_is_there_once_and_names_its_handler() -> None:
    assert len(ROUTES) == len({(route.method, route.path) for route in ROUTES})
    assert all(route.summary and route.handler.__doc__ for route in ROUTES)

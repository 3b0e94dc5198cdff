"""Who may call what: every route of the table against every kind of caller."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.calls import Caller
from server.routes import ROUTES
from tests.api.client import ACK, CLEAN, DELETE, HISTORY, SEND, SYNC, Answer, Api, Keys, open_api, signed

SETTINGS = "/admin/apps/{appKey}/settings"
CLEANING = {"channelType": 1, "fromUserId": "bob", "channelId": "ann"}

# A new route is not done before it stands here: who may call it, and a body that is right.
EXPECTED: dict[tuple[str, str], tuple[Caller, Any]] = {
    ("POST", SEND): (
        Caller.APP,
        {"fromUserId": "ann", "toUserIds": ["bob"], "messageType": "x", "content": "y"},
    ),
    ("POST", HISTORY): (
        Caller.APP,
        {"userId": "bob", "channelId": "ann", "startAt": 1, "endAt": 1, "includeStart": True},
    ),
    ("POST", CLEAN): (Caller.APP, CLEANING),
    ("POST", DELETE): (Caller.APP, CLEANING),
    ("POST", SYNC): (Caller.APP, {"userId": "bob", "deviceId": "phone"}),
    ("POST", ACK): (
        Caller.APP,
        {
            "userId": "bob",
            "deviceId": "phone",
            "delivered": [{"channelType": 1, "channelId": "ann", "messageId": "(sent before)"}],
        },
    ),
    ("POST", "/admin/apps"): (Caller.ADMIN, {"name": "new"}),
    ("GET", "/admin/apps"): (Caller.ADMIN, None),
    ("GET", SETTINGS): (Caller.ADMIN, None),
    ("PATCH", SETTINGS): (Caller.ADMIN, {"missedDays": 3}),
    ("GET", "/healthz"): (Caller.ANYONE, None),
    ("GET", "/readyz"): (Caller.ANYONE, None),
}
MAY: dict[str, set[Caller]] = {
    "nobody": {Caller.ANYONE},
    "wrong signature": {Caller.ANYONE},
    "signature of another app": {Caller.ANYONE},
    "admin key": {Caller.ANYONE, Caller.ADMIN},
    "API key": {Caller.ANYONE},
    "its own signature": {Caller.ANYONE, Caller.APP},
}


@pytest.fixture
async def api(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    async with open_api(database_url, redis_url) as opened:
        yield opened


async def headers_of(api: Api, caller: str) -> dict[str, str]:
    """How a caller of this kind shows himself."""
    if caller == "nobody":
        return {}
    if caller in ("admin key", "API key"):
        return {"Authorization": f"Bearer {api.admin_key if caller == 'admin key' else api.keys.api_key}"}
    secret = {
        "wrong signature": "wrong",
        "signature of another app": (await api.new_app()).secret,
        "its own signature": api.keys.secret,
    }[caller]
    return signed(Keys(app_key=api.keys.app_key, secret=secret), timestamp=api.now_ms)


async def ask(api: Api, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
    """The call, with what it needs filled in."""
    if path == ACK:
        item = {**body["delivered"][0], "messageId": (await api.send())[0]}
        body = {**body, "delivered": [item]}
    data = None if body is None else json.dumps(body).encode()
    return await api.request(method, path.replace("{appKey}", api.keys.app_key), data=data, headers=headers)


def test_every_route_is_in_the_matrix_with_its_caller() -> None:
    assert {(route.method, route.path): route.caller for route in ROUTES} == {
        route: caller for route, (caller, _) in EXPECTED.items()
    }


@pytest.mark.parametrize("caller", MAY)
async def test_each_caller_reaches_what_is_his_and_nothing_else(api: Api, caller: str) -> None:
    for (method, path), (needed, body) in EXPECTED.items():
        headers = await headers_of(api, caller)
        before = await api.everything()
        answer = await ask(api, method, path, body, headers)
        if needed in MAY[caller]:
            assert answer.status == 200, (method, path, answer.body)
        else:
            answer.refused(401, 1004)
            if path != ACK:
                assert await api.everything() == before


def test_every_path_is_there_once_and_names_its_handler() -> None:
    assert len(ROUTES) == len({(route.method, route.path) for route in ROUTES})
    assert all(route.summary and route.handler.__doc__ for route in ROUTES)

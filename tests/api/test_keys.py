"""Keys of an app: shown once, used, seen to be used, revoked; and an app secret that is changed while clients still run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from history.axis import SECOND
from tests.api.client import SYNC, Api, Keys, open_api

BODY = {"userId": "bob", "deviceId": "phone"}


def path(api: Api, keys: Keys | None = None) -> str:
    return f"/admin/apps/{(keys or api.keys).app_key}/keys"


async def listed(api: Api, keys: Keys | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.admin("GET", path(api, keys))).json["keys"]
    return found


async def one(api: Api, name: str, key: str = "") -> dict[str, Any]:
    """The key of this name, asked for with the admin key or another one."""
    keys = (await api.bearing(key or api.admin_key, "GET", path(api))).json["keys"]
    (found,) = (item for item in keys if item["name"] == name)
    return dict(found)


async def opens(api: Api, keys: Keys) -> bool:
    answer = await api.post(SYNC, BODY, keys=keys)
    if answer.status != 200:
        answer.refused(401, 1004)
    return answer.status == 200


@pytest.mark.parametrize("scope", ["api", "admin", "admin-read"])
async def test_a_key_is_shown_once_and_stored_hashed(api: Api, scope: str) -> None:
    made = (await api.admin("POST", path(api), {"name": "dash", "scope": scope})).json
    assert set(made) == {"id", "name", "scope", "key"}
    assert (made["name"], made["scope"]) == ("dash", scope)
    assert made["key"].startswith("tm_api_" if scope == "api" else "tm_admin_")
    answer = await api.admin("GET", path(api))
    assert await one(api, "dash") == {
        "id": made["id"],
        "name": "dash",
        "scope": scope,
        "createdAt": api.now_ms,
        "lastUsedAt": None,
    }
    stored = str(await api.everything()) + answer.body.decode()
    for text in (made["key"], made["key"].encode().hex(), made["key"].split("_", 2)[2]):
        assert text not in stored


async def test_keys_are_listed_oldest_first_for_their_app_alone(api: Api) -> None:
    other = await api.new_app()
    for name in ("second", "third"):
        api.clock.advance(SECOND)
        await api.admin("POST", path(api), {"name": name, "scope": "api"})
    assert [key["name"] for key in await listed(api)] == ["first", "second", "third"]
    assert [key["name"] for key in await listed(api, other)] == ["first"]


async def test_a_revoked_key_opens_nothing_from_now_on(api: Api) -> None:
    text = await api.key("admin")
    mine = (await one(api, "admin"))["id"]
    assert (await api.bearing(text, "GET", path(api))).status == 200
    for wrong in (str(uuid4()), "nope", mine[:-1]):
        (await api.admin("DELETE", f"{path(api)}/{wrong}")).refused(404, 404)
    # a key may take itself away
    assert (await api.bearing(text, "DELETE", f"{path(api)}/{mine}")).json == {}
    (await api.bearing(text, "GET", path(api))).refused(401, 1004)
    (await api.admin("DELETE", f"{path(api)}/{mine}")).refused(404, 404)
    assert [key["name"] for key in await listed(api)] == ["first"]


async def test_the_last_use_of_a_key_is_seen_to_the_minute(api: Api) -> None:
    text = await api.key("admin-read")
    # the call that lists is itself a use of this key
    seen = [(await one(api, "admin-read", text))["lastUsedAt"]]
    first = api.now_ms
    for seconds in (60, 1):
        api.clock.advance(seconds * SECOND)
        seen.append((await one(api, "admin-read", text))["lastUsedAt"])
    assert seen == [first, first, first + 61_000]
    # a call that it may not make is one too, a call with another key is none
    api.clock.advance(90 * SECOND)
    assert (await one(api, "admin-read"))["lastUsedAt"] == first + 61_000
    (await api.bearing(text, "POST", path(api), {"name": "x", "scope": "api"})).refused(403, 403)
    assert (await one(api, "admin-read"))["lastUsedAt"] == api.now_ms


async def test_the_secret_before_is_good_until_the_overlap_ends_and_not_after(
    api: Api, redis_url: str
) -> None:
    async with open_api(api.database_url, redis_url, like=api, clock=api.clock) as second:
        assert await opens(second, api.keys)
        answer = await api.admin("POST", f"/admin/apps/{api.keys.app_key}/secret", {"overlapSeconds": 100})
        assert set(answer.json) == {"appSecret"}
        new = replace(api.keys, secret=answer.json["appSecret"])
        assert (await opens(api, api.keys), await opens(api, new)) == (True, True)
        api.clock.advance(99 * SECOND)
        for process in (api, second):
            assert (await opens(process, api.keys), await opens(process, new)) == (True, True)
        api.clock.advance(SECOND)
        for process in (api, second):
            assert (await opens(process, api.keys), await opens(process, new)) == (False, True)


async def test_the_secret_before_last_ends_at_once(api: Api) -> None:
    secrets = [api.keys.secret]
    for _ in range(2):
        rotated = await api.admin("POST", f"/admin/apps/{api.keys.app_key}/secret", {})
        secrets.append(rotated.json["appSecret"])
    assert [await opens(api, replace(api.keys, secret=one)) for one in secrets] == [False, True, True]
    api.clock.advance(86_400 * SECOND)
    assert [await opens(api, replace(api.keys, secret=one)) for one in secrets] == [False, False, True]


async def test_without_an_overlap_the_secret_before_ends_at_once(api: Api) -> None:
    rotated = await api.admin("POST", f"/admin/apps/{api.keys.app_key}/secret", {"overlapSeconds": 0})
    new = replace(api.keys, secret=rotated.json["appSecret"])
    assert (await opens(api, api.keys), await opens(api, new)) == (False, True)

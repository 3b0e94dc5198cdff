"""The settings of an app's Tencent surface: a number of its own, an admin, and a key that nobody is shown."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from history.axis import SECOND
from server.calls import SERVICES
from tests.api.client import Answer, Api

KEY = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"


async def patch(api: Api, **settings: object) -> Answer:
    return await api.admin("PATCH", f"/admin/apps/{api.keys.app_key}/settings", settings)


async def settings(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = (await api.admin("GET", f"/admin/apps/{api.keys.app_key}/settings")).json
    return {name: value for name, value in found.items() if name.startswith("tencent")}


async def key_of(api: Api) -> str | None:
    """What UserSigs are verified with."""
    api.clock.advance(SECOND)
    return (await api.client.app[SERVICES].apps.find(api.keys.app_key)).tencent_key


async def test_the_key_is_kept_and_never_shown(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answer = await patch(api, tencentSdkAppId=1400000000, tencentKey=KEY)
    assert answer.status == 200
    assert await settings(api) == {
        "tencentSdkAppId": 1400000000,
        "tencentAdmin": "administrator",
        "tencentKey": True,
    }
    assert await key_of(api) == KEY
    app = await api.client.app[SERVICES].apps.find(api.keys.app_key)
    shown = [
        answer.body.decode(),
        str(await settings(api)),
        str(await api.everything()),
        repr(app),
        caplog.text,
        (await api.admin("GET", "/admin/apps")).body.decode(),
    ]
    for text in shown:
        assert KEY not in text
        assert KEY.encode().hex() not in text


async def test_other_changes_leave_the_key_and_null_takes_it_away(api: Api) -> None:
    await patch(api, tencentSdkAppId=7, tencentKey=KEY)
    await patch(api, undoSeconds=5)
    await patch(api, tencentAdmin=None)
    assert (await settings(api), await key_of(api)) == (
        {"tencentSdkAppId": 7, "tencentAdmin": "administrator", "tencentKey": True},
        KEY,
    )
    await patch(api, tencentKey="another", tencentAdmin="root")
    assert await key_of(api) == "another"
    await patch(api, tencentSdkAppId=None)
    assert (await settings(api))["tencentSdkAppId"] is None
    assert await key_of(api) == "another"
    await patch(api, tencentKey=None)
    assert await settings(api) == {"tencentSdkAppId": None, "tencentAdmin": "root", "tencentKey": False}
    assert await key_of(api) is None


async def test_a_number_is_of_one_app(api: Api) -> None:
    other = await api.new_app()
    path = f"/admin/apps/{other.app_key}/settings"
    await patch(api, tencentSdkAppId=7)
    before = await api.everything()
    # what stands beside it does not count either
    answer = await api.admin("PATCH", path, {"tencentSdkAppId": 7, "tencentKey": KEY, "undoSeconds": 5})
    answer.refused(409, 409, "tencentSdkAppId")
    assert await api.everything() == before
    assert (await patch(api, tencentSdkAppId=7)).status == 200
    await patch(api, tencentSdkAppId=None)
    assert (await api.admin("PATCH", path, {"tencentSdkAppId": 7})).status == 200


async def test_a_sealed_key_opens_for_its_app_and_purpose_alone(api: Api) -> None:
    """A row that was copied, or a column put in the place of another, opens nothing."""
    other = await api.new_app()
    await patch(api, tencentKey=KEY)
    await api.rows(
        "UPDATE apps SET tencent_key = (SELECT tencent_key FROM apps WHERE app_key = $1)", api.keys.app_key
    )
    api.clock.advance(SECOND)
    body = {"userId": "bob", "deviceId": "phone"}
    assert (await api.post("/v4/user/message/sync", body)).status == 200
    (await api.post("/v4/user/message/sync", body, keys=other)).refused(500, 1000)
    await api.rows("UPDATE apps SET tencent_key = secret")
    api.clock.advance(SECOND)
    for keys in (api.keys, other):
        (await api.post("/v4/user/message/sync", body, keys=replace(keys))).refused(500, 1000)


async def test_the_key_is_not_changed_beside_retention_days(api: Api) -> None:
    (await patch(api, retentionDays=9, tencentKey=KEY)).refused(400, 1002, "retentionDays")
    (await patch(api, retentionDays=9, tencentSdkAppId=None)).refused(400, 1002, "retentionDays")
    assert not (await settings(api))["tencentKey"]

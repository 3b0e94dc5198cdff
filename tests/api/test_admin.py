"""The admin API: apps, and settings that are obeyed at once or within a second."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

import pytest

from history.axis import SECOND
from tests.api.client import Api, Keys, open_api

DEFAULTS: dict[str, object] = {
    "multiDeviceSync": True,
    "compensationDays": 1,
    "compensationTimeZone": "UTC",
    "deleteCompensatedOnClean": False,
    "missedDays": 7,
    "undoSeconds": 86_400,
    "cleanRateLimit": 100,
    "maxContentBytes": 131_072,
    "signatureMaxAgeSeconds": 0,
    "rejectReplayedNonces": False,
    "directGroupStorage": True,
    "openStorage": True,
    "deviceDays": 90,
    "leftDays": 30,
    "recallDays": 30,
    "journalDays": 365,
    "tokenDays": 365,
    "idempotencyHours": 24,
    "retentionDays": 0,
    "syncConversationDeletion": False,
    "tencentSdkAppId": None,
    "tencentAdmin": "administrator",
    "tencentKey": False,
    "mediaMaxBytes": 20_971_520,
    "mediaTypes": "*/*",
    "mediaUnusedHours": 24,
}
RANGES = {
    "compensationDays": (0, 7),
    "missedDays": (1, 7),
    "undoSeconds": (0, 30 * 86_400),
    "cleanRateLimit": (0, 1_000_000),
    "maxContentBytes": (1, 1_048_576),
    "signatureMaxAgeSeconds": (0, 86_400),
    "deviceDays": (8, 3650),
    "leftDays": (1, 3650),
    "recallDays": (8, 3650),
    "journalDays": (31, 3650),
    "tokenDays": (1, 3650),
    "idempotencyHours": (1, 720),
    "tencentSdkAppId": (1, 4_294_967_295),
}
# of a key that is there only that is shown
SWITCHES = [name for name, value in DEFAULTS.items() if isinstance(value, bool) and name != "tencentKey"]


def path(api: Api) -> str:
    return f"/admin/apps/{api.keys.app_key}/settings"


async def test_an_app_is_made_and_its_keys_work(api: Api) -> None:
    answer = await api.admin("POST", "/admin/apps", {"name": "böt"})
    assert answer.status == 200
    assert set(answer.json) == {"name", "appKey", "appSecret", "apiKey"}
    assert answer.json["name"] == "böt"
    keys = Keys(app_key=answer.json["appKey"], secret=answer.json["appSecret"])
    assert await api.history(keys=keys) == []


async def test_apps_are_listed_oldest_first_without_secrets(api: Api) -> None:
    api.clock.advance(SECOND)
    second = await api.new_app("second")
    answer = await api.admin("GET", "/admin/apps")
    assert answer.json == {
        "apps": [
            {"appKey": api.keys.app_key, "name": "test", "createdAt": api.now_ms - 1000},
            {"appKey": second.app_key, "name": "second", "createdAt": api.now_ms},
        ]
    }


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": None}, {"name": 7}, {"name": "a\0b"}, {"name": ["x"]}]
)
async def test_a_name_that_is_none_is_refused(api: Api, body: object) -> None:
    (await api.admin("POST", "/admin/apps", body)).refused(400, 1002, "name")
    (await api.admin("POST", "/admin/apps", {"name": "x" * 65})).refused(400, 1005, "name")
    assert len((await api.everything())["apps"]) == 1


async def test_settings_begin_as_documented(api: Api) -> None:
    assert (await api.admin("GET", path(api))).json == DEFAULTS


async def test_a_patch_changes_what_it_names_and_answers_all(api: Api) -> None:
    changes = {"undoSeconds": 0, "multiDeviceSync": False, "compensationTimeZone": "Europe/Berlin"}
    for _ in range(2):
        answer = await api.admin("PATCH", path(api), changes)
        assert (answer.status, answer.json) == (200, {**DEFAULTS, **changes})
    assert (await api.admin("PATCH", path(api), {})).json == {**DEFAULTS, **changes}
    assert (await api.admin("PATCH", path(api), dict.fromkeys(DEFAULTS))).json == {**DEFAULTS, **changes}


@pytest.mark.parametrize(("name", "least", "most"), [(name, *range_) for name, range_ in RANGES.items()])
async def test_both_ends_of_a_range_are_taken_and_nothing_beyond(
    api: Api, name: str, least: int, most: int
) -> None:
    for value in (least, most):
        assert (await api.admin("PATCH", path(api), {name: value})).json[name] == value
    before = await api.everything()
    wrong: list[Any] = [least - 1, most + 1, -(10**30), 10**30, str(least), "", 1.5, True, [], {}]
    for value in wrong:
        # what stands beside a wrong value does not count either
        answer = await api.admin("PATCH", path(api), {"deleteCompensatedOnClean": True, name: value})
        answer.refused(400, 1002, name)
    assert await api.everything() == before


@pytest.mark.parametrize("name", SWITCHES)
async def test_a_switch_is_true_or_false(api: Api, name: str) -> None:
    before = await api.everything()
    wrong: list[Any] = [0, 1, "true", "", [], {}]
    for value in wrong:
        (await api.admin("PATCH", path(api), {name: value})).refused(400, 1002, name)
    assert await api.everything() == before
    for switch in (True, False):
        assert (await api.admin("PATCH", path(api), {name: switch})).json[name] is switch


async def test_a_setting_that_is_none_is_refused(api: Api) -> None:
    before = await api.everything()
    for name in ("undoSecond", "undo_seconds", "", "UndoSeconds", "__class__"):
        (await api.admin("PATCH", path(api), {"missedDays": 3, name: 0})).refused(400, 1002, name)
    assert await api.everything() == before


async def test_only_zones_that_python_and_postgres_both_know(api: Api) -> None:
    theirs = {row["name"] for row in await api.rows("SELECT name FROM pg_timezone_names")}
    ours = available_timezones()
    wrong = {
        "Mars/X",
        "utc ",
        "europe/berlin",
        "../etc/passwd",
        "/etc/passwd",
        "EST5EDT,M3.2.0,M11.1.0",
        "+02",
    }
    wrong |= {*sorted(ours - theirs)[:5], *sorted(theirs - ours)[:5], "\0", "UTC\0", ""}
    before = await api.everything()
    for zone in wrong:
        (await api.admin("PATCH", path(api), {"missedDays": 3, "compensationTimeZone": zone})).refused(
            400, 1002, "compensationTimeZone"
        )
    (await api.admin("PATCH", path(api), {"compensationTimeZone": "x" * 65})).refused(400, 1005)
    assert await api.everything() == before
    for zone in ("Asia/Shanghai", "Pacific/Apia", "America/Sao_Paulo", "Asia/Kathmandu"):
        assert (await api.admin("PATCH", path(api), {"compensationTimeZone": zone})).status == 200


@pytest.mark.parametrize("app_key", ["nope", "%00", "%FF%FE", "%F0%9F%98%80", "x" * 2000, "%2e%2e", "a%2Fb"])
@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_an_app_that_is_none_is_not_found(api: Api, method: str, app_key: str) -> None:
    body = {"missedDays": 3} if method == "PATCH" else None
    answer = await api.admin(method, f"/admin/apps/{app_key}/settings", body)
    answer.refused(404, 404)


@pytest.mark.parametrize("scheme", ["Bearer {}", "bearer {}", "BEARER  {} "])
async def test_the_admin_key_opens(api: Api, scheme: str) -> None:
    headers = {"Authorization": scheme.format(api.admin_key)}
    assert (await api.request("GET", "/admin/apps", headers=headers)).status == 200


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer {}x", "Bearer \udcff"])
async def test_anything_else_does_not(api: Api, value: str) -> None:
    headers = {"Authorization": value.format(api.admin_key)}
    (await api.request("GET", "/admin/apps", headers=headers)).refused(401, 1004, "Authorization")


async def test_rules_obey_a_change_at_once_on_every_process(api: Api, redis_url: str) -> None:
    async with open_api(api.database_url, redis_url, like=api, clock=api.clock) as second:
        id_ = (await api.send())[0]
        (await api.ack(id_)).done()
        assert await second.given(device="new") == [("hello", "compensation")]
        await api.set(multiDeviceSync=False)
        assert await second.given(device="new") == []
        await api.set(multiDeviceSync=True, compensationDays=0)
        assert await second.given(device="new") == []
        await api.set(compensationDays=1, deleteCompensatedOnClean=True)
        (await second.clean()).done()
        assert await second.given(device="new") == []


async def test_a_larger_window_brings_back_what_is_still_stored(api: Api) -> None:
    id_ = (await api.send())[0]
    (await api.ack(id_)).done()
    api.clock.advance(86_400 * SECOND)
    assert await api.given(device="new") == []
    await api.set(compensationDays=2)
    assert await api.given(device="new") == [("hello", "compensation")]


async def test_limits_obey_a_change_within_a_second_on_another_process(api: Api, redis_url: str) -> None:
    async with open_api(api.database_url, redis_url, like=api, clock=api.clock) as second:
        await second.send(content="four")
        await api.set(maxContentBytes=3)
        api.clock.advance(SECOND)
        body = {"fromUserId": "a", "toUserIds": ["b"], "messageType": "x", "content": "four"}
        (await second.post("/v4/direct-channel/message/send", body)).refused(400, 1005)
        await api.set(cleanRateLimit=1)
        api.clock.advance(SECOND)
        (await second.clean()).done()
        (await second.clean()).refused(429, 1008)

"""Who may call Tencent's REST API, and what is refused by its common codes: in the body, with HTTP 200, changing nothing."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from history.axis import SECOND
from history.errors import DatabaseUnavailable
from tests.api.client import Api
from tests.surfaces import tencent
from tests.surfaces.tencent import ADMIN, APP_ID, KEY, ask, by_hand, done, failed, packed, switch_on, usersig

SEND = "openim/sendmsg"
HELLO: dict[str, Any] = {
    "To_Account": "bob",
    "MsgRandom": 7,
    "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hello"}}],
}


async def unchanged(api: Api, code: int, *words: str, body: object = HELLO, **changes: Any) -> None:
    """It is refused, and nothing happens."""
    before = await api.everything()
    await failed(api, SEND, body, code, *words, **changes)
    assert await api.everything() == before


async def test_the_apps_admin_is_let_in_with_what_the_vendors_package_signs(api: Api) -> None:
    await switch_on(api)
    await done(api, SEND, HELLO)
    await done(api, SEND, {**HELLO, "MsgRandom": 8}, usersig=by_hand(api.now_ms // 1000))
    assert await api.contents("bob", ADMIN) == ['{"content":"hello"}'] * 2


async def test_a_url_that_lacks_or_spoils_a_word_is_refused_by_its_code(api: Api) -> None:
    await switch_on(api)
    now = api.now_ms // 1000
    await unchanged(api, 60012, "sdkappid", sdkappid=None)
    for text in (APP_ID + 1, "x", "0", "-1", "٣", "1" * 30, f"{APP_ID}.0", f" {APP_ID}"):
        await unchanged(api, 60006, "sdkappid", sdkappid=text)
    await unchanged(api, 60004, "identifier", identifier=None)
    await unchanged(api, 60004, identifier="")
    await unchanged(api, 60005, "usersig", usersig=None)
    await unchanged(api, 70003, usersig="garbage")
    await unchanged(api, 70003, usersig=usersig(now)[:-3])
    await unchanged(api, 70003, usersig=packed(b" " * 2_000_000 + b"{}"))
    await unchanged(api, 70009, usersig=usersig(now, key=KEY[::-1]))
    await unchanged(api, 70013, usersig=usersig(now, identifier="bob"))
    await unchanged(api, 70013, identifier="bob")
    await unchanged(api, 70014, usersig=usersig(now, app_id=APP_ID + 1))
    await unchanged(api, 70001, "expired", usersig=usersig(now - 60, expire=60))
    await unchanged(api, 60002, "contenttype", contenttype="protobuf")
    # what nobody needs
    await done(api, SEND, HELLO, random=None, contenttype=None)


async def test_only_the_admin_may_call_whoever_can_sign(api: Api) -> None:
    await switch_on(api)
    now = api.now_ms // 1000
    await unchanged(api, 60010, "tencentAdmin", identifier="bob", usersig=usersig(now, identifier="bob"))
    await api.set(tencentAdmin="bob")
    await done(
        api, SEND, {**HELLO, "To_Account": "cid"}, identifier="bob", usersig=usersig(now, identifier="bob")
    )
    api.clock.advance(2 * SECOND)
    await unchanged(api, 60010)


async def test_the_surface_is_there_while_its_number_and_key_are_set(api: Api) -> None:
    await failed(api, SEND, HELLO, 60006)
    await api.set(tencentSdkAppId=APP_ID)
    await failed(api, SEND, HELLO, 60006, "tencentKey")
    await api.set(tencentKey=KEY)
    api.clock.advance(SECOND)
    await done(api, SEND, HELLO)
    await api.set(tencentKey="another")
    await failed(api, SEND, HELLO, 70009)
    await api.set(tencentKey=None)
    await failed(api, SEND, HELLO, 60006)
    await api.set(tencentKey=KEY, tencentSdkAppId=None)
    await failed(api, SEND, HELLO, 60006)


async def test_a_number_leads_to_its_own_app_alone(api: Api) -> None:
    await switch_on(api)
    other = await api.new_app()
    path = f"/admin/apps/{other.app_key}/settings"
    changed = await api.admin("PATCH", path, {"tencentSdkAppId": APP_ID + 1, "tencentKey": KEY[::-1]})
    assert changed.status == 200
    await done(api, SEND, HELLO)
    now = api.now_ms // 1000
    # the key of one app signs nothing for another
    await failed(
        api, SEND, HELLO, 70009, sdkappid=APP_ID + 1, usersig=usersig(now, app_id=APP_ID + 1, key=KEY)
    )
    theirs = usersig(now, app_id=APP_ID + 1, key=KEY[::-1])
    await done(api, SEND, HELLO, sdkappid=APP_ID + 1, usersig=theirs)
    assert len(await api.contents("bob", ADMIN)) == 1
    assert len(await api.contents("bob", ADMIN, keys=other)) == 1


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"7", b"null", b'"x"', b'{"a":"\xff"}', b"a=b", b"[" * 100_000, b"\x00"]
)
async def test_a_body_that_is_no_object_is_60003(api: Api, body: bytes) -> None:
    await switch_on(api)
    await unchanged(api, 60003, "JSON", body=body)


async def test_a_body_may_be_missing_and_come_as_anything(api: Api) -> None:
    await switch_on(api)
    await failed(api, SEND, None, 90003, "To_Account")
    words = urlencode(tencent.query(api.now_ms // 1000))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    data = json.dumps(HELLO).encode()
    answer = await api.request("POST", f"/v4/{SEND}?{words}", data=data, headers=headers)
    assert answer.json["ActionStatus"] == "OK"
    large = json.dumps({**HELLO, "more": "x" * 9 * 1024 * 1024}).encode()
    await failed(api, SEND, large, 60002)


async def test_another_method_is_60002_and_another_path_our_404(api: Api) -> None:
    await switch_on(api)
    words = urlencode(tencent.query(api.now_ms // 1000))
    for method in ("GET", "PUT", "DELETE"):
        answer = await api.request(method, f"/v4/{SEND}?{words}")
        assert (answer.status, answer.json["ActionStatus"], answer.json["ErrorCode"]) == (200, "FAIL", 60002)
        assert answer.headers["Allow"] == "POST"
    for path in ("/v4/openim/nothing", "/v4/openim", "/v4/recentcontact/get_list", "/v4/openim/sendmsg/"):
        (await api.request("POST", f"{path}?{words}", data=b"{}")).refused(404, 404)
    # our own calls answer as ever
    (await api.request("GET", "/v4/message/delete")).refused(405, 1007)


async def test_too_many_cleans_in_a_second_are_60007(api: Api) -> None:
    await switch_on(api, cleanRateLimit=1)
    await api.do("group-channel/create", channelId="g", name="g", owner="ann")
    await done(api, "group_open_http_svc/clear_group_msg", {"GroupId": "g"})
    answer = await ask(api, "group_open_http_svc/clear_group_msg", {"GroupId": "g"})
    assert (answer.status, answer.json["ErrorCode"], answer.headers["Retry-After"]) == (200, 60007, "1")


FAILURES = {"recentcontact/delete": 50004, "group_open_http_svc/clear_group_msg": 10002, SEND: 91000}
AWAY = {**FAILURES, "recentcontact/delete": 50005, SEND: 90992}


@pytest.mark.parametrize("command", FAILURES)
async def test_a_failure_of_ours_has_a_code_and_no_detail(
    api: Api, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the secret of the house")

    await switch_on(api)
    monkeypatch.setattr("history.apps.service.Apps.find_tencent", break_down)
    assert "secret" not in await failed(api, command, {}, FAILURES[command])


@pytest.mark.parametrize("command", AWAY)
async def test_a_database_that_is_away_has_a_code(
    api: Api, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("The database does not answer; try again in a few seconds.")

    await switch_on(api)
    monkeypatch.setattr("history.apps.service.Apps.find_tencent", away)
    await failed(api, command, {}, AWAY[command], "try again")

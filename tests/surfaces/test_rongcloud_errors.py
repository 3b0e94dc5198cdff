"""What RongCloud's calls refuse, with which code and status; and what is answered when it is not the caller's fault."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from history.errors import ClockJumped, DatabaseUnavailable, OutcomeUnknown, Overloaded
from server.app import MOST_BODY_BYTES
from server.surfaces.rongcloud import ROUTES
from tests.api.client import Api, Keys, open_api, signed
from tests.surfaces.rongcloud import CLEAN, FORM, JSON, Rong
from tests.surfaces.wrong_rongcloud import ABSENT, EXTRAS, NOW, QUERIES, ROOMS, SENDS, TABLE, fields_of

NO_REDIS = "unix:///nonexistent/redis.sock"


@pytest.fixture
def rong(api: Api) -> Rong:
    return Rong(api=api)


async def test_every_wrong_value_is_refused_by_name_and_changes_nothing(rong: Rong) -> None:
    await rong.do("group/create", userId=["ann"], groupId="g", groupName="G")
    before = await rong.api.everything()
    for path, name, value, code in TABLE:
        # a field that is not theirs, so that something is left
        body = {"other": "x", **fields_of(path), name: value}
        if value is ABSENT:
            del body[name]
        answer = await rong.form(path, **body)
        assert (answer.status, answer.code) == (400, code), (path, name, value, answer.body)
        sentence = answer.refused(400, code)
        # two ends stand in one sentence, and a list in one group's words
        assert name in sentence or name in ("endTime", "toGroupId"), (path, name, sentence)
    assert await rong.api.everything() == before


def test_the_table_has_every_field_of_every_call() -> None:
    there = {
        (route.path[1:].removesuffix(".json"), name)
        for route in ROUTES
        if route.body is not None
        for name in route.body.__struct_fields__
    }
    apart = {("chatroom/create", "chatroom")} | {(path, "extraContent") for path in SENDS}
    # who else may read it is the group's own list of users
    apart |= {("message/group/publish", "toUserId")}
    assert there == {(path, name) for path, name, _, _ in TABLE} | apart


async def test_a_wrong_list_of_chatrooms_makes_none_of_them(rong: Rong) -> None:
    before = await rong.api.everything()
    for fields, code in ROOMS:
        (await rong.form("chatroom/create", **fields)).refused(400, code, "chatroom")
    assert await rong.api.everything() == before


@pytest.mark.parametrize(("extra", "code"), EXTRAS)
async def test_extra_content_is_an_object_of_texts(rong: Rong, extra: str, code: int) -> None:
    body = {**fields_of("message/private/publish"), "expansion": "true", "extraContent": extra}
    (await rong.form("message/private/publish", **body)).refused(400, code, "extraContent")
    assert (await rong.api.rows("SELECT count(*) FROM messages"))[0]["count"] == 0


async def test_the_largest_that_is_allowed_is_taken(rong: Rong) -> None:
    most = {"content": "x" * 131_072, "objectName": "x" * 32, "fromUserId": "é" * 64}
    users = [f"u{number}" for number in range(1000)]
    answer = await rong.do("message/private/publish", **{**most, "toUserId": users})
    assert len(answer["messageUIDs"]) == 1000
    await rong.do("group/create", userId=users, groupId="g" * 64, groupName="名" * 255)
    await rong.do("chatroom/create", **{f"chatroom[{number}]": "n" * 64 for number in range(100)})
    assert len(await rong.publish("chatroom", [str(number) for number in range(10)])) == 10
    await rong.do("chatroom/destroy", chatroomId=[str(number) for number in range(100)])
    await rong.do("user/getToken", userId="b" * 64, name="n" * 128, portraitUri="p" * 1024)


# the forms of a body


async def test_a_body_is_a_form_or_json_by_its_content_type(rong: Rong) -> None:
    form = urlencode(fields_of("user/getToken")).encode()
    for kind in (FORM, f"{FORM}; charset=UTF-8", "Application/x-www-form-urlencoded", None):
        assert (await rong.raw("user/getToken", form, kind)).status == 200, kind
    json_body = b'{"userId":"bob"}'
    for kind in (JSON, "application/json; charset=utf-8"):
        assert (await rong.raw("user/getToken", json_body, kind)).status == 200, kind
    for kind in ("text/plain", "multipart/form-data; boundary=x", "application/xml"):
        (await rong.raw("user/getToken", form, kind)).refused(400, 1002, "Content-Type", FORM)
    (await rong.raw("user/getToken", json_body, FORM)).refused(400, 1002, "userId is missing")
    (await rong.raw("user/getToken", form, JSON)).refused(400, 1002, "JSON")


@pytest.mark.parametrize("kind", [FORM, JSON, None])
@pytest.mark.parametrize("path", [CLEAN, "v3/message/private/query"])
async def test_no_data_is_1003(rong: Rong, path: str, kind: str | None) -> None:
    for body in (b"", b" \r\n"):
        (await rong.raw(path, body, kind)).refused(400, 1003)


@pytest.mark.parametrize("body", [b"a=%FF", b"\xff=1", b"&".join([b"a=b"] * 10_001)])
async def test_what_is_no_form_is_refused(rong: Rong, body: bytes) -> None:
    (await rong.raw("user/getToken", body)).refused(400, 1002, "form")


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"1", b'"x"', b"null", b"[" * 100_000, b'{"userId":"\xff"}', b'{"userId":"\\u0000"}'],
)
async def test_what_is_no_json_object_is_refused(rong: Rong, body: bytes) -> None:
    (await rong.raw("user/getToken", body, JSON)).refused(400, 1002)


async def test_too_much_is_1508(rong: Rong) -> None:
    (await rong.raw("user/getToken", b"x" * (MOST_BODY_BYTES + 1))).refused(413, 1508)


async def test_other_methods_and_other_paths_are_told(rong: Rong) -> None:
    (await rong.api.request("GET", "/user/getToken.json")).refused(405, 1007, "POST")
    # a real call of theirs that is not served: the log files of an hour
    (await rong.form("message/history/delete", date="2014010101")).refused(404, 404)


# who calls


@pytest.mark.parametrize("twins", [False, True])
@pytest.mark.parametrize("case", [str, str.lower, str.upper])
async def test_both_names_of_the_headers_in_any_case(rong: Rong, twins: bool, case: Any) -> None:
    headers = signed(rong.api.keys, timestamp=rong.api.now_ms, twins=twins)
    answer = await rong.raw("user/getToken", b"userId=bob", headers={case(k): v for k, v in headers.items()})
    assert answer.status == 200


async def test_who_does_not_sign_right_is_401(rong: Rong) -> None:
    keys = rong.api.keys
    before = await rong.api.everything()
    for headers, code in (
        ({}, 1004),
        (signed(replace(keys, secret="wrong"), timestamp=1), 1004),
        (signed(Keys(app_key="nobody", secret=keys.secret), timestamp=1), 1001),
    ):
        for route in ROUTES:
            path = route.path[1:].removesuffix(".json")
            (await rong.raw(path, b"userId=bob", headers=headers)).refused(401, code)
    assert await rong.api.everything() == before


# refusals that settings decide


async def test_what_is_not_stored_is_1009(rong: Rong) -> None:
    await rong.api.set(directGroupStorage=False, openStorage=False)
    for number in ("1", "3", "4", "6"):
        fields = {"conversationType": number, "fromUserId": "bob", "targetId": "x"}
        (await rong.form(CLEAN, **fields)).refused(430, 1009)
    for path in QUERIES:
        (await rong.json(path, **fields_of(path))).refused(430, 1009)
    await rong.do("message/private/publish", **fields_of("message/private/publish"))


async def test_too_many_cleans_are_1008(rong: Rong) -> None:
    await rong.api.set(cleanRateLimit=1)
    asked = [rong.form(CLEAN, **fields_of(CLEAN)) for _ in range(10)]
    refused = [answer for answer in await asyncio.gather(*asked) if answer.status != 200]
    assert refused
    for answer in refused:
        answer.refused(429, 1008)
        assert answer.headers["Retry-After"] == "1"
    # v4 and this count together
    assert (await rong.api.clean()).status == 429


# whose failure it is: clients change their host on any 5xx


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Overloaded("Too much."), 429, 1008),
        (DatabaseUnavailable("Away."), 503, 1000),
        (OutcomeUnknown("Unknown."), 503, 1000),
        (ClockJumped("Jumped."), 503, 1000),
        (ZeroDivisionError("the secret of the house"), 500, 1000),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_a_5xx_is_a_failure_of_ours_alone(
    rong: Rong, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: int
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("history.messages.service.Messages.send", fail)
    monkeypatch.setattr("history.retention.service.Cleans.accept", fail)
    for path in ("message/private/publish", CLEAN):
        answer = await rong.form(path, **fields_of(path))
        assert "secret" not in answer.refused(status, code)
        assert answer.headers.get("Retry-After") == (None if status == 500 else "1")


async def test_a_lost_redis_is_no_failure(api: Api) -> None:
    async with open_api(api.database_url, NO_REDIS, like=api) as lonely:
        rong = Rong(api=lonely)
        await rong.publish()
        assert await rong.contents() == ["hello"]
        await rong.clean()
        assert await rong.contents() == []
        await rong.do("user/getToken", userId="bob")


async def test_where_nonces_must_be_new_a_lost_redis_lets_nobody_in(api: Api) -> None:
    await api.set(rejectReplayedNonces=True)
    async with open_api(api.database_url, NO_REDIS, like=api) as lonely:
        (await Rong(api=lonely).form("user/getToken", userId="bob")).refused(503, 1000)
    same = signed(api.keys, timestamp=1)
    assert (await Rong(api=api).raw("user/getToken", b"userId=bob", headers=same)).status == 200
    (await Rong(api=api).raw("user/getToken", b"userId=bob", headers=same)).refused(401, 1004)


FIELDS = sorted({name for route in ROUTES if route.body for name in route.body.__struct_fields__})
NAMES = st.sampled_from([*FIELDS, "chatroom[a]", "chatroom[]", "toUserId[]", "x"])
TEXTS = st.one_of(
    st.sampled_from(
        ["ann", "bob", "g", "o", "1", "3", "4", "6", "0", "", "true", "null", str(NOW), "{}", "[]"]
    ),
    st.text(max_size=8),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
BODIES = st.one_of(
    st.lists(st.tuples(NAMES, TEXTS), max_size=12).map(lambda pairs: (urlencode(pairs).encode(), FORM)),
    st.dictionaries(NAMES, ANYTHING, max_size=12).map(lambda body: (json.dumps(body).encode(), JSON)),
    st.tuples(st.binary(max_size=40), st.sampled_from([FORM, JSON, None])),
)


async def test_no_request_is_ever_a_failure_of_ours(rong: Rong) -> None:
    await rong.api.set(cleanRateLimit=0)
    await rong.do("group/create", userId=["ann", "bob"], groupId="g", groupName="G")
    await rong.do("chatroom/create", **{"chatroom[o]": "O"})
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=300,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(route=st.sampled_from(ROUTES), body=BODIES)
    def run(route: Any, body: tuple[bytes, str | None]) -> None:
        asked = rong.raw(route.path[1:].removesuffix(".json"), *body)
        answer = asyncio.run_coroutine_threadsafe(asked, loop).result(10)
        assert answer.status in (200, 400, 404), (route.path, body, answer.body)
        assert answer.code == 200 if answer.status == 200 else set(answer.json) == {"code", "errorMessage"}

    await asyncio.to_thread(run)

"""What a user has: conversations, devices, and access tokens that speak for him alone."""

from __future__ import annotations

from typing import Any

from history.axis import DAY, MILLISECOND, SECOND
from tests.api.client import CLEAN, SYNC, Api

LIST = "/v4/user/conversation/list"
DEVICES = "/v4/user/device/list"


async def conversations(api: Api, user: str = "bob", **more: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.do("user/conversation/list", userId=user, **more))[
        "conversations"
    ]
    return found


async def devices(api: Api, user: str = "bob") -> list[str]:
    return [one["deviceId"] for one in (await api.do("user/device/list", userId=user))["devices"]]


async def issue(api: Api, user: str = "bob") -> str:
    answer = await api.do("auth/access-token/issue", userId=user, name="Bob")
    assert answer["userId"] == user
    text: str = answer["accessToken"]
    return text


async def works(api: Api, token: str, user: str = "bob") -> bool:
    """Whether the token opens; if not it must be the documented refusal."""
    answer = await api.bearing(token, "POST", DEVICES, {"userId": user})
    if answer.status == 200:
        return True
    answer.refused(401, 1004, "access token")
    return False


async def test_conversations_come_newest_first_with_all_that_a_list_shows(api: Api) -> None:
    old = (await api.send(content="old"))[0]
    api.clock.advance(SECOND)
    await api.do("group-channel/create", channelId="g", name="g", owner="bob")
    body = {"fromUserId": "news", "messageType": "x", "content": "hi", "toUserIds": ["bob"]}
    new = (await api.do("system-channel/message/send", **body))["messageIds"][0]["messageId"]
    system, direct, group = await conversations(api)
    assert (system["channelType"], system["channelId"]) == (6, "news")
    assert system["lastMessage"] == {
        "fromUserId": "news",
        "messageId": new,
        "position": api.clock.now(),
        "sentAt": api.now_ms,
        "messageType": "x",
        "content": "hi",
        "hasMetadata": False,
    }
    del system["lastMessage"], system["channelId"], system["channelType"]
    assert system == {
        "lastActivityAt": api.now_ms,
        "unread": 1,
        "unreadMore": False,
        "readPosition": 0,
        "deliveredPosition": 0,
        "historyFrom": 0,
        "pinned": False,
        "muted": False,
        "archived": False,
    }
    assert (direct["channelId"], direct["lastMessage"]["messageId"], direct["unread"]) == ("ann", old, 1)
    assert (group["channelId"], group["lastMessage"], group["lastActivityAt"]) == ("g", None, 0)
    assert [one["channelId"] for one in await conversations(api, "ann")] == ["bob"]
    assert (await conversations(api, "ann"))[0]["unread"] == 0
    assert await conversations(api, "nobody") == []


async def test_pages_of_conversations_meet_without_gap_or_repetition(api: Api) -> None:
    names = [f"user{number}" for number in range(7)]
    for name in names:
        await api.send(name, "bob")
        api.clock.advance(MILLISECOND)
    await api.send("zoe", *[f"many{number}" for number in range(3)], "bob")
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await api.do("user/conversation/list", userId="bob", pageSize=3, cursor=cursor)
        assert len(page["conversations"]) <= 3
        seen += [one["channelId"] for one in page["conversations"]]
        cursor = page.get("cursor")
    assert seen == ["zoe", *names[::-1]]


async def test_unread_counts_what_others_sent_above_the_mark(api: Api) -> None:
    ids = [(await api.send(content=str(number)))[0] for number in range(3)]
    await api.send("bob", "ann", content="mine", isEchoToSender=1)
    assert (await conversations(api))[0]["unread"] == 3
    read = {"userId": "bob", "channelType": 1, "channelId": "ann"}
    await api.do("user/conversation/read", **read, messageId=ids[1])
    (one,) = await conversations(api)
    assert (one["unread"], one["readPosition"]) == (1, api.clock.now() + 1)
    # the mark only rises
    await api.do("user/conversation/read", **read, messageId=ids[0])
    assert (await conversations(api))[0]["unread"] == 1
    await api.do("user/conversation/read", **read)
    assert (await conversations(api))[0]["unread"] == 0
    assert (await conversations(api, "ann"))[0]["unread"] == 1
    await api.send(content="later")
    assert (await conversations(api))[0]["unread"] == 1


async def test_unread_stops_at_a_thousand_and_says_so(api: Api) -> None:
    await api.do("group-channel/create", channelId="g", name="g", owner="bob")
    await api.send("ann")
    (one,) = await api.rows("SELECT id FROM channels WHERE type = 1")
    for more, expected in ((999, (1000, False)), (1, (1000, True))):
        await api.rows(
            """INSERT INTO messages (channel_id, position, flags, sender, type, content)
               SELECT $1, last_position + n, 1, 'ann', 'x', 'y' FROM channels, generate_series(1, $2::int) n WHERE id = $1""",
            one["id"],
            more,
        )
        await api.rows(
            "UPDATE channels SET last_position = last_position + $2 WHERE id = $1", one["id"], more
        )
        view = next(one for one in await conversations(api) if one["channelType"] == 1)
        assert (view["unread"], view["unreadMore"]) == expected


async def test_a_list_is_right_after_every_clean_join_and_leave(api: Api) -> None:
    await api.send(content="old")
    (await api.post(CLEAN, {"channelType": 1, "fromUserId": "bob", "channelId": "ann"})).done()
    (one,) = await conversations(api)
    assert (one["lastMessage"], one["unread"], one["lastActivityAt"]) == (None, 0, api.now_ms)
    assert one["historyFrom"] == api.clock.now() + 1
    assert (await conversations(api, "ann"))[0]["historyFrom"] == 0
    await api.send(content="new")
    assert (await conversations(api))[0]["lastMessage"]["content"] == "new"
    await api.do("group-channel/create", channelId="g", name="g", owner="ann")
    group = {"fromUserId": "ann", "toChannelIds": ["g"], "messageType": "x"}
    await api.do("group-channel/message/send", **group, content="before")
    await api.do("group-channel/join", channelId="g", userIds=["bob"])
    joined = next(one for one in await conversations(api) if one["channelType"] == 3)
    assert (joined["lastMessage"], joined["unread"]) == (None, 0)
    await api.do("group-channel/message/send", **group, content="after")
    joined = next(one for one in await conversations(api) if one["channelType"] == 3)
    assert (joined["lastMessage"]["content"], joined["unread"]) == ("after", 1)
    await api.do("group-channel/leave", channelId="g", userIds=["bob"])
    assert [one["channelType"] for one in await conversations(api)] == [1]


async def test_devices_are_listed_last_used_first_and_may_be_forgotten(api: Api) -> None:
    id_ = (await api.send())[0]
    await api.sync(device="phone")
    api.clock.advance(2 * 3_600 * SECOND)
    (await api.ack(id_, device="tablet")).done()
    assert await devices(api) == ["tablet", "phone"]
    api.clock.advance(2 * 3_600 * SECOND)
    await api.sync(device="phone")
    listed = (await api.do("user/device/list", userId="bob"))["devices"]
    assert listed[0] == {
        "deviceId": "phone",
        "createdAt": api.now_ms - 4 * 3_600_000,
        "lastSeenAt": api.now_ms,
    }
    # a removed device is a new one when it comes again
    assert await api.given(device="tablet") == []
    remove = {"userId": "bob", "deviceId": "tablet"}
    for _ in range(2):
        await api.do("user/device/remove", **remove)
    assert (await devices(api), await devices(api, "ann")) == (["phone"], [])
    assert await api.given(device="tablet") == [("hello", "compensation")]
    assert sorted(await devices(api)) == ["phone", "tablet"]


async def test_a_token_does_all_that_a_device_does_for_its_own_user(api: Api) -> None:
    id_ = (await api.send())[0]
    token = await issue(api)
    page = (await api.bearing(token, "POST", SYNC, {"userId": "bob", "deviceId": "phone"})).done()
    assert [one["messageId"] for one in page["messages"]] == [id_]
    assert len((await api.bearing(token, "POST", LIST, {"userId": "bob"})).done()["conversations"]) == 1
    for user in ("ann", "BOB", "bob ", "bo"):
        (await api.bearing(token, "POST", LIST, {"userId": user})).refused(403, 403, "userId")
    # a body that names him twice is read as it counts: the last one
    data = b'{"userId":"bob","userId":"ann"}'
    answer = await api.request("POST", LIST, data=data, headers={"Authorization": f"Bearer {token}"})
    answer.refused(403, 403)


async def test_a_token_ends_after_the_apps_days_and_not_before(api: Api) -> None:
    await api.set(tokenDays=1)
    api.clock.advance(SECOND)
    token = await issue(api)
    api.clock.advance(DAY - 1)
    assert await works(api, token)
    api.clock.advance(1)
    assert not await works(api, token)


async def test_tokens_are_let_end_for_the_users_that_are_named(api: Api) -> None:
    tokens = {user: [await issue(api, user), await issue(api, user)] for user in ("bob", "cid", "dan")}
    end = {"userIds": ["bob", "cid", "nobody"], "expiresAt": api.now_ms + 1000}
    await api.do("auth/access-token/expire", **end)
    # never later than it would end anyway
    await api.do("auth/access-token/expire", **{**end, "expiresAt": api.now_ms + 9000})
    api.clock.advance(SECOND - 1)
    assert [await works(api, token) for token in tokens["bob"]] == [True, True]
    api.clock.advance(1)
    for user, expected in (("bob", False), ("cid", False), ("dan", True)):
        assert [await works(api, token, user) for token in tokens[user]] == [expected, expected]
    assert await works(api, await issue(api))


async def test_tokens_are_stored_hashed(api: Api) -> None:
    token = await issue(api)
    stored = str(await api.everything())
    assert token not in stored
    assert token.encode().hex() not in stored
    assert token.removeprefix("tm_user_") not in stored

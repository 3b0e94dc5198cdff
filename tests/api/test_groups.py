"""Groups over HTTP: who is in, who reads what, and what ends."""

from __future__ import annotations

from typing import Any

import pytest

from history.axis import SECOND
from tests.api.client import Api


async def make(api: Api, *users: str, id_: str = "g") -> None:
    await api.do("group-channel/create", channelId=id_, name=f"Group {id_}", owner="ann", userIds=[*users])


async def say(api: Api, content: str, sender: str = "ann", **more: object) -> str:
    body = {"fromUserId": sender, "messageType": "x", "content": content, "toChannelIds": ["g"], **more}
    id_: str = (await api.do("group-channel/message/send", **body))["messageIds"][0]["messageId"]
    return id_


async def read(api: Api, user: str, id_: str = "g") -> list[str]:
    return [message["content"] for message in await api.history(user, id_, kind="group")]


async def test_the_owner_and_the_first_members_read_and_are_given_what_is_sent(api: Api) -> None:
    await make(api, "bob", "bob", "ann")
    await say(api, "one", isEchoToSender=1)
    await say(api, "two", isEchoToSender=0)
    assert await read(api, "bob") == ["two", "one"]
    assert await read(api, "ann") == ["one"]
    assert await read(api, "eve") == []
    assert await api.given("bob") == [("one", "missed"), ("two", "missed")]
    assert await api.given("ann") == [("one", "compensation")]
    (message, _) = (await api.sync("bob"))["messages"]
    assert (message["channelType"], message["channelId"], message["fromUserId"]) == (3, "g", "ann")


async def test_joining_bounds_what_is_read_leaving_ends_it_and_rejoining_starts_anew(api: Api) -> None:
    await make(api, "bob")
    await say(api, "before")
    api.clock.advance(SECOND)
    view = await api.do("group-channel/join", channelId="g", userIds=["cid", "bob"])
    assert view == {
        "channelId": "g",
        "name": "Group g",
        "owner": "ann",
        "memberCount": 3,
        "createdAt": api.now_ms - 1000,
    }
    await say(api, "within")
    assert (await read(api, "cid"), await read(api, "bob")) == (["within"], ["within", "before"])
    assert await api.given("cid") == [("within", "missed")]
    await api.do("group-channel/leave", channelId="g", userIds=["cid", "nobody"])
    assert (await read(api, "cid"), await api.given("cid")) == ([], [])
    await say(api, "without")
    await api.do("group-channel/join", channelId="g", userIds=["cid"])
    assert (await read(api, "cid"), await api.given("cid")) == ([], [])
    await say(api, "again")
    assert (await read(api, "cid"), await api.given("cid")) == (["again"], [("again", "missed")])


async def test_a_group_exists_once_and_its_id_stays_taken(api: Api) -> None:
    await make(api, "bob")
    body = {"channelId": "g", "name": "other", "owner": "eve"}
    path = "/v4/group-channel/create"
    (await api.post(path, body)).refused(409, 409, "channelId")
    missed = await say(api, "missed")
    await api.do("group-channel/dismiss", channelId="g")
    (await api.post(path, body)).refused(409, 409)
    # history and compensation are gone for everyone, what is missed is delivered
    assert (await read(api, "bob"), await read(api, "ann")) == ([], [])
    assert await api.given("bob") == [("missed", "missed")]
    item = {"channelType": 3, "channelId": "g", "messageId": missed}
    await api.do("user/message/ack", userId="bob", deviceId="phone", delivered=[item])
    assert (await api.given("bob"), await api.given("bob", "new")) == ([], [])
    assert (await api.do("group-channel/joined/list", userId="bob"))["groups"] == []
    assert (await api.do("user/conversation/list", userId="bob"))["conversations"] == []


@pytest.mark.parametrize("state", ["never made", "dismissed"])
async def test_a_group_that_is_not_there_is_404_with_a_sentence(api: Api, state: str) -> None:
    calls: dict[str, dict[str, Any]] = {
        "join": {"channelId": "nope", "userIds": ["bob"]},
        "leave": {"channelId": "nope", "userIds": ["bob"]},
        "dismiss": {"channelId": "nope"},
        "member/list": {"channelId": "nope"},
        "message/send": {
            "fromUserId": "ann",
            "messageType": "x",
            "content": "y",
            "toChannelIds": ["g", "nope"],
        },
    }
    await make(api, "bob")
    if state == "dismissed":
        await make(api, "bob", id_="nope")
        await api.do("group-channel/dismiss", channelId="nope")
    before = await api.everything()
    for path, body in calls.items():
        (await api.post(f"/v4/group-channel/{path}", body)).refused(404, 404, "There is no group 'nope'")
    assert await api.everything() == before
    assert await read(api, "bob", "nope") == []


async def test_a_targeted_message_is_for_its_members_alone(api: Api) -> None:
    await make(api, "bob", "cid")
    await say(api, "for bob", toUserIds=["bob", "eve"], isEchoToSender=1)
    await say(api, "for all")
    assert await read(api, "bob") == ["for all", "for bob"]
    assert (await read(api, "cid"), await read(api, "ann")) == (["for all"], ["for bob"])
    assert await api.given("cid") == [("for all", "missed")]
    await api.do("group-channel/join", channelId="g", userIds=["eve"])
    assert (await read(api, "eve"), await api.given("eve")) == ([], [])


async def test_one_send_reaches_several_groups_once_each(api: Api) -> None:
    for id_ in ("g", "h", "i"):
        await make(api, "bob", id_=id_)
    body = {"fromUserId": "x", "messageType": "x", "content": "y", "toChannelIds": ["i", "g", "i"]}
    sent = (await api.do("group-channel/message/send", **body))["messageIds"]
    assert [item["channelId"] for item in sent] == ["i", "g"]
    assert [len(await read(api, "bob", id_)) for id_ in ("g", "h", "i")] == [1, 0, 1]


@pytest.mark.parametrize("order", [0, 1])
async def test_members_are_listed_page_by_page_in_the_order_of_joining(api: Api, order: int) -> None:
    await make(api, "bob", "cid")
    for user in ("zoe", "dan"):
        api.clock.advance(SECOND)
        await api.do("group-channel/join", channelId="g", userIds=[user])
    await api.do("group-channel/leave", channelId="g", userIds=["cid"])
    seen: list[dict[str, Any]] = []
    token: str | None = ""
    while token is not None:
        body = {"channelId": "g", "pageSize": 3, "order": order, "pageToken": token}
        page = await api.do("group-channel/member/list", **body)
        assert page["totalCount"] == 4
        seen += page["members"]
        token = page.get("pageToken")
    users = [member["userId"] for member in seen]
    assert users == (["ann", "bob", "zoe", "dan"] if order == 0 else ["dan", "zoe", "bob", "ann"])
    assert {member["userId"] for member in seen if member["role"] == 3} == {"ann"}
    assert {member["joinedAt"] for member in seen} == {api.now_ms, api.now_ms - 1000, api.now_ms - 2000}
    only = await api.do("group-channel/member/list", channelId="g", memberRole=3)
    assert [member["userId"] for member in only["members"]] == ["ann"]


@pytest.mark.parametrize("order", [0, 1])
async def test_joined_groups_are_listed_page_by_page(api: Api, order: int) -> None:
    for id_ in ("g", "h", "i", "j"):
        await make(api, "bob", id_=id_)
        api.clock.advance(SECOND)
    await api.do("group-channel/leave", channelId="h", userIds=["bob"])
    await api.do("group-channel/create", channelId="k", name="mine", owner="bob")
    seen: list[dict[str, Any]] = []
    token: str | None = ""
    while token is not None:
        body = {"userId": "bob", "pageSize": 2, "order": order, "pageToken": token}
        page = await api.do("group-channel/joined/list", **body)
        seen += page["groups"]
        token = page.get("pageToken")
    ids = [group["channelId"] for group in seen]
    assert ids == (["g", "i", "j", "k"] if order == 0 else ["k", "j", "i", "g"])
    mine = next(group for group in seen if group["channelId"] == "k")
    assert (mine["role"], mine["memberCount"], mine["name"]) == (3, 1, "mine")
    regular = await api.do("group-channel/joined/list", userId="bob", role=1)
    assert [group["channelId"] for group in regular["groups"]] == ["g", "i", "j"]
    assert (await api.do("group-channel/joined/list", userId="nobody")) == {"groups": []}

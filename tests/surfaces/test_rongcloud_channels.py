"""RongCloud's calls about groups, chatrooms and tokens."""

from __future__ import annotations

import pytest

from tests.api.client import Api
from tests.surfaces.rongcloud import DONE, FORM, Rong


@pytest.fixture
def rong(api: Api) -> Rong:
    return Rong(api=api)


async def members(rong: Rong, group: str = "g") -> dict[str, int]:
    """Who is in, and as what: 3 is the owner."""
    page = await rong.api.do("group-channel/member/list", channelId=group)
    return {member["userId"]: member["role"] for member in page["members"]}


async def make(rong: Rong, *users: str, group: str = "g") -> None:
    assert await rong.do("group/create", userId=[*users], groupId=group, groupName="Ours, 我们") == DONE


async def test_a_group_is_made_with_its_members_the_first_of_them_its_owner(rong: Rong) -> None:
    await make(rong, "ann", "bob", "bob")
    assert await members(rong) == {"ann": 3, "bob": 1}
    (joined,) = (await rong.api.do("group-channel/joined/list", userId="bob"))["groups"]
    assert joined["name"] == "Ours, 我们"


async def test_making_a_group_that_is_there_lets_its_users_in(rong: Rong) -> None:
    await make(rong, "ann")
    await rong.publish("group", "g", "early")
    await make(rong, "cid", "ann")
    await rong.publish("group", "g", "late", fromUserId="dan")
    assert await members(rong) == {"ann": 3, "cid": 1}
    assert await rong.contents("group", "cid", "g") == ["late"]
    assert await rong.contents("group", "ann", "g") == ["late"]
    await rong.publish("group", "g", "mine", isIncludeSender="1")
    assert await rong.contents("group", "ann", "g") == ["mine", "late"]


async def test_who_joins_reads_from_there_on_and_who_quits_nothing(rong: Rong) -> None:
    await make(rong, "ann", "bob")
    await rong.publish("group", "g", "one")
    assert await rong.do("group/join", userId=["cid", "dan"], groupId="g", groupName="Ours") == DONE
    await rong.publish("group", "g", "two")
    assert await rong.contents("group", "cid", "g") == ["two"]
    # zoe was never in: she is passed over
    assert await rong.do("group/quit", userId=["cid", "bob", "zoe"], groupId="g") == DONE
    assert await rong.contents("group", "cid", "g") == await rong.contents("group", "bob", "g") == []
    assert await members(rong) == {"ann": 3, "dan": 1}


async def test_a_dismissed_group_is_over_and_its_id_stays_taken(rong: Rong) -> None:
    await make(rong, "ann", "bob")
    await make(rong, "ann", "bob", group="h")
    for group in ("g", "h"):
        await rong.publish("group", group)
    # anyone may be named as the one who does it, or no one
    assert await rong.do("group/dismiss", userId="zoe", groupId="g") == DONE
    assert await rong.contents("group", "bob", "g") == []
    assert await rong.contents("group", "bob", "h") == ["hello"]
    again = {"userId": ["ann"], "groupId": "g", "groupName": "Again"}
    (await rong.form("group/create", **again)).refused(400, 1002, "groupId", "dismissed")
    for path in ("group/join", "group/quit", "group/dismiss"):
        (await rong.form(path, userId=["ann"], groupId="g")).refused(404, 404, "group")


async def rooms(rong: Rong) -> set[str]:
    """The open channels that live."""
    rows = await rong.api.rows("SELECT key[1] AS id FROM channels WHERE type = 4 AND NOT dismissed")
    return {row["id"] for row in rows}


async def test_chatrooms_are_made_by_the_names_of_their_fields(rong: Rong) -> None:
    # as the documentation prints it, as npm and PHP write it, and with ids that need it
    for body in (
        b"chatroom[10001]=name1&chatroom[10002]=name2&chatroom[10003]=name3",
        b"chatroom%5B10002%5D=name2&chatroom%5B10004%5D=%E5%90%8D",
        b"chatroom%5Ba%5Db%26c%5D=x",
    ):
        answer = await rong.raw("chatroom/create", body, FORM)
        assert (answer.status, answer.json) == (200, DONE)
    assert (await rong.json("chatroom/create", chatroom={"json": "J"})).json == DONE
    for id_ in ("10001", "10002", "10003", "10004", "a]b&c", "json"):
        await rong.publish("chatroom", id_)


async def test_a_chatroom_that_lives_is_left_as_it_is_and_one_that_ended_is_made_again(rong: Rong) -> None:
    for id_ in ("hall", "yard"):
        await rong.do("chatroom/create", **{f"chatroom[{id_}]": "Name"})
        await rong.publish("chatroom", id_)
    await rong.do("chatroom/create", **{"chatroom[hall]": "Other"})
    assert await rong.contents("chatroom", "bob", "hall") == ["hello"]
    # one that is not there is passed over
    assert await rong.do("chatroom/destroy", chatroomId=["hall", "nowhere"]) == DONE
    assert await rong.contents("chatroom", "bob", "hall") == []
    assert await rong.contents("chatroom", "bob", "yard") == ["hello"]
    fields = {"fromUserId": "ann", "toChatroomId": "hall", "objectName": "x", "content": "x"}
    (await rong.form("message/chatroom/publish", **fields)).refused(404, 404, "open channel 'hall'")
    await rong.do("chatroom/create", **{"chatroom[hall]": "Again"})
    await rong.publish("chatroom", "hall", "anew")
    assert await rong.contents("chatroom", "bob", "hall") == ["anew"]


@pytest.mark.parametrize("more", [{}, {"name": ""}, {"name": "Bob", "portraitUri": "http://abc.com/p.jpg"}])
async def test_a_token_opens_what_is_its_users(rong: Rong, more: dict[str, str]) -> None:
    answer = await rong.do("user/getToken", userId="bob", **more)
    assert set(answer) == {"code", "userId", "token"}
    assert answer["userId"] == "bob"
    for user, status in (("bob", 200), ("ann", 403)):
        asked = await rong.api.bearing(answer["token"], "POST", "/v4/user/device/list", {"userId": user})
        assert asked.status == status

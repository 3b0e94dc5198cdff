"""What a sender may do with a message: take it back, send it twice, mark it, keep it out of history."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from history.axis import SECOND
from tests.api.client import SEND, Api, open_api

RECALL = "/v4/message/delete"


async def recall(api: Api, id_: str, type_: int = 1, to: str = "bob", **more: object) -> None:
    body = {"fromUserId": "ann", "channelType": type_, "channelId": to, "messageId": id_, **more}
    (await api.post(RECALL, body)).done()


async def told(api: Api, user: str, device: str = "phone", **more: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.sync(user, device, **more))["recalls"]
    return found


async def test_a_recalled_message_is_gone_for_everybody_on_every_path(api: Api) -> None:
    first, second = (await api.send(content="one", isEchoToSender=1))[0], (await api.send(content="two"))[0]
    await recall(api, first)
    await recall(api, first)
    assert (await api.contents(), await api.contents("ann", "bob")) == (["two"], [])
    assert (await api.given(), await api.given("ann")) == ([("two", "missed")], [])
    await recall(api, second)
    (conversation,) = (await api.do("user/conversation/list", userId="bob"))["conversations"]
    assert (conversation["lastMessage"], conversation["unread"]) == (None, 0)
    assert {row["content"] for row in await api.rows("SELECT content FROM messages")} == {""}


@pytest.mark.parametrize(("type_", "to", "seen_as"), [(1, "bob", "ann"), (3, "g", "g"), (6, "bob", "ann")])
async def test_devices_that_may_hold_it_learn_of_a_recall_once(
    api: Api, type_: int, to: str, seen_as: str
) -> None:
    await api.do("group-channel/create", channelId="g", name="g", owner="eve", userIds=["bob"])
    kind = {1: "direct", 3: "group", 6: "system"}[type_]
    body = {"fromUserId": "ann", "messageType": "x", "content": "y"}
    names = {"toChannelIds": [to]} if type_ == 3 else {"toUserIds": [to]}
    id_ = (await api.do(f"{kind}-channel/message/send", **body, **names))["messageIds"][0]["messageId"]
    assert (await api.sync())["recalls"] == []
    # a sender who was never in the group, or has left it, may recall all the same
    await recall(api, id_, type_, to)
    page = await api.sync()
    assert page["recalls"] == [{"channelType": type_, "channelId": seen_as, "messageId": id_}]
    assert page["messages"] == []
    assert len(await told(api, "bob")) == 1
    assert await told(api, "bob", cursor=page["cursor"]) == []
    assert await told(api, "bob") == []
    assert await told(api, "cid") == []


async def test_what_is_unknown_or_of_another_channel_is_success_and_takes_nothing(api: Api) -> None:
    id_ = (await api.send())[0]
    before = await api.everything()
    for wrong in ("x", "AWj9sUKQl9GrAAZgr3ry4zA", id_[:-1] + ("A" if id_[-1] != "A" else "B")):
        await recall(api, wrong)
    await recall(api, id_, to="cid")
    await recall(api, id_, type_=3)
    assert await api.everything() == before


async def test_only_the_sender_or_an_admin_recalls(api: Api) -> None:
    id_ = (await api.send())[0]
    body = {"fromUserId": "bob", "channelType": 1, "channelId": "ann", "messageId": id_}
    (await api.post(RECALL, body)).refused(400, 1002, "fromUserId")
    (await api.post(RECALL, {**body, "isAdmin": 0})).refused(400, 1002, "fromUserId")
    assert await api.contents() == ["hello"]
    (await api.post(RECALL, {**body, "isAdmin": 1})).done()
    assert await api.contents() == []


async def test_metadata_is_kept_and_returned_on_every_path(api: Api) -> None:
    given = {"topic": "food", "table": 4, "nested": {"a": [1]}, "ünï": "", "none": None}
    await api.send(hasMetadata=True, metadata=given)
    await api.send("ann", "bob", content="without", hasMetadata=False, metadata=given)
    await api.send("ann", "bob", content="empty", hasMetadata=True)
    expected = {"topic": "food", "table": "4", "nested": '{"a":[1]}', "ünï": "", "none": "null"}
    views = {
        "history": await api.history(),
        "sync": (await api.sync())["messages"][::-1],
    }
    for name, (empty, without, with_) in views.items():
        assert {item["key"]: item["value"] for item in with_["metadata"]} == expected, name
        assert {item["updatedAt"] for item in with_["metadata"]} == {with_["sentAt"]}
        assert (with_["hasMetadata"], without["hasMetadata"], empty["hasMetadata"]) == (True, False, True)
        assert "metadata" not in without
        assert "metadata" not in empty
    await api.send(content="last", hasMetadata=True, metadata={"a": "b"})
    (conversation,) = (await api.do("user/conversation/list", userId="bob"))["conversations"]
    assert conversation["lastMessage"]["metadata"] == [{"key": "a", "value": "b", "updatedAt": api.now_ms}]


async def test_the_same_client_message_id_is_the_same_message(api: Api, redis_url: str) -> None:
    first = await api.send(clientMessageId="k")
    assert await api.send(content="whatever", clientMessageId="k") == first
    async with open_api(api.database_url, redis_url, like=api, clock=api.clock) as second:
        assert await second.send(clientMessageId="k") == first
    assert await api.contents() == ["hello"]
    # who has it keeps it, who has not gets it
    both = await api.send("ann", "cid", "bob", clientMessageId="k")
    assert both[1] == first[0]
    assert await api.contents("cid", "ann") == ["hello"]
    # another sender, channel or key is another message, and so is none
    others = [
        await api.send("bob", "ann", clientMessageId="k"),
        await api.send(clientMessageId="l"),
        await api.send(),
        await api.send(),
    ]
    assert len({ids[0] for ids in [first, *others]}) == 5


async def test_many_at_once_with_one_client_message_id_store_one(api: Api, redis_url: str) -> None:
    async with open_api(api.database_url, redis_url, like=api, clock=api.clock) as second:
        answers = await asyncio.gather(
            *(process.send(clientMessageId="k") for _ in range(20) for process in (api, second))
        )
    assert len({ids[0] for ids in answers}) == 1
    assert await api.contents() == ["hello"]


async def test_a_client_message_id_holds_for_the_apps_hours_also_after_a_recall(api: Api) -> None:
    await api.set(idempotencyHours=1)
    api.clock.advance(SECOND)
    first = await api.send(clientMessageId="k")
    await recall(api, first[0])
    api.clock.advance(3600 * SECOND - 1)
    assert await api.send(clientMessageId="k") == first
    assert await api.contents() == []
    api.clock.advance(1)
    assert await api.send(clientMessageId="k") != first
    assert await api.contents() == ["hello"]


async def test_should_persist_0_keeps_a_message_out_of_history_and_leaves_it_missed(api: Api) -> None:
    id_ = (await api.send(content="fleeting", shouldPersist=0, isEchoToSender=1))[0]
    assert (await api.contents(), await api.contents("ann", "bob")) == ([], [])
    assert await api.given() == [("fleeting", "missed")]
    (await api.ack(id_)).done()
    assert await api.given(device="new") == [("fleeting", "compensation")]
    assert await api.given("ann") == [("fleeting", "compensation")]
    (conversation,) = (await api.do("user/conversation/list", userId="bob"))["conversations"]
    assert (conversation["lastMessage"], conversation["unread"]) == (None, 0)


async def test_a_refused_send_does_not_use_up_its_client_message_id(api: Api) -> None:
    body = {"fromUserId": "ann", "toUserIds": ["bob"], "messageType": "x", "clientMessageId": "k"}
    (await api.post(SEND, {**body, "content": "x" * 131_073})).refused(400, 1005)
    (await api.post(SEND, {**body, "content": "short"})).done()
    assert await api.contents() == ["short"]

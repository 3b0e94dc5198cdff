"""A sender changes what his message says, by the vendor's calls; every path shows it with the same fields."""

from __future__ import annotations

import asyncio

import pytest

from history.axis import MILLISECOND
from tests.api.bodies import UPDATES
from tests.api.client import Answer, Api

SHOWN = ["fromUserId", "messageId", "position", "sentAt", "messageType", "content"]
METADATA = ["hasMetadata", "metadata"]


async def update(api: Api, id_: str, content: str = "changed", **more: object) -> Answer:
    body = {"fromUserId": "ann", "targetId": "bob", "messageId": id_, "content": content, **more}
    return await api.post(UPDATES["direct"], body)


async def test_history_and_lists_show_the_new_content_and_synced_devices_are_told_nothing(api: Api) -> None:
    first = (await api.send(content="old", isEchoToSender=1))[0]
    await api.send(content="after")
    (await api.ack(first)).done()
    before = await api.history()
    (await update(api, first)).done()
    assert await api.contents() == ["after", "changed"]
    assert await api.contents("ann", "bob") == ["changed"]
    # but for the content it is the message that it was
    assert await api.history() == [before[0], {**before[1], "content": "changed"}]
    assert await api.given() == [("after", "missed")]
    assert (await api.sync())["recalls"] == []
    assert await api.given(device="tablet") == [("changed", "compensation"), ("after", "missed")]


async def test_the_last_message_of_a_conversation_is_the_changed_one(api: Api) -> None:
    (await update(api, (await api.send())[0])).done()
    (conversation,) = (await api.do("user/conversation/list", userId="bob"))["conversations"]
    assert (conversation["lastMessage"]["content"], conversation["unread"]) == ("changed", 1)


async def test_a_group_message_is_changed_by_a_sender_who_is_no_member(api: Api) -> None:
    await api.do("group-channel/create", channelId="g", name="g", owner="eve", userIds=["bob"])
    body = {"fromUserId": "ann", "messageType": "x", "content": "old", "toChannelIds": ["g"]}
    id_ = (await api.do("group-channel/message/send", **body))["messageIds"][0]["messageId"]
    edit = {"fromUserId": "ann", "channelId": "g", "messageId": id_, "content": "changed"}
    (await api.post(UPDATES["group"], edit)).done()
    assert await api.contents("bob", "g", kind="group") == ["changed"]
    # a direct call does not reach into a group, nor a group call into another
    (await update(api, id_, "wrong")).refused(404, 404)
    (await api.post(UPDATES["group"], {**edit, "channelId": "h"})).refused(404, 404)
    assert await api.contents("bob", "g", kind="group") == ["changed"]


async def test_what_cannot_be_changed_is_refused_and_stays(api: Api) -> None:
    id_ = (await api.send(content="old", isEchoToSender=1))[0]
    (await update(api, id_, fromUserId="bob", targetId="ann")).refused(400, 1002, "fromUserId", "sender")
    (await update(api, id_, "x" * 131_073)).refused(400, 1005, "content")
    for wrong in ("x", id_[:-1] + ("A" if id_[-1] != "A" else "B")):
        (await update(api, wrong)).refused(404, 404, "no such message")
    (await update(api, id_, targetId="cid")).refused(404, 404)
    (await update(api, id_, targetId="ann")).refused(404, 404)
    assert await api.contents() == ["old"]
    body = {"fromUserId": "ann", "channelType": 1, "channelId": "bob", "messageId": id_}
    (await api.post("/v4/message/delete", body)).done()
    (await update(api, id_)).refused(404, 404)
    assert [row["content"] for row in await api.rows("SELECT content FROM messages")] == [""]


async def test_under_a_hold_it_is_a_conflict_until_the_hold_is_released(api: Api) -> None:
    id_ = (await api.send(content="evidence"))[0]
    path = f"/admin/apps/{api.keys.app_key}/holds"
    held = await api.admin("POST", path, {"reason": "a case", "userId": "bob"})
    (await update(api, id_)).refused(409, 409, "hold")
    assert await api.contents() == ["evidence"]
    assert (await api.admin("DELETE", f"{path}/{held.json['id']}")).status == 200
    (await update(api, id_)).done()
    assert await api.contents() == ["changed"]


async def test_where_no_history_is_stored_a_message_is_changed_until_it_is_received(api: Api) -> None:
    await api.set(directGroupStorage=False)
    (await update(api, (await api.send())[0])).done()
    assert await api.given() == [("changed", "missed")]


async def test_changes_at_once_leave_one_of_them(api: Api) -> None:
    id_ = (await api.send())[0]
    texts = [f"text {n}" for n in range(20)]
    for answer in await asyncio.gather(*(update(api, id_, text) for text in texts)):
        answer.done()
    (content,) = await api.contents()
    assert content in texts
    (row,) = await api.rows("SELECT edited_at FROM messages")
    assert row["edited_at"] // MILLISECOND == api.now_ms


@pytest.mark.parametrize("metadata", [None, {"a": "b"}])
async def test_a_message_has_the_same_fields_in_the_same_order_on_every_path(
    api: Api, metadata: dict[str, str] | None
) -> None:
    await api.send(hasMetadata=metadata is not None, metadata=metadata)
    marked = METADATA if metadata else METADATA[:1]
    (record,) = await api.history()
    assert list(record) == ["channelId", *SHOWN, *marked]
    (item,) = (await api.sync())["messages"]
    assert list(item) == ["channelType", "channelId", *SHOWN, "origin", *marked]
    (conversation,) = (await api.do("user/conversation/list", userId="bob"))["conversations"]
    assert list(conversation["lastMessage"]) == [*SHOWN, *marked]

"""RyzeAPI's calls about chats: the page's own examples, what goes and what stays, history, archive, groups."""

from __future__ import annotations

from typing import Any

import pytest

from history.axis import DAY, MILLISECOND, SECOND
from server.surfaces.ryze import handlers
from tests.api.client import CLEAN, Api
from tests.surfaces.ryze import (
    GROUP,
    GROUP_JID,
    INSTANCE,
    JID,
    NUMBER,
    Client,
    chat,
    client,
    make_group,
    refused,
)

DELETED = {
    "success": True,
    "message": "Chat deleted successfully",
    "chat_jid": "5511999999999@s.whatsapp.net",
    "delete_media": False,
}
CONVERSATIONS = "user/conversation/list"


async def listed(api: Api, user: str = INSTANCE) -> list[str]:
    """What stands on a user's list."""
    found = await api.do(CONVERSATIONS, userId=user)
    return sorted(one["channelId"] for one in found["conversations"])


async def receipt(api: Api, request_id: str) -> dict[str, Any]:
    found: dict[str, Any] = await api.do("channel/message/history/clean/status", requestId=request_id)
    return found


# the page


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"number": "5511999999999"}', DELETED),
        (
            '{\n    "number": "5511999999999",\n    "deleteMedia": true\n  }',
            {**DELETED, "message": "Chat deleted successfully (including media)", "delete_media": True},
        ),
        ('{"number": "5511999999999", "deleteMedia": false}', DELETED),
        ('{"number": "5511999999999", "deleteMedia": null}', DELETED),
    ],
)
async def test_the_examples_of_the_page_are_answered_as_it_shows_them(
    api: Api, body: str, said: dict[str, object]
) -> None:
    phone = await client(api)
    await chat(api, "hi")
    for _ in range(2):
        answer = await phone.call("DELETE", "chat/deleteChat", body.encode())
        assert (answer.status, answer.json) == (200, said)
    assert await phone.texts() == []
    assert await listed(api) == []
    given_up = {row["delete_media"] for row in await api.rows("SELECT delete_media FROM clean_requests")}
    assert given_up == {said["delete_media"]}


@pytest.mark.parametrize(
    ("number", "jid"),
    [
        (NUMBER, JID),
        (JID, JID),
        (f"{NUMBER}@lid", f"{NUMBER}@lid"),
        (f" {NUMBER} ", JID),
    ],
)
async def test_a_number_is_a_direct_chat_in_each_of_its_forms(api: Api, number: str, jid: str) -> None:
    phone = await client(api)
    await chat(api, "hi")
    # a group of the same digits is another chat
    await api.do("group-channel/create", channelId=NUMBER, name="x", owner=INSTANCE)
    await api.do(
        "group-channel/message/send",
        fromUserId=INSTANCE,
        toChannelIds=[NUMBER],
        messageType="RC:TxtMsg",
        content="in the group",
        isEchoToSender=1,
    )
    answer = await phone.delete_chat(number)
    assert (answer.status, answer.json["chat_jid"]) == (200, jid)
    assert await phone.texts() == []
    assert await phone.texts(f"{NUMBER}@g.us") == ["in the group"]


# what goes and what stays


async def test_the_chat_goes_from_the_list_and_the_history_and_everything_else_stays(api: Api) -> None:
    other = await api.new_app()
    await chat(api, "hi")
    await chat(api.of(other), "theirs")
    await api.send("5511888888888", INSTANCE, content="another")
    phone = await client(api)
    assert (await phone.delete_chat()).status == 200
    assert await listed(api) == ["5511888888888"]
    assert await phone.texts() == []
    assert await phone.texts("5511888888888") == ["another"]
    # the other side has all of it, and so has the other app
    assert await listed(api, NUMBER) == [INSTANCE]
    assert len(await api.contents(NUMBER, INSTANCE)) == 1
    assert len(await api.contents(INSTANCE, NUMBER, keys=other)) == 2


async def test_every_device_hears_of_it_with_its_next_sync_and_the_next_message_brings_it_back(
    api: Api,
) -> None:
    phone = await client(api)
    await chat(api, "hi")
    for device in ("phone", "tablet"):
        await api.sync(INSTANCE, device)
    assert (await phone.delete_chat()).status == 200
    for device in ("phone", "tablet", "a new one"):
        page = await api.sync(INSTANCE, device)
        assert page["deletedConversations"] == [{"channelType": 1, "channelId": NUMBER}], device
        assert [one["channelId"] for one in page["cleans"]] == [NUMBER], device
    assert (await api.sync(NUMBER, "theirs"))["deletedConversations"] == []
    await api.send(NUMBER, INSTANCE, content="back")
    assert await listed(api) == [NUMBER]
    assert await phone.texts() == ["back"]
    assert (await api.sync(INSTANCE, "another new one"))["deletedConversations"] == []


async def test_what_was_not_received_is_delivered_and_what_was_is_not_compensated(api: Api) -> None:
    phone = await client(api)
    [first] = await api.send(NUMBER, INSTANCE, content="received")
    await api.ack(first, INSTANCE, NUMBER)
    await api.send(NUMBER, INSTANCE, content="missed")
    assert ("received", "compensation") in await api.given(INSTANCE, "tablet")
    assert (await phone.delete_chat()).status == 200
    assert await api.given(INSTANCE, "tablet") == [("missed", "missed")]


@pytest.mark.parametrize(("with_media", "seconds"), [(False, 3600), (True, 0)])
async def test_its_clean_stands_in_the_journal_and_with_media_it_cannot_be_undone(
    api: Api, with_media: bool, seconds: int
) -> None:
    await api.set(undoSeconds=3600, deleteCompensatedOnClean=False)
    phone = await client(api)
    await chat(api, "hi")
    answer = await phone.delete_chat(deleteMedia=with_media)
    request_id = answer.headers["Clean-Request-Id"]
    found = await receipt(api, request_id)
    assert (found["source"], found["userId"], found["channelId"]) == ("ryze", INSTANCE, NUMBER)
    assert found["deleteCompensated"] == {"value": True, "from": "request"}
    assert found["undoUntil"] == api.now_ms + seconds * 1000
    undone = await api.post(f"{CLEAN}/cancel", {"requestId": request_id})
    assert (undone.status == 200) is (not with_media), undone.body
    assert len(await phone.texts()) == (0 if with_media else 2)


async def test_deleting_a_group_s_chat_does_not_leave_it(api: Api) -> None:
    phone = await client(api)
    await make_group(api)
    text = {"fromUserId": NUMBER, "toChannelIds": [GROUP], "messageType": "RC:TxtMsg", "isEchoToSender": 1}
    await api.do("group-channel/message/send", content="hi", **text)
    answer = await phone.delete_chat(GROUP_JID)
    assert (answer.status, answer.json["chat_jid"]) == (200, GROUP_JID)
    assert (await phone.texts(GROUP_JID), await listed(api)) == ([], [])
    assert await listed(api, NUMBER) == [GROUP]
    members = await api.do("group-channel/member/list", channelId=GROUP)
    assert {member["userId"] for member in members["members"]} == {INSTANCE, NUMBER}
    await api.do("group-channel/message/send", content="again", **text)
    assert (await phone.texts(GROUP_JID), await listed(api)) == (["again"], [GROUP])


@pytest.mark.parametrize("number", ["5511777777777", INSTANCE, "120363000000000000@g.us"])
async def test_a_chat_that_is_not_there_is_deleted_all_the_same(api: Api, number: str) -> None:
    phone = await client(api)
    await chat(api, "hi")
    for _ in range(2):
        assert (await phone.delete_chat(number)).status == 200
    assert await phone.texts() == ["re: hi", "hi"]
    assert await listed(api) == [NUMBER]


# history


async def test_a_message_is_shown_with_its_jids_its_text_and_its_time(api: Api) -> None:
    phone = await client(api)
    api.clock.advance(7 * MILLISECOND)
    [id_] = await api.send(NUMBER, INSTANCE, content='{"content":"Hi!"}')
    await api.send(INSTANCE, NUMBER, content='{"uri":"x"}', messageType="RC:ImgMsg", isEchoToSender=1)
    answer = await phone.history(f"{NUMBER}@lid")
    assert answer.status == 200
    page = answer.json
    second, first = page.pop("messages")
    assert page == {
        "success": True,
        "message": "Chat history retrieved successfully",
        "count": 2,
        "hasMore": False,
        "chat_jid": f"{NUMBER}@lid",
    }
    assert first == {
        "messageId": id_,
        "type": "text",
        "content": "Hi!",
        "from": f"{NUMBER}@lid",
        "to": f"{INSTANCE}@s.whatsapp.net",
        "chat": f"{NUMBER}@lid",
        "senderJid": f"{NUMBER}@lid",
        "fromMe": False,
        "isGroup": False,
        "timestamp": "2026-03-10T12:00:00.007Z",
    }
    assert (second["type"], second["content"]) == ("RC:ImgMsg", '{"uri":"x"}')
    assert (second["from"], second["to"], second["fromMe"]) == (
        f"{INSTANCE}@s.whatsapp.net",
        f"{NUMBER}@lid",
        True,
    )


async def test_in_a_group_the_sender_is_told_and_who_is_not_in_sees_nothing(api: Api) -> None:
    phone = await client(api)
    await make_group(api)
    await api.do(
        "group-channel/message/send",
        fromUserId=NUMBER,
        toChannelIds=[GROUP],
        messageType="RC:TxtMsg",
        content="hi",
    )
    [message] = await phone.messages(GROUP_JID, count=100)
    assert (message["senderJid"], message["chat"], message["to"]) == (JID, GROUP_JID, GROUP_JID)
    assert (message["isGroup"], message["fromMe"]) == (True, False)
    await api.send("ann", "zoe")
    assert await Client(api=api, token=api.keys.api_key, instance="zoe").messages(GROUP_JID) == []


async def test_fifty_come_without_a_count_and_pages_go_on_by_time_without_a_gap(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = await client(api)
    contents = [f"{number}" for number in range(52)]
    for content in contents:
        await api.send(NUMBER, INSTANCE, content=content)
        api.clock.advance(SECOND)
    page = (await phone.history()).json
    assert (page["count"], page["hasMore"]) == (50, True)
    assert [message["content"] for message in page["messages"]] == contents[:1:-1]
    page = (await phone.history(to=page["messages"][-1]["timestamp"])).json
    assert (page["count"], page["hasMore"]) == (3, False)
    assert [message["content"] for message in page["messages"]] == contents[2::-1]
    page = (await phone.history(count=52)).json
    assert (page["count"], page["hasMore"]) == (52, False)
    monkeypatch.setattr(handlers, "MOST_MESSAGES", 10)
    page = (await phone.history(count=10**6)).json
    assert (page["count"], page["hasMore"]) == (10, True)


async def test_the_rest_of_a_millisecond_comes_along(api: Api) -> None:
    phone = await client(api)
    for content in ("1", "2", "3"):
        await api.send(NUMBER, INSTANCE, content=content)
    api.clock.advance(SECOND)
    await api.send(NUMBER, INSTANCE, content="4")
    assert await phone.texts(count=2) == ["4", "3", "2", "1"]


async def test_from_and_to_are_included_as_far_as_they_are_written(api: Api) -> None:
    phone = await client(api)
    # noon of 2026-03-10, and what lies at the edges of a second and a day
    for text, later in (
        ("noon", 0),
        ("half a second later", SECOND // 2),
        ("a second later", SECOND // 2),
        ("midnight", DAY // 2 - SECOND),
    ):
        api.clock.advance(later)
        await api.send(NUMBER, INSTANCE, content=text)
    everything = ["midnight", "a second later", "half a second later", "noon"]
    for times, found in (
        ({}, everything),
        ({"from": "", "to": ""}, everything),
        ({"from": "2026-03-10T12:00:00Z"}, everything),
        ({"from": "2026-03-10T12:00:00.001Z"}, everything[:3]),
        ({"to": "2026-03-10T12:00:00Z"}, everything[2:]),
        ({"to": "2026-03-10T12:00:00.000Z"}, everything[3:]),
        ({"to": "2026-03-10T11:59:59Z"}, []),
        ({"to": "2026-03-10"}, everything[1:]),
        ({"from": "2026-03-11", "to": "2026-03-11"}, everything[:1]),
        ({"from": "2026-03-10T13:00:01+01:00", "to": "2026-03-10T09:00:01-03:00"}, [everything[1]]),
        ({"from": "2026-03-10 12:00:01"}, everything[:2]),
        ({"from": "2026-03-11", "to": "2026-03-10"}, []),
        ({"from": "0001-01-01T00:00:00+14:00", "to": "9999-12-31T23:59:59-14:00"}, everything),
        ({"to": "1960-01-01"}, []),
    ):
        assert await phone.texts(**times) == found, times


# archive


async def test_a_chat_is_archived_and_taken_out_again(api: Api) -> None:
    phone = await client(api)
    await chat(api, "hi")
    archived = {
        "success": True,
        "message": "Chat archived successfully",
        "chat_jid": JID,
        "archived": True,
    }
    for _ in range(2):
        answer = await phone.archive()
        assert (answer.status, answer.json) == (200, archived)
        [one] = (await api.do(CONVERSATIONS, userId=INSTANCE))["conversations"]
        assert one["archived"] is True
    for _ in range(2):
        answer = await phone.archive(archive=False)
        assert answer.json == {
            **archived,
            "message": "Chat unarchived successfully",
            "archived": False,
        }
        [one] = (await api.do(CONVERSATIONS, userId=INSTANCE))["conversations"]
        assert one["archived"] is False
    assert await phone.texts() == ["re: hi", "hi"]
    [theirs] = (await api.do(CONVERSATIONS, userId=NUMBER))["conversations"]
    assert theirs["archived"] is False


async def test_a_chat_that_is_not_on_the_list_is_not_archived(api: Api) -> None:
    phone = await client(api)
    await chat(api, "hi")
    refused(await phone.archive("5511777777777"), 404, "Chat not found")
    await phone.delete_chat()
    refused(await phone.archive(), 404, "Chat not found")


# leave


async def test_the_instance_leaves_a_group_once(api: Api) -> None:
    phone = await client(api)
    await make_group(api)
    answer = await phone.leave()
    assert (answer.status, answer.json) == (
        200,
        {"success": True, "message": "Successfully left the group", "groupJid": GROUP_JID},
    )
    members = await api.do("group-channel/member/list", channelId=GROUP)
    assert [member["userId"] for member in members["members"]] == [NUMBER]
    before = await api.everything()
    refused(await phone.leave(), 404, "Group not found")
    refused(await phone.leave("120363000000000000@g.us"), 404, "Group not found")
    assert await api.everything() == before


@pytest.mark.parametrize("number", [GROUP_JID, GROUP])
async def test_the_group_may_stand_in_the_body_too(api: Api, number: str) -> None:
    phone = await client(api)
    await make_group(api)
    answer = await phone.call("DELETE", "group/leave", {"number": number})
    assert (answer.status, answer.json["groupJid"]) == (200, GROUP_JID)

"""DoubleTick's list of chats: one list of several numbers, its statuses, its cursor, its errors."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from history.axis import SECOND
from server.surfaces.doubletick import chats as module
from tests.api.bodies import PHONES
from tests.api.client import Answer, Api

BUSINESS, CUSTOMER = PHONES
SECOND_NUMBER = "910000000002"


async def ask(api: Api, **query: object) -> Answer:
    path = f"/chats?{urlencode(query, doseq=True)}"
    return await api.request("GET", path, headers={"Authorization": api.keys.api_key})


async def chats(api: Api, **query: object) -> list[dict[str, Any]]:
    answer = await ask(api, **{"wabaNumbers": BUSINESS, **query})
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["chats"]
    return found


async def customers(api: Api, **query: object) -> list[str]:
    return [chat["phoneNumber"] or chat["name"] for chat in await chats(api, **query)]


async def write(api: Api, *senders: str, to: str = BUSINESS) -> None:
    """A message of each, a second apart."""
    for sender in senders:
        await api.send(sender, to, content=f"of {sender}")
        api.clock.advance(SECOND)


def customer(number: int) -> str:
    return f"9199999999{number:02}"


async def archive(api: Api, other: str) -> None:
    await api.do("user/conversation/update", userId=BUSINESS, channelType=1, channelId=other, archived=True)


async def test_a_chat_has_the_fields_of_the_page(api: Api) -> None:
    await write(api, CUSTOMER)
    (chat,) = await chats(api)
    last = chat.pop("lastMessage")
    assert chat == {
        "chatType": "INDIVIDUAL",
        "name": None,
        "phoneNumber": CUSTOMER,
        "unreadCount": 1,
        "isDone": False,
        "chatUpdatedTime": api.now_ms - 1000,
        "lastMessageTime": api.now_ms - 1000,
        "wabaNumber": BUSINESS,
    }
    assert (last["message"], last["sender"], last["recipient"]) == (f"of {CUSTOMER}", CUSTOMER, BUSINESS)


async def test_a_cleared_chat_stays_on_the_list_without_messages(api: Api) -> None:
    await write(api, CUSTOMER)
    headers = {"Authorization": api.keys.api_key}
    body = f'{{"to":"{CUSTOMER}","from":"{BUSINESS}"}}'.encode()
    path = "/conversation/chat/messages"
    assert (await api.request("DELETE", path, data=body, headers=headers)).status == 200
    (chat,) = await chats(api)
    assert (chat["phoneNumber"], chat["lastMessage"], chat["unreadCount"]) == (CUSTOMER, None, 0)
    assert chat["lastMessageTime"] is None


async def test_the_chats_of_several_numbers_are_one_list_the_newest_first(api: Api) -> None:
    for number in range(3):
        await write(api, customer(number))
        await write(api, customer(number), to=SECOND_NUMBER)
    both = f"{BUSINESS},+{SECOND_NUMBER}"
    found = [(chat["wabaNumber"], chat["phoneNumber"]) for chat in await chats(api, wabaNumbers=both)]
    assert found == [(number, customer(index)) for index in (2, 1, 0) for number in (SECOND_NUMBER, BUSINESS)]
    assert found == [
        (chat["wabaNumber"], chat["phoneNumber"])
        for chat in await chats(api, wabaNumbers=[BUSINESS, SECOND_NUMBER])
    ]
    assert await customers(api) == [customer(2), customer(1), customer(0)]


@pytest.mark.parametrize("page", [1, 2, 20])
async def test_its_cursor_goes_through_all_of_them_once_while_some_move(
    api: Api, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(module, "_PAGE", page)
    await write(api, *[customer(number) for number in range(5)])
    await write(api, *[customer(number) for number in range(5, 8)], to=SECOND_NUMBER)
    query: dict[str, object] = {"wabaNumbers": f"{BUSINESS},{SECOND_NUMBER}", "limit": 3}
    seen: list[str] = []
    options: dict[str, Any] = {}
    for _ in range(4):
        answer = (await ask(api, **query)).json
        seen += [chat["phoneNumber"] for chat in answer["chats"]]
        options = answer["paginationOptions"]
        if not options["hasMoreChats"]:
            break
        assert options["nextChatTimestamp"] == answer["chats"][-1]["chatUpdatedTime"]
        query |= {name: options[name] for name in ("nextChatId", "nextChatTimestamp")}
        # the last that was listed moves to the top: neither it nor the next is listed again or left out
        await write(api, seen[-1], to=answer["chats"][-1]["wabaNumber"])
    assert seen == [customer(number) for number in (7, 6, 5, 4, 3, 2, 1, 0)]
    assert options == {"hasMoreChats": False, "nextChatId": None, "nextChatTimestamp": None}


async def test_a_status_picks_what_is_unread_or_archived_and_others_are_refused(api: Api) -> None:
    await write(api, customer(0), customer(1), customer(2))
    await api.do("user/conversation/read", userId=BUSINESS, channelType=1, channelId=customer(1))
    await archive(api, customer(2))
    assert await customers(api, status="all") == [customer(2), customer(1), customer(0)]
    assert await customers(api, status="unread") == [customer(2), customer(0)]
    assert await customers(api, status="done") == [customer(2)]
    assert await customers(api, status="unresolved") == [customer(1), customer(0)]
    assert [chat["isDone"] for chat in await chats(api)] == [True, False, False]
    for status in ("waiting_for_response", "open", "open_cart", "x"):
        answer = await ask(api, wabaNumbers=BUSINESS, status=status)
        assert answer.status == 400
        assert "status must be one of all, unread, done, unresolved" in answer.json["error"]


async def test_groups_are_chats_too_and_system_channels_are_not(api: Api) -> None:
    await write(api, CUSTOMER)
    await api.do("group-channel/create", channelId="team", name="Team", owner=BUSINESS, userIds=[CUSTOMER])
    text = {"fromUserId": CUSTOMER, "messageType": "RC:TxtMsg", "content": "to all"}
    await api.do("group-channel/message/send", toChannelIds=["team"], **text)
    api.clock.advance(SECOND)
    await api.do("system-channel/message/send", toUserIds=[BUSINESS], **text)
    found = [(chat["chatType"], chat["name"], chat["phoneNumber"]) for chat in await chats(api)]
    assert found == [("WA_GROUP", "team", None), ("INDIVIDUAL", None, CUSTOMER)]


async def test_an_answer_that_has_looked_at_enough_says_where_to_go_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_LOOKED_AT", 2)
    await write(api, *[customer(number) for number in range(4)])
    for number in (1, 2, 3):
        await api.do("user/conversation/read", userId=BUSINESS, channelType=1, channelId=customer(number))
    first = (await ask(api, wabaNumbers=BUSINESS, status="unread")).json
    assert (first["chats"], first["paginationOptions"]["hasMoreChats"]) == ([], True)
    assert first["paginationOptions"]["nextChatTimestamp"] is None
    cursor = first["paginationOptions"]["nextChatId"]
    assert await customers(api, status="unread", nextChatId=cursor) == [customer(0)]


async def test_another_app_s_chats_and_cursors_show_nothing(api: Api) -> None:
    await write(api, customer(0), customer(1))
    cursor = (await ask(api, wabaNumbers=BUSINESS, limit=1)).json["paginationOptions"]["nextChatId"]
    other = api.of(await api.new_app())
    assert await chats(other) == []
    answer = await ask(other, wabaNumbers=BUSINESS, nextChatId=cursor)
    assert (answer.status, answer.json["message"]) == (400, "Bad Request")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "wabaNumbers is missing"),
        ({"wabaNumbers": ","}, "wabaNumbers must name 1 to 10"),
        (
            {"wabaNumbers": ",".join(customer(number) for number in range(11))},
            "wabaNumbers must name 1 to 10",
        ),
        ({"wabaNumbers": "bob"}, "wabaNumbers must be a phone number"),
        ({"wabaNumbers": BUSINESS, "limit": "0"}, "limit must be >= 1"),
        ({"wabaNumbers": BUSINESS, "limit": "101"}, "limit must be <= 100"),
        ({"wabaNumbers": BUSINESS, "limit": "ten"}, "limit must be an integer"),
        ({"wabaNumbers": BUSINESS, "tags": "vip"}, "tags is not kept here"),
        ({"wabaNumbers": BUSINESS, "assignedUserPhone": CUSTOMER}, "assignedUserPhone is not kept here"),
        ({"wabaNumbers": BUSINESS, "instagramHandles": "x"}, "instagramHandles is not kept here"),
        ({"wabaNumbers": BUSINESS, "nextChatId": "x"}, "nextChatId must be one that the answer before gave"),
    ],
)
async def test_a_wrong_query_is_400(api: Api, query: dict[str, str], words: str) -> None:
    answer = await ask(api, **query)
    assert answer.status == 400
    assert (answer.json["statusCode"], answer.json["message"]) == (400, "Bad Request")
    assert words in answer.json["error"]


async def test_a_cursor_goes_with_its_numbers(api: Api) -> None:
    await write(api, customer(0), customer(1))
    cursor = (await ask(api, wabaNumbers=BUSINESS, limit=1)).json["paginationOptions"]["nextChatId"]
    answer = await ask(api, wabaNumbers=SECOND_NUMBER, nextChatId=cursor)
    assert answer.status == 400
    assert "nextChatId goes with the wabaNumbers" in answer.json["error"]

"""What a user does with his conversations over the API, and what his devices hear of it."""

from __future__ import annotations

from typing import Any

from history import cursors
from history.axis import SECOND
from history.delivery.model import SyncCursor
from tests.api.client import SYNC, Api

ANN = {"userId": "bob", "channelType": 1, "channelId": "ann"}
UPDATE = "/v4/user/conversation/update"


async def conversations(api: Api, user: str = "bob") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.do("user/conversation/list", userId=user))["conversations"]
    return found


async def flags(api: Api, user: str = "bob") -> tuple[bool, bool, bool]:
    (one,) = await conversations(api, user)
    return one["pinned"], one["muted"], one["archived"]


async def test_a_user_pins_mutes_and_archives_what_is_on_his_list(api: Api) -> None:
    await api.send()
    assert await flags(api) == (False, False, False)
    for more, expected in (
        ({"pinned": True}, (True, False, False)),
        ({"muted": True, "archived": True}, (True, True, True)),
        ({"pinned": False, "archived": None}, (False, True, True)),
        ({}, (False, True, True)),
        ({"archived": False}, (False, True, False)),
    ):
        assert await api.do("user/conversation/update", **ANN, **more) is None
        assert await flags(api) == expected
    assert await flags(api, "ann") == (False, False, False)


async def test_what_is_on_no_list_of_his_is_not_found(api: Api) -> None:
    await api.send()
    await api.do("group-channel/create", channelId="g", name="g", owner="ann")
    for type_, id_ in ((1, "zoe"), (3, "g"), (3, "none"), (4, "ann"), (6, "ann")):
        body = {"userId": "bob", "channelType": type_, "channelId": id_, "muted": True}
        (await api.post(UPDATE, body)).refused(404, 404, "list")
    await api.do("user/conversation/delete", **ANN)
    (await api.post(UPDATE, {**ANN, "muted": True})).refused(404, 404)
    assert await api.rows("SELECT FROM conversations WHERE muted") == []


async def test_a_deleted_conversation_is_back_with_the_next_message(api: Api) -> None:
    await api.send(content="old")
    for _ in range(2):
        assert await api.do("user/conversation/delete", **ANN) is None
        assert await conversations(api) == []
    assert len(await conversations(api, "ann")) == 1
    # nothing was cleaned
    assert await api.contents() == ["old"]
    api.clock.advance(SECOND)
    await api.send(content="new")
    (one,) = await conversations(api)
    assert (one["lastMessage"]["content"], one["lastActivityAt"], one["unread"]) == ("new", api.now_ms, 2)
    for type_, id_ in ((1, "zoe"), (3, "none"), (4, "o"), (6, "ann")):
        await api.do("user/conversation/delete", userId="bob", channelType=type_, channelId=id_)
    assert len(await conversations(api)) == 1


async def test_other_devices_hear_of_it_where_the_app_wants_that(api: Api) -> None:
    await api.send()
    page = await api.sync()
    assert page["deletedConversations"] == []
    await api.do("user/conversation/delete", **ANN)
    assert (await api.sync())["deletedConversations"] == []
    await api.send()
    await api.set(syncConversationDeletion=True)
    await api.do("user/conversation/delete", **ANN)
    page = await api.sync(limit=1)
    assert page["deletedConversations"] == [{"channelType": 1, "channelId": "ann"}]
    assert (page["messages"], page["hasMore"]) == ([], True)
    page = await api.sync(cursor=page["cursor"])
    assert (page["deletedConversations"], len(page["messages"])) == ([], 2)
    assert len((await api.sync(device="tablet"))["deletedConversations"]) == 1
    await api.send()
    assert (await api.sync(device="watch"))["deletedConversations"] == []


async def test_a_token_deletes_for_its_own_user_alone(api: Api) -> None:
    await api.send()
    token = (await api.do("auth/access-token/issue", userId="bob", name="Bob"))["accessToken"]
    path = "/v4/user/conversation/delete"
    other = {"userId": "ann", "channelType": 1, "channelId": "bob"}
    for call, body in ((path, other), (UPDATE, {**other, "muted": True})):
        (await api.bearing(token, "POST", call, body)).refused(403, 403, "userId")
    assert await flags(api, "ann") == (False, False, False)
    (await api.bearing(token, "POST", UPDATE, {**ANN, "muted": True})).done()
    assert await flags(api) == (False, True, False)
    (await api.bearing(token, "POST", path, ANN)).done()
    assert (await conversations(api), len(await conversations(api, "ann"))) == ([], 1)


async def test_a_cursor_of_sync_from_before_there_were_deletions_goes_on(api: Api) -> None:
    """Its last part was not written then."""
    await api.send()
    cursor = (await api.sync())["cursor"]
    at = cursors.unpack(cursor, SyncCursor)
    old = cursors.pack([at.reader, at.told, at.recalled, at.after])
    assert (await api.post(SYNC, {"userId": "bob", "deviceId": "phone", "cursor": old})).status == 200

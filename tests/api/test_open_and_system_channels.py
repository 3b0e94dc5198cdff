"""Open channels end by themselves and clean for everyone; system channels belong to the user, not to the account."""

from __future__ import annotations

import pytest

from history.axis import MILLISECOND, SECOND
from tests.api.client import CLEAN, Api

MINUTE = 60 * SECOND


async def say(api: Api, content: str, kind: str = "open", to: str = "o", **more: object) -> str:
    field = "toChannelIds" if kind == "open" else "toUserIds"
    body = {"fromUserId": "ann", "messageType": "x", "content": content, field: [to], **more}
    id_: str = (await api.do(f"{kind}-channel/message/send", **body))["messageIds"][0]["messageId"]
    return id_


async def read(api: Api, user: str, channel: str = "o", kind: str = "open") -> list[str]:
    return [message["content"] for message in await api.history(user, channel, kind=kind)]


async def refused(api: Api) -> None:
    body = {"fromUserId": "ann", "messageType": "x", "content": "late", "toChannelIds": ["o"]}
    answer = await api.post("/v4/open-channel/message/send", body)
    answer.refused(404, 404, "There is no open channel 'o'")


async def test_everyone_reads_an_open_channel_and_nobody_misses_it(api: Api) -> None:
    await refused(api)
    await api.do("open-channel/create", channelId="o")
    await say(api, "one", isEchoToSender=1)
    await say(api, "two")
    for user in ("bob", "eve"):
        assert await read(api, user) == ["two", "one"]
        assert await api.given(user) == []
    assert "one" in await read(api, "ann")
    assert (await api.do("user/conversation/list", userId="bob"))["conversations"] == []
    # it lives, so making it again changes nothing
    await api.do("open-channel/create", channelId="o", ttlMinutes=60, destroyType=1)
    api.clock.advance(61 * MINUTE)
    assert await read(api, "bob") == ["two", "one"]


async def test_a_clean_of_an_open_channel_takes_everyones_history_at_once(api: Api) -> None:
    await api.do("open-channel/create", channelId="o")
    await say(api, "old")
    api.clock.advance(SECOND)
    await say(api, "new")
    clean = {"channelType": 4, "fromUserId": "bob", "channelId": "o", "sentAt": str(api.now_ms)}
    (await api.post(CLEAN, clean)).done()
    assert (await read(api, "bob"), await read(api, "eve")) == (["new"], ["new"])
    (await api.post(CLEAN, {"channelType": 4, "fromUserId": "bob", "channelId": "o"})).done()
    assert await read(api, "eve") == []
    await say(api, "newer")
    assert await read(api, "eve") == ["newer"]


@pytest.mark.parametrize("kind", [0, 1, None], ids=["from the last message", "from its creation", "default"])
async def test_an_open_channel_lives_for_its_ttl_and_not_a_microsecond_more(
    api: Api, kind: int | None
) -> None:
    await api.do("open-channel/create", channelId="o", ttlMinutes=60, destroyType=kind)
    api.clock.advance(30 * MINUTE)
    await say(api, "half way")
    api.clock.advance(30 * MINUTE - 1 if kind == 1 else 60 * MINUTE - 1)
    assert await read(api, "bob") == ["half way"]
    api.clock.advance(1)
    assert await read(api, "bob") == []
    await refused(api)
    # made again it is empty, and lives anew
    await api.do("open-channel/create", channelId="o", ttlMinutes=60)
    assert await read(api, "bob") == []
    await say(api, "again")
    assert await read(api, "bob") == ["again"]


async def test_a_destroyed_open_channel_is_empty_and_may_be_made_again(api: Api) -> None:
    await api.do("open-channel/create", channelId="o")
    await say(api, "old")
    await api.do("open-channel/destroy", channelIds=["never", "o", "o"])
    assert await read(api, "bob") == []
    await refused(api)
    await api.do("open-channel/destroy", channelIds=["o"])
    await api.do("open-channel/create", channelId="o")
    assert await read(api, "bob") == []
    await say(api, "new")
    assert await read(api, "bob") == ["new"]


async def test_one_send_reaches_several_open_channels_all_or_none(api: Api) -> None:
    for id_ in ("o", "p"):
        await api.do("open-channel/create", channelId=id_)
    body = {"fromUserId": "ann", "messageType": "x", "content": "y"}
    before = await api.everything()
    answer = await api.post("/v4/open-channel/message/send", {**body, "toChannelIds": ["p", "nope", "o"]})
    answer.refused(404, 404, "'nope'")
    assert await api.everything() == before
    sent = await api.do("open-channel/message/send", **body, toChannelIds=["p", "o", "p"])
    assert [item["channelId"] for item in sent["messageIds"]] == ["p", "o"]
    assert (await read(api, "x", "o"), await read(api, "x", "p")) == (["y"], ["y"])


async def test_a_system_message_is_read_missed_and_compensated_by_the_user_alone(api: Api) -> None:
    body = {"fromUserId": "news", "messageType": "x", "content": "hi", "toUserIds": ["bob", "cid", "bob"]}
    sent = (await api.do("system-channel/message/send", **body))["messageIds"]
    assert [item["userId"] for item in sent] == ["bob", "cid"]
    (message,) = await api.history("bob", "news", kind="system")
    assert (message["channelId"], message["fromUserId"]) == ("news", "news")
    assert message["messageId"] == sent[0]["messageId"]
    (missed,) = (await api.sync("bob"))["messages"]
    assert (missed["channelType"], missed["channelId"], missed["origin"]) == (6, "news", "missed")
    item = {"channelType": 6, "channelId": "news", "messageId": missed["messageId"]}
    await api.do("user/message/ack", userId="bob", deviceId="phone", delivered=[item])
    assert await api.given("bob", "new") == [("hi", "compensation")]
    # the account takes no part, neither does a user of the same name in a direct channel
    assert (await api.given("news"), await read(api, "news", "bob", "system")) == ([], [])
    assert (await api.do("user/conversation/list", userId="news"))["conversations"] == []
    assert (await api.contents("bob", "news"), await read(api, "eve", "news", "system")) == ([], [])


async def test_a_clean_of_a_system_channel_is_the_users(api: Api) -> None:
    body = {"fromUserId": "news", "messageType": "x", "content": "hi", "toUserIds": ["bob", "cid"]}
    await api.do("system-channel/message/send", **body)
    api.clock.advance(MILLISECOND)
    (await api.post(CLEAN, {"channelType": 6, "fromUserId": "bob", "channelId": "news"})).done()
    assert await read(api, "bob", "news", "system") == []
    assert await read(api, "cid", "news", "system") == ["hi"]
    assert await api.given("bob") == [("hi", "missed")]

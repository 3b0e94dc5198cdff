"""Send: one message to each of up to 1,000 users, all or none."""

from __future__ import annotations

import pytest

from history.cursors import read_message_id
from tests.api.client import SEND, Api


def body(**changes: object) -> dict[str, object]:
    return {
        "fromUserId": "ann",
        "toUserIds": ["bob"],
        "messageType": "RC:TxtMsg",
        "content": '{"content":"hi"}',
        **changes,
    }


async def test_the_answer_names_each_user_once_in_the_order_asked(api: Api) -> None:
    result = (await api.post(SEND, body(toUserIds=["cid", "bob", "cid", "dan", "bob"]))).done()
    assert [item["userId"] for item in result["messageIds"]] == ["cid", "bob", "dan"]
    assert len({item["messageId"] for item in result["messageIds"]}) == 3
    assert await api.contents("cid") == ['{"content":"hi"}']


async def test_a_thousand_users_and_no_more(api: Api) -> None:
    users = [f"user{number}" for number in range(1000)]
    assert len(await api.send("ann", *users)) == 1000
    before = await api.everything()
    (await api.post(SEND, body(toUserIds=[*users, "one-more"]))).refused(400, 1002, "toUserIds", "1000")
    assert await api.everything() == before
    assert await api.contents("user999") == ["hello"]


async def test_nobody_sends_to_himself_and_then_nobody_gets_it(api: Api) -> None:
    before = await api.everything()
    (await api.post(SEND, body(toUserIds=["bob", "ann"]))).refused(400, 1002, "toUserIds", "himself")
    assert await api.everything() == before


async def test_the_sender_sees_his_message_only_where_it_is_echoed(api: Api) -> None:
    await api.send(content="plain")
    await api.send(content="not echoed", isEchoToSender=0)
    api.clock.advance(1000)
    await api.send(content="echoed", isEchoToSender=1)
    assert await api.contents("ann", "bob") == ["echoed"]
    assert await api.contents("bob", "ann") == ["echoed", "not echoed", "plain"]


async def test_what_is_not_to_be_stored_is_delivered_and_not_listed(api: Api) -> None:
    await api.send(content="passing", shouldPersist=0)
    assert await api.contents() == []
    assert await api.given() == [("passing", "missed")]


@pytest.mark.parametrize(
    "content", ["é" * 50, "水" * 33 + "x", "😀" * 25], ids=["2 bytes", "3 bytes", "4 bytes"]
)
async def test_content_is_measured_in_bytes_of_utf_8(api: Api, content: str) -> None:
    assert len(content.encode()) == 100
    await api.set(maxContentBytes=100)
    await api.send(content=content)
    (await api.post(SEND, body(content=content + "x"))).refused(400, 1005, "content", "100")
    assert await api.contents() == [content]


async def test_the_size_limit_is_131072_bytes_unless_set(api: Api) -> None:
    await api.send(content="x" * 131_072)
    (await api.post(SEND, body(content="x" * 131_073))).refused(400, 1005, "content")


async def test_the_largest_content_fits_with_every_character_escaped(api: Api) -> None:
    await api.set(maxContentBytes=1_048_576)
    content = "\x01" * 1_048_576
    await api.send(content=content)
    assert await api.contents() == [content]


async def test_content_is_kept_as_it_came(api: Api) -> None:
    content = ' \t\n"\\/\u2028\ufeff\ufffd\U0010ffff e\u0301 é \x01\x7f '
    await api.send(content=content)
    assert await api.contents() == [content]


async def test_nul_is_refused_and_its_written_name_is_not(api: Api) -> None:
    (await api.post(SEND, body(content="a\0b"))).refused(400, 1002, "content", "NUL")
    await api.send(content="a\\u0000b")
    assert await api.contents() == ["a\\u0000b"]


async def test_a_message_id_names_its_place_and_sent_at_is_its_millisecond(api: Api) -> None:
    id_ = (await api.send())[0]
    message = (await api.history())[0]
    assert message["messageId"] == id_
    assert read_message_id(id_)[1] == message["position"] == api.clock.now()
    assert message["sentAt"] == api.now_ms
    assert message == {
        "channelId": "ann",
        "fromUserId": "ann",
        "messageId": id_,
        "position": message["position"],
        "sentAt": api.now_ms,
        "messageType": "RC:TxtMsg",
        "content": "hello",
        "hasMetadata": False,
    }


async def test_fields_that_are_not_acted_on_are_taken(api: Api) -> None:
    more = {
        "pushContent": "",
        "pushData": "x",
        "count": -1,
        "verifyBlocklist": 1,
        "contentAvailable": 0,
        "hasMetadata": True,
        "metadata": {"k" * 32: "v"},
        "disablePush": False,
        "pushExt": "{}",
        "disableUpdateLastMsg": True,
        "needReadReceipt": 1,
        "unheardOf": {"a": [1]},
    }
    (await api.post(SEND, body(**more))).done()
    (await api.post(SEND, body(**dict.fromkeys(more)))).done()


async def test_ids_hold_anything_but_nul_up_to_64_characters(api: Api) -> None:
    for user in ("😀" * 64, "a:b", ' "%\\', "Ann", "ann ", "é", "e\u0301"):
        await api.send("ann", user, content=user)
    for user in ("😀" * 64, "a:b", ' "%\\', "Ann", "ann ", "é", "e\u0301"):
        assert await api.contents(user) == [user]

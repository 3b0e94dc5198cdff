"""Sync and acknowledge, as a device meets them over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from history.axis import SECOND
from history.cursors import message_id, read_message_id
from tests.api.client import ACK, SYNC, Api

MB = 1024 * 1024


async def walk(api: Api, user: str, device: str, *, limit: int) -> list[dict[str, Any]]:
    """All pages of a device, one after the other; nothing is acknowledged."""
    page = await api.sync(user, device, limit=limit)
    pages = [page]
    while page["hasMore"]:
        page = await api.sync(user, device, limit=limit, cursor=page["cursor"])
        pages.append(page)
    return pages


async def test_a_message_has_all_its_fields_and_the_channel_is_the_other_user(api: Api) -> None:
    id_ = (await api.send(content="hi"))[0]
    page = await api.sync()
    assert page["messages"] == [
        {
            "channelType": 1,
            "channelId": "ann",
            "fromUserId": "ann",
            "messageId": id_,
            "position": api.clock.now(),
            "sentAt": api.now_ms,
            "messageType": "RC:TxtMsg",
            "content": "hi",
            "origin": "missed",
            "hasMetadata": False,
        }
    ]
    assert (page["cleans"], page["hasMore"]) == ([], False)
    assert page["cursor"]


async def test_nothing_is_an_empty_page_that_makes_nothing_but_the_device(api: Api) -> None:
    before = await api.everything()
    page = await api.sync("stranger", "new")
    assert (page["cleans"], page["messages"], page["hasMore"]) == ([], [], False)
    after = await api.everything()
    assert (len(before.pop("devices")), len(after.pop("devices"))) == (0, 1)
    assert after == before


async def test_missed_stays_until_a_device_acknowledges_then_others_get_compensation(api: Api) -> None:
    id_ = (await api.send())[0]
    assert await api.given() == await api.given() == [("hello", "missed")]
    (await api.ack(id_)).done()
    assert await api.given() == []
    assert await api.given(device="tablet") == [("hello", "compensation")]
    await api.set(multiDeviceSync=False)
    assert await api.given(device="tablet") == []


async def test_a_sender_gets_only_what_is_echoed_and_never_as_missed(api: Api) -> None:
    await api.send(content="plain")
    await api.send(content="echoed", isEchoToSender=1)
    page = await api.sync("ann", "phone")
    assert [(one["content"], one["origin"], one["channelId"]) for one in page["messages"]] == [
        ("echoed", "compensation", "bob")
    ]


async def test_an_acknowledgement_takes_everything_before_it_and_nothing_after(api: Api) -> None:
    ids = [(await api.send(content=str(number)))[0] for number in range(3)]
    (await api.ack(ids[1])).done()
    assert await api.given() == [("2", "missed")]
    (await api.ack(ids[0])).done()  # late: marks only rise
    assert await api.given() == [("2", "missed")]


async def test_the_limit_counts_cleans_and_messages_together(api: Api) -> None:
    for number in range(5):
        await api.send(f"user{number}")
        (await api.clean("bob", f"user{number}")).done()
    pages = await walk(api, "bob", "phone", limit=3)
    assert all(len(page["cleans"]) + len(page["messages"]) <= 3 for page in pages)
    assert [len(page["cleans"]) for page in pages][:2] == [3, 2]
    assert len(pages[1]["messages"]) == 1
    assert sum(len(page["cleans"]) for page in pages) == 5
    given = [one["messageId"] for page in pages for one in page["messages"]]
    assert len(given) == len(set(given)) == 5


async def test_five_hundred_to_a_page_and_a_hundred_unless_asked(api: Api) -> None:
    for number in range(11):
        await api.send("ann", "bob", *(f"other{n}" for n in range(2)), content=str(number))
    connection = await api.rows("SELECT id FROM channels WHERE 'bob' = ANY (key)")
    await api.rows(
        "INSERT INTO messages (channel_id, position, flags, sender, type, content)"
        " SELECT $1, $2::bigint + n, 1, 'ann', 'x', 'y' FROM generate_series(1, 600) n",
        connection[0]["id"],
        api.clock.now() + SECOND,
    )
    await api.rows("UPDATE channels SET last_position = $1", api.clock.now() + SECOND + 600)
    assert len((await api.sync())["messages"]) == 100
    assert len((await api.sync(limit=500))["messages"]) == 500
    assert (await api.sync(limit=500))["hasMore"] is True
    assert len((await api.sync(limit=1))["messages"]) == 1
    ids = [
        one["messageId"] for page in await walk(api, "bob", "phone", limit=250) for one in page["messages"]
    ]
    assert len(ids) == len(set(ids)) == 611


@pytest.mark.parametrize("limit", [1, 2, 3, 500])
async def test_pages_by_cursor_are_complete_and_ascend_in_each_channel(api: Api, limit: int) -> None:
    for number in range(3):
        for sender in ("ann", "cid", "dan"):
            await api.send(sender, content=f"{sender}{number}")
        await api.send("bob", "ann", content=f"own{number}", isEchoToSender=1)
    page = await api.sync(limit=limit)
    (await api.ack(page["messages"][0]["messageId"], other=page["messages"][0]["channelId"])).done()
    pages = await walk(api, "bob", "tablet", limit=limit)
    found = [(one["channelId"], one["position"]) for page in pages for one in page["messages"]]
    assert len(found) == len(set(found)) == 12
    for channel in ("ann", "cid", "dan"):
        positions = [position for of, position in found if of == channel]
        assert positions == sorted(positions)


async def test_a_clean_is_told_until_the_device_comes_back_with_the_cursor(api: Api) -> None:
    await api.send()
    (await api.clean()).done()
    cutoff = api.clock.now() + 1
    page = await api.sync()
    for _ in range(2):
        page = await api.sync()
        assert page["cleans"] == [
            {
                "channelType": 1,
                "channelId": "ann",
                "cutoff": cutoff,
                "cutoffAt": cutoff // 1000,
                "everyone": False,
                "restored": False,
            }
        ]
    assert (await api.sync(cursor=page["cursor"]))["cleans"] == []
    assert (await api.sync())["cleans"] == []
    assert len((await api.sync(device="tablet"))["cleans"]) == 1
    assert (await api.sync("ann", "phone"))["cleans"] == []


async def test_a_reinstalled_device_has_and_knows_nothing(api: Api) -> None:
    id_ = (await api.send())[0]
    (await api.ack(id_)).done()
    (await api.clean()).done()
    await api.sync(cursor=(await api.sync())["cursor"])
    assert await api.given() == []
    page = await api.sync(reinstalled=True)
    assert [one["origin"] for one in page["messages"]] == ["compensation"]
    assert len(page["cleans"]) == 1


@pytest.mark.parametrize(
    ("user", "device"), [("bob", "tablet"), ("ann", "phone"), ("bobp", "hone"), ("bo", "bphone")]
)
async def test_a_cursor_of_another_device_is_refused(api: Api, user: str, device: str) -> None:
    await api.send()
    (await api.clean()).done()
    cursor = (await api.sync())["cursor"]
    before = await api.everything()
    body = {"userId": user, "deviceId": device, "cursor": cursor}
    (await api.post(SYNC, body)).refused(400, 1002, "cursor")
    assert await api.everything() == before


async def test_a_cursor_of_another_app_is_refused(api: Api) -> None:
    other = await api.new_app()
    cursor = (await api.sync())["cursor"]
    body = {"userId": "bob", "deviceId": "phone", "cursor": cursor}
    (await api.post(SYNC, body, keys=other)).refused(400, 1002, "cursor")


@pytest.mark.parametrize("cursor", ["zz", "A" * 65_536, "eJwDAAAAAAE", "=", "é", " ", "\U0001f600"])
async def test_a_cursor_that_is_none_is_refused(api: Api, cursor: str) -> None:
    (await api.post(SYNC, {"userId": "bob", "deviceId": "phone", "cursor": cursor})).refused(
        400, 1002, "cursor"
    )


async def test_a_page_is_capped_at_4_mb_and_says_that_there_is_more(api: Api) -> None:
    for _ in range(70):
        await api.send(content="x" * 131_072)
    seen, cursor, more = list[int](), None, True
    while more:
        answer = await api.post(SYNC, {"userId": "bob", "deviceId": "phone", "limit": 500, "cursor": cursor})
        page = answer.done()
        assert len(answer.body) <= 4 * MB
        assert page["messages"]
        seen += [one["position"] for one in page["messages"]]
        cursor, more = page["cursor"], page["hasMore"]
    assert len(seen) == 70
    assert seen == sorted(set(seen))


async def test_the_cap_counts_what_escapes_to_six_times_its_size(api: Api) -> None:
    for _ in range(12):
        await api.send(content="\x01" * 131_072)
    answer = await api.post(SYNC, {"userId": "bob", "deviceId": "phone", "limit": 500})
    assert len(answer.body) <= 4 * MB
    assert answer.done()["hasMore"] is True
    assert len(await walk(api, "bob", "phone", limit=500)) == 3


async def test_one_message_larger_than_the_cap_still_comes(api: Api) -> None:
    await api.set(maxContentBytes=1_048_576)
    for _ in range(2):
        await api.send(content="\x01" * 1_048_576)
    pages = await walk(api, "bob", "phone", limit=500)
    assert [len(page["messages"]) for page in pages] == [1, 1]


async def refused_ack(api: Api, items: list[dict[str, object]], *words: str) -> None:
    before = await api.everything()
    body = {"userId": "bob", "deviceId": "phone", "delivered": items}
    (await api.post(ACK, body)).refused(400, 1002, *words)
    assert await api.everything() == before
    assert ("hello", "missed") in await api.given()


async def test_what_cannot_have_been_received_is_refused_and_nothing_of_the_call_counts(api: Api) -> None:
    good = (await api.send("ann", "bob"))[0]
    elsewhere = (await api.send("ann", "cid"))[0]
    channel, position = read_message_id(good)
    item: dict[str, object] = {"channelType": 1, "channelId": "ann", "messageId": good}
    wrong = {
        "of another channel": {**item, "messageId": elsewhere},
        "of a channel that is not": {**item, "channelId": "nobody"},
        "of another type": {**item, "channelType": 3},
        "beyond the end": {**item, "messageId": message_id(channel, position + 1)},
        "no id": {**item, "messageId": "nonsense"},
        "not quite an id": {**item, "messageId": good[:-1]},
        "of a clean": {**item, "messageId": (await api.clean()).headers["Clean-Request-Id"]},
    }
    for changed in wrong.values():
        await refused_ack(api, [item, changed], "delivered[1].messageId")
    await refused_ack(api, [{**item, "channelType": 2}], "delivered[0].channelType")


async def test_the_other_users_message_id_serves_for_a_channel_that_both_share(api: Api) -> None:
    await api.send("ann", "bob")
    own = (await api.send("bob", "ann"))[0]
    (await api.ack(own)).done()
    assert await api.given() == []
    assert await api.given("ann") == [("hello", "missed")]


async def test_missed_expires_after_the_set_days_and_not_before(api: Api) -> None:
    await api.set(missedDays=1, multiDeviceSync=False)
    await api.send()
    api.clock.advance(86_400 * SECOND)
    assert await api.given() == [("hello", "missed")]
    api.clock.advance(1)
    assert await api.given() == []

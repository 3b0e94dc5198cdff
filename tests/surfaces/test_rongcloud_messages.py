"""RongCloud's calls about messages: publish, query, recall, clean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from history.axis import MILLISECOND, SECOND
from server.surfaces.text import as_text
from tests.api.client import DAY_MS, Answer, Api
from tests.surfaces.rongcloud import DONE, Rong


@pytest.fixture
async def rong(api: Api) -> Rong:
    """With a group g of ann and bob, and a chatroom o."""
    backend = Rong(api=api)
    await backend.do("group/create", userId=["ann", "bob"], groupId="g", groupName="Ours")
    await backend.do("chatroom/create", **{"chatroom[o]": "Open"})
    return backend


async def test_a_message_to_users_is_answered_user_by_user(rong: Rong) -> None:
    answer = await rong.do(
        "message/private/publish",
        fromUserId="ann",
        toUserId=["bob", "cid", "bob"],
        objectName="RC:TxtMsg",
        content="x",
    )
    assert list(answer) == ["code", "messageUID", "messageUIDs"]
    assert [list(item) for item in answer["messageUIDs"]] == [["userId", "messageUID"]] * 2
    assert [item["userId"] for item in answer["messageUIDs"]] == ["bob", "cid"]
    assert answer["messageUID"] == answer["messageUIDs"][0]["messageUID"]
    for item in answer["messageUIDs"]:
        (found,) = await rong.query(user=item["userId"])
        assert found["messageUID"] == item["messageUID"]


@pytest.mark.parametrize(
    ("kind", "to", "name"),
    [("group", ["g"], "groupId"), ("chatroom", ["o"], "chatroomId"), ("system", ["bob", "eva"], "userId")],
)
async def test_the_other_kinds_name_their_targets(rong: Rong, kind: str, to: list[str], name: str) -> None:
    field = {"group": "toGroupId", "chatroom": "toChatroomId", "system": "toUserId"}[kind]
    fields = {"fromUserId": "ann", field: to, "objectName": "app:note", "content": "{}"}
    answer = await rong.do(f"message/{kind}/publish", **fields)
    assert [item[name] for item in answer["messageUIDs"]] == to
    assert all(set(item) == {name, "messageUID"} for item in answer["messageUIDs"])


async def test_a_record_of_a_query_has_every_field(rong: Rong) -> None:
    (id_,) = await rong.publish(content='{"content":"hi"}')
    assert await rong.query() == [
        {
            "targetId": "ann",
            "fromUserId": "ann",
            "messageUID": id_,
            "msgTime": rong.api.now_ms,
            "objectName": "RC:TxtMsg",
            "content": '{"content":"hi"}',
            "expansion": False,
            "extraContent": "",
        }
    ]


TEXTS = ['{"content": "a & b = c % d + e ✓ 你好"}', '{"content":"x\\u0041"}', " not JSON ", "a+b&c=d;e\n\t"]


@pytest.mark.parametrize("content", TEXTS)
async def test_content_is_kept_byte_for_byte_and_reads_as_text_elsewhere(rong: Rong, content: str) -> None:
    await rong.publish(content=content)
    assert await rong.contents() == [content]
    (seen,) = await rong.api.history()
    assert seen["content"] == content
    expected = json.loads(content)["content"] if content.startswith("{") else content
    assert as_text(seen["messageType"], seen["content"]) == expected


async def test_what_v4_sends_is_read_here_and_the_other_way_round(rong: Rong) -> None:
    [v4] = await rong.api.send(content="from v4", hasMetadata=True, metadata={"a": "b"})
    (found,) = await rong.query()
    assert (found["messageUID"], found["expansion"], found["extraContent"]) == (v4, True, '{"a":"b"}')
    extra = json.dumps({"type": "3", "é": "ü"})
    await rong.publish(content="from here", expansion="true", extraContent=extra)
    newest = (await rong.api.history())[0]
    assert {item["key"]: item["value"] for item in newest["metadata"]} == {"type": "3", "é": "ü"}
    assert json.loads((await rong.query())[0]["extraContent"]) == json.loads(extra)


@pytest.mark.parametrize("expansion", ["false", "False", "0", ""])
async def test_extra_content_counts_with_expansion_alone(rong: Rong, expansion: str) -> None:
    await rong.publish(expansion=expansion, extraContent='{"a":"b"}')
    (found,) = await rong.query()
    assert (found["expansion"], found["extraContent"]) == (False, "")


async def test_the_sender_reads_his_own_where_he_asked_for_it(rong: Rong) -> None:
    await rong.publish(content="alone")
    await rong.publish(content="with a copy", isIncludeSender="1")
    assert await rong.contents(user="ann", target="bob") == ["with a copy"]
    assert await rong.contents() == ["with a copy", "alone"]


async def test_what_is_not_persisted_is_delivered_and_not_history(rong: Rong) -> None:
    await rong.publish(content="passing", isPersisted="0")
    assert await rong.contents() == []
    assert await rong.api.given() == [("passing", "missed")]


async def test_a_group_message_for_some_members(rong: Rong) -> None:
    await rong.do("group/join", userId=["cid"], groupId="g")
    await rong.publish("group", "g", "for cid", toUserId=["cid"])
    assert await rong.contents("group", "cid", "g") == ["for cid"]
    assert await rong.contents("group", "bob", "g") == []


async def test_who_is_not_in_a_group_reads_nothing_and_anyone_reads_a_chatroom(rong: Rong) -> None:
    await rong.publish("group", "g")
    await rong.publish("chatroom", "o")
    assert await rong.contents("group", "zoe", "g") == []
    assert await rong.contents("chatroom", "zoe", "o") == ["hello"]


# queries


@pytest.fixture
async def five(rong: Rong) -> tuple[Rong, list[int]]:
    """Messages 0 to 4 in the channel of ann and bob, a second apart, and their times."""
    times = []
    for number in range(5):
        times.append(rong.api.now_ms)
        await rong.publish(content=str(number))
        rong.api.clock.advance(SECOND)
    return rong, times


CASES: list[tuple[int, int, Any, str]] = [
    (4, 0, True, "43210"),
    (4, 0, False, "3210"),
    (3, 1, True, "321"),
    (3, 1, False, "21"),
    (2, 2, True, "2"),
    (2, 2, False, ""),
    (0, 4, True, "43210"),
    (0, 4, False, "4321"),
    (1, 3, True, "321"),
    (1, 3, False, "32"),
]


@pytest.mark.parametrize(("start", "end", "include", "expected"), CASES)
async def test_a_page_runs_between_its_ends_whichever_is_newer(
    five: tuple[Rong, list[int]], start: int, end: int, include: bool, expected: str
) -> None:
    rong, times = five
    page: dict[str, Any] = {"startTime": times[start], "endTime": times[end], "includeStart": include}
    assert "".join(item["content"] for item in await rong.query(**page)) == expected


async def test_strings_real_types_and_forms_are_the_same(five: tuple[Rong, list[int]]) -> None:
    rong, times = five
    real = {"startTime": times[3], "endTime": times[0], "pageSize": 2, "includeStart": True}
    who = {"userId": "bob", "targetId": "ann"}
    path = "v3/message/private/query"
    expected = (await rong.json(path, **who, **real)).json
    assert [item["content"] for item in expected["data"]] == ["3", "2"]
    for include in ("true", "True", "1"):
        texts = {**{name: str(value) for name, value in real.items()}, "includeStart": include}
        assert (await rong.json(path, **who, **texts)).json == expected
        assert (await rong.form(path, **who, **texts)).json == expected
    assert (await rong.json(path, **who, **real, busChannel="")).json == expected


async def test_a_page_has_ten_unless_told_otherwise_and_without_include_start_its_start_is_out(
    rong: Rong,
) -> None:
    for number in range(12):
        await rong.publish(content=str(number))
        rong.api.clock.advance(SECOND)
    assert len(await rong.query()) == 10
    assert len(await rong.query(pageSize="11")) == 11
    newest = (await rong.query())[0]["msgTime"]
    body = {"userId": "bob", "targetId": "ann", "startTime": newest, "endTime": newest - DAY_MS}
    found = (await rong.json("v3/message/private/query", **body)).json["data"]
    assert found[0]["content"] == "10"


async def test_pages_follow_one_another_by_the_last_time(five: tuple[Rong, list[int]]) -> None:
    rong, times = five
    start, include, seen = times[4], True, ""
    while page := await rong.query(startTime=start, endTime=times[0], includeStart=include, pageSize=2):
        seen += "".join(item["content"] for item in page)
        start, include = page[-1]["msgTime"], False
    assert seen == "43210"


@pytest.mark.parametrize("turned", [False, True])
async def test_a_range_is_14_days_at_most(rong: Rong, turned: bool) -> None:
    now = rong.api.now_ms

    async def ask(span: int) -> Answer:
        first, last = (now - span, now) if turned else (now, now - span)
        body = {"userId": "bob", "targetId": "ann", "startTime": first, "endTime": last}
        return await rong.json("v3/message/private/query", **body)

    assert (await ask(14 * DAY_MS)).status == 200
    (await ask(14 * DAY_MS + 1)).refused(400, 1002, "startTime", "14 days")


# recall


@pytest.mark.parametrize(
    ("kind", "to", "reader"), [("private", "bob", "ann"), ("group", "g", "g"), ("chatroom", "o", "o")]
)
async def test_a_message_is_taken_back_from_everyone(rong: Rong, kind: str, to: str, reader: str) -> None:
    first, second = [(await rong.publish(kind, to, text))[0] for text in ("one", "two")]
    number = {"private": "1", "group": "3", "chatroom": "4"}[kind]
    fields = {"fromUserId": "ann", "conversationType": number, "targetId": to, "messageUID": first}
    for _ in range(2):
        assert await rong.do("message/recall", **fields, sentTime="1507778882124", isDelete="1") == DONE
    assert [item["messageUID"] for item in await rong.query(kind, "bob", reader)] == [second]


async def test_a_system_message_is_taken_back_by_its_account(rong: Rong) -> None:
    [id_] = await rong.publish("system", "bob", fromUserId="news")
    [other] = await rong.publish("system", "eva", fromUserId="news")
    fields = {"fromUserId": "news", "conversationType": "6", "targetId": "bob", "messageUID": id_}
    await rong.do("message/recall", **fields)
    assert await rong.api.given("bob") == []
    assert len(await rong.api.given("eva")) == 1
    # an id that is no message of this conversation is nothing to take back
    await rong.do("message/recall", **{**fields, "messageUID": other})
    await rong.do("message/recall", **{**fields, "messageUID": "5FGT-7VA9-G4DD-4V5P"})
    assert len(await rong.api.given("eva")) == 1


async def test_who_did_not_send_it_recalls_as_admin_alone(rong: Rong) -> None:
    [id_] = await rong.publish("group", "g")
    fields = {"fromUserId": "bob", "conversationType": "3", "targetId": "g", "messageUID": id_}
    (await rong.form("message/recall", **fields, isAdmin="0")).refused(400, 1002, "fromUserId")
    assert await rong.contents("group", "bob", "g") == ["hello"]
    await rong.do("message/recall", **fields, isAdmin="1")
    assert await rong.contents("group", "bob", "g") == []


# clean


@pytest.mark.parametrize("stamp", [{}, {"msgTimestamp": ""}, {"msgTimestamp": "0"}, {"msgTimestamp": 0}])
@pytest.mark.parametrize("how", ["form", "json"])
async def test_without_a_time_everything_goes_from_his_view_alone(
    rong: Rong, stamp: dict[str, Any], how: str
) -> None:
    await rong.publish(content="gone", isIncludeSender="1")
    fields = {"conversationType": "1", "fromUserId": "bob", "targetId": "ann", **stamp}
    answer = await getattr(rong, how)("conversation/message/history/clean", **fields)
    assert (answer.status, answer.json) == (200, DONE)
    assert await rong.contents() == []
    assert await rong.contents(user="ann", target="bob") == ["gone"]
    await rong.publish(content="later")
    assert await rong.contents() == ["later"]
    # what no device has received yet is delivered all the same
    assert await rong.api.given() == [("gone", "missed"), ("later", "missed")]


@pytest.mark.parametrize("how", ["form", "json"])
async def test_a_time_takes_what_was_before_it_and_leaves_what_was_at_it(rong: Rong, how: str) -> None:
    for text in ("before", "at", "after"):
        await rong.publish(content=text)
        rong.api.clock.advance(MILLISECOND)
    at = (await rong.query())[1]["msgTime"]
    # the SDKs for Go and Java write digits, JSON may hold a number
    stamp = {"form": str(at), "json": at}[how]
    fields = {"conversationType": "1", "fromUserId": "bob", "targetId": "ann", "msgTimestamp": stamp}
    await getattr(rong, how)("conversation/message/history/clean", **fields)
    assert await rong.contents() == ["after", "at"]


async def test_a_time_to_come_takes_what_is_there_now(rong: Rong) -> None:
    await rong.publish(content="now")
    await rong.clean(msgTimestamp=str(rong.api.now_ms + DAY_MS))
    await rong.publish(content="later")
    assert await rong.contents() == ["later"]


async def test_groups_are_cleaned_for_one_and_chatrooms_for_everyone(rong: Rong) -> None:
    await rong.publish("group", "g", isIncludeSender="1")
    await rong.publish("chatroom", "o")
    await rong.clean("group", "bob", "g")
    assert await rong.contents("group", "bob", "g") == []
    assert await rong.contents("group", "ann", "g") == ["hello"]
    await rong.clean("chatroom", "ann", "o")
    assert await rong.contents("chatroom", "zoe", "o") == []


async def test_a_system_conversation_is_cleaned_for_its_user(rong: Rong) -> None:
    await rong.publish("system", ["bob", "eva"], fromUserId="news")
    await rong.clean("system", "bob", "news")
    assert await rong.api.contents("bob", "news", kind="system") == []
    assert await rong.api.contents("eva", "news", kind="system") == ["hello"]


async def test_what_is_not_there_is_cleaned_with_success_and_not_made(rong: Rong) -> None:
    before = await rong.api.everything()
    for kind, target in (("private", "nobody"), ("group", "nowhere"), ("chatroom", "nowhere")):
        await rong.clean(kind, "zoe", target)
    after = await rong.api.everything()
    assert len(after.pop("clean_requests")) == 3
    assert after == {name: rows for name, rows in before.items() if name != "clean_requests"}


async def test_the_journal_says_where_a_clean_came_from_and_it_can_be_undone(rong: Rong) -> None:
    await rong.api.set(undoSeconds=3600)
    await rong.publish()
    await rong.publish("chatroom", "o")
    id_ = (await rong.clean()).headers["Clean-Request-Id"]
    room = (await rong.clean("chatroom", "ann", "o")).headers["Clean-Request-Id"]
    receipt = await rong.api.do("channel/message/history/clean/status", requestId=id_)
    assert (receipt["source"], receipt["userId"], receipt["channelId"]) == ("rongcloud", "bob", "ann")
    receipt = await rong.api.do("channel/message/history/clean/status", requestId=room)
    assert (receipt["source"], receipt["userId"], receipt["operator"]) == ("rongcloud", None, "ann")
    await rong.api.do("channel/message/history/clean/cancel", requestId=id_)
    assert await rong.contents() == ["hello"]
    assert await rong.contents("chatroom", "bob", "o") == []

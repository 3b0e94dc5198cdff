"""Clean: the contract of the v4 call, in force on the next read."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from redis import Redis

from history.axis import MILLISECOND, SECOND
from tests.api.client import CLEAN, DELETE, Api

SEED_BODY = b"""{
"fromUserId": "1",
"channelId": "8888",
"channelType": 3,
"sentAt": "1566281295943"
}"""
"""The request body that the v4 documentation prints."""
NOT_MADE = "SELECT count(*) FROM channels UNION ALL SELECT count(*) FROM conversations"


async def journal(api: Api) -> list[dict[str, Any]]:
    return [dict(row) for row in await api.rows("SELECT * FROM clean_requests ORDER BY accepted_at, id")]


@pytest.mark.parametrize("path", [CLEAN, DELETE])
async def test_the_documented_body_is_answered_byte_for_byte(api: Api, path: str) -> None:
    answer = await api.raw(path, SEED_BODY)
    assert answer.status == 200
    assert answer.body == b'{"code":0}'
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert re.fullmatch(r"[\w-]{20,64}", answer.headers["Clean-Request-Id"])


async def test_unknown_users_and_channels_are_a_success_that_makes_nothing(api: Api) -> None:
    for type_ in (1, 3, 4, 6):
        answer = await api.post(CLEAN, {"channelType": type_, "fromUserId": "nobody", "channelId": "nowhere"})
        assert answer.done() is None
    assert [row[0] for row in await api.rows(NOT_MADE)] == [0, 0]
    rows = await journal(api)
    assert {(row["channel_type"], row["user_id"], row["operator"], row["cutoff"]) for row in rows} == {
        (1, "nobody", None, 1),
        (3, "nobody", None, 1),
        (4, "", "nobody", 1),
        (6, "nobody", None, 1),
    }


async def test_each_request_has_an_id_of_its_own(api: Api) -> None:
    ids = {(await api.clean()).headers["Clean-Request-Id"] for _ in range(5)}
    assert len(ids) == 5


async def test_a_clean_is_in_force_on_the_next_read_for_its_user_alone(api: Api) -> None:
    await api.send(content="old", isEchoToSender=1)
    await api.send("cid", "bob", content="another channel")
    (await api.clean()).done()
    assert await api.contents("bob", "ann") == []
    assert await api.contents("ann", "bob") == ["old"]
    assert await api.contents("bob", "cid") == ["another channel"]
    await api.send(content="new")
    assert await api.contents("bob", "ann") == ["new"]


@pytest.mark.parametrize("as_text", [True, False], ids=["digits", "integer"])
async def test_before_is_strict(api: Api, as_text: bool) -> None:
    at = api.now_ms
    for offset in (-1, 0, 1):
        api.clock.set((at + offset) * MILLISECOND)
        await api.send(content=f"{offset:+}")
    (await api.clean(sentAt=str(at) if as_text else at)).done()
    assert await api.contents() == ["+1", "+0"]


@pytest.mark.parametrize("absent", [{}, {"sentAt": None}, {"sentAt": ""}], ids=["absent", "null", "empty"])
async def test_without_sent_at_all_of_it_goes(api: Api, absent: dict[str, Any]) -> None:
    await api.send()
    (await api.clean(**absent)).done()
    assert await api.contents() == []


@pytest.mark.parametrize("sent_at", [10**11, 10**14 - 1, str(10**11), str(10**14 - 1), "0100000000000"])
async def test_every_millisecond_of_some_thousand_years_is_taken(api: Api, sent_at: object) -> None:
    (await api.clean(sentAt=sent_at)).done()


async def test_a_future_sent_at_takes_nothing_that_comes_later(api: Api) -> None:
    await api.send(content="before")
    (await api.clean(sentAt=api.now_ms + 1_000_000)).done()
    await api.send(content="after")
    assert await api.contents() == ["after"]


@pytest.mark.parametrize(
    "sent_at",
    ["abc", "-1", -1, 0, "0", 1566281295, "1566281295", 10**11 - 1, 10**14, str(10**14), 10**30, "9" * 5000,
     " 1566281295943", "1566281295943 ", "+1566281295943", "1_566_281_295_943", "1566281295943.0", "1e12", "0x1",
     "\uff11\uff15\uff16\uff16\uff12\uff18\uff11\uff12\uff19\uff15\uff19\uff14\uff13", 1.5, True, [], {}, ["1566281295943"]],
    ids=repr,
)  # fmt: skip
async def test_a_sent_at_that_is_no_time_in_ms_is_refused(api: Api, sent_at: object) -> None:
    before = await api.everything()
    (await api.clean(sentAt=sent_at)).refused(400, 1002, "sentAt")
    assert await api.everything() == before


@pytest.mark.parametrize("type_", [0, 2, 5, 7, 10, -1, 10**20, "1", 1.5, True, None, [1]])
async def test_a_type_that_has_no_history_is_refused(api: Api, type_: object) -> None:
    (await api.post(CLEAN, {"channelType": type_, "fromUserId": "a", "channelId": "b"})).refused(
        400, 1002, "channelType"
    )
    assert await journal(api) == []


async def test_the_flag_is_the_requests_word_else_the_apps(api: Api) -> None:
    for flag in (None, True, False):
        (await api.clean(deleteCompensated=flag)).done()
    await api.set(deleteCompensatedOnClean=True)
    for flag in (None, True, False):
        (await api.clean(deleteCompensated=flag)).done()
        api.clock.advance(SECOND)
    flags = [(row["delete_compensated"], row["delete_compensated_from"]) for row in await journal(api)]
    assert sorted(flags, key=str) == sorted(
        [
            (False, "app"),
            (True, "request"),
            (False, "request"),
            (True, "app"),
            (True, "request"),
            (False, "request"),
        ],
        key=str,
    )


@pytest.mark.parametrize("flag", [True, False])
async def test_the_flag_takes_compensation_and_never_what_is_missed(api: Api, flag: bool) -> None:
    received = (await api.send(content="received"))[0]
    (await api.ack(received)).done()
    await api.send(content="missed")
    (await api.clean(deleteCompensated=flag)).done()
    left = [] if flag else [("received", "compensation")]
    assert await api.given(device="new") == [*left, ("missed", "missed")]


async def test_the_reason_is_kept(api: Api) -> None:
    (await api.clean(reason="asked by mail")).done()
    (await api.clean(reason="")).done()
    assert {row["reason"] for row in await journal(api)} == {"asked by mail", None}


async def test_the_undo_window_is_fixed_at_acceptance(api: Api) -> None:
    await api.set(undoSeconds=60)
    (await api.clean()).done()
    first = api.clock.now()
    api.clock.advance(SECOND)
    await api.set(undoSeconds=0)
    (await api.clean()).done()
    ends = [row["undo_until"] for row in await journal(api)]
    assert ends == [first + 60 * SECOND, first + SECOND]


async def test_it_waits_in_redis_as_one_pair_with_the_highest_cutoff(api: Api, redis_url: str) -> None:

    await api.send()
    (await api.clean()).done()
    await api.send()
    (await api.clean()).done()
    (await api.clean(sentAt=10**11)).done()
    cutoffs = {row["cutoff"] for row in await journal(api)}
    with Redis.from_url(redis_url) as redis:
        assert [score for _, score in redis.zrange("tidemark:cleans", 0, -1, withscores=True)] == [
            max(cutoffs)
        ]
        assert redis.zcard("arq:queue") == 1


async def test_the_body_may_come_in_any_form_of_json(api: Api) -> None:
    body = json.dumps({"channelType": 1, "fromUserId": "é", "channelId": "b"}, indent=4)
    for text in (body.encode(), f"\n {body}\t".encode(), body.replace("\\u00e9", "é").encode()):
        assert (await api.raw(CLEAN, text)).body == b'{"code":0}'

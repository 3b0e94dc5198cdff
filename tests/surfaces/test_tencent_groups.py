"""What Tencent's REST API shows an admin of a group."""

from __future__ import annotations

from typing import Any

import pytest

from history.axis import SECOND
from tests.api.client import Api
from tests.surfaces.tencent import done, failed, switch_on
from tests.surfaces.test_tencent_messages import text

GROUP = "group_open_http_svc/group_msg_get_simple"


async def in_group(api: Api, *words: str, sender: str = "ann") -> list[str]:
    """Send in the group g; the ids."""
    ids = []
    for one in words:
        sent = await api.do(
            "group-channel/message/send",
            fromUserId=sender,
            toChannelIds=["g"],
            messageType="RC:TxtMsg",
            content=one,
        )
        ids.append(sent["messageIds"][0]["messageId"])
        api.clock.advance(SECOND)
    return ids


async def group(api: Api, number: int = 20, **more: object) -> dict[str, Any]:
    return await done(api, GROUP, {"GroupId": "g", "ReqMsgNumber": number, **more})


def said(page: dict[str, Any]) -> list[Any]:
    return [one["MsgBody"] and one["MsgBody"][0]["MsgContent"]["Text"] for one in page["RspMsgList"]]


@pytest.fixture
async def grouped(api: Api) -> Api:
    await switch_on(api)
    await api.do("group-channel/create", channelId="g", name="g", owner="ann", userIds=["bob"])
    return api


async def test_a_group_is_read_newest_first_from_a_sequence_number_down(grouped: Api) -> None:
    await in_group(grouped, *"abcde")
    page = await group(grouped, 2)
    newest = page["RspMsgList"][0]
    assert page == {
        "GroupId": "g",
        "IsFinished": 1,
        "RspMsgList": [
            {
                "From_Account": "ann",
                "IsPlaceMsg": 0,
                "MsgBody": [text(words)],
                "MsgRandom": position % 2**32,
                "MsgSeq": position,
                "MsgTimeStamp": position // SECOND,
                "CloudCustomData": "",
            }
            for words, position in zip("ed", [one["MsgSeq"] for one in page["RspMsgList"]], strict=True)
        ],
    }
    assert said(await group(grouped, 20, ReqMsgSeq=newest["MsgSeq"])) == list("edcba")
    assert said(await group(grouped, 20, ReqMsgSeq=newest["MsgSeq"] - 1)) == list("dcba")
    assert said(await group(grouped, 1, ReqMsgSeq=1)) == []


async def test_twenty_come_at_once_and_more_is_said(grouped: Api) -> None:
    await in_group(grouped, *(str(number) for number in range(23)))
    page = await group(grouped, 100)
    assert (len(page["RspMsgList"]), page["IsFinished"]) == (20, 0)
    rest = await group(grouped, 100, ReqMsgSeq=page["RspMsgList"][-1]["MsgSeq"] - 1)
    assert (said(rest), rest["IsFinished"]) == (["2", "1", "0"], 1)


async def test_what_was_recalled_comes_as_a_place_where_it_is_asked_for(grouped: Api) -> None:
    _, id_, _ = await in_group(grouped, *"abc")
    await grouped.do("message/delete", fromUserId="ann", channelType=3, channelId="g", messageId=id_)
    assert said(await group(grouped)) == ["c", "a"]
    page = await group(grouped, WithRecalledMsg=1)
    assert said(page) == ["c", [], "a"]
    assert [one["IsPlaceMsg"] for one in page["RspMsgList"]] == [0, 1, 0]


async def test_a_group_that_is_not_there_is_10010_and_a_wrong_question_10004(grouped: Api) -> None:
    for command in (GROUP, "group_open_http_svc/clear_group_msg"):
        await failed(grouped, command, {"GroupId": "none", "ReqMsgNumber": 1}, 10010)
        for wrong in (None, "", 7, "x" * 65):
            await failed(grouped, command, {"GroupId": wrong, "ReqMsgNumber": 1}, 10004, "GroupId")
    for number in (None, 0, -1, "x"):
        await failed(grouped, GROUP, {"GroupId": "g", "ReqMsgNumber": number}, 10004, "ReqMsgNumber")
    for seq in (0, -1, 2**53, "x"):
        await failed(
            grouped, GROUP, {"GroupId": "g", "ReqMsgNumber": 1, "ReqMsgSeq": seq}, 10004, "ReqMsgSeq"
        )
    await grouped.do("group-channel/dismiss", channelId="g")
    await failed(grouped, GROUP, {"GroupId": "g", "ReqMsgNumber": 1}, 10010)

"""deleteConversation over HTTP: the samples of the web SDK's page, its ids, its limits, its codes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from history.axis import SECOND
from tests.api.client import Answer, Api
from tests.surfaces.test_matrix import token_of
from tests.surfaces.test_tencent_deletes import listed, sources

PATH = "/v1/conversations/delete"


async def delete(api: Api, body: object, user: str = "bob") -> Answer:
    """The call of a user; bytes go as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {await token_of(api, user)}"}
    return await api.request("POST", PATH, data=data, headers=headers)


async def deleted(api: Api, body: object, user: str = "bob") -> Any:
    answer = await delete(api, body, user)
    assert answer.status == 200, answer.body
    return answer.json


async def refused(api: Api, body: object, status: int, code: int, *words: str) -> None:
    """A sentence and a code, and nothing changed but the token."""
    token = await token_of(api)
    before = await api.everything()
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await api.request("POST", PATH, data=data, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status, answer.code) == (status, code), answer.body
    assert set(answer.json) == {"code", "message"}
    for word in words:
        assert word in answer.json["message"]
    assert await api.everything() == before


async def in_group(api: Api, group: str, content: str) -> None:
    await api.do(
        "group-channel/message/send",
        fromUserId="ann",
        toChannelIds=[group],
        messageType="RC:TxtMsg",
        content=content,
    )


@pytest.fixture
async def sample(api: Api) -> Api:
    """Bob talks with Example and is in the group Example, as the samples of the page have it."""
    await api.set(cleanRateLimit=0)
    await api.send("Example", "bob", content="direct")
    await api.do("group-channel/create", channelId="Example", name="e", owner="ann", userIds=["bob"])
    await in_group(api, "Example", "group")
    return api


async def left(api: Api) -> tuple[list[str], list[str]]:
    """What bob may read of both."""
    return (
        await api.contents("bob", "Example"),
        await api.contents("bob", "Example", kind="group"),
    )


# the four samples of the page, word for word


async def test_the_first_sample_deletes_one_and_clears_its_history(sample: Api) -> None:
    assert await deleted(sample, "C2CExample") == {"conversationID": "C2CExample"}
    assert (await listed(sample), await left(sample)) == (["Example"], ([], ["group"]))
    assert await sources(sample) == [("tencent-web", "bob", True)]


async def test_the_second_sample_deletes_one_and_keeps_its_history(sample: Api) -> None:
    body = {"conversationIDList": ["C2CExample"], "clearHistoryMessage": False}
    assert await deleted(sample, body) == {"conversationIDList": ["C2CExample"]}
    assert (await listed(sample), await left(sample)) == (["Example"], (["direct"], ["group"]))
    assert await sources(sample) == []


async def test_the_third_sample_deletes_several_and_clears_their_history(sample: Api) -> None:
    body = {"conversationIDList": ["C2CExample", "GROUPExample"]}
    assert await deleted(sample, body) == {"conversationIDList": ["C2CExample", "GROUPExample"]}
    assert (await listed(sample), await left(sample)) == ([], ([], []))


async def test_the_fourth_sample_deletes_several_and_keeps_their_history(sample: Api) -> None:
    body = {"conversationIDList": ["C2CExample", "GROUPExample"], "clearHistoryMessage": False}
    assert await deleted(sample, body) == {"conversationIDList": ["C2CExample", "GROUPExample"]}
    assert (await listed(sample), await left(sample)) == ([], (["direct"], ["group"]))


async def test_a_text_in_the_field_is_one_too_and_null_is_the_default(sample: Api) -> None:
    body: dict[str, Any] = {"conversationIDList": "C2CExample", "clearHistoryMessage": None}
    assert await deleted(sample, body) == {"conversationID": "C2CExample"}
    assert await left(sample) == ([], ["group"])
    body = {"conversationIDList": "GROUPExample", "clearHistoryMessage": False}
    assert await deleted(sample, body) == {"conversationID": "GROUPExample"}
    assert await left(sample) == ([], ["group"])


async def test_only_his_own_side_goes_and_what_he_missed_is_still_given(sample: Api) -> None:
    await deleted(sample, {"conversationIDList": ["C2CExample", "GROUPExample"]})
    assert await listed(sample, "ann") == ["Example"]
    assert await sample.contents("ann", "Example", kind="group") == []
    await in_group(sample, "Example", "next")
    assert await sample.contents("bob", "Example", kind="group") == ["next"]
    assert await listed(sample) == ["Example"]
    given = [content for content, origin in await sample.given("bob") if origin == "missed"]
    assert sorted(given) == ["direct", "group", "next"]


async def test_ids_that_are_not_there_drop_out_and_each_counts_once(sample: Api) -> None:
    ids = ["C2Cnobody", "GROUPExample", "C2Cbob", "GROUPnone", "@TIM#SYSTEM", "GROUPExample"]
    assert await deleted(sample, {"conversationIDList": ids}) == {"conversationIDList": ["GROUPExample"]}
    assert await listed(sample) == ["Example"]
    assert len(await sources(sample)) == 1


async def test_none_deleted_is_2500_and_changes_nothing(sample: Api) -> None:
    nothing = ["C2Cnobody", "GROUPnone", "C2Cbob", "@TIM#SYSTEM"]
    await refused(sample, {"conversationIDList": nothing}, 404, 2500)
    for one in nothing:
        await refused(sample, one, 404, 2500)
    # what was deleted before is not there either
    await deleted(sample, "C2CExample")
    await refused(sample, "C2CExample", 404, 2500)
    # and nobody deletes what is another's
    assert (await delete(sample, "GROUPExample", "eve")).status == 404
    assert await listed(sample) == ["Example"]


async def test_the_system_conversation_is_all_his_system_channels(sample: Api) -> None:
    for number in range(103):
        await sample.do(
            "system-channel/message/send",
            fromUserId=f"account{number}",
            toUserIds=["bob", "cid"],
            messageType="RC:TxtMsg",
            content="news",
        )
    assert await sample.contents("bob", "account7", kind="system") == ["news"]
    body = {"conversationIDList": ["@TIM#SYSTEM"]}
    assert await deleted(sample, body) == {"conversationIDList": ["@TIM#SYSTEM"]}
    assert await listed(sample) == ["Example", "Example"]
    assert await sample.contents("bob", "account7", kind="system") == []
    assert await sample.contents("bob", "account102", kind="system") == []
    assert await sample.contents("cid", "account7", kind="system") == ["news"]
    assert len(await sources(sample)) == 103


async def test_it_works_after_leaving_the_group(sample: Api) -> None:
    await sample.do("group-channel/leave", channelId="Example", userIds=["bob"])
    assert await deleted(sample, "GROUPExample") == {"conversationID": "GROUPExample"}
    await refused(sample, "GROUPExample", 404, 2500)


async def test_a_hundred_are_deleted_and_more_are_refused(sample: Api) -> None:
    await sample.send("bob", *(f"u{number}" for number in range(101)))
    ids = [f"C2Cu{number}" for number in range(101)]
    await refused(sample, {"conversationIDList": ids}, 400, 2905, "at most 100")
    assert await deleted(sample, {"conversationIDList": ids[:100]}) == {"conversationIDList": ids[:100]}
    assert "u100" in json.dumps(await sample.do("user/conversation/list", userId="bob", pageSize=100))
    # one that stands twice counts once
    await deleted(sample, {"conversationIDList": [*ids[100:] * 101]})


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "x", "C2C", "GROUP", "c2cExample", "@TIM", "TOPICx", f"C2C{'x' * 65}", f"GROUP{'x' * 65}"),
        *([], [""], ["C2CExample", "x"], ["C2CExample", 7], 7, None, {}, True, "C2Ca\0b", ["C2Ca\0b"]),
    ],
)
async def test_a_wrong_form_is_2503(sample: Api, wrong: object) -> None:
    await refused(sample, {"conversationIDList": wrong}, 400, 2503, "conversationIDList")
    if isinstance(wrong, str):
        await refused(sample, wrong, 400, 2503)


async def test_what_else_is_wrong_has_the_codes_of_the_other_calls(sample: Api) -> None:
    await refused(sample, {}, 400, 2503, "conversationIDList")
    wrong: list[object] = [0, 1, "false", [], {}]
    for value in wrong:
        for name in ("clearHistoryMessage", "deleteMedia"):
            await refused(sample, {"conversationIDList": ["C2CExample"], name: value}, 400, 1002, name)
    body = {"conversationIDList": ["C2CExample"], "clearHistoryMessage": False, "deleteMedia": True}
    await refused(sample, body, 400, 1002, "deleteMedia")
    for data in (b"{", b"[]", b"7", b"null", b'"C2C', b'"\xff"', b'"x"y'):
        await refused(sample, data, 400, 1002)
    await refused(sample, b"", 400, 1003)
    answer = await sample.request("POST", PATH, data=b"{}")
    assert (answer.status, answer.code, set(answer.json)) == (401, 1004, {"code", "message"})
    assert (await sample.request("PATCH", PATH)).status == 405


async def test_what_is_over_the_limit_stays_and_is_deleted_by_the_next_call(sample: Api) -> None:
    await sample.set(cleanRateLimit=1)
    sample.clock.advance(SECOND)
    body = {"conversationIDList": ["C2CExample", "GROUPExample"]}
    first = (await deleted(sample, body))["conversationIDList"]
    assert len(first) == 1
    # the limit is of this second
    answer = await delete(sample, body)
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (429, 2996, "1")
    assert len(await listed(sample)) == 1
    await sample.set(cleanRateLimit=0)
    sample.clock.advance(SECOND)
    assert sorted(first + (await deleted(sample, body))["conversationIDList"]) == [
        "C2CExample",
        "GROUPExample",
    ]


async def test_without_storage_only_a_clean_is_refused(sample: Api) -> None:
    await sample.set(directGroupStorage=False)
    sample.clock.advance(SECOND)
    await refused(sample, "C2CExample", 430, 1009, "directGroupStorage")
    await deleted(sample, {"conversationIDList": "C2CExample", "clearHistoryMessage": False})
    assert await listed(sample) == ["Example"]


@pytest.mark.parametrize("told", [False, True])
async def test_his_other_devices_are_told_where_the_setting_says_so(sample: Api, told: bool) -> None:
    await sample.set(syncConversationDeletion=told)
    await sample.sync("bob", "tablet")
    await deleted(sample, "C2CExample")
    page = await sample.sync("bob", "tablet")
    assert page["deletedConversations"] == ([{"channelType": 1, "channelId": "Example"}] if told else [])
    assert (await sample.sync("ann", "phone"))["deletedConversations"] == []

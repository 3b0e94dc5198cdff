"""Messages by Tencent's REST API: sent, and read by one party."""

from __future__ import annotations

import json
from typing import Any

import pytest

from history.axis import SECOND
from tests.api.client import Api
from tests.surfaces.tencent import ADMIN, done, failed, switch_on

SEND, ROAM = "openim/sendmsg", "openim/admin_getroammsg"


def text(words: str) -> dict[str, Any]:
    return {"MsgType": "TIMTextElem", "MsgContent": {"Text": words}}


# the example of the vendor's page
EXAMPLE: dict[str, Any] = {
    "SyncOtherMachine": 2,
    "To_Account": "lumotuwe2",
    "MsgLifeTime": 60,
    "MsgRandom": 1287657,
    "MsgTimeStamp": 1557387418,
    "MsgBody": [text("hi, beauty")],
}
FACE = {"MsgType": "TIMFaceElem", "MsgContent": {"Index": 6, "Data": "abc\u0001"}}


async def send(api: Api, words: str = "hello", **more: object) -> str:
    """A message of ann to bob; its key."""
    body = {"From_Account": "ann", "To_Account": "bob", "MsgRandom": 7, "MsgBody": [text(words)], **more}
    answer = await done(api, SEND, body)
    assert set(answer) == {"MsgTime", "MsgKey"}
    assert answer["MsgTime"] == api.now_ms // 1000
    key: str = answer["MsgKey"]
    api.clock.advance(SECOND)
    return key


async def roam(api: Api, operator: str = "bob", peer: str = "ann", **more: object) -> dict[str, Any]:
    """The last hour, as a party may read it."""
    now = api.now_ms // 1000
    body = {
        "Operator_Account": operator,
        "Peer_Account": peer,
        "MaxCnt": 100,
        "MinTime": now - 3600,
        "MaxTime": now,
        **more,
    }
    page = await done(api, ROAM, body)
    assert page["MsgCnt"] == len(page["MsgList"])
    return page


async def read(api: Api, operator: str = "bob", peer: str = "ann", **more: object) -> list[str]:
    """The texts, oldest first."""
    page = await roam(api, operator, peer, **more)
    return [message["MsgBody"][0]["MsgContent"]["Text"] for message in page["MsgList"]]


async def test_the_vendors_example_is_sent_by_the_admin(api: Api) -> None:
    await switch_on(api)
    answer = await done(api, SEND, EXAMPLE)
    [message] = await api.history("lumotuwe2", ADMIN)
    assert (message["messageType"], message["content"]) == ("RC:TxtMsg", '{"content":"hi, beauty"}')
    assert message["fromUserId"] == ADMIN
    position = message["position"]
    assert answer == {
        "MsgTime": position // SECOND,
        "MsgKey": f"{position}_1287657_{position // SECOND}",
    }
    # the page of the vendor spells it so
    assert await api.contents(ADMIN, "lumotuwe2") == []
    [given] = (await api.sync("lumotuwe2"))["messages"]
    assert given["origin"] == "missed"


@pytest.mark.parametrize(("sync", "echoed"), [(None, True), (1, True), (2, False)])
async def test_the_senders_own_history_has_it_unless_he_says_2(api: Api, sync: object, echoed: bool) -> None:
    await switch_on(api)
    await send(api, SyncOtherMachine=sync)
    assert await read(api, "bob", "ann") == ["hello"]
    assert await read(api, "ann", "bob") == (["hello"] if echoed else [])


async def test_a_page_says_all_that_the_vendors_does(api: Api) -> None:
    await switch_on(api)
    key = await send(api, CloudCustomData="mine")
    page = await roam(api)
    position = int(key.split("_")[0])
    assert page == {
        "Complete": 1,
        "MsgCnt": 1,
        "LastMsgTime": position // SECOND,
        "LastMsgKey": key,
        "MsgList": [
            {
                "From_Account": "ann",
                "To_Account": "bob",
                "MsgSeq": position,
                "MsgRandom": 7,
                "MsgTimeStamp": position // SECOND,
                "MsgFlagBits": 0,
                "IsPeerRead": 0,
                "MsgKey": key,
                "MsgBody": [text("hello")],
                "CloudCustomData": "mine",
            }
        ],
    }
    assert position < 2**53
    empty = {"Complete": 1, "MsgCnt": 0, "LastMsgTime": 0, "LastMsgKey": "", "MsgList": []}
    assert await roam(api, "zoe", "ann") == empty


async def test_both_parties_are_named_as_today_or_as_before(api: Api) -> None:
    await switch_on(api)
    await send(api)
    old: dict[str, Any] = {"Operator_Account": None, "Peer_Account": None}
    assert await read(api, **old, From_Account="bob", To_Account="ann") == ["hello"]
    assert await read(api, **old, From_Account="bob", to_Account="ann") == ["hello"]
    [message] = (await roam(api, "ann", "bob"))["MsgList"]
    assert (message["From_Account"], message["To_Account"]) == ("ann", "bob")


async def test_pages_go_back_in_time_each_oldest_first(api: Api) -> None:
    await switch_on(api)
    for number in range(7):
        await send(api, str(number), MsgRandom=number)
    pages: list[list[str]] = []
    more: dict[str, Any] = {}
    while True:
        page = await roam(api, MaxCnt=3, **more)
        pages.append([message["MsgBody"][0]["MsgContent"]["Text"] for message in page["MsgList"]])
        assert page["LastMsgKey"] == page["MsgList"][0]["MsgKey"]
        if page["Complete"]:
            break
        more = {"MaxTime": page["LastMsgTime"], "LastMsgKey": page["LastMsgKey"]}
    assert pages == [["4", "5", "6"], ["1", "2", "3"], ["0"]]


async def test_messages_of_one_millisecond_are_neither_skipped_nor_repeated(api: Api) -> None:
    await switch_on(api)
    for number in range(5):
        # positions alone tell them apart: the clock stands still
        await done(
            api,
            SEND,
            {"From_Account": "ann", "To_Account": "bob", "MsgRandom": number, "MsgBody": [text(str(number))]},
        )
    first = await roam(api, MaxCnt=2)
    rest = await roam(api, MaxCnt=3, LastMsgKey=first["LastMsgKey"])
    assert (len(first["MsgList"]), first["Complete"], rest["Complete"]) == (2, 0, 1)
    said = [*rest["MsgList"], *first["MsgList"]]
    assert [message["MsgBody"][0]["MsgContent"]["Text"] for message in said] == list("01234")


async def test_a_page_holds_a_hundred_at_most(api: Api) -> None:
    await switch_on(api)
    for number in range(103):
        await api.send("ann", "bob", content=f"{number}")
    page = await roam(api, MaxCnt=1000)
    assert (page["MsgCnt"], page["Complete"]) == (100, 0)
    rest = await roam(api, MaxCnt=1000, LastMsgKey=page["LastMsgKey"])
    assert (rest["MsgCnt"], rest["Complete"]) == (3, 1)


async def test_what_was_recalled_is_there_without_its_words(api: Api) -> None:
    await switch_on(api)
    for words in ("kept", "secret", "later"):
        await send(api, words)
    [_, recalled, _] = await api.history("bob", "ann")
    await api.admin("POST", f"/admin/apps/{api.keys.app_key}/holds", {"reason": "a case", "userId": "bob"})
    await api.do(
        "message/delete", fromUserId="ann", channelType=1, channelId="bob", messageId=recalled["messageId"]
    )
    for party, other in (("bob", "ann"), ("ann", "bob")):
        messages = (await roam(api, party, other))["MsgList"]
        assert [message["MsgFlagBits"] for message in messages] == [0, 8, 0]
        assert messages[1]["MsgBody"] == []
        assert messages[1]["MsgSeq"] == recalled["position"]
    assert (await roam(api, "bob", "ann", MaxCnt=2))["MsgCnt"] == 2
    assert [json.loads(content)["content"] for content in await api.contents()] == ["later", "kept"]
    # what he cleaned he does not see as recalled either
    (await api.clean("bob", "ann")).done()
    assert (await roam(api))["MsgList"] == []


async def test_both_ends_of_the_stretch_are_in_it(api: Api) -> None:
    await switch_on(api)
    at = api.now_ms // 1000
    for words in ("before", "first", "last", "after"):
        await send(api, words)
    assert await read(api, MinTime=at + 1, MaxTime=at + 2) == ["first", "last"]
    assert await read(api, MinTime=at + 1, MaxTime=at + 1) == ["first"]


async def test_the_same_random_within_a_second_is_the_same_message(api: Api) -> None:
    await switch_on(api)
    body = {"From_Account": "ann", "To_Account": "bob", "MsgRandom": 7, "MsgBody": [text("once")]}
    first = await done(api, SEND, body)
    assert await done(api, SEND, body) == first
    for more in ({"MsgRandom": 8}, {"MsgSeq": 9}, {"From_Account": "cid"}, {"To_Account": "cid"}):
        await done(api, SEND, {**body, **more})
    assert len(await read(api)) == 3
    assert len(await read(api, "bob", "cid")) == len(await read(api, "cid", "ann")) == 1
    api.clock.advance(SECOND)
    assert await done(api, SEND, body) != first
    assert len(await read(api)) == 4


async def test_a_life_time_of_0_stores_no_history(api: Api) -> None:
    await switch_on(api)
    await send(api, MsgLifeTime=0)
    assert await read(api) == []
    assert [content for content, _ in await api.given()] == ['{"content":"hello"}']


async def test_texts_of_every_surface_are_text_elements_and_the_other_way_round(api: Api) -> None:
    await switch_on(api)
    await api.send("ann", "bob", content='{"content":"from v4","extra":"x"}')
    await api.send("ann", "bob", content="plain")
    assert await read(api) == ["from v4", "plain"]
    await send(api, "né")
    assert (await api.contents())[0] == '{"content":"né"}'


async def test_what_is_no_single_text_passes_as_it_is(api: Api) -> None:
    await switch_on(api)
    await send(api, MsgBody=[FACE])
    await send(api, MsgBody=[text("a"), FACE])
    await api.send("ann", "bob", messageType="RC:ImgMsg", content="<image>")
    await api.send("ann", "bob", messageType="TIMFaceElem", content="no JSON")
    bodies = [message["MsgBody"] for message in (await roam(api))["MsgList"]]
    custom = [("RC:ImgMsg", "<image>"), ("TIMFaceElem", "no JSON")]
    assert bodies == [
        [FACE],
        [text("a"), FACE],
        *(
            [
                {
                    "MsgType": "TIMCustomElem",
                    "MsgContent": {"Data": data, "Desc": type_, "Ext": "", "Sound": ""},
                }
            ]
            for type_, data in custom
        ),
    ]
    types = [message["messageType"] for message in await api.history()]
    assert types == ["TIMFaceElem", "RC:ImgMsg", "TIMMsgBody", "TIMFaceElem"]


NO_BODIES: list[Any] = [
    None,
    [],
    {},
    "x",
    [7],
    [text("a")] * 101,
    [{}],
    [{"MsgType": 7, "MsgContent": {}}],
    [{"MsgType": "Text", "MsgContent": {}}],
    [{"MsgType": "TIMMsgBody", "MsgContent": {}}],
    [{"MsgType": f"TIM{'x' * 30}Elem", "MsgContent": {}}],
    [{"MsgType": "TIMFaceElem"}],
    [{"MsgType": "TIMFaceElem", "MsgContent": "x"}],
    [{"MsgType": "TIMTextElem", "MsgContent": {}}],
    [{"MsgType": "TIMTextElem", "MsgContent": {"Text": 7}}],
    [{"MsgType": "TIMFaceElem", "MsgContent": {"Data": "a\0b"}}],
    [text("a"), {}],
]
NO_RANDOMS: list[Any] = [None, "x", -1, 2**32, 1.5, []]
WRONG: list[tuple[dict[str, Any], int]] = [
    *(({"To_Account": value}, 90003) for value in (None, "", 7, "x" * 65, "ann", "a\0b")),
    *(({"From_Account": value}, 90008) for value in ("", 7, "x" * 65)),
    *(({"MsgRandom": value}, 90005) for value in NO_RANDOMS),
    *(({"MsgTimeStamp": value}, 90006) for value in ("x", -1, 10**11)),
    *(({"MsgLifeTime": value}, 90026) for value in (-1, 604_801, "x")),
    *(({"SyncOtherMachine": value}, 90031) for value in (0, 3, "x")),
    *(({"MsgSeq": value}, 90001) for value in (-1, 2**32)),
    ({"CloudCustomData": "x" * 4097}, 93000),
    ({"MsgBody": [text("x" * 131_073)]}, 93000),
    *(({"MsgBody": value}, 90010) for value in NO_BODIES),
]


async def test_what_is_wrong_in_a_message_has_its_code_and_sends_nothing(api: Api) -> None:
    await switch_on(api)
    before = await api.everything()
    right = {"From_Account": "ann", "To_Account": "bob", "MsgRandom": 7, "MsgBody": [text("hello")]}
    for change, code in WRONG:
        await failed(api, SEND, {**right, **change}, code)
    assert await api.everything() == before
    await done(
        api, SEND, {**right, "MsgRandom": 2**32 - 1, "MsgLifeTime": 604_800, "CloudCustomData": "x" * 4096}
    )


async def test_what_is_wrong_in_a_question_has_its_code(api: Api) -> None:
    await switch_on(api)
    now = api.now_ms // 1000
    right = {
        "Operator_Account": "bob",
        "Peer_Account": "ann",
        "MaxCnt": 20,
        "MinTime": now - 60,
        "MaxTime": now,
    }
    wrong: list[tuple[dict[str, Any], int]] = [
        *(({"Operator_Account": value}, 90008) for value in (None, "", "x" * 65)),
        *(({"Peer_Account": value}, 90003) for value in (None, "", "bob")),
        *(({"MaxCnt": value}, 90001) for value in (None, 0, -1, "x")),
        *(({"MinTime": value}, 90001) for value in (None, -1, 10**11, "x")),
        *(({"MaxTime": value}, 90001) for value in (None, -1, now - 61)),
        *(({"LastMsgKey": value}, 90001) for value in ("x", "1_2", "1_2_3_4", "-1_2_3", "٣_1_1", "9" * 65)),
    ]
    for change, code in wrong:
        await failed(api, ROAM, {**right, **change}, code)
    await done(api, ROAM, {**right, "LastMsgKey": ""})
    await api.set(directGroupStorage=False)
    api.clock.advance(SECOND)
    await failed(api, ROAM, {**right, "MaxTime": now + 60}, 90009, "directGroupStorage")

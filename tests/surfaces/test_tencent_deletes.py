"""Conversations deleted and groups cleared by Tencent's REST API: who loses what, and who keeps it."""

from __future__ import annotations

from typing import Any

import pytest

from history.axis import SECOND
from tests.api.client import HISTORY, Api
from tests.surfaces.tencent import ask, done, failed, switch_on
from tests.surfaces.test_tencent_groups import group, in_group, said
from tests.surfaces.test_tencent_messages import read, send

DELETE, BATCH = "recentcontact/delete", "recentcontact/batch_delete"
CLEAR = "group_open_http_svc/clear_group_msg"
BOBS = {"From_Account": "bob", "Type": 1, "To_Account": "ann"}


async def listed(api: Api, user: str = "bob") -> list[str]:
    """The channels on a user's list of conversations."""
    page = await api.do("user/conversation/list", userId=user)
    return sorted(view["channelId"] for view in page["conversations"])


async def sources(api: Api) -> list[tuple[str, str, bool]]:
    """Source, user and flag of every clean."""
    rows = await api.rows(
        "SELECT source, user_id, delete_compensated FROM clean_requests ORDER BY accepted_at"
    )
    return [(row["source"], row["user_id"], row["delete_compensated"]) for row in rows]


@pytest.fixture
async def talking(api: Api) -> Api:
    """Ann has written to bob, who has read nothing, and both are in the group g."""
    await switch_on(api)
    await api.do("group-channel/create", channelId="g", name="g", owner="ann", userIds=["bob"])
    await send(api, "one")
    await send(api, "two", MsgRandom=8)
    await in_group(api, "g1", "g2")
    return api


@pytest.mark.parametrize(("clear", "left"), [(1, []), (0, ["one", "two"]), (None, ["one", "two"])])
async def test_a_conversation_leaves_the_list_of_one_with_his_history_or_without(
    talking: Api, clear: int | None, left: list[str]
) -> None:
    answer = await ask(talking, DELETE, {**BOBS, "ClearRamble": clear})
    assert answer.json == {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0, "ErrorDisplay": ""}
    assert await listed(talking) == ["g"]
    assert await listed(talking, "ann") == ["bob", "g"]
    assert await read(talking, "bob", "ann") == left
    assert await read(talking, "ann", "bob") == ["one", "two"]
    assert await sources(talking) == ([("tencent", "bob", True)] if clear else [])
    assert ("Clean-Request-Id" in answer.headers) is bool(clear)


async def test_what_he_missed_is_still_given_and_the_next_message_brings_it_back(talking: Api) -> None:
    await done(talking, DELETE, {**BOBS, "ClearRamble": 1})
    given = await talking.given("bob")
    assert {origin for _, origin in given} == {"missed"}
    assert {'{"content":"one"}', '{"content":"two"}'} <= {content for content, _ in given}
    await send(talking, "three", MsgRandom=9)
    assert await listed(talking) == ["ann", "g"]
    assert await read(talking) == ["three"]


async def test_no_device_of_his_is_given_what_was_cleared(talking: Api) -> None:
    page = await talking.sync("bob", "phone")
    last = {message["channelId"]: message for message in page["messages"]}
    (await talking.ack(last["ann"]["messageId"])).done()
    assert ('{"content":"one"}', "compensation") in await talking.given("bob", "tablet")
    await done(talking, DELETE, {**BOBS, "ClearRamble": 1})
    assert [one for one in await talking.given("bob", "tablet") if "one" in one[0] or "two" in one[0]] == []


async def test_a_group_by_either_name_in_either_case(talking: Api) -> None:
    await done(talking, DELETE, {"From_Account": "bob", "Type": 2, "ToGroupid": "g", "ClearRamble": 1})
    assert (await listed(talking), await listed(talking, "ann")) == (["ann"], ["bob", "g"])
    assert await talking.contents("bob", "g", kind="group") == []
    assert await talking.contents("ann", "g", kind="group") == []
    await in_group(talking, "g3")
    assert await listed(talking) == ["ann", "g"]
    # as a Go library writes it
    go = {"From_Account": "bob", "type": 2, "To_Account": "g", "ClearRamble": 1}
    await done(talking, DELETE, go)
    assert await listed(talking) == ["ann"]
    await done(talking, DELETE, {"From_Account": "bob", "type": 1, "To_Account": "ann"})
    assert await listed(talking) == []


async def test_none_there_is_no_error_so_a_call_may_be_made_again(talking: Api) -> None:
    for _ in range(2):
        assert await done(talking, DELETE, {**BOBS, "ClearRamble": 1}) == {"ErrorDisplay": ""}
    await done(talking, DELETE, {"From_Account": "nobody", "Type": 1, "To_Account": "ann"})
    await done(talking, DELETE, {"From_Account": "bob", "Type": 2, "ToGroupid": "none"})
    assert await listed(talking, "ann") == ["bob", "g"]


WRONG: list[tuple[dict[str, Any], str]] = [
    *(({"From_Account": value}, "From_Account") for value in (None, "", 7, "x" * 65, "a\0b")),
    *(({"Type": value}, "Type") for value in (None, 0, 3, "x", 1.5)),
    *(({"To_Account": value}, "To_Account") for value in (None, "", 7, "x" * 65, "bob")),
    *(({"ClearRamble": value}, "ClearRamble") for value in (-1, 2, "x")),
    *(({"DeleteMedia": value}, "DeleteMedia") for value in (-1, 2, "x", 1.5)),
    *(({"DeleteMedia": 1, "ClearRamble": value}, "DeleteMedia") for value in (None, 0)),
    ({"Type": 2, "To_Account": None}, "ToGroupid"),
    ({"Type": 2, "ToGroupid": 7}, "ToGroupid"),
]


async def test_a_wrong_request_is_50002_and_deletes_nothing(talking: Api) -> None:
    before = await talking.everything()
    for change, word in WRONG:
        body = {**BOBS, "ClearRamble": 1, **change}
        await failed(talking, DELETE, body, 50002, word)
        assert (await ask(talking, DELETE, body)).json["ErrorDisplay"] == ""
    await talking.set(directGroupStorage=False)
    talking.clock.advance(SECOND)
    await failed(talking, DELETE, {**BOBS, "ClearRamble": 1}, 50003, "directGroupStorage")
    await talking.set(directGroupStorage=True)
    assert await talking.everything() == before


async def test_a_batch_has_an_outcome_for_each(talking: Api) -> None:
    items: list[Any] = [
        {"Type": 1, "To_Account": "ann"},
        {"type": 2, "toGroupId": "g"},
        {"Type": 3, "To_Account": "ann"},
        {"Type": 2},
        {},
    ]
    answer = await done(talking, BATCH, {"From_Account": "bob", "ContactItem": items, "ClearRamble": 1})
    assert answer.pop("ErrorDisplay") == ""
    results = answer.pop("ResultItem")
    assert answer == {}
    assert [(one.get("Type"), one.get("To_Account"), one.get("ToGroupid")) for one in results] == [
        (1, "ann", None),
        (2, None, "g"),
        (3, "ann", None),
        (2, None, None),
        (None, None, None),
    ]
    assert [one["ResultCode"] for one in results] == [0, 0, 50002, 50002, 50002]
    assert [bool(one["ResultInfo"]) for one in results] == [False, False, True, True, True]
    assert await listed(talking) == []
    assert await listed(talking, "ann") == ["bob", "g"]
    assert sorted(await sources(talking)) == [("tencent", "bob", True)] * 2


async def test_a_batch_without_the_flag_cleans_nothing(talking: Api) -> None:
    items = [{"Type": 1, "To_Account": "ann"}]
    await done(talking, BATCH, {"From_Account": "bob", "ContactItem": items})
    assert (await listed(talking), await read(talking), await sources(talking)) == (["g"], ["one", "two"], [])


async def test_a_batch_is_of_1_to_100(talking: Api) -> None:
    item = {"Type": 1, "To_Account": "zoe"}
    before = await talking.everything()
    many: list[Any] = [[], [item] * 101, None, {}, [7]]
    for wrong in many:
        await failed(talking, BATCH, {"From_Account": "bob", "ContactItem": wrong}, 50002, "ContactItem")
    await failed(talking, BATCH, {"From_Account": "", "ContactItem": [item]}, 50002, "From_Account")
    for flags in (
        {"ClearRamble": 1, "DeleteMedia": 2},
        {"ClearRamble": 1, "DeleteMedia": "x"},
        {"DeleteMedia": 1},
    ):
        body = {"From_Account": "bob", "ContactItem": [item], **flags}
        await failed(talking, BATCH, body, 50002, "DeleteMedia")
    assert await talking.everything() == before
    answer = await done(
        talking,
        BATCH,
        {"From_Account": "bob", "ContactItem": [item] * 99 + [{"Type": 1, "To_Account": "ann"}]},
    )
    assert [one["ResultCode"] for one in answer["ResultItem"]] == [0] * 100
    assert await listed(talking) == ["g"]


async def test_what_is_over_the_limit_in_a_batch_fails_by_itself(talking: Api) -> None:
    await talking.set(cleanRateLimit=1)
    talking.clock.advance(SECOND)
    items = [{"Type": 1, "To_Account": "ann"}, {"Type": 2, "ToGroupid": "g"}]
    answer = await done(talking, BATCH, {"From_Account": "bob", "ContactItem": items, "ClearRamble": 1})
    assert sorted(one["ResultCode"] for one in answer["ResultItem"]) == [0, 60007]
    assert len(await listed(talking)) == 1


async def history_of(api: Api, user: str) -> list[str]:
    return await api.contents(user, "g", kind="group")


async def test_a_group_is_cleared_for_everyone_up_to_a_sequence_number(talking: Api) -> None:
    await in_group(talking, "g3", "g4", sender="bob")
    page = await group(talking)
    seqs = dict(zip(said(page), [one["MsgSeq"] for one in page["RspMsgList"]], strict=True))
    assert await history_of(talking, "ann") == ["g4", "g3"]
    assert await done(talking, CLEAR, {"GroupId": "g", "MsgSeq": seqs["g1"] - 1}) == {}
    assert await history_of(talking, "bob") == ["g2", "g1"]
    await done(talking, CLEAR, {"GroupId": "g", "MsgSeq": seqs["g3"]})
    assert (await history_of(talking, "ann"), await history_of(talking, "bob")) == (["g4"], [])
    # the admin still pulls everything
    assert said(await group(talking)) == ["g4", "g3", "g2", "g1"]
    assert await read(talking) == ["one", "two"]


async def test_without_a_sequence_number_all_there_is_goes(talking: Api) -> None:
    answer = await ask(talking, CLEAR, {"GroupId": "g"})
    assert answer.json == {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
    assert answer.headers["Clean-Request-Id"]
    assert await history_of(talking, "bob") == []
    await in_group(talking, "later")
    assert await history_of(talking, "bob") == ["later"]
    assert said(await group(talking)) == ["later", "g2", "g1"]
    [row] = await talking.rows("SELECT source, user_id, operator, delete_compensated FROM clean_requests")
    assert tuple(row) == ("tencent", "", "administrator", True)
    # and it can be undone as every clean
    await talking.do("channel/message/history/clean/cancel", requestId=answer.headers["Clean-Request-Id"])
    assert await history_of(talking, "bob") == ["later", "g2", "g1"]


async def test_a_wrong_sequence_number_or_flag_clears_nothing(talking: Api) -> None:
    before = await talking.everything()
    for wrong in (0, -1, 2**53, "x", 1.5):
        await failed(talking, CLEAR, {"GroupId": "g", "MsgSeq": wrong}, 10004, "MsgSeq")
    for wrong in (2, -1, "x", 1.5):
        await failed(talking, CLEAR, {"GroupId": "g", "DeleteMedia": wrong}, 10004, "DeleteMedia")
    await talking.set(directGroupStorage=False)
    talking.clock.advance(SECOND)
    await failed(talking, CLEAR, {"GroupId": "g"}, 10007, "directGroupStorage")
    await talking.set(directGroupStorage=True)
    assert await talking.everything() == before


# The four ways in which the two parties of a conversation see different things (SURFACES 5.2).


async def cleared(api: Api) -> None:
    """clearC2CHistoryMessage: a clean of one user."""
    (await api.clean("bob", "ann")).done()


async def deleted(api: Api) -> None:
    """The conversation deleted with its roaming messages."""
    await done(api, DELETE, {**BOBS, "ClearRamble": 1})


async def hidden(api: Api) -> None:
    """deleteMessages: some messages deleted by one user."""
    ids = [message["messageId"] for message in await api.history("bob", "ann")]
    await api.do("channel/message/history/hide", userId="bob", channelType=1, channelId="ann", messageIds=ids)


async def unsynced(api: Api) -> None:
    """Messages of bob that were not synchronized to bob."""
    for number in (1, 2):
        await send(
            api, f"bob's {number}", From_Account="bob", To_Account="ann", SyncOtherMachine=2, MsgRandom=number
        )


@pytest.mark.parametrize(
    ("way", "bob", "ann"),
    [
        (cleared, [], ["one", "two"]),
        (deleted, [], ["one", "two"]),
        (hidden, [], ["one", "two"]),
        (unsynced, ["one", "two"], ["one", "two", "bob's 1", "bob's 2"]),
    ],
)
async def test_only_one_party_sees_the_difference(
    talking: Api, way: Any, bob: list[str], ann: list[str]
) -> None:
    await way(talking)
    assert await read(talking, "bob", "ann") == bob
    assert await read(talking, "ann", "bob") == ann
    # and in every other way both see the same
    await send(talking, "after", MsgRandom=99)
    assert (await read(talking, "bob", "ann"))[-1:] == (await read(talking, "ann", "bob"))[-1:] == ["after"]


async def test_the_v4_history_says_the_same(talking: Api) -> None:
    await deleted(talking)
    assert HISTORY.endswith("history-message/list")
    assert await talking.contents("bob", "ann") == []
    assert len(await talking.contents("ann", "bob")) == 2

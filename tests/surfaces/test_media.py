"""deleteMedia on every surface, by its own spelling: with it the files of a clean go in the end, without it they stay."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from history.axis import DAY
from history.channels.model import ChannelKey, ChannelType
from server.calls import SERVICES
from tests.api.bodies import PHONES
from tests.api.client import Api
from tests.factories import World, open_twin
from tests.surfaces import clarity, ryze, tencent
from tests.surfaces.rongcloud import Rong
from tests.surfaces.test_doubletick import call
from tests.surfaces.test_matrix import token_of

BUSINESS, CUSTOMER = PHONES
DATA = b"12345"
Clean = Callable[[Api, dict[str, Any]], Awaitable[object]]
"""A clean of what the user was sent, with these fields more."""


async def rong_clean(api: Api, more: dict[str, Any]) -> None:
    await Rong(api=api).clean(**more)


async def rong_clean_json(api: Api, more: dict[str, Any]) -> None:
    body = {"conversationType": 1, "fromUserId": "bob", "targetId": "ann", **more}
    answer = await Rong(api=api).json("conversation/message/history/clean", **body)
    assert answer.status == 200, answer.body


async def clear_chat(api: Api, more: dict[str, Any]) -> None:
    body = {"to": CUSTOMER, "from": BUSINESS, **more}
    assert (await call(api, "DELETE", "/conversation/chat/messages", body)).status == 200


async def delete_customers(api: Api, more: dict[str, Any]) -> None:
    assert (await call(api, "DELETE", "/customer", {"phoneNumbers": [CUSTOMER], **more})).status == 201


async def delete_conversation(api: Api, more: dict[str, Any]) -> None:
    bob = await clarity.client(api)
    assert await bob.done("DELETE", f"conversations/{await bob.with_('ann')}", **more) is None


async def recent_contact(api: Api, more: dict[str, Any]) -> None:
    body = {"From_Account": "bob", "Type": 1, "To_Account": "ann", "ClearRamble": 1, **more}
    await tencent.done(api, "recentcontact/delete", body)


async def recent_contacts(api: Api, more: dict[str, Any]) -> None:
    items = [{"Type": 1, "To_Account": "ann"}, {"Type": 1, "To_Account": "nobody"}]
    body = {"From_Account": "bob", "ContactItem": items, "ClearRamble": 1, **more}
    answer = await tencent.done(api, "recentcontact/batch_delete", body)
    assert [one["ResultCode"] for one in answer["ResultItem"]] == [0, 0]


async def clear_group(api: Api, more: dict[str, Any]) -> None:
    await tencent.done(api, "group_open_http_svc/clear_group_msg", {"GroupId": "g", **more})


async def web_delete(api: Api, more: dict[str, Any]) -> None:
    body = {"conversationIDList": ["C2Cann"], **more}
    answer = await api.bearing(await token_of(api), "POST", "/v1/conversations/delete", body)
    assert answer.status == 200, answer.body


async def delete_chat(api: Api, more: dict[str, Any]) -> None:
    phone = await ryze.client(api)
    assert (await phone.delete_chat(CUSTOMER, **more)).status == 200


DIRECT, GROUP, CHAT = "direct", "group", "chat"
SWITCH: list[tuple[Any, bool]] = [(None, False), (False, False), (True, True)]
TEXTS: list[tuple[Any, bool]] = [("", False), ("false", False), ("true", True), ("1", True)]
BIT: list[tuple[Any, bool]] = [(None, False), (0, False), (1, True)]
CALLS: list[tuple[Clean, str, str, list[tuple[Any, bool]]]] = [
    (rong_clean, DIRECT, "deleteMedia", TEXTS),
    (rong_clean_json, DIRECT, "deleteMedia", [*SWITCH, ("true", True)]),
    (clear_chat, CHAT, "deleteMedia", SWITCH),
    (delete_customers, CHAT, "deleteMedia", SWITCH),
    (delete_conversation, DIRECT, "delete_media", TEXTS),
    (recent_contact, DIRECT, "DeleteMedia", BIT),
    (recent_contact, DIRECT, "deletemedia", [(1, True)]),
    (recent_contacts, DIRECT, "DeleteMedia", BIT),
    (clear_group, GROUP, "DeleteMedia", BIT),
    (web_delete, DIRECT, "deleteMedia", SWITCH),
    (delete_chat, CHAT, "deleteMedia", SWITCH),
]
CASES = [
    pytest.param(clean, where, more, goes, id=f"{clean.__name__} {more}")
    for clean, where, name, values in CALLS
    for more, goes in [({}, False), *(({name: value}, goes) for value, goes in values)]
]


async def sent(api: Api, where: str) -> str:
    """A file in a message that its recipient alone can read."""
    answer = await api.upload(api.keys.api_key, DATA)
    content = f"media:[{answer.json['id']}]"
    if where == DIRECT:
        await api.send("ann", "bob", content=content)
    elif where == CHAT:
        await api.send(CUSTOMER, BUSINESS, content=content)
    else:
        body = {"fromUserId": "ann", "toChannelIds": ["g"], "messageType": "t", "content": content}
        await api.do("group-channel/message/send", **body)
    id_: str = answer.json["id"]
    return id_


async def listed(api: Api, *, kept: bool) -> list[str]:
    """The app's files, or those that are kept though their messages are gone."""
    path = f"/admin/apps/{api.keys.app_key}/media?kept={json.dumps(kept)}"
    return [row["id"] for row in (await api.admin("GET", path)).json["media"]]


@pytest.fixture
async def ready(api: Api) -> Api:
    """Every surface is on; ann and bob are in the group g."""
    await tencent.switch_on(api)
    await api.do("group-channel/create", channelId="g", name="g", owner="ann", userIds=["bob"])
    return api


@pytest.fixture
async def worker(ready: Api) -> AsyncIterator[World]:
    """A worker on the same database and the same files."""
    objects = ready.client.app[SERVICES].files._objects
    assert objects is not None
    async with open_twin(
        ready.database_url, clock=ready.clock, objects=objects, app_key=ready.keys.app_key
    ) as world:
        yield world


@pytest.mark.parametrize(("clean", "where", "more", "goes"), CASES)
async def test_a_clean_says_whether_files_go_with_it(
    ready: Api, worker: World, clean: Clean, where: str, more: dict[str, Any], *, goes: bool
) -> None:
    file, other = await sent(ready, where), await sent(ready, where)
    # it stays: another was sent it too
    await ready.send("ann", "cid", content=f"media:[{other}]")
    await clean(ready, more)
    cleans = await ready.rows("SELECT DISTINCT delete_media FROM clean_requests")
    assert [row["delete_media"] for row in cleans] == [goes]
    await worker.work()
    marks = await ready.rows(
        "SELECT greatest(ch.media_cutoff, max(c.media_cutoff)) AS media, greatest(ch.history_cutoff,"
        " max(c.history_cutoff)) AS history FROM channels ch JOIN conversations c ON c.channel_id = ch.id"
        " WHERE ch.id = $1 GROUP BY ch.id",
        await worker.id_of(place(ready, where)),
    )
    assert [(row["media"] > 0, row["history"] > 0) for row in marks] == [(goes, True)]
    assert sorted(await listed(ready, kept=False)) == sorted([file, other]), "it is still to be delivered"
    ready.clock.advance(9 * DAY)
    await worker.work()
    assert sorted(await listed(ready, kept=False)) == sorted([other] if goes else [file, other])
    assert await listed(ready, kept=True) == ([] if goes else [file])
    found = (await ready.do("channel/message/history/clean/list"))["cleans"]
    counted = {(one["reclaimedFiles"], one["reclaimedBytes"]) for one in found if one["hidden"]}
    assert counted == {(1, len(DATA)) if goes else (0, 0)}


def place(api: Api, where: str) -> ChannelKey:
    """The channel in which the file was sent."""
    types = {DIRECT: ("ann", "bob"), CHAT: tuple(sorted(PHONES)), GROUP: ("g",)}
    type_ = ChannelType.GROUP if where == GROUP else ChannelType.DIRECT
    return ChannelKey(api.keys.app_key, type_, types[where])


# where nothing is cleaned no file can go with it


async def test_tencents_delete_with_files_and_without_a_clean_is_refused(ready: Api) -> None:
    await sent(ready, DIRECT)
    before = await ready.everything()
    item = {"Type": 1, "To_Account": "ann"}
    for flag in ({}, {"ClearRamble": 0}):
        more = {"From_Account": "bob", "DeleteMedia": 1, **flag}
        for command, body in (
            ("recentcontact/delete", {**item, **more}),
            ("recentcontact/batch_delete", {"ContactItem": [item], **more}),
        ):
            await tencent.failed(ready, command, body, 50002, "DeleteMedia", "ClearRamble")
    assert await ready.everything() == before
    await tencent.done(ready, "recentcontact/delete", {**item, "From_Account": "bob", "DeleteMedia": 0})
    assert await ready.rows("SELECT 1 FROM clean_requests") == []


async def test_the_web_forms_delete_with_files_and_without_a_clean_is_refused(ready: Api) -> None:
    await sent(ready, DIRECT)
    token = await token_of(ready)
    before = await ready.everything()
    body = {"conversationIDList": ["C2Cann"], "clearHistoryMessage": False, "deleteMedia": True}
    answer = await ready.bearing(token, "POST", "/v1/conversations/delete", body)
    assert (answer.status, answer.code) == (400, 1002)
    assert "deleteMedia" in answer.json["message"]
    assert await ready.everything() == before
    body["deleteMedia"] = False
    assert (await ready.bearing(token, "POST", "/v1/conversations/delete", body)).status == 200
    assert await ready.rows("SELECT 1 FROM clean_requests") == []


@pytest.mark.parametrize("value", ["yes", "2", "-1", "1.5", "tru", "None"])
async def test_claritys_word_is_true_or_false(ready: Api, value: str) -> None:
    await sent(ready, DIRECT)
    bob = await clarity.client(ready)
    id_ = await bob.with_("ann")
    before = await ready.everything()
    answer = await bob.call("DELETE", f"conversations/{id_}", delete_media=value)
    clarity.refused(answer, 400, "delete_media")
    assert await ready.everything() == before

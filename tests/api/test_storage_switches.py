"""Where the cloud storage of a channel type is off there is no history of it, and delivery goes on."""

from __future__ import annotations

from typing import Any

import pytest

from history.axis import SECOND
from tests.api.bodies import HISTORIES
from tests.api.client import CLEAN, DELETE, Api

TYPES = {"direct": 1, "group": 3, "open": 4, "system": 6}
SWITCH = {"direct": "directGroupStorage", "group": "directGroupStorage"}
SWITCH |= {"system": "directGroupStorage", "open": "openStorage"}


async def send(api: Api, kind: str, content: str) -> None:
    names: dict[str, Any] = (
        {"toUserIds": ["bob"]} if kind in ("direct", "system") else {"toChannelIds": ["c"]}
    )
    text = {"fromUserId": "ann", "messageType": "x", "content": content}
    await api.do(f"{kind}-channel/message/send", **text, **names)


async def make(api: Api) -> None:
    await api.do("group-channel/create", channelId="c", name="c", owner="ann", userIds=["bob"])
    await api.do("open-channel/create", channelId="c")


@pytest.mark.parametrize("kind", TYPES)
async def test_history_and_clean_are_430_and_sends_still_arrive(api: Api, kind: str) -> None:
    await make(api)
    other = "ann" if kind in ("direct", "system") else "c"
    await send(api, kind, "before")
    await api.set(**{SWITCH[kind]: False})
    api.clock.advance(SECOND)
    await send(api, kind, "within")
    before = await api.everything()
    page = {"userId": "bob", "channelId": other, "startAt": 1, "endAt": 1, "includeStart": True}
    (await api.post(HISTORIES[kind], page)).refused(430, 1009, SWITCH[kind])
    clean = {"channelType": TYPES[kind], "fromUserId": "bob", "channelId": other}
    for path in (CLEAN, DELETE):
        (await api.post(path, clean)).refused(430, 1009, SWITCH[kind])
    assert await api.everything() == before
    given = [] if kind == "open" else [("before", "missed"), ("within", "missed")]
    assert await api.given() == given
    # on again: what was stored is there, what came meanwhile never was
    await api.set(**{SWITCH[kind]: True})
    api.clock.advance(SECOND)
    assert [message["content"] for message in await api.history("bob", other, kind=kind)] == ["before"]
    (await api.post(CLEAN, clean)).done()


@pytest.mark.parametrize("kind", TYPES)
async def test_each_switch_is_for_its_own_channel_types(api: Api, kind: str) -> None:
    await make(api)
    await api.set(**dict.fromkeys(set(SWITCH.values()) - {SWITCH[kind]}, False))
    api.clock.advance(SECOND)
    await send(api, kind, "kept")
    other = "ann" if kind in ("direct", "system") else "c"
    assert [message["content"] for message in await api.history("bob", other, kind=kind)] == ["kept"]

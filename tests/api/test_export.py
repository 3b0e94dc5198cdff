"""Exports over HTTP, and back again by import."""

from __future__ import annotations

import json
from typing import Any

import pytest

from history.errors import DatabaseUnavailable
from history.transfer.exports import Exports
from tests.api.bodies import EXPORT, IMPORT
from tests.api.client import DAY_MS, Answer, Api, Keys, signed
from tests.api.test_import import done, imported, line, packed


async def asked(api: Api, keys: Keys | None = None, **query: object) -> Answer:
    """An export."""
    words = "&".join(f"{name}={value}" for name, value in query.items())
    path = f"{EXPORT}?{words}" if words else EXPORT
    return await api.request("GET", path, headers=signed(keys or api.keys, timestamp=api.now_ms))


async def exported(api: Api, keys: Keys | None = None, **query: object) -> list[dict[str, Any]]:
    """Its lines."""
    answer = await asked(api, keys, **query)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/x-ndjson; charset=utf-8"
    return [json.loads(text) for text in answer.body.splitlines()]


async def everything_in(api: Api) -> None:
    """Messages of every kind."""
    await api.do("group-channel/create", channelId="g", name="g", owner="ann", userIds=["bob"])
    await api.do("open-channel/create", channelId="o")
    text = {"messageType": "t", "content": 'é \u2028 \\ " \x07', "isEchoToSender": 1}
    await api.send("ann", "bob", "cid", content="to two")
    await api.send("bob", "ann", content="back", hasMetadata=True, metadata={"a": 1, "b": "x"})
    await api.send("bob", "ann", content="none", hasMetadata=True)
    await api.do("group-channel/message/send", fromUserId="ann", toChannelIds=["g"], **text)
    await api.do(
        "group-channel/message/send", fromUserId="bob", toChannelIds=["g"], toUserIds=["ann"], **text
    )
    await api.do("open-channel/message/send", fromUserId="eve", toChannelIds=["o"], **text)
    await api.do(
        "system-channel/message/send", fromUserId="news", toUserIds=["bob"], messageType="t", content="s"
    )


def compared(lines: list[dict[str, Any]]) -> list[str]:
    """Without ids, in the order of their texts: apps order their channels by ids of their own."""
    return sorted(
        json.dumps({name: value for name, value in one.items() if name != "clientMessageId"}) for one in lines
    )


async def test_an_export_is_an_import_and_what_it_makes_is_exported_the_same(api: Api) -> None:
    await everything_in(api)
    first = await exported(api)
    assert len(first) == 8
    other = await api.new_app()
    there = api.of(other)
    await there.do("group-channel/create", channelId="g", name="g", owner="ann", userIds=["bob"])
    await there.do("open-channel/create", channelId="o")
    answer = (await asked(api)).body
    assert await imported(there, answer) == ([], done(8, 8))
    second = await exported(there)
    assert compared(second) == compared(first)
    assert {one["clientMessageId"] for one in first}.isdisjoint(one["clientMessageId"] for one in second)
    assert await imported(there, answer) == ([], done(8, 0, 8))
    # into the app that it came from it brings nothing either
    assert await imported(api, answer) == ([], done(8, 0, 8))
    assert compared(await exported(api)) == compared(first)
    for user, other_user in (("bob", "ann"), ("ann", "bob")):
        assert await there.contents(user, other_user) == await api.contents(user, other_user)


async def test_a_line_has_what_a_send_had_and_no_more(api: Api) -> None:
    await api.send("ann", "bob", content="plain")
    await api.send("bob", "ann", content="rich", isEchoToSender=1, hasMetadata=True, metadata={"a": 1})
    plain, rich = await exported(api)
    ids = (plain.pop("clientMessageId"), rich.pop("clientMessageId"))
    history = await api.history("bob", "ann")
    assert ids == (history[1]["messageId"], history[0]["messageId"])
    assert plain == line(plain["sentAt"], content="plain")
    assert rich == line(
        rich["sentAt"],
        fromUserId="bob",
        channelId="ann",
        content="rich",
        isEchoToSender=1,
        hasMetadata=True,
        metadata={"a": "1"},
    )


async def test_one_channel_is_named_as_its_reader_names_it(api: Api) -> None:
    await everything_in(api)
    queries: dict[str, dict[str, Any]] = {
        "back": {"channelType": 1, "channelId": "ann", "userId": "bob"},
        "s": {"channelType": 6, "channelId": "news", "userId": "bob"},
    }
    for kind, query in queries.items():
        assert kind in [one["content"] for one in await exported(api, **query)]
    assert len(await exported(api, channelType=3, channelId="g")) == 2
    assert len(await exported(api, channelType=4, channelId="o")) == 1
    assert await exported(api, channelType=4, channelId="nope") == []


async def test_a_time_may_be_asked_for(api: Api) -> None:
    at = api.now_ms - DAY_MS
    await imported(api, packed(*(line(at + n, content=str(n)) for n in range(4))))
    lines = await exported(api, startAt=at + 1, endAt=at + 3)
    assert [one["content"] for one in lines] == ["1", "2"]


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"channelType": 2, "channelId": "x"}, "channelType"),
        ({"channelType": "x", "channelId": "x"}, "channelType"),
        ({"channelType": 3}, "channelId"),
        ({"channelType": 1, "channelId": "x"}, "userId"),
        ({"channelType": 6, "channelId": "x"}, "userId"),
        ({"channelId": "x"}, "channelType"),
        ({"userId": "x"}, "channelType"),
        ({"startAt": "x"}, "startAt"),
        ({"endAt": -1}, "endAt"),
        ({"channelType": 3, "channelId": "x" * 65}, "channelId"),
        ({"channelType": 3, "channelId": "%00"}, "channelId"),
    ],
)
async def test_what_is_asked_for_wrongly_is_refused_with_a_sentence(
    api: Api, query: dict[str, Any], word: str
) -> None:
    answer = await asked(api, **query)
    assert answer.status == 400, answer.body
    assert word in answer.json["errorMessage"]


async def test_what_is_not_stored_is_not_exported(api: Api) -> None:
    """A channel of a type whose storage is off is left out; where nothing else was asked for it is refused."""
    await everything_in(api)
    await api.set(directGroupStorage=False)
    assert [one["channelType"] for one in await exported(api)] == [4]
    (await asked(api, channelType=3, channelId="g")).refused(430, 1009, "directGroupStorage")
    await api.set(openStorage=False)
    (await asked(api)).refused(430, 1009)


async def test_an_empty_app_exports_nothing_and_another_app_sees_nothing(api: Api) -> None:
    await everything_in(api)
    assert await exported(api, await api.new_app()) == []


async def test_a_database_that_is_away_is_503(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> list[object]:
        raise DatabaseUnavailable("The database does not answer; try again in a few seconds.")

    monkeypatch.setattr(Exports, "_sources", away)
    (await asked(api)).refused(503, 1000)


async def test_an_import_of_one_app_is_nothing_to_another(api: Api) -> None:
    """The same lines, keys and all, are messages of each."""
    other = await api.new_app()
    stream = packed(line(api.now_ms - DAY_MS, clientMessageId="k"))
    for keys in (api.keys, other):
        assert await imported(api.of(keys), stream) == ([], done(1, 1))
    headers = signed(Keys(app_key=other.app_key, secret="x"), timestamp=1)
    (await api.request("POST", IMPORT, data=stream, headers=headers)).refused(401, 1004)

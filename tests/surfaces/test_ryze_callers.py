"""Who may call RyzeAPI's surface: tokens, instances, what is refused in which words, and the limit of a minute."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from history.axis import MILLISECOND, SECOND
from server.calls import SERVICES
from server.surfaces.ryze import ROUTES
from tests.api.client import Api, open_api
from tests.house.test_docs import TEXTS, named, rows, section
from tests.surfaces.ryze import (
    GROUP_JID,
    INSTANCE,
    NUMBER,
    Client,
    chat,
    client,
    connect,
    instance_token,
    make_group,
    refused,
)

NO_REDIS = "unix:///nonexistent/redis.sock"
TOO_OFTEN = "Rate limit exceeded. Try again later."
HINT = "Use ISO 8601 format (e.g., '2026-02-16T18:32:39Z')"
NUMBERS = "Invalid number: send digits with the country code, or a JID (…@s.whatsapp.net, …@lid, …@g.us)"
IDENTIFIER = "Invalid identifier: send the JID of a group (…@g.us)"
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat/deleteChat": ("DELETE", {"number": NUMBER}),
    "chat/history": ("POST", {"number": NUMBER}),
    "chat/archive": ("POST", {"number": NUMBER, "archive": True}),
    "group/leave": ("DELETE", {"number": GROUP_JID}),
}
EVERY_CALL = pytest.mark.parametrize("path", CALLS)
BODIES: list[tuple[str, object, str]] = [
    *(
        ("chat/deleteChat", body, "Invalid request body")
        for body in (
            b"{",
            b"",
            b"[]",
            b"null",
            b"\xff",
            {"number": 5511999999999},
            {"number": NUMBER, "deleteMedia": "yes"},
            {"number": "9" * 129},
            {"number": "a\0b"},
        )
    ),
    *(
        (path, {"archive": True, **body}, "Number is required")
        for path in CALLS
        if path != "group/leave"
        for body in ({}, {"number": None}, {"number": ""}, {"number": " "})
    ),
    *(
        ("chat/deleteChat", {"number": number}, NUMBERS)
        for number in (
            "bob",
            "+5511999999999",
            "55 11",
            f"{NUMBER}@c.us",
            f"{NUMBER}:1@lid",
            "@lid",
            "\u0665\u0665",
            "9" * 33,
        )
    ),
    ("chat/deleteChat", {"number": "team@g.us"}, IDENTIFIER),
    ("group/leave", {"number": "ABC123XYZ"}, IDENTIFIER),
    ("group/leave", {"number": "https://chat.whatsapp.com/ABC123XYZ"}, IDENTIFIER),
    ("group/leave", {"number": f"{NUMBER}@s.whatsapp.net"}, IDENTIFIER),
    ("group/leave", b"", "Identifier is required"),
    ("group/leave", {}, "Identifier is required"),
    ("group/leave", b"{", "Invalid request body"),
    (
        "chat/history",
        b"{",
        "Invalid request body: The body is not JSON in UTF-8; send a JSON object.",
    ),
    ("chat/history", {"number": NUMBER, "count": 0}, "Invalid request body: count must be >= 1."),
    ("chat/history", {"number": NUMBER, "count": "9"}, "Invalid request body: count must be an integer."),
    (
        "chat/archive",
        {"number": NUMBER},
        "Invalid request body: archive is missing; it is required.",
    ),
    *(
        ("chat/history", {"number": NUMBER, field: text}, f"invalid '{field}' date format. {HINT}")
        for field in ("from", "to")
        for text in ("yesterday", "1773144000", "2026-02-30", "2026-02-16T25:00:00Z", "16/02/2026")
    ),
]


async def call(one: Client, path: str) -> Any:
    method, body = CALLS[path]
    return await one.call(method, path, body)


@pytest.fixture
async def api(api: Api) -> Api:
    """With a chat and a group of the instance."""
    await chat(api, "hi")
    await make_group(api)
    return api


# refusals


@pytest.mark.parametrize(("path", "body", "message"), BODIES)
async def test_a_wrong_body_is_400_in_its_words_and_changes_nothing(
    api: Api, path: str, body: object, message: str
) -> None:
    phone = await client(api)
    before = await api.everything()
    refused(await phone.call(CALLS[path][0], path, body), 400, message)
    assert await api.everything() == before


@EVERY_CALL
async def test_without_a_right_token_every_call_is_401_in_its_words(api: Api, path: str) -> None:
    phone = await client(api)
    before = await api.everything()
    refused(await call(replace(phone, token=""), path), 401, "Missing token in header")
    for token in ("x", phone.token[:-1] + "~", api.keys.api_key[:-1] + "~", api.admin_key, "tm_instance_"):
        refused(await call(replace(phone, token=token), path), 401, "Invalid token")
    assert await api.everything() == before


async def test_the_header_of_the_token_counts_before_the_other_one(api: Api) -> None:
    token = await instance_token(api)
    where, body = f"/api/chat/history/{INSTANCE}", b'{"number":"5511999999999"}'
    for headers, status in (
        ({"Authorization": f"Bearer {token}"}, 200),
        ({"Authorization": f"bearer {token}", "token": " "}, 200),
        ({"Authorization": f"Bearer {token}", "token": "x"}, 401),
        ({"Authorization": "Bearer x", "Token": token}, 200),
        ({"Authorization": token}, 401),
        ({"Authorization": "Bearer "}, 401),
    ):
        answer = await api.request("POST", where, data=body, headers=headers)
        assert answer.status == status, headers
    assert (await api.request("POST", f"{where}?token={token}", data=body)).status == 401


@EVERY_CALL
async def test_an_instance_s_token_opens_no_other_instance(api: Api, path: str) -> None:
    phone = await client(api)
    await api.send("ann", "zoe")
    before = await api.everything()
    for other in (NUMBER, "zoe", "nobody", INSTANCE[:-1]):
        refused(await call(phone.of(other), path), 403, "Instance token does not match this instance")
    assert await api.everything() == before


@EVERY_CALL
async def test_an_unknown_instance_is_404_in_its_words(api: Api, path: str) -> None:
    account = Client(api=api, token=api.keys.api_key)
    before = await api.everything()
    for name in ("nobody", "x" * 65, "a\0b"):
        refused(await call(account.of(name), path), 404, "Instance not found")
    refused(await call(account.of(" "), path), 400, "Instance name is required")
    assert await api.everything() == before


async def test_tokens_of_another_app_open_its_instances_and_none_of_ours(api: Api) -> None:
    other = await api.new_app()
    theirs = Client(api=api, token=other.api_key)
    before = await api.everything()
    refused(await theirs.delete_chat(), 404, "Instance not found")
    assert await api.everything() == before
    own = replace(theirs, token=await instance_token(api.of(other)))
    assert (await own.delete_chat()).status == 200
    assert await own.texts() == []
    assert len(await (await client(api)).texts()) == 2


async def test_a_user_is_an_instance_once_he_has_a_conversation_for_the_account_alone(api: Api) -> None:
    account = Client(api=api, token=api.keys.api_key)
    assert await account.texts() == ["re: hi", "hi"]
    assert (await account.delete_chat()).status == 200
    # it stays one without anything on its list
    assert (await account.delete_chat()).status == 200
    assert await api.rows("SELECT 1 FROM instances") == []


async def test_a_key_that_reads_reads_history_alone(api: Api) -> None:
    service = api.client.app[SERVICES].apps
    key, _ = await service.create_key("reads", kind="api", app_key=api.keys.app_key, read_only=True)
    reader = Client(api=api, token=key)
    assert await reader.texts() == ["re: hi", "hi"]
    before = await api.everything()
    for path in CALLS:
        if path != "chat/history":
            refused(await call(reader, path), 403, "This API key may only read.")
    assert await api.everything() == before


@EVERY_CALL
async def test_an_instance_that_is_not_connected_is_503_in_its_words(api: Api, path: str) -> None:
    phone, account = await client(api), Client(api=api, token=api.keys.api_key)
    assert (await connect(api, connected=False)).status == 200
    before = await api.everything()
    for one in (phone, account):
        refused(await call(one, path), 503, "Instance is not connected to WhatsApp")
    assert await api.everything() == before
    assert (await call(account.of(NUMBER), path)).status != 503
    await connect(api, connected=True)
    assert (await call(phone, path)).status == 200


async def test_storage_that_is_off_and_too_many_cleans_are_said_in_its_form(api: Api) -> None:
    phone = await client(api)
    await api.set(cleanRateLimit=1)
    assert (await phone.delete_chat()).status == 200
    answer = await phone.delete_chat()
    refused(answer, 429, TOO_OFTEN)
    assert (answer.headers["Retry-After"], answer.headers["X-RateLimit-Remaining"]) == ("1", "98")
    await api.set(directGroupStorage=False)
    sentence = "History is not stored here: the app's setting directGroupStorage is off."
    refused(await phone.delete_chat(), 403, sentence)
    refused(await phone.history(), 403, sentence)


# instances


async def test_an_instance_is_made_its_token_shown_once_and_another_token_ends_it(api: Api) -> None:
    path = f"/admin/apps/{api.keys.app_key}/instances"
    made = await api.admin("POST", path, {"instance": INSTANCE})
    assert made.status == 200
    token = made.json["token"]
    assert {**made.json, "token": ""} == {
        "instance": INSTANCE,
        "connected": True,
        "createdAt": api.now_ms,
        "token": "",
    }
    assert token.startswith("tm_instance_")
    stored = str(await api.everything())
    for text in (token, token.encode().hex(), token.split("_", 2)[2]):
        assert text not in stored
    await connect(api, connected=False)
    api.clock.advance(SECOND)
    again = (await api.admin("POST", path, {"instance": INSTANCE})).json
    # what was said of it stays
    assert (again["connected"], again["createdAt"]) == (False, made.json["createdAt"])
    await connect(api, connected=True)
    first, second = (Client(api=api, token=text) for text in (token, again["token"]))
    refused(await first.history(), 401, "Invalid token")
    assert len(await second.texts()) == 2


async def test_connected_is_told_back_and_is_for_those_who_are_instances(api: Api) -> None:
    answer = await connect(api, connected=False)
    assert (answer.status, answer.json) == (
        200,
        {"instance": INSTANCE, "connected": False, "createdAt": api.now_ms},
    )
    # who was switched off by his conversations alone still has no token
    assert [tuple(row) for row in await api.rows("SELECT user_id, hash FROM instances")] == [(INSTANCE, None)]
    other = await api.new_app()
    for one, name in ((api, "nobody"), (api, "x" * 65), (api.of(other), INSTANCE)):
        (await connect(one, connected=False, instance=name)).refused(404, 404)


@pytest.mark.parametrize("name", ["sales team", "a/b", "böt", "👩‍👩‍👧", "50%", "?x=1#y"])
async def test_any_user_s_id_may_be_an_instance(api: Api, name: str) -> None:
    one = Client(api=api, token=await instance_token(api, name), instance=name)
    await api.send(NUMBER, name, content="hi")
    assert await one.texts() == ["hi"]
    assert (await connect(api, connected=False, instance=name)).json["instance"] == name
    refused(await one.history(), 503, "Instance is not connected to WhatsApp")


# the limit


def standing(answer: Any) -> tuple[int, int, int]:
    limit, remaining, reset = (
        int(answer.headers[f"X-RateLimit-{word}"]) for word in ("Limit", "Remaining", "Reset")
    )
    return limit, remaining, reset


async def test_every_answer_says_where_the_token_stands(api: Api) -> None:
    phone, account = await client(api), Client(api=api, token=api.keys.api_key)
    # the minute that the clock is in ends then
    reset = api.now_ms // 1000 // 60 * 60 + 60
    asked = [
        await phone.history(),
        await phone.delete_chat(),
        await phone.delete_chat(""),
        await phone.of("zoe").history(),
        await phone.archive("5511777777777"),
        await phone.leave(),
    ]
    assert [answer.status for answer in asked] == [200, 200, 400, 403, 404, 200]
    assert [standing(answer) for answer in asked] == [(100, 99 - number, reset) for number in range(6)]
    # another token is counted by itself
    assert standing(await account.of("nobody").history()) == (100, 99, reset)
    # who has no token of ours has used nothing
    for token in ("", "x"):
        assert standing(await replace(phone, token=token).history()) == (100, 100, reset)
    answer = await phone.call("GET", "chat/history")
    refused(answer, 405, "This path takes POST.")
    assert standing(answer) == (100, 100, reset)
    api.clock.advance((reset * 1000 - api.now_ms) * MILLISECOND - 1)
    assert standing(await phone.history()) == (100, 93, reset)
    api.clock.advance(1)
    assert standing(await phone.history()) == (100, 99, reset + 60)


async def many(*clients: Client, count: int) -> Counter[int]:
    """So many calls at once, from these in turn."""
    answers = await asyncio.gather(*(clients[number % len(clients)].history() for number in range(count)))
    return Counter(answer.status for answer in answers)


async def test_the_101st_of_a_minute_is_refused_and_does_nothing(api: Api) -> None:
    phone = await client(api)
    api.clock.advance(15 * SECOND)
    assert await many(phone, count=100) == {200: 100}
    before = await api.everything()
    answer = await phone.delete_chat()
    refused(answer, 429, TOO_OFTEN)
    assert standing(answer)[1] == 0
    assert answer.headers["Retry-After"] == "45"
    # not even who is asked for is looked at
    refused(await phone.of("zoe").history(), 429, TOO_OFTEN)
    assert await api.everything() == before
    account = Client(api=api, token=api.keys.api_key)
    assert (await account.history()).status == 200
    api.clock.advance(45 * SECOND)
    assert (await phone.delete_chat()).status == 200


async def test_two_processes_count_together(api: Api, redis_url: str) -> None:
    phone = await client(api)
    async with open_api(api.database_url, redis_url, like=api) as second:
        assert await many(phone, replace(phone, api=second), count=120) == {200: 100, 429: 20}
        assert standing(await replace(phone, api=second).history())[1] == 0


async def test_calls_that_come_together_cost_one_round_trip(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = api.client.app[SERVICES].limits
    trips: list[int] = []
    add = limits._add_calls

    async def counted(wanted: Any) -> dict[str, int]:
        trips.append(len(wanted))
        return await add(wanted)

    monkeypatch.setattr(limits, "_add_calls", counted)
    now = api.clock.now()
    found = await asyncio.gather(
        *(limits.count_call(token, now=now) for token in ("a", "b") for _ in range(50))
    )
    assert sorted(one.used for one in found) == sorted([*range(1, 51)] * 2)
    assert len(trips) <= 2


async def test_without_redis_each_process_counts_alone(api: Api) -> None:
    phone = await client(api)
    async with (
        open_api(api.database_url, NO_REDIS, like=api) as first,
        open_api(api.database_url, NO_REDIS, like=api) as second,
    ):
        assert await many(replace(phone, api=first), count=105) == {200: 100, 429: 5}
        assert await many(replace(phone, api=second), count=105) == {200: 100, 429: 5}


# the page


def test_every_call_has_a_row_and_no_other_is_said_to_be_there() -> None:
    said = rows(section(TEXTS["docs/surfaces.md"], "### RyzeAPI: the calls"))
    there = {name for row in said if row[1].startswith("yes") for name in named(row[0])}
    assert there == {f"{route.method} {route.path}".replace("{instance}", ":instance") for route in ROUTES}

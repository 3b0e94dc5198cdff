"""DoubleTick's calls: what a clear takes and leaves, customers, messages by days, and its errors."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from history.axis import DAY, MILLISECOND, SECOND
from server.calls import SERVICES
from server.surfaces.doubletick import handlers
from tests.api.bodies import PHONES
from tests.api.client import Answer, Api, Keys

BUSINESS, CUSTOMER = PHONES
OTHER = "919999999998"
CLEAR = "/conversation/chat/messages"
BAD = {"statusCode": 400, "message": "Bad Request"}


async def call(
    api: Api, method: str, path: str, body: object = None, *, key: str | None = None, **query: str
) -> Answer:
    """A call with the raw API key."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": api.keys.api_key if key is None else key}
    return await api.request(
        method, f"{path}?{urlencode(query)}" if query else path, data=data, headers=headers
    )


async def clear(api: Api, customer: str = CUSTOMER, business: str = BUSINESS, **more: str) -> Answer:
    return await call(api, "DELETE", CLEAR, {"to": customer, "from": business}, **more)


async def delete(api: Api, *numbers: str) -> Answer:
    return await call(api, "DELETE", "/customer", {"phoneNumbers": list(numbers)})


async def messages(api: Api, **query: str) -> dict[str, Any]:
    """The chat of the business and its customer."""
    answer = await call(api, "GET", "/chat-messages", wabaNumber=BUSINESS, customerNumber=CUSTOMER, **query)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    assert found["success"] is True
    return found


async def texts(api: Api, **query: str) -> list[str]:
    return [message["message"] for message in (await messages(api, **query))["messages"]]


async def chat(api: Api, *contents: str, customer: str = CUSTOMER, keys: Keys | None = None) -> None:
    """Each of these from the customer, then an answer of the business that it sees itself."""
    for content in contents:
        await api.of(keys).send(customer, BUSINESS, content=content)
        await api.of(keys).send(BUSINESS, customer, content=f"re: {content}", isEchoToSender=1)


# clear


async def test_the_example_of_the_page_is_answered_as_on_the_page(api: Api) -> None:
    answer = await clear(api, customer="919999999999", business="919999999999")
    assert answer.status == 200
    body = answer.json
    request_id = body.pop("requestId")
    assert body == {"success": True, "message": "Added in queue for deletion."}
    assert request_id
    assert await api.rows("SELECT 1 FROM channels") == []


async def test_a_clear_takes_the_business_s_history_of_this_chat_and_nothing_else(api: Api) -> None:
    other = await api.new_app()
    await chat(api, "hi")
    await chat(api, "other", customer=OTHER)
    await chat(api, "theirs", keys=other)
    assert (await clear(api, customer=f"+{CUSTOMER}", business=f"+{BUSINESS}")).status == 200
    assert await api.contents(BUSINESS, CUSTOMER) == []
    assert await texts(api) == []
    assert await api.contents(CUSTOMER, BUSINESS) == ["re: hi"]
    assert await api.contents(BUSINESS, OTHER) == ["re: other", "other"]
    assert await api.contents(BUSINESS, CUSTOMER, keys=other) == ["re: theirs", "theirs"]
    # what the business has not received yet still reaches it
    assert ("hi", "missed") in await api.given(BUSINESS)
    await chat(api, "later")
    assert await texts(api) == ["later", "re: later"]


@pytest.mark.parametrize("setting", [False, True])
async def test_its_receipt_has_the_surface_as_source_and_the_app_s_word_on_compensation(
    api: Api, setting: bool
) -> None:
    await api.set(deleteCompensatedOnClean=setting)
    await chat(api, "hi")
    request_id = (await clear(api)).json["requestId"]
    receipt = await api.do("channel/message/history/clean/status", requestId=request_id)
    assert (receipt["source"], receipt["userId"], receipt["channelId"]) == ("doubletick", BUSINESS, CUSTOMER)
    assert receipt["deleteCompensated"] == {"value": setting, "from": "app"}


# customers


async def test_customers_are_gone_for_both_sides_and_the_others_stay(api: Api) -> None:
    other, second = await api.new_app(), "910000000002"
    await chat(api, "hi")
    await api.send(second, CUSTOMER, content="from the second number", isEchoToSender=1)
    await chat(api, "other", customer=OTHER)
    await chat(api, "theirs", keys=other)
    # a customer of the other app alone is none of ours
    await chat(api, "theirs", customer="919999999990", keys=other)
    answer = await delete(api, f"+{CUSTOMER}", "919999999990", CUSTOMER)
    assert answer.status == 201
    body = answer.json
    assert body["message"] == "Your request has been queued for deletion."
    assert body["notFoundPhoneNumbers"] == ["919999999990"]
    for business in (BUSINESS, second):
        assert await api.contents(business, CUSTOMER) == []
        assert await api.contents(CUSTOMER, business) == []
    assert await api.contents(BUSINESS, OTHER) == ["re: other", "other"]
    assert await api.contents(BUSINESS, CUSTOMER, keys=other) == ["re: theirs", "theirs"]
    found = [
        await api.do("channel/message/history/clean/status", requestId=id_) for id_ in body["requestIds"]
    ]
    assert {(receipt["source"], receipt["userId"], receipt["operator"]) for receipt in found} == {
        ("doubletick", None, BUSINESS),
        ("doubletick", None, second),
    }


async def test_customers_that_nobody_wrote_with_are_404_and_nothing_is_done(api: Api) -> None:
    await chat(api, "hi")
    before = await api.everything()
    answer = await delete(api, "919999999990", "+919999999991")
    assert answer.status == 404
    assert answer.json == {
        "message": "No matching customers found",
        "notFoundPhoneNumbers": ["919999999990", "+919999999991"],
    }
    assert await api.everything() == before


async def test_ten_customers_may_go_at_once_and_count_as_one_request(api: Api) -> None:
    numbers = [f"9199999999{number:02}" for number in range(10)]
    for number in numbers:
        await chat(api, "hi", customer=number)
    await api.set(cleanRateLimit=1)
    answer = await delete(api, *numbers)
    assert (answer.status, len(answer.json["requestIds"])) == (201, 10)
    for number in numbers:
        assert await api.contents(BUSINESS, number) == []


async def test_a_customer_with_too_many_chats_is_refused_before_anything_is_cleaned(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "MOST_CHATS", 1)
    await chat(api, "hi")
    await chat(api, "other", customer=OTHER)
    before = await api.everything()
    answer = await delete(api, CUSTOMER, BUSINESS)
    assert (answer.status, answer.json["message"]) == (400, "Bad Request")
    assert "more than 1 chats" in answer.json["error"]
    assert await api.everything() == before
    assert (await delete(api, CUSTOMER, OTHER)).status == 201


# messages


async def test_messages_have_the_fields_of_the_page(api: Api) -> None:
    api.clock.advance(7 * MILLISECOND)
    [id_] = await api.send(CUSTOMER, BUSINESS, content='{"content":"Hello"}')
    await api.send(BUSINESS, CUSTOMER, content='{"uri":"x"}', messageType="RC:ImgMsg", isEchoToSender=1)
    first, second = (await messages(api))["messages"]
    assert first == {
        "messageId": id_,
        "sender": CUSTOMER,
        "recipient": BUSINESS,
        "message": "Hello",
        "mediaUrl": None,
        "timestamp": "2026-03-10T12:00:00.007Z",
        "status": "SENT",
    }
    assert (second["sender"], second["recipient"]) == (BUSINESS, CUSTOMER)
    assert second["message"] == '{"uri":"x"}'


async def test_days_are_of_utc_and_both_are_included(api: Api) -> None:
    await api.set(compensationTimeZone="Asia/Kolkata")
    half = DAY // 2
    # noon of the 10th is where the clock stands: each of these at an edge of the 11th or the 12th
    for text, at in (
        ("before", half - MILLISECOND),
        ("first", half),
        ("last", half + 2 * DAY - MILLISECOND),
        ("after", half + 2 * DAY),
    ):
        api.clock.advance(at - (api.clock.now() - 1_773_144_000 * SECOND))
        await api.send(CUSTOMER, BUSINESS, content=text)
    assert await texts(api) == ["before", "first", "last", "after"]
    assert await texts(api, startDate="11-03-2026", endDate="12-03-2026") == ["first", "last"]
    assert await texts(api, startDate="11-03-2026") == ["first", "last", "after"]
    assert await texts(api, endDate="11-03-2026") == ["before", "first"]
    assert await texts(api, startDate="13-03-2026", endDate="13-03-2026") == ["after"]
    assert await texts(api, startDate="01-01-1960", endDate="31-12-1969") == []
    assert len(await texts(api, startDate="01-01-0001", endDate="31-12-9999")) == 4


async def test_the_whole_range_comes_although_pages_are_smaller(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "_PAGE", 2)
    contents = [f"{number}" for number in range(7)]
    for content in contents:
        await api.send(CUSTOMER, BUSINESS, content=content)
    found = await messages(api)
    assert [message["message"] for message in found["messages"]] == contents
    assert found["nextCursor"] is None


@pytest.mark.parametrize(("name", "most"), [("MOST_MESSAGES", 3), ("MOST_BYTES", 30)])
async def test_an_answer_ends_at_its_cap_and_its_cursor_asks_for_what_is_before(
    api: Api, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    monkeypatch.setattr(handlers, "_PAGE", 1)
    monkeypatch.setattr(handlers, name, most)
    contents = [f"number {number:03}" for number in range(7)]
    for content in contents:
        await api.send(CUSTOMER, BUSINESS, content=content)
        api.clock.advance(SECOND)
    answer = await messages(api, startDate="10-03-2026")
    assert [message["message"] for message in answer["messages"]] == contents[4:]
    answer = await messages(api, startDate="10-03-2026", nextCursor=answer["nextCursor"])
    assert [message["message"] for message in answer["messages"]] == contents[1:4]
    answer = await messages(api, startDate="10-03-2026", nextCursor=answer["nextCursor"])
    assert [message["message"] for message in answer["messages"]] == contents[:1]
    assert answer["nextCursor"] is None


# errors

NO_SWITCH: list[object] = [0, 1, "true", "", [], {}]
WRONG_CLEARS: list[tuple[object, str]] = [
    ({"to": CUSTOMER}, "from is missing"),
    ({"from": BUSINESS}, "to is missing"),
    ({"to": CUSTOMER, "from": 910000000001}, "from must be a string"),
    ({"to": None, "from": BUSINESS}, "to must be a string"),
    ({"to": "", "from": BUSINESS}, "to must not be empty"),
    ({"to": "bob99", "from": BUSINESS}, "to must be a phone number"),
    ({"to": "91 99999", "from": BUSINESS}, "to must be a phone number"),
    ({"to": "٩١٩٩٩٩٩٩٩٩٩٩", "from": BUSINESS}, "to must be a phone number"),
    ({"to": "9" * 16, "from": BUSINESS}, "to must be a phone number"),
    ({"to": "9" * 17, "from": BUSINESS}, "to is too long"),
    ({"to": CUSTOMER, "from": "+1234"}, "from must be a phone number"),
    *(
        ({"to": CUSTOMER, "from": BUSINESS, "deleteMedia": value}, "deleteMedia must be true or false")
        for value in NO_SWITCH
    ),
    ([], "must be a JSON object"),
]
WRONG_CUSTOMERS: list[tuple[object, str]] = [
    ({}, "phoneNumbers is missing"),
    ({"phoneNumbers": []}, "phoneNumbers must not be empty"),
    ({"phoneNumbers": [f"9199999999{number:02}" for number in range(11)]}, "at most 10"),
    ({"phoneNumbers": CUSTOMER}, "phoneNumbers must be a list"),
    ({"phoneNumbers": [CUSTOMER, "abcdef"]}, "phoneNumbers[1] must be a phone number"),
    *(
        ({"phoneNumbers": [CUSTOMER], "deleteMedia": value}, "deleteMedia must be true or false")
        for value in NO_SWITCH
    ),
]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        *((CLEAR, body, words) for body, words in WRONG_CLEARS),
        *(("/customer", body, words) for body, words in WRONG_CUSTOMERS),
    ],
)
async def test_a_wrong_body_is_400_and_changes_nothing(api: Api, path: str, body: object, words: str) -> None:
    await chat(api, "hi")
    before = await api.everything()
    answer = await call(api, "DELETE", path, body)
    assert answer.status == 400
    said = answer.json
    assert words in said.pop("error")
    assert said == BAD
    assert await api.everything() == before


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"customerNumber": CUSTOMER}, "wabaNumber is missing"),
        ({"wabaNumber": BUSINESS}, "customerNumber is missing"),
        ({"wabaNumber": "business", "customerNumber": CUSTOMER}, "wabaNumber must be a phone number"),
        ({"startDate": "2026-03-10"}, "startDate must be a day as DD-MM-YYYY"),
        ({"endDate": "31-02-2026"}, "endDate must be a day as DD-MM-YYYY"),
        ({"endDate": "1-1-2026"}, "endDate must be a day"),
        ({"startDate": "11-03-2026", "endDate": "10-03-2026"}, "startDate must not be after endDate"),
        ({"nextCursor": "x"}, "nextCursor must be one that the answer before gave"),
    ],
)
async def test_a_wrong_query_is_400(api: Api, query: dict[str, str], words: str) -> None:
    numbers = (
        {}
        if set(query) & {"wabaNumber", "customerNumber"}
        else {"wabaNumber": BUSINESS, "customerNumber": CUSTOMER}
    )
    answer = await call(api, "GET", "/chat-messages", **numbers, **query)
    assert answer.status == 400
    said = answer.json
    assert words in said.pop("error")
    assert said == BAD


async def test_other_bodies_than_json_are_400(api: Api) -> None:
    headers = {"Authorization": api.keys.api_key}
    for data, kind in ((b"{", "application/json"), (b"to=1", "application/x-www-form-urlencoded")):
        answer = await api.request("DELETE", CLEAR, data=data, headers={**headers, "Content-Type": kind})
        assert answer.status == 400
        assert answer.json["message"] == "Bad Request"
    answer = await api.request("DELETE", CLEAR, headers=headers)
    assert (answer.status, answer.json["error"]) == (400, "The request has no body; send a JSON object.")


@pytest.mark.parametrize("key", ["", "key_xxxxxxxx", "Bearer ", "Basic key_xxxxxxxx"])
async def test_a_wrong_key_is_401_in_its_words(api: Api, key: str) -> None:
    answer = await clear(api, key=key)
    assert answer.status == 401
    assert answer.json == {
        "statusCode": 401,
        "message": "Invalid public api key",
        "error": "Unauthorized",
    }


async def test_a_key_that_reads_is_403_in_its_words_and_may_read(api: Api) -> None:
    service = api.client.app[SERVICES].apps
    key, _ = await service.create_key("reads", kind="api", app_key=api.keys.app_key, read_only=True)
    answer = await clear(api, key=key)
    assert answer.status == 403
    assert answer.json == {
        "statusCode": 403,
        "message": "You don't have the required permissions to perform this action.",
        "error": "Forbidden",
    }
    read = await call(api, "GET", "/chat-messages", key=key, wabaNumber=BUSINESS, customerNumber=CUSTOMER)
    assert read.status == 200


async def test_too_many_clears_are_429_and_say_when_to_come_back(api: Api) -> None:
    await api.set(cleanRateLimit=1)
    assert (await clear(api)).status == 200
    answer = await clear(api)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    assert (answer.json["statusCode"], answer.json["error"]) == (429, "Too Many Requests")


async def test_without_storage_every_call_says_so(api: Api) -> None:
    await api.set(directGroupStorage=False)
    asked = [
        await clear(api),
        await delete(api, CUSTOMER),
        await call(api, "GET", "/chat-messages", wabaNumber=BUSINESS, customerNumber=CUSTOMER),
    ]
    for answer in asked:
        assert (answer.status, answer.json["error"]) == (430, "Not Enabled")
        assert "directGroupStorage" in answer.json["message"]

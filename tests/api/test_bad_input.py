"""Every field of every signed route against every kind of wrong value: one documented answer, and nothing is changed."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from server.calls import Caller
from server.routes import ROUTES
from tests.api.client import ACK, CLEAN, DELETE, HISTORY, SEND, SYNC, Api

ABSENT = object()
Wrong = tuple[Any, int]
NO_TEXT: list[Wrong] = [(7, 1002), (True, 1002), (1.5, 1002), ([], 1002), ({}, 1002), ("a\0b", 1002)]
REQUIRED: list[Wrong] = [(ABSENT, 1002), (None, 1002)]
ID = [*REQUIRED, *NO_TEXT, ("", 1002), ("x" * 65, 1005), ("\U0001f600" * 65, 1005)]
NO_NUMBER: list[Wrong] = [("1", 1002), ("", 1002), (True, 1002), (1.5, 1002), ([], 1002), ({}, 1002)]
BIT = [*NO_NUMBER, (2, 1002), (-1, 1002), (10**30, 1002)]
SWITCH: list[Wrong] = [(0, 1002), (1, 1002), ("true", 1002), ("", 1002), ([], 1002), ({}, 1002)]
TIME = [*REQUIRED, *NO_NUMBER, (-1, 1002), (10**14, 1002), (10**30, 1002)]
TYPE = [*REQUIRED, *NO_NUMBER, (0, 1002), (2, 1002), (5, 1002), (7, 1002), (10, 1002), (-1, 1002)]
SENT_AT: list[Wrong] = [
    ("x", 1002),
    (-1, 1002),
    (1.5, 1002),
    (True, 1002),
    (1566281295, 1002),
    (10**14, 1002),
    ([], 1002),
]
CLEANING = {
    "channelType": TYPE,
    "fromUserId": ID,
    "channelId": ID,
    "sentAt": [*SENT_AT, ("a\0b", 1002)],
    "deleteCompensated": SWITCH,
    "reason": [*NO_TEXT, ("x" * 513, 1005)],
}
FIELDS: dict[str, dict[str, list[Wrong]]] = {
    SEND: {
        "fromUserId": ID,
        "toUserIds": [
            *REQUIRED,
            ("bob", 1002),
            ([], 1002),
            ({}, 1002),
            (7, 1002),
            (["ann"], 1002),
            (["b"] * 1001, 1002),
        ],
        "toUserIds.0": [pair for pair in ID if pair[0] is not ABSENT],
        "messageType": [*REQUIRED, *NO_TEXT, ("", 1002), ("x" * 33, 1005)],
        "content": [*REQUIRED, *NO_TEXT, ("", 1002), ("x" * 131_073, 1005), ("é" * 65_537, 1005)],
        "isEchoToSender": BIT,
        "shouldPersist": BIT,
        "verifyBlocklist": BIT,
        "contentAvailable": BIT,
        "needReadReceipt": BIT,
        "count": NO_NUMBER,
        "pushContent": NO_TEXT,
        "pushData": NO_TEXT,
        "pushExt": NO_TEXT,
        "hasMetadata": SWITCH,
        "disablePush": SWITCH,
        "disableUpdateLastMsg": SWITCH,
        "metadata": [
            ("x", 1002),
            ([], 1002),
            (7, 1002),
            ({"a": "\0"}, 1002),
            ({"\0": "a"}, 1002),
            ({"x" * 33: "a"}, 1005),
            ({str(n): "" for n in range(101)}, 1002),
        ],
    },
    HISTORY: {
        "userId": ID,
        "channelId": ID,
        "startAt": TIME,
        "endAt": TIME,
        "includeStart": [*REQUIRED, *SWITCH],
        "pageSize": [*NO_NUMBER, (0, 1002), (101, 1002), (-1, 1002)],
    },
    CLEAN: CLEANING,
    DELETE: CLEANING,
    SYNC: {
        "userId": ID,
        "deviceId": ID,
        "limit": [*NO_NUMBER, (0, 1002), (501, 1002), (-1, 1002)],
        "cursor": [*NO_TEXT, ("x", 1002), ("x" * 65_537, 1005)],
        "reinstalled": SWITCH,
    },
    ACK: {
        "userId": ID,
        "deviceId": ID,
        "delivered": [*REQUIRED, ("x", 1002), ([], 1002), ({}, 1002), ([7], 1002), ([None], 1002)],
        "delivered.0.channelType": TYPE,
        "delivered.0.channelId": ID,
        "delivered.0.messageId": [*REQUIRED, *NO_TEXT, ("", 1002), ("x", 1002), ("x" * 65, 1005)],
    },
}


def valid(path: str, message_id: str, now_ms: int) -> dict[str, Any]:
    """A body of the route in which nothing is wrong."""
    clean: dict[str, Any] = {"channelType": 1, "fromUserId": "bob", "channelId": "ann"}
    bodies: dict[str, dict[str, Any]] = {
        SEND: {"fromUserId": "ann", "toUserIds": ["bob"], "messageType": "x", "content": "y"},
        HISTORY: {
            "userId": "bob",
            "channelId": "ann",
            "startAt": now_ms,
            "endAt": now_ms,
            "includeStart": True,
        },
        CLEAN: clean,
        DELETE: clean,
        SYNC: {"userId": "bob", "deviceId": "phone"},
        ACK: {
            "userId": "bob",
            "deviceId": "phone",
            "delivered": [{"channelType": 1, "channelId": "ann", "messageId": message_id}],
        },
    }
    return bodies[path]


def changed(body: dict[str, Any], field: str, value: object) -> dict[str, Any]:
    """The body with one field set to something else, or taken out."""
    body = copy.deepcopy(body)
    at: Any = body
    *outer, name = [int(part) if part.isdigit() else part for part in field.split(".")]
    for part in outer:
        at = at[part]
    if value is ABSENT:
        del at[name]
    else:
        at[name] = value
    return body


def surrogates(field: str) -> Iterator[Any]:
    """Half a character, alone and in the middle."""
    if field in ("toUserIds", "delivered"):
        return
    yield from ("\ud800", "a\udfffb")


def written(field: str) -> str:
    """The field as the sentence must name it: the last name counts, lists have numbers."""
    names = [part for part in field.split(".") if not part.isdigit()]
    return names[-1]


def test_the_table_has_every_field_of_every_signed_route() -> None:
    for route in ROUTES:
        if route.caller is Caller.APP:
            assert route.body is not None
            top = {field.split(".")[0] for field in FIELDS[route.path]}
            assert top == set(route.body.__struct_fields__), route.path


@pytest.mark.parametrize("path", FIELDS)
async def test_each_wrong_value_has_one_documented_answer_and_changes_nothing(api: Api, path: str) -> None:
    message_id = (await api.send())[0]
    await api.set(cleanRateLimit=0)
    body = valid(path, message_id, api.now_ms)
    before = await api.everything()
    for field, table in FIELDS[path].items():
        for value, code in table:
            answer = await api.post(path, changed(body, field, value))
            assert (answer.status, answer.code) == (400, code), (field, value, answer.body)
            assert written(field) in answer.refused(400, code), (field, value)
        for value in surrogates(field):
            answer = await api.post(path, changed(body, field, value))
            assert (answer.status, answer.code) == (400, 1002), (field, value, answer.body)
    assert await api.everything() == before
    (await api.post(path, body)).done()


@pytest.mark.parametrize("path", FIELDS)
async def test_null_in_an_optional_field_is_the_same_as_absent(api: Api, path: str) -> None:
    message_id = (await api.send())[0]
    body = valid(path, message_id, api.now_ms)
    nulls = {
        field: None
        for field, table in FIELDS[path].items()
        if "." not in field and not any(value is ABSENT for value, _ in table)
    }
    assert nulls or path == ACK
    (await api.post(path, {**body, **nulls})).done()


@pytest.mark.parametrize("path", FIELDS)
async def test_a_body_that_is_no_json_object_is_refused(api: Api, path: str) -> None:
    bodies: list[tuple[bytes, int]] = [
        (b"", 1003),
        (b" \n\t", 1003),
        (b"[]", 1002),
        (b"null", 1002),
        (b'"x"', 1002),
        (b"7", 1002),
        (b"{", 1002),
        (b"{}{}", 1002),
        (b"userId=bob", 1002),
        (b'{"userId":"\xff\xfe"}', 1002),
        (b'{"userId":"a\x00b"}', 1002),
        (b'\x00{"userId":"bob"}', 1002),
        (b"\xef\xbb\xbf{}", 1002),
        (b"[" * 100_000, 1002),
        (b'{"a":' * 100_000, 1002),
        (b'{"fromUserId":' + b"9" * 10_000 + b"}", 1002),
    ]
    before = await api.everything()
    for body, code in bodies:
        answer = await api.raw(path, body)
        assert (answer.status, answer.code) == (400, code), (body[:40], answer.body)
    assert await api.everything() == before


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "nonsense"]
)
async def test_another_content_type_is_refused(api: Api, kind: str) -> None:
    body = json.dumps(valid(SEND, "", 0)).encode()
    (await api.raw(SEND, body, Content_Type=kind)).refused(400, 1002, "Content-Type")
    assert (await api.everything())["messages"] == []


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/json;v=1"]
)
async def test_json_by_any_spelling_is_taken(api: Api, kind: str) -> None:
    (await api.raw(SEND, json.dumps(valid(SEND, "", 0)).encode(), Content_Type=kind)).done()


async def test_a_body_over_8_mib_is_refused_as_too_large(api: Api) -> None:
    body = valid(SEND, "", 0)
    (await api.post(SEND, {**body, "content": "x" * 9 * 1024 * 1024})).refused(413, 1508)
    assert (await api.everything())["messages"] == []
    (await api.post(SEND, body)).done()


async def test_a_body_that_unpacks_badly_or_too_large_is_refused(api: Api) -> None:
    plain = json.dumps(valid(SEND, "", 0)).encode()
    (await api.raw(SEND, gzip.compress(plain), Content_Encoding="gzip")).done()
    bomb = gzip.compress(b" " * 64 * 1024 * 1024)
    (await api.raw(SEND, bomb, Content_Encoding="gzip")).refused(413, 1508)
    answer = await api.raw(SEND, b"not packed at all", Content_Encoding="gzip")
    assert answer.status == 400

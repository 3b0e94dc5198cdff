"""Requests of RongCloud's SDKs and of its documentation, byte for byte: rongcloud_requests.txt has them.

Its newest SDK for Python runs itself, in tests/system/test_rongcloud_sdk.py.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

import pytest

from server.routes import ALL_ROUTES
from server.surfaces.rongcloud import ROUTES
from tests.api.client import Api
from tests.surfaces.rongcloud import CLEAN, DONE, Rong

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "surfaces.md"
PRIVATE, QUERY = "message/private/publish", "v3/message/private/query"


class Sent(NamedTuple):
    """One request."""

    path: str
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One client: what it sends, in its order, and how it signs all that."""

    nonce: str
    timestamp: str
    header: str
    """How it writes App-Key."""
    requests: list[Sent]

    def of(self, path: str) -> Sent:
        """Its request of this path."""
        (found,) = (sent for sent in self.requests if sent.path == path)
        return found

    def headers(self, api: Api) -> dict[str, str]:
        """As the client does, by the secret of the test's app."""
        text = f"{api.keys.secret}{self.nonce}{self.timestamp}".encode()
        values = {
            "App-Key": api.keys.app_key,
            "Nonce": self.nonce,
            "Timestamp": self.timestamp,
            "Signature": hashlib.sha1(text, usedforsecurity=False).hexdigest(),
        }
        lower, prefix = self.header.islower(), self.header[: -len("App-Key")]
        return {prefix + (name.lower() if lower else name): value for name, value in values.items()}


def read_clients() -> dict[str, Client]:
    """What stands in the file of requests."""
    found: dict[str, Client] = {}
    name = ""
    for line in (HERE / "rongcloud_requests.txt").read_bytes().splitlines():
        if line.startswith(b"== "):
            name, nonce, timestamp, header = line.decode()[3:].split(" | ")
            found[name] = Client(nonce=nonce, timestamp=timestamp, header=header, requests=[])
        elif line and not line.startswith(b"#"):
            path, kind, body = line.split(b" ", 2)
            sent = Sent(path.decode()[1:].removesuffix(".json"), kind.decode(), body)
            found[name].requests.append(sent)
    return found


CLIENTS = read_clients()
SENDERS = [name for name, client in CLIENTS.items() if any(sent.path == PRIVATE for sent in client.requests)]
READERS = [name for name, client in CLIENTS.items() if any(sent.path == QUERY for sent in client.requests)]


@pytest.fixture
def rong(api: Api) -> Rong:
    return Rong(api=api)


@pytest.mark.parametrize("name", CLIENTS)
async def test_every_request_of_a_client_succeeds_in_its_order(rong: Rong, name: str) -> None:
    client = CLIENTS[name]
    assert client.requests
    for path, kind, body in client.requests:
        answer = await rong.raw(path, body, kind, client.headers(rong.api))
        assert (answer.status, answer.code) == (200, 200), (path, answer.body)
        if not path.endswith(("/publish", "/query", "/getToken")):
            assert answer.json == DONE


def fields(body: bytes, name: str) -> list[str]:
    """The values of a field, decoded without the code under test."""
    pairs = [pair.split("=", 1) for pair in body.decode().split("&")]
    return [unquote_plus(value) for key, value in pairs if key == name]


@pytest.mark.parametrize("name", SENDERS)
async def test_what_a_client_publishes_is_stored_as_it_wrote_it(rong: Rong, name: str) -> None:
    path, kind, body = CLIENTS[name].of(PRIVATE)
    answer = (await rong.raw(path, body, kind, CLIENTS[name].headers(rong.api))).json
    assert [item["userId"] for item in answer["messageUIDs"]] == fields(body, "toUserId")
    rows = await rong.api.rows("SELECT sender, type, content, flags, metadata FROM messages")
    assert len(rows) == len(fields(body, "toUserId"))
    (row,) = {tuple(row) for row in rows}
    flags = 1 if fields(body, "isPersisted") != ["0"] else 0
    flags |= 2 if fields(body, "isIncludeSender") == ["1"] else 0
    flags |= 16 if fields(body, "expansion") in (["true"], ["True"]) else 0
    [content], [sender], [type_] = (fields(body, field) for field in ("content", "fromUserId", "objectName"))
    extra = fields(body, "extraContent")
    assert row == (sender, type_, content, flags, extra[0] if extra else None)


@pytest.mark.parametrize("name", READERS)
async def test_a_query_of_a_client_finds_what_lies_between_its_ends(rong: Rong, name: str) -> None:
    path, kind, body = CLIENTS[name].of(QUERY)
    asked: dict[str, Any] = json.loads(body)
    older, newer = sorted((int(asked["startTime"]), int(asked["endTime"])))
    for number, at in enumerate((older - 1, older, newer, newer + 1)):
        rong.api.clock.set(at * 1000)
        await rong.publish(to=asked["userId"], content=str(number), fromUserId=asked["targetId"])
    answer = await rong.raw(path, body, kind, CLIENTS[name].headers(rong.api))
    assert [item["content"] for item in answer.json["data"]] == ["2", "1"]
    assert answer.json["data"][0]["msgTime"] == newer


async def test_the_documented_clean_takes_what_was_before_its_time_from_that_user_alone(rong: Rong) -> None:
    client = CLIENTS["documentation"]
    path, _, body = client.of(CLEAN)
    await rong.do("group/create", userId=["1", "2"], groupId="8888", groupName="TestGroup")
    for number, at in enumerate((1566281295942, 1566281295943, 1566281295944)):
        rong.api.clock.set(at * 1000)
        await rong.publish("group", "8888", str(number), fromUserId="3")
    # the page of 2021 writes the type with a capital letter
    kind = "Application/x-www-form-urlencoded"
    answer = await rong.raw(path, body, kind, client.headers(rong.api))
    assert (answer.status, answer.body) == (200, b'{"code":200}')
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert await rong.contents("group", "1", "8888") == ["2", "1"]
    assert await rong.contents("group", "2", "8888") == ["2", "1", "0"]


def test_the_page_has_a_row_for_every_call() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("\n## RongCloud\n")[2].partition("\n## ")[0]
    lines = [line.split(" | ") for line in section.splitlines() if line.startswith("| `/")]
    rows = {line[0].strip("| `"): line[1] for line in lines}
    assert len(rows) == len(lines)
    served = {route.path for route in ALL_ROUTES}
    assert {route.path for route in ROUTES} <= set(rows)
    assert {path: word == "yes" for path, word in rows.items()} == {path: path in served for path in rows}

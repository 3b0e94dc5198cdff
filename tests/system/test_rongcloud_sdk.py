"""RongCloud's Python SDK, unmodified, against a running `tidemark up`.

It has no calls for cleans and queries: here these are sent in the words of the Go SDK, and what is there is read by v4.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest
from rongcloud.rongcloud import RongCloud

from tests.api.backend import Backend, now_ms
from tests.api.bodies import HISTORIES
from tests.api.client import DAY_MS, Keys, signed
from tests.system.conftest import Up

DONE = {"code": 200}
TEXT = "RC:TxtMsg"


@pytest.fixture(autouse=True)
def timeout_of_sockets() -> Iterator[None]:
    """The SDK sets the one of the whole process."""
    before = socket.getdefaulttimeout()
    yield
    socket.setdefaulttimeout(before)


@pytest.fixture
def backend(running: Up) -> Backend:
    return Backend(running.demo()).new_app()


def client(backend: Backend, secret: str | None = None) -> Any:
    demo = backend.demo
    # two hosts, as its page says: it changes to the other one on failures
    hosts = f"{demo['baseUrl']};{demo['baseUrl']}"
    return RongCloud(demo["appKey"], secret or demo["appSecret"], hosts)


@pytest.fixture
def sdk(backend: Backend) -> Any:
    return client(backend)


def sent_by_go(backend: Backend, path: str, body: bytes, kind: str) -> Any:
    """A call that must succeed, as another SDK sends it."""
    keys = Keys(app_key=backend.demo["appKey"], secret=backend.demo["appSecret"])
    headers = {**signed(keys, timestamp=now_ms() // 1000), "Content-Type": kind}
    with urlopen(Request(backend.demo["baseUrl"] + path, data=body, headers=headers)) as answer:  # noqa: S310 # our own server
        return json.loads(answer.read())


def history(backend: Backend, kind: str, user: str, channel: str) -> list[dict[str, Any]]:
    """What a user reads of a group or an open channel."""
    now = now_ms() + 1000
    body = {"userId": user, "channelId": channel, "startAt": now, "endAt": now - DAY_MS, "includeStart": True}
    messages: list[dict[str, Any]] = backend.post(HISTORIES[kind], body)["messages"]
    return messages


def refused(answer: Any, code: int, *words: str) -> None:
    """The SDK hands an error's body back as it came, unread."""
    assert isinstance(answer, bytes)
    read = json.loads(answer)
    assert read["code"] == code
    assert all(word in read["errorMessage"] for word in words), read


def test_messages_to_users_are_published_cleaned_and_recalled(sdk: Any, backend: Backend) -> None:
    private = sdk.get_message().get_private()
    sent = private.send("ann", ["bob", "cid"], TEXT, {"content": "héllo & more"}, is_include_sender=1)
    assert sent["code"] == 200
    assert [item["userId"] for item in sent["messageUIDs"]] == ["bob", "cid"]
    for item in sent["messageUIDs"]:
        (there,) = backend.history(item["userId"], "ann")
        # as the SDK wrote it: byte for byte
        assert there["content"] == json.dumps({"content": "héllo & more"})
        assert there["messageId"] == item["messageUID"]
    window = {"startTime": str(now_ms() + 1000), "endTime": str(now_ms() - DAY_MS), "includeStart": "true"}
    asked = json.dumps({"userId": "bob", "targetId": "ann", **window}).encode()
    query = ("/v3/message/private/query.json", asked, "application/json")
    (found,) = sent_by_go(backend, *query)["data"]
    assert (found["messageUID"], found["targetId"]) == (sent["messageUIDs"][0]["messageUID"], "ann")
    clean = b"conversationType=1&fromUserId=bob&targetId=ann"
    kind = "application/x-www-form-urlencoded"
    assert sent_by_go(backend, "/conversation/message/history/clean.json", clean, kind) == DONE
    assert sent_by_go(backend, *query) == {"code": 200, "data": []}
    assert backend.contents("bob", "ann") == []
    assert len(backend.contents("ann", "bob")) == 1
    of_cid = sent["messageUIDs"][1]["messageUID"]
    assert private.recall("ann", "cid", of_cid, now_ms()) == DONE
    assert backend.contents("cid", "ann") == backend.contents("ann", "cid") == []


def test_a_flag_of_each_kind_arrives(sdk: Any, backend: Backend) -> None:
    private = sdk.get_message().get_private()
    private.send(
        "ann", "bob", TEXT, {"content": "kept"}, expansion=True, disable_push=True, count=3, push_content="p"
    )
    private.send("ann", "bob", TEXT, {"content": "not kept"}, is_persisted=0)
    (there,) = backend.history("bob", "ann")
    assert (json.loads(there["content"]), there["hasMetadata"]) == ({"content": "kept"}, True)
    assert backend.contents("ann", "bob") == []
    assert len(backend.given("bob")) == 2


def test_a_group_from_its_making_to_its_end(sdk: Any, backend: Backend) -> None:
    groups, messages = sdk.get_group(), sdk.get_message().get_group()
    assert groups.create(["ann", "bob"], "g", "Ours, 我们") == DONE
    first = messages.send("ann", "g", TEXT, {"content": "one"})
    assert [item["groupId"] for item in first["messageUIDs"]] == ["g"]
    assert groups.join("cid", "g", "Ours") == DONE
    assert messages.send_direction("ann", "g", ["cid"], TEXT, {"content": "two"})["code"] == 200

    def read(user: str) -> list[str]:
        return [json.loads(message["content"])["content"] for message in history(backend, "group", user, "g")]

    assert (read("bob"), read("cid")) == (["one"], ["two"])
    assert messages.recall("ann", "g", first["messageUID"], 0) == DONE
    assert read("bob") == []
    assert groups.quit(["cid"], "g") == DONE
    assert read("cid") == []
    assert groups.dismiss("ann", "g") == DONE
    refused(messages.send("ann", "g", TEXT, {"content": "late"}), 404, "There is no group 'g'")
    refused(groups.create(["ann"], "g", "Again"), 1002, "groupId")


def test_chatrooms_from_their_making_to_their_end(sdk: Any, backend: Backend) -> None:
    rooms, messages = sdk.get_chatroom(), sdk.get_message().get_chatroom()
    assert rooms.create([("hall", "Hall"), ("yard", "The yard")]) == DONE
    sent = messages.send("ann", "hall", TEXT, {"content": "hi"})
    assert [item["chatroomId"] for item in sent["messageUIDs"]] == ["hall"]
    assert len(history(backend, "open", "anyone", "hall")) == 1
    assert messages.recall("ann", "hall", sent["messageUID"], 0) == DONE
    assert history(backend, "open", "anyone", "hall") == []
    assert rooms.destroy(["hall", "yard"]) == DONE
    refused(messages.send("ann", "yard", TEXT, {"content": "late"}), 404, "open channel 'yard'")


def test_a_system_message_reaches_its_users(sdk: Any, backend: Backend) -> None:
    sent = sdk.get_message().get_system().send("news", ["bob", "eva"], TEXT, {"content": "hi"})
    assert [item["userId"] for item in sent["messageUIDs"]] == ["bob", "eva"]
    assert backend.given("eva") == [('{"content": "hi"}', "missed")]


def test_a_token_of_a_user_opens_what_is_his(sdk: Any, backend: Backend) -> None:
    got = sdk.get_user().register("bob")
    assert (got["code"], got["userId"]) == (200, "bob")
    headers = {"Authorization": f"Bearer {got['token']}"}
    assert backend.request("POST", "/v4/user/device/list", {"userId": "bob"}, headers)[0] == 200
    assert backend.request("POST", "/v4/user/device/list", {"userId": "cid"}, headers)[0] == 403


def test_refusals_are_told_and_it_stays_with_its_host(sdk: Any, backend: Backend) -> None:
    stranger = client(backend, "wrong")
    refused(stranger.get_user().register("bob"), 1004, "Signature")
    refused(sdk.get_message().get_private().send("ann", "ann", TEXT, {"content": "x"}), 1002, "toUserId")
    refused(sdk.get_group().join("bob", "nowhere", "x"), 404, "group")
    assert stranger.host_url.now == sdk.host_url.now == 0
    # the SDK's own checks come before any request
    assert sdk.get_user().register("x" * 65)["code"] == 1002

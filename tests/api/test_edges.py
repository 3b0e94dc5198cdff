"""What is the same for every request: ids, headers, paths, health, and what never leaves the house."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.embedded import Embedded
from cli.folder import DataFolder
from cli.postgres import FORGETFUL
from history.axis import MILLISECOND
from history.migrate import migrate
from server.calls import SERVICES
from tests.api.client import ACK, HISTORY, SEND, SYNC, Api, Keys, open_api, signed
from tests.clock import FixedClock

NO_REDIS = "unix:///nonexistent/redis.sock"


async def raw_request(api: Api, head: bytes, body: bytes = b"") -> bytes:
    """Bytes that no client library would send, and all that comes back."""
    reader, writer = await asyncio.open_connection(str(api.client.host), api.client.port)
    try:
        writer.write(head.replace(b"\n", b"\r\n") + body)
        await writer.drain()
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("path", ["/healthz", SYNC, "/nowhere", "/admin/apps"])
async def test_the_request_id_comes_back_as_it_came(api: Api, path: str) -> None:
    method = "POST" if path == SYNC else "GET"
    answer = await api.request(method, path, headers={"x-request-id": "8-4.é-Z"})
    assert answer.headers["X-Request-ID"] == "8-4.é-Z"
    assert "X-Request-ID" not in (await api.request(method, path)).headers


async def test_a_request_id_comes_back_up_to_36_characters(api: Api) -> None:
    answer = await api.request("GET", "/healthz", headers={"X-Request-ID": "x" * 37})
    assert answer.headers["X-Request-ID"] == "x" * 36


async def test_a_request_id_that_is_no_text_harms_nobody(api: Api) -> None:
    answer = await raw_request(
        api, b"GET /healthz HTTP/1.1\nHost: x\nConnection: close\nX-Request-ID: \xff\xfe\n\n"
    )
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("name", [b"App-Key", b"Nonce", b"Timestamp", b"Signature", b"RC-App-Key"])
async def test_headers_that_are_no_text_are_a_401(api: Api, name: bytes) -> None:
    headers = {**signed(api.keys, timestamp=1), "Content-Type": "application/json"}
    lines = [
        f"{key}: {value}".encode()
        for key, value in headers.items()
        if key.encode() != name.removeprefix(b"RC-")
    ]
    head = b"\n".join([b"POST " + SYNC.encode() + b" HTTP/1.1", b"Host: x", b"Content-Length: 2", *lines])
    answer = await raw_request(api, head + b"\nConnection: close\n" + name + b": a\xff\n\n", b"{}")
    assert answer.startswith(b"HTTP/1.1 401 "), answer


@pytest.mark.parametrize("path", [SYNC, "/healthz", "/openapi.json"])
async def test_an_expectation_that_is_none_of_ours_is_refused_as_every_error_is(api: Api, path: str) -> None:
    method = "POST" if path == SYNC else "GET"
    answer = await api.request(method, path, headers={"Expect": "tea", "X-Request-ID": "id"})
    answer.refused(417, 1002, "not taken")
    assert answer.headers["X-Request-ID"] == "id"


async def test_a_client_that_waits_to_be_told_to_go_on_is_told(api: Api) -> None:
    body = b'{"userId":"bob","deviceId":"phone"}'
    headers = {**signed(api.keys, timestamp=api.now_ms), "Content-Length": str(len(body)), "Host": "x"}
    lines = [b"POST " + SYNC.encode() + b" HTTP/1.1", b"Expect: 100-Continue", b"Connection: close"]
    head = b"\n".join([*lines, *(f"{name}: {value}".encode() for name, value in headers.items()), b"\n"])
    answer = await raw_request(api, head, body)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), answer


async def test_every_answer_is_json_in_utf_8(api: Api) -> None:
    for method, path in (
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("POST", SYNC),
        ("GET", "/x"),
        ("PUT", SYNC),
    ):
        answer = await api.request(method, path)
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        assert answer.json


@pytest.mark.parametrize("path", ["/", "/v4", "/v4/user/message/sync/", "/V4/user/message/sync", "/%00"])
async def test_a_path_that_is_none_is_404(api: Api, path: str) -> None:
    (await api.request("POST", path)).refused(404, 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", SYNC, "POST"),
        ("PUT", SEND, "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("DELETE", "/admin/apps", "GET, HEAD, POST"),
    ],
)
async def test_a_wrong_method_is_405_and_says_which_is_right(
    api: Api, method: str, path: str, allowed: str
) -> None:
    answer = await api.request(method, path)
    answer.refused(405, 1007)
    assert set(answer.headers["Allow"].split(", ")) == set(allowed.split(", "))


async def test_health_and_readiness_when_all_is_well(api: Api) -> None:
    assert (await api.request("GET", "/healthz")).json == {"status": "ok"}
    answer = await api.request("GET", "/readyz")
    assert (answer.status, answer.json) == (200, {"status": "ok", "missing": []})


async def test_without_redis_it_is_degraded_and_sends_reads_syncs_and_cleans(api: Api) -> None:
    async with open_api(api.database_url, NO_REDIS, like=api) as alone:
        answer = await alone.request("GET", "/readyz")
        assert (answer.status, answer.json) == (200, {"status": "degraded", "missing": ["redis"]})
        id_ = (await alone.send())[0]
        assert await alone.contents() == ["hello"]
        assert await alone.given() == [("hello", "missed")]
        (await alone.ack(id_)).done()
        (await alone.clean()).done()
        assert await alone.contents() == []
        assert len((await alone.sync())["cleans"]) == 1


async def test_a_redis_that_hangs_does_not_hang_the_callers(api: Api) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        async with open_api(api.database_url, url, like=api) as alone, asyncio.timeout(10):
            assert (await alone.request("GET", "/readyz")).json["missing"] == ["redis"]
            for _ in range(3):
                (await alone.clean()).done()
            await alone.send()


@pytest.fixture
def embedded() -> Iterator[Embedded]:
    """Servers of the test's own, which it may stop."""
    path = Path(tempfile.mkdtemp(prefix="tdm-", dir="/tmp"))
    path.chmod(0o711)
    try:
        with DataFolder(path) as folder, Embedded(folder, settings=FORGETFUL) as servers:
            yield servers
    finally:
        shutil.rmtree(path)


async def test_without_postgres_it_is_unavailable_and_says_when_to_come_back(embedded: Embedded) -> None:
    await migrate(embedded.database_url)
    async with open_api(embedded.database_url, embedded.redis_url) as api:
        await api.send()
        await asyncio.to_thread(embedded.postgres.stop)
        answer = await api.request("GET", "/readyz")
        assert (answer.status, answer.json) == (503, {"status": "unavailable", "missing": ["postgres"]})
        assert (await api.request("GET", "/healthz")).status == 200
        body = {"fromUserId": "ann", "toUserIds": ["bob"], "messageType": "x", "content": "y"}
        for answer in (await api.post(SEND, body), await api.admin("GET", "/admin/apps"), await api.clean()):
            answer.refused(503, 1000)
            assert answer.headers["Retry-After"] == "1"
        await asyncio.to_thread(embedded.postgres.start)
        assert (await api.request("GET", "/readyz")).json["status"] == "ok"
        assert await api.contents() == ["hello"]
        await api.send(content="again")


async def test_secrets_are_in_no_log_and_no_later_answer(
    api: Api, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    keys = await api.new_app()
    wrong = Keys(app_key=keys.app_key, secret="wrong")
    answers = [
        await api.admin("GET", "/admin/apps"),
        await api.admin("GET", f"/admin/apps/{keys.app_key}/settings"),
        await api.admin("PATCH", f"/admin/apps/{keys.app_key}/settings", {"missedDays": 3}),
        await api.admin("PATCH", f"/admin/apps/{keys.app_key}/settings", {"missedDays": 300}),
        await api.post(SYNC, {}, keys=keys),
        await api.post(SYNC, {}, keys=wrong),
        await api.request("GET", "/openapi.json"),
    ]
    # an error that nobody expected, while a secret is at hand
    services = api.client.app[SERVICES]
    services.apps._master_key = b"x" * 32
    services.apps._cached.clear()
    answers.append(await api.post(SYNC, {"userId": "a", "deviceId": "b"}, keys=keys))
    assert answers[-1].status == 500
    said = capfd.readouterr()
    everywhere = "".join([said.out, said.err, caplog.text, *(answer.body.decode() for answer in answers)])
    for secret in (keys.secret, keys.api_key, api.keys.secret, api.admin_key):
        assert secret not in everywhere
    stored = str(await api.everything())
    for secret in (keys.secret, keys.api_key, api.admin_key):
        assert secret not in stored
        assert secret.encode().hex() not in stored


async def test_ids_of_one_app_open_nothing_in_another(api: Api) -> None:
    other = await api.new_app()
    id_ = (await api.send(content="ours", isEchoToSender=1))[0]
    cursor = (await api.sync())["cursor"]
    # his device there is a device of that app
    assert (await api.post(SYNC, {"userId": "bob", "deviceId": "phone"}, keys=other)).done()["messages"] == []
    before = await api.everything()
    assert await api.history(keys=other) == []
    item = {"channelType": 1, "channelId": "ann", "messageId": id_}
    ack = {"userId": "bob", "deviceId": "phone", "delivered": [item]}
    (await api.post(ACK, ack, keys=other)).refused(400, 1002, "messageId")
    again = {"userId": "bob", "deviceId": "phone", "cursor": cursor}
    (await api.post(SYNC, again, keys=other)).refused(400, 1002, "cursor")
    assert await api.everything() == before
    clean = {"channelType": 1, "fromUserId": "bob", "channelId": "ann"}
    (await api.post("/v4/channel/message/history/clean", clean, keys=other)).done()
    assert await api.contents() == ["ours"]


async def test_two_apps_with_the_same_users_share_nothing(api: Api) -> None:
    other = await api.new_app()
    theirs = {"fromUserId": "ann", "toUserIds": ["bob"], "messageType": "x", "content": "theirs"}
    (await api.post(SEND, theirs, keys=other)).done()
    await api.send(content="ours")
    assert await api.contents() == ["ours"]
    assert [one["content"] for one in await api.history(keys=other)] == ["theirs"]
    assert await api.given() == [("ours", "missed")]
    page = (await api.post(SYNC, {"userId": "bob", "deviceId": "phone"}, keys=other)).done()
    assert [one["content"] for one in page["messages"]] == ["theirs"]
    body = {
        "userId": "bob",
        "channelId": "ann",
        "startAt": api.now_ms,
        "endAt": api.now_ms,
        "includeStart": True,
    }
    assert len((await api.post(HISTORY, body)).done()["messages"]) == 1


async def test_what_one_process_stored_another_reads(api: Api, redis_url: str) -> None:
    clock = FixedClock(api.clock.now() + MILLISECOND)
    async with open_api(api.database_url, redis_url, like=api, clock=clock) as second:
        await api.send(content="first")
        await second.send(content="second")
        assert await second.contents() == ["second", "first"]
        (await second.clean()).done()
        assert await api.contents() == []

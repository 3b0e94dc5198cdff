"""A server in this process whose clock stands still, and a client that signs as an app's backend does."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from history.axis import MILLISECOND
from history.config import Settings
from server.app import build_app
from server.calls import SERVICES
from tests.clock import FixedClock
from tests.factories import MASTER_KEY, NOON

SEND = "/v4/direct-channel/message/send"
HISTORY = "/v4/direct-channel/history-message/list"
CLEAN = "/v4/channel/message/history/clean"
DELETE = "/v4/channel/message/history/delete"
SYNC = "/v4/user/message/sync"
ACK = "/v4/user/message/ack"
DAY_MS = 86_400_000
_nonces = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """One app as its backend knows it."""

    app_key: str
    secret: str
    api_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        """The body, which is always JSON."""
        assert self.headers["Content-Type"] == "application/json; charset=utf-8"
        return json.loads(self.body)

    @property
    def code(self) -> int:
        """The code in the body."""
        code: int = self.json["code"]
        return code

    def done(self) -> Any:
        """The result of a success of the server API."""
        assert (self.status, self.code) == (200, 0), self.body
        return self.json.get("result")

    def refused(self, status: int, code: int, *words: str) -> str:
        """The sentence of a refusal; it must hold these words."""
        assert (self.status, self.code) == (status, code), self.body
        assert set(self.json) == {"code", "errorMessage"}
        sentence: str = self.json["errorMessage"]
        for word in words:
            assert word in sentence
        return sentence


def signed(
    keys: Keys, *, nonce: str | None = None, timestamp: int | str, twins: bool = False
) -> dict[str, str]:
    """The four headers."""
    nonce = nonce or str(next(_nonces))
    signature = hashlib.sha1(f"{keys.secret}{nonce}{timestamp}".encode(), usedforsecurity=False).hexdigest()
    headers = {"App-Key": keys.app_key, "Nonce": nonce, "Timestamp": str(timestamp), "Signature": signature}
    return {f"RC-{name}": value for name, value in headers.items()} if twins else headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Words for what tests ask of one API process."""

    client: TestClient[web.Request, web.Application]
    database_url: str
    clock: FixedClock
    keys: Keys
    admin_key: str

    @property
    def now_ms(self) -> int:
        """The clock, in milliseconds."""
        return self.clock.now() // MILLISECOND

    async def request(
        self, method: str, path: str, *, data: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Any request; a body is JSON unless the headers say otherwise."""
        given = {**({} if data is None else {"Content-Type": "application/json"}), **(headers or {})}
        async with self.client.request(method, path, data=data, headers=given) as response:
            return Answer(status=response.status, body=await response.read(), headers=response.headers)

    async def raw(self, path: str, data: bytes, **headers: str) -> Answer:
        """A signed POST of these bytes."""
        everything = {
            **signed(self.keys, timestamp=self.now_ms),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return await self.request("POST", path, data=io.BytesIO(data), headers=everything)

    def of(self, keys: Keys | None) -> Api:
        """The same for the backend of another app."""
        return replace(self, keys=keys or self.keys)

    async def do(self, path: str, /, **body: Any) -> Any:
        """The result of a signed call that must succeed; the path without its /v4/."""
        return (await self.post(f"/v4/{path}", body)).done()

    async def post(self, path: str, body: object, *, keys: Keys | None = None) -> Answer:
        """A signed POST, as every route of the server API wants it."""
        headers = signed(keys or self.keys, timestamp=self.now_ms)
        # a file, because aiohttp warns of large bytes
        return await self.request("POST", path, data=io.BytesIO(json.dumps(body).encode()), headers=headers)

    async def bearing(self, key: str, method: str, path: str, body: object = None) -> Answer:
        """A request with a bearer key or an access token."""
        headers = {"Authorization": f"Bearer {key}"}
        data = None if body is None else json.dumps(body).encode()
        return await self.request(method, path, data=data, headers=headers)

    async def admin(self, method: str, path: str, body: object = None) -> Answer:
        """A request with the admin key."""
        return await self.bearing(self.admin_key, method, path, body)

    async def key(self, scope: str, *, keys: Keys | None = None) -> str:
        """Another key of the app."""
        path = f"/admin/apps/{(keys or self.keys).app_key}/keys"
        text: str = (await self.admin("POST", path, {"name": scope, "scope": scope})).json["key"]
        return text

    async def upload(self, key: str, data: bytes, *, type_: str = "text/plain") -> Answer:
        """A file, by an API key or an access token."""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": type_}
        # a file, because aiohttp warns of large bytes
        return await self.request("POST", "/v1/media", data=io.BytesIO(data), headers=headers)

    async def set(self, **settings: object) -> None:
        """Change settings of the app."""
        answer = await self.admin("PATCH", f"/admin/apps/{self.keys.app_key}/settings", settings)
        assert answer.status == 200, answer.body

    async def new_app(self, name: str = "another") -> Keys:
        """Another app."""
        made = (await self.admin("POST", "/admin/apps", {"name": name})).json
        return Keys(app_key=made["appKey"], secret=made["appSecret"], api_key=made["apiKey"])

    async def send(self, sender: str = "ann", *to: str, content: str = "hello", **more: object) -> list[str]:
        """Send one message to bob, or to these; the ids."""
        body = {
            "fromUserId": sender,
            "toUserIds": list(to) or ["bob"],
            "messageType": "RC:TxtMsg",
            "content": content,
            **more,
        }
        return [item["messageId"] for item in (await self.post(SEND, body)).done()["messageIds"]]

    async def history(
        self,
        user: str = "bob",
        other: str = "ann",
        *,
        kind: str = "direct",
        keys: Keys | None = None,
        **more: object,
    ) -> list[dict[str, Any]]:
        """A page of the last 14 days, now included."""
        body = {
            "userId": user,
            "channelId": other,
            "startAt": self.now_ms + 1,
            "endAt": self.now_ms + 1 - 14 * DAY_MS,
            "includeStart": True,
            "pageSize": 100,
            **more,
        }
        page = await self.of(keys).do(f"{kind}-channel/history-message/list", **body)
        messages: list[dict[str, Any]] = page["messages"]
        return messages

    async def contents(self, user: str = "bob", other: str = "ann", **more: object) -> list[str]:
        """What a page of history says, newest first."""
        return [message["content"] for message in await self.history(user, other, **more)]  # type: ignore[arg-type]

    async def clean(self, user: str = "bob", other: str = "ann", **more: object) -> Answer:
        """Clean a user's history of a direct channel."""
        return await self.post(CLEAN, {"channelType": 1, "fromUserId": user, "channelId": other, **more})

    async def sync(self, user: str = "bob", device: str = "phone", **more: object) -> dict[str, Any]:
        """One page for a device."""
        page: dict[str, Any] = (await self.post(SYNC, {"userId": user, "deviceId": device, **more})).done()
        return page

    async def given(self, user: str = "bob", device: str = "phone") -> list[tuple[str, str]]:
        """What a first page gives: content and origin of each message."""
        return [(item["content"], item["origin"]) for item in (await self.sync(user, device))["messages"]]

    async def ack(
        self, message_id: str, user: str = "bob", other: str = "ann", device: str = "phone"
    ) -> Answer:
        """A device has received everything up to a message."""
        item = {"channelType": 1, "channelId": other, "messageId": message_id}
        return await self.post(ACK, {"userId": user, "deviceId": device, "delivered": [item]})

    async def rows(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Ask the database itself."""
        connection = await asyncpg.connect(self.database_url)
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    async def everything(self) -> dict[str, list[str]]:
        """All rows of all tables, to see that nothing was changed; only when a key was last used does not count."""
        connection = await asyncpg.connect(self.database_url)
        try:
            tables = await connection.fetch(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                " AND relkind IN ('r', 'p') AND NOT relispartition"
            )
            one = "SELECT (to_jsonb(t) - 'last_used_at')::text FROM {} t ORDER BY 1"
            return {name: [row[0] for row in await connection.fetch(one.format(name))] for (name,) in tables}
        finally:
            await connection.close()


def settings_for(database_url: str, redis_url: str, *, media: str = "") -> Settings:
    """What a process is told."""
    return Settings(database_url=database_url, redis_url=redis_url, master_key=MASTER_KEY, media=media)


@asynccontextmanager
async def open_api(
    database_url: str,
    redis_url: str,
    *,
    clock: FixedClock | None = None,
    like: Api | None = None,
    media: str | None = None,
) -> AsyncIterator[Api]:
    """An API process; `like` another one: the same app on the same database. `media`: where files are, a fresh folder."""
    clock = clock or FixedClock(NOON)
    async with AsyncExitStack() as stack:
        if media is None:
            media = stack.enter_context(TemporaryDirectory(prefix="tidemark-media-"))
        app = build_app(settings_for(database_url, redis_url, media=media), clock=clock)
        client = await stack.enter_async_context(TestClient(TestServer(app)))
        apps = app[SERVICES].apps
        if like is None:
            new = await apps.create("test")
            admin_key, _ = await apps.create_key("test", kind="admin", app_key=None)
            keys = Keys(app_key=new.app_key, secret=new.app_secret, api_key=new.api_key)
        else:
            keys, admin_key = like.keys, like.admin_key
        yield Api(client=client, database_url=database_url, clock=clock, keys=keys, admin_key=admin_key)

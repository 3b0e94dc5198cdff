"""A chat backend that speaks RongCloud's server API."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.api.client import DAY_MS, Answer, Api, signed

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
DONE = {"code": 200}
CLEAN = "conversation/message/history/clean"
TYPES = {"private": "1", "group": "3", "chatroom": "4", "system": "6"}
TARGETS = {"private": "toUserId", "group": "toGroupId", "chatroom": "toChatroomId", "system": "toUserId"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rong:
    """Words for what tests ask. Paths come without their slash and their .json."""

    api: Api

    async def raw(
        self, path: str, body: bytes, kind: str | None = FORM, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """These bytes, signed with seconds as most SDKs do; with `kind` None they say nothing of what they are."""
        given = headers if headers is not None else signed(self.api.keys, timestamp=self.api.now_ms // 1000)
        said = {} if kind is None else {"Content-Type": kind}
        # a file, because aiohttp warns of large bytes
        async with self.api.client.post(
            f"/{path}.json",
            data=io.BytesIO(body),
            headers={**given, **said},
            skip_auto_headers=["Content-Type"],
        ) as response:
            return Answer(status=response.status, body=await response.read(), headers=response.headers)

    async def form(self, path: str, **fields: Any) -> Answer:
        """A form; a list comes as a name that is repeated."""
        return await self.raw(path, urlencode(fields, doseq=True).encode())

    async def json(self, path: str, **body: Any) -> Answer:
        """The same as JSON, its values as they are."""
        return await self.raw(path, json.dumps(body).encode(), JSON)

    async def do(self, path: str, **fields: Any) -> Any:
        """What a form that must succeed is answered."""
        answer = await self.form(path, **fields)
        assert (answer.status, answer.code) == (200, 200), answer.body
        return answer.json

    async def publish(
        self, kind: str = "private", to: str | list[str] = "bob", content: str = "hello", **more: Any
    ) -> list[str]:
        """A message of ann; the ids, each for its target."""
        fields = {"fromUserId": "ann", TARGETS[kind]: to, "objectName": "RC:TxtMsg", "content": content}
        answer = await self.do(f"message/{kind}/publish", **{**fields, **more})
        ids = [item["messageUID"] for item in answer["messageUIDs"]]
        assert answer["messageUID"] == ids[0]
        return ids

    async def query(self, kind: str = "private", user: str = "bob", target: str = "ann", **more: Any) -> Any:
        """A page of the last 14 days, as the Go SDK asks for it: all values are texts."""
        start = self.api.now_ms + 1
        times = {"startTime": str(start), "endTime": str(start - 14 * DAY_MS), "includeStart": "true"}
        answer = await self.json(
            f"v3/message/{kind}/query", **{"userId": user, "targetId": target, **times, **more}
        )
        assert (answer.status, answer.code) == (200, 200), answer.body
        return answer.json["data"]

    async def contents(self, kind: str = "private", user: str = "bob", target: str = "ann") -> list[str]:
        """What a page says, newest first."""
        return [item["content"] for item in await self.query(kind, user, target)]

    async def clean(
        self, kind: str = "private", user: str = "bob", target: str = "ann", **more: Any
    ) -> Answer:
        """A clean that must succeed."""
        fields = {"conversationType": TYPES[kind], "fromUserId": user, "targetId": target, **more}
        answer = await self.form(CLEAN, **fields)
        assert (answer.status, answer.json) == (200, DONE), answer.body
        return answer

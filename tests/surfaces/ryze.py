"""A client of RyzeAPI: its calls for one instance, with the account's token or the instance's own."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from tests.api.client import Answer, Api

INSTANCE, NUMBER, GROUP = "910000000001", "5511999999999", "120363406289005073"
"""An instance, a number that it writes with, and a group that it is in."""
JID, GROUP_JID = f"{NUMBER}@s.whatsapp.net", f"{GROUP}@g.us"


async def instance_token(api: Api, instance: str = INSTANCE) -> str:
    """Make the instance; its token."""
    path = f"/admin/apps/{api.keys.app_key}/instances"
    made = await api.admin("POST", path, {"instance": instance})
    assert made.status == 200, made.body
    token: str = made.json["token"]
    return token


async def make_group(api: Api) -> None:
    """The group, with the instance and a number in it."""
    await api.do("group-channel/create", channelId=GROUP, name="Dev", owner=INSTANCE, userIds=[NUMBER])


async def connect(api: Api, *, connected: object, instance: str = INSTANCE) -> Answer:
    """Switch an instance on or off."""
    path = f"/admin/apps/{api.keys.app_key}/instances/{quote(instance, safe='')}"
    return await api.admin("PATCH", path, {"connected": connected})


def refused(answer: Answer, status: int, message: str) -> None:
    """An error says this and nothing else."""
    assert answer.status == status, answer.body
    assert answer.json == {"success": False, "error": {"message": message}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Calls for one instance."""

    api: Api
    token: str
    instance: str = INSTANCE

    async def call(self, method: str, path: str, body: object = None, **query: str) -> Answer:
        """A call; bytes are sent as they are."""
        where = f"/api/{path}/{quote(self.instance, safe='')}"
        if query:
            where += f"?{urlencode(query)}"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"token": self.token} if self.token else {}
        return await self.api.request(method, where, data=data, headers=headers)

    async def delete_chat(self, number: object = NUMBER, **more: object) -> Answer:
        return await self.call("DELETE", "chat/deleteChat", {"number": number, **more})

    async def history(self, number: object = NUMBER, **more: object) -> Answer:
        return await self.call("POST", "chat/history", {"number": number, **more})

    async def archive(self, number: object = NUMBER, *, archive: object = True) -> Answer:
        return await self.call("POST", "chat/archive", {"number": number, "archive": archive})

    async def leave(self, identifier: str = GROUP_JID) -> Answer:
        return await self.call("DELETE", "group/leave", identifier=identifier)

    async def messages(self, number: str = NUMBER, **more: object) -> list[dict[str, Any]]:
        """A page of history that must come."""
        answer = await self.history(number, **more)
        assert answer.status == 200, answer.body
        found: list[dict[str, Any]] = answer.json["messages"]
        return found

    async def texts(self, number: str = NUMBER, **more: object) -> list[str]:
        """What they say, newest first."""
        return [message["content"] for message in await self.messages(number, **more)]

    def of(self, instance: str) -> Client:
        """The same token for another instance."""
        return replace(self, instance=instance)


async def client(api: Api) -> Client:
    """The instance with its own token."""
    return Client(api=api, token=await instance_token(api))


async def chat(api: Api, *contents: str) -> None:
    """Each of these from the number, then an answer of the instance that it sees itself."""
    for content in contents:
        await api.send(NUMBER, INSTANCE, content=json.dumps({"content": content}))
        await api.send(INSTANCE, NUMBER, content=json.dumps({"content": f"re: {content}"}), isEchoToSender=1)

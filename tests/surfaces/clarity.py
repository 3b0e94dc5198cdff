"""A client of Clarity's API: one user with his access token."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.api.client import Answer, Api

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FIELDS = {
    "id",
    "contact_id",
    "group_id",
    "pinned_message_id",
    "is_pinned",
    "is_muted",
    "last_active_at",
    "last_opened_at",
    "created_at",
    "archived_at",
}
"""Of a conversation, as the seed's page lists them."""


@dataclass(frozen=True, slots=True)
class Client:
    """Calls as one user, with forms as curl -d sends them."""

    api: Api
    user: str
    token: str

    async def call(self, method: str, path: str, form: Any = None, **query: object) -> Answer:
        """Any call; `form` is a form, or bytes as they are."""
        data = form if isinstance(form, bytes) or form is None else urlencode(form, doseq=True).encode()
        words = f"?{urlencode(query)}" if query else ""
        headers = {"Authorization": f"Bearer {self.token}", **(FORM if data is not None else {})}
        return await self.api.request(method, f"/v1/{path}{words}", data=data, headers=headers)

    async def done(self, method: str, path: str, form: Any = None, **query: object) -> Any:
        """The answer of a call that must succeed."""
        answer = await self.call(method, path, form, **query)
        if answer.status == 204:
            assert answer.body == b""
            return None
        assert answer.status == 200, answer.body
        return answer.json

    async def json(self, method: str, path: str, body: object) -> Any:
        """The same with a JSON body."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = await self.api.request(
            method, f"/v1/{path}", data=json.dumps(body).encode(), headers=headers
        )
        assert answer.status == 200, answer.body
        return answer.json

    async def listed(self, **query: object) -> list[str]:
        """With whom the conversations of a page are."""
        page = await self.done("GET", "conversations", **query)
        return [item["contact_id"] or item["group_id"] for item in page["data"]]

    async def with_(self, contact: str) -> str:
        """The id of the conversation with a contact, made where it is missing."""
        id_: str = (await self.done("POST", "conversations", {"contact_id": contact}))["id"]
        return id_

    async def texts(self, conversation: str, **query: object) -> list[str]:
        """A page of messages, the newest first."""
        page = await self.done("GET", "messages", conversation_id=conversation, **query)
        return [item["message"] for item in page["data"]]


async def client(api: Api, user: str = "bob") -> Client:
    """A user with a token."""
    issued = await api.do("auth/access-token/issue", userId=user, name=user)
    return Client(api, user, issued["accessToken"])


def refused(answer: Answer, status: int, *words: str) -> None:
    """An error of this status, in Clarity's form, whose sentence holds these words."""
    assert answer.status == status, answer.body
    assert set(answer.json) == {"type", "message", "documentation_url"}
    assert answer.json["type"] == ("api_error" if status >= 500 else "invalid_request")
    for word in words:
        assert word in answer.json["message"]

"""A chat backend and its devices, seen from a process of its own, over plain HTTP."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from tests.api.client import ACK, CLEAN, DAY_MS, HISTORY, SEND, SYNC

_nonces = itertools.count(1)


def now_ms() -> int:
    """The machine's clock: these tests run against real servers."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME) // 1_000_000


def until(condition: Callable[[], bool], *, seconds: float = 30, what: str = "it") -> None:
    """Waits for a condition, and fails when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:.0f} s"
        time.sleep(0.05)


class Refused(AssertionError):
    """A call that must succeed did not."""

    def __init__(self, status: int, answer: object) -> None:
        super().__init__(f"{status} {answer}")
        self.status = status


class Backend:
    """Signs and sends."""

    def __init__(self, demo: dict[str, Any], *, keep: bool = False) -> None:
        """`demo` is the content of demo.json, or of that form; `keep` one connection until `close`, for one thread."""
        self.demo = demo
        address = urlsplit(demo["baseUrl"])
        self._host, self._port = address.hostname or "127.0.0.1", address.port
        self._keep = keep
        self._connection: HTTPConnection | None = None

    def request(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and body; OSError or HTTPException where nobody answers."""
        if self._connection is None:
            self._connection = HTTPConnection(self._host, self._port, timeout=15)
        done = False
        try:
            data = None if body is None else json.dumps(body)
            self._connection.request(
                method, path, data, {"Content-Type": "application/json", **(headers or {})}
            )
            response = self._connection.getresponse()
            answer = response.status, json.loads(response.read())
            done = True
            return answer
        finally:
            if not (done and self._keep):
                self.close()

    def close(self) -> None:
        """Ends the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def post(self, path: str, body: object) -> Any:
        """A signed call that must succeed; its result."""
        nonce, timestamp = f"{os.getpid()}.{next(_nonces)}", str(now_ms())
        text = f"{self.demo['appSecret']}{nonce}{timestamp}"
        signature = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        headers = {
            "App-Key": self.demo["appKey"],
            "Nonce": nonce,
            "Timestamp": timestamp,
            "Signature": signature,
        }
        status, answer = self.request("POST", path, body, headers)
        if (status, answer["code"]) != (200, 0):
            raise Refused(status, answer)
        return answer.get("result")

    def admin(self, method: str, path: str, body: object = None) -> Any:
        """An admin call that must succeed."""
        headers = {"Authorization": f"Bearer {self.demo['adminKey']}"}
        status, answer = self.request(method, path, body, headers)
        assert status == 200, answer
        return answer

    def new_app(self, **settings: object) -> Backend:
        """Another app on the same server, with these settings."""
        made = self.admin("POST", "/admin/apps", {"name": "another"})
        other = Backend({**self.demo, "appKey": made["appKey"], "appSecret": made["appSecret"]})
        other.set(**settings)
        return other

    def set(self, **settings: object) -> None:
        """Change settings of the app."""
        self.admin("PATCH", f"/admin/apps/{self.demo['appKey']}/settings", settings)

    def ready(self) -> dict[str, Any]:
        """What /readyz says."""
        answer: dict[str, Any] = self.request("GET", "/readyz")[1]
        return answer

    def send(
        self, sender: str = "ann", to: str = "bob", content: str = "hello", *, echo: bool = False
    ) -> str:
        """Send one message; its id."""
        body = {
            "fromUserId": sender,
            "toUserIds": [to],
            "messageType": "RC:TxtMsg",
            "content": content,
            "isEchoToSender": int(echo),
        }
        id_: str = self.post(SEND, body)["messageIds"][0]["messageId"]
        return id_

    def clean(self, user: str = "bob", other: str = "ann", **more: object) -> None:
        """Clean a user's history of a direct channel."""
        self.post(CLEAN, {"channelType": 1, "fromUserId": user, "channelId": other, **more})

    def history(self, user: str = "bob", other: str = "ann") -> list[dict[str, Any]]:
        """All of it, oldest first, page by page as the documentation says."""
        start, include, found = now_ms() + 10_000, True, list[dict[str, Any]]()
        while True:
            body = {
                "userId": user,
                "channelId": other,
                "startAt": start,
                "endAt": start - 13 * DAY_MS,
                "includeStart": include,
                "pageSize": 100,
            }
            page = self.post(HISTORY, body)["messages"]
            if not page:
                return found[::-1]
            found += page
            start, include = page[-1]["sentAt"], False

    def contents(self, user: str = "bob", other: str = "ann") -> list[str]:
        """What the history says, oldest first."""
        return [message["content"] for message in self.history(user, other)]

    def given(self, user: str = "bob", device: str = "phone", **more: object) -> list[tuple[str, str]]:
        """What a device's first page gives: content and origin."""
        page = self.post(SYNC, {"userId": user, "deviceId": device, "limit": 500, **more})
        return [(message["content"], message["origin"]) for message in page["messages"]]

    def ack(self, message_id: str, user: str = "bob", other: str = "ann", device: str = "phone") -> None:
        """A device has everything up to a message."""
        item = {"channelType": 1, "channelId": other, "messageId": message_id}
        self.post(ACK, {"userId": user, "deviceId": device, "delivered": [item]})

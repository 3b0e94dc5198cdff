"""kill -9 of everything under load: what was answered is there, once, in order; what was answered as cleaned is clean.

A send with a clientMessageId may simply be sent again after the crash; who was answered that he has joined is in.
"""

from __future__ import annotations

import random
import threading
import time
from abc import abstractmethod
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

import pytest

from tests.api.backend import Backend, Refused, now_ms
from tests.system.conftest import Up

Start = Callable[..., Up]
PAIRS = 6
"""Threads: each sends to one user and cleans that user's side now and then."""
GROUPS = 2
"""Threads: each sends to a group that users join and leave meanwhile."""


class Load(threading.Thread):
    """Calls without end, until it is stopped or everything is killed."""

    def __init__(self, backend: Backend, number: int, round_: int) -> None:
        super().__init__(daemon=True)
        self.backend, self.random = backend, random.Random(1000 * round_ + number)
        self.number, self.round = number, round_
        self.refused = 503
        """How the last call was refused, if it was: PostgreSQL may die a moment before the API."""
        self.stopping = threading.Event()

    def run(self) -> None:
        """Call until the end."""
        turn = 0
        try:
            while not self.stopping.is_set():
                turn += 1
                self.call(turn)
        except (OSError, HTTPException, ValueError):
            pass  # killed: what was not answered may be there or not
        except Refused as refusal:
            self.refused = refusal.status
        finally:
            self.backend.close()

    @abstractmethod
    def call(self, turn: int) -> None:
        """The calls of one turn."""


class Talk(Load):
    """One channel under load, and what was answered there."""

    def __init__(self, backend: Backend, number: int, round_: int) -> None:
        super().__init__(backend, number, round_)
        self.sender, self.user = f"sender{number}", f"user{number}"
        self.answered: list[tuple[str, str]] = []
        """(message id, content) in the order of the answers."""
        self.asked: set[str] = set()
        self.cleaned_before = 0
        """So many of them were answered before the last answered clean was asked."""
        self.kept_from = 0
        """From here on none can have been cleaned, by an unanswered clean either."""

    def call(self, turn: int) -> None:
        content = f"{self.round}.{self.sender}.{turn}"
        self.asked.add(content)
        self.answered.append((self.backend.send(self.sender, self.user, content, echo=True), content))
        if self.random.random() < 0.1:
            self.kept_from = len(self.answered)
            self.backend.clean(self.user, self.sender)
            self.cleaned_before = self.kept_from


class Gathering(Load):
    """One group under load: its owner sends with keys of his own while users join and leave."""

    def __init__(self, backend: Backend, number: int, round_: int) -> None:
        super().__init__(backend, number, round_)
        self.group = f"group{round_}.{number}"
        self.asked: list[str] = []
        """The keys, which are the contents too, in the order of the calls; only the last may be unanswered."""
        self.ids: dict[str, str] = {}
        self.in_from: dict[str, int] = {}
        """Who was answered that he is in, and how many messages were answered before he asked."""
        self.unsure: set[str] = set()
        """Whose last call was not answered."""

    def send(self, key: str) -> str:
        """Send, or send again."""
        text = {"messageType": "x", "content": key, "clientMessageId": key, "isEchoToSender": 1}
        body = {"fromUserId": "owner", "toChannelIds": [self.group], **text}
        sent = self.backend.post("/v4/group-channel/message/send", body)
        id_: str = sent["messageIds"][0]["messageId"]
        return id_

    def call(self, turn: int) -> None:
        if turn == 1:
            body = {"channelId": self.group, "name": "g", "owner": "owner"}
            self.backend.post("/v4/group-channel/create", body)
        key = f"{self.group}.{turn}"
        self.asked.append(key)
        self.ids[key] = self.send(key)
        user = f"member{turn % 7}"
        word = "leave" if user in self.in_from else "join"
        self.unsure.add(user)
        self.backend.post(f"/v4/group-channel/{word}", {"channelId": self.group, "userIds": [user]})
        self.unsure.remove(user)
        if word == "join":
            self.in_from[user] = len(self.ids)
        else:
            del self.in_from[user]

    def contents(self, user: str) -> list[str]:
        """What the user reads of the group, oldest first."""
        found: list[dict[str, Any]] = []
        start, include = now_ms() + 10_000, True
        while True:
            times = {"startAt": start, "endAt": start - 3_600_000, "includeStart": include, "pageSize": 100}
            body = {"userId": user, "channelId": self.group, **times}
            page = self.backend.post("/v4/group-channel/history-message/list", body)["messages"]
            if not page:
                return [message["content"] for message in reversed(found)]
            found += page
            start, include = page[-1]["sentAt"], False

    def check(self, backend: Backend) -> None:
        """Everything that was promised to this group."""
        self.backend = backend
        if not self.asked:
            return
        seen = self.contents("owner")
        answered = [key for key in self.asked if key in self.ids]
        assert seen in (answered, self.asked), "lost, twice, or out of order"
        for key in self.asked:
            first = self.send(key)
            assert self.send(key) == first == self.ids.get(key, first), "another message for the same key"
        assert self.contents("owner") == self.asked, "sent again, and stored twice"
        for user, begins in self.in_from.items():
            if user not in self.unsure:
                # nothing is sent between his joining and the next message
                assert self.contents(user) == self.asked[begins:], "he is in, and does not read it"
        body = {"channelId": self.group, "pageSize": 100}
        page = backend.post("/v4/group-channel/member/list", body)
        members = {member["userId"] for member in page["members"]} - {"owner"}
        assert members ^ set(self.in_from) <= self.unsure, "a join or a leave was lost"
        assert page["totalCount"] == len(page["members"])


def check(backend: Backend, talk: Talk, before: list[str]) -> list[str]:
    """Everything that was promised to this channel; all that its sender sees now."""
    seen = backend.contents(talk.sender, talk.user)
    assert len(seen) == len(set(seen)), "a message is there twice"
    answered = [content for _, content in talk.answered]
    assert [content for content in seen if content not in talk.asked] == before, (
        "an earlier round has changed"
    )
    assert [content for content in seen if content in set(answered)] == answered, "lost, or out of order"
    assert set(seen) <= talk.asked | set(before)
    ids = {content: id_ for id_, content in talk.answered}
    for message in backend.history(talk.sender, talk.user):
        assert ids.get(message["content"], message["messageId"]) == message["messageId"]
    left = set(backend.contents(talk.user, talk.sender))
    assert not left & set(answered[: talk.cleaned_before]), "cleaned, and it is back"
    if talk.cleaned_before:
        assert not left & set(before), "cleaned, and an earlier round is back"
    assert set(answered[talk.kept_from :]) <= left, "not cleaned, and it is gone"
    return seen


def rounds(start: Start, count: int) -> int:
    """So many kills on one folder; how many messages were answered."""
    up = start()
    up.wait_until_ready()
    Backend(up.demo()).set(cleanRateLimit=0)
    seen, total = [list[str]() for _ in range(PAIRS)], 0
    for round_ in range(count):
        demo = up.demo()
        talks = [Talk(Backend(demo, keep=True), number, round_) for number in range(PAIRS)]
        groups = [Gathering(Backend(demo, keep=True), number, round_) for number in range(GROUPS)]
        for load in (*talks, *groups):
            load.start()
        moment = random.Random(round_).uniform(0.5, 2.0)
        time.sleep(moment)  # the random moment itself: nothing is waited for
        up.kill_everything()
        for load in (*talks, *groups):
            load.stopping.set()
            load.join(30)
        assert {load.refused for load in (*talks, *groups)} == {503}, (
            up.data / "logs" / "api.log"
        ).read_text()[-6000:]
        assert sum(len(talk.answered) for talk in talks) > PAIRS
        assert any(talk.cleaned_before for talk in talks)
        assert any(group.in_from and group.ids for group in groups)
        up = start(port=up.port)
        up.wait_until_ready()
        after = Backend(up.demo())
        seen = [check(after, talk, before) for talk, before in zip(talks, seen, strict=True)]
        for group in groups:
            group.check(after)
        total += sum(len(talk.answered) for talk in talks)
    assert up.stop() == 0
    return total


def test_what_was_answered_survives_kill_9_of_everything(start: Start) -> None:
    assert rounds(start, 2) > 100


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_was_answered_survives_many_kills(start: Start) -> None:
    assert rounds(start, 15) > 1000

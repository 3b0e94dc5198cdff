"""kill -9 of everything under load: what was answered is there, once, in order; what was answered as cleaned is clean."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from http.client import HTTPException

import pytest

from tests.api.backend import Backend, Refused
from tests.system.conftest import Up

Start = Callable[..., Up]
PAIRS = 6
"""Threads: each sends to one user and cleans that user's side now and then."""


class Talk(threading.Thread):
    """One channel under load, and what was answered there."""

    def __init__(self, backend: Backend, number: int, round_: int) -> None:
        super().__init__(daemon=True)
        self.backend, self.random = backend, random.Random(1000 * round_ + number)
        self.sender, self.user, self.round = f"sender{number}", f"user{number}", round_
        self.answered: list[tuple[str, str]] = []
        """(message id, content) in the order of the answers."""
        self.asked: set[str] = set()
        self.cleaned_before = 0
        """So many of them were answered before the last answered clean was asked."""
        self.kept_from = 0
        """From here on none can have been cleaned, by an unanswered clean either."""
        self.refused = 503
        """How the last call was refused, if it was: PostgreSQL may die a moment before the API."""
        self.stopping = threading.Event()

    def run(self) -> None:
        number = 0
        try:
            while not self.stopping.is_set():
                number += 1
                content = f"{self.round}.{self.sender}.{number}"
                self.asked.add(content)
                self.answered.append((self.backend.send(self.sender, self.user, content, echo=True), content))
                if self.random.random() < 0.1:
                    self.kept_from = len(self.answered)
                    self.backend.clean(self.user, self.sender)
                    self.cleaned_before = self.kept_from
        except (OSError, HTTPException, ValueError):
            pass  # killed: what was not answered may be there or not
        except Refused as refusal:
            self.refused = refusal.status
        finally:
            self.backend.close()


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
        for talk in talks:
            talk.start()
        moment = random.Random(round_).uniform(0.5, 2.0)
        time.sleep(moment)  # the random moment itself: nothing is waited for
        up.kill_everything()
        for talk in talks:
            talk.stopping.set()
            talk.join(30)
        assert {talk.refused for talk in talks} == {503}, (up.data / "logs" / "api.log").read_text()[-6000:]
        assert sum(len(talk.answered) for talk in talks) > PAIRS
        assert any(talk.cleaned_before for talk in talks)
        up = start(port=up.port)
        up.wait_until_ready()
        after = Backend(up.demo())
        seen = [check(after, talk, before) for talk, before in zip(talks, seen, strict=True)]
        total += sum(len(talk.answered) for talk in talks)
    assert up.stop() == 0
    return total


def test_what_was_answered_survives_kill_9_of_everything(start: Start) -> None:
    assert rounds(start, 2) > 100


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_was_answered_survives_many_kills(start: Start) -> None:
    assert rounds(start, 15) > 1000

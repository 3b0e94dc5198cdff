"""Group commit, without a database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from history import batches as batches_module
from history.batches import Batches
from history.errors import DatabaseUnavailable, Overloaded


class Ledger:
    """A commit that waits until it is let go, and remembers what it was handed."""

    def __init__(self, *, open_: bool = True) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None
        if open_:
            self.gate.set()

    async def commit(self, items: Sequence[str]) -> list[str]:
        """Each item in capitals; "bad" fails the batch it travels in."""
        self.batches.append(list(items))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        if "bad" in items:
            raise ValueError
        return [item.upper() for item in items]


def _batches(ledger: Ledger, *, most_weight: int = 100, most_waiting: int = 100) -> Batches[str, str]:
    return Batches(ledger.commit, weigh=len, most_weight=most_weight, most_waiting=most_waiting)


async def _turns(count: int = 10) -> None:
    """Let every task that can run do so."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_arrives_during_a_commit_travels_together_in_the_next() -> None:
    """In the order of arrival, each answered with his own."""
    ledger = Ledger(open_=False)
    batches = _batches(ledger)
    first = asyncio.create_task(batches.submit("a"))
    await _turns()
    later = [asyncio.create_task(batches.submit(item)) for item in "bcd"]
    await _turns()
    assert ledger.batches == [["a"]]
    ledger.gate.set()
    assert await asyncio.gather(first, *later) == ["A", "B", "C", "D"]
    assert ledger.batches == [["a"], ["b", "c", "d"]]


async def test_nobody_is_answered_before_the_commit() -> None:
    """Not even when others wait."""
    ledger = Ledger(open_=False)
    batches = _batches(ledger)
    tasks = [asyncio.create_task(batches.submit(item)) for item in "ab"]
    await _turns()
    assert not any(task.done() for task in tasks)
    ledger.gate.set()
    assert await asyncio.gather(*tasks) == ["A", "B"]


async def test_one_bad_item_does_not_fail_its_neighbours() -> None:
    """They are committed one by one, and he alone hears of it."""
    ledger = Ledger()
    batches = _batches(ledger)
    answers = await asyncio.gather(
        *(batches.submit(item) for item in ("a", "bad", "b")), return_exceptions=True
    )
    assert (answers[0], answers[2]) == ("A", "B")
    assert isinstance(answers[1], ValueError)
    assert ledger.batches == [["a", "bad", "b"], ["a"], ["bad"], ["b"]]
    assert await batches.submit("again") == "AGAIN"


async def test_a_database_that_is_away_fails_the_batch_at_once() -> None:
    """Asking item by item would only make everybody wait."""
    ledger = Ledger()
    ledger.error = DatabaseUnavailable("away")
    answers = await asyncio.gather(*(_batches(ledger).submit(item) for item in "abc"), return_exceptions=True)
    assert all(isinstance(answer, DatabaseUnavailable) for answer in answers)


async def test_an_unavailable_batch_is_tried_once() -> None:
    """One commit for all of them."""
    ledger = Ledger()
    ledger.error = DatabaseUnavailable("away")
    batches = _batches(ledger)
    await asyncio.gather(*(batches.submit(item) for item in "abc"), return_exceptions=True)
    assert ledger.batches == [["a", "b", "c"]]


async def test_a_caller_that_goes_away_disturbs_nobody() -> None:
    """In flight, his item is written all the same; still waiting, it is not."""
    ledger = Ledger(open_=False)
    batches = _batches(ledger)
    flying = [asyncio.create_task(batches.submit(item)) for item in "ab"]
    await _turns()
    waiting = [asyncio.create_task(batches.submit(item)) for item in "cd"]
    await _turns()
    flying[0].cancel()
    waiting[0].cancel()
    ledger.gate.set()
    assert list(await asyncio.gather(flying[1], waiting[1])) == ["B", "D"]
    assert ledger.batches == [["a", "b"], ["d"]]
    assert flying[0].cancelled()
    assert waiting[0].cancelled()


async def test_batches_are_bounded_by_weight_and_a_heavy_item_travels_alone() -> None:
    """Nothing overtakes it."""
    ledger = Ledger()
    batches = _batches(ledger, most_weight=4)
    items = ("aa", "bb", "c", "heavier", "d")
    assert await asyncio.gather(*(batches.submit(item) for item in items)) == [item.upper() for item in items]
    assert ledger.batches == [["aa", "bb"], ["c"], ["heavier"], ["d"]]


async def test_what_waits_is_bounded_and_the_bound_is_freed_again() -> None:
    """One item over it is refused at once; a single one of any weight is taken."""
    ledger = Ledger(open_=False)
    batches = _batches(ledger, most_waiting=4)
    tasks = [asyncio.create_task(batches.submit("in flight, whatever its weight"))]
    await _turns()
    tasks += [asyncio.create_task(batches.submit(item)) for item in ("aa", "bb")]
    await _turns()
    with pytest.raises(Overloaded):
        await batches.submit("c")
    ledger.gate.set()
    await asyncio.gather(*tasks)
    assert await batches.submit("c") == "C"
    assert batches._waiting_weight == 0


async def test_who_waits_too_long_is_sent_away_and_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the batch before him does not come back; who is in flight hears what became of it."""
    monkeypatch.setattr(batches_module, "_LOOKS_EVERY", 0.0)
    ledger = Ledger(open_=False)
    batches = Batches(ledger.commit, weigh=len, most_weight=100, most_waiting=4, patience=0.0)
    flying = asyncio.create_task(batches.submit("a"))
    await _turns()
    waiting = [asyncio.create_task(batches.submit(item)) for item in ("bb", "cc")]
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Overloaded, Overloaded]
    assert batches._waiting_weight == 0
    # there is room again
    again = asyncio.create_task(batches.submit("dddd"))
    await _turns(1)
    ledger.gate.set()
    assert await flying == "A"
    await asyncio.gather(again, return_exceptions=True)
    assert ledger.batches in ([["a"]], [["a"], ["dddd"]])


async def test_patience_is_for_those_who_wait_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long commit is waited for, and the next ones are not looked at before their time."""
    monkeypatch.setattr(batches_module, "_LOOKS_EVERY", 0.0)
    ledger = Ledger(open_=False)
    batches = _batches(ledger)
    tasks = [asyncio.create_task(batches.submit("a"))]
    await _turns()
    tasks.append(asyncio.create_task(batches.submit("b")))
    await _turns(50)
    ledger.gate.set()
    assert await asyncio.gather(*tasks) == ["A", "B"]

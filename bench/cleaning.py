"""Cleans in a burst: accepted, in force, applied, settled, reclaimed; a channel of 10^6; a user with 100,000 conversations."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence

import asyncpg
import msgspec

from bench import api, filling, histories, load
from bench.ground import Api, Ground
from bench.histories import CLEAN, HISTORY
from bench.rows import Row, beside
from bench.syncs import conversations
from history.axis import DAY, MILLISECOND
from history.database import WRITER
from history.queries import statement
from history.retention.reclaim import Reclaim
from history.retention.service import MOST_TAKEN
from worker.jobs import apply, count, job_steps, settle

_GROUPS, _MEMBERS, _MESSAGES = 1_000, 100, 20
_ROUNDS, _SECONDS = 4, 1.5
_GROUP_HISTORY = HISTORY.replace("direct", "group")


async def measure(ground: Ground) -> list[Row]:
    """A burst of 10^5 cleans over 10^3 groups."""
    ground.step(f"making {2 * _GROUPS:,} groups of {_MEMBERS}")
    ids = await _groups(ground, "cleaned")
    others = await _groups(ground, "bare")
    await filling.settle(ground)
    pairs = [(group, member) for member in range(_MEMBERS) for group in range(_GROUPS)]
    following = iter([_clean(ground, *pair) for pair in pairs])
    async with ground.process() as process:
        rows = await _accept(ground, process, following)
        await _check_in_force(ground, process, pairs)
    rows.append(await _apply(ground, others))
    rows += [
        Row(name=f"100,000 cleans {what}", value=seconds, unit="s")
        for what, seconds in (await _drain(ground, ids)).items()
    ]
    rows += await _whole_channel(ground)
    rows += await _whole_user(ground)
    return rows


async def _groups(ground: Ground, name: str) -> list[int]:
    end = ground.api.clock.now() - 1_000_000
    keys = [filling.group(ground, f"{name}{number}") for number in range(_GROUPS)]
    pairs = [(group, f"member{member}") for group in range(_GROUPS) for member in range(_MEMBERS)]
    ids = await filling.channels(ground, keys, pairs, last=end, delivered=end, members=_MEMBERS)
    await filling.messages(ground, ids, end - _MESSAGES + 1, _MESSAGES, senders=["member1"])
    return ids


def _clean(ground: Ground, group: int, member: int) -> bytes:
    body = {
        "channelType": 3,
        "fromUserId": f"member{member}",
        "channelId": f"cleaned{group}",
        "deleteCompensated": True,
    }
    return load.request(CLEAN, body, ground.keys)


async def _accept(ground: Ground, process: Api, following: Iterator[bytes]) -> list[Row]:
    rates: dict[str, list[float]] = {"clean": [], "no-op": []}
    nothing = itertools.repeat(
        load.request(
            api.NO_CLEAN, {"channelType": 3, "fromUserId": "member1", "channelId": "cleaned1"}, ground.keys
        )
    )
    for number in range(_ROUNDS):
        ground.step(f"accepting, round {number + 1} of {_ROUNDS}")
        got = (await load.run(process.port, following, seconds=_SECONDS)).check()
        rates["clean"].append(got.rate)
        rates["no-op"].append((await load.run(process.port, nothing, seconds=_SECONDS)).check().rate)
    ground.step("accepting the rest of 100,000")
    (await load.run(process.port, following)).check()
    ground.figures["cleaning"] = rates
    return [
        beside(
            "cleans accepted, 64 connections",
            rates["clean"],
            rates["no-op"],
            unit="cleans/s",
            limit="the signed no-op",
            budget=0.5,
        )
    ]


async def _check_in_force(ground: Ground, process: Api, pairs: Sequence[tuple[int, int]]) -> None:
    now = ground.api.clock.now() // MILLISECOND
    for group, member in pairs[:: len(pairs) // 50]:
        body = {
            "userId": f"member{member}",
            "channelId": f"cleaned{group}",
            "startAt": now,
            "endAt": now - DAY // MILLISECOND,
            "includeStart": True,
        }
        answer = msgspec.json.decode(
            await load.ask(process.port, load.request(_GROUP_HISTORY, body, ground.keys))
        )
        if answer["code"] or answer["result"]["messages"]:
            raise RuntimeError(f"A clean that was accepted is not in force: {answer}")


async def _apply(ground: Ground, others: Sequence[int]) -> Row:
    """Batches of the worker's job and of the same update run bare on as many other conversations, in turn."""
    bare = await asyncpg.connect(ground.settings.database_url, server_settings=WRITER)
    update = await bare.prepare(statement("retention", "raise_conversation_cutoffs"))
    rows = sorted((id_, f"member{member}") for id_ in others for member in range(_MEMBERS))
    applied, ran = [], []
    for start in range(0, len(rows), MOST_TAKEN):
        began = time.perf_counter()
        report, _ = await apply.apply_waiting(
            ground.api.redis, ground.worker.cleans, now=ground.worker.clock.now()
        )
        applied.append(report.applied / (time.perf_counter() - began))
        batch = rows[start : start + MOST_TAKEN]
        cutoffs = [ground.api.clock.now()] * len(batch)
        began = time.perf_counter()
        await update.fetch([id_ for id_, _ in batch], [user for _, user in batch], cutoffs, cutoffs, cutoffs)
        ran.append(len(batch) / (time.perf_counter() - began))
    await bare.close()
    return beside(
        "cutoffs applied by one worker",
        applied,
        ran,
        unit="pairs/s",
        limit="the same update run bare",
        budget=0.4,
    )


async def _drain(ground: Ground, ids: Sequence[int], *, batch: int = 1_000) -> dict[str, float]:
    """The worker's jobs after applying, each to its end: what they did, and the seconds that it took."""
    worker, marks = ground.worker, [time.perf_counter()]
    ground.step("counting")
    while await count.count_applied(worker.receipts, worker.clock):
        pass
    marks.append(time.perf_counter())
    ground.step("settling")
    while await settle.settle_due(worker.cleans, worker.clock):
        pass
    marks.append(time.perf_counter())
    ground.step("reclaiming")
    # unpaced: at its own pace it would rest by what came in during the parts before
    reclaim = Reclaim(ground.api.database, worker.clock, batch=batch)
    while await reclaim.visit_due(now=worker.clock.now()):
        pass
    left = await ground.raw.fetchval("SELECT count(*) FROM messages WHERE channel_id = ANY ($1)", ids)
    if left:
        raise RuntimeError(f"{left} messages that all members cleaned are still there.")
    marks.append(time.perf_counter())
    names = ("counted for their receipts", "settled", "reclaimed, unpaced")
    return {
        name: after - before for name, (before, after) in zip(names, itertools.pairwise(marks), strict=True)
    }


async def _whole_channel(ground: Ground) -> list[Row]:
    size = 10**6
    ground.step(f"cleaning a channel of {size:,} messages, by both who are in it")
    id_ = await filling.history(ground, "million-a", "million-b", size)
    await filling.settle(ground)
    bodies = [
        {"channelType": 1, "fromUserId": user, "channelId": other, "deleteCompensated": True}
        for user, other in itertools.permutations(("million-a", "million-b"))
    ]
    async with ground.process() as process:
        ones = iter([load.request(CLEAN, body, ground.keys) for body in bodies])
        accepted = (await load.run(process.port, ones, connections=1)).check()
        page = histories.page(ground, "million-a", "million-b")
        answer = msgspec.json.decode(await load.ask(process.port, page))
    if answer["result"]["messages"]:
        raise RuntimeError("A clean that was accepted is not in force.")
    began = time.perf_counter()
    await apply.apply_forgotten(ground.worker.cleans, ground.worker.clock, after=0)
    steps = {"accepted": accepted.quantile(1), "applied": time.perf_counter() - began}
    steps |= await _drain(ground, [id_], batch=20_000)
    return [
        Row(name=f"a channel of {size:,} cleaned by both: {what}", value=seconds, unit="s")
        for what, seconds in steps.items()
    ]


async def _whole_user(ground: Ground) -> list[Row]:
    ground.step("cleaning a user with 100,000 conversations")
    await conversations(ground, "everywhere", 10**5, unread=0)
    await filling.settle(ground)
    async with ground.process() as process:
        body = {"userId": "everywhere", "deleteCompensated": True}
        one = load.request("/v4/channel/message/history/clean/user", body, ground.keys)
        accepted = (await load.run(process.port, iter([one]), connections=1)).check()
    began = time.perf_counter()
    await job_steps.work_on_jobs(ground.worker.jobs, ground.worker.clock)
    in_force = time.perf_counter() - began
    done = await apply.apply_forgotten(ground.worker.cleans, ground.worker.clock, after=0)
    took = time.perf_counter() - began
    if done != 10**5:
        raise RuntimeError(f"{done} of 100,000 cleans were applied.")
    name = "a user with 100,000 conversations cleaned"
    return [
        Row(name=f"{name}: accepted", value=accepted.quantile(1), unit="s"),
        Row(name=f"{name}: in force everywhere", value=in_force, unit="s"),
        Row(name=f"{name}: applied", value=took, unit="s"),
    ]

"""Cleans: accepted into the journal, applied to the marks, settled when their undo window is over.

What can go wrong here costs people their history, so: a clean is in force as soon as its row is committed, because every
rule reads the journal; marks only rise, so a queue that delivers twice, late or out of order does no harm; the cutoff is
fixed at acceptance, so what is sent later survives; and nothing here deletes a message (see reclaim).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

from history.apps import store as apps_store
from history.batches import Batches
from history.channels.service import Channels
from history.clock import Clock
from history.database import Connection, Database
from history.delivery.model import Reach, reach
from history.errors import Conflict, NotFound
from history.retention import store
from history.retention.model import (
    EVERYONE,
    Accepted,
    ApplyReport,
    CleanDraft,
    Cutoffs,
    Overtaken,
    Pair,
    merged,
    new_request_id,
    public_request_id,
)

_MOST_BATCH = 2_000
_MOST_WAITING = 50_000
_OVERTAKEN_TRIES = 10
MOST_PAIRS = 500
"""Pairs that one transaction applies or settles: it holds their locks until its commit."""
MOST_MEMBERS = 10_000
"""Members whom the cleans of one transaction concern, or those of a single clean of everyone."""
_AT_ONCE = 2
"""Transactions that apply at once: while one is in the database, another is made ready."""
MOST_TAKEN = 2_000
"""Pairs that are looked for at once, to be applied in several transactions."""


class Cleans:
    """The use-cases of clean requests."""

    def __init__(self, database: Database, channels: Channels, clock: Clock) -> None:
        self._database = database
        self._channels = channels
        self._clock = clock
        self._last_accepted = 0
        self._batches: Batches[CleanDraft, Accepted] = Batches(
            self._accept, weigh=lambda _: 1, most_weight=_MOST_BATCH, most_waiting=_MOST_WAITING
        )

    async def accept(self, draft: CleanDraft) -> Accepted:
        """Write a request into the journal. A channel or user that does not exist is no error: nothing is taken."""
        return await self._batches.submit(draft)

    def accepted_at(self, requests: int, *, after: int = 0) -> int:
        """The first instant for so many requests: each comes a microsecond after the one before.

        Receipts tell what was in force before a request, so no two of a process are accepted at once.
        """
        first = max(self._clock.now(), self._last_accepted + 1, after + 1)
        self._last_accepted = first + requests - 1
        return first

    async def apply(self, scores: Mapping[Pair, int | None], *, now: int) -> ApplyReport:
        """Raise the marks of these pairs by what the journal has for them.

        `scores` are what the queue says of each pair, None where nobody said anything; they decide nothing.
        """
        turns = asyncio.Semaphore(_AT_ONCE)

        async def part(pairs: Sequence[Pair]) -> ApplyReport:
            async with turns:
                return await self._apply({pair: scores[pair] for pair in pairs}, now=now)

        # the parts are of different pairs, so none waits for another for long
        reports = await asyncio.gather(*(part(pairs) for pairs in await self._parts(sorted(scores))))
        return ApplyReport(
            applied=sum(report.applied for report in reports),
            forged=[pair for report in reports for pair in report.forged],
        )

    async def _parts(self, pairs: Sequence[Pair]) -> list[list[Pair]]:
        """Pairs that a transaction each may apply: everyone of a group weighs as many as its members."""
        groups = [pair.channel_id for pair in pairs if pair.user_id == EVERYONE]
        counts: dict[int, int] = {}
        if groups:
            async with self._database.reading() as connection:
                counts = await store.count_members(connection, groups)
        parts: list[list[Pair]] = [[]]
        members = 0
        for pair in pairs:
            weight = counts.get(pair.channel_id, 1) if pair.user_id == EVERYONE else 1
            if parts[-1] and (len(parts[-1]) == MOST_PAIRS or members + weight > MOST_MEMBERS):
                parts.append([])
                members = 0
            parts[-1].append(pair)
            members += weight
        return parts

    async def _apply(self, scores: Mapping[Pair, int | None], *, now: int) -> ApplyReport:
        """Some of them, in order, in one transaction."""
        pairs = list(scores)

        async def work() -> ApplyReport:
            async with self._database.writing() as connection:
                reaches = await self._reaches(connection, pairs, now=now)
                rows = await store.list_unapplied(connection, pairs)
                cutoffs = merged(rows)
                if rows:
                    everyones = [row for row in rows if row.pair.user_id == EVERYONE]
                    users = [row for row in rows if row.pair.user_id != EVERYONE]
                    # before the locks for everyone, since a group may have 100,000 members: they are of one snapshot all
                    # the same, and what cannot be of it, as joining, lies above the cutoffs
                    if everyones:
                        await store.insert_clean_marks(connection, everyones, now=now)
                    await store.update_cutoffs(connection, cutoffs, settled=False)
                    if users:
                        await store.insert_clean_marks(connection, users, now=now)
                    # under the locks of what was raised: what was cancelled meanwhile is not raised after all
                    if await store.update_applied(connection, rows, reaches, now=now) != len(rows):
                        raise Overtaken
                highest = await self._highest(connection, scores, cutoffs)
            forged = [
                pair for pair, score in scores.items() if score is not None and score > highest.get(pair, -1)
            ]
            return ApplyReport(applied=len(rows), forged=forged)

        for left in reversed(range(_OVERTAKEN_TRIES)):
            try:
                return await self._database.retrying(work)
            except Overtaken:
                # a cancel or another worker was first: what it left is what there is to do
                if not left:
                    raise
        raise AssertionError("unreachable")

    async def _highest(
        self, connection: Connection, scores: Mapping[Pair, int | None], cutoffs: Mapping[Pair, Cutoffs]
    ) -> dict[Pair, int]:
        """The highest cutoff that a request of each pair had; the journal is asked where these do not reach the score."""
        highest = {pair: it.history for pair, it in cutoffs.items()}
        asked = [
            pair for pair, score in scores.items() if score is not None and score > highest.get(pair, -1)
        ]
        return highest | (await store.list_highest_cutoffs(connection, sorted(asked)) if asked else {})

    async def forgotten(self, *, accepted_before: int) -> list[Pair]:
        """Pairs with work that the queue seems to have lost."""
        async with self._database.reading() as connection:
            return await store.list_forgotten_pairs(
                connection, accepted_before=accepted_before, most=MOST_TAKEN
            )

    async def settle(self, *, now: int) -> int:
        """Let requests whose undo window is over count for the floor; how many. Call again while it is not 0."""
        async with self._database.reading() as connection:
            pairs = sorted(await store.list_settleable_pairs(connection, now=now, most=MOST_PAIRS))
        if not pairs:
            return 0

        async def work() -> int:
            async with self._database.writing() as connection:
                # their channels' floors may rise; first, because joining locks a channel before its conversations
                await store.mark_due(connection, (pair.channel_id for pair in pairs), now=now)
                await store.lock_pairs(connection, pairs)
                rows = await store.list_settleable(connection, pairs, now=now)
                if rows:
                    await store.update_cutoffs(connection, merged(rows), settled=True)
                    await store.update_settled(connection, rows, now=now)
            return len(rows)

        return await self._database.retrying(work)

    async def cancel(
        self, app_key: str, channel_id: int, id_: UUID, *, by: str | None, reason: str | None
    ) -> None:
        """Undo a request until its undo window is over; Conflict later. Other requests stay in force."""

        async def work() -> None:
            async with self._database.writing() as connection:
                found = await store.get_cancelling(connection, app_key, channel_id, id_)
                if found is None:
                    raise NotFound("There is no clean request of this requestId.")
                # its receipt needs its marks no more: a visit lets them go
                await store.mark_due(connection, [channel_id], now=self._clock.now())
                await store.lock_pairs(connection, [found.pair])
                now = self._clock.now()
                # again, under the lock: apply and settle decide under it as well
                locked = await store.get_cancelling(connection, app_key, channel_id, id_)
                if locked is None or locked.state == "cancelled":
                    return
                if locked.state == "settled" or now >= locked.undo_until:
                    raise Conflict("This clean can no longer be undone: its undo window is over.")
                await store.cancel(connection, found.pair, id_, now=now, by=by, reason=reason)

        await self._database.retrying(work)

    async def _reaches(self, connection: Connection, pairs: Sequence[Pair], *, now: int) -> dict[str, Reach]:
        # the apps' rows before any lock on channels, as a grant and a change of settings take them
        reaches = {}
        for app_key in sorted({pair.app_key for pair in pairs}):
            settings = await apps_store.share_app(connection, app_key)
            if settings is not None:
                reaches[app_key] = reach(settings, now=now)
        return reaches

    async def _accept(self, drafts: Sequence[CleanDraft]) -> list[Accepted]:
        async def work() -> list[Accepted]:
            async with self._database.writing() as connection:
                channels = await self._channels.prospective(connection, [draft.channel for draft in drafts])
                await apps_store.share_apps(connection, (draft.channel.app_key for draft in drafts))
                return await self.write(connection, list(zip(channels, drafts, strict=True)))

        return await self._database.retrying(work)

    async def write(
        self, connection: Connection, drafts: Sequence[tuple[int, CleanDraft]], *, after: int = 0
    ) -> list[Accepted]:
        """Write requests (channel id, draft) into the journal, each accepted at an instant of its own, later than `after`.

        The caller has the apps' rows, shared or locked: the instants are in the order in which these let requests through.
        """
        first = self.accepted_at(len(drafts), after=after)
        ids = [new_request_id(first) for _ in drafts]
        requests = [
            (channel_id, id_, draft, first + number)
            for number, ((channel_id, draft), id_) in enumerate(zip(drafts, ids, strict=True))
        ]
        cutoffs = await store.insert_clean_requests(connection, requests)
        return [
            Accepted(
                request_id=public_request_id(channel_id, id_),
                pair=Pair(draft.channel.app_key, channel_id, draft.user_id),
                cutoff=cutoffs[channel_id, id_],
            )
            for channel_id, id_, draft, _ in requests
        ]

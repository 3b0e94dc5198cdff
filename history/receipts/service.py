"""Receipts: counted after a clean was applied, previewed before, read at any time; and why a message is where it is.

A receipt tells what a clean did, exactly: apply records under its locks what it saw, and the numbers are counted afterwards
against that, in bounded steps and without any lock. A clean settles when it is counted, so nothing that is still to be
counted can be deleted meanwhile.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from history import cursors
from history.apps import store as apps_store
from history.apps.model import AppSettings
from history.apps.service import Apps
from history.axis import NEVER, SECOND
from history.channels.model import ID_BITS, ChannelKey
from history.channels.service import Channels
from history.clock import Clock
from history.database import Connection, Database
from history.delivery.model import reach
from history.errors import InvalidInput, NotFound, PlanChanged
from history.media import store as media_store
from history.receipts import store
from history.receipts.model import (
    MOST_PREVIEWED,
    Facts,
    Filter,
    Numbers,
    Plan,
    Receipt,
    Verdict,
    compensation_verdict,
    disk_verdict,
    history_verdict,
    missed_verdict,
)
from history.retention import store as retention_store
from history.retention.model import Accepted, CleanDraft
from history.retention.service import Cleans

MOST_ROWS = 5_000
"""Rows that one step of counting judges of a request that is counted alone; many share them."""
_MOST_REQUESTS, _LEAST_ROWS = 100, 250
_LAST = UUID(int=(1 << 128) - 1)


class Receipts:
    """The use-cases of what cleans did."""

    def __init__(
        self,
        database: Database,
        apps: Apps,
        channels: Channels,
        cleans: Cleans,
        clock: Clock,
        *,
        most_rows: int = MOST_ROWS,
    ) -> None:
        self._database = database
        self._apps = apps
        self._channels = channels
        self._cleans = cleans
        self._clock = clock
        self._accepting = asyncio.Lock()
        # from where on channels are counted next; each worker begins somewhere else
        self._counted = secrets.randbits(ID_BITS)
        self._most_rows = most_rows

    async def get(self, app_key: str, public_id: str) -> Receipt:
        """What one request did; NotFound where the app has none of this id."""
        channel_id, id_ = read_request_id(public_id)
        async with self._database.reading() as connection:
            found = await store.get_receipt(connection, app_key, channel_id, id_)
        if found is None:
            raise NotFound("There is no clean request of this requestId.")
        return found

    async def list(
        self, wanted: Filter, channel: ChannelKey | None, *, cursor: str | None, most: int
    ) -> tuple[list[Receipt], str | None]:
        """A page of receipts, the newest first, and the cursor of the next page."""
        below = _below(cursor) if cursor else (NEVER, _LAST)
        async with self._database.reading() as connection:
            if channel is not None:
                [channel_id] = await self._channels.prospective(connection, [channel])
                wanted = Filter(
                    app_key=wanted.app_key,
                    user_id=wanted.user_id,
                    channel_id=channel_id,
                    state=wanted.state,
                    first=wanted.first,
                    end=wanted.end,
                )
            found = await store.list_receipts(connection, wanted, below=below, most=most + 1)
        page = found[:most]
        more = len(found) > most
        token = cursors.pack((page[-1].accepted_at, page[-1].id.bytes)) if more else None
        return page, token

    async def count(self, *, until: int) -> int:
        """Count requests that were applied; how many steps. Again while it is not 0.

        A step takes some requests a bit further, and the next one those of the channels after them, so that none stands in the
        way of the others; after `until` no other begins.
        """
        steps = 0
        while not steps or self._clock.now() < until:
            async with self._database.reading() as connection:
                waiting = await store.list_uncounted(connection, after=self._counted, most=_MOST_REQUESTS)
            if not waiting and self._counted < 0:
                break
            self._counted = waiting[-1][0] if len(waiting) == _MOST_REQUESTS else -1
            if waiting:
                await self._step(waiting)
                steps += 1
        return steps

    async def _step(self, requests: Sequence[store.Request]) -> None:
        """Count the next rows of each."""
        most = min(self._most_rows, max(_LEAST_ROWS, self._most_rows // len(requests)))
        async with self._database.reading() as connection:
            steps = await store.count_steps(connection, requests, most=most)
        now = self._clock.now()
        done = {request: now for request, step in steps.items() if step.rows < most}
        if steps:
            async with self._database.writing() as connection:
                await store.update_counted(connection, steps, done)

    async def preview(self, draft: CleanDraft) -> Plan:
        """What this clean would do now, counted up to 100,000 messages; nothing is changed."""
        settings = await self._apps.settings(draft.channel.app_key)
        [channel_id] = await self._channels.locate([draft.channel])
        async with self._database.reading() as connection:
            return await self._plan(connection, draft, channel_id, settings)

    async def accept(self, draft: CleanDraft, *, plan_hash: str) -> Accepted:
        """Accept a clean that does what its preview said; PlanChanged, and nothing is written, where it would not.

        All that could change its plan waits: settings, holds, policies and other cleans for the app's row, messages and
        members for the channel's, acknowledgements for the conversations'. So the plan is that of the moment of acceptance.
        """

        async def work() -> Accepted:
            app_key = draft.channel.app_key
            async with self._database.writing() as connection:
                settings = await apps_store.lock_app(connection, app_key)
                if settings is None:
                    raise NotFound("There is no app with this App-Key.")
                [channel_id] = await self._channels.prospective(connection, [draft.channel])
                after = await retention_store.lock_planned(connection, channel_id, draft.user_id)
                if (await self._plan(connection, draft, channel_id, settings)).hash != plan_hash:
                    raise PlanChanged(
                        "The plan would differ now; preview it again and send the new planHash."
                    )
                [accepted] = await self._cleans.write(connection, [(channel_id, draft)], after=after)
            return accepted

        # one at a time: those that wait for an app would take the connections of all others
        async with self._accepting:
            return await self._database.retrying(work)

    async def _plan(
        self, connection: Connection, draft: CleanDraft, channel_id: int | None, settings: AppSettings
    ) -> Plan:
        now, plan = self._clock.now(), None
        if channel_id is not None:
            plan = await store.get_plan(
                connection,
                channel_id,
                draft.user_id,
                before=draft.before,
                flag=draft.delete_compensated,
                app_flag=settings.delete_compensated_on_clean,
                reach=reach(settings, now=now),
                now=now,
                most=MOST_PREVIEWED,
            )
        if channel_id is None or plan is None:
            # a channel that is not there: such a clean takes nothing
            nothing = Numbers(hidden=0, kept_missed=0, kept_compensation=0, kept_held=0)
            return Plan(cutoff=min(draft.before, 1), numbers=nothing, complete=True)
        if not draft.delete_media:
            return plan
        undo_seconds = settings.undo_seconds if draft.undo_seconds is None else draft.undo_seconds
        found = await media_store.count_given_up(
            connection,
            channel_id,
            draft.user_id,
            below=plan.cutoff,
            now=now,
            undo_until=now + undo_seconds * SECOND,
            most=MOST_PREVIEWED,
        )
        return replace(
            plan,
            reclaimed_files=found.files,
            reclaimed_bytes=found.bytes,
            complete=plan.complete and found.refs < MOST_PREVIEWED,
        )

    async def explain(
        self, channel: ChannelKey, public_id: str, *, user_id: str, device_id: str | None
    ) -> dict[str, Verdict]:
        """For each rule, what it says of a message for a user, and the value that decided."""
        settings = await self._apps.settings(channel.app_key)
        now = self._clock.now()
        try:
            channel_id, position = cursors.read_message_id(public_id)
        except cursors.NotOurs as exc:
            raise InvalidInput("messageId", "messageId must be one that a send answered.") from exc
        [located] = await self._channels.locate([channel])
        if located != channel_id:
            raise InvalidInput(
                "messageId", "messageId is not of that channel; check channelType and channelId."
            )
        async with self._database.reading() as connection:
            facts = await store.get_facts(
                connection,
                channel.app_key,
                channel_id,
                position,
                user_id=user_id,
                device_id=device_id,
                reach=reach(settings, now=now),
                now=now,
            )
        if facts is None:
            raise NotFound("There is no such channel.")
        return _verdicts(facts)


def _verdicts(facts: Facts) -> dict[str, Verdict]:
    return {
        "history": history_verdict(facts),
        "missed": missed_verdict(facts),
        "compensation": compensation_verdict(facts),
        "disk": disk_verdict(facts),
    }


def read_request_id(public_id: str) -> tuple[int, UUID]:
    """The channel and the id of a request; NotFound for anything else."""
    try:
        channel_id, unique = cursors.read_request_id(public_id)
    except cursors.NotOurs as exc:
        raise NotFound("There is no clean request of this requestId.") from exc
    return channel_id, UUID(bytes=unique)


def _below(cursor: str) -> tuple[int, UUID]:
    try:
        accepted_at, unique = cursors.unpack(cursor, tuple[int, bytes])
        return min(accepted_at, NEVER), UUID(bytes=unique)
    except (cursors.NotOurs, ValueError) as exc:
        raise InvalidInput("cursor", "cursor must be one that the page before answered.") from exc

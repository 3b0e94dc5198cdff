"""Work over many channels or messages: a clean of all channels of a user, a recall of all that some senders wrote.

A step writes what it did and how far it came in one transaction, so a crash repeats nothing and loses nothing; a lease
keeps two workers off one job, and ends with a worker that died. A cancelled job undoes its requests, as far as their undo
windows allow, in steps as well. A recall is final.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from history.apps import store as apps_store
from history.axis import SECOND
from history.channels.model import ChannelKey, ChannelType
from history.channels.service import Channels
from history.clock import Clock
from history.cursors import job_id
from history.database import Connection, Database
from history.errors import Conflict, NotFound
from history.jobs import store
from history.jobs.model import Job
from history.messages import store as messages_store
from history.retention.model import CleanDraft, new_request_id
from history.retention.service import Cleans

LEASE = 30 * SECOND
_MOST_JOBS = 10
CHANNELS_A_STEP = 500
MESSAGES_A_STEP = 200


class Jobs:
    """The use-cases of jobs."""

    def __init__(self, database: Database, channels: Channels, cleans: Cleans, clock: Clock) -> None:
        self._database = database
        self._channels = channels
        self._cleans = cleans
        self._clock = clock

    async def clean_user(
        self,
        app_key: str,
        user_id: str,
        *,
        before: int,
        flag: bool | None,
        delete_media: bool = False,
        undo_seconds: int | None,
        reason: str | None,
        source: str,
    ) -> str:
        """Clean every channel of a user. What is sent after this call survives, whenever a channel's turn comes."""
        async with self._database.writing() as connection:
            id_ = await self._insert(
                connection,
                app_key,
                "clean-user",
                [user_id],
                None,
                before,
                flag,
                undo_seconds,
                reason,
                source,
                delete_media=delete_media,
            )
            await store.insert_job_steps(connection, id_, app_key, user_id, before, CHANNELS_A_STEP)
        return job_id(id_.bytes)

    async def recall_by_sender(
        self, channel: ChannelKey, senders: Sequence[str], *, before: int, reason: str | None, source: str
    ) -> str:
        """Recall all that these senders wrote in a channel. What is sent after this call stays; there is no undo."""
        [channel_id] = await self._channels.locate([channel])
        async with self._database.writing() as connection:
            id_ = await self._insert(
                connection,
                channel.app_key,
                "recall-by-sender",
                list(senders),
                -1 if channel_id is None else channel_id,
                before,
                None,
                None,
                reason,
                source,
            )
        return job_id(id_.bytes)

    async def _insert(
        self, connection: Connection, app_key: str, kind: str, *values: object, delete_media: bool = False
    ) -> UUID:
        now = self._clock.now()
        id_ = new_request_id(now)
        await store.insert_job(connection, id_, app_key, kind, *values, delete_media, now)
        return id_

    async def get(self, app_key: str, id_: UUID) -> Job:
        """A job; NotFound where the app has none of this id."""
        async with self._database.reading() as connection:
            found = await store.get_job(connection, app_key, id_)
        if found is None:
            raise NotFound("There is no clean request of this requestId.")
        return found

    async def cancel(self, app_key: str, id_: UUID, *, by: str | None, reason: str | None) -> None:
        """Stop a clean of all channels, and undo what it did as far as the undo windows allow.

        Conflict where it is done and nothing of it can be undone any more. Cancelled already: nothing is changed.
        """
        if (await self.get(app_key, id_)).kind != "clean-user":
            raise Conflict("A recall is final: it cannot be undone.")
        async with self._database.writing() as connection:
            # a step holds this lock until it has written what it did
            job = await store.lock_job(connection, id_)
            if job is None or job.state == "cancelled":
                return
            now = self._clock.now()
            if job.state == "done" and not await store.list_requests_of_job(connection, id_, now, 1):
                raise Conflict(
                    "This clean can no longer be undone: it is done, and none of its requests is in its undo window."
                )
            await store.cancel_job(connection, id_, now=now, by=by, reason=reason)

    async def work(self) -> int:
        """One step of each job that nobody works on; how many steps. Again while it is not 0."""
        now = self._clock.now()
        async with self._database.writing() as connection:
            leased = await store.lease_jobs(connection, now, now + LEASE, _MOST_JOBS)
        for job in leased:
            if job.state == "cancelled":
                await self._undo(job)
            elif job.kind == "clean-user":
                await self._database.retrying(partial(self._clean, job))
            else:
                await self._database.retrying(partial(self._recall, job))
        return len(leased)

    async def _clean(self, job: Job) -> None:
        async with self._database.writing() as connection:
            await apps_store.share_apps(connection, [job.app_key])
            locked = await self._locked(connection, job)
            if locked is None:
                return
            [user_id] = locked.user_ids
            rows = await store.delete_next_step(connection, locked.id)
            drafts = [
                (
                    row["channel_id"],
                    CleanDraft(
                        channel=ChannelKey(locked.app_key, ChannelType(row["type"]), tuple(row["key"])),
                        user_id=user_id,
                        operator=None,
                        before=row["before"],
                        delete_compensated=locked.delete_compensated,
                        undo_seconds=locked.undo_seconds,
                        reason=locked.reason,
                        source=locked.source,
                        job_id=locked.id,
                        delete_media=locked.delete_media,
                    ),
                )
                for row in rows
            ]
            if rows:
                await self._cleans.write(connection, drafts)
            last = locked.done + len(rows) >= (locked.total or 0)
            await self._advance(connection, locked, len(rows), locked.after, last=last)

    async def _recall(self, job: Job) -> None:
        async with self._database.writing() as connection:
            await apps_store.share_app(connection, job.app_key)
            locked = await self._locked(connection, job)
            if locked is None or locked.channel_id is None:
                return
            positions = await store.list_positions_by_sender(
                connection,
                locked.channel_id,
                locked.user_ids,
                locked.after,
                locked.before,
                MESSAGES_A_STEP,
            )
            for position in positions:
                await messages_store.recall(connection, locked.channel_id, position, now=self._clock.now())
            after = positions[-1] if positions else locked.after
            await self._advance(
                connection, locked, len(positions), after, last=len(positions) < MESSAGES_A_STEP
            )

    async def _undo(self, job: Job) -> None:
        now = self._clock.now()
        async with self._database.reading() as connection:
            requests = await store.list_requests_of_job(connection, job.id, now, CHANNELS_A_STEP)
        for channel_id, id_ in requests:
            try:
                await self._cleans.cancel(
                    job.app_key,
                    channel_id,
                    id_,
                    by=job.cancelled_by,
                    reason=job.cancel_reason or "its job was cancelled",
                )
            except Conflict:
                # its undo window ended meanwhile
                continue
        async with self._database.writing() as connection:
            done = len(requests) < CHANNELS_A_STEP
            await store.update_job(
                connection, job.id, job.done, job.after, "cancelled", now if done else None, 0
            )

    async def _locked(self, connection: Connection, job: Job) -> Job | None:
        locked = await store.lock_job(connection, job.id)
        return locked if locked is not None and locked.state == "running" else None

    async def _advance(self, connection: Connection, job: Job, more: int, after: int, *, last: bool) -> None:
        await store.update_job(
            connection,
            job.id,
            job.done + more,
            after,
            "done" if last else "running",
            self._clock.now() if last else None,
            0,
        )

"""A job, and how far it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from history.axis import SECOND
from history.cursors import NotOurs, job_id, read_job_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job and how far it came. Instants are microseconds."""

    id: UUID
    app_key: str
    kind: str
    state: str
    user_ids: Sequence[str]
    channel_id: int | None
    before: int
    delete_compensated: bool | None
    delete_media: bool
    undo_seconds: int | None
    reason: str | None
    source: str
    done: int
    total: int | None
    after: int
    created_at: int
    finished_at: int | None
    cancelled_at: int | None
    cancelled_by: str | None
    cancel_reason: str | None

    @property
    def public_id(self) -> str:
        """The id as the outside sees it."""
        return job_id(self.id.bytes)

    def rate(self, now: int) -> float:
        """Done a second."""
        return self.done * SECOND / max(1, (self.finished_at or now) - self.created_at)

    def seconds_left(self, now: int) -> int | None:
        """How long it will take at this rate; None where nobody knows."""
        rate = self.rate(now)
        if self.finished_at is not None:
            return 0
        return None if self.total is None or not rate else int((self.total - self.done) / rate)


def read_public_id(public_id: str) -> UUID | None:
    """The job that the id names; None where it names none."""
    try:
        return UUID(bytes=read_job_id(public_id))
    except NotOurs:
        return None

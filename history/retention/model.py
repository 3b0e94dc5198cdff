"""Clean requests, their cutoffs, and what a floor is made of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from history.axis import MILLISECOND, NEVER, SECOND
from history.channels.model import ChannelKey
from history.cursors import request_id
from history.delivery.model import Reach

_AGAIN = 60 * SECOND
EVERYONE = ""
"""Stands where a user's id would: no user's id is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanDraft:
    """A clean on its way into the journal."""

    channel: ChannelKey
    user_id: str
    """Whose history; EVERYONE: everyone's."""
    operator: str | None
    """Who asked, where it is somebody else."""
    before: int
    """The position that sentAt stands for; NEVER where all is to go."""
    delete_compensated: bool | None
    """None: as the app's setting has it at acceptance."""
    undo_seconds: int | None = None
    """None: as the app's setting has it at acceptance."""
    job_id: UUID | None = None
    """The job that asked, where one did."""
    delete_media: bool = False
    """Whether the files that the messages refer to are given up too."""
    reason: str | None
    source: str


def cutoff_before(sent_at: int | None) -> int:
    """The highest cutoff that a clean of messages before this millisecond may have."""
    return NEVER if sent_at is None else sent_at * MILLISECOND


class Pair(NamedTuple):
    """Whose marks a clean raises: one user's in one channel, or everyone's. Redis holds pairs, nothing else."""

    app_key: str
    channel_id: int
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A clean that is in the journal, and so in force."""

    request_id: str
    pair: Pair
    cutoff: int


class Cutoffs(NamedTuple):
    """What some requests of one pair amount to: cutoffs of one kind merge by max."""

    history: int
    sync: int
    """0 where none of them carries the flag."""
    media: int
    """0 where none of them gives up the files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journalled:
    """A row of the journal, as far as applying and settling need it."""

    pair: Pair
    id: UUID
    cutoff: int
    delete_compensated: bool
    delete_media: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelling:
    """A request that somebody wants undone."""

    pair: Pair
    state: str
    undo_until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyReport:
    """What one round of applying did."""

    applied: int
    """Requests that are in the marks now and were not before."""
    forged: Sequence[Pair]
    """Pairs that came with a score above every cutoff in the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The lowest needed positions below the end of a batch, rule by rule; NEVER where a rule needs nothing there."""

    history: int
    missed: int
    compensated: int
    end: int
    """Where the batch ends: no message at or above it was looked at."""
    tip: int
    """Where the channel ended then; the batch was its last one if it ends there."""
    expires_at: int | None
    """When an open channel ends by itself."""
    max_age: int | None
    """How old a message may be by policy; None where there is none."""
    held: bool
    """Whether a hold covers the channel: then all of it is needed."""
    uncounted: bool
    """Whether a receipt is still to be counted here: until then all that it tells of stays."""

    @property
    def position(self) -> int:
        """Messages below it nobody may still be given."""
        return (
            0 if self.held or self.uncounted else min(self.history, self.missed, self.compensated, self.end)
        )

    @property
    def found(self) -> bool:
        """Whether somebody needs a message of this batch, or no other batch follows: no more can go."""
        return self.position < self.end or self.end >= self.tip

    def next_look(self, reach: Reach, *, missed_for: int, now: int) -> int | None:
        """The next instant at which time alone may raise it; None where only an event can.

        A message of history waits for an event, or for the policy's age. A missed one expires; a compensated one leaves
        the window when it moves. A hold waits for its release.
        """
        if self.held:
            return None
        if self.uncounted:
            return now + _AGAIN
        instants = [] if self.expires_at is None else [self.expires_at]
        if self.max_age is not None:
            # what is not there yet, or was not looked at, cannot be too old before its age has passed
            instants.append(min(self.history, now) + self.max_age + 1)
        if min(self.history, self.end) != self.position:
            if self.missed == self.position:
                instants.append(self.missed + missed_for + 1)
            if self.compensated == self.position:
                instants.append(reach.window_moves_at)
        return min(instants, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReclaimReport:
    """What one visit to a channel did."""

    app_key: str
    channel_id: int
    deleted: int
    finished: bool
    """False: it was left before its end, and stays due."""


class Overtaken(Exception):
    """Somebody else was at these requests first."""


class MonthInUse(Exception):
    """A month cannot be locked, or not looked through, as quickly as others can wait."""


class LeaseLost(Exception):
    """Another worker has claimed the channel: nothing more may be done there by this one."""


def new_request_id(now: int) -> UUID:
    """48 bits of time in ms and 74 random ones (a UUID of version 7), so that new rows lie side by side in the index."""
    random = int.from_bytes(os.urandom(10), "big")
    value = (now // MILLISECOND & (1 << 48) - 1) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def public_request_id(channel_id: int, id_: UUID) -> str:
    """The id of a clean request as the outside sees it."""
    return request_id(channel_id, id_.bytes)


def merged(rows: Sequence[Journalled]) -> dict[Pair, Cutoffs]:
    """The cutoffs that some rows of the journal amount to, pair by pair, in the order of channels and users."""
    found: dict[Pair, Cutoffs] = {}
    for row in rows:
        it = Cutoffs(
            history=row.cutoff,
            sync=row.cutoff if row.delete_compensated else 0,
            media=row.cutoff if row.delete_media else 0,
        )
        before = found.get(row.pair)
        found[row.pair] = it if before is None else Cutoffs(*map(max, before, it))
    return found


WAITING_PAIRS = "tidemark:cleans"
"""The sorted set in Redis: pairs that have work, the highest cutoff as score. It may be lost at any moment."""


def queue_member(pair: Pair) -> str:
    """A pair as a member of the sorted set; the user comes last because his id may hold anything."""
    return f"{pair.app_key}:{pair.channel_id}:{pair.user_id}"


def read_queue_member(text: str) -> Pair | None:
    """The pair, or None where somebody else wrote this."""
    app_key, _, rest = text.partition(":")
    channel_id, colon, user_id = rest.partition(":")
    if (
        not colon
        or len(channel_id) > len(str(NEVER))
        or not channel_id.isascii()
        or not channel_id.isdigit()
        or int(channel_id) > NEVER
        or "\x00" in text
    ):
        return None
    return Pair(app_key, int(channel_id), user_id)

"""Holds and retention policies."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from history.channels.model import ChannelKey, ChannelType

MOST_PREVIEWED = 100_000
"""A preview of a policy counts messages up to here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Nothing that it covers is deleted or emptied."""

    id: UUID
    app_key: str
    channel: ChannelKey | None
    user_id: str | None
    reason: str
    created_at: int

    @property
    def kind(self) -> str:
        """What it covers: a channel, a user with all channels where he is or was, or the app."""
        if self.channel is not None:
            return "channel"
        return "user" if self.user_id is not None else "app"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a policy is about: the app (no type), a channel type, or one channel (groups and open channels)."""

    app_key: str
    type: ChannelType | None = None
    channel_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortening:
    """What a shorter policy would take from view, and in the end from disk."""

    messages: int
    channels: int
    complete: bool
    """False: more than is counted; the numbers are at least so many."""

    def confirmation(self, scope: Scope, max_age_days: int) -> str:
        """What has to be sent back to have it done: it stands for these numbers and this policy."""
        parts = (scope.app_key, scope.type, scope.channel_id, max_age_days, self.messages, self.channels)
        return sha256(":".join(map(str, parts)).encode()).hexdigest()[:32]

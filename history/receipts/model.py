"""Receipts, previews, explanations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

from history.axis import MILLISECOND, NEVER
from history.channels.model import ChannelKey, ChannelType
from history.messages.model import Flags
from history.retention.model import EVERYONE

MOST_PREVIEWED = 100_000
"""A preview counts up to here in the request."""
STATES = ("accepted", "applied", "settled", "reclaimed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What a clean hid, and what of it is kept for other reasons."""

    hidden: int
    kept_missed: int
    kept_compensation: int
    kept_held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A clean request and what it did. Instants are microseconds."""

    channel_id: int
    id: UUID
    channel: ChannelKey
    user_id: str
    operator: str | None
    state: str
    cutoff: int
    accepted_at: int
    applied_at: int | None
    settled_at: int | None
    undo_until: int
    reason: str | None
    source: str
    delete_compensated: bool
    delete_compensated_from: str
    delete_media: bool
    cancelled_at: int | None
    cancelled_by: str | None
    cancel_reason: str | None
    numbers: Numbers | None
    """None until they are counted, and for good where they never can be: cancelled before, or applied before schema 3."""
    reclaimed_messages: int | None
    """Of those it hid, how many are gone from disk; None until they are counted."""
    reclaimed_files: int | None
    """How many files went with it, where it gave them up; None until it is counted."""
    reclaimed_bytes: int | None

    @property
    def for_everyone(self) -> bool:
        """Whether it concerns everyone, not one user."""
        return self.user_id == EVERYONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a clean would do now."""

    cutoff: int
    numbers: Numbers
    reclaimed_files: int = 0
    """How many files would go with it in the end, where it gives them up, if nothing else happened."""
    reclaimed_bytes: int = 0
    complete: bool
    """False: more messages, or references to files, than a preview counts; the numbers are at least so many."""

    @property
    def hash(self) -> str:
        """The same for the same cutoff and numbers."""
        numbers = self.numbers
        parts = (
            self.cutoff,
            numbers.hidden,
            numbers.kept_missed,
            numbers.kept_compensation,
            numbers.kept_held,
            self.reclaimed_files,
            self.reclaimed_bytes,
        )
        return sha256(":".join(map(str, parts)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which receipts a list is about. None: any."""

    app_key: str
    user_id: str | None = None
    channel_id: int | None = None
    state: str | None = None
    first: int = 0
    end: int = NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that decides about one message for one user."""

    position: int
    type: ChannelType
    exists: bool
    on_disk: bool
    reclaimed_to: int
    held: bool
    ended: bool
    policy_from: int
    participant: bool
    join_position: int
    history_cutoff: int
    sync_cutoff: int
    delivered_position: int
    device_position: int
    missed_from: int
    window_from: int
    own: bool
    addressed: bool
    flags: int
    recalled: bool
    hidden_by_id: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one rule says of one message, and the value that decided."""

    outcome: str
    """shown, hidden, kept or gone."""
    rule: str
    because: str


def _at(position: int) -> str:
    """An instant as a person reads it, to the millisecond."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=position // MILLISECOND)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _hidden(rule: str, because: str) -> Verdict:
    return Verdict(outcome="hidden", rule=rule, because=because)


def _never_his(facts: Facts) -> Verdict | None:
    """Why no rule gives the message to the user, whatever was cleaned."""
    if not facts.on_disk:
        if facts.exists and facts.position < facts.reclaimed_to:
            return Verdict(
                outcome="gone",
                rule="reclaimed",
                because="It was deleted: nobody was to be given it any more.",
            )
        return Verdict(outcome="gone", rule="unknown", because="There is no such message in this channel.")
    if facts.type is not ChannelType.OPEN and not facts.participant:
        return _hidden("participant", "The user takes no part in this channel, or has left it.")
    if facts.recalled:
        return _hidden("recalled", "It was recalled for everyone.")
    if facts.position < facts.join_position:
        return _hidden("joined", f"The user joined at {_at(facts.join_position)} and reads from there on.")
    if facts.own and not facts.flags & Flags.ECHOED:
        return _hidden("echo", "The user sent it himself, and it was not echoed to him.")
    if not facts.own and not facts.addressed:
        return _hidden("addressed", "It was sent to other users of this channel.")
    return None


def history_verdict(facts: Facts) -> Verdict:
    """The History rule in words."""
    if never := _never_his(facts):
        return never
    if not facts.flags & Flags.PERSISTED:
        return _hidden("stored", "It was sent with shouldPersist 0, or while the app stored no history.")
    if facts.hidden_by_id:
        return _hidden("hidden", "The user deleted it by its id.")
    if facts.type is ChannelType.OPEN and facts.ended:
        return _hidden("ended", "The channel was destroyed or has expired.")
    if facts.position < facts.history_cutoff:
        return _hidden("cleaned", f"A clean took everything before {_at(facts.history_cutoff)}.")
    if facts.position < facts.policy_from:
        return _hidden("policy", f"The retention policy shows nothing from before {_at(facts.policy_from)}.")
    return Verdict(outcome="shown", rule="history", because="It stands in the user's history.")


def missed_verdict(facts: Facts) -> Verdict:
    """The Missed rule in words."""
    if never := _never_his(facts):
        return never
    if facts.type is ChannelType.OPEN:
        return _hidden("open", "Open channels have no missed messages.")
    if facts.own:
        return _hidden("sender", "The user sent it himself.")
    if facts.flags & Flags.SILENT:
        return _hidden("imported", "It was imported, not sent.")
    if facts.position <= facts.delivered_position:
        return _hidden(
            "delivered", f"A device of the user received everything up to {_at(facts.delivered_position)}."
        )
    if facts.position < facts.missed_from:
        return _hidden("expired", f"Missed messages from before {_at(facts.missed_from)} have expired.")
    return Verdict(
        outcome="shown",
        rule="missed",
        because="No device of the user has received it: the next sync gives it.",
    )


def compensation_verdict(facts: Facts) -> Verdict:
    """The Compensation rule in words, for the device, or for one that has nothing."""
    if never := _never_his(facts):
        return never
    if facts.type is ChannelType.OPEN:
        return _hidden("open", "Open channels have no compensation.")
    if facts.window_from == NEVER:
        return _hidden("off", "The app has multi-device sync or compensation switched off.")
    if facts.flags & Flags.SILENT:
        return _hidden("imported", "It was imported, not sent.")
    if facts.hidden_by_id:
        return _hidden("hidden", "The user deleted it by its id.")
    if facts.position < facts.window_from:
        return _hidden("window", f"The compensation window begins at {_at(facts.window_from)}.")
    if facts.position < facts.sync_cutoff:
        return _hidden(
            "cleaned", f"A clean that deletes compensation took everything before {_at(facts.sync_cutoff)}."
        )
    if not facts.own and facts.position > facts.delivered_position and facts.position >= facts.missed_from:
        return _hidden("missed", "It is given as a missed message.")
    if facts.position <= facts.device_position:
        return _hidden("received", f"The device has received everything up to {_at(facts.device_position)}.")
    return Verdict(
        outcome="shown", rule="compensation", because="It lies in the window and the device lacks it."
    )


def disk_verdict(facts: Facts) -> Verdict:
    """Where the message is physically."""
    if not facts.on_disk:
        return _never_his(facts) or Verdict(outcome="gone", rule="unknown", because="It is not there.")
    if facts.held:
        return Verdict(
            outcome="kept", rule="hold", because="A hold keeps everything in this channel on disk."
        )
    if facts.position < facts.reclaimed_to:
        return Verdict(
            outcome="kept", rule="granted", because="Nobody needs it any more: it is about to be deleted."
        )
    return Verdict(
        outcome="kept",
        rule="floor",
        because="It, or an older message of this channel, may still be given to somebody, or waits for an undo window.",
    )

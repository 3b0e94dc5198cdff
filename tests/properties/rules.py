"""The four rules of DESIGN.md section 3 over the model: what each may be given, and what must stay on disk."""

from __future__ import annotations

from typing import NamedTuple

from tests.properties.model import Model
from tests.properties.state import ENDLESS, EVERYONE, OPEN, Channel, Conversation, Cursor, Marks, Sent

MISSED, COMPENSATION = "missed", "compensation"
NEW_DEVICE = "a device that has nothing"
ANYONE = Conversation()
"""Who reads an open channel: no marks of his own."""


class Given(NamedTuple):
    """A message as a device is given it."""

    channel: int
    position: int
    sender: str
    content: str
    origin: str


class Notice(NamedTuple):
    """A clean as a device hears of it."""

    channel: int
    cutoff: int
    everyone: bool
    restored: bool


class TakenBack(NamedTuple):
    """A recall as a device hears of it."""

    channel: int
    stamp: int
    position: int


class Page(NamedTuple):
    """What one sync answers."""

    cleans: list[Notice]
    recalls: list[TakenBack]
    messages: list[Given]
    cursor: Cursor
    more: bool


def history(model: Model, channel_id: int, user: str) -> list[int]:
    """The positions of what the user reads there, newest first."""
    channel = model.channels.get(channel_id)
    conversation = _taking_part(channel, user)
    if channel is not None and channel.type == OPEN:
        conversation = ANYONE  # by the channel's cutoffs alone
    if channel is None or conversation is None or (channel.type == OPEN and model.ended(channel)):
        return []
    first = max(*_history_cutoffs(model, channel_id, user), model.policy_from(channel))
    return [
        at
        for at, message in reversed(channel.messages.items())
        if at >= first and shown(message, user, conversation)
    ]


def history_page(model: Model, channel_id: int, user: str, *, below: int, most: int) -> list[int]:
    """A page of it, extended over the last millisecond it touches."""
    found = [at for at in history(model, channel_id, user) if at < below]
    return [at for at in found if len(found) <= most or at // 1000 >= found[most - 1] // 1000]


def sync(model: Model, user: str, device: str) -> list[Given]:
    """Everything that a device is to be given, channel by channel, ascending."""
    return [
        Given(channel_id, message.position, message.sender, message.content, origin)
        for channel_id, channel in sorted(model.channels.items())
        for message in channel.messages.values()
        if (origin := _origin(model, channel_id, message, user, device)) is not None
    ]


def notices(model: Model, user: str, device: str) -> list[Notice]:
    """The channels whose effective history cutoff differs from what the device was told."""
    found = []
    for channel_id, channel in sorted(model.channels.items()):
        if _taking_part(channel, user) is None:
            continue
        everyone, own = _history_cutoffs(model, channel_id, user)
        cutoff = max(everyone, own)
        mark = model.devices.get((channel_id, user, device))
        told = mark.told if mark else 0
        if cutoff != told:
            found.append(Notice(channel_id, cutoff, everyone=everyone > own, restored=cutoff < told))
    return found


def taken_back(model: Model, user: str, device: str) -> list[TakenBack]:
    """Recalls that the device was not told of: of what the user sent, and of what was addressed to him while he took part.

    DESIGN.md says that devices learn of a recall, not which: who has left does, and of what was before somebody came again
    does the device that had received it.
    """
    found = []
    for channel_id, channel in sorted(model.channels.items()):
        if (at := channel.conversations.get(user)) is None:
            continue
        mark = model.devices.get((channel_id, user, device))
        for stamp, recalled in enumerate(channel.recalls, 1):
            held = at.joined <= recalled.position or (mark is not None and recalled.position <= mark.position)
            there = held and recalled.position < (ENDLESS if at.left is None else at.left)
            his = recalled.to is None or user in recalled.to
            if (user == recalled.sender or (there and his)) and stamp > (mark.told_recall if mark else 0):
                found.append(TakenBack(channel_id, stamp, recalled.position))
    return found


def page(model: Model, user: str, device: str, *, limit: int, cursor: Cursor | None) -> Page:
    """One page: first the cleans, then the recalls, then messages after the cursor, `limit` of all together."""
    after = cursor.after if cursor and cursor.after else (0, 0)
    cleans = notices(model, user, device)[:limit]
    recalls = taken_back(model, user, device)[: limit - len(cleans)]
    left = limit - len(cleans) - len(recalls)
    rest = [given for given in sync(model, user, device) if (given.channel, given.position) > after]
    messages = rest[:left]
    # a page full of notices does not say whether messages follow
    more = len(messages) < len(rest) or left == 0
    if messages:
        after = (messages[-1].channel, messages[-1].position)
    told = tuple((clean.channel, clean.cutoff) for clean in cleans)
    stamps = tuple({recall.channel: recall.stamp for recall in recalls}.items())
    return Page(cleans, recalls, messages, Cursor(told, stamps, after if more else None), more)


def floor(model: Model, channel_id: int) -> int:
    """The lowest position that somebody may still be given, by settled cutoffs; where nobody may, the channel's end.

    Nothing goes under a hold, nor before all receipts of the channel are counted.
    """
    channel = model.channels[channel_id]
    waits = any(at.channel == channel_id and at.state == "applied" and not at.counted for at in model.journal)
    if waits or model.held(channel):
        return 0
    return min(needed(model, channel_id), default=channel.last + 1)


def needed(model: Model, channel_id: int) -> list[int]:
    """The positions of what somebody may still be given."""
    channel = model.channels[channel_id]
    if channel.type == OPEN:
        # of anyone, and for its history alone
        first = max(channel.everyone.settled_history, model.policy_from(channel))
        if model.ended(channel):
            first = channel.last + 1
        return [at for at, message in channel.messages.items() if at >= first and _is_history(message)]
    return [
        at
        for at, message in channel.messages.items()
        if any(
            _needs(model, channel, message, user, channel.conversations[user]) for user in channel.members()
        )
    ]


def editable(model: Model, channel_id: int, position: int) -> str | None:
    """The sender of a message that its channel still shows to everybody, whatever single users read."""
    channel = model.channels[channel_id]
    message = channel.messages.get(position)
    first = max(
        *_history_cutoffs(model, channel_id, EVERYONE), model.policy_from(channel), channel.reclaimed_to
    )
    over = channel.type == OPEN and model.ended(channel)
    return None if message is None or message.recalled or position < first or over else message.sender


def waits_for_others(model: Model, channel_id: int, position: int) -> bool:
    """Whether somebody but its sender may be given the message."""
    channel = model.channels[channel_id]
    message = channel.messages[position]
    if channel.type == OPEN:
        return position in needed(model, channel_id)
    return any(
        _needs(model, channel, message, user, channel.conversations[user])
        for user in channel.members()
        if user != message.sender
    )


def _needs(model: Model, channel: Channel, message: Sent, user: str, conversation: Conversation) -> bool:
    settled = max(conversation.marks.settled_history, channel.everyone.settled_history)
    history_from = max(settled, model.policy_from(channel))
    sync_from = max(conversation.marks.settled_sync, channel.everyone.settled_sync)
    return (
        (message.position >= history_from and shown(message, user, conversation))
        or is_missed(model, channel, message, user, conversation)
        or (message.position >= sync_from and may_be_compensated(model, channel, message, user, conversation))
    )


def _origin(model: Model, channel_id: int, message: Sent, user: str, device: str) -> str | None:
    channel = model.channels[channel_id]
    conversation = _taking_part(channel, user)
    if conversation is None:
        return None
    if is_missed(model, channel, message, user, conversation):
        return MISSED
    mark = model.devices.get((channel_id, user, device))
    sync_from = max(
        conversation.marks.sync,
        channel.everyone.sync,
        *(model.live(channel_id, whose, flagged=True) for whose in (user, EVERYONE)),
    )
    lacking = message.position > (mark.position if mark else 0)
    in_force = message.position >= sync_from
    if lacking and in_force and may_be_compensated(model, channel, message, user, conversation):
        return COMPENSATION
    return None


def is_missed(model: Model, channel: Channel, message: Sent, user: str, conversation: Conversation) -> bool:
    """The rule Missed; no cutoff has a say here."""
    return (
        channel.type != OPEN
        and message.sender != user
        and _addressed(message, user)
        and not (message.recalled or message.silent)
        and message.position > conversation.delivered
        and message.position >= max(model.missed_from(), conversation.joined)
    )


def may_be_compensated(
    model: Model, channel: Channel, message: Sent, user: str, conversation: Conversation
) -> bool:
    """The rule Compensation, cutoffs and a device's own mark apart."""
    if channel.type == OPEN or message.recalled or message.silent or message.position in conversation.hidden:
        return False
    if message.position < max(model.window_from(), conversation.joined):
        return False
    if message.sender == user:
        return message.echoed
    return _addressed(message, user) and not is_missed(model, channel, message, user, conversation)


def shown(message: Sent, user: str, conversation: Conversation) -> bool:
    """The rule History, cutoffs apart."""
    for_him = message.echoed if message.sender == user else _addressed(message, user)
    there = message.position >= conversation.joined and message.position not in conversation.hidden
    return _is_history(message) and for_him and there


def _is_history(message: Sent) -> bool:
    return message.persisted and not message.recalled


def _addressed(message: Sent, user: str) -> bool:
    return message.to is None or user in message.to


def _history_cutoffs(model: Model, channel_id: int, user: str) -> tuple[int, int]:
    # (everyone's, the user's): applied, and accepted but not yet applied
    channel = model.channels[channel_id]
    conversation = channel.conversations.get(user, ANYONE)
    both: list[tuple[Marks, str]] = [(channel.everyone, EVERYONE), (conversation.marks, user)]
    everyone, own = (max(marks.history, model.live(channel_id, whose)) for marks, whose in both)
    return everyone, own


def _taking_part(channel: Channel | None, user: str) -> Conversation | None:
    conversation = channel.conversations.get(user) if channel else None
    return conversation if conversation and conversation.left is None else None

"""The numbers of receipts, previews and explanations, counted over the model message by message and viewer by viewer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tests.properties import rules
from tests.properties.days import DAY
from tests.properties.model import Model
from tests.properties.state import (
    ENDLESS,
    EVERYONE,
    OPEN,
    Channel,
    Conversation,
    Numbers,
    PairKey,
    Request,
    Scope,
)

GONE, KEPT, SHOWN, HIDDEN = "gone", "kept", "shown", "hidden"


class Plan(NamedTuple):
    """What a clean would do now."""

    cutoff: int
    numbers: Numbers


def cutoff(model: Model, channel_id: int, wanted: int) -> int:
    """A clean takes what is there when it is accepted, at most."""
    channel = model.channels.get(channel_id)
    return min(wanted, (channel.last if channel else 0) + 1)


def flag(model: Model, word: bool | None) -> bool:
    """Whether a clean deletes compensation: by its own word, else by the app's setting."""
    return model.settings.delete_compensated_on_clean if word is None else word


def of_request(model: Model, request: Request) -> tuple[Numbers, frozenset[int]]:
    """What a request does if it is applied now, with those that came before it in force; and which messages it hides."""
    before = [
        other
        for other in model.journal
        if other.accepted_at < request.accepted_at and other.state != "cancelled"
    ]
    pair = PairKey(request.channel, request.user)
    return _counted(model, pair, request.cutoff, before, flagged=request.flag)


def plan(model: Model, pair: PairKey, *, sent_at: int | None, word: bool | None) -> Plan:
    """What a clean would do that is asked for and applied now."""
    before = [other for other in model.journal if other.state != "cancelled"]
    wanted = ENDLESS if sent_at is None else sent_at * 1000
    highest = cutoff(model, pair.channel, wanted)
    numbers, _ = _counted(model, pair, highest, before, flagged=flag(model, word))
    return Plan(highest, numbers)


def state(model: Model, request: Request) -> str:
    """A settled request is reclaimed when nothing below its cutoff is on disk."""
    there = _messages(model, request.channel)
    gone = request.state == "settled" and not any(at < request.cutoff for at in there)
    return "reclaimed" if gone else request.state


def reclaimed(model: Model, request: Request) -> int | None:
    """Of what a request hid, how much is gone from disk; None until it is counted. What was undone hid nothing."""
    if request.state == "cancelled" and request.counted:
        return 0
    return len(request.hid - _messages(model, request.channel)) if request.counted else None


def explanation(model: Model, channel_id: int, at: int, user: str, device: str) -> dict[str, str]:
    """What each of the rules says of a message for a user and his device."""
    if at not in _messages(model, channel_id):
        return dict.fromkeys(("history", "missed", "compensation", "disk"), GONE)
    given = {one.position: one.origin for one in rules.sync(model, user, device) if one.channel == channel_id}
    really = {
        "history": at in rules.history(model, channel_id, user),
        "missed": given.get(at) == rules.MISSED,
        "compensation": given.get(at) == rules.COMPENSATION,
    }
    return {name: SHOWN if shown else HIDDEN for name, shown in really.items()} | {"disk": KEPT}


def taken_by_policy(model: Model, scope: Scope, after: int, before: int | None) -> tuple[int, int]:
    """(messages, channels) that a shorter age takes from everyone's view: where no narrower policy decides."""
    first = 0 if before is None else model.now - before * DAY
    end = model.now - after * DAY
    found = []
    for channel in model.channels.values():
        levels = [model.scope_of(channel), Scope(channel.type), Scope()]
        if scope not in levels or any(level in model.policies for level in levels[: levels.index(scope)]):
            continue
        found.append(
            sum(
                max(first, channel.everyone.settled_history) <= at < end
                and message.persisted
                and not message.recalled
                for at, message in channel.messages.items()
            )
        )
    return sum(found), sum(count > 0 for count in found)


def _counted(
    model: Model, pair: PairKey, below: int, before: Sequence[Request], *, flagged: bool
) -> tuple[Numbers, frozenset[int]]:
    channel = model.channels.get(pair.channel)
    if channel is None:
        return Numbers(), frozenset()
    hid, missed, compensated = set(), set(), set()
    for user, conversation in _viewers(channel, pair.user):
        mine = [one for one in before if one.channel == pair.channel and one.user in (user, EVERYONE)]
        history_from = max(_reads_from(model, channel), _highest(mine))
        sync_from = max(
            channel.emptied_to, _highest(one for one in mine if one.flag), below if flagged else 0
        )
        for at, message in channel.messages.items():
            if at < below and at >= history_from and rules.shown(message, user, conversation):
                hid.add(at)
            if rules.is_missed(model, channel, message, user, conversation):
                missed.add(at)
            if at >= sync_from and rules.may_be_compensated(model, channel, message, user, conversation):
                compensated.add(at)
    held = len(hid) if model.held(channel) else 0
    return Numbers(len(hid), len(hid & missed), len(hid & compensated), held), frozenset(hid)


def _viewers(channel: Channel, user: str) -> list[tuple[str, Conversation]]:
    # those whose history it is about; of an open channel, anyone
    if channel.type == OPEN:
        return [(EVERYONE, rules.ANYONE)] if user == EVERYONE else []
    members = [one for one in channel.members() if user in (EVERYONE, one)]
    return [(one, channel.conversations[one]) for one in members]


def _reads_from(model: Model, channel: Channel) -> int:
    ends = channel.last + 1 if channel.type == OPEN and model.ended(channel) else 0
    return max(channel.emptied_to, model.policy_from(channel), ends)


def _highest(requests: Iterable[Request]) -> int:
    return max((request.cutoff for request in requests), default=0)


def _messages(model: Model, channel_id: int) -> set[int]:
    channel = model.channels.get(channel_id)
    return set(channel.messages) if channel else set()

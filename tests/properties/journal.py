"""The journal of the model: what becomes of a clean request, and what the worker does."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from tests.properties import receipts
from tests.properties.days import DAY, SECOND
from tests.properties.model import Model
from tests.properties.state import (
    ENDLESS,
    EVERYONE,
    FORGOTTEN_AFTER,
    Applied,
    Job,
    Marks,
    PairKey,
    Request,
)


def accept(
    model: Model,
    id_: UUID,
    pair: PairKey,
    *,
    sent_at: int | None,
    flag: bool | None,
    media: bool,
    undo: int | None,
    at: int | None = None,
) -> Request:
    """A clean enters the journal; its cutoff and its flag never change. No two come at the same instant."""
    wanted = ENDLESS if sent_at is None else sent_at * 1000
    return accept_before(model, id_, pair, wanted, flag=flag, media=media, undo=undo, at=at)


def accept_before(
    model: Model,
    id_: UUID,
    pair: PairKey,
    wanted: int,
    *,
    flag: bool | None,
    media: bool,
    undo: int | None,
    at: int | None = None,
) -> Request:
    """The same, the cutoff at most a position."""
    model.accepted_at = at or max(model.now, model.accepted_at + 1)
    seconds = model.settings.undo_seconds if undo is None else undo
    request = Request(
        id=id_,
        channel=pair.channel,
        user=pair.user,
        cutoff=receipts.cutoff(model, pair.channel, wanted),
        flag=receipts.flag(model, flag),
        flag_from="app" if flag is None else "request",
        media=media,
        accepted_at=model.accepted_at,
        undo_until=model.accepted_at + seconds * SECOND,
    )
    model.journal.append(request)
    return request


def announce(model: Model, member: bytes, request: Request) -> None:
    """Redis hears of the pair; a score only rises."""
    score, _ = model.waiting.get(member, (0.0, None))
    model.waiting[member] = (max(score, float(request.cutoff)), PairKey(request.channel, request.user))


def cancel(model: Model, request: Request, *, by: str | None, reason: str | None) -> bool:
    """Undo a request until its undo window is over; False later. What others ask for stays in force."""
    if request.state == "cancelled":
        return True
    if request.state == "settled" or model.now >= request.undo_until:
        return False
    request.state, request.cancelled = "cancelled", (model.now, by, reason)
    if marks := _marks(model, request):
        others = [
            other
            for other in model.journal
            if (other.channel, other.user) == (request.channel, request.user) and other.live
        ]
        flagged = [other.cutoff for other in others if other.flag]
        with_media = [other.cutoff for other in others if other.media]
        marks.history = max([marks.settled_history, *(other.cutoff for other in others)])
        marks.sync = max([marks.settled_sync, *flagged])
        marks.media = max([marks.settled_media, *with_media])
    return True


def apply_waiting(model: Model, most: int) -> tuple[Applied, list[bytes]]:
    """Take the pairs with the lowest scores out of Redis; what was done, and the members that are nobody's."""
    waiting = model.waiting
    taken = sorted(waiting, key=lambda member: (waiting[member][0], member))[:most]
    found = [waiting.pop(member) for member in taken]
    pairs = [(pair, score) for score, pair in found if pair is not None and score.is_integer()]
    # no clean has a fraction of a microsecond for a cutoff, nor an infinite one
    strangers = [
        member
        for member, (score, pair) in zip(taken, found, strict=True)
        if pair is None or not score.is_integer()
    ]
    forged = frozenset(pair for pair, score in pairs if score > _highest(model, pair))
    return Applied(_apply(model, [pair for pair, _ in pairs]), forged), strangers


def apply_forgotten(model: Model, after: int = FORGOTTEN_AFTER) -> int:
    """Apply pairs with a request that has waited too long, everything of theirs at once."""
    pairs = {
        PairKey(request.channel, request.user)
        for request in model.journal
        if request.state == "accepted" and request.accepted_at <= model.now - after
    }
    return _apply(model, pairs)


def count(model: Model) -> None:
    """All that was applied is counted now, so it may settle and what it told of may go."""
    for request in model.journal:
        request.counted = request.counted or request.state == "applied"


def settle(model: Model) -> int:
    """Requests that are applied, counted and past their undo window count for the floor; how many."""
    settled = 0
    for request in model.journal:
        # what was asked for before is applied before: receipts tell what was there
        waits = any(
            other.channel == request.channel
            and other.state == "accepted"
            and other.accepted_at < request.accepted_at
            for other in model.journal
        )
        if request.state == "applied" and request.counted and request.undo_until <= model.now and not waits:
            request.state, request.settled_at = "settled", model.now
            settled += 1
            if marks := _marks(model, request):
                marks.settled_history = max(marks.settled_history, request.cutoff)
                marks.settled_sync = max(marks.settled_sync, request.cutoff if request.flag else 0)
                marks.settled_media = max(marks.settled_media, request.cutoff if request.media else 0)
    return settled


def reclaim(model: Model, channel_id: int, floor: int) -> int:
    """Grant up to the floor and delete, and empty what was recalled and is not held; how many messages went."""
    channel = model.channels[channel_id]
    if model.ended(channel) and not channel.dismissed:
        channel.end()
    channel.reclaimed_to = max(channel.reclaimed_to, floor)
    gone = [position for position in channel.messages if position < channel.reclaimed_to]
    for position in gone:
        del channel.messages[position]
    if not model.held(channel):
        for at, message in channel.messages.items():
            if message.recalled:
                model.empty(channel_id, at)
    old = [user for user, noted in channel.senders.items() if noted < channel.reclaimed_to - DAY]
    for user in old:
        del channel.senders[user]
    return len(gone)


def work_on(model: Model, job: Job) -> list[PairKey]:
    """What a job has to do, all of it; the pairs for which it asks for a clean, in their order."""
    if job.finished:
        return []
    job.finished = True
    if job.state == "cancelled":
        for request in job.requests:
            cancel(model, request, by=None, reason="its job was cancelled")
        return []
    job.state = "done"
    if job.total is not None:
        job.done = job.total
        return [PairKey(id_, job.user) for id_ in sorted(job.befores)]
    if job.channel is not None and job.channel in model.channels:
        for at, message in list(model.channels[job.channel].messages.items()):
            if message.sender == job.user and at < job.before and not message.recalled:
                model.recall(job.channel, at, job.user, admin=True)
                job.done += 1
    return []


def _apply(model: Model, pairs: Collection[PairKey]) -> int:
    found = [at for at in model.journal if at.state == "accepted" and (at.channel, at.user) in pairs]
    for request in found:
        # before any mark rises
        request.numbers, request.hid = receipts.of_request(model, request)
    for request in found:
        request.state, request.applied_at = "applied", model.now
        request.counted = request.channel not in model.channels
        if marks := _marks(model, request):
            marks.history = max(marks.history, request.cutoff)
            marks.sync = max(marks.sync, request.cutoff if request.flag else 0)
            marks.media = max(marks.media, request.cutoff if request.media else 0)
    return len(found)


def _highest(model: Model, pair: PairKey) -> int:
    return max((r.cutoff for r in model.journal if (r.channel, r.user) == pair), default=-1)


def _marks(model: Model, request: Request) -> Marks | None:
    # no clean makes a channel or a participant
    channel = model.channels.get(request.channel)
    if channel is None:
        return None
    if request.user == EVERYONE:
        return channel.everyone
    conversation = channel.conversations.get(request.user)
    return conversation.marks if conversation else None

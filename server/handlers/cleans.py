"""Clean history, see what it did or would do, undo it; hide by id; explain."""

from __future__ import annotations

import asyncio

from history.apps.model import App
from history.axis import MILLISECOND, NEVER
from history.channels.model import ChannelType, channel_key
from history.errors import InvalidInput, TidemarkError
from history.jobs.model import Job, read_public_id
from history.receipts.model import Filter, Receipt, Verdict
from history.receipts.service import read_request_id
from history.retention.model import EVERYONE, Accepted, CleanDraft, cutoff_before, public_request_id
from server import parse
from server.calls import Call, Reply
from server.drafts import check_storage
from server.errors import answer
from server.services import Services
from server.wire import cleans as wire

REQUEST_ID_HEADER = "Clean-Request-Id"
_SECONDS_BELOW, _MICROSECONDS_FROM = 10**11, 10**14
_NOT_A_TIME = "must be a time in milliseconds since 1970, as digits."
_DEFAULT_PAGE = 20


async def clean_history(call: Call[wire.Clean]) -> Reply:
    """Clean the history of one user, or of everyone: in open channels always, in the others by scope."""
    app = call.app
    draft = _draft(app, call.body)
    await call.services.limits.admit_clean(app)
    accepted = await _accept(call.services, draft, plan_hash=call.body.planHash)
    return Reply(headers={REQUEST_ID_HEADER: accepted.request_id})


async def clean_batch(call: Call[wire.Batch]) -> Reply:
    """Up to 1,000 cleans, each accepted or refused by itself."""
    app = call.app

    async def one(item: wire.Clean) -> wire.BatchItem:
        try:
            draft = _draft(app, item)
            await call.services.limits.admit_clean(app)
            accepted = await _accept(call.services, draft, plan_hash=item.planHash)
        except TidemarkError as exc:
            return wire.BatchItem(answer(exc).code, str(exc), None)
        return wire.BatchItem(0, None, accepted.request_id)

    return Reply(result=wire.BatchDone(list(await asyncio.gather(*map(one, call.body.items)))))


async def preview_clean(call: Call[wire.Clean]) -> Reply:
    """What a clean would do now, without doing it."""
    plan = await call.services.receipts.preview(_draft(call.app, call.body))
    return Reply(
        result=wire.PlanView(
            cutoff=plan.cutoff,
            cutoffAt=plan.cutoff // MILLISECOND,
            hidden=plan.numbers.hidden,
            keptMissed=plan.numbers.kept_missed,
            keptCompensation=plan.numbers.kept_compensation,
            keptHeld=plan.numbers.kept_held,
            reclaimedFiles=plan.reclaimed_files,
            reclaimedBytes=plan.reclaimed_bytes,
            complete=plan.complete,
            planHash=plan.hash,
        )
    )


async def clean_status(call: Call[wire.Request]) -> Reply:
    """What one clean did, or how far a job is."""
    if (id_ := read_public_id(call.body.requestId)) is not None:
        job = await call.services.jobs.get(call.app.app_key, id_)
        return Reply(result=_job(job, now=call.services.clock.now()))
    receipt = await call.services.receipts.get(call.app.app_key, call.body.requestId)
    return Reply(result=_view(receipt))


async def list_cleans(call: Call[wire.ReceiptList]) -> Reply:
    """What the cleans of a user, of a channel or of a time did, the newest first."""
    body, app = call.body, call.app
    channel = None
    if body.channelType is not None or body.channelId is not None:
        if body.channelType is None or body.channelId is None:
            raise InvalidInput("channelType", "channelType and channelId go together.")
        type_ = parse.channel_type(body.channelType, "channelType")
        if type_ in (ChannelType.DIRECT, ChannelType.SYSTEM) and body.userId is None:
            raise InvalidInput("userId", "userId is needed to say which direct or system channel it is.")
        channel = channel_key(app.app_key, type_, channel_id=body.channelId, user_id=body.userId or EVERYONE)
    wanted = Filter(
        app_key=app.app_key,
        user_id=body.userId,
        state=body.state,
        first=(body.startAt or 0) * MILLISECOND,
        end=NEVER if body.endAt is None else (body.endAt + 1) * MILLISECOND,
    )
    page, cursor = await call.services.receipts.list(
        wanted, channel, cursor=body.cursor or None, most=body.pageSize or _DEFAULT_PAGE
    )
    return Reply(result=wire.ReceiptPage([_view(receipt) for receipt in page], cursor))


async def cancel_clean(call: Call[wire.Cancel]) -> Reply:
    """Undo a clean until its undo window is over: history is back as if it had never been."""
    body = call.body
    if (job_id := read_public_id(body.requestId)) is not None:
        await call.services.jobs.cancel(
            call.app.app_key, job_id, by=body.operator, reason=body.reason or None
        )
        return Reply()
    channel_id, id_ = read_request_id(body.requestId)
    await call.services.cleans.cancel(
        call.app.app_key, channel_id, id_, by=body.operator, reason=body.reason or None
    )
    return Reply()


async def clean_user(call: Call[wire.CleanUser]) -> Reply:
    """Clean every channel of a user, as one job."""
    body, app = call.body, call.app
    check_storage(app, ChannelType.DIRECT)
    await call.services.limits.admit_clean(app)
    id_ = await call.services.jobs.clean_user(
        app.app_key,
        body.userId,
        before=cutoff_before(sent_at(body.sentAt)),
        flag=body.deleteCompensated,
        delete_media=bool(body.deleteMedia),
        undo_seconds=body.undoSeconds,
        reason=body.reason or None,
        source="v4",
    )
    return Reply(result=wire.JobStarted(id_))


async def recall_by_sender(call: Call[wire.RecallBySender]) -> Reply:
    """Recall all that some senders wrote in a channel, as one job; final."""
    body, app = call.body, call.app
    type_ = parse.channel_type(body.channelType, "channelType")
    other = body.channelId
    if type_ in (ChannelType.DIRECT, ChannelType.SYSTEM):
        users = {*body.fromUserIds, body.channelId}
        if len(users) != 2:
            raise InvalidInput(
                "fromUserIds", "fromUserIds and channelId must name the two sides of the channel."
            )
        [other] = users - {body.channelId}
    key = (
        channel_key(app.app_key, type_, channel_id=other, user_id=body.channelId)
        if type_ is ChannelType.SYSTEM
        else channel_key(app.app_key, type_, channel_id=body.channelId, user_id=other)
    )
    id_ = await call.services.jobs.recall_by_sender(
        key,
        body.fromUserIds,
        before=cutoff_before(sent_at(body.before, "before")),
        reason=body.reason or None,
        source="v4",
    )
    return Reply(result=wire.JobStarted(id_))


async def hide_messages(call: Call[wire.Hide]) -> Reply:
    """Delete messages by id for one user; the others keep them."""
    body, app = call.body, call.app
    type_ = parse.channel_type(body.channelType, "channelType")
    if type_ is ChannelType.OPEN:
        raise InvalidInput("channelType", "channelType 4 has no history of one user; recall the message.")
    channel = channel_key(app.app_key, type_, channel_id=body.channelId, user_id=body.userId)
    found = await call.services.messages.hide(channel, body.userId, body.messageIds)
    return Reply(
        result=wire.Hidden(
            [
                wire.HideItem(id_, 0, None)
                if there
                else wire.HideItem(id_, 404, "There is no such message in this channel for this user.")
                for id_, there in zip(body.messageIds, found, strict=True)
            ]
        )
    )


async def explain_message(call: Call[wire.Explain]) -> Reply:
    """For each rule, what it says of a message for a user, and the value that decided."""
    body, app = call.body, call.app
    type_ = parse.channel_type(body.channelType, "channelType")
    channel = channel_key(app.app_key, type_, channel_id=body.channelId, user_id=body.userId)
    verdicts = await call.services.receipts.explain(
        channel, body.messageId, user_id=body.userId, device_id=body.deviceId
    )
    return Reply(result=wire.Explanation(**{name: _verdict(verdict) for name, verdict in verdicts.items()}))


async def _accept(services: Services, draft: CleanDraft, *, plan_hash: str | None) -> Accepted:
    if plan_hash is None:
        accepted = await services.cleans.accept(draft)
    else:
        accepted = await services.receipts.accept(draft, plan_hash=plan_hash)
    await services.queue.announce(accepted)
    return accepted


def _draft(app: App, body: wire.Clean) -> CleanDraft:
    type_ = parse.channel_type(body.channelType, "channelType")
    check_storage(app, type_)
    if type_ is ChannelType.OPEN and body.scope == "user":
        raise InvalidInput("scope", "scope must be everyone in open channels: their history is one for all.")
    for_everyone = type_ is ChannelType.OPEN or body.scope == "everyone"
    return CleanDraft(
        channel=channel_key(app.app_key, type_, channel_id=body.channelId, user_id=body.fromUserId),
        user_id=EVERYONE if for_everyone else body.fromUserId,
        operator=body.fromUserId if for_everyone else None,
        before=cutoff_before(sent_at(body.sentAt)),
        delete_compensated=body.deleteCompensated,
        delete_media=bool(body.deleteMedia),
        undo_seconds=body.undoSeconds,
        reason=body.reason or None,
        source="v4",
    )


def sent_at(value: str | int | None, name: str = "sentAt") -> int | None:
    """A request's time in milliseconds, given as digits or as a number; None where it is left out."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if not value.isascii() or not value.isdigit():
            raise InvalidInput(name, f"{name} {_NOT_A_TIME}")
        # whatever has more digits is too large anyway, and Python refuses to convert thousands of them
        value = int(value[:20])
    if value < 0:
        raise InvalidInput(name, f"{name} {_NOT_A_TIME}")
    if value < _SECONDS_BELOW:
        raise InvalidInput(name, f"{name} must be in milliseconds since 1970; this looks like seconds.")
    if value >= _MICROSECONDS_FROM:
        raise InvalidInput(name, f"{name} must be in milliseconds since 1970; this looks like microseconds.")
    return value


def _view(receipt: Receipt) -> wire.ReceiptView:
    numbers = receipt.numbers
    viewer = receipt.operator if receipt.for_everyone else receipt.user_id
    return wire.ReceiptView(
        requestId=public_request_id(receipt.channel_id, receipt.id),
        state=receipt.state,
        channelType=int(receipt.channel.type),
        channelId=receipt.channel.seen_by(viewer or ""),
        userId=None if receipt.for_everyone else receipt.user_id,
        operator=receipt.operator,
        cutoff=receipt.cutoff,
        cutoffAt=receipt.cutoff // MILLISECOND,
        acceptedAt=receipt.accepted_at // MILLISECOND,
        appliedAt=_ms(receipt.applied_at),
        settledAt=_ms(receipt.settled_at),
        undoUntil=receipt.undo_until // MILLISECOND,
        reason=receipt.reason,
        source=receipt.source,
        deleteCompensated=wire.DeleteCompensated(receipt.delete_compensated, receipt.delete_compensated_from),
        deleteMedia=receipt.delete_media,
        cancelledAt=_ms(receipt.cancelled_at),
        cancelledBy=receipt.cancelled_by,
        cancelReason=receipt.cancel_reason,
        hidden=None if numbers is None else numbers.hidden,
        keptMissed=None if numbers is None else numbers.kept_missed,
        keptCompensation=None if numbers is None else numbers.kept_compensation,
        keptHeld=None if numbers is None else numbers.kept_held,
        reclaimedMessages=receipt.reclaimed_messages,
        reclaimedFiles=receipt.reclaimed_files,
        reclaimedBytes=receipt.reclaimed_bytes,
    )


def _job(job: Job, *, now: int) -> wire.JobView:
    return wire.JobView(
        requestId=job.public_id,
        kind=job.kind,
        state=job.state,
        done=job.done,
        total=job.total,
        rate=round(job.rate(now), 3),
        secondsLeft=job.seconds_left(now),
        createdAt=job.created_at // MILLISECOND,
        finishedAt=_ms(job.finished_at),
        cancelledAt=_ms(job.cancelled_at),
        cancelledBy=job.cancelled_by,
        cancelReason=job.cancel_reason,
    )


def _ms(instant: int | None) -> int | None:
    return None if instant is None else instant // MILLISECOND


def _verdict(verdict: Verdict) -> wire.VerdictView:
    return wire.VerdictView(verdict.outcome, verdict.rule, verdict.because)

"""Import and export: lines of JSON that come and go as streams, so that no size of either is too large."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import msgspec
import structlog

from history.apps.model import App
from history.axis import MILLISECOND, NEVER, SECOND
from history.channels.model import ChannelKey, ChannelType, channel_key
from history.errors import InvalidInput, TidemarkError
from history.messages.model import Flags
from history.transfer.model import Exported, Outcome, Room
from server import parse
from server.calls import Bytes, Call, Reply
from server.drafts import check_storage, stored
from server.errors import Failed, answer
from server.lines import Lines
from server.samples import LINES_FORM
from server.services import Services
from server.wire import transfer as wire

log = structlog.get_logger()

NDJSON = LINES_FORM
_HEADERS = {"Content-Type": f"{NDJSON}; charset=utf-8"}
_FAILED = "Something went wrong here; try again later."
_encoder = msgspec.json.Encoder()


async def import_messages(call: Call[None]) -> Reply:
    """Store messages with times of their own, a line each, as they come; what is refused is answered line by line."""
    if call.chunks is None:
        raise LookupError("the route takes bytes: see the route table")
    return Reply(result=Bytes(_import(call.services, call.app, call.chunks)), headers=_HEADERS)


async def export_messages(call: Call[None]) -> Reply:
    """What somebody may still read, a line each, oldest first in each channel. The lines are a valid import."""
    app, query = call.app, call.query
    channel = _asked(app, query)
    types = [type_ for type_ in ChannelType if stored(app, type_)]
    if channel is not None:
        check_storage(app, channel.type)
    elif not types:
        check_storage(app, ChannelType.GROUP)
    exports = call.services.exports
    pages = exports.pages(
        app.app_key,
        types=types,
        channel=channel,
        first=(query.startAt or 0) * MILLISECOND,
        end=NEVER if query.endAt is None else query.endAt * MILLISECOND,
    )
    return Reply(result=Bytes(_export(exports.room, pages)), headers=_HEADERS)


async def _import(services: Services, app: App, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The lines of the answer, as the batches commit; a last one that says what became of all."""
    total = Outcome()
    read = 0
    stopped: TidemarkError | None = None
    with services.imports.room.taken():
        try:
            async with aclosing(_batches(services, app, chunks)) as batches:
                async for refused, outcome in batches:
                    total.imported += outcome.imported
                    total.there += outcome.there
                    both = sorted(refused + outcome.refused, key=lambda one: one[0])
                    read += len(both)
                    if both:
                        yield _encoder.encode_lines([_refused(number, error) for number, error in both])
        except TidemarkError as exc:
            stopped = exc
    done = wire.ImportDone(
        complete=stopped is None,
        lines=total.imported + total.there + read,
        imported=total.imported,
        alreadyThere=total.there,
        refused=read,
    )
    if stopped is not None:
        done.code, done.errorMessage = answer(stopped).code, str(stopped)
    yield _encoder.encode_lines([done])


async def _batches(
    services: Services, app: App, chunks: AsyncIterator[bytes]
) -> AsyncGenerator[tuple[list[tuple[int, Exception]], Outcome], None]:
    """Batch by batch what was refused before it was sent, and what became of it.

    The next batch is read while the database is at one: never more than that, so the caller sends as fast as it stores.
    """
    lines, kept = Lines(app), app.settings.idempotency_hours * 3_600 * SECOND
    before: list[tuple[int, Exception]] = []
    writing: asyncio.Task[Outcome] | None = None

    def begin() -> asyncio.Task[Outcome]:
        nonlocal before
        taken, before = lines.take()
        return asyncio.create_task(services.imports.commit(app.app_key, taken, key_kept=kept))

    try:
        async for chunk in chunks:
            lines.feed(chunk, now=services.clock.now() // MILLISECOND)
            while lines.full:
                if writing is not None:
                    outcome = await writing
                    yield before, outcome
                writing = begin()
        lines.end(now=services.clock.now() // MILLISECOND)
        while lines.waiting or writing is not None:
            if writing is not None:
                outcome = await writing
                yield before, outcome
            writing = begin() if lines.waiting else None
    finally:
        # a caller who goes away leaves whole batches
        if writing is not None:
            await asyncio.wait([writing])


def _refused(number: int, error: Exception) -> wire.RefusedLine:
    if not isinstance(error, TidemarkError):
        # what went wrong stands in the log, never in the answer
        log.error("A line could not be stored.", line=number, exc_info=error)
        error = Failed(_FAILED)
    return wire.RefusedLine(number, answer(error).code, str(error))


async def _export(room: Room, pages: AsyncGenerator[list[Exported], None]) -> AsyncGenerator[bytes, None]:
    with room.taken():
        async with aclosing(pages):
            async for page in pages:
                yield _packed(page)


def _packed(page: list[Exported]) -> bytes:
    """A page as lines, and nothing else of it: while a slow reader takes them, nobody holds the messages as well."""
    lines = [_line(exported) for exported in page]
    page.clear()
    return _encoder.encode_lines(lines)


def _asked(app: App, query: wire.ExportQuery) -> ChannelKey | None:
    """The channel that the query names; None: all."""
    if query.channelType is None:
        if query.channelId is not None or query.userId is not None:
            raise InvalidInput("channelType", "channelType is missing; it goes with channelId.")
        return None
    type_ = parse.channel_type(query.channelType, "channelType")
    if query.channelId is None:
        raise InvalidInput("channelId", "channelId is missing; it goes with channelType.")
    if type_ in (ChannelType.DIRECT, ChannelType.SYSTEM) and query.userId is None:
        raise InvalidInput("userId", "userId is missing: a direct or system channel is named by both sides.")
    return channel_key(app.app_key, type_, channel_id=query.channelId, user_id=query.userId or "")


def _line(exported: Exported) -> wire.TransferLine:
    message, channel = exported.message, exported.channel
    metadata: dict[str, Any] | None = message.entries or None
    return wire.TransferLine(
        channelType=int(channel.type),
        channelId=_channel_id(channel, message.sender),
        fromUserId=message.sender,
        messageType=message.type,
        content=message.content,
        sentAt=message.sent_at,
        clientMessageId=message.id,
        toUserIds=None if exported.recipients is None else list(exported.recipients),
        isEchoToSender=1 if message.flags & Flags.ECHOED else None,
        hasMetadata=True if message.flags & Flags.METADATA else None,
        metadata=metadata,
    )


def _channel_id(channel: ChannelKey, sender: str) -> str:
    """What the sender calls the channel; in a system channel the one who receives."""
    return channel.key[1] if channel.type is ChannelType.SYSTEM else channel.seen_by(sender)

"""What a device is to be given, and what it says it has."""

from __future__ import annotations

from history.axis import MILLISECOND
from history.channels.model import channel_key
from history.delivery.model import Reader
from server import wire
from server.calls import Call, Reply

_DEFAULT_LIMIT = 100


async def sync(call: Call[wire.Sync]) -> Reply:
    """First the cleans that the device has not heard of, then missed messages and compensation."""
    body = call.body
    reader = Reader(app_key=call.signed_by.app_key, user_id=body.userId, device_id=body.deviceId)
    page = await call.services.delivery.sync(
        reader,
        limit=body.limit or _DEFAULT_LIMIT,
        cursor=body.cursor or None,
        reinstalled=bool(body.reinstalled),
    )
    return Reply(
        result=wire.SyncPage(
            cleans=[
                wire.SyncClean(
                    channelType=int(clean.channel.type),
                    channelId=clean.channel.seen_by(body.userId),
                    cutoff=clean.cutoff,
                    cutoffAt=clean.cutoff // MILLISECOND,
                    everyone=clean.everyone,
                    restored=clean.restored,
                )
                for clean in page.cleans
            ],
            messages=[
                wire.SyncMessage(
                    channelType=int(delivered.channel.type),
                    channelId=delivered.channel.seen_by(body.userId),
                    fromUserId=delivered.message.sender,
                    messageId=delivered.message.id,
                    position=delivered.message.position,
                    sentAt=delivered.message.sent_at,
                    messageType=delivered.message.type,
                    content=delivered.message.content,
                    origin=delivered.origin,
                )
                for delivered in page.messages
            ],
            cursor=page.cursor,
            hasMore=page.has_more,
        )
    )


async def acknowledge(call: Call[wire.Ack]) -> Reply:
    """The device has received these messages and all before them in their channels."""
    body, app = call.body, call.signed_by
    delivered = []
    for number, item in enumerate(body.delivered):
        type_ = wire.channel_type(item.channelType, f"delivered[{number}].channelType")
        key = channel_key(app.app_key, type_, channel_id=item.channelId, user_id=body.userId)
        delivered.append((key, item.messageId))
    reader = Reader(app_key=app.app_key, user_id=body.userId, device_id=body.deviceId)
    await call.services.delivery.acknowledge(reader, delivered)
    return Reply()

"""Users: what their devices are given and have, their conversations, devices and access tokens."""

from __future__ import annotations

from msgspec import UNSET

from history.apps.model import App
from history.axis import MILLISECOND
from history.channels.model import ChannelKey, channel_key
from history.delivery.model import MOST_UNREAD, ConversationView, Reader
from server import parse
from server.calls import Call, Reply
from server.handlers.messages import shown
from server.wire import users as wire

_DEFAULT_LIMIT = 100
_DEFAULT_PAGE = 20


async def sync(call: Call[wire.Sync]) -> Reply:
    """First the cleans that the device has not heard of, then missed messages and compensation."""
    body = call.body
    reader = Reader(app_key=call.app.app_key, user_id=body.userId, device_id=body.deviceId)
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
            recalls=[
                wire.SyncRecall(
                    int(recall.channel.type), recall.channel.seen_by(body.userId), recall.message_id
                )
                for recall in page.recalls
            ],
            deletedConversations=[
                wire.SyncDeleted(int(removal.channel.type), removal.channel.seen_by(body.userId))
                for removal in page.removals
            ],
            messages=[
                shown(
                    wire.SyncMessage,
                    delivered.message,
                    channelType=int(delivered.channel.type),
                    channelId=delivered.channel.seen_by(body.userId),
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
    body, app = call.body, call.app
    delivered = []
    for number, item in enumerate(body.delivered):
        type_ = parse.channel_type(item.channelType, f"delivered[{number}].channelType")
        key = channel_key(app.app_key, type_, channel_id=item.channelId, user_id=body.userId)
        delivered.append((key, item.messageId))
    reader = Reader(app_key=app.app_key, user_id=body.userId, device_id=body.deviceId)
    await call.services.delivery.acknowledge(reader, delivered)
    return Reply()


async def list_conversations(call: Call[wire.ConversationList]) -> Reply:
    """A page of a user's conversations, the newest activity first."""
    body = call.body
    page, cursor = await call.services.delivery.conversations(
        call.app.app_key, body.userId, cursor=body.cursor or None, most=body.pageSize or _DEFAULT_PAGE
    )
    views = [_conversation(body.userId, conversation) for conversation in page]
    return Reply(result=wire.ConversationPage(views, cursor))


async def read_conversation(call: Call[wire.ConversationRead]) -> Reply:
    """The user has read everything up to a message, or all there is."""
    body = call.body
    await call.services.delivery.read(body.userId, _named(call.app, body), body.messageId)
    return Reply()


async def update_conversation(call: Call[wire.ConversationUpdate]) -> Reply:
    """Pin, mute, archive a conversation on the user's list, or undo that."""
    body = call.body
    now = call.services.clock.now()
    archived_at = UNSET if body.archived is None else now if body.archived else None
    await call.services.conversations.update(
        call.app.app_key,
        body.userId,
        _named(call.app, body),
        pinned=UNSET if body.pinned is None else body.pinned,
        muted=UNSET if body.muted is None else body.muted,
        archived_at=archived_at,
    )
    return Reply()


async def delete_conversation(call: Call[wire.ConversationDelete]) -> Reply:
    """Take a conversation from the user's list until the next message; one that is not there is no error."""
    body = call.body
    await call.services.conversations.remove(call.app.app_key, body.userId, [_named(call.app, body)])
    return Reply()


async def list_devices(call: Call[wire.DeviceList]) -> Reply:
    """The devices of a user, the last used first."""
    found = await call.services.delivery.devices(call.app.app_key, call.body.userId)
    return Reply(
        result=wire.Devices(
            [
                wire.DeviceView(
                    device.device_id, device.created_at // MILLISECOND, device.last_seen_at // MILLISECOND
                )
                for device in found
            ]
        )
    )


async def remove_device(call: Call[wire.DeviceRemove]) -> Reply:
    """Forget a device and what it has; if it comes again it is a new one."""
    body = call.body
    await call.services.delivery.remove_device(
        Reader(app_key=call.app.app_key, user_id=body.userId, device_id=body.deviceId)
    )
    return Reply()


async def issue_token(call: Call[wire.TokenIssue]) -> Reply:
    """An access token of a user, good for the app's tokenDays; shown once."""
    token = await call.services.apps.issue_token(call.app, call.body.userId)
    return Reply(result=wire.TokenIssued(call.body.userId, token))


async def expire_tokens(call: Call[wire.TokenExpire]) -> Reply:
    """Let the tokens of these users end at expiresAt."""
    body = call.body
    await call.services.apps.expire_tokens(call.app.app_key, body.userIds, at=body.expiresAt * MILLISECOND)
    return Reply()


def _named(
    app: App, body: wire.ConversationRead | wire.ConversationUpdate | wire.ConversationDelete
) -> ChannelKey:
    type_ = parse.channel_type(body.channelType, "channelType")
    return channel_key(app.app_key, type_, channel_id=body.channelId, user_id=body.userId)


def _conversation(user_id: str, conversation: ConversationView) -> wire.ConversationView:
    last = conversation.last_message
    return wire.ConversationView(
        channelType=int(conversation.channel.type),
        channelId=conversation.channel.seen_by(user_id),
        lastActivityAt=(conversation.last_active_at or 0) // MILLISECOND,
        lastMessage=None if last is None else shown(wire.LastMessage, last),
        unread=min(conversation.unread, MOST_UNREAD),
        unreadMore=conversation.unread > MOST_UNREAD,
        readPosition=conversation.read_position,
        deliveredPosition=conversation.delivered_position,
        historyFrom=conversation.history_from,
        pinned=conversation.pinned,
        muted=conversation.muted,
        archived=conversation.archived_at is not None,
    )

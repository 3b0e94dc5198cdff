"""Send messages of every channel type, list their history, recall them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from history.apps.model import App
from history.axis import MILLISECOND
from history.channels.model import ChannelKey, ChannelType, channel_key
from history.errors import InvalidInput
from history.messages.model import LONGEST_RANGE_MS, Draft, Flags, Message, Range
from server import parse
from server.calls import Call, Handler, Reply
from server.drafts import check_storage, draft, kept_metadata
from server.wire import messages as wire

_DEFAULT_PAGE = 10
_T = TypeVar("_T", bound=wire.Sent)


async def send_direct(call: Call[wire.DirectSend]) -> Reply:
    """One message to each of up to 1,000 users, all or none."""
    body = call.body
    if body.fromUserId in body.toUserIds:
        raise InvalidInput(
            "toUserIds", "toUserIds holds fromUserId; nobody can send a direct message to himself."
        )
    return await _send_to_users(call, ChannelType.DIRECT, body.toUserIds, echo=body.isEchoToSender == 1)


async def send_system(call: Call[wire.SystemSend]) -> Reply:
    """One message of an account to each of up to 100 users, all or none."""
    if call.body.fromUserId in call.body.toUserIds:
        raise InvalidInput("toUserIds", "toUserIds holds fromUserId; no account can send to itself.")
    return await _send_to_users(call, ChannelType.SYSTEM, call.body.toUserIds, echo=False)


async def send_group(call: Call[wire.GroupSend]) -> Reply:
    """One message to each of up to 3 groups, all or none; with toUserIds for those members of a single group alone."""
    body = call.body
    if body.toUserIds and len(set(body.toChannelIds)) > 1:
        raise InvalidInput(
            "toUserIds", "toUserIds goes with a single group; send to one channelId at a time."
        )
    recipients = tuple(dict.fromkeys(body.toUserIds)) if body.toUserIds else None
    return await _send_to_channels(
        call, ChannelType.GROUP, body.toChannelIds, echo=body.isEchoToSender == 1, recipients=recipients
    )


async def send_open(call: Call[wire.OpenSend]) -> Reply:
    """One message to each of up to 10 open channels, all or none."""
    body = call.body
    return await _send_to_channels(
        call, ChannelType.OPEN, body.toChannelIds, echo=body.isEchoToSender == 1, recipients=None
    )


def list_history(type_: ChannelType) -> Handler:
    """The handler for the history of one channel type."""

    async def handle(call: Call[wire.HistoryList]) -> Reply:
        """What a user may read of a channel, newest first."""
        body, app = call.body, call.app
        check_storage(app, type_)
        channel = channel_key(app.app_key, type_, channel_id=body.channelId, user_id=body.userId)
        messages = await call.services.messages.history(
            channel, body.userId, _range(body), most=body.pageSize or _DEFAULT_PAGE
        )
        records = [shown(wire.HistoryRecord, message, channelId=body.channelId) for message in messages]
        return Reply(result=wire.HistoryPage(records))

    handle.__name__ = f"list_{type_.name.lower()}_history"
    return handle


async def recall(call: Call[wire.Recall]) -> Reply:
    """Take a message back from everyone; what is recalled, reclaimed or unknown already is success."""
    body, app = call.body, call.app
    type_ = parse.channel_type(body.channelType, "channelType")
    if type_ is ChannelType.SYSTEM:
        # here the sender is the account, and channelId the user
        key = channel_key(app.app_key, type_, channel_id=body.fromUserId, user_id=body.channelId)
    else:
        key = channel_key(app.app_key, type_, channel_id=body.channelId, user_id=body.fromUserId)
    await call.services.messages.recall(key, body.messageId, sender=body.fromUserId, admin=body.isAdmin == 1)
    return Reply()


async def update_direct(call: Call[wire.DirectUpdate]) -> Reply:
    """Change the content of a direct message of one's own, in its place; refused under a legal hold."""
    body = call.body
    key = channel_key(call.app.app_key, ChannelType.DIRECT, channel_id=body.targetId, user_id=body.fromUserId)
    return await _update(call, key)


async def update_group(call: Call[wire.GroupUpdate]) -> Reply:
    """Change the content of a message of one's own in a group, in its place; refused under a legal hold."""
    return await _update(call, ChannelKey(call.app.app_key, ChannelType.GROUP, (call.body.channelId,)))


def shown(type_: Callable[..., _T], message: Message, **place: Any) -> _T:
    """A message as the API shows it, in one of the types for that; `place` is what that type has besides."""
    return type_(
        fromUserId=message.sender,
        messageId=message.id,
        position=message.position,
        sentAt=message.sent_at,
        messageType=message.type,
        content=message.content,
        hasMetadata=bool(message.flags & Flags.METADATA),
        metadata=_metadata_items(message),
        **place,
    )


def _metadata_items(message: Message) -> list[wire.MetadataItem]:
    return [wire.MetadataItem(key, value, message.sent_at) for key, value in message.entries.items()]


async def _update(call: Call[wire.DirectUpdate] | Call[wire.GroupUpdate], channel: ChannelKey) -> Reply:
    body = call.body
    await call.services.messages.edit(channel, body.messageId, sender=body.fromUserId, content=body.content)
    return Reply()


async def _send_to_users(
    call: Call[wire.DirectSend] | Call[wire.SystemSend], type_: ChannelType, to: Iterable[str], *, echo: bool
) -> Reply:
    body, app = call.body, call.app
    users = list(dict.fromkeys(to))
    if type_ is ChannelType.DIRECT:
        keys = [channel_key(app.app_key, type_, channel_id=user, user_id=body.fromUserId) for user in users]
    else:
        keys = [channel_key(app.app_key, type_, channel_id=body.fromUserId, user_id=user) for user in users]
    ids = await call.services.messages.send(_draft(app, body, type_, keys, echo=echo))
    return Reply(result=wire.UsersSent([wire.UserDelivery(*pair) for pair in zip(users, ids, strict=True)]))


async def _send_to_channels(
    call: Call[wire.GroupSend] | Call[wire.OpenSend],
    type_: ChannelType,
    to: Iterable[str],
    *,
    echo: bool,
    recipients: tuple[str, ...] | None,
) -> Reply:
    body, app = call.body, call.app
    channels = list(dict.fromkeys(to))
    keys = [ChannelKey(app.app_key, type_, (channel,)) for channel in channels]
    draft = _draft(app, body, type_, keys, echo=echo, recipients=recipients)
    ids = await call.services.messages.send(draft)
    return Reply(
        result=wire.ChannelsSent([wire.ChannelDelivery(*pair) for pair in zip(channels, ids, strict=True)])
    )


def _draft(
    app: App,
    body: wire.Send,
    type_: ChannelType,
    channels: Sequence[ChannelKey],
    *,
    echo: bool,
    recipients: tuple[str, ...] | None = None,
) -> Draft:
    metadata = kept_metadata(body.metadata, kept=bool(body.hasMetadata))
    return draft(
        app,
        type_,
        channels,
        sender=body.fromUserId,
        message_type=body.messageType,
        content=body.content,
        persisted=body.shouldPersist != 0,
        flags=(Flags.ECHOED if echo else 0) | (Flags.METADATA if body.hasMetadata else 0),
        recipients=recipients,
        metadata=metadata,
        client_key=body.clientMessageId,
    )


def _range(body: wire.HistoryList) -> Range:
    if body.startAt < body.endAt:
        raise InvalidInput(
            "startAt", "startAt must not be before endAt: pages go back in time from startAt to endAt."
        )
    if body.startAt - body.endAt > LONGEST_RANGE_MS:
        raise InvalidInput(
            "startAt", "startAt and endAt are more than 14 days apart; ask for 14 days at most."
        )
    end = body.startAt + (1 if body.includeStart else 0)
    return Range(first=body.endAt * MILLISECOND, end=end * MILLISECOND)

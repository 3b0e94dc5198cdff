"""Send direct messages, list their history."""

from __future__ import annotations

from history.axis import MILLISECOND
from history.channels.model import ChannelType, channel_key
from history.errors import InvalidInput, TooLong
from history.messages.model import LONGEST_RANGE_MS, Draft, Flags, Range
from server import wire
from server.calls import Call, Reply

_DEFAULT_PAGE = 10


async def send_direct(call: Call[wire.DirectSend]) -> Reply:
    """One message to each of up to 1,000 users, all or none."""
    body, app = call.body, call.signed_by
    if body.fromUserId in body.toUserIds:
        raise InvalidInput(
            "toUserIds", "toUserIds holds fromUserId; nobody can send a direct message to himself."
        )
    _check_size(body.content, app.settings.max_content_bytes)
    users = list(dict.fromkeys(body.toUserIds))
    flags = Flags(0)
    if body.shouldPersist != 0:
        flags |= Flags.PERSISTED
    if body.isEchoToSender == 1:
        flags |= Flags.ECHOED
    draft = Draft(
        channels=tuple(
            channel_key(app.app_key, ChannelType.DIRECT, channel_id=user, user_id=body.fromUserId)
            for user in users
        ),
        sender=body.fromUserId,
        type=body.messageType,
        content=body.content,
        flags=flags,
    )
    ids = await call.services.messages.send(draft)
    return Reply(result=wire.DirectSent([wire.UserDelivery(*pair) for pair in zip(users, ids, strict=True)]))


async def list_direct_history(call: Call[wire.HistoryList]) -> Reply:
    """What a user may read of a direct channel, newest first."""
    body = call.body
    channel = channel_key(
        call.signed_by.app_key, ChannelType.DIRECT, channel_id=body.channelId, user_id=body.userId
    )
    messages = await call.services.messages.history(
        channel, body.userId, _range(body), most=body.pageSize or _DEFAULT_PAGE
    )
    return Reply(
        result=wire.HistoryPage(
            [
                wire.HistoryRecord(
                    channelId=body.channelId,
                    fromUserId=message.sender,
                    messageId=message.id,
                    position=message.position,
                    sentAt=message.sent_at,
                    messageType=message.type,
                    content=message.content,
                    hasMetadata=False,
                )
                for message in messages
            ]
        )
    )


def _check_size(content: str, most: int) -> None:
    # a character is at most 4 bytes: most content needs no encoding to be seen as small
    if len(content) * 4 > most and len(content.encode()) > most:
        raise TooLong(
            "content", f"content is too long: at most {most} bytes of UTF-8 (the app's maxContentBytes)."
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

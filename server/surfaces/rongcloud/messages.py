"""Publish, recall, query and clean, as RongCloud's calls."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from history.apps.model import App
from history.axis import MILLISECOND
from history.channels.model import ChannelKey, ChannelType, channel_key
from history.errors import InvalidInput, TooLong
from history.messages.model import LONGEST_RANGE_MS, Flags, Message, Range
from history.retention.model import EVERYONE, cutoff_before
from server import drafts, parse
from server.calls import Call, Handler, Reply
from server.drafts import LONGEST_METADATA_VALUE
from server.handlers.cleans import REQUEST_ID_HEADER, sent_at
from server.surfaces.rongcloud import wire

SOURCE = "rongcloud"
_DEFAULT_PAGE = 10


async def publish_private(call: Call[wire.RongPrivateSend]) -> Reply:
    """One message to each of up to 1,000 users, all or none."""
    body = call.body
    return Reply(result=await _to_users(call, ChannelType.DIRECT, body.toUserId, echo=body.isIncludeSender))


async def publish_system(call: Call[wire.RongSystemSend]) -> Reply:
    """One message of an account to each of up to 100 users, all or none."""
    return Reply(result=await _to_users(call, ChannelType.SYSTEM, call.body.toUserId, echo=None))


async def publish_group(call: Call[wire.RongGroupSend]) -> Reply:
    """One message to each of up to 3 groups, all or none; with toUserId for those members of a single group alone."""
    body = call.body
    groups = list(dict.fromkeys(body.toGroupId))
    if body.toUserId and len(groups) > 1:
        raise InvalidInput("toUserId", "toUserId goes with a single group; send to one toGroupId at a time.")
    recipients = tuple(dict.fromkeys(body.toUserId)) if body.toUserId else None
    ids = await _publish(call, ChannelType.GROUP, groups, echo=body.isIncludeSender, recipients=recipients)
    sent = [wire.RongGroupMessage(*pair) for pair in zip(groups, ids, strict=True)]
    return Reply(result=wire.RongSentToGroups(messageUID=ids[0], messageUIDs=sent))


async def publish_room(call: Call[wire.RongRoomSend]) -> Reply:
    """One message to each of up to 10 chatrooms, all or none."""
    rooms = list(dict.fromkeys(call.body.toChatroomId))
    ids = await _publish(call, ChannelType.OPEN, rooms, echo=call.body.isIncludeSender)
    sent = [wire.RongRoomMessage(*pair) for pair in zip(rooms, ids, strict=True)]
    return Reply(result=wire.RongSentToRooms(messageUID=ids[0], messageUIDs=sent))


async def recall(call: Call[wire.RongRecall]) -> Reply:
    """Take a message back from everyone; what is recalled, reclaimed or unknown already is success."""
    body = call.body
    type_ = parse.channel_type(body.conversationType, "conversationType")
    key = _written(call.app, type_, sender=body.fromUserId, target=body.targetId)
    await call.services.messages.recall(key, body.messageUID, sender=body.fromUserId, admin=body.isAdmin == 1)
    return Reply(result=wire.RongDone())


def query(type_: ChannelType) -> Handler:
    """The handler for the history of one conversation type."""

    async def handle(call: Call[wire.RongQuery]) -> Reply:
        """What a user may read of a conversation, newest first."""
        body, app = call.body, call.app
        drafts.check_storage(app, type_)
        channel = channel_key(app.app_key, type_, channel_id=body.targetId, user_id=body.userId)
        found = await call.services.messages.history(
            channel, body.userId, _range(body), most=body.pageSize or _DEFAULT_PAGE
        )
        return Reply(result=wire.RongPage(data=[_record(body.targetId, message) for message in found]))

    handle.__name__ = f"query_{type_.name.lower()}"
    return handle


async def clean(call: Call[wire.RongClean]) -> Reply:
    """Clean the history of one user, in chatrooms that of everyone."""
    body, app = call.body, call.app
    type_ = parse.channel_type(body.conversationType, "conversationType")
    given = body.msgTimestamp
    # SDKs leave it out, empty or 0 where everything is to go
    whole = given is None or not str(given).strip("0")
    accepted = await drafts.clean(
        call.services,
        app,
        channel_key(app.app_key, type_, channel_id=body.targetId, user_id=body.fromUserId),
        user=EVERYONE if type_ is ChannelType.OPEN else body.fromUserId,
        operator=body.fromUserId,
        before=cutoff_before(None if whole else sent_at(given, "msgTimestamp")),
        source=SOURCE,
        delete_media=bool(body.deleteMedia),
    )
    return Reply(result=wire.RongDone(), headers={REQUEST_ID_HEADER: accepted.request_id})


async def _to_users(
    call: Call[wire.RongPrivateSend] | Call[wire.RongSystemSend],
    type_: ChannelType,
    to: Sequence[str],
    *,
    echo: int | None,
) -> wire.RongSentToUsers:
    if call.body.fromUserId in to:
        raise InvalidInput("toUserId", "toUserId holds fromUserId; nobody can send to himself.")
    users = list(dict.fromkeys(to))
    ids = await _publish(call, type_, users, echo=echo)
    sent = [wire.RongUserMessage(*pair) for pair in zip(users, ids, strict=True)]
    return wire.RongSentToUsers(messageUID=ids[0], messageUIDs=sent)


async def _publish(
    call: Call[wire.RongPrivateSend]
    | Call[wire.RongSystemSend]
    | Call[wire.RongGroupSend]
    | Call[wire.RongRoomSend],
    type_: ChannelType,
    targets: Sequence[str],
    *,
    echo: int | None,
    recipients: tuple[str, ...] | None = None,
) -> list[str]:
    body, app = call.body, call.app
    draft = drafts.draft(
        app,
        type_,
        [_written(app, type_, sender=body.fromUserId, target=target) for target in targets],
        sender=body.fromUserId,
        message_type=body.objectName,
        content=body.content,
        persisted=body.isPersisted != 0,
        flags=(Flags.ECHOED if echo == 1 else 0) | (Flags.METADATA if body.expansion else 0),
        recipients=recipients,
        metadata=_extra(body),
    )
    return await call.services.messages.send(draft)


def _written(app: App, type_: ChannelType, *, sender: str, target: str) -> ChannelKey:
    """The channel in which `sender` writes to `target`. In a system channel he is the account, and the target the user."""
    if type_ is ChannelType.SYSTEM:
        return channel_key(app.app_key, type_, channel_id=sender, user_id=target)
    return channel_key(app.app_key, type_, channel_id=target, user_id=sender)


def _extra(body: wire.RongSend) -> str | None:
    """extraContent as metadata is stored."""
    if not body.expansion or not body.extraContent:
        return None
    try:
        given = msgspec.json.decode(body.extraContent)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise InvalidInput("extraContent", "extraContent must be a JSON object of texts.") from exc
    values = parse.convert({"extraContent": given}, wire.RongExtra).extraContent
    for key, value in values.items():
        if not isinstance(value, str):
            raise InvalidInput("extraContent", f"extraContent.{key} must be a text.")
        if len(value) > LONGEST_METADATA_VALUE:
            raise TooLong(
                "extraContent",
                f"extraContent.{key} is too long: at most {LONGEST_METADATA_VALUE} characters.",
            )
    return msgspec.json.encode(values).decode() if values else None


def _range(body: wire.RongQuery) -> Range:
    """SDKs give the newer end first or the older one; includeStart speaks of startTime, endTime itself is in."""
    older, newer = sorted((body.startTime, body.endTime))
    if newer - older > LONGEST_RANGE_MS:
        raise InvalidInput(
            "startTime", "startTime and endTime are more than 14 days apart; ask for 14 days at most."
        )
    if not body.includeStart:
        if body.startTime >= body.endTime:
            newer -= 1
        else:
            older += 1
    return Range(first=older * MILLISECOND, end=(newer + 1) * MILLISECOND)


def _record(target: str, message: Message) -> wire.RongRecord:
    extra = message.entries
    return wire.RongRecord(
        targetId=target,
        fromUserId=message.sender,
        messageUID=message.id,
        msgTime=message.sent_at,
        objectName=message.type,
        content=message.content,
        expansion=bool(message.flags & Flags.METADATA),
        extraContent=msgspec.json.encode(extra).decode() if extra else "",
    )

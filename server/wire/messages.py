"""Sending, history, recall and clean."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from server.wire.common import Bit, Id, Ids, MessageId, Milliseconds, Name, PageSize, TypeNumber

Content = Annotated[
    str, Meta(min_length=1, description="Kept byte for byte; at most maxContentBytes of UTF-8")
]
Metadata = Annotated[dict[Annotated[str, Meta(max_length=32)], Any], Meta(max_length=100)]


class MetadataItem(Struct):
    """One entry of a message's metadata."""

    key: str
    value: str
    updatedAt: int


class Send(Struct, kw_only=True):
    """What every message has. Its metadata counts where hasMetadata is true."""

    fromUserId: Id
    messageType: Annotated[str, Meta(min_length=1, max_length=32)]
    content: Content
    shouldPersist: Bit | None = None
    clientMessageId: Name | None = None
    pushContent: str | None = None
    pushData: str | None = None
    contentAvailable: Bit | None = None
    hasMetadata: bool | None = None
    metadata: Metadata | None = None
    disablePush: bool | None = None
    pushExt: str | None = None
    disableUpdateLastMsg: bool | None = None


class DirectSend(Send, kw_only=True):
    """A message to each of these users, all or none."""

    toUserIds: Ids
    isEchoToSender: Bit | None = None
    count: int | None = None
    verifyBlocklist: Bit | None = None
    needReadReceipt: Bit | None = None


class SystemSend(Send, kw_only=True):
    """A message of an account to each of these users, all or none."""

    toUserIds: Annotated[list[Id], Meta(min_length=1, max_length=100)]


class GroupSend(Send, kw_only=True):
    """A message to groups; toUserIds makes it one for some members of a single group."""

    toChannelIds: Annotated[list[Id], Meta(min_length=1, max_length=3)]
    toUserIds: Ids | None = None
    isEchoToSender: Bit | None = None
    hasMention: Bit | None = None
    needReadReceipt: Bit | None = None


class OpenSend(Send, kw_only=True):
    """A message to open channels."""

    toChannelIds: Annotated[list[Id], Meta(min_length=1, max_length=10)]
    isEchoToSender: Bit | None = None
    priority: Annotated[int, Meta(ge=0, le=3)] | None = None


class UserDelivery(Struct):
    """The message that one recipient got."""

    userId: str
    messageId: str


class UsersSent(Struct):
    """In the order of toUserIds, each user once."""

    messageIds: list[UserDelivery]


class ChannelDelivery(Struct):
    """The message that one channel got."""

    channelId: str
    messageId: str


class ChannelsSent(Struct):
    """In the order of toChannelIds, each channel once."""

    messageIds: list[ChannelDelivery]


class Recall(Struct, kw_only=True):
    """Take a message back from everyone."""

    fromUserId: Id
    channelType: TypeNumber
    channelId: Id
    messageId: MessageId
    sentAt: Milliseconds | None = None
    isAdmin: Bit | None = None
    disablePush: bool | None = None
    extra: str | None = None
    disableUpdateLastMsg: bool | None = None


class DirectUpdate(Struct, kw_only=True):
    """Other content for a message that fromUserId sent to targetId."""

    fromUserId: Id
    targetId: Id
    messageId: MessageId
    content: Content


class GroupUpdate(Struct, kw_only=True):
    """Other content for a message that fromUserId sent to a group."""

    fromUserId: Id
    channelId: Id
    messageId: MessageId
    content: Content


class HistoryList(Struct, kw_only=True):
    """A page backwards in time, from startAt down to endAt, 14 days at most."""

    userId: Id
    channelId: Id
    startAt: Milliseconds
    endAt: Milliseconds
    includeStart: bool
    pageSize: PageSize | None = None


class Sent(Struct, kw_only=True):
    """What every message shows, on every path. Being by keyword, these fields come after those that a type below adds
    without it: the order in JSON is that of the field."""

    fromUserId: str
    messageId: str
    position: int
    sentAt: int
    messageType: str
    content: str


class Shown(Sent, kw_only=True, omit_defaults=True):
    """A message with its metadata."""

    hasMetadata: bool
    metadata: list[MetadataItem] = []


class Delivered(Sent, kw_only=True, omit_defaults=True):
    """A message with the rule that gives it to a device, and its metadata after that."""

    origin: str
    hasMetadata: bool
    metadata: list[MetadataItem] = []


class HistoryRecord(Shown, omit_defaults=True):
    """A message of a history page."""

    channelId: str


class HistoryPage(Struct):
    """Newest first. It may hold more than pageSize: the rest of the last millisecond comes along."""

    messages: list[HistoryRecord]

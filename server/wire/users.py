"""Devices, conversations and access tokens of users."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from server.wire.common import Id, MessageId, Milliseconds, Name, PageSize, PageToken, TypeNumber
from server.wire.messages import Delivered, Shown


class Sync(Struct, kw_only=True):
    """What a device lacks."""

    userId: Id
    deviceId: Id
    limit: Annotated[int, Meta(ge=1, le=500)] | None = None
    cursor: Annotated[str, Meta(max_length=65_536)] | None = None
    reinstalled: bool | None = None


class SyncClean(Struct):
    """Messages below `cutoff` (a position) are cleaned in this channel; `restored`: it is lower than it was."""

    channelType: int
    channelId: str
    cutoff: int
    cutoffAt: int
    everyone: bool
    restored: bool


class SyncRecall(Struct):
    """A message that was taken back from everyone: delete it where it was kept."""

    channelType: int
    channelId: str
    messageId: str


class SyncDeleted(Struct):
    """A conversation that the user took from his list."""

    channelType: int
    channelId: str


class SyncMessage(Delivered, omit_defaults=True):
    """A message that the device is to keep; `origin` is missed or compensation."""

    channelType: int
    channelId: str


class SyncPage(Struct):
    """First the cleans, then the recalls, then the conversations that were deleted, then the messages, channel by channel,
    ascending by position."""

    cleans: list[SyncClean]
    recalls: list[SyncRecall]
    deletedConversations: list[SyncDeleted]
    messages: list[SyncMessage]
    cursor: str
    hasMore: bool


class AckItem(Struct):
    """Everything in that channel up to and including the message."""

    channelType: TypeNumber
    channelId: Id
    messageId: MessageId


class Ack(Struct, kw_only=True):
    """What a device has received; all of it counts, or none."""

    userId: Id
    deviceId: Id
    delivered: Annotated[list[AckItem], Meta(min_length=1, max_length=500)]


class TokenIssue(Struct, kw_only=True):
    """A user who is to have an access token."""

    userId: Id
    name: Name
    avatarUrl: str | None = None


class TokenIssued(Struct):
    """Shown here and never again."""

    userId: str
    accessToken: str


class TokenExpire(Struct, kw_only=True):
    """Users whose tokens end at expiresAt."""

    userIds: Annotated[list[Id], Meta(min_length=1, max_length=100)]
    expiresAt: Milliseconds


class ConversationList(Struct, kw_only=True):
    """A page of a user's conversations."""

    userId: Id
    pageSize: PageSize | None = None
    cursor: PageToken | None = None


class LastMessage(Shown, omit_defaults=True):
    """The last message of a channel that the user may see."""


class ConversationView(Struct):
    """One user's view of one channel. `historyFrom`: he reads from this position on."""

    channelType: int
    channelId: str
    lastActivityAt: int
    lastMessage: LastMessage | None
    unread: int
    unreadMore: bool
    readPosition: int
    deliveredPosition: int
    historyFrom: int
    pinned: bool
    muted: bool
    archived: bool


class ConversationPage(Struct, omit_defaults=True):
    """The newest activity first; cursor is there where another page is."""

    conversations: list[ConversationView]
    cursor: str | None = None


class ConversationRead(Struct, kw_only=True):
    """Everything up to messageId is read, or all there is."""

    userId: Id
    channelType: TypeNumber
    channelId: Id
    messageId: MessageId | None = None


class ConversationUpdate(Struct, kw_only=True):
    """What to change of a conversation on the user's list; what is left out stays."""

    userId: Id
    channelType: TypeNumber
    channelId: Id
    pinned: bool | None = None
    muted: bool | None = None
    archived: bool | None = None


class ConversationDelete(Struct, kw_only=True):
    """A conversation to take from the user's list."""

    userId: Id
    channelType: TypeNumber
    channelId: Id


class DeviceList(Struct, kw_only=True):
    """A user whose devices are asked for."""

    userId: Id


class DeviceView(Struct):
    """An installation that has synced; lastSeenAt is exact to an hour."""

    deviceId: str
    createdAt: int
    lastSeenAt: int


class Devices(Struct):
    """The last used first."""

    devices: list[DeviceView]


class DeviceRemove(Struct, kw_only=True):
    """A device to forget."""

    userId: Id
    deviceId: Id

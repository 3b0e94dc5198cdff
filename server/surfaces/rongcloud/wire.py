"""Requests and answers of RongCloud's server API, by the names of its documentation.

Fields that its SDKs send and nothing here acts on (pushContent, count, isMentioned …) are unknown fields, so they are passed
over, whatever they hold."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from server.wire.common import Bit, Id, Ids, MessageId, Milliseconds, PageSize, TypeNumber
from server.wire.messages import Metadata

_GroupName = Annotated[str, Meta(min_length=1, max_length=255)]
_RoomName = Annotated[str, Meta(min_length=1, max_length=64)]


class RongDone(Struct):
    """A success that has nothing more to say."""

    code: int = 200


class RongClean(Struct, kw_only=True):
    """Clean the history of fromUserId; in chatrooms that of everyone, fromUserId being who does it."""

    conversationType: TypeNumber
    fromUserId: Id
    targetId: Id
    msgTimestamp: Annotated[
        str | int | None, Meta(description="Milliseconds; messages before it go. Absent, empty or 0: all")
    ] = None
    deleteMedia: bool | None = None


class RongSend(Struct, kw_only=True):
    """What every message has. extraContent, an object of texts as JSON, counts where expansion is true."""

    fromUserId: Id
    objectName: Annotated[str, Meta(min_length=1, max_length=32)]
    content: Annotated[
        str, Meta(min_length=1, description="Kept byte for byte; at most maxContentBytes of UTF-8")
    ]
    isPersisted: Bit | None = None
    expansion: bool | None = None
    extraContent: str | None = None


class RongPrivateSend(RongSend, kw_only=True):
    """A message to each of these users, all or none."""

    toUserId: Ids
    isIncludeSender: Bit | None = None


class RongGroupSend(RongSend, kw_only=True):
    """A message to groups; toUserId makes it one for some members of a single group."""

    toGroupId: Annotated[list[Id], Meta(min_length=1, max_length=3)]
    toUserId: Ids | None = None
    isIncludeSender: Bit | None = None


class RongRoomSend(RongSend, kw_only=True):
    """A message to chatrooms."""

    toChatroomId: Annotated[list[Id], Meta(min_length=1, max_length=10)]
    isIncludeSender: Bit | None = None


class RongSystemSend(RongSend, kw_only=True):
    """A message of an account to each of these users, all or none."""

    toUserId: Annotated[list[Id], Meta(min_length=1, max_length=100)]


class RongExtra(Struct):
    """extraContent, unpacked."""

    extraContent: Metadata


class RongUserMessage(Struct):
    """The message that one recipient got."""

    userId: str
    messageUID: str


class RongGroupMessage(Struct):
    """The message that one group got."""

    groupId: str
    messageUID: str


class RongRoomMessage(Struct):
    """The message that one chatroom got."""

    chatroomId: str
    messageUID: str


class RongSentToUsers(Struct, kw_only=True):
    """In the order of toUserId, each user once; messageUID is the first of them."""

    code: int = 200
    messageUID: str
    messageUIDs: list[RongUserMessage]


class RongSentToGroups(Struct, kw_only=True):
    """In the order of toGroupId, each group once; messageUID is the first of them."""

    code: int = 200
    messageUID: str
    messageUIDs: list[RongGroupMessage]


class RongSentToRooms(Struct, kw_only=True):
    """In the order of toChatroomId, each chatroom once; messageUID is the first of them."""

    code: int = 200
    messageUID: str
    messageUIDs: list[RongRoomMessage]


class RongRecall(Struct, kw_only=True):
    """Take a message back from everyone."""

    fromUserId: Id
    conversationType: TypeNumber
    targetId: Id
    messageUID: MessageId
    isAdmin: Bit | None = None


class RongQuery(Struct, kw_only=True):
    """A page of what userId may read with targetId. startTime and endTime are its two ends, 14 days apart at most."""

    userId: Id
    targetId: Id
    startTime: Milliseconds
    endTime: Milliseconds
    includeStart: bool | None = None
    pageSize: PageSize | None = None


class RongRecord(Struct, kw_only=True):
    """A message of a page; extraContent is an object of texts as JSON, empty where there is none."""

    targetId: str
    fromUserId: str
    messageUID: str
    msgTime: int
    objectName: str
    content: str
    expansion: bool
    extraContent: str


class RongPage(Struct, kw_only=True):
    """Newest first. It may hold more than pageSize: the rest of the last millisecond comes along."""

    code: int = 200
    data: list[RongRecord]


class RongGroupCreate(Struct, kw_only=True):
    """A group and its first members; the first of them is its owner."""

    userId: Ids
    groupId: Id
    groupName: _GroupName


class RongGroupUsers(Struct, kw_only=True):
    """Users who join or quit."""

    userId: Ids
    groupId: Id


class RongGroup(Struct, kw_only=True):
    """A group."""

    groupId: Id


class RongRoomsCreate(Struct, kw_only=True):
    """Chatrooms and their names, each as chatroom[its id]=its name."""

    chatroom: Annotated[
        dict[Id, _RoomName], Meta(min_length=1, max_length=100, examples=[{"lobby": "Lobby"}])
    ]


class RongRoomsDestroy(Struct, kw_only=True):
    """Chatrooms to end."""

    chatroomId: Annotated[list[Id], Meta(min_length=1, max_length=100)]


class RongUser(Struct, kw_only=True):
    """A user who is to have an access token."""

    userId: Id
    name: Annotated[str, Meta(max_length=128)] | None = None
    portraitUri: Annotated[str, Meta(max_length=1024)] | None = None


class RongToken(Struct, kw_only=True):
    """Shown here and never again."""

    code: int = 200
    userId: str
    token: str

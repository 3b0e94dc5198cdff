"""Groups and open channels."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from server.wire.common import Bit, Id, Ids, Name, PageSize, PageToken


class GroupCreate(Struct, kw_only=True):
    """A new group; its owner and users read it from the start."""

    channelId: Id
    name: Name
    owner: Id
    userIds: Annotated[list[Id], Meta(max_length=30)] | None = None
    groupProfile: dict[str, Any] | None = None
    permissions: dict[str, Any] | None = None
    groupExtProfile: dict[str, Any] | None = None


class GroupUsers(Struct, kw_only=True):
    """Users who join or leave."""

    channelId: Id
    userIds: Ids
    shouldDeleteMute: Bit | None = None
    shouldDeleteAllowedSendersList: Bit | None = None
    shouldDeleteFavorites: Bit | None = None


class GroupName(Struct, kw_only=True):
    """A group."""

    channelId: Id


class GroupView(Struct):
    """What a group is. Times are milliseconds."""

    channelId: str
    name: str
    owner: str
    memberCount: int
    createdAt: int


class MemberList(Struct, kw_only=True):
    """A page of the members of a group; order 0: by joining, 1: the newest first."""

    channelId: Id
    memberRole: Annotated[int, Meta(ge=0, le=3)] | None = None
    pageToken: PageToken | None = None
    pageSize: PageSize | None = None
    order: Bit | None = None


class MemberView(Struct):
    """A member; role 1 regular, 3 owner."""

    userId: str
    role: int
    joinedAt: int


class MemberPage(Struct, omit_defaults=True):
    """pageToken is there where another page is."""

    totalCount: int
    members: list[MemberView]
    pageToken: str | None = None


class JoinedList(Struct, kw_only=True):
    """A page of the groups of a user; order 0: by joining, 1: the newest first."""

    userId: Id
    role: Annotated[int, Meta(ge=0, le=3)] | None = None
    pageToken: PageToken | None = None
    pageSize: PageSize | None = None
    order: Bit | None = None


class JoinedView(Struct):
    """A group that the user is in."""

    channelId: str
    name: str
    owner: str
    memberCount: int
    createdAt: int
    joinedAt: int
    role: int


class JoinedPage(Struct, omit_defaults=True):
    """pageToken is there where another page is."""

    groups: list[JoinedView]
    pageToken: str | None = None


class OpenCreate(Struct, kw_only=True):
    """A new open channel. destroyType 0: it ends ttlMinutes after its last message, 1: after its creation; without
    ttlMinutes it lives until it is destroyed."""

    channelId: Id
    destroyType: Bit | None = None
    ttlMinutes: Annotated[int, Meta(ge=60, le=10_080)] | None = None
    shouldFreeze: bool | None = None
    allowedSendersList: list[Id] | None = None
    metadataOwnerId: Id | None = None
    metadata: dict[str, str] | None = None


class OpenDestroy(Struct, kw_only=True):
    """Open channels to end."""

    channelIds: Annotated[list[Id], Meta(min_length=1, max_length=100)]

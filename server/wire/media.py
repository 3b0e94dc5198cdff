"""Files."""

from __future__ import annotations

from msgspec import Struct

from server.wire.common import PageSize, PageToken


class Uploaded(Struct):
    """A file that was taken in; messages name it media:[id]."""

    id: str
    bytes: int
    type: str
    sha256: str


class MediaList(Struct, kw_only=True):
    """Which files: with kept true those alone that somebody kept though their messages are gone."""

    kept: bool = False
    pageSize: PageSize | None = None
    cursor: PageToken | None = None


class KeptView(Struct):
    """What keeps a file: a message that is gone, and who did not give up its file (null: the channel)."""

    channelType: int
    channelKey: list[str]
    sentAt: int
    userId: str | None
    reason: str


class MediaRow(Struct):
    """A file. uploader null: the backend. kept: at most 10, and none while a message on disk refers to it."""

    id: str
    bytes: int
    type: str
    sha256: str
    uploader: str | None
    createdAt: int
    kept: list[KeptView]


class MediaPage(Struct, omit_defaults=True):
    """cursor is there where another page is."""

    media: list[MediaRow]
    cursor: str | None = None

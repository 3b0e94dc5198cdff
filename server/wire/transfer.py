"""The lines of an import, of its answer, and of an export."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from server.wire.common import Bit, Id, Ids, Milliseconds, Name, TypeNumber
from server.wire.messages import Content, Metadata


class TransferLine(Struct, kw_only=True, omit_defaults=True, gc=False):
    """A message in one channel. In a direct channel channelId is the other user, in a system channel the one who receives."""

    channelType: TypeNumber
    channelId: Id
    fromUserId: Id
    messageType: Annotated[str, Meta(min_length=1, max_length=32)]
    content: Content
    sentAt: Milliseconds
    clientMessageId: Name | None = None
    toUserIds: Ids | None = None
    isEchoToSender: Bit | None = None
    shouldPersist: Bit | None = None
    hasMetadata: bool | None = None
    metadata: Metadata | None = None
    deliver: bool | None = None


class RefusedLine(Struct):
    """A line that was not imported, and why."""

    line: int
    code: int
    errorMessage: str


class ImportDone(Struct, omit_defaults=True):
    """The last line of an answer. complete false: the import stopped here, and code and errorMessage say why."""

    complete: bool
    lines: int
    imported: int
    alreadyThere: int
    refused: int
    code: int | None = None
    errorMessage: str | None = None


class ExportQuery(Struct, kw_only=True):
    """Which messages: of one channel, as userId sees it, or of the whole app; sent from startAt up to, not including, endAt."""

    channelType: TypeNumber | None = None
    channelId: Id | None = None
    userId: Id | None = None
    startAt: Milliseconds | None = None
    endAt: Milliseconds | None = None

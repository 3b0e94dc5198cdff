"""Requests and answers by RyzeAPI's names."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Number = Annotated[
    str,
    Meta(
        max_length=128,
        description="Digits, or a JID: …@s.whatsapp.net, …@lid, or …@g.us for a group",
        examples=["5511999999999"],
    ),
]
GroupJid = Annotated[
    str, Meta(max_length=128, description="The JID of a group", examples=["120363406289005073@g.us"])
]
Instant = Annotated[str, Meta(max_length=64, description="ISO 8601", examples=["2026-02-16T18:32:39Z"])]


class RyzeDeleteChat(Struct, kw_only=True):
    """A chat."""

    number: Number | None = None
    deleteMedia: bool | None = None


class RyzeChatDeleted(Struct, kw_only=True):
    """The chat is gone from the instance's list."""

    success: bool
    message: str
    chat_jid: str
    delete_media: bool


class RyzeHistory(Struct, kw_only=True, rename={"first": "from", "last": "to"}):
    """A chat, and from when to when, both included."""

    number: Number | None = None
    count: Annotated[int, Meta(ge=1)] | None = None
    first: Instant | None = None
    last: Instant | None = None


class RyzeMessage(Struct, kw_only=True, rename={"sender": "from", "recipient": "to"}):
    """A message. Of a text content is the text; of another type it is the content as it was sent."""

    messageId: str
    type: str
    content: str
    sender: str
    recipient: str
    chat: str
    senderJid: str
    fromMe: bool
    isGroup: bool
    timestamp: str


class RyzeMessages(Struct, kw_only=True):
    """Newest first."""

    success: bool
    message: str
    messages: list[RyzeMessage]
    count: int
    hasMore: bool
    chat_jid: str


class RyzeArchive(Struct, kw_only=True):
    """A chat, and whether it is to be archived."""

    number: Number | None = None
    archive: bool


class RyzeArchived(Struct, kw_only=True):
    """The chat is archived, or is not."""

    success: bool
    message: str
    chat_jid: str
    archived: bool


class RyzeLeave(Struct, kw_only=True):
    """A group, where the query names none; no body says nothing."""

    number: GroupJid | None = None


class RyzeLeaveQuery(Struct, kw_only=True):
    """In the query: a group."""

    identifier: GroupJid | None = None


class RyzeLeft(Struct, kw_only=True):
    """The instance takes part no longer."""

    success: bool
    message: str
    groupJid: str


class RyzeProblem(Struct):
    """What is wrong."""

    message: str


class RyzeFault(Struct, kw_only=True):
    """How errors are answered."""

    success: bool = False
    error: RyzeProblem

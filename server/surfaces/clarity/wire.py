"""Requests and answers, with the seed's field names. Times are Unix seconds."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

Limit = Annotated[int, Meta(ge=1, le=100, description="At most so many; 10 where it is absent")]
Token = Annotated[str, Meta(max_length=256)]
Contact = Annotated[str, Meta(max_length=64)]
Reactions = dict[
    Annotated[str, Meta(min_length=1, max_length=32)], Annotated[list[str], Meta(max_length=100)]
]


class ClarityFault(Struct):
    """How every error is answered: invalid_request, or api_error where the fault is ours."""

    type: str
    message: str
    documentation_url: str


class ClarityConversationList(Struct, kw_only=True):
    """Which conversations; a filter counts when it is true."""

    limit: Limit | None = None
    muted: bool | None = None
    archived: bool | None = None
    pinned: bool | None = None
    group_id: Contact | None = None
    starting_after: Token | None = None
    ending_before: Token | None = None


class ClarityConversationCreate(Struct, kw_only=True):
    """With a contact, or in a group: exactly one of them."""

    contact_id: Contact | None = None
    group_id: Contact | None = None


class ClarityConversationUpdate(Struct, kw_only=True):
    """What is absent stays; null or an empty text takes away."""

    pinned_message_id: Token | UnsetType | None = UNSET
    is_pinned: bool | UnsetType = UNSET
    is_muted: bool | UnsetType = UNSET
    archived_at: int | Token | UnsetType | None = UNSET


class ClarityConversationDelete(Struct, kw_only=True):
    """In the query: whether the files that the messages refer to are given up too."""

    delete_media: bool | None = None


class ClarityConversationView(Struct, kw_only=True):
    """One user's view of one channel."""

    id: str
    contact_id: str | None
    group_id: str | None
    pinned_message_id: str | None
    is_pinned: bool
    is_muted: bool
    last_active_at: int | None
    last_opened_at: int | None
    created_at: int
    archived_at: int | None


class ClarityConversationPage(Struct):
    """The newest activity first."""

    has_more: bool
    data: list[ClarityConversationView]


class ClarityMessageList(Struct, kw_only=True):
    """Of one conversation."""

    conversation_id: Token
    limit: Limit | None = None
    starting_after: Token | None = None
    ending_before: Token | None = None


class ClarityMessageCreate(Struct, kw_only=True):
    """A text, and what goes with it."""

    conversation_id: Token
    message: Annotated[str, Meta(min_length=1)]
    attachments: Annotated[list[Any], Meta(max_length=100)] | None = None


class ClarityMessageUpdate(Struct, kw_only=True):
    """What is absent stays."""

    message: Annotated[str, Meta(min_length=1)] | None = None
    reactions: Reactions | None = None
    attachments: Annotated[list[Any], Meta(max_length=100)] | None = None


class ClarityContactView(Struct, kw_only=True):
    """Who sent it. Tidemark knows no profiles: his id is his name."""

    id: str
    username: str
    phone_number: None = None
    avatar_url: None = None
    last_active_at: None = None
    created_at: None = None


class ClarityMessageView(Struct, kw_only=True):
    """A message; without reactions they are an empty list, as the seed has it."""

    id: str
    conversation_id: str
    contact: ClarityContactView
    message: str
    reactions: Reactions | list[str]
    attachments: list[Any]
    read_at: int | None
    created_at: int
    updated_at: int


class ClarityMessagePage(Struct):
    """The newest first."""

    has_more: bool
    data: list[ClarityMessageView]

"""Requests and answers by DoubleTick's names. Fields that it does not have are ours, and said to be in docs/surfaces.md."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

Phone = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=16,
        description="Digits with the country code; a + before them is taken",
        examples=["919999999999"],
    ),
]
Day = Annotated[str, Meta(max_length=10, description="DD-MM-YYYY", examples=["31-12-2026"])]
Cursor = Annotated[str, Meta(max_length=256)]


class DoubleTickClear(Struct, kw_only=True, rename={"business": "from", "customer": "to"}):
    """A chat: of one of the business's numbers with a customer."""

    customer: Phone
    business: Phone
    deleteMedia: bool | None = None


class DoubleTickCleared(Struct, kw_only=True):
    """The clean is in the journal, under this requestId."""

    success: bool
    message: str
    requestId: str


class DoubleTickCustomers(Struct, kw_only=True):
    """Customers, by their numbers."""

    phoneNumbers: Annotated[list[Phone], Meta(min_length=1, max_length=10)]
    deleteMedia: bool | None = None


class DoubleTickDeleted(Struct, kw_only=True):
    """The cleans are in the journal, under these requestIds: one a chat."""

    message: str
    notFoundPhoneNumbers: list[str]
    requestIds: list[str]


class DoubleTickMessageQuery(Struct, kw_only=True):
    """A chat and days of it, both included, in UTC. nextCursor: what the answer before said."""

    wabaNumber: Phone
    customerNumber: Phone
    startDate: Day | None = None
    endDate: Day | None = None
    nextCursor: Cursor | None = None


class DoubleTickMessage(Struct, kw_only=True):
    """A message. mediaUrl is null: what is no text has its content in message, as it was sent."""

    messageId: str
    sender: str
    recipient: str
    message: str
    mediaUrl: str | None
    timestamp: str
    status: str


class DoubleTickMessages(Struct, kw_only=True):
    """Oldest first. nextCursor, null mostly, asks for those before the first of them."""

    success: bool
    messages: list[DoubleTickMessage]
    nextCursor: str | None


class DoubleTickChatQuery(Struct, kw_only=True):
    """Chats of these numbers; several with commas between them, or the name again. What is not kept here is refused."""

    wabaNumbers: list[Annotated[str, Meta(max_length=256, examples=["919999999999"])]]
    limit: Annotated[int, Meta(ge=1, le=100)] | None = None
    status: Annotated[str, Meta(max_length=64, description="all, unread, done or unresolved")] | None = None
    tags: list[str] | None = None
    assignedUserPhone: str | None = None
    instagramHandles: list[str] | None = None
    nextChatId: Annotated[str, Meta(max_length=1024)] | None = None
    nextChatTimestamp: int | None = None


class DoubleTickChat(Struct, kw_only=True):
    """A chat. name is a group's, phoneNumber a customer's; isDone: it is archived. Times are milliseconds."""

    chatType: str
    name: str | None
    phoneNumber: str | None
    unreadCount: int
    isDone: bool
    chatUpdatedTime: int
    lastMessageTime: int | None
    wabaNumber: str
    lastMessage: DoubleTickMessage | None


class DoubleTickPagination(Struct, kw_only=True):
    """What to send for the next answer, with the same wabaNumbers."""

    hasMoreChats: bool
    nextChatId: str | None
    nextChatTimestamp: int | None


class DoubleTickChats(Struct, kw_only=True):
    """The newest activity first."""

    chats: list[DoubleTickChat]
    paginationOptions: DoubleTickPagination


class DoubleTickFault(Struct, kw_only=True):
    """How errors are answered; where customers were named and none is there, without statusCode and error."""

    message: str
    error: str | UnsetType = UNSET
    statusCode: int | UnsetType = UNSET
    notFoundPhoneNumbers: list[str] | UnsetType = UNSET

"""List chats: the conversations of some of the business's numbers as one list, the newest activity first."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from history import cursors
from history.axis import MILLISECOND
from history.channels.model import ChannelType
from history.delivery.model import MOST_UNREAD, ConversationFilter, ConversationView, OnAxis
from history.errors import InvalidInput
from server.calls import Call, Reply
from server.services import Services
from server.surfaces.doubletick import wire
from server.surfaces.doubletick.render import message_view, phone

MOST_NUMBERS = 10
MOST_LOOKED_AT = 1_000
"""Chats that a status passes over are looked at too: an answer ends here, with a cursor, whatever it has found."""
_PAGE = 20
_DEFAULT_LIMIT = 10
_STATUSES: Mapping[str, ConversationFilter] = {
    "all": ConversationFilter(),
    "unread": ConversationFilter(),
    "done": ConversationFilter(archived=True),
    "unresolved": ConversationFilter(archived=False),
}
_TYPES = {ChannelType.DIRECT: "INDIVIDUAL", ChannelType.GROUP: "WA_GROUP"}
_NOT_KEPT = ("tags", "assignedUserPhone", "instagramHandles")


class _List:
    """The conversations of one number, from a place on, read page by page."""

    def __init__(
        self, services: Services, app_key: str, number: str, filters: ConversationFilter, after: int | None
    ) -> None:
        self.number = number
        self.after = after
        """The channel of the last that was taken; None at the start."""
        self._services = services
        self._app_key = app_key
        self._filters = filters
        self._read: deque[ConversationView] = deque()
        self._more = True

    async def next(self) -> ConversationView | None:
        """The next one, left where it is; None at the end."""
        if not self._read and self._more:
            page, self._more = await self._services.conversations.list(
                self._app_key,
                self.number,
                filters=self._filters,
                limit=_PAGE,
                after=self.after,
                unread=True,
                last_message=True,
            )
            self._read.extend(page)
        return self._read[0] if self._read else None

    def take(self) -> ConversationView:
        """Take it: the list goes on after it."""
        view = self._read.popleft()
        self.after = view.channel_id
        return view


async def list_chats(call: Call[wire.DoubleTickChatQuery]) -> Reply:
    """The chats of some of the business's numbers, the newest activity first; a cleared chat stays, without messages."""
    body = call.body
    filters = _filters(body)
    numbers = _numbers(body)
    places = _places(body, numbers)
    lists = [_List(call.services, call.app.app_key, number, filters, places[number]) for number in numbers]
    limit, looked_at = body.limit or _DEFAULT_LIMIT, 0
    chats: list[wire.DoubleTickChat] = []
    newest = await _newest(lists)
    while newest is not None and len(chats) < limit and looked_at < MOST_LOOKED_AT:
        view, looked_at = newest.take(), looked_at + 1
        if view.channel.type in _TYPES and (body.status != "unread" or view.unread):
            chats.append(_view(newest.number, view))
        newest = await _newest(lists)
    more = newest is not None
    return Reply(
        result=wire.DoubleTickChats(
            chats=chats,
            paginationOptions=wire.DoubleTickPagination(
                hasMoreChats=more,
                nextChatId=cursors.pack({one.number: one.after for one in lists}) if more else None,
                nextChatTimestamp=chats[-1].chatUpdatedTime if more and chats else None,
            ),
        )
    )


async def _newest(lists: list[_List]) -> _List | None:
    """The list whose next conversation is the newest."""
    heads = [(view.place, one.number, one) for one in lists if (view := await one.next()) is not None]
    return max(heads, key=lambda head: head[:2])[2] if heads else None


def _filters(body: wire.DoubleTickChatQuery) -> ConversationFilter:
    for name in _NOT_KEPT:
        if getattr(body, name):
            raise InvalidInput(name, f"{name} is not kept here; leave it out.")
    filters = _STATUSES.get(body.status or "all")
    if filters is None:
        raise InvalidInput("status", f"status must be one of {', '.join(_STATUSES)}: no other is kept here.")
    return filters


def _numbers(body: wire.DoubleTickChatQuery) -> list[str]:
    written = [text.strip() for texts in body.wabaNumbers for text in texts.split(",") if text.strip()]
    numbers = list(dict.fromkeys(phone(text, "wabaNumbers") for text in written))
    if not 1 <= len(numbers) <= MOST_NUMBERS:
        raise InvalidInput(
            "wabaNumbers", f"wabaNumbers must name 1 to {MOST_NUMBERS} of the business's numbers."
        )
    return numbers


def _places(body: wire.DoubleTickChatQuery, numbers: list[str]) -> Mapping[str, int | None]:
    """Where each number's list goes on."""
    if not body.nextChatId:
        return dict.fromkeys(numbers)
    try:
        places = cursors.unpack(body.nextChatId, dict[str, OnAxis | None])
    except cursors.NotOurs as exc:
        raise InvalidInput("nextChatId", "nextChatId must be one that the answer before gave.") from exc
    if set(places) != set(numbers):
        raise InvalidInput("nextChatId", "nextChatId goes with the wabaNumbers of the answer that gave it.")
    return places


def _view(number: str, view: ConversationView) -> wire.DoubleTickChat:
    other = view.channel.seen_by(number)
    direct = view.channel.type is ChannelType.DIRECT
    last = view.last_message
    active = (view.last_active_at or view.created_at) // MILLISECOND
    return wire.DoubleTickChat(
        chatType=_TYPES[view.channel.type],
        name=None if direct else other,
        phoneNumber=other if direct else None,
        unreadCount=min(view.unread, MOST_UNREAD),
        isDone=view.archived_at is not None,
        chatUpdatedTime=active,
        lastMessageTime=None if last is None else last.sent_at,
        wabaNumber=number,
        lastMessage=None if last is None else message_view(last, number, other),
    )

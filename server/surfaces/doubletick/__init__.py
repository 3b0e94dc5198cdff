"""DoubleTick's public API: a business's phone numbers and its customers' are users here, a chat is their direct channel."""

from __future__ import annotations

from server.calls import Caller
from server.surface import Route
from server.surfaces.doubletick import chats, handlers, wire
from server.surfaces.doubletick.surface import DOUBLETICK

ROUTES: tuple[Route, ...] = (
    Route(
        surface=DOUBLETICK,
        method="DELETE",
        path="/conversation/chat/messages",
        caller=Caller.KEY,
        handler=handlers.clear_chat,
        body=wire.DoubleTickClear,
        result=wire.DoubleTickCleared,
        summary="Clear a chat of a business (DoubleTick)",
    ),
    Route(
        surface=DOUBLETICK,
        method="DELETE",
        path="/customer",
        caller=Caller.KEY,
        handler=handlers.delete_customers,
        body=wire.DoubleTickCustomers,
        result=wire.DoubleTickDeleted,
        status=201,
        summary="Clear all chats of customers (DoubleTick)",
    ),
    Route(
        surface=DOUBLETICK,
        method="GET",
        path="/chat-messages",
        caller=Caller.KEY,
        handler=handlers.list_messages,
        body=wire.DoubleTickMessageQuery,
        result=wire.DoubleTickMessages,
        summary="The messages of a chat, by days (DoubleTick)",
    ),
    Route(
        surface=DOUBLETICK,
        method="GET",
        path="/chats",
        caller=Caller.KEY,
        handler=chats.list_chats,
        body=wire.DoubleTickChatQuery,
        result=wire.DoubleTickChats,
        summary="The chats of the business's numbers (DoubleTick)",
    ),
)

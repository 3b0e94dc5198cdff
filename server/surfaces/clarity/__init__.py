"""Clarity: conversations and messages of one user, who calls with his access token. Form or JSON in, JSON out.

Times are Unix seconds. A conversation's id is the user's own: the same channel has another one for the other side.
"""

from __future__ import annotations

from msgspec import Struct

from server.calls import Caller, Handler
from server.surface import Route
from server.surfaces.clarity import conversations, messages, wire
from server.surfaces.clarity.surface import CLARITY


def _row(
    method: str,
    path: str,
    handler: Handler,
    body: type[Struct] | None,
    result: type[Struct] | None,
    summary: str,
    query: type[Struct] | None = None,
) -> Route:
    return Route(
        surface=CLARITY,
        method=method,
        path=f"/v1/{path}",
        caller=Caller.BEARER,
        handler=handler,
        body=body,
        query=query,
        result=result,
        status=200 if result is not None else 204,
        summary=summary,
    )


_C, _M = "conversations", "messages"

# fmt: off
ROUTES = (
    _row("GET", _C, conversations.list_all, wire.ClarityConversationList, wire.ClarityConversationPage,
         "List all conversations"),
    _row("POST", _C, conversations.create, wire.ClarityConversationCreate, wire.ClarityConversationView,
         "Create a conversation"),
    _row("GET", f"{_C}/{{id}}", conversations.retrieve, None, wire.ClarityConversationView, "Retrieve a conversation"),
    _row("PUT", f"{_C}/{{id}}", conversations.update, wire.ClarityConversationUpdate, wire.ClarityConversationView,
         "Update a conversation"),
    _row("DELETE", f"{_C}/{{id}}", conversations.delete, None, None, "Delete a conversation and its messages",
         wire.ClarityConversationDelete),
    _row("GET", _M, messages.list_all, wire.ClarityMessageList, wire.ClarityMessagePage, "List all messages"),
    _row("POST", _M, messages.create, wire.ClarityMessageCreate, wire.ClarityMessageView, "Send a message"),
    _row("GET", f"{_M}/{{id}}", messages.retrieve, None, wire.ClarityMessageView, "Retrieve a message"),
    _row("PUT", f"{_M}/{{id}}", messages.update, wire.ClarityMessageUpdate, wire.ClarityMessageView, "Update a message"),
    _row("DELETE", f"{_M}/{{id}}", messages.delete, None, None, "Delete a message"),
)
# fmt: on

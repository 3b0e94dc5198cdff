"""RyzeAPI: an instance is a user of the app, and a chat his conversation with a number or a group."""

from __future__ import annotations

from msgspec import Struct

from server.calls import Caller, Handler
from server.surface import Route
from server.surfaces.ryze import handlers, wire
from server.surfaces.ryze.surface import CHANGES, EXPLAINED, READS, Ryze


def _route(
    surface: Ryze,
    method: str,
    path: str,
    handler: Handler,
    body: type[Struct],
    result: type[Struct],
    summary: str,
    query: type[Struct] | None = None,
) -> Route:
    return Route(
        surface=surface,
        method=method,
        path=f"/api/{path}/{{instance}}",
        caller=Caller.INSTANCE,
        handler=handler,
        body=body,
        query=query,
        result=result,
        summary=summary,
    )


# fmt: off
ROUTES: tuple[Route, ...] = (
    _route(CHANGES, "DELETE", "chat/deleteChat", handlers.delete_chat, wire.RyzeDeleteChat, wire.RyzeChatDeleted,
           "Delete a chat of an instance (RyzeAPI)"),
    _route(READS, "POST", "chat/history", handlers.history, wire.RyzeHistory, wire.RyzeMessages,
           "The messages of a chat, newest first (RyzeAPI)"),
    _route(EXPLAINED, "POST", "chat/archive", handlers.archive, wire.RyzeArchive, wire.RyzeArchived,
           "Archive a chat, or unarchive it (RyzeAPI)"),
    _route(CHANGES, "DELETE", "group/leave", handlers.leave_group, wire.RyzeLeave, wire.RyzeLeft,
           "Leave a group (RyzeAPI)", wire.RyzeLeaveQuery),
)
# fmt: on

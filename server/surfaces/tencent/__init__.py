"""Tencent Chat: its server REST API, and deleteConversation of its web SDK as a call for web clients."""

from __future__ import annotations

from msgspec import Struct

from server.calls import Caller, Handler
from server.surface import Route
from server.surfaces.tencent import handlers, web, wire
from server.surfaces.tencent.surface import GROUP, OPEN_IM, RECENT_CONTACT, WEB, Rest


def _rest(
    surface: Rest, path: str, handler: Handler, body: type[Struct], result: type[Struct], summary: str
) -> Route:
    return Route(
        surface=surface,
        method="POST",
        path=f"/v4/{path}",
        caller=Caller.USERSIG,
        handler=handler,
        body=body,
        result=result,
        summary=summary,
    )


# fmt: off
ROUTES = (
    _rest(RECENT_CONTACT, "recentcontact/delete", handlers.delete_conversation, wire.RecentContactDelete, wire.TencentAnswer,
          "Tencent: delete a user's conversation"),
    _rest(RECENT_CONTACT, "recentcontact/batch_delete", handlers.delete_conversations, wire.RecentContactBatchDelete,
          wire.RecentContactsDeleted, "Tencent: delete up to 100 conversations of a user"),
    _rest(GROUP, "group_open_http_svc/clear_group_msg", handlers.clear_group, wire.ClearGroupMsg, wire.TencentAnswer,
          "Tencent: clear a group for everyone"),
    _rest(GROUP, "group_open_http_svc/group_msg_get_simple", handlers.group_messages, wire.GroupMsgGet, wire.GroupMsgs,
          "Tencent: what is stored of a group"),
    _rest(OPEN_IM, "openim/sendmsg", handlers.send, wire.SendMsg, wire.MsgSent, "Tencent: send a direct message"),
    _rest(OPEN_IM, "openim/admin_getroammsg", handlers.roam, wire.RoamMsg, wire.RoamedMsgs,
          "Tencent: a direct conversation as one party may read it"),
    Route(surface=WEB, method="POST", path="/v1/conversations/delete", caller=Caller.BEARER, handler=web.delete,
          body=wire.WebDelete, result=wire.WebDeleted, summary="Take conversations off one's list, as deleteConversation"),
)
# fmt: on

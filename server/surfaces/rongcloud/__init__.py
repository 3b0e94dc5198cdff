"""RongCloud's server API as it was before v4: form-encoded calls whose paths end in .json, signed as those of v4 are."""

from __future__ import annotations

from msgspec import Struct

from history.channels.model import ChannelType
from server.calls import Caller, Handler
from server.surface import Route, Surface
from server.surfaces.rongcloud import channels, messages, wire
from server.surfaces.rongcloud.surface import BY_FORM, BY_JSON


def _post(
    path: str,
    handler: Handler,
    body: type[Struct],
    result: type[Struct],
    summary: str,
    surface: Surface = BY_FORM,
) -> Route:
    return Route(
        surface=surface,
        method="POST",
        path=f"/{path}.json",
        caller=Caller.APP,
        handler=handler,
        body=body,
        result=result,
        summary=summary,
    )


_QUERIES = {"private": ChannelType.DIRECT, "group": ChannelType.GROUP, "chatroom": ChannelType.OPEN}

# fmt: off
ROUTES = (
    _post("message/private/publish", messages.publish_private, wire.RongPrivateSend, wire.RongSentToUsers, "Send to users"),
    _post("message/group/publish", messages.publish_group, wire.RongGroupSend, wire.RongSentToGroups, "Send to groups"),
    _post("message/chatroom/publish", messages.publish_room, wire.RongRoomSend, wire.RongSentToRooms,
          "Send to chatrooms"),
    _post("message/system/publish", messages.publish_system, wire.RongSystemSend, wire.RongSentToUsers,
          "Send as an account"),
    _post("message/recall", messages.recall, wire.RongRecall, wire.RongDone, "Take a message back from everyone"),
    *(
        _post(f"v3/message/{word}/query", messages.query(type_), wire.RongQuery, wire.RongPage,
              "List what a user may read, newest first", BY_JSON)
        for word, type_ in _QUERIES.items()
    ),
    _post("conversation/message/history/clean", messages.clean, wire.RongClean, wire.RongDone,
          "Clean history before a moment: for one user, in chatrooms for everyone"),
    _post("group/create", channels.create_group, wire.RongGroupCreate, wire.RongDone, "Make a group"),
    _post("group/join", channels.join_group, wire.RongGroupUsers, wire.RongDone, "Let users into a group"),
    _post("group/quit", channels.quit_group, wire.RongGroupUsers, wire.RongDone, "Let users leave a group"),
    _post("group/dismiss", channels.dismiss_group, wire.RongGroup, wire.RongDone, "End a group"),
    _post("chatroom/create", channels.create_rooms, wire.RongRoomsCreate, wire.RongDone, "Make chatrooms"),
    _post("chatroom/destroy", channels.destroy_rooms, wire.RongRoomsDestroy, wire.RongDone, "End chatrooms"),
    _post("user/getToken", channels.issue_token, wire.RongUser, wire.RongToken, "An access token of a user"),
)
# fmt: on

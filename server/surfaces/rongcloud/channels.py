"""Groups, chatrooms and access tokens, as RongCloud's calls."""

from __future__ import annotations

from history.apps.model import App
from history.channels.model import ChannelKey, ChannelType
from history.errors import Conflict, InvalidInput, NotFound
from server.calls import Call, Reply
from server.surfaces.rongcloud import wire


async def create_group(call: Call[wire.RongGroupCreate]) -> Reply:
    """Make a group whose first members read it from the start. Where it is there already they join it, as there."""
    body, membership = call.body, call.services.membership
    key = _group(call.app, body.groupId)
    try:
        await membership.create_group(key, name=body.groupName, owner=body.userId[0], users=body.userId)
    except Conflict:
        try:
            await membership.join(key, body.userId)
        except NotFound as exc:
            raise InvalidInput(
                "groupId", "groupId is that of a group that was dismissed; choose another one."
            ) from exc
    return Reply(result=wire.RongDone())


async def join_group(call: Call[wire.RongGroupUsers]) -> Reply:
    """Let users in; they read what is sent from now on. Who is in already stays as he is."""
    await call.services.membership.join(_group(call.app, call.body.groupId), call.body.userId)
    return Reply(result=wire.RongDone())


async def quit_group(call: Call[wire.RongGroupUsers]) -> Reply:
    """Let users go; they read nothing of it any more. Who is not in is passed over."""
    await call.services.membership.leave(_group(call.app, call.body.groupId), call.body.userId)
    return Reply(result=wire.RongDone())


async def dismiss_group(call: Call[wire.RongGroup]) -> Reply:
    """End a group: its history is cleaned for everyone; what somebody still misses is delivered."""
    await call.services.membership.dismiss(_group(call.app, call.body.groupId))
    return Reply(result=wire.RongDone())


async def create_rooms(call: Call[wire.RongRoomsCreate]) -> Reply:
    """Make chatrooms, or make them again that have ended; one that lives stays as it is. They live until destroyed."""
    for id_ in call.body.chatroom:
        # one by one: made twice is made once, so a call that broke off is sent again
        await call.services.membership.create_open(
            _room(call.app, id_), ttl_minutes=None, from_last_message=True
        )
    return Reply(result=wire.RongDone())


async def destroy_rooms(call: Call[wire.RongRoomsDestroy]) -> Reply:
    """End chatrooms for everyone; one that is not there is passed over."""
    rooms = [_room(call.app, id_) for id_ in call.body.chatroomId]
    await call.services.membership.destroy_open(rooms)
    return Reply(result=wire.RongDone())


async def issue_token(call: Call[wire.RongUser]) -> Reply:
    """An access token of a user, good for the app's tokenDays; shown once."""
    token = await call.services.apps.issue_token(call.app, call.body.userId)
    return Reply(result=wire.RongToken(userId=call.body.userId, token=token))


def _group(app: App, group_id: str) -> ChannelKey:
    return ChannelKey(app.app_key, ChannelType.GROUP, (group_id,))


def _room(app: App, room_id: str) -> ChannelKey:
    return ChannelKey(app.app_key, ChannelType.OPEN, (room_id,))

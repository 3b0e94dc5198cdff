"""Groups and open channels: made, joined, left, listed, ended."""

from __future__ import annotations

from history.apps.model import App
from history.axis import MILLISECOND
from history.channels.model import ChannelKey, ChannelType, Group
from server.calls import Call, Reply
from server.wire import channels as wire

_DEFAULT_PAGE = 50
_REGULAR, _OWNER = 1, 3


async def create_group(call: Call[wire.GroupCreate]) -> Reply:
    """Make a group; its owner and userIds read it from the start."""
    body = call.body
    await call.services.membership.create_group(
        _group(call.app, body.channelId), name=body.name, owner=body.owner, users=body.userIds or ()
    )
    return Reply()


async def join_group(call: Call[wire.GroupUsers]) -> Reply:
    """Let users in; they read what is sent from now on. Who is in already stays as he is."""
    group = await call.services.membership.join(_group(call.app, call.body.channelId), call.body.userIds)
    return Reply(result=_view(group))


async def leave_group(call: Call[wire.GroupUsers]) -> Reply:
    """Let users go; they read nothing of it any more."""
    await call.services.membership.leave(_group(call.app, call.body.channelId), call.body.userIds)
    return Reply()


async def dismiss_group(call: Call[wire.GroupName]) -> Reply:
    """End a group: its history is cleaned for everyone; what somebody still misses is delivered."""
    await call.services.membership.dismiss(_group(call.app, call.body.channelId))
    return Reply()


async def list_members(call: Call[wire.MemberList]) -> Reply:
    """A page of the members of a group."""
    body = call.body
    group, members, token = await call.services.membership.members(
        _group(call.app, body.channelId),
        page_token=body.pageToken or None,
        newest_first=body.order == 1,
        most=body.pageSize or _DEFAULT_PAGE,
    )
    views = [
        wire.MemberView(member.user_id, _OWNER if member.owner else _REGULAR, member.joined_at // MILLISECOND)
        for member in members
    ]
    wanted = body.memberRole or 0
    shown = [view for view in views if wanted in (0, view.role)]
    return Reply(result=wire.MemberPage(totalCount=group.member_count, members=shown, pageToken=token))


async def list_joined(call: Call[wire.JoinedList]) -> Reply:
    """A page of the groups that a user is in."""
    body = call.body
    joined, token = await call.services.membership.joined(
        call.app.app_key,
        body.userId,
        page_token=body.pageToken or None,
        newest_first=body.order == 1,
        most=body.pageSize or _DEFAULT_PAGE,
    )
    views = [
        wire.JoinedView(
            channelId=item.group.channel_id,
            name=item.group.name,
            owner=item.group.owner,
            memberCount=item.group.member_count,
            createdAt=item.group.created_at // MILLISECOND,
            joinedAt=item.joined_at // MILLISECOND,
            role=_OWNER if item.group.owner == body.userId else _REGULAR,
        )
        for item in joined
    ]
    wanted = body.role or 0
    return Reply(result=wire.JoinedPage([view for view in views if wanted in (0, view.role)], token))


async def create_open(call: Call[wire.OpenCreate]) -> Reply:
    """Make an open channel, or make one again that has ended; one that lives stays as it is."""
    body = call.body
    await call.services.membership.create_open(
        _open(call.app, body.channelId),
        ttl_minutes=body.ttlMinutes,
        from_last_message=body.destroyType != 1,
    )
    return Reply()


async def destroy_open(call: Call[wire.OpenDestroy]) -> Reply:
    """End open channels for everyone; one that is not there is passed over."""
    await call.services.membership.destroy_open([_open(call.app, id_) for id_ in call.body.channelIds])
    return Reply()


def _group(app: App, channel_id: str) -> ChannelKey:
    return ChannelKey(app.app_key, ChannelType.GROUP, (channel_id,))


def _open(app: App, channel_id: str) -> ChannelKey:
    return ChannelKey(app.app_key, ChannelType.OPEN, (channel_id,))


def _view(group: Group) -> wire.GroupView:
    return wire.GroupView(
        channelId=group.channel_id,
        name=group.name,
        owner=group.owner,
        memberCount=group.member_count,
        createdAt=group.created_at // MILLISECOND,
    )

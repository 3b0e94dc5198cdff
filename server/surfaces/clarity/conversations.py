"""A user's conversations: list, create, retrieve, update, delete."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from history.axis import NEVER, SECOND
from history.channels.model import ChannelKey, ChannelType, channel_key
from history.cursors import NotOurs, message_id, read_message_id
from history.delivery.model import ConversationFilter, ConversationView
from history.errors import InvalidInput, NotFound
from server.calls import Call, Reply
from server.drafts import clean
from server.surfaces.clarity import wire
from server.surfaces.clarity.ids import channel_of, conversation_id
from server.surfaces.clarity.surface import SOURCE

_DEFAULT_LIMIT = 10
_LATEST_SECOND = 10**11


async def list_all(call: Call[wire.ClarityConversationList]) -> Reply:
    """All your conversations, the newest activity first; archived ones too, unless a filter says otherwise."""
    body, app_key = call.body, call.app.app_key
    if body.starting_after and body.ending_before:
        raise InvalidInput("ending_before", "starting_after and ending_before do not go together.")
    channel = ChannelKey(app_key, ChannelType.GROUP, (body.group_id,)) if body.group_id else None
    page, more = await call.services.conversations.list(
        app_key,
        call.user,
        filters=ConversationFilter(
            muted=body.muted or None,
            archived=body.archived or None,
            pinned=body.pinned or None,
            channel=channel,
        ),
        limit=body.limit or _DEFAULT_LIMIT,
        after=_cursor(body.starting_after, call.user, "starting_after"),
        before=_cursor(body.ending_before, call.user, "ending_before"),
    )
    return Reply(result=wire.ClarityConversationPage(more, [view_of(found) for found in page]))


async def create(call: Call[wire.ClarityConversationCreate]) -> Reply:
    """A conversation with a contact, or in a group that you take part in; one that is there is answered as it is."""
    body, app_key = call.body, call.app.app_key
    if bool(body.contact_id) == bool(body.group_id):
        raise InvalidInput("contact_id", "Send contact_id or group_id: exactly one of them.")
    if body.contact_id == call.user:
        raise InvalidInput("contact_id", "contact_id is yourself; a conversation is with somebody else.")
    if body.contact_id:
        channel = channel_key(app_key, ChannelType.DIRECT, channel_id=body.contact_id, user_id=call.user)
    else:
        channel = ChannelKey(app_key, ChannelType.GROUP, (body.group_id or "",))
    return Reply(result=view_of(await call.services.conversations.create(app_key, call.user, channel)))


async def retrieve(call: Call[None]) -> Reply:
    """One of your conversations."""
    return Reply(result=view_of(await find(call, call.path["id"])))


async def update(call: Call[wire.ClarityConversationUpdate]) -> Reply:
    """Pin, mute or archive a conversation, or pin a message in it."""
    body = call.body
    found = await find(call, call.path["id"])
    changed = await call.services.conversations.update(
        call.app.app_key,
        call.user,
        found.channel_id,
        pinned=body.is_pinned,
        muted=body.is_muted,
        archived_at=_instant(body.archived_at),
        pinned_message=_position(found, body.pinned_message_id),
    )
    return Reply(result=view_of(changed))


async def delete(call: Call[None]) -> Reply:
    """Your clean of all of it, without undo, compensation included, and out of your list; the other side keeps his."""
    found, app = await find(call, call.path["id"]), call.app
    await clean(
        call.services,
        app,
        found.channel,
        user=call.user,
        before=NEVER,
        source=SOURCE,
        delete_compensated=True,
        delete_media=bool(call.query.delete_media),
        undo_seconds=0,
    )
    await call.services.conversations.remove(app.app_key, call.user, [found.channel])
    return Reply()


async def find(call: Call[Any], id_: str) -> ConversationView:
    """The user's own conversation of this id."""
    channel_id = channel_of(id_, call.user)
    if channel_id is None:
        raise NotFound("There is no conversation of this id.")
    return await call.services.conversations.get(call.app.app_key, call.user, channel_id)


def view_of(found: ConversationView) -> wire.ClarityConversationView:
    """As Clarity shows it."""
    group = found.channel.type is ChannelType.GROUP
    other = found.channel.seen_by(found.user_id)
    return wire.ClarityConversationView(
        id=conversation_id(found.channel_id, found.user_id),
        contact_id=None if group else other,
        group_id=other if group else None,
        pinned_message_id=None
        if found.pinned_message is None
        else message_id(found.channel_id, found.pinned_message),
        is_pinned=found.pinned,
        is_muted=found.muted,
        last_active_at=seconds(found.last_active_at),
        last_opened_at=seconds(found.opened_at),
        created_at=found.created_at // SECOND,
        archived_at=seconds(found.archived_at),
    )


def seconds(instant: int | None) -> int | None:
    """Unix seconds."""
    return None if instant is None else instant // SECOND


def _cursor(text: str | None, user_id: str, field: str) -> int | None:
    if not text:
        return None
    channel_id = channel_of(text, user_id)
    if channel_id is None:
        raise InvalidInput(field, f"{field} must be the id of one of your conversations.")
    return channel_id


def _instant(value: int | str | UnsetType | None) -> int | UnsetType | None:
    if value is UNSET or value is None or value == "":
        return UNSET if value is UNSET else None
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) < 16):
        raise InvalidInput("archived_at", "archived_at must be a time in Unix seconds, or empty to restore.")
    number = int(value)
    if not 0 <= number < _LATEST_SECOND:
        raise InvalidInput("archived_at", "archived_at must be a time in Unix seconds, or empty to restore.")
    return number * SECOND


def _position(found: ConversationView, id_: str | UnsetType | None) -> int | UnsetType | None:
    if id_ is UNSET or not id_:
        return UNSET if id_ is UNSET else None
    try:
        channel_id, position = read_message_id(str(id_))
    except NotOurs:
        channel_id, position = None, 0
    if channel_id != found.channel_id:
        raise InvalidInput(
            "pinned_message_id", "pinned_message_id must be the id of a message of this conversation."
        )
    return position

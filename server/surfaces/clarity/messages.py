"""The messages of a user's conversations: list, send, retrieve, update, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from history.axis import SECOND
from history.channels.model import ChannelType
from history.cursors import NotOurs, read_message_id
from history.delivery.model import ConversationView
from history.errors import Forbidden, InvalidInput, NotFound, TooLong
from history.messages.model import Flags, Found, Message
from server.calls import Call, Reply
from server.drafts import LONGEST_METADATA_VALUE, check_storage, draft
from server.surfaces.clarity import wire
from server.surfaces.clarity.conversations import find
from server.surfaces.clarity.ids import conversation_id
from server.surfaces.text import TEXT, as_content, as_text

_DEFAULT_LIMIT = 10
_REACTIONS, _ATTACHMENTS = "reactions", "attachments"


async def list_all(call: Call[wire.ClarityMessageList]) -> Reply:
    """The messages of a conversation, the newest first. Whoever lists the newest has opened it and read it."""
    body, app = call.body, call.app
    if body.starting_after and body.ending_before:
        raise InvalidInput("ending_before", "starting_after and ending_before do not go together.")
    conversation = await find(call, body.conversation_id)
    check_storage(app, conversation.channel.type)
    page, more = await call.services.messages.page(
        conversation.channel,
        call.user,
        below=_position(body.starting_after, conversation, "starting_after"),
        above=_position(body.ending_before, conversation, "ending_before"),
        most=body.limit or _DEFAULT_LIMIT,
    )
    opened = await call.services.conversations.open(
        app.app_key, call.user, conversation.channel_id, read=not body.starting_after
    )
    return Reply(
        result=wire.ClarityMessagePage(more, [_view(call.user, message, opened) for message in page])
    )


async def create(call: Call[wire.ClarityMessageCreate]) -> Reply:
    """Send a text; it stands in your own conversation as well."""
    body, app = call.body, call.app
    conversation = await find(call, body.conversation_id)
    channel = conversation.channel
    if channel.type is ChannelType.SYSTEM:
        raise InvalidInput("conversation_id", "conversation_id is a system channel, which takes no answers.")
    metadata = _metadata({}, {_ATTACHMENTS: body.attachments})
    sent = draft(
        app,
        channel.type,
        [channel],
        sender=call.user,
        message_type=TEXT,
        content=as_content(body.message),
        flags=Flags.ECHOED | (Flags.METADATA if metadata else 0),
        metadata=metadata,
    )
    [id_] = await call.services.messages.send(sent)
    channel_id, position = read_message_id(id_)
    message = Message(
        channel_id=channel_id,
        position=position,
        sender=call.user,
        type=sent.type,
        content=sent.content,
        flags=sent.flags,
        metadata=metadata,
    )
    return Reply(result=_view(call.user, message, conversation))


async def retrieve(call: Call[None]) -> Reply:
    """A message that you may read."""
    found = await _find(call)
    return Reply(result=_view(call.user, found, await _conversation(call, found)))


async def update(call: Call[wire.ClarityMessageUpdate]) -> Reply:
    """Change your own message: its text, or the reactions and attachments that go with it."""
    body, found = call.body, await _find(call)
    content = None
    if body.message is not None:
        content = as_content(body.message) if found.type == TEXT else body.message
    changes = {_REACTIONS: body.reactions, _ATTACHMENTS: body.attachments}
    metadata = None
    if any(value is not None for value in changes.values()):
        metadata = _metadata(found.entries, changes)
    changed: Message = found
    if content is not None or metadata is not None:
        if found.sender != call.user:
            raise Forbidden("Another sent this message; only its sender may change it.")
        changed = await call.services.messages.edit(
            found.channel, found.id, sender=call.user, content=content, metadata=metadata
        )
    return Reply(result=_view(call.user, changed, await _conversation(call, found)))


async def delete(call: Call[None]) -> Reply:
    """Your own message is taken back from everyone; another's is gone from your history."""
    found = await _find(call)
    if found.sender == call.user:
        await call.services.messages.recall(found.channel, found.id, sender=call.user, admin=False)
    else:
        await call.services.messages.hide(found.channel, call.user, [found.id])
    return Reply()


async def _find(call: Call[Any]) -> Found:
    found = await call.services.messages.find(call.app.app_key, call.user, call.path["id"])
    if found is None:
        raise NotFound("There is no message of this id.")
    return found


async def _conversation(call: Call[Any], found: Found) -> ConversationView | None:
    """Where it stands; None where the user took the conversation from his list."""
    try:
        return await call.services.conversations.get(call.app.app_key, call.user, found.channel_id)
    except NotFound:
        return None


def _view(user_id: str, message: Message, conversation: ConversationView | None) -> wire.ClarityMessageView:
    entries = message.entries
    text = as_text(message.type, message.content)
    created_at = message.position // SECOND
    read = conversation is not None and message.position <= conversation.read_position
    return wire.ClarityMessageView(
        id=message.id,
        conversation_id=conversation_id(message.channel_id, user_id),
        contact=wire.ClarityContactView(id=message.sender, username=message.sender),
        message=message.content if text is None else text,
        reactions=_given(entries, _REACTIONS, dict[str, list[str]]) or [],
        attachments=_given(entries, _ATTACHMENTS, list[Any]) or [],
        # when somebody else read it nobody knows
        read_at=conversation.opened_at // SECOND
        if conversation is not None
        and read
        and conversation.opened_at is not None
        and message.sender != user_id
        else None,
        created_at=created_at,
        updated_at=created_at if message.edited_at is None else message.edited_at // SECOND,
    )


def _given(entries: Mapping[str, str], name: str, type_: Any) -> Any:
    """What stands in the metadata under this name, where it has that form: another surface may have put it there."""
    try:
        return msgspec.json.decode(entries[name], type=type_) if name in entries else None
    except msgspec.DecodeError:
        return None


def _metadata(before: Mapping[str, str], changes: Mapping[str, object]) -> str | None:
    """The metadata with these entries as their JSON; what is None stays as it was."""
    entries = dict(before)
    for name, value in changes.items():
        if value is not None:
            entries[name] = msgspec.json.encode(value).decode()
            if len(entries[name]) > LONGEST_METADATA_VALUE:
                raise TooLong(
                    name, f"{name} are too long: at most {LONGEST_METADATA_VALUE} characters of JSON."
                )
    return msgspec.json.encode(entries).decode() if entries else None


def _position(text: str | None, conversation: ConversationView, field: str) -> int | None:
    if not text:
        return None
    refused = InvalidInput(field, f"{field} must be the id of a message of this conversation.")
    try:
        channel_id, position = read_message_id(text)
    except NotOurs:
        raise refused from None
    if channel_id != conversation.channel_id:
        raise refused
    return position

"""An instance's chats: deleted, read, archived; and a group that it leaves."""

from __future__ import annotations

from typing import Any

from history.errors import NotFound
from history.messages.model import Message, Range
from server import drafts
from server.calls import Call, Reply
from server.handlers.cleans import REQUEST_ID_HEADER
from server.surfaces.ryze import jids, wire
from server.surfaces.ryze.instants import range_of, written
from server.surfaces.ryze.jids import Chat
from server.surfaces.text import as_text

SOURCE = "ryze"
MOST_MESSAGES = 1_000
"""An answer has no more, whatever its request's count is."""
_DEFAULT_COUNT = 50


async def delete_chat(call: Call[wire.RyzeDeleteChat]) -> Reply:
    """Clean all of the instance's history of a chat and take the chat from its list, on every device.

    The other side, and the instance's place in a group, stay as they are; with the next message the chat is back.
    """
    app, chat = call.app, _chat(call)
    with_media = bool(call.body.deleteMedia)
    accepted = await drafts.clean(
        call.services,
        app,
        chat.channel,
        user=call.user,
        source=SOURCE,
        delete_compensated=True,
        # what is deleted with its media cannot be had back; else the app says for how long it can
        undo_seconds=0 if with_media else None,
        delete_media=with_media,
    )
    await call.services.conversations.remove(app.app_key, call.user, [chat.channel], tell=True)
    return Reply(
        result=wire.RyzeChatDeleted(
            success=True,
            message=f"Chat deleted successfully{' (including media)' if with_media else ''}",
            chat_jid=chat.jid,
            delete_media=with_media,
        ),
        headers={REQUEST_ID_HEADER: accepted.request_id},
    )


async def history(call: Call[wire.RyzeHistory]) -> Reply:
    """What the instance may read of a chat, newest first. The rest of the oldest message's millisecond comes along."""
    body, chat, messages = call.body, _chat(call), call.services.messages
    range_ = range_of(body.first, body.last)
    drafts.check_storage(call.app, chat.channel.type)
    most = min(body.count or _DEFAULT_COUNT, MOST_MESSAGES)
    found = await messages.history(chat.channel, call.user, range_, most=most)
    older = []
    if found:
        rest = Range(first=range_.first, end=found[-1].position)
        older = await messages.history(chat.channel, call.user, rest, most=1)
    return Reply(
        result=wire.RyzeMessages(
            success=True,
            message="Chat history retrieved successfully",
            messages=[_view(message, chat, call.user) for message in found],
            count=len(found),
            hasMore=bool(older),
            chat_jid=chat.jid,
        )
    )


async def archive(call: Call[wire.RyzeArchive]) -> Reply:
    """Archive a chat on the instance's list, or take it out of the archive."""
    chat, archived = _chat(call), call.body.archive
    try:
        await call.services.conversations.update(
            call.app.app_key,
            call.user,
            chat.channel,
            archived_at=call.services.clock.now() if archived else None,
        )
    except NotFound as exc:
        raise NotFound("Chat not found") from exc
    return Reply(
        result=wire.RyzeArchived(
            success=True,
            message=f"Chat {'archived' if archived else 'unarchived'} successfully",
            chat_jid=chat.jid,
            archived=archived,
        )
    )


async def leave_group(call: Call[wire.RyzeLeave]) -> Reply:
    """Leave a group, named by identifier in the query or by number in the body; one that was left before is 404."""
    group = jids.group(
        call.app.app_key,
        call.query.identifier or call.body.number,
        missing="Identifier is required",
    )
    try:
        left = await call.services.membership.leave(group.channel, [call.user])
    except NotFound:
        left = 0
    if not left:
        raise NotFound("Group not found")
    return Reply(
        result=wire.RyzeLeft(success=True, message="Successfully left the group", groupJid=group.jid)
    )


def _chat(call: Call[Any]) -> Chat:
    return jids.chat(call.app.app_key, call.user, call.body.number)


def _view(message: Message, chat: Chat, instance: str) -> wire.RyzeMessage:
    text = as_text(message.type, message.content)
    sender, own = chat.jid_of(message.sender), message.sender == instance
    return wire.RyzeMessage(
        messageId=message.id,
        type=message.type if text is None else "text",
        content=message.content if text is None else text,
        sender=sender,
        recipient=chat.jid if own or chat.is_group else chat.jid_of(instance),
        chat=chat.jid,
        senderJid=sender,
        fromMe=own,
        isGroup=chat.is_group,
        timestamp=written(message.position),
    )

"""A user's list of conversations: what stands on it, in which order, what he does with it, and what he takes from it.

Promises: a list that goes on after (or before) a conversation begins where that one was last listed, so it neither repeats
nor skips what did not move meanwhile; a conversation that was removed is back with the next message for its user or of his
own, whatever happens at once, because both are decided under the channel's lock. Nothing here deletes or hides a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import UNSET, UnsetType

from history.axis import NEVER
from history.channels.model import MADE_BY_CALL, ChannelKey, ChannelType
from history.channels.service import Channels
from history.clock import Clock
from history.database import Database
from history.delivery import store
from history.delivery.model import (
    MOST_UNREAD,
    ConversationChange,
    ConversationFilter,
    ConversationRef,
    ConversationView,
    Listing,
    fill_conversations,
)
from history.errors import InvalidInput, NotFound
from history.messages.model import MOST_PAGE_BYTES

_EVERYTHING = ConversationFilter()
_START = (NEVER, NEVER)
# inside the class, list is its method
Page: TypeAlias = tuple[list[ConversationView], bool]
There: TypeAlias = list[bool]
_Ids: TypeAlias = list[int | None]


class Conversations:
    """The use-cases of conversations, always one user's own."""

    def __init__(self, database: Database, channels: Channels, clock: Clock) -> None:
        self._database = database
        self._channels = channels
        self._clock = clock

    async def list(
        self,
        app_key: str,
        user_id: str,
        *,
        filters: ConversationFilter = _EVERYTHING,
        limit: int,
        after: ConversationRef | None = None,
        before: ConversationRef | None = None,
        unread: bool = False,
        last_message: bool = False,
    ) -> Page:
        """A page of the user's conversations, the newest activity first, and whether there are more in its direction.

        It begins after one of his conversations, or ends before one; InvalidInput where that is none of his. With
        `unread` and `last_message` each comes with those; a page with last messages is also cut by their bytes.
        """
        if after is not None and before is not None:
            raise InvalidInput("before", "A page goes on after a conversation or ends before one, not both.")
        channel_id = None
        if filters.channel is not None:
            channel_id = await self._located(app_key, filters.channel)
            if channel_id is None:
                return [], False
        listing = Listing(
            place=await self._place(app_key, user_id, after if before is None else before),
            backward=before is not None,
            most=limit + 1,
            now=self._clock.now(),
            filters=filters,
            channel_id=channel_id,
            most_unread=MOST_UNREAD + 1 if unread else 0,
            last_message=last_message,
            most_bytes=MOST_PAGE_BYTES,
        )
        async with self._database.reading() as connection:
            found = await store.list_conversations(connection, app_key, user_id, listing)
        page = found[:limit]
        if last_message:
            page = fill_conversations(page, most_bytes=MOST_PAGE_BYTES)
        await self._remember(user_id, page)
        return (page[::-1] if listing.backward else page), len(page) < len(found)

    async def get(
        self,
        app_key: str,
        user_id: str,
        conversation: ConversationRef,
        *,
        unread: bool = False,
        last_message: bool = False,
    ) -> ConversationView:
        """One conversation on the user's list; NotFound where it is not there, whoever else has one of that channel."""
        channel_id = await self._located(app_key, conversation)
        listing = Listing(
            most=1,
            now=self._clock.now(),
            channel_id=channel_id,
            most_unread=MOST_UNREAD + 1 if unread else 0,
            last_message=last_message,
        )
        async with self._database.reading() as connection:
            found = (
                await store.list_conversations(connection, app_key, user_id, listing)
                if channel_id is not None
                else []
            )
        if not found:
            raise _none()
        return found[0]

    async def create(self, app_key: str, user_id: str, channel: ChannelKey) -> ConversationView:
        """Put a conversation on the user's list, empty; one that is there already is answered as it is.

        A direct or system channel is made where it is missing; the other user sees nothing of it before a message comes.
        NotFound for a group or an open channel where the user takes no part.
        """
        if channel.app_key != app_key or (
            channel.type not in MADE_BY_CALL and user_id not in channel.participants()
        ):
            raise _none()
        if channel.type is ChannelType.DIRECT and len(set(channel.key)) == 1:
            raise InvalidInput("channelId", "Nobody has a conversation with himself; name another user.")

        async def work() -> dict[ChannelKey, int]:
            async with self._database.writing() as connection:
                made = await self._channels.ensure(
                    connection, [channel], now=self._clock.now(), shown_to=user_id
                )
                id_ = made[channel]
                await store.lock_removable(connection, app_key, user_id, [id_])
                await store.restore_conversation(connection, app_key, user_id, id_)
            return made

        try:
            return await self.get(app_key, user_id, channel)
        except NotFound:
            made = await self._database.retrying(work)
        self._channels.remember(made)
        return await self.get(app_key, user_id, made[channel])

    async def update(
        self,
        app_key: str,
        user_id: str,
        conversation: ConversationRef,
        *,
        pinned: bool | UnsetType = UNSET,
        muted: bool | UnsetType = UNSET,
        archived_at: int | UnsetType | None = UNSET,
        pinned_message: int | UnsetType | None = UNSET,
    ) -> ConversationView:
        """Change what is given, and answer the conversation. NotFound where it is not on the user's list.

        `archived_at` in microseconds archives, None restores. `pinned_message` is a position, None pins none;
        InvalidInput where the user may not read a message there.
        """
        channel_id = await self._located(app_key, conversation)
        if channel_id is not None and pinned_message is not UNSET and pinned_message is not None:
            await self.get(app_key, user_id, channel_id)
            async with self._database.reading() as connection:
                if not await store.is_shown(
                    connection, app_key, user_id, channel_id, pinned_message, now=self._clock.now()
                ):
                    raise InvalidInput(
                        "pinned_message", "The message to pin must be one of this conversation's history."
                    )
        change = ConversationChange(
            pinned=None if pinned is UNSET else pinned,
            muted=None if muted is UNSET else muted,
            archived_at=archived_at,
            pinned_message=pinned_message,
        )
        return await self._change(app_key, user_id, channel_id, change)

    async def open(
        self, app_key: str, user_id: str, conversation: ConversationRef, *, read: bool = False
    ) -> ConversationView:
        """The user looks at it now and, with `read`, has read all there is. NotFound where it is not on his list."""
        change = ConversationChange(opened_at=self._clock.now(), read_all=read)
        return await self._change(app_key, user_id, await self._located(app_key, conversation), change)

    async def there(self, app_key: str, user_id: str, conversations: Sequence[ConversationRef]) -> There:
        """Which of these conversations a removal would take from the user's list."""
        ids = await self._ids(app_key, conversations)
        async with self._database.reading() as connection:
            there = await store.list_removable(
                connection, app_key, user_id, [id_ for id_ in ids if id_ is not None]
            )
        return [id_ in there for id_ in ids]

    async def remove(
        self,
        app_key: str,
        user_id: str,
        conversations: Sequence[ConversationRef],
        *,
        tell: bool | None = None,
    ) -> There:
        """Take conversations from the user's list until the next message; which of them there were.

        It works where he has left the group. With `tell` his devices hear of it in their next syncs; None: as the app's
        setting has it. What he may read, and everybody else's list, stay as they are.
        """
        ids = await self._ids(app_key, conversations)
        wanted = sorted({id_ for id_ in ids if id_ is not None})

        async def work() -> set[int]:
            async with self._database.writing() as connection:
                await store.lock_removable(connection, app_key, user_id, wanted)
                return await store.remove_conversations(connection, app_key, user_id, wanted, tell=tell)

        there = await self._database.retrying(work) if wanted else set()
        return [id_ in there for id_ in ids]

    async def _change(
        self, app_key: str, user_id: str, channel_id: int | None, change: ConversationChange
    ) -> ConversationView:
        if channel_id is None:
            raise _none()
        async with self._database.writing() as connection:
            if not await store.update_conversation(connection, app_key, user_id, channel_id, change):
                raise _none()
        return await self.get(app_key, user_id, channel_id)

    async def _located(self, app_key: str, conversation: ConversationRef) -> int | None:
        return (await self._ids(app_key, [conversation]))[0]

    async def _ids(self, app_key: str, conversations: Sequence[ConversationRef]) -> _Ids:
        keys = [one for one in conversations if isinstance(one, ChannelKey) and one.app_key == app_key]
        found = dict(zip(keys, await self._channels.locate(keys), strict=True))
        return [one if isinstance(one, int) else found.get(one) for one in conversations]

    async def _place(
        self, app_key: str, user_id: str, conversation: ConversationRef | None
    ) -> tuple[int, int]:
        if conversation is None:
            return _START
        channel_id = await self._located(app_key, conversation)
        if channel_id is not None:
            async with self._database.reading() as connection:
                position = await store.get_place(connection, app_key, user_id, channel_id)
            if position is not None:
                return position, channel_id
        raise InvalidInput(
            "after", "A list goes on from a conversation of the same user; this is none of his."
        )

    async def _remember(self, user_id: str, page: Sequence[ConversationView]) -> None:
        moved = {view.channel_id: view.place[0] for view in page if view.listed_position != view.place[0]}

        async def work() -> None:
            async with self._database.writing() as connection:
                await store.update_listed(connection, user_id, moved)

        if moved:
            await self._database.retrying(work)


def _none() -> NotFound:
    return NotFound("There is no such conversation on the list of this user.")

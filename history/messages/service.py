"""Messages go in by group commit and come out as history.

Promises: whoever was answered has his message on disk, in the way that `history.messages.append` writes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from history.apps import store as apps_store
from history.axis import NEVER
from history.batches import Batches
from history.channels import store as channels_store
from history.channels.model import MADE_BY_CALL, ChannelKey, missing
from history.channels.service import Channels
from history.clock import Clock
from history.cursors import NotOurs, read_message_id
from history.database import Database
from history.errors import Conflict, InvalidInput, NotFound
from history.messages import store
from history.messages.append import Appends
from history.messages.model import (
    MOST_PAGE_BYTES,
    Draft,
    Found,
    Message,
    Range,
    check_size,
    fill,
    references,
    unknown_media,
)

_MOST_BATCH_BYTES = 4 * 1024 * 1024
_MOST_WAITING_BYTES = 64 * 1024 * 1024
"""One batch in flight and these waiting bound the memory of sends; a single request may be larger than a batch."""


class Messages:
    """The use-cases of messages."""

    def __init__(
        self,
        database: Database,
        channels: Channels,
        clock: Clock,
        *,
        most_batch_bytes: int = _MOST_BATCH_BYTES,
    ) -> None:
        """With `most_batch_bytes` 0 every request is a commit of its own."""
        self._database = database
        self._channels = channels
        self._clock = clock
        self.appends = Appends(database, channels, clock)
        """Where its batches go in; imports share what it remembers and counts."""
        self._batches: Batches[Draft, list[str]] = Batches(
            self.appends.commit,
            weigh=Draft.weight,
            most_weight=most_batch_bytes,
            most_waiting=_MOST_WAITING_BYTES,
        )

    @property
    def appended(self) -> Counter[str]:
        """How many messages of each app this process stored; who writes them down takes them off."""
        return self.appends.appended

    async def send(self, draft: Draft) -> list[str]:
        """Store a message in each channel of the draft, all or none; their ids in the order of the channels.

        NotFound where a group or an open channel is not there. A draft whose key was used before is not stored again.
        """
        made_by_call = [key for key in draft.channels if key.type in MADE_BY_CALL]
        if made_by_call:
            # asked before the batch, so that it does not fail its neighbours
            for key, id_ in zip(made_by_call, await self._channels.locate(made_by_call), strict=True):
                if id_ is None:
                    raise missing(key)
        if wanted := references(draft.content):
            await self._check_media(draft, wanted)
        return await self._batches.submit(draft)

    async def _check_media(self, draft: Draft, wanted: Sequence[UUID]) -> None:
        """InvalidInput where a file is not there. The commit asks again; refused here, it does not fail its neighbours."""
        if draft.client_key is not None:
            # the same message again is answered as before, whatever became of its files
            return
        async with self._database.reading() as connection:
            found = await store.list_media(connection, wanted)
        if any(found.get(id_) != draft.channels[0].app_key for id_ in wanted):
            raise unknown_media()

    async def recall(self, channel: ChannelKey, public_id: str, *, sender: str, admin: bool) -> None:
        """Take a message back from everyone. What is recalled, reclaimed or unknown already is no error."""
        try:
            channel_id, position = read_message_id(public_id)
        except NotOurs:
            return
        if (await self._channels.locate([channel]))[0] != channel_id:
            return
        async with self._database.reading() as connection:
            found = await store.get_message(connection, channel_id, position)
        if found is None or found[1]:
            return
        if found[0] != sender and not admin:
            raise InvalidInput(
                "fromUserId", "fromUserId did not send this message; only an admin may recall it."
            )
        async with self._database.writing() as connection:
            await apps_store.share_app(connection, channel.app_key)
            await store.recall(connection, channel_id, position, now=self._clock.now())

    async def edit(
        self,
        channel: ChannelKey,
        public_id: str,
        *,
        sender: str,
        content: str | None = None,
        metadata: str | None = None,
    ) -> Message:
        """Change what the sender's own message says, in its place; None leaves the content or the metadata as it is.

        NotFound where it is unknown, recalled, reclaimed, or cleaned for everyone; InvalidInput where another sent it;
        Conflict under a hold, because what it said would be lost.
        """
        [channel_id] = await self._channels.locate([channel])
        position = _position_in(channel_id, public_id)
        if channel_id is None or position is None:
            raise _no_message()
        async with self._database.writing() as connection:
            settings = await apps_store.share_app(connection, channel.app_key)
            if settings is not None and content is not None:
                check_size(content, settings.max_content_bytes)
            # what may recall it, grant it away or bring a user who is held waits, or is over
            await channels_store.lock_channel(connection, channel_id)
            now = self._clock.now()
            sent_by = await store.get_editable(connection, channel_id, position, now=now)
            if sent_by is None:
                raise _no_message()
            if sent_by != sender:
                raise InvalidInput(
                    "fromUserId", "fromUserId did not send this message; only its sender may change it."
                )
            before = (
                set() if content is None else await store.list_media_of(connection, channel_id, [position])
            )
            after = () if content is None else references(content)
            if before or after:
                there = await store.lock_media(connection, before | set(after))
                if any(there.get(id_) != channel.app_key for id_ in after):
                    raise unknown_media()
            edited = await store.update_edited(
                connection, channel_id, position, content=content, metadata=metadata, now=now
            )
            if edited is not None and (before or after):
                await store.replace_references(
                    connection, channel.app_key, channel_id, position, before=before, after=after, now=now
                )
        if edited is None:
            raise Conflict("A legal hold covers this message: what it says must stay as it is.")
        return edited

    async def hide(self, channel: ChannelKey, user_id: str, public_ids: Sequence[str]) -> list[bool]:
        """Delete messages by id for one participant: from his history and his compensation. Which of them there were."""
        [channel_id] = await self._channels.locate([channel])
        places = [_position_in(channel_id, public_id) for public_id in public_ids]
        found: set[int] | None = set()
        if channel_id is not None and (wanted := sorted({place for place in places if place is not None})):

            async def work() -> set[int] | None:
                async with self._database.writing() as connection:
                    return await store.hide(connection, channel_id, user_id, wanted, now=self._clock.now())

            found = await self._database.retrying(work)
        return [place in found if found else False for place in places]

    async def find(
        self, app_key: str, user_id: str, public_id: str, *, now: int | None = None
    ) -> Found | None:
        """A message by its id, as the user's history shows it; None where it does not, whatever the reason."""
        try:
            channel_id, position = read_message_id(public_id)
        except NotOurs:
            return None
        async with self._database.reading() as connection:
            return await store.get_shown(
                connection,
                app_key=app_key,
                channel_id=channel_id,
                user_id=user_id,
                position=position,
                now=self._clock.now() if now is None else now,
            )

    async def stored(
        self, channel: ChannelKey, range_: Range, *, most: int, with_recalled: bool
    ) -> list[Message]:
        """An admin's page of what is on disk there, newest first, whoever cleaned it and whether or not it was history.

        What was recalled has no content. Pages are cut by bytes as well: go on before the last one until one is empty.
        """
        [channel_id] = await self._channels.locate([channel])
        if channel_id is None:
            return []
        async with self._database.reading() as connection:
            found = await store.list_stored(
                connection,
                channel_id,
                range_,
                most=most,
                most_bytes=MOST_PAGE_BYTES,
                with_recalled=with_recalled,
            )
        return fill(found, most_bytes=MOST_PAGE_BYTES)

    async def history(
        self, channel: ChannelKey, user_id: str, range_: Range, *, most: int, with_recalled: bool = False
    ) -> list[Message]:
        """A page of what the user may read there, newest first; empty where that is nothing.

        `with_recalled` adds what he might read had it not been recalled, without what it said.
        """
        channel_id = (await self._channels.locate([channel]))[0]
        if channel_id is None:
            return []
        now = self._clock.now()
        async with self._database.reading() as connection:
            found = await store.list_history(
                connection,
                app_key=channel.app_key,
                channel_id=channel_id,
                user_id=user_id,
                range_=range_,
                now=now,
                most=most,
                most_bytes=MOST_PAGE_BYTES,
                with_recalled=with_recalled,
            )
        return fill(found, most_bytes=MOST_PAGE_BYTES, whole_milliseconds=True)

    async def page(
        self,
        channel: ChannelKey,
        user_id: str,
        *,
        below: int | None = None,
        above: int | None = None,
        most: int,
    ) -> tuple[list[Message], bool]:
        """At most so many of what the user may read there, newest first, and whether there are more in that direction: the
        newest, those next below a position, or those next above one."""
        [channel_id] = await self._channels.locate([channel])
        if channel_id is None:
            return [], False
        reading: Any = {
            "app_key": channel.app_key,
            "channel_id": channel_id,
            "user_id": user_id,
            "now": self._clock.now(),
            # one more says whether there is more
            "most": most + 1,
            "most_bytes": MOST_PAGE_BYTES,
        }
        async with self._database.reading() as connection:
            if above is not None:
                found = await store.list_after(connection, **reading, above=above)
            else:
                range_ = Range(first=0, end=NEVER if below is None else below)
                found = await store.list_history(connection, **reading, range_=range_)
        page = fill(found[:most], most_bytes=MOST_PAGE_BYTES)
        return (page[::-1] if above is not None else page), len(page) < len(found)

    async def make_months(self, *, now: int) -> None:
        """Have this month and the next ones ready, so that a month's end never stops a send."""
        await self.appends.make_months(now=now)


def _no_message() -> NotFound:
    return NotFound("There is no such message in this channel, or it is not there any more.")


def _position_in(channel_id: int | None, public_id: str) -> int | None:
    try:
        named, position = read_message_id(public_id)
    except NotOurs:
        return None
    return position if named == channel_id else None

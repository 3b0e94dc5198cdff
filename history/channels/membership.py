"""Groups and open channels: made, joined, left, ended.

Joining locks the channel's row and then starts at its next position, so nobody reads what was before him; leaving ends what
he may read. An ended channel counts as cleaned by everyone; a group's id stays taken, because members may still be owed
what they missed, while an open channel, which owes nobody, may be made again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Annotated, TypeVar

import msgspec

from history import cursors
from history.axis import NEVER, SECOND
from history.channels import store
from history.channels.model import ChannelKey, Group, Joined, Member, missing
from history.channels.service import Channels
from history.clock import Clock
from history.database import Connection, Database
from history.errors import Conflict, InvalidInput

_T = TypeVar("_T")
# tokens are not signed: what a stranger makes up is refused before Postgres has to
_OnAxis = Annotated[int, msgspec.Meta(ge=0, le=NEVER)]
_User = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]


class Membership:
    """The use-cases of channels that are made by a call."""

    def __init__(self, database: Database, channels: Channels, clock: Clock) -> None:
        self._database = database
        self._channels = channels
        self._clock = clock

    async def create_group(self, key: ChannelKey, *, name: str, owner: str, users: Collection[str]) -> None:
        """Make a group with these participants, its owner among them; Conflict where there is or was one."""
        now, members = self._clock.now(), {owner, *users}
        async with self._database.writing() as connection:
            id_ = (await self._channels.prospective(connection, [key]))[0]
            if not await store.insert_group(
                connection, id_, key, name=name, owner=owner, members=len(members), now=now
            ):
                raise Conflict("There is or was a group of this channelId; choose another one.")
            await store.insert_members(connection, id_, key.app_key, members, join_position=0, now=now)
        self._channels.remember({key: id_})

    async def join(self, key: ChannelKey, users: Collection[str]) -> Group:
        """Let users in from now on; who is in already stays as he is. NotFound where there is no such group."""
        now = self._clock.now()

        async def work(connection: Connection, id_: int, position: int) -> None:
            joined = await store.insert_members(
                connection, id_, key.app_key, set(users), join_position=position, now=now
            )
            await store.update_member_count(connection, id_, joined, due=None)

        await self._change(key, work)
        return await self.group(key)

    async def leave(self, key: ChannelKey, users: Collection[str]) -> int:
        """End what these users may read; how many of them were in. NotFound where there is no such group."""
        now, left = self._clock.now(), 0

        async def work(connection: Connection, id_: int, position: int) -> None:
            nonlocal left
            left = await store.update_left(
                connection, id_, sorted(set(users)), leave_position=position, now=now
            )
            await store.update_member_count(connection, id_, -left, due=now)

        await self._change(key, work)
        return left

    async def _change(self, key: ChannelKey, work: Callable[[Connection, int, int], Awaitable[None]]) -> None:
        """Change who takes part in a group, under its lock: with its id and the position that comes next there."""
        id_ = await self._located(key)

        async def change() -> None:
            async with self._database.writing() as connection:
                last = await store.lock_channel(connection, id_)
                if last is None:
                    raise missing(key)
                await work(connection, id_, last + 1)

        await self._database.retrying(change)

    async def dismiss(self, key: ChannelKey) -> None:
        """End a group for everyone; NotFound where there is none."""
        id_ = await self._located(key)
        if not await self._end([id_]):
            raise missing(key)

    async def create_open(self, key: ChannelKey, *, ttl_minutes: int | None, from_last_message: bool) -> None:
        """Make an open channel, or make one again that has ended; one that lives is left as it is."""
        now = self._clock.now()
        ttl = ttl_minutes * 60 * SECOND if ttl_minutes is not None else None
        async with self._database.writing() as connection:
            id_ = (await self._channels.prospective(connection, [key]))[0]
            if not await store.insert_open(
                connection, id_, key, ttl=ttl, from_last=from_last_message, now=now
            ):
                await store.reopen_channel(connection, id_, ttl=ttl, from_last=from_last_message, now=now)
        self._channels.remember({key: id_})

    async def destroy_open(self, keys: Sequence[ChannelKey]) -> None:
        """End open channels for everyone; one that is not there is passed over."""
        ids = [id_ for id_ in await self._channels.locate(keys) if id_ is not None]
        await self._end(ids)

    async def _end(self, ids: Sequence[int]) -> int:
        async def work() -> int:
            async with self._database.writing() as connection:
                return await store.dismiss_channels(connection, ids, now=self._clock.now())

        return await self._database.retrying(work)

    async def group(self, key: ChannelKey) -> Group:
        """What the group is; NotFound where there is none."""
        id_ = await self._located(key)
        async with self._database.reading() as connection:
            found = await store.get_group(connection, id_, key.key[0])
        if found is None:
            raise missing(key)
        return found

    async def members(
        self, key: ChannelKey, *, page_token: str | None, newest_first: bool, most: int
    ) -> tuple[Group, list[Member], str | None]:
        """The group, a page of its participants in the order of joining, and the token of the next page."""
        group, id_ = await self.group(key), await self._located(key)
        start: tuple[int, str] = (NEVER, "") if newest_first else (-1, "")
        after = _token(page_token, tuple[_OnAxis, _User]) if page_token else start
        async with self._database.reading() as connection:
            found = await store.list_members(
                connection, id_, after=after, newest_first=newest_first, owner=group.owner, most=most + 1
            )
        page = found[:most]
        more = len(found) > most
        return group, page, cursors.pack((page[-1].joined_at, page[-1].user_id)) if more else None

    async def joined(
        self, app_key: str, user_id: str, *, page_token: str | None, newest_first: bool, most: int
    ) -> tuple[list[Joined], str | None]:
        """A page of the groups that a user is in, and the token of the next page."""
        start = (NEVER, -1) if newest_first else (-1, -1)
        after = _token(page_token, tuple[_OnAxis, _OnAxis]) if page_token else start
        async with self._database.reading() as connection:
            found = await store.list_joined(
                connection, app_key, user_id, after=after, newest_first=newest_first, most=most + 1
            )
        page = found[:most]
        more = len(found) > most
        token = cursors.pack((page[-1][1].joined_at, page[-1][0])) if more else None
        return [joined for _, joined in page], token

    async def direct(self, app_key: str, user_id: str, *, most: int) -> list[ChannelKey]:
        """The direct channels of a user, up to so many."""
        async with self._database.reading() as connection:
            return await store.list_direct(connection, app_key, user_id, most=most)

    async def _located(self, key: ChannelKey) -> int:
        id_ = (await self._channels.locate([key]))[0]
        if id_ is None:
            raise missing(key)
        return id_


def _token(text: str, as_type: type[_T]) -> _T:
    try:
        return cursors.unpack(text, as_type)
    except cursors.NotOurs as exc:
        raise InvalidInput("pageToken", "pageToken must be one that the page before answered.") from exc

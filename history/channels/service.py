"""Find channels by their keys, and make those that appear with their first message.

An id is derived from the key, so most look-ups ask nobody. The row holds the key: an id that another key has taken tries
the next attempt. Rows are never deleted, so what was found once is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from history.channels import store
from history.channels.model import MADE_BY_CALL, ChannelKey, derived_id, missing
from history.database import Connection, Database

_MOST_REMEMBERED = 200_000


class Channels:
    """Where the channels of all apps are."""

    def __init__(self, database: Database, *, derive: Callable[[ChannelKey, int], int] = derived_id) -> None:
        """`derive` is handed in so that a test can make ids collide."""
        self._database = database
        self._derive = derive
        self._known: dict[ChannelKey, int] = {}

    async def locate(self, keys: Sequence[ChannelKey]) -> list[int | None]:
        """The ids of channels that exist, None for those that do not."""
        if any(key not in self._known for key in keys):
            async with self._database.reading() as connection:
                taken, _ = await self._settle(connection, keys)
            self.remember(taken)
        return [self._known.get(key) for key in keys]

    async def prospective(self, connection: Connection, keys: Sequence[ChannelKey]) -> list[int]:
        """The ids of channels, made or not yet: what a request about them is filed under."""
        found = {key: self._known[key] for key in keys if key in self._known}
        taken, free = await self._settle(connection, [key for key in keys if key not in found])
        self.remember(taken)
        found |= taken | free
        return [found[key] for key in keys]

    async def ensure(
        self,
        connection: Connection,
        keys: Collection[ChannelKey],
        *,
        now: int,
        shown_to: str | None = None,
    ) -> dict[ChannelKey, int]:
        """The ids of all these channels, made with their participants where they were missing.

        With `shown_to` what is made is on that user's list alone, until a message comes. Tell `remember` when the
        transaction has committed: until then others cannot see them.
        """
        unknown = [key for key in keys if key not in self._known]
        found: dict[ChannelKey, int] = {}
        while unknown:
            taken, free = await self._settle(connection, unknown)
            found |= taken
            for key in free:
                if key.type in MADE_BY_CALL:
                    raise missing(key)
            # two keys of one batch may want one id: the second finds it taken in the next round
            made = {id_: key for key, id_ in reversed(free.items())}
            await store.insert_channels(connection, made, now=now)
            holders = await store.get_channels(connection, list(made))
            ours = {id_: key for id_, key in made.items() if holders.get(id_) == key}
            await store.insert_conversations(connection, ours, shown_to=shown_to)
            found |= {key: id_ for id_, key in ours.items()}
            unknown = [key for key in unknown if key not in found]
        return found | {key: self._known[key] for key in keys if key in self._known}

    def remember(self, found: dict[ChannelKey, int]) -> None:
        """Channels that are committed."""
        if len(self._known) + len(found) > _MOST_REMEMBERED:
            self._known.clear()
        self._known |= found

    def forget(self, keys: Iterable[ChannelKey]) -> None:
        """Channels that turned out not to be there: the database was restored to an earlier time."""
        for key in keys:
            self._known.pop(key, None)

    async def _settle(
        self, connection: Connection, keys: Sequence[ChannelKey]
    ) -> tuple[dict[ChannelKey, int], dict[ChannelKey, int]]:
        """Where each key is, or the first id that is free for it."""
        taken: dict[ChannelKey, int] = {}
        free: dict[ChannelKey, int] = {}
        asked, attempt = list(dict.fromkeys(keys)), 0
        while asked:
            ids = {key: self._derive(key, attempt) for key in asked}
            holders = await store.get_channels(connection, list(ids.values()))
            taken |= {key: id_ for key, id_ in ids.items() if holders.get(id_) == key}
            free |= {key: id_ for key, id_ in ids.items() if id_ not in holders}
            asked = [key for key in asked if key not in taken and key not in free]
            attempt += 1
        return taken, free

"""The lines of one transaction: which are new, where each stands, and what else has to be written of them.

The order of locks is that of an append: keys, channels, conversations, files. So places are found twice: without a lock, for
the keys to say where their messages stand, and again under the locks where somebody else was faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from history.axis import DAY
from history.channels.model import MADE_BY_CALL, ChannelKey
from history.channels.service import Channels
from history.cursors import NotOurs, read_message_id
from history.database import Connection
from history.errors import DatabaseUnavailable, InvalidInput
from history.messages import store as messages_store
from history.messages.append import refer, returning
from history.messages.model import ClientKey, Flags, ReferenceRow, references
from history.transfer import store
from history.transfer.model import FILE, Arranged, Line, Place, Spot, Stand


class FileGone(Exception):
    """A file that was there is not any more: look again."""


class Batch:
    """One transaction's lines, and the channels that they are for."""

    def __init__(
        self,
        lines: Sequence[Line],
        bad: Mapping[int, Exception],
        *,
        files: bool,
        now: int,
        expires_at: int,
    ) -> None:
        """`bad` are lines that must be refused unless they are there already; `files` whether one refers to a file; keys
        hold until `expires_at`."""
        self._lines, self._bad = lines, bad
        self._files, self._now, self._expires_at = files, now, expires_at
        self._ids: dict[Place, int] = {}
        self.ids: dict[ChannelKey, int] = {}
        """The channels, as they will be when the transaction has committed."""
        self.arranged = Arranged(spots={}, bad=bad, keys={})
        """What becomes of the lines then."""
        self.transaction_id: str | None = None

    async def arrange(self, connection: Connection, channels: Channels) -> Arranged:
        """Make the channels that are missing, claim the keys, lock the channels, and find a place for each line.

        Where nothing is new nothing is locked. DatabaseUnavailable where a channel has vanished: the database was restored
        to an earlier time.
        """
        places = {line[1] for line in self._lines}
        self.ids = await channels.ensure(connection, {place.key for place in places}, now=self._now)
        self._ids = {place: self.ids[place.key] for place in places}
        self.arranged = await self._arranged(connection)
        gone = [spot.key for spot in self.arranged.spots.values() if spot.stand is None]
        channels.forget(gone)
        if any(key.type not in MADE_BY_CALL for key in gone):
            raise DatabaseUnavailable("A channel has vanished from the database; send the lines again.")
        return self.arranged

    async def _arranged(self, connection: Connection) -> Arranged:
        if not any(line[9] is not None for line in self._lines):
            stands = await self._lock(connection)
            return await self._fitted(connection, stands, {})
        before = await store.list_stands(connection, self._ids.values(), now=self._now)
        known: dict[ClientKey, int] = {}
        planned = self._placed(before, known)
        if planned.doubtful or planned.low:
            known = await self._known(connection)
            planned = await self._fitted(connection, before, known)
        if not planned.rows:
            return planned
        claimed = planned.new_keys(known)
        free = not claimed or await store.insert_keys(connection, claimed, expires_at=self._expires_at)
        if not free:
            # somebody was faster, or a line that is in time has a key of before
            known |= await self._known(connection)
            planned = await self._fitted(connection, before, known)
            lapses = dict.fromkeys(planned.new_keys(known), self._expires_at)
            taken = await messages_store.claim_keys(connection, lapses, now=self._now) if lapses else {}
            known |= taken
            claimed = {key: 0 for key in lapses if key not in taken}
        stands = await self._lock(connection)
        if not free or stands != before:
            # what was refused when the keys were claimed has none: it stays refused
            self._bad = {**self._bad, **dict(planned.refused)}
            planned = await self._fitted(connection, stands, known)
            await self._correct(connection, claimed, planned.keys)
        return planned

    async def _lock(self, connection: Connection) -> dict[int, Stand]:
        stands, self.transaction_id = await store.lock_stands(connection, self._ids.values(), now=self._now)
        return stands

    async def _correct(
        self, connection: Connection, claimed: Mapping[ClientKey, int], stand: Mapping[ClientKey, int]
    ) -> None:
        moved = {key: stand[key] for key, at in claimed.items() if key in stand and stand[key] != at}
        if moved:
            await messages_store.update_key_positions(connection, moved)
        if refused := [key for key in claimed if key not in stand]:
            await store.delete_keys(connection, refused)

    async def _known(self, connection: Connection) -> dict[ClientKey, int]:
        """Where the messages stand that are there already: by their keys, or because they were exported from here."""
        keys = {(self._ids[line[1]], line[4], line[9]): 0 for line in self._lines if line[9] is not None}
        known = await store.list_known_keys(connection, keys, now=self._now)
        own: dict[ClientKey, tuple[int, int]] = {}
        for key in keys.keys() - known.keys():
            try:
                place = read_message_id(key[2])
            except NotOurs:
                continue
            if place[0] == key[0]:
                own[key] = place
        if own:
            there = await store.list_there(connection, set(own.values()))
            known |= {key: place[1] for key, place in own.items() if place in there}
        return known

    async def _fitted(
        self, connection: Connection, stands: Mapping[int, Stand], known: Mapping[ClientKey, int]
    ) -> Arranged:
        """Placed; where a line seems too late, with a look at what it would come after."""
        arranged = self._placed(stands, known)
        low = arranged.low
        runs = await store.list_runs(connection, low) if low else {}
        return self._placed(stands, known, runs) if runs else arranged

    def _placed(
        self,
        stands: Mapping[int, Stand],
        known: Mapping[ClientKey, int],
        runs: Mapping[int, int] | None = None,
    ) -> Arranged:
        by_id: dict[int, Spot] = {}
        spots = {
            # two places may be one channel
            place: by_id.setdefault(
                id_, Spot(place.key, id_, stands.get(id_), run=runs.get(id_) if runs else None, now=self._now)
            )
            for place, id_ in self._ids.items()
        }
        arranged = Arranged(spots=spots, bad=self._bad, keys=dict(known))
        arranged.place(self._lines)
        return arranged

    async def note(self, connection: Connection) -> None:
        """Let the channels end with what is new, and let the lists of conversations and the files know."""
        arranged = self.arranged
        spots = arranged.moved
        await store.move_channels(connection, spots, arranged.firsts, look_at=self._now + DAY)
        # a silent message brings nobody's conversation back
        removed = {spot.id for spot in spots if spot.stand and spot.stand.some_removed and spot.loud}
        back = await returning(
            connection,
            [
                (channel_id, sender, recipients)
                for channel_id, _, flags, sender, _, _, recipients, _ in arranged.rows
                if channel_id in removed and not flags & Flags.SILENT
            ],
        )
        if arranged.targeted or back:
            await messages_store.update_noted(connection, arranged.targeted, back)
        if removed:
            await messages_store.update_some_removed(connection, sorted(removed))
        try:
            # last: media come after conversations in the order of locks
            await refer(connection, self._reference_rows(arranged) if self._files else [])
        except InvalidInput as exc:
            raise FileGone from exc

    def _reference_rows(self, arranged: Arranged) -> list[ReferenceRow]:
        app_key = self._lines[0][1].key.app_key
        return [
            (channel_id, position, media_id, app_key, flags, sender, recipients)
            for channel_id, position, flags, sender, _, content, recipients, _ in arranged.rows
            if FILE in content
            for media_id in references(content)
        ]

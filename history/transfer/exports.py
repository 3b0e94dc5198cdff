"""Messages in the form in which they may be imported: what somebody may still read, page by page.

Promises: memory and transactions are bounded, whatever there is; in each channel the lines are in the order of their
positions. Not in it are messages that were recalled, granted away, too old, not stored for history, or cleaned: for everyone,
or by everyone who takes part. What a clean did counts from when its channel is reached.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from history.axis import NEVER
from history.channels.model import ChannelKey, ChannelType
from history.channels.service import Channels
from history.clock import Clock
from history.database import Database
from history.transfer import store
from history.transfer.model import Exported, Room
from history.transfer.store import Source

_MOST_SOURCES = 100
_FIRST_LINES = 50
"""Of each channel at first, so that many small channels cost one statement."""
_MOST_LINES = 2_000
_MOST_BYTES = 4 * 1024 * 1024
_MOST_STREAMS = 16
"""Each holds a page, as lines on their way to a reader who may be slow."""


class Exports:
    """Reads messages in bulk."""

    def __init__(self, database: Database, channels: Channels, clock: Clock) -> None:
        self._database = database
        self._channels = channels
        self._clock = clock
        self.room = Room(_MOST_STREAMS, kind="exports")

    async def pages(
        self,
        app_key: str,
        *,
        types: Sequence[ChannelType],
        channel: ChannelKey | None = None,
        first: int = 0,
        end: int = NEVER,
    ) -> AsyncGenerator[list[Exported], None]:
        """The messages of channels of these types, or of one channel, from position `first` up to, not including, `end`."""
        only = None
        if channel is not None:
            [only] = await self._channels.locate([channel])
            if only is None:
                return
        after = -1
        while sources := await self._sources(app_key, after, types, only):
            after = sources[-1].id
            waiting: list[Sequence[Source]] = [
                [replace(source, first=max(source.first, first)) for source in sources]
            ]
            while waiting:
                page, rest = await self._page(waiting[0], end)
                waiting[:1] = rest
                if page:
                    yield page

    async def _sources(
        self, app_key: str, after: int, types: Sequence[ChannelType], only: int | None
    ) -> list[Source]:
        async with self._database.reading() as connection:
            return await store.list_sources(
                connection,
                app_key,
                after=after,
                types=types,
                only=only,
                now=self._clock.now(),
                most=_MOST_SOURCES,
            )

    async def _page(
        self, sources: Sequence[Source], end: int
    ) -> tuple[list[Exported], list[Sequence[Source]]]:
        """The first messages of these channels, or the next of one; and what there is still to read, group by group."""
        most = _FIRST_LINES if len(sources) > 1 else _MOST_LINES
        async with self._database.reading() as connection:
            page, cut = await store.list_lines(
                connection, sources, end=end, most=most, most_bytes=_MOST_BYTES
            )
        counts = Counter(line.message.channel_id for line in page)
        lasts = {line.message.channel_id: line.message.position for line in page}
        rest = [
            replace(source, first=lasts[source.id] + 1) if source.id in lasts else source
            for source in sources
        ]
        unread = [source for source in rest if cut and source.id >= page[-1].message.channel_id]
        full = [source for source in rest if counts[source.id] == most and source not in unread]
        return page, [*([source] for source in full), *([unread] if unread else [])]

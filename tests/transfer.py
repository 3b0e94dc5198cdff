"""Short words for imports and exports below HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from history.axis import DAY, MILLISECOND
from history.channels.model import ChannelKey, ChannelType
from history.messages.model import Flags
from history.transfer.exports import Exports
from history.transfer.imports import Imports
from history.transfer.model import Exported, Line, Outcome, Place
from tests.factories import World

QUIET = int(Flags.PERSISTED | Flags.SILENT)
LOUD = int(Flags.PERSISTED)


@dataclass(slots=True)
class Transfer:
    """One process's imports and exports."""

    world: World
    number: int = 0
    imports: Imports = field(init=False)
    exports: Exports = field(init=False)

    def __post_init__(self) -> None:
        world = self.world
        self.imports = Imports(world.database, world.channels, world.clock, world.messages.appends)
        self.exports = Exports(world.database, world.channels, world.clock)

    def line(
        self,
        at: int,
        content: str = "hello",
        *,
        channel: ChannelKey | None = None,
        sender: str = "ann",
        flags: int = QUIET,
        to: tuple[str, ...] | None = None,
        key: str | None = None,
    ) -> Line:
        """A line at an instant in microseconds, in the channel of ann and bob unless said otherwise."""
        self.number += 1
        place = Place(channel or self.world.channel())
        return (self.number, place, at // MILLISECOND, flags, sender, "text", content, to, None, key)

    async def load(self, *lines: Line) -> Outcome:
        """Import these in one batch."""
        return await self.imports.commit(self.world.app_key, lines, key_kept=DAY)

    async def loaded(self, *lines: Line) -> None:
        """Import these; all of them must be taken."""
        outcome = await self.load(*lines)
        assert (outcome.imported, outcome.refused) == (len(lines), [])

    async def exported(self, **asked: Any) -> list[Exported]:
        """All lines of an export."""
        asked = {"types": list(ChannelType), **asked}
        return [line async for page in self.exports.pages(self.world.app_key, **asked) for line in page]

    async def contents(self, **asked: Any) -> list[str]:
        """What they say."""
        return [line.message.content for line in await self.exported(**asked)]


def said(outcome: Outcome) -> dict[int, str]:
    """Why each refused line was refused, by its number."""
    return {number: str(error) for number, error in outcome.refused}


def counted(outcome: Outcome) -> tuple[int, int, int]:
    """Imported, already there, refused."""
    return outcome.imported, outcome.there, len(outcome.refused)

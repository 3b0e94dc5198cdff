"""Delete files that nothing needs, and compare the store of files with the table."""

from __future__ import annotations

from dataclasses import dataclass

from history.axis import SECOND
from history.clock import Clock
from history.media.upkeep import Looked, Upkeep
from history.objects import SHELVES

_LONGEST = 20 * SECOND
_EVERY = 600 * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep found."""

    strays: int
    """Objects without a row: deleted."""
    lost: int
    """Rows without an object: left as they are."""


async def look_at_due(upkeep: Upkeep, clock: Clock) -> Looked:
    """Look at files that are due, for a while: the next job goes on; what was deleted."""
    began, seen, files, size = clock.now(), 0, 0, 0
    while clock.now() < began + _LONGEST and (round_ := await upkeep.look(now=clock.now())).seen:
        seen, files, size = seen + round_.seen, files + round_.files, size + round_.bytes
    return Looked(seen=seen, files=files, bytes=size)


async def sweep_shelves(upkeep: Upkeep, clock: Clock) -> Swept:
    """Compare shelf after shelf for a while. Each job begins one shelf further, so that all have their turn."""
    began, strays, lost = clock.now(), 0, 0
    for number in range(SHELVES):
        if clock.now() >= began + _LONGEST:
            break
        found = await upkeep.compare((began // _EVERY + number) % SHELVES)
        await upkeep.delete_strays(found.strays)
        strays, lost = strays + len(found.strays), lost + len(found.lost)
    return Swept(strays=strays, lost=lost)

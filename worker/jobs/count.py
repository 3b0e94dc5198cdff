"""Count what applied cleans did, for their receipts."""

from __future__ import annotations

from history.axis import SECOND
from history.clock import Clock
from history.receipts.service import Receipts

_LONGEST = 20 * SECOND


async def count_applied(receipts: Receipts, clock: Clock) -> int:
    """Count what waits to be counted, for a while: the next job goes on; how many steps."""
    until, steps = clock.now() + _LONGEST, 0
    while clock.now() < until and (done := await receipts.count(until=until)):
        steps += done
    return steps

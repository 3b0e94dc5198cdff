"""Count what applied cleans did, for their receipts."""

from __future__ import annotations

from history.axis import SECOND
from history.clock import Clock
from history.receipts.service import Receipts

_LONGEST = 20 * SECOND


async def count_applied(receipts: Receipts, clock: Clock) -> int:
    """Count what waits to be counted, for a while: the next job goes on; how many steps."""
    began, steps = clock.now(), 0
    while clock.now() < began + _LONGEST and (done := await receipts.count()):
        steps += done
    return steps

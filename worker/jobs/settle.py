"""Settle cleans whose undo window is over, and delete what nobody may still be given."""

from __future__ import annotations

from history.axis import SECOND
from history.clock import Clock
from history.retention.model import ReclaimReport
from history.retention.reclaim import Reclaim
from history.retention.service import Cleans

_LONGEST = 20 * SECOND


async def settle_due(cleans: Cleans, clock: Clock) -> int:
    """Settle what is due, for a while: the next job goes on; how many requests."""
    began, settled = clock.now(), 0
    while clock.now() < began + _LONGEST and (count := await cleans.settle(now=clock.now())):
        settled += count
    return settled


async def reclaim_due(reclaim: Reclaim, clock: Clock) -> list[ReclaimReport]:
    """Mark what settings moved, then visit channels that are due, for a while: the next job goes on."""
    now = clock.now()
    while await reclaim.mark_moved(now=now):
        pass
    reports: list[ReclaimReport] = []
    while clock.now() < now + _LONGEST and (visited := await reclaim.visit_due(now=clock.now())):
        reports += visited
    return reports

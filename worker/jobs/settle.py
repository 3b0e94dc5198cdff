"""Settle cleans whose undo window is over, and delete what nobody may still be given."""

from __future__ import annotations

from history.axis import SECOND
from history.clock import Clock
from history.retention.model import ReclaimReport
from history.retention.reclaim import Reclaim
from history.retention.service import Cleans
from history.runs.service import Runs

_LONGEST = 20 * SECOND


async def settle_due(cleans: Cleans, clock: Clock) -> int:
    """Settle what is due, for a while: the next job goes on; how many requests."""
    began, settled = clock.now(), 0
    while clock.now() < began + _LONGEST and (count := await cleans.settle(now=clock.now())):
        settled += count
    return settled


async def reclaim_due(reclaim: Reclaim, runs: Runs, clock: Clock) -> list[ReclaimReport]:
    """Mark what settings moved, then visit channels that are due, for a while: the next job goes on.

    Each round is written into the run of the minute in which it began.
    """
    now = clock.now()
    while await reclaim.mark_moved(now=now):
        pass
    reports: list[ReclaimReport] = []
    while clock.now() < now + _LONGEST:
        run = await runs.begin()
        inflow = await runs.inflow()
        if not (visited := await reclaim.visit_due(now=clock.now(), inflow=inflow)):
            break
        await runs.record(run, visited)
        reports += visited
    return reports

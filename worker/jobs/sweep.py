"""Let rows of side tables go whose period is over."""

from __future__ import annotations

from history.axis import SECOND
from history.clock import Clock
from history.sweep.model import SweepReport
from history.sweep.service import Sweep

_LONGEST = 20 * SECOND


async def sweep_all(sweep: Sweep, clock: Clock) -> list[SweepReport]:
    """Batch after batch until every table is done, for a while: the next job goes on."""
    began = clock.now()
    reports = [await sweep.run(now=began)]
    while reports[-1].more and clock.now() < began + _LONGEST:
        reports.append(await sweep.run(now=began))
    return reports

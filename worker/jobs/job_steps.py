"""Take jobs a step further."""

from __future__ import annotations

from history.axis import SECOND
from history.clock import Clock
from history.jobs.service import Jobs

_LONGEST = 20 * SECOND


async def work_on_jobs(jobs: Jobs, clock: Clock) -> int:
    """Step after step until there is no job, for a while: the next job goes on; how many steps."""
    began, steps = clock.now(), 0
    while clock.now() < began + _LONGEST and (done := await jobs.work()):
        steps += done
    return steps

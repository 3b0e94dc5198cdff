"""Drop months of which nothing is needed, and tell the run."""

from __future__ import annotations

from history.retention.months import Months
from history.runs.service import Runs


async def drop_months(months: Months, runs: Runs) -> tuple[list[str], int]:
    """The partitions that were dropped, and what messages take on disk after it where some were."""
    run = await runs.begin()
    dropped = await months.drop()
    return dropped, await runs.record_dropped(run, dropped) if dropped else 0

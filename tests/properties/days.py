"""Local days by brute force: look at every minute, then at every second, and think about nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
_FURTHEST_HOURS = 30
"""Before noon in UTC: no zone was ever more than 16 hours from UTC, so no day begins earlier."""


def instant(at: datetime) -> int:
    """Microseconds since the epoch of a moment with a time zone."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def local_date(at: int, zone: str) -> date:
    """What the calendar on a wall there shows at this instant."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    return moment.astimezone(ZoneInfo(zone)).date()


@cache
def first_instant(day: date, zone: str) -> int:
    """The first whole second at which that calendar shows this date, or a later one where the date was skipped."""
    noon = instant(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
    at = noon - _FURTHEST_HOURS * 60 * MINUTE
    while local_date(at, zone) < day:
        at += MINUTE
    second = at - MINUTE
    while local_date(second, zone) < day:
        second += SECOND
    return second

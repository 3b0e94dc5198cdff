"""The compensation window against brute force: every zone, with the days on which midnight is missing or comes twice."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from history.apps.model import AppSettings
from history.axis import NEVER
from history.delivery.model import reach, start_of_day
from tests.properties.days import DAY, SECOND, first_instant, instant, local_date

ZONES = sorted(available_timezones() - {"localtime"})
FIRST, LAST = date(2012, 1, 1), date(2032, 12, 31)
_OFFSETS = (-DAY, -SECOND, -1, 0, 1, SECOND, 3_600 * SECOND, 12 * 3_600 * SECOND, DAY - 1, DAY)


@cache
def odd_places() -> list[tuple[str, date]]:
    """The zones and days whose first instant is not one plain midnight: it is missing, or the clocks show it twice."""
    found = []
    for zone in map(ZoneInfo, ZONES):
        for week in range((LAST - FIRST).days // 7):
            begins = FIRST + timedelta(days=7 * week)
            # no rule of any zone came and went within a week
            if _offset(begins, zone) != _offset(begins + timedelta(days=7), zone):
                days = (begins + timedelta(days=number) for number in range(8))
                found += [(zone.key, day) for day in days if _offset(day, zone) != _offset(day, zone, fold=1)]
    return found


def _offset(day: date, zone: ZoneInfo, *, fold: int = 0) -> timedelta | None:
    return datetime(day.year, day.month, day.day, tzinfo=zone, fold=fold).utcoffset()


plain = st.tuples(st.sampled_from(ZONES), st.dates(FIRST, LAST))
places = plain | st.deferred(lambda: st.sampled_from(odd_places()))


@pytest.fixture(scope="module", autouse=True)
def known_odd_places() -> None:
    """Found once, outside of Hypothesis: it takes seconds."""
    assert len(odd_places()) > 100


def test_every_odd_day_begins_at_its_first_instant() -> None:
    wrong = [
        (zone, day)
        for zone, day in odd_places()
        if start_of_day(day, ZoneInfo(zone)) != first_instant(day, zone)
    ]
    assert not wrong


@settings(deadline=None, print_blob=True, max_examples=300)
@given(place=places)
@example(place=("Africa/Cairo", date(2026, 4, 24)))
@example(place=("Asia/Beirut", date(2026, 3, 29)))
@example(place=("America/Havana", date(2026, 3, 8)))
@example(place=("Atlantic/Azores", date(2026, 10, 25)))
@example(place=("America/Havana", date(2026, 11, 1)))
@example(place=("America/St_Johns", date(2010, 11, 7)))  # at 00:01 the clocks went back into the day before
@example(place=("Pacific/Apia", date(2011, 12, 30)))  # a day that never was: the next one's begin
def test_a_day_begins_at_its_first_instant(place: tuple[str, date]) -> None:
    zone, day = place
    assert start_of_day(day, ZoneInfo(zone)) == first_instant(day, zone)


@settings(deadline=None, print_blob=True, max_examples=300)
@given(place=places, offset=st.sampled_from(_OFFSETS), days=st.integers(1, 7))
@example(place=("Africa/Cairo", date(2026, 4, 24)), offset=-1, days=1)
@example(place=("Africa/Cairo", date(2026, 4, 24)), offset=0, days=1)
@example(place=("Atlantic/Azores", date(2026, 10, 25)), offset=3_600 * SECOND, days=1)
@example(place=("Atlantic/Azores", date(2026, 10, 25)), offset=3_600 * SECOND, days=2)
def test_the_window_holds_n_local_days_and_moves_at_the_next(
    place: tuple[str, date], offset: int, days: int
) -> None:
    zone, day = place
    now = first_instant(day, zone) + offset
    today = local_date(now, zone)
    chosen = AppSettings(compensation_days=days, compensation_time_zone=zone)

    found = reach(chosen, now=now)

    assert found.window_from == first_instant(today - timedelta(days=days - 1), zone)
    assert found.window_moves_at == first_instant(today + timedelta(days=1), zone)
    if found.window_moves_at > now:  # not where the clocks went back into yesterday
        assert reach(chosen, now=found.window_moves_at - 1).window_from == found.window_from
    assert reach(chosen, now=found.window_moves_at).window_from >= found.window_from


@pytest.mark.parametrize(
    "off", [AppSettings(multi_device_sync=False, compensation_days=7), AppSettings(compensation_days=0)]
)
def test_without_the_feature_nothing_is_in_the_window_and_it_never_moves(off: AppSettings) -> None:
    found = reach(off, now=instant(datetime(2026, 10, 20, tzinfo=UTC)))

    assert (found.window_from, found.window_moves_at) == (NEVER, NEVER)


@given(days=st.integers(1, 7), now=st.integers(8 * DAY, 1 << 52))
def test_missed_messages_expire_after_rolling_days(days: int, now: int) -> None:
    assert reach(AppSettings(missed_days=days), now=now).missed_from == now - days * DAY

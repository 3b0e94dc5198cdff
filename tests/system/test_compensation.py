"""What the vendor's documentation lets an app see of cleaning, missed messages and compensation (SURFACES 1.6, a to d)."""

from __future__ import annotations

import pytest

from history.axis import SECOND
from tests.api.backend import Backend
from tests.api.client import open_api
from tests.clock import FixedClock
from tests.factories import NOON
from tests.system.conftest import Up

MIDNIGHT = NOON + 12 * 3600 * SECOND
"""2026-03-11, 00:00 UTC."""


@pytest.fixture
def app(running: Up) -> Backend:
    """An app of the test's own. Midnight may pass while a test runs, so the window has a day to spare."""
    return Backend(running.demo()).new_app(compensationDays=2)


def test_a_a_cleaned_history_is_empty_for_its_user_and_unchanged_for_the_peer(app: Backend) -> None:
    for number in range(3):
        app.send(content=str(number), echo=True)
    before = app.history("ann", "bob")
    app.clean("bob", "ann")
    assert app.history("bob", "ann") == []
    assert app.history("ann", "bob") == before
    assert len(before) == 3


def test_b_what_was_not_received_yet_is_delivered_after_a_clean(app: Backend) -> None:
    app.send(content="missed")
    app.clean()
    app.clean(deleteCompensated=True)
    assert app.contents() == []
    assert app.given() == [("missed", "missed")]
    assert app.given(device="another") == [("missed", "missed")]


@pytest.mark.parametrize("by", ["request", "app"])
def test_c_a_new_device_is_compensated_after_a_clean_unless_the_flag_says_otherwise(
    app: Backend, by: str
) -> None:
    app.ack(app.send(content="today's"))
    app.clean()
    assert app.contents() == []
    assert app.given(device="new") == [("today's", "compensation")]
    assert app.given(device="new", reinstalled=True) == [("today's", "compensation")]
    if by == "app":
        app.set(deleteCompensatedOnClean=True)
        app.clean()
    else:
        app.clean(deleteCompensated=True)
    assert app.given(device="new") == []


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("UTC", MIDNIGHT),
        ("Asia/Shanghai", MIDNIGHT - 8 * 3600 * SECOND),
        ("America/New_York", MIDNIGHT + 4 * 3600 * SECOND),
    ],
)
async def test_d_yesterdays_last_minute_is_not_compensated_after_midnight(
    database_url: str, redis_url: str, zone: str, midnight: int
) -> None:
    clock = FixedClock(midnight - 60 * SECOND)
    async with open_api(database_url, redis_url, clock=clock) as api:
        await api.set(compensationTimeZone=zone)
        (await api.ack((await api.send(content="23:59"))[0])).done()
        assert await api.given(device="new") == [("23:59", "compensation")]
        clock.set(midnight - 1)
        assert await api.given(device="new") == [("23:59", "compensation")]
        clock.set(midnight)
        assert await api.given(device="new") == []
        (await api.ack((await api.send(content="00:00"))[0])).done()
        clock.set(midnight + 60 * SECOND)
        assert await api.given(device="new") == [("00:00", "compensation")]
        await api.set(compensationDays=2)
        assert await api.given(device="new") == [("23:59", "compensation"), ("00:00", "compensation")]

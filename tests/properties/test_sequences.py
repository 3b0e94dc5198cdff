"""Sequences that the state machine meets in some runs only, fixed: so that their faults are red in every run.

Seen red here: the second of two midnights, midnight where there is none, > for >= at the window's start, and each mark set
instead of raised.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.properties import rules
from tests.properties.clean_steps import Reaches
from tests.properties.days import MINUTE, first_instant, instant, local_date
from tests.properties.draws import STARTS
from tests.properties.ground import open_ground
from tests.properties.state import EVERYONE
from tests.properties.steps import Sending, Steps

PAIR = ("ann", "b:ob")
MESSAGE = Sending(pair=PAIR, both=False, echoed=True, persisted=True)


@pytest.mark.parametrize(("begins", "zone"), STARTS)
def test_the_window_begins_with_the_first_message_of_an_odd_day(
    database_url: str, redis_url: str, begins: str, zone: str
) -> None:
    """Midnight is missing or comes twice: just before, at, and half an hour, an hour and a half after."""
    with open_ground(database_url, redis_url) as ground:
        steps = Steps(ground, instant(datetime.fromisoformat(begins)))
        steps.change({"compensation_time_zone": zone, "undo_seconds": 0})
        tomorrow = local_date(steps.model.now, zone) + timedelta(days=1)
        for offset in (-1, 0, 30 * MINUTE, 90 * MINUTE):
            steps.go_to(first_instant(tomorrow, zone) + offset)
            steps.send([MESSAGE])
            for user in PAIR:
                steps.acknowledge(user, "phone", steps.sent[-1:])
            steps.compare_readers()
        for user, other in (PAIR, PAIR[::-1]):
            steps.clean(user, other, whose=user, sent_at=None, flag=False, reaches=Reaches.DISK)
        steps.compare_readers()
        steps.compare_disk()
        assert len(rules.sync(steps.model, PAIR[0], rules.NEW_DEVICE)) == 3


@pytest.mark.parametrize("whose", [PAIR[0], EVERYONE])
def test_what_comes_late_lowers_nothing(database_url: str, redis_url: str, whose: str) -> None:
    """Cleans of less after cleans of more, and acknowledgements of older messages after those of newer ones."""
    with open_ground(database_url, redis_url) as ground:
        steps = Steps(ground, instant(datetime(2026, 10, 20, tzinfo=UTC)))
        steps.change({"undo_seconds": 0})
        for minutes in (1, 2, 3):
            steps.go_to(steps.model.now + minutes * MINUTE)
            steps.send([MESSAGE])
        for place in reversed(steps.sent):
            for user in PAIR:
                steps.acknowledge(user, "phone", [place])
            sent_at = place.position // 1000
            steps.clean(*PAIR, whose=whose, sent_at=sent_at, flag=True, reaches=Reaches.FLOOR)
            steps.compare_marks()
            steps.compare_readers()
        steps.drain()
        steps.compare_disk()

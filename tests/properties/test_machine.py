"""The state machine of tests.properties.machine on a real PostgreSQL and a real Redis.

A machine that finds nothing may be blind, so these faults were planted, one at a time, and each was seen red:
  the floor: one too high; a participant left out (of all of it, or of what is missed); the sender left out of
    compensation; live cutoffs for settled ones, history's or sync's; the window with multi-device sync off, no window
    with it on; a request settled before its undo window ended;
  boundaries: > for >= at the history cutoff, the sync cutoff, the window's start and the expiry, >= for > at the delivered
    mark; the clamp to last_position + 1 left out; the second of two midnights; midnight where there is none;
  marks: set instead of raised (history, sync, everyone's, settled, delivered, a device's); the flag of a clean ignored
    when it is applied, or the app's setting when it is accepted; a reinstalled device that keeps its marks;
  the journal left out of history and of compensation, everyone's requests or the flag left out there;
  missed messages touched by a cutoff; a user's own messages before missed ones; a page of history that cuts a millisecond;
  reclaim not told of an acknowledgement, a settled clean, the next move of the window, an expiry (one microsecond late),
    a message that is not stored for history, a changed setting;
  members of Redis left there after their work was done.

Groups, recalls, open channels, keys and accounts came later, and then undo, receipts, previews, batches, jobs, hiding, holds
and policies. What needs a rare order of them is walked through step by step, on the same ground, in
tests.properties.test_channel_types and tests.properties.test_clean_walks. The machine itself met, of 60 examples:
  a device whose told cutoff only rises (after 520 steps), a cancel that lowers below another request (240; everyone's 130) or
    below what settled (2,600; the sync cutoff 450);
  ids ignored in compensation (150) or in history (380); a policy that the floor does not know (390); a hold that it ignores
    (200);
  kept as missed without having been hidden (290); everyone's messages counted for each user (220); a preview (280) or a receipt
    (180) that ignores live requests; a batch that stops at what is wrong (180).

Files came last, with edits: their faults are told in tests.properties.test_media_walks. At the end of each example everybody
gives everything up, and nothing may be left, neither row nor object.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.days import DAY, instant
from tests.properties.ground import Ground, open_ground
from tests.properties.machine import Machine
from tests.properties.steps import Sending, Steps
from tests.properties.world import USERS

_COMMON = settings(
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def _run(database_url: str, redis_url: str, *, examples: int, steps: int) -> None:
    with open_ground(database_url, redis_url) as opened:

        class OnThisGround(Machine):
            ground: Ground = opened

        run_state_machine_as_test(
            OnThisGround, settings=settings(_COMMON, max_examples=examples, stateful_step_count=steps)
        )


@pytest.mark.timeout(900)
def test_what_is_read_and_kept_is_what_the_model_says(database_url: str, redis_url: str) -> None:
    _run(database_url, redis_url, examples=60, steps=40)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_what_is_read_and_kept_is_what_the_model_says_for_long(database_url: str, redis_url: str) -> None:
    _run(database_url, redis_url, examples=2_000, steps=50)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"multi_device_sync": False}, {"missed_days": 1}),
        ({"compensation_days": 7, "missed_days": 1}, {"compensation_days": 1}),
        ({"compensation_days": 7, "missed_days": 1}, {"multi_device_sync": False}),
    ],
)
def test_a_setting_that_frees_messages_is_noticed(
    database_url: str, redis_url: str, before: dict[str, bool | int | str], after: dict[str, bool | int | str]
) -> None:
    """What the machine hits too rarely: the worker is at rest, and a message goes by a setting's change alone."""
    with open_ground(database_url, redis_url) as ground:
        steps = Steps(ground, instant(datetime(2026, 10, 20, tzinfo=UTC)))
        steps.change(before)
        steps.send([Sending(pair=(USERS[0], USERS[1]), both=False, echoed=True, persisted=False)])
        steps.go_to(steps.model.now + 3 * DAY)
        steps.drain()
        steps.compare_disk()
        assert [len(channel.messages) for channel in steps.model.channels.values()] == [1]

        steps.change(after)
        steps.drain()

        steps.compare_disk()
        assert [len(channel.messages) for channel in steps.model.channels.values()] == [0]

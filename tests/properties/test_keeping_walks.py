"""Short walks about what admins say of keeping: policies that let nothing grow too old, holds that keep everything.

After each step everybody reads, on disk is, and every receipt tells what the model says. Of the faults that were planted, each
was seen red here:
  policies left out of history, of the floor or of explanations, a day early there, the type's before the channel's, narrower
    ones not left out of what a confirmation counts;
  holds ignored by the floor or by receipts, not covering where a user was or sent, content emptied under one or kept after it.
"""

from __future__ import annotations

import pytest

from tests.properties.days import DAY
from tests.properties.state import DIRECT, GROUP, OPEN, Numbers, Scope
from tests.properties.walk import ANN, BOB, CID, TEAM, Walk
from tests.properties.world import GROUPS, HALL, GroupChange


def test_a_policy_is_in_force_on_reads_at_once_and_on_disk_later(walk: Walk) -> None:
    """To the microsecond; a longer one brings back what is still there; what is missed or compensated stays."""
    walk.settings(compensation_days=3, missed_days=2)
    walk.talk()
    sent = walk.steps.sent
    walk.wait(DAY + 1)
    walk.policy(Scope(), 1)
    assert walk.read(ANN, BOB) == []
    walk.look()
    walk.policy(Scope(DIRECT), 3)
    assert len(walk.read(ANN, BOB)) == 4
    walk.policy(Scope(DIRECT), None)
    assert walk.read(ANN, BOB) == []
    walk.drain()
    assert walk.kept() == 4
    walk.settings(multi_device_sync=False)
    walk.drain()
    assert walk.kept() == 2
    walk.receive(BOB)
    walk.drain()
    walk.send(ANN, BOB, echoed=True)
    walk.receive(BOB)
    for offset in (0, 1):
        walk.steps.go_to(sent[-1].position + DAY + offset)
        walk.drain()
        walk.look()
        assert walk.kept() == 1 - offset


def test_the_most_specific_policy_counts(walk: Walk) -> None:
    """A group's, its type's, the app's; where one is removed the next one does, with its confirmation."""
    walk.settings(multi_device_sync=False)
    walk.group(GroupChange.CREATE, ANN, BOB, name=GROUPS[1])
    walk.open(None)
    for name in (TEAM, GROUPS[1], BOB, HALL):
        walk.send(ANN, name, echoed=True)
    walk.receive_all()
    walk.policy(Scope(), 1)
    walk.policy(Scope(GROUP), 3)
    walk.policy(Scope(GROUP, TEAM), 7)
    walk.policy(Scope(OPEN, HALL), 2)
    left = []
    for days in (1, 2):
        walk.wait(days * DAY + 1 - (walk.steps.model.now - walk.steps.sent[-1].position))
        left.append(walk.kept())
    assert left == [3, 2]
    walk.policy(Scope(GROUP), 2)
    walk.drain()
    assert walk.kept() == 1
    walk.policy(Scope(GROUP, TEAM), None)
    walk.drain()
    assert walk.kept() == 0


@pytest.mark.parametrize("what", [None, (ANN, BOB), BOB])
def test_nothing_goes_under_a_hold(walk: Walk, what: tuple[str, str] | str | None) -> None:
    """Cleans hide all the same; a recalled message keeps its content until the release."""
    walk.settings(multi_device_sync=False)
    walk.talk()
    walk.receive(BOB)
    walk.hold(what)
    walk.clean(ANN, BOB)
    walk.clean(BOB, ANN, before=3)
    walk.recall(ANN, 3)
    walk.policy(Scope(), 1)
    walk.wait(2 * DAY)
    walk.look()
    assert walk.kept() == 4
    assert walk.numbers() == [Numbers(4, 0, 0, 4), Numbers(3, 0, 0, 3)]
    walk.hold(what)
    walk.release()
    assert walk.kept() == 4
    walk.release()
    assert walk.kept() == 0


def test_a_recalled_message_is_emptied_when_its_hold_ends(walk: Walk) -> None:
    """Where something older keeps its row on disk."""
    walk.talk()
    walk.hold((ANN, BOB))
    walk.recall(ANN, 2)
    walk.drain()
    place = walk.steps.sent[2]
    message = walk.steps.model.channels[place.channel].messages[place.position]
    assert message.content
    walk.release()
    assert not walk.steps.model.channels[place.channel].messages[place.position].content


def test_a_hold_on_a_user_covers_where_he_is_was_or_sent(walk: Walk) -> None:
    """And nothing else."""
    walk.settings(multi_device_sync=False)
    walk.group(GroupChange.CREATE, ANN, BOB, name=GROUPS[1])
    walk.open(60)
    walk.group(GroupChange.LEAVE, CID)
    for user, name in ((ANN, TEAM), (ANN, GROUPS[1]), (ANN, CID), (ANN, BOB), (CID, HALL)):
        walk.send(user, name)
    walk.hold(CID)
    for user, name in ((BOB, TEAM), (BOB, GROUPS[1]), (CID, ANN), (BOB, ANN)):
        walk.receive_all()
        walk.clean(user, name)
    walk.wait(2 * DAY)
    assert {place.channel for place in walk.steps.sent if walk.there(place)} == {
        walk.steps.world.channel_id(ANN, name) for name in (TEAM, CID, HALL)
    }
    walk.release()
    assert walk.kept() == 0

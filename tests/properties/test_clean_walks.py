"""Short walks about cleans that can be trusted: undo, hiding, receipts, previews, many at once, explanations.

After each step everybody reads, on disk is, and every receipt tells what the model says; so a walk says little more than what
happens. Of the faults that were planted, each was seen red here, the rare ones here alone:
  undo: the told cutoff only raised; marks that fall below live requests, settled ones, or those without the flag; a window that
    is a microsecond longer; a job whose cancel undoes nothing, or that cleans where its user has left;
  hiding ignored in history or compensation, or changing a receipt that was applied before, as recalling would;
  receipts that forget earlier requests or everyone's, that know later ones or not their own flag; missed without hidden,
    each message once for each user; what is gone forgotten after a sweep; settling, or deleting,
    before the count, and settling before an earlier request was applied;
  previews without live requests or without the flag, a planHash that nobody looks at; a batch that stops at what is wrong;
  explanations without the device's mark or without the journal.
"""

from __future__ import annotations

import pytest

from tests.properties import receipts
from tests.properties.clean_steps import Reaches, Wish
from tests.properties.days import DAY, SECOND
from tests.properties.state import MINUTE, OPEN, Numbers, Scope
from tests.properties.walk import ANN, BOB, CID, TEAM, Walk
from tests.properties.world import GROUPS, HALL, NEWS, GroupChange

BOTH = pytest.mark.parametrize("everyone", [False, True])


@pytest.mark.parametrize(
    ("everyone", "reaches"), [(False, Reaches.JOURNAL), (False, Reaches.MARKS), (True, Reaches.FLOOR)]
)
def test_a_cancel_leaves_other_requests_and_settled_ones_in_force(
    walk: Walk, *, everyone: bool, reaches: Reaches
) -> None:
    """Kind by kind: a settled one, a live one with the flag, a higher one without, the highest."""
    walk.talk()
    settled = walk.clean(ANN, BOB, before=1, everyone=everyone)
    flagged = walk.clean(ANN, BOB, before=2, everyone=everyone, undo=60, reaches=reaches)
    plain = walk.clean(ANN, BOB, before=3, everyone=everyone, flag=False, undo=60, reaches=reaches)
    highest = walk.clean(ANN, BOB, everyone=everyone, undo=60, reaches=reaches)
    for request in (highest, plain, flagged):
        assert walk.cancel(request)
        walk.look()
    assert not walk.cancel(settled)
    walk.drain()
    assert len(walk.read(ANN, BOB)) == 3


@BOTH
def test_a_device_that_was_told_hears_once_that_history_is_back(walk: Walk, *, everyone: bool) -> None:
    """To what is left of it; a device that was never told hears nothing of it."""
    walk.talk()
    low = walk.clean(ANN, BOB, before=2, everyone=everyone, undo=60, reaches=Reaches.FLOOR)
    high = walk.clean(ANN, BOB, everyone=everyone, undo=60, reaches=Reaches.REDIS)
    assert [notice.restored for notice in walk.sync(ANN)] == [False]
    for request in (high, low):
        assert walk.cancel(request)
        assert [notice.restored for notice in walk.sync(ANN)] == [True]
        assert walk.sync(ANN) == []
    assert walk.sync(ANN, "tablet") == []


def test_an_undo_ends_with_its_window(walk: Walk) -> None:
    """By the request's own word or the app's, applied or not; a microsecond earlier is in time."""
    walk.settings(undo_seconds=60)
    walk.talk()
    for undo in (None, 10):
        for reaches in (Reaches.JOURNAL, Reaches.MARKS):
            first, second = (walk.clean(ANN, BOB, undo=undo, reaches=reaches) for _ in range(2))
            walk.steps.go_to(second.undo_until - 1)
            assert walk.cancel(second)
            assert not walk.cancel(first)
    walk.wait(MINUTE)


def test_what_is_hidden_by_id_is_neither_history_nor_compensation(walk: Walk) -> None:
    """For that user alone, and not where it is still missed; it goes when the others need it no more."""
    walk.talk()
    walk.hide(ANN, BOB, 0)
    walk.hide(BOB, ANN, 1, 3)
    walk.look()
    walk.receive(BOB)
    walk.clean(ANN, BOB)
    walk.hide(BOB, ANN, 0, 2)
    walk.drain()
    assert walk.kept() == 0
    walk.hide(ANN, BOB, 0)
    walk.hide(CID, BOB, 0)


def test_a_stranger_and_one_who_left_hide_nothing(walk: Walk) -> None:
    """Nor does an id of another channel; what was hidden stays so for one who comes again."""
    walk.talk(TEAM)
    walk.send(ANN, BOB, echoed=True)
    walk.hide(BOB, TEAM, 0, -1)
    walk.group(GroupChange.LEAVE, BOB)
    walk.hide(BOB, TEAM, 1)
    walk.group(GroupChange.JOIN, BOB)
    walk.send(ANN, TEAM, echoed=True)
    walk.hide(BOB, TEAM, -1)
    walk.look()


def test_a_receipt_counts_what_earlier_cleans_left(walk: Walk) -> None:
    """The user's own and everyone's, waiting, applied or settled; an undone one leaves everything."""
    walk.talk(TEAM)
    walk.clean(BOB, TEAM, before=1, undo=0)
    walk.clean(BOB, TEAM, before=2, undo=60, reaches=Reaches.MARKS)
    walk.clean(BOB, TEAM, before=3, everyone=True, undo=60, reaches=Reaches.REDIS)
    undone = walk.clean(ANN, TEAM, undo=60, reaches=Reaches.REDIS)
    assert walk.cancel(undone)
    for user in (ANN, BOB):
        walk.clean(user, TEAM, undo=60, reaches=Reaches.JOURNAL)
    walk.wait(10 * SECOND)
    hidden = [request.numbers.hidden for request in walk.steps.model.journal if request is not undone]
    assert hidden == [1, 1, 3, 1, 1]


def test_everyones_clean_counts_each_message_once(walk: Walk) -> None:
    """Seen by three, by one, by nobody who is there; missed by one of them; not stored, and so not hidden."""
    walk.send(ANN, TEAM, echoed=True)
    walk.send(ANN, TEAM, only=BOB)
    walk.send(ANN, TEAM, only=ANN)
    walk.receive(CID)
    walk.receive(BOB)
    walk.send(ANN, TEAM, kept=False)
    walk.send(ANN, TEAM)
    walk.receive(CID)
    walk.hide(BOB, TEAM, -1)
    wish = Wish((ANN, TEAM), everyone=True, flag=False)
    plan, _ = walk.steps.preview(wish)
    assert plan.numbers == Numbers(3, 1, 3, 0)
    walk.clean(ANN, TEAM, everyone=True, flag=False)
    assert walk.numbers() == [plan.numbers]


def test_what_is_kept_as_missed_was_hidden_before(walk: Walk) -> None:
    """A missed message that is not stored for history, or that an earlier clean had hidden, is not counted again."""
    walk.send(ANN, BOB, kept=False)
    walk.send(ANN, BOB)
    walk.clean(BOB, ANN, undo=60, reaches=Reaches.MARKS)
    walk.clean(BOB, ANN, undo=60, reaches=Reaches.FLOOR)
    assert walk.numbers() == [Numbers(1, 1, 0, 0), Numbers(0, 0, 0, 0)]


def test_a_receipt_follows_its_messages_until_they_are_gone(walk: Walk) -> None:
    """In part, in full; undone; swept of what it was counted against."""
    walk.settings(multi_device_sync=False)
    walk.talk()
    walk.receive(BOB)
    undone = walk.clean(BOB, ANN, undo=60, reaches=Reaches.FLOOR)
    assert walk.cancel(undone)
    his = walk.clean(BOB, ANN)
    assert receipts.state(walk.steps.model, his) == "settled"
    walk.clean(ANN, BOB, before=2)
    walk.sweep()
    assert receipts.reclaimed(walk.steps.model, his) == 2
    walk.clean(ANN, BOB)
    walk.sweep()
    assert receipts.state(walk.steps.model, his) == "reclaimed"
    assert receipts.reclaimed(walk.steps.model, his) == 4


def test_settling_waits_for_the_count(walk: Walk) -> None:
    """And so does what would go: recalled or hidden right after, which changes no receipt."""
    walk.settings(multi_device_sync=False)
    walk.talk()
    walk.receive(BOB)
    walk.hide(BOB, ANN, 3)
    for user, other in ((ANN, BOB), (BOB, ANN)):
        walk.clean(user, other, reaches=Reaches.MARKS)
    walk.recall(ANN, 0)
    walk.hide(BOB, ANN, 1)
    walk.go(walk.steps.settle)
    walk.go(walk.steps.visit_before_counting)
    assert walk.kept() == 4
    walk.drain()
    assert walk.kept() == 0
    assert walk.numbers() == [Numbers(4, 0, 0, 0), Numbers(3, 0, 0, 0)]


def test_a_later_clean_settles_after_an_earlier_one_was_applied(walk: Walk) -> None:
    """Else the earlier one would find less than there was. What it tells of is what was there before the later one."""
    walk.talk()
    walk.clean(ANN, BOB)
    walk.clean(BOB, ANN, before=2, everyone=True, undo=60, reaches=Reaches.JOURNAL)
    walk.clean(BOB, ANN, reaches=Reaches.FLOOR)
    assert [request.state for request in walk.steps.model.journal] == ["settled", "accepted", "applied"]
    walk.wait(10 * SECOND)
    assert [request.numbers.hidden for request in walk.steps.model.journal] == [4, 2, 2]
    assert [request.state for request in walk.steps.model.journal] == ["settled", "applied", "settled"]


@pytest.mark.parametrize("event", ["nothing", "send", "clean", "hide", "receive", "hold"])
def test_a_plan_is_refused_where_it_would_differ(walk: Walk, event: str) -> None:
    """Live requests count, waiting or applied."""
    walk.talk()
    everyone = event in ("clean", "hide")
    walk.clean(BOB, ANN, before=1, undo=60, reaches=Reaches.MARKS)
    walk.clean(BOB, ANN, before=2, undo=60, reaches=Reaches.JOURNAL)
    wish = Wish((BOB, ANN), everyone=everyone, flag=True)
    plan, plan_hash = walk.steps.preview(wish)
    if event == "send":
        walk.send(ANN, BOB)
    elif event == "clean":
        walk.clean(BOB, ANN, before=3, everyone=everyone, reaches=Reaches.JOURNAL)
    elif event == "hide":
        for user, other in ((ANN, BOB), (BOB, ANN)):
            walk.hide(user, other, 2)
    elif event == "receive":
        walk.receive(BOB)
    elif event == "hold":
        walk.hold(None)
    assert (walk.steps.clean_as_planned(wish, plan, plan_hash) is None) == (event != "nothing")
    walk.wait(10 * SECOND)


def test_a_batch_does_what_is_good_and_says_what_is_not(walk: Walk) -> None:
    """First, last and in between; two of one channel in their order."""
    walk.talk()
    walk.send(ANN, TEAM, echoed=True)
    wrong = [Wish((ANN, BOB), wrong=field) for field in ("sentAt", "scope", "type", "planHash")]
    good = [
        Wish((ANN, BOB), sent_at=walk.steps.sent[2].position // 1000, undo=60),
        Wish((ANN, BOB), everyone=True, flag=True),
        Wish((CID, TEAM)),
        Wish((CID, NEWS)),
    ]
    mixed = [one for both in zip(wrong, good, strict=True) for one in both]
    walk.go(lambda: walk.steps.batch([*mixed, wrong[0]]))
    walk.go(lambda: walk.steps.batch(good[::-1]))
    walk.drain()
    walk.wait(10 * SECOND)
    assert [request.numbers.hidden for request in walk.steps.model.journal][:4] == [2, 4, 1, 0]


def test_all_channels_of_a_user_are_cleaned_and_brought_back(walk: Walk) -> None:
    """Those where he took part when the job was accepted, also one that he left since; a recall by sender is final."""
    for name in (BOB, TEAM, CID):
        walk.send(ANN, name, echoed=True)
    walk.group(GroupChange.CREATE, ANN, BOB, name=GROUPS[1])
    walk.go(lambda: walk.steps.clean_user(BOB, sent_at=None, flag=True, undo=60))
    walk.group(GroupChange.LEAVE, BOB, name=GROUPS[1])
    walk.send(ANN, BOB)
    walk.go(walk.steps.work_on_jobs)
    walk.wait(10 * SECOND)
    assert [request.user for request in walk.steps.model.journal] == [BOB, BOB, BOB]
    job = walk.steps.model.jobs[0]
    walk.go(lambda: walk.steps.cancel_job(job))
    walk.go(walk.steps.work_on_jobs)
    assert {request.state for request in walk.steps.model.journal} == {"cancelled"}
    walk.go(lambda: walk.steps.recall_by_sender((ANN, BOB), ANN, before=None))
    walk.drain()
    walk.go(lambda: walk.steps.cancel_job(walk.steps.model.jobs[1]))
    assert walk.read(BOB, ANN) == []


def test_an_open_channel_is_cleaned_for_anyone(walk: Walk) -> None:
    """Undone, held, too old, ended: its receipts and explanations too."""
    walk.open(None)
    for _ in range(3):
        walk.wait(SECOND)
        walk.send(ANN, HALL)
    request = walk.clean(BOB, HALL, undo=60, reaches=Reaches.FLOOR)
    walk.look()
    assert walk.cancel(request)
    walk.hold((ANN, HALL))
    walk.clean(BOB, HALL, before=1)
    walk.policy(Scope(OPEN, HALL), 1)
    walk.wait(2 * DAY)
    walk.look()
    walk.release()
    assert walk.kept() == 0
    walk.send(CID, HALL)
    walk.destroy()
    walk.clean(BOB, HALL, undo=60)
    walk.look()
    assert walk.numbers() == [Numbers(3, 0, 0, 0), Numbers(1, 0, 0, 1), Numbers(0, 0, 0, 0)]


@pytest.mark.parametrize("name", [BOB, TEAM, NEWS])
def test_every_explanation_says_what_the_rules_do(walk: Walk, name: str) -> None:
    """Received on one device, cleaned with and without the flag, hidden, recalled, expired, gone."""
    receiver = ANN if name == NEWS else BOB
    for number in range(5):
        walk.send(ANN, name, echoed=name != NEWS, kept=number != 1)
        if number == 2:
            walk.receive(receiver)
    other = name if name in (TEAM, NEWS) else ANN
    walk.sync(receiver)
    walk.look()
    walk.hide(receiver, other, 0)
    walk.look()
    walk.clean(receiver, other, flag=False, undo=60, reaches=Reaches.FLOOR)
    walk.look()
    walk.clean(receiver, other, flag=True, everyone=True, reaches=Reaches.REDIS)
    walk.look()
    walk.recall(NEWS if name == NEWS else ANN)
    walk.wait(8 * DAY)
    walk.look()

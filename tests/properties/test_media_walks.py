"""Short walks about files: who reads them, who keeps them, when they go, and which receipts say so.

After each step row, object and references of every file are what the model says, its readers and keepers too. Of the faults
that were planted, each was seen red here:
  keepers: who had hidden the message, left, joined later, or was not addressed; what was no history; the history cutoff for
    the media one; policies left out; no one in an open channel; what was recalled under a hold;
  what is needed: a file that is kept, or one that a message says; holds on the app, the uploader or a channel ignored by a
    look, by a removal, or when keepers are judged; a look that never comes again; references that stay after a look, a recall,
    an edit or the end of a hold; what is judged, recalled or edited away not looked at; a policy's time that nobody waits for;
    dismissal and expiry that leave files; an object that stays; an unused file a microsecond late;
  readers: without missed or compensated messages, without cutoffs, whoever left, the uploader for ever;
  cleans: files given up without deleteMedia, marks set instead of raised, not settled, not lowered by a cancel, or lowered
    below live ones, or kept up by those without files;
  receipts: without files, files for bytes, deleteMedia not told; a clean counted that is not settled, not the first, without
    deleteMedia, of who joined later or had left; lists of what is needed, or of what nobody keeps;
  sends: references not written, or to what goes.
"""

from __future__ import annotations

import pytest

from tests.properties.clean_steps import Reaches
from tests.properties.days import DAY, SECOND
from tests.properties.media import AGAIN_AFTER, HELD_AFTER
from tests.properties.media_steps import UNFINISHED_AFTER, UNUSED_AFTER
from tests.properties.state import DIRECT, MINUTE, Request, Scope
from tests.properties.walk import ANN, BOB, CID, TEAM, Walk
from tests.properties.world import GROUPS, HALL, NEWS, STRANGER, GroupChange


def says(walk: Walk, name: str = BOB, *files: int) -> None:
    """ann sends a file to bob or a group, echoed; everybody has it a second later."""
    walk.wait(SECOND)
    walk.send(ANN, name, echoed=True, files=files or (0,))
    walk.go(walk.receive_all)


def counted(*requests: Request) -> list[tuple[int, int]]:
    """Files and bytes of their receipts."""
    return [(request.files, request.size) for request in requests]


@pytest.mark.parametrize(("ann", "bob"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_file_goes_when_everybody_gave_it_up_and_is_kept_until_then(
    walk: Walk, *, ann: bool, bob: bool
) -> None:
    """Its keeper may give it up later; a later message's file is not touched, nor what an undo may still bring back."""
    file = walk.upload(CID)
    says(walk)
    walk.upload(ANN)
    says(walk)
    first = walk.clean(ANN, BOB, media=ann, before=1)
    second = walk.clean(BOB, ANN, media=bob, before=1, undo=60)
    walk.drain()
    assert (file in walk.files(), walk.keepers()) == (True, [])
    walk.wait(60 * SECOND)
    assert (file in walk.files(), len(walk.keepers())) == (not (ann and bob), int(not (ann and bob)))
    if ann != bob:
        assert walk.keepers() == [BOB if ann else ANN]
    size = (1, 1)
    assert counted(first, second) == ([size, size] if ann and bob else [(0, 0)] * 2)
    third = walk.clean(ANN, BOB, media=True, before=1)
    fourth = walk.clean(BOB, ANN, media=True, before=1)
    assert file not in walk.files()
    again = [(0, 0) if gave or (ann and bob) else size for gave in (ann, bob)]
    assert counted(third, fourth) == again
    assert len(walk.files()) == 1
    walk.steps.give_everything_up()


def test_a_file_counts_for_those_whom_its_message_was_for(walk: Walk) -> None:
    """Not for who joined later, was not there or not addressed; once for everyone, once for each user, the first time."""
    walk.group(GroupChange.CREATE, ANN, BOB, name=GROUPS[1])
    walk.upload()
    walk.wait(SECOND)
    walk.send(ANN, GROUPS[1], echoed=True, files=(0,))
    walk.wait(SECOND)
    walk.send(ANN, GROUPS[1], only=BOB, files=(0,))
    walk.go(walk.receive_all)
    walk.group(GroupChange.JOIN, CID, name=GROUPS[1])
    late = walk.clean(CID, GROUPS[1], media=True)
    stranger = walk.clean(STRANGER, GROUPS[1], media=True)
    without = walk.clean(BOB, GROUPS[1])
    bob = [walk.clean(BOB, GROUPS[1], media=True) for _ in range(2)]
    assert len(walk.files()) == 1
    own = walk.clean(ANN, GROUPS[1], media=True, undo=10, reaches=Reaches.FLOOR)
    everyone = walk.clean(ANN, GROUPS[1], media=True, everyone=True)
    walk.wait(10 * SECOND)
    assert not walk.files()
    assert counted(late, stranger, without, *bob) == [(0, 0), (0, 0), (0, 0), (1, 1), (0, 0)]
    assert counted(own, everyone) == [(0, 0), (1, 1)], "the one that was not settled yet did not give it up"


def test_a_file_does_not_count_for_who_had_left(walk: Walk) -> None:
    """He cleans what was sent since."""
    walk.group(GroupChange.LEAVE, CID)
    walk.upload()
    says(walk, TEAM)
    requests = [walk.clean(user, TEAM, media=True) for user in (CID, BOB, ANN)]
    assert not walk.files()
    assert counted(*requests) == [(0, 0), (1, 1), (1, 1)]


def test_a_file_stays_until_no_message_needs_it(walk: Walk) -> None:
    """Of two messages, of another channel, of one that is for some, of one that is no history."""
    walk.settings(multi_device_sync=False)
    walk.upload(ANN)
    says(walk)
    says(walk, TEAM)
    walk.wait(SECOND)
    walk.send(ANN, TEAM, only=CID, files=(0,))
    walk.send(ANN, CID, kept=False, files=(0, 0))
    for user, name in ((ANN, BOB), (BOB, ANN), (ANN, TEAM), (BOB, TEAM), (ANN, CID)):
        walk.clean(user, name, media=True)
        assert len(walk.files()) == 1
    walk.clean(CID, TEAM, media=True)
    assert walk.kept() == 2, "he misses what was for him"
    walk.go(walk.receive_all)
    walk.drain()
    assert not walk.files()


def test_only_those_for_whom_a_message_was_keep_its_file(walk: Walk) -> None:
    """Not its sender without an echo, who was not addressed, joined later, left, or deleted it by its id; and not for ever."""
    walk.settings(multi_device_sync=False)
    walk.group(GroupChange.CREATE, ANN, BOB, name=GROUPS[1])
    walk.upload()
    walk.wait(SECOND)
    walk.send(ANN, GROUPS[1], files=(0,))
    walk.go(walk.receive_all)
    walk.group(GroupChange.JOIN, CID, name=GROUPS[1])
    walk.clean(BOB, GROUPS[1])
    assert walk.keepers() == [BOB]
    walk.group(GroupChange.LEAVE, BOB, name=GROUPS[1])
    walk.drain()
    assert not walk.files()
    walk.upload()
    walk.send(ANN, TEAM, only=BOB, files=(0,))
    walk.go(walk.receive_all)
    walk.hide(BOB, TEAM, -1)
    walk.drain()
    assert not walk.files()
    walk.upload()
    says(walk, TEAM)
    walk.hide(CID, TEAM, -1)
    walk.clean(BOB, TEAM, media=True)
    walk.clean(ANN, TEAM)
    assert walk.keepers() == [ANN]
    walk.group(GroupChange.DISMISS, ANN)
    walk.drain()
    assert not walk.files()


@pytest.mark.parametrize("everyone", [False, True])
def test_what_is_undone_gives_nothing_up(walk: Walk, *, everyone: bool) -> None:
    """The mark is what the others make it: a settled one, a live one, and one without its files."""
    walk.upload()
    for _ in range(3):
        says(walk)
    walk.clean(BOB, ANN, media=True, before=1, everyone=everyone)
    live = walk.clean(BOB, ANN, media=True, before=2, everyone=everyone, undo=60, reaches=Reaches.MARKS)
    plain = walk.clean(BOB, ANN, everyone=everyone, undo=60, reaches=Reaches.MARKS)
    highest = walk.clean(BOB, ANN, media=True, everyone=everyone, undo=60, reaches=Reaches.FLOOR)
    assert walk.cancel(highest)
    walk.clean(ANN, BOB, media=True)
    walk.wait(MINUTE)
    assert (walk.kept(), len(walk.files())) == (0, 1)
    assert walk.keepers() == [BOB]
    assert counted(live, plain, highest) == [(0, 0)] * 3
    for before in (None, 0):
        walk.clean(BOB, ANN, media=True, before=before, everyone=everyone)
    assert not walk.files()


@pytest.mark.parametrize("what", [None, CID, (ANN, BOB)])
def test_nothing_that_a_hold_covers_goes(walk: Walk, what: tuple[str, str] | str | None) -> None:
    """The app, the uploader, a channel: cleaned, recalled, kept by somebody or unused; an admin does not remove it either.

    What was recalled meanwhile nobody keeps.
    """
    walk.settings(multi_device_sync=False)
    for _ in range(4):
        walk.upload(CID)
        says(walk)
    walk.upload(CID)
    walk.clean(ANN, BOB, before=1, media=True)
    walk.clean(BOB, ANN, before=1)
    assert walk.keepers() == [BOB]
    walk.hold(what)
    walk.recall(ANN, 1)
    walk.recall(ANN, 3)
    walk.clean(ANN, BOB, before=3, media=True)
    walk.clean(BOB, ANN, before=3, media=True)
    walk.wait(UNUSED_AFTER)
    for index in range(4):
        walk.remove(index)
    # what no message says is not of the channel
    assert len(walk.files()) == (4 if isinstance(what, tuple) else 5)
    walk.release()
    assert not walk.files()


def test_a_file_that_only_its_channels_hold_keeps_is_looked_at_again(walk: Walk) -> None:
    """Everything was given up already when the hold came."""
    walk.upload()
    says(walk)
    walk.clean(ANN, BOB, media=True, reaches=Reaches.FLOOR)
    walk.clean(BOB, ANN, media=True, reaches=Reaches.FLOOR)
    walk.go(walk.steps.visit_due)
    walk.hold((ANN, BOB))
    walk.drain()
    walk.remove()
    assert len(walk.files()) == 1
    walk.release()
    walk.wait(HELD_AFTER - 1)
    assert len(walk.files()) == 1
    walk.wait(1)
    assert not walk.files()


def test_what_is_not_said_any_more_goes_at_once(walk: Walk) -> None:
    """Recalled, or edited away; what an edit says instead stays, and what cannot be edited is not."""
    for _ in range(3):
        walk.upload(ANN)
    says(walk, BOB, 0)
    says(walk, BOB, 0, 1)
    walk.edit(BOB, 1, 2)
    walk.edit(ANN, 1, 0, 2)
    walk.drain()
    assert len(walk.files()) == 2
    walk.recall(ANN, 1)
    walk.drain()
    assert len(walk.files()) == 1
    walk.edit(ANN, 1, 0)
    walk.edit(ANN, 0, 1)
    walk.clean(ANN, BOB, everyone=True, undo=60, reaches=Reaches.REDIS)
    walk.edit(ANN, 0)
    walk.drain()
    assert len(walk.files()) == 1
    walk.upload(ANN)
    walk.send(ANN, CID)
    walk.send(ANN, CID, files=(0,))
    walk.hold((ANN, CID))
    walk.edit(ANN, -1)
    walk.recall(ANN, -1)
    walk.drain()
    assert len(walk.files()) == 2
    walk.release()
    assert (len(walk.files()), walk.there(walk.steps.sent[-1])) == (1, True)


def test_a_policy_and_the_end_of_a_channel_take_files_too(walk: Walk) -> None:
    """Also where somebody kept them, by time alone; an open channel is everybody's."""
    walk.settings(multi_device_sync=False)
    walk.policy(Scope(DIRECT), 3)
    walk.upload()
    says(walk)
    sent = walk.steps.sent[-1].position
    walk.clean(ANN, BOB)
    walk.clean(BOB, ANN, media=True)
    assert walk.keepers() == [ANN]
    for offset, left in ((0, 1), (1, 0)):
        walk.steps.go_to(sent + 3 * DAY + offset)
        walk.drain()
        assert len(walk.files()) == left
    walk.open(60, from_last=False)
    for _ in range(2):
        walk.upload()
        walk.wait(SECOND)
        walk.send(ANN, HALL, files=(0,))
    walk.clean(ANN, HALL, before=-1)
    assert (len(walk.files()), walk.keepers()) == (2, [""])
    walk.wait(60 * MINUTE)
    assert not walk.files()
    walk.open(None)
    walk.upload()
    walk.send(ANN, HALL, files=(0,))
    walk.clean(ANN, HALL)
    assert walk.keepers() == [""]
    walk.clean(BOB, HALL, media=True)
    assert not walk.files()


def test_only_who_may_be_given_its_message_reads_a_file(walk: Walk) -> None:
    """In history, as missed, as compensation; its uploader until it is said, the account that says it never."""
    walk.upload(CID)
    walk.send(CID, NEWS, files=(0,))
    walk.wait(SECOND)
    walk.send(ANN, BOB, files=(0,))
    walk.clean(BOB, ANN, flag=False)
    walk.ask()
    walk.receive(BOB)
    walk.ask()
    walk.clean(BOB, ANN, flag=True, undo=60, reaches=Reaches.JOURNAL)
    walk.ask()
    walk.recall(ANN, admin=True)
    walk.upload(BOB)
    walk.open(None)
    walk.send(ANN, HALL, files=(0,))
    walk.ask()
    walk.clean(ANN, HALL)
    walk.group(GroupChange.LEAVE, BOB)
    walk.send(ANN, TEAM, files=(0, 1))
    walk.group(GroupChange.JOIN, BOB)
    walk.ask()
    walk.send(ANN, TEAM, only=CID, files=(0, 1))
    walk.policy(Scope(), 1)
    walk.wait(DAY)
    walk.ask()


def test_a_file_that_no_message_says_goes_after_its_hours(walk: Walk) -> None:
    """To the microsecond; one that is said stays, and an admin may remove what is not."""
    said, unused = walk.upload(ANN), walk.upload()
    says(walk, BOB, 1)
    removed = walk.upload()
    walk.remove(0)
    walk.remove(2)
    walk.remove(0)
    assert walk.files() == {said, unused}
    assert removed not in walk.files()
    ends = walk.steps.model.shelf.files[unused].look_at
    assert ends
    for at in (ends - 1, ends):
        assert walk.files() == {said, unused}
        walk.steps.go_to(at)
        walk.drain()
    assert walk.files() == {said}
    walk.wait(UNUSED_AFTER)
    assert walk.files() == {said}


def test_a_process_that_dies_is_followed(walk: Walk) -> None:
    """Between row and object, both ways; nothing can refer to what is not whole or goes."""
    said = walk.upload()
    says(walk)
    for cut in ("before write", "after write"):
        walk.upload(cut=cut)
        walk.send(ANN, BOB, files=(0,))
        walk.remove(0)
        walk.go(walk.steps.check_files)
    assert len(walk.steps.sent) == 1
    walk.wait(UNFINISHED_AFTER - 1)
    assert len(walk.files()) == 3
    walk.wait(1)
    assert walk.files() == {said}
    for cut in ("before delete", "after delete"):
        walk.upload(BOB)
        walk.remove(0, cut=cut)
        for key in (None, "k"):
            walk.send(ANN, BOB, files=(0,), key=key)
        walk.edit(ANN, 0, 0)
        walk.go(walk.steps.check_files)
    assert len(walk.steps.sent) == 1
    walk.wait(AGAIN_AFTER - 1)
    assert len(walk.files()) == 3
    walk.wait(1)
    assert walk.files() == {said}
    walk.go(walk.steps.check_files)
    walk.steps.give_everything_up()

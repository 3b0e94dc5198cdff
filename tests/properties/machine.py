"""A rule-based state machine: whatever people, devices, admins, the clock and the worker do, in whatever order, every user
reads what the model says, and on disk is what the model says."""

from __future__ import annotations

import sys
from datetime import datetime
from math import inf

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from tests.properties import rules
from tests.properties.days import DAY, SECOND, first_instant, instant, local_date
from tests.properties.draws import (
    LONGEST,
    SETTINGS,
    STARTS,
    SWEPT,
    ZONES,
    Changes,
    devices,
    group_changes,
    groups,
    indexes,
    limits,
    pairs,
    sendings,
    some_users,
    ttls,
    uploaders,
    users,
)
from tests.properties.ground import Ground
from tests.properties.looks import EVERYBODY
from tests.properties.media_rules import MediaRules
from tests.properties.state import ELSEWHERE, ENDLESS, EVERYONE, PairKey
from tests.properties.steps import Sending, Steps
from tests.properties.upkeep import MOST_ROUNDS
from tests.properties.world import GROUPS, HALL, STRANGER, USERS, GroupChange


class Machine(MediaRules):
    """Draws what happens; tests.properties.steps does it to the services and to the model."""

    ground: Ground
    """What the test has opened; set on a subclass of the test's own."""
    asked = 0

    @initialize(
        start=st.sampled_from(STARTS),
        changes=st.fixed_dictionaries({}, optional=SETTINGS),
        members=some_users,
        ttl=ttls,
        uploads=st.lists(uploaders, max_size=2),
        sends=st.lists(sendings, max_size=4),
    )
    def begin(
        self,
        start: tuple[str, str],
        changes: Changes,
        members: list[str],
        ttl: int | None,
        uploads: list[str | None],
        sends: list[Sending],
    ) -> None:
        begins, zone = start
        now = instant(datetime.fromisoformat(begins))
        self.steps = Steps(self.ground, now)
        self.begins, self.ends = now, now + LONGEST
        self.steps.change({"compensation_time_zone": zone, "undo_seconds": 0, **changes})
        self.steps.group(GroupChange.CREATE, GROUPS[0], members)
        self.steps.make_open(ttl, from_last=True)
        for user in uploads:
            self.steps.upload(user)
        self.steps.send(sends)

    def teardown(self) -> None:
        """In the end nothing is left, unless something is wrong already."""
        if sys.exc_info()[0] is None and hasattr(self, "steps"):
            self.steps.give_everything_up()

    # people

    @rule(sends=st.lists(sendings, min_size=1, max_size=3))
    def send(self, sends: list[Sending]) -> None:
        self.steps.send(sends)

    # groups, the open channel, recalls

    @rule(change=group_changes, name=groups, chosen=some_users)
    def change_a_group(self, change: GroupChange, name: str, chosen: list[str]) -> None:
        self.steps.group(change, name, chosen)

    @rule(
        name=groups,
        user=users,
        sends=st.lists(sendings, max_size=2),
        rejoins=st.booleans(),
        drains=st.booleans(),
    )
    def leave_while_others_talk(
        self, name: str, user: str, sends: list[Sending], rejoins: bool, drains: bool
    ) -> None:
        """What is sent meanwhile is not for him, nor is what was before when he comes again."""
        self.steps.group(GroupChange.LEAVE, name, [user])
        self.steps.send([sending._replace(pair=(sending.pair[0], name)) for sending in sends])
        if drains:
            self.steps.drain()
        if rejoins:
            self.steps.group(GroupChange.JOIN, name, [user])

    @rule(ttl=ttls, from_last=st.booleans())
    def make_the_open_channel(self, ttl: int | None, from_last: bool) -> None:
        self.steps.make_open(ttl, from_last=from_last)

    @rule(user=users, echoed=st.booleans(), offset=st.sampled_from((-1, 0, 1)), ttl=ttls)
    def let_the_open_channel_end(self, user: str, echoed: bool, offset: int, ttl: int | None) -> None:
        """Something is there when its time comes; a worker need not have been there."""
        self.steps.make_open(ttl, from_last=echoed)
        self.steps.send([Sending((user, HALL), both=False, echoed=echoed, persisted=True)])
        model = self.steps.model
        hall = model.channels[self.steps.world.channel_id(user, HALL)]
        self._go_to((model.end_of(hall) or model.now) + offset)

    @rule(again=st.booleans(), drains=st.booleans(), ttl=ttls)
    def destroy_the_open_channel(self, again: bool, drains: bool, ttl: int | None) -> None:
        self.steps.destroy()
        if drains:
            self.steps.drain()
        if again:
            self.steps.make_open(ttl, from_last=drains)

    @precondition(lambda self: self.steps.sent)
    @rule(index=indexes, user=st.none() | users, admin=st.sampled_from((False, False, True)))
    def recall(self, index: int, user: str | None, admin: bool) -> None:
        """By its sender (None), an admin or anyone."""
        place = self.steps.sent[-1 - index % len(self.steps.sent)]
        channel = self.steps.model.channels[place.channel]
        message = channel.messages.get(place.position)
        self.steps.recall(user or (message.sender if message else USERS[0]), place, admin=admin)

    @rule(pair=pairs, most=st.integers(1, 3))
    def read_history_in_pages(self, pair: tuple[str, str], most: int) -> None:
        world, model = self.steps.world, self.steps.model
        below, channel_id = ENDLESS, world.channel_id(*pair)
        while below:
            page = world.run(world.history(*pair, below=below, most=most))
            expected = rules.history_page(model, channel_id, pair[0], below=below, most=most)
            assert [at.position for at in page] == expected
            below = expected[-1] // 1000 * 1000 if expected else 0

    # devices

    @rule(
        user=users,
        device=devices,
        limit=limits,
        keeps=st.none() | st.integers(0, 3),
        reinstalled=st.sampled_from((False, False, False, True)),
    )
    def sync(self, user: str, device: str, limit: int, keeps: int | None, reinstalled: bool) -> None:
        """One page, from the start or from some cursor that the device has kept."""
        cursors = self.steps.cursors.get((user, device), [])
        kept = cursors[-1 - keeps % len(cursors)] if cursors and keeps is not None else None
        self.steps.page(user, device, limit=limit, kept=kept, reinstalled=reinstalled)

    @rule(user=users, device=devices, limit=limits, acknowledges=st.booleans())
    def sync_to_the_end(self, user: str, device: str, limit: int, acknowledges: bool) -> None:
        """All pages; where it acknowledges, none of it is given again."""
        whole = rules.sync(self.steps.model, user, device)
        found: list[rules.Given] = []
        kept, more, rounds = None, True, 0
        while more:
            page = self.steps.page(user, device, limit=limit, kept=kept, reinstalled=False)
            kept, more, rounds = self.steps.cursors[user, device][-1], page.more, rounds + 1
            found += page.messages
            assert rounds <= len(whole) + MOST_ROUNDS, "paging does not end"
        assert found == whole
        if acknowledges and found:
            last = {at.channel: at.position for at in found}
            places = [place for place in self.steps.sent if last.get(place.channel) == place.position]
            self.steps.acknowledge(user, device, places)
            assert rules.sync(self.steps.model, user, device) == []

    @rule(pair=pairs, device=devices, index=indexes)
    def acknowledge(self, pair: tuple[str, str], device: str, index: int) -> None:
        """Up to some message, in any order."""
        if sent := self.steps.sent_in(pair):
            self.steps.acknowledge(pair[0], device, [sent[-1 - index % len(sent)]])

    @rule(pair=pairs, device=devices)
    def receive_on_all_sides(self, pair: tuple[str, str], device: str) -> None:
        """Everything: nothing in the channel is missed any more."""
        self._receive_all(pair, device)

    # admins and time

    @rule(
        changes=st.one_of(*(st.fixed_dictionaries({name: values}) for name, values in SETTINGS.items())),
        after=st.sampled_from((0, 0, 3 * DAY)),
        drains=st.booleans(),
    )
    def change_a_setting(self, changes: Changes, after: int, drains: bool) -> None:
        """A floor that moves is noticed, even where the worker had nothing left to do."""
        self._go_to(self.steps.model.now + after)
        if drains:
            self.steps.drain()
        self.steps.change(changes)
        if drains:
            self.steps.drain()

    @rule(
        by=st.sampled_from(
            (1, 499, 1_000, SECOND, 5 * SECOND, 61 * SECOND, 3_600 * SECOND, DAY, 3 * DAY, 8 * DAY)
        )
    )
    def wait(self, by: int) -> None:
        self._go_to(self.steps.model.now + by)

    @rule(
        zone=st.sampled_from((None, None, *ZONES)),
        days=st.sampled_from((1, 1, 2, 7)),
        offset=st.sampled_from((0, 0, -1, 1, 1_000, 3_600 * SECOND)),
        sends=st.lists(sendings, max_size=2),
    )
    def wait_for_a_midnight(self, zone: str | None, days: int, offset: int, sends: list[Sending]) -> None:
        """Just before, at or after the begin of a local day, of the app's own zone or another; some send then."""
        model = self.steps.model
        name = zone or model.settings.compensation_time_zone
        today = local_date(model.now, name)
        self._go_to(first_instant(today.fromordinal(today.toordinal() + days), name) + offset)
        self.steps.send(sends)

    @precondition(lambda self: self.steps.sent)
    @rule(
        index=indexes,
        offset=st.sampled_from((-1, 0, 1)),
        of=st.sampled_from(("undo", "missed", "open", "policy")),
        drains=st.booleans(),
    )
    def wait_for_an_end(self, index: int, offset: int, of: str, drains: bool) -> None:
        """Of an undo window, of the time that a message may be missed or may stay by policy, or of the open channel; the
        worker does all it can before and after."""
        model, sent = self.steps.model, self.steps.sent
        if drains:
            self.steps.drain()
        hall = model.channels.get(self.steps.world.channel_id(USERS[0], HALL))
        if of == "open" and hall and (end := model.end_of(hall)) is not None:
            self._go_to(end + offset)
        elif of == "undo" and model.journal:
            self._go_to(model.journal[-1 - index % len(model.journal)].undo_until + offset)
        else:
            place = sent[-1 - index % len(sent)]
            age = model.max_age(model.scope_of(model.channels[place.channel])) if of == "policy" else None
            self._go_to(place.position + (age or model.settings.missed_days) * DAY + offset)
        if drains:
            self.steps.drain()

    # Redis

    @rule()
    def flush_redis(self) -> None:
        self.steps.flush_redis()

    @rule(
        pair=pairs,
        whose=st.sampled_from((*USERS, EVERYONE, STRANGER)),
        score=st.sampled_from((0.0, 1.0, 1.5, float(1 << 53), 1e300, inf, -inf)),
        before=st.sampled_from((b"", b"", b"", b"x", b"x:")),
        behind=st.sampled_from((b"", b"", b"", b":", b"\xff")),
    )
    def forge(self, pair: tuple[str, str], whose: str, score: float, before: bytes, behind: bytes) -> None:
        """A pair with another score, one of a user or an app that is not there, or what is no pair at all."""
        world = self.steps.world
        channel_id = world.channel_id(*pair)
        member = before + world.member(PairKey(channel_id, whose)) + behind
        found = PairKey(ELSEWHERE if before else channel_id, whose + behind.decode("utf-8", "replace"))
        self.steps.forge(member, score, None if before == b"x:" else found)

    # the worker, in any order

    @rule(step=st.integers(0, 8), most=st.sampled_from((1, 2, 500)))
    def work(self, step: int, most: int) -> None:
        steps = self.steps
        if step == 0:
            steps.apply_waiting(most)
        elif step == 1:
            # nothing goes that a receipt still has to count
            steps.count()
            steps.visit_due()
        elif step == 2:
            steps.visit_before_counting()
        elif step == 3 and steps.model.now < self.begins + SWEPT:
            steps.sweep()
        else:
            jobs = (steps.apply_forgotten, steps.count, steps.settle, steps.mark_moved, steps.work_on_jobs)
            jobs[step - 4]()

    @rule(seconds=st.sampled_from((0, 0, 6, 61)))
    def drain(self, seconds: int) -> None:
        self._go_to(self.steps.model.now + seconds * SECOND)
        self.steps.drain()

    # after each step

    @invariant()
    def everybody_reads_what_the_model_says(self) -> None:
        self.steps.compare_readers()

    @invariant()
    def the_disk_holds_what_the_model_says(self) -> None:
        self.steps.compare_disk()

    @invariant()
    def the_marks_are_what_the_model_says(self) -> None:
        self.steps.compare_marks()

    @invariant()
    def every_file_is_where_the_model_says(self) -> None:
        """Each time another user, or the backend, is asked what he may read."""
        self.asked += 1
        self.steps.compare_media(EVERYBODY[self.asked % len(EVERYBODY)])

    @invariant()
    def every_receipt_is_what_the_model_says(self) -> None:
        self.steps.compare_receipts()

"""The rules of the state machine that are about cleans, and about what admins say of keeping and deleting."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.properties.clean_steps import Reaches, Wish
from tests.properties.draws import (
    DEVICES,
    Before,
    ages,
    befores,
    devices,
    flags,
    held,
    indexes,
    pairs,
    scopes,
    sendings,
    talks,
    undos,
    users,
    wishes,
    wrongs,
)
from tests.properties.state import EVERYONE, Scope
from tests.properties.steps import Sending, Steps
from tests.properties.world import HALL, STRANGER

MILLISECOND = 1_000
MOST_HOLDS = 2
"""Under more of them hardly anything would ever be deleted."""
STATES = ("accepted", "applied", "settled", "reclaimed", "cancelled")


class CleanRules(RuleBasedStateMachine):
    """Part of tests.properties.machine.Machine."""

    steps: Steps
    begins: int
    ends: int

    @rule(
        pair=pairs,
        whose=st.sampled_from((None, None, EVERYONE, STRANGER)),
        nowhere=st.sampled_from((*[False] * 9, True)),
        requests=st.lists(st.tuples(befores, flags, undos, st.booleans()), min_size=1, max_size=2),
        reaches=st.sampled_from(Reaches),
        talks=talks,
    )
    def clean(
        self,
        pair: tuple[str, str],
        whose: str | None,
        nowhere: bool,
        requests: list[tuple[Before, bool | None, int | None, bool]],
        reaches: Reaches,
        talks: int,
    ) -> None:
        """One's own history or everyone's, once or twice: all, around some message's millisecond, or to a far time; in a
        channel that may not be there."""
        self._talk(pair, talks)
        user, other = (pair[0], STRANGER) if nowhere else pair
        owner = user if whose is None else whose
        for before, flag, undo, media in requests:
            sent_at = self._sent_at(pair, before)
            self.steps.clean(
                user, other, whose=owner, sent_at=sent_at, flag=flag, media=media, reaches=reaches, undo=undo
            )

    @rule(
        pair=pairs,
        both=st.tuples(flags, flags),
        media=st.tuples(st.booleans(), st.booleans()),
        reaches=st.sampled_from(Reaches),
        receives=st.booleans(),
    )
    def clean_on_all_sides(
        self,
        pair: tuple[str, str],
        both: tuple[bool | None, bool | None],
        media: tuple[bool, bool],
        reaches: Reaches,
        receives: bool,
    ) -> None:
        """Where all was received before, only the window keeps anything."""
        if receives:
            self._receive_all(pair, DEVICES[0])
        for number, (user, name) in enumerate(self.steps.sides(pair)):
            self.steps.clean(
                user,
                name,
                whose=user,
                sent_at=None,
                flag=both[number % 2],
                media=media[number % 2],
                reaches=reaches,
            )

    @precondition(lambda self: self.steps.model.journal)
    @rule(
        index=indexes,
        what=st.sampled_from(("live", "live", "live", "any", "job")),
        by=st.sampled_from((None, "ops")),
    )
    def cancel(self, index: int, what: str, by: str | None) -> None:
        """One that could still be undone, or any of the last, or all of a job."""
        model = self.steps.model
        journal = [request for request in model.journal if request.live or what != "live"]
        if what == "job" and model.jobs:
            self.steps.cancel_job(model.jobs[-1 - index % len(model.jobs)])
        elif journal:
            self.steps.cancel(journal[-1 - index % len(journal)], by=by, reason="not that")

    @rule(
        pair=pairs,
        device=devices,
        everyone=st.booleans(),
        cleans=st.lists(
            st.tuples(
                befores,
                flags,
                st.sampled_from(tuple(Reaches)[:4]),
                st.sampled_from((60, 60, 60, 0)),
                st.booleans(),
            ),
            min_size=1,
            max_size=3,
        ),
        tells=st.sampled_from((True, True, False)),
        undone=indexes,
        talks=talks,
    )
    def clean_and_repent(
        self,
        pair: tuple[str, str],
        device: str,
        everyone: bool,
        cleans: list[tuple[Before, bool | None, Reaches, int, bool]],
        tells: bool,
        undone: int,
        talks: int,
    ) -> None:
        """A device may have been told meanwhile: then it is told that history is back, as far as others leave it."""
        self._talk(pair, talks)
        user, other = pair
        whose = EVERYONE if everyone else user
        requests = [
            self.steps.clean(
                user,
                other,
                whose=whose,
                sent_at=self._sent_at(pair, before),
                flag=flag,
                media=media,
                reaches=reaches,
                undo=undo,
            )
            for before, flag, reaches, undo, media in cleans
        ]
        if tells:
            self._tell(user, device)
            self.steps.compare_readers()
        self.steps.cancel(requests[undone % len(requests)], by=None, reason=None)
        if tells:
            self._tell(user, device)

    @rule(
        wish=wishes,
        before=befores,
        earlier=st.booleans(),
        unlike=st.none() | wishes | sendings | indexes,
        works=st.booleans(),
        talks=talks,
    )
    def clean_as_planned(
        self,
        wish: Wish,
        before: Before,
        earlier: bool,
        unlike: Wish | Sending | int | None,
        works: bool,
        talks: int,
    ) -> None:
        """What happens between the preview and the clean may change what it would do."""
        self._talk(wish.pair, talks)
        if earlier:
            # one that waits already, of less than all
            user, other = wish.pair
            sent_at = self._sent_at(wish.pair, (1, 0))
            self.steps.clean(
                user, other, whose=user, sent_at=sent_at, flag=wish.flag, reaches=Reaches.JOURNAL, undo=60
            )
        wish = wish._replace(sent_at=self._sent_at(wish.pair, before))
        plan, plan_hash = self.steps.preview(wish)
        places = self.steps.sent_in(wish.pair)
        if isinstance(unlike, Wish):
            user, other = unlike.pair
            whose = EVERYONE if unlike.everyone else user
            self.steps.clean(user, other, whose=whose, sent_at=None, flag=unlike.flag, reaches=Reaches.REDIS)
        elif isinstance(unlike, Sending):
            self.steps.send([unlike])
        elif unlike is not None and places and wish.pair[1] != HALL:
            self.steps.hide(wish.pair, [places[-1 - unlike % len(places)]])
        request = self.steps.clean_as_planned(wish, plan, plan_hash)
        if request and works:
            self.steps.apply_waiting(500)
            self.steps.count()
            assert request.numbers == plan.numbers, "the receipt is what the preview said"

    @rule(
        items=st.lists(st.tuples(wishes, befores, wrongs), min_size=1, max_size=5),
        applies=st.booleans(),
        talks=talks,
    )
    def clean_many(self, items: list[tuple[Wish, Before, str | None]], applies: bool, talks: int) -> None:
        """Some of them wrong."""
        self._talk(items[0][0].pair, talks)
        self.steps.batch(
            [
                wish._replace(sent_at=self._sent_at(wish.pair, before), wrong=wrong)
                for wish, before, wrong in items
            ]
        )
        if applies:
            self.steps.apply_waiting(500)

    @rule(
        pair=pairs,
        recalls=st.sampled_from((False, False, True)),
        before=befores,
        flag=flags,
        media=st.booleans(),
        undo=undos,
        works=st.booleans(),
    )
    def start_a_job(
        self,
        pair: tuple[str, str],
        recalls: bool,
        before: Before,
        flag: bool | None,
        media: bool,
        undo: int | None,
        works: bool,
    ) -> None:
        """A clean of all channels of a user, or a recall of all that he sent in one."""
        sent_at = self._sent_at(pair, before)
        if recalls:
            self.steps.recall_by_sender(pair, pair[0], before=sent_at)
        else:
            self.steps.clean_user(pair[0], sent_at=sent_at, flag=flag, media=media, undo=undo)
        if works:
            self.steps.work_on_jobs()
            self.steps.apply_forgotten(0)

    @precondition(lambda self: self.steps.sent)
    @rule(
        pair=pairs,
        chosen=st.lists(indexes, min_size=1, max_size=3),
        elsewhere=st.sampled_from((False, False, False, True)),
        receives=st.booleans(),
        talks=talks,
    )
    def hide(
        self, pair: tuple[str, str], chosen: list[int], elsewhere: bool, receives: bool, talks: int
    ) -> None:
        """Some of the last messages of a channel, received or missed, or of whatever channel they are."""
        self._talk(pair, talks)
        places = self.steps.sent if elsewhere else self.steps.sent_in(pair)
        if receives:
            self._receive_all(pair, DEVICES[0])
        if places and pair[1] != HALL:
            self.steps.hide(pair, [places[-1 - index % len(places)] for index in chosen])

    # admins

    @rule(
        what=held,
        released=st.none() | indexes,
        drains=st.booleans(),
    )
    def hold(self, what: tuple[str, str] | str | None, released: int | None, drains: bool) -> None:
        """On the app, a channel or a user; or one of them is released, and before there are many."""
        pair, user = (what, None) if isinstance(what, tuple) else (None, what)
        holds = self.steps.model.holds
        if holds and (released is not None or len(holds) >= MOST_HOLDS):
            self.steps.release_hold(released or 0)
        else:
            self.steps.place_hold(pair, user)
        if drains:
            self.steps.drain()

    @rule(scope=scopes, days=ages, confirms=st.sampled_from((True, True, False)), drains=st.booleans())
    def set_a_policy(self, scope: Scope, days: int | None, confirms: bool, drains: bool) -> None:
        """Of the app, a channel type or a channel; shorter only with its confirmation."""
        self.steps.set_policy(scope, days, confirms=confirms)
        if drains:
            # in force on reads before
            self.steps.compare_readers()
            self.steps.drain()

    @precondition(lambda self: self.steps.sent)
    @rule(
        chosen=st.lists(indexes, min_size=1, max_size=3, unique=True),
        state=st.sampled_from((None, *STATES)),
        user=st.none() | users,
        pair=st.none() | pairs,
    )
    def look(
        self, chosen: list[int], state: str | None, user: str | None, pair: tuple[str, str] | None
    ) -> None:
        """Some of the last messages are explained to everybody, some receipts are listed."""
        sent = self.steps.sent
        for index in chosen:
            self.steps.compare_explanations(sent[-1 - index % len(sent)])
        self.steps.compare_lists(state, user, pair)
        for request in self.steps.model.journal[-2:]:
            self.steps.compare_receipt(request)

    def _sent_at(self, pair: tuple[str, str], before: Before) -> int | None:
        sent = self.steps.sent_in(pair)
        if isinstance(before, tuple):
            return sent[-1 - before[0] % len(sent)].position // 1000 + before[1] if sent else None
        return before

    def _talk(self, pair: tuple[str, str], times: int) -> None:
        """Something is there to be cleaned: what each of the sides sends in turn."""
        sides = self.steps.sides(pair)
        for number in range(times):
            self._go_to(self.steps.model.now + MILLISECOND)
            side = sides[number % len(sides)]
            self.steps.send([Sending(side, both=False, echoed=number < 2, persisted=True)])

    def _tell(self, user: str, device: str) -> None:
        # what a page held counts as told when the device comes back with its cursor
        self.steps.page(user, device, limit=100, kept=None, reinstalled=False)
        kept = self.steps.cursors[user, device][-1]
        self.steps.page(user, device, limit=100, kept=kept, reinstalled=False)

    def _go_to(self, now: int) -> None:
        self.steps.go_to(min(now, self.ends))

    def _receive_all(self, pair: tuple[str, str], device: str) -> None:
        if sent := self.steps.sent_in(pair):
            for user, _ in self.steps.sides(pair):
                self.steps.acknowledge(user, device, sent[-1:])

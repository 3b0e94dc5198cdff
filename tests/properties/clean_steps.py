"""Cleans and what goes with them, in both worlds: previews, undo, many at once, jobs, hiding by id."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from history.errors import Conflict, PlanChanged
from history.jobs.model import read_public_id
from history.receipts.service import read_request_id
from history.retention.model import Accepted, cutoff_before
from server.handlers.cleans import clean_batch, clean_history, hide_messages
from server.wire import cleans as wire
from tests.properties import journal, receipts
from tests.properties.state import EVERYONE, Job, Numbers, PairKey, Place, Request
from tests.properties.upkeep import Upkeep
from tests.properties.world import HALL, type_of

WRONG_HASH = "0" * 32
PLAN_CHANGED, BAD_INPUT, NOT_THERE = 4091, 1002, 404


class Reaches(IntEnum):
    """How far a clean has come when its step ends."""

    JOURNAL = 0
    REDIS = 1
    MARKS = 2
    FLOOR = 3
    DISK = 4


class Wish(NamedTuple):
    """A clean that somebody may want: what goes into a preview, a clean or a batch."""

    pair: tuple[str, str]
    everyone: bool = False
    sent_at: int | None = None
    flag: bool | None = None
    undo: int | None = None
    media: bool = False
    wrong: str | None = None
    """In a batch: which field is wrong."""


class CleanSteps(Upkeep):
    """Requests from their acceptance to their undo."""

    def clean(
        self,
        user: str,
        other: str,
        *,
        whose: str,
        sent_at: int | None,
        flag: bool | None,
        reaches: Reaches,
        media: bool = False,
        undo: int | None = None,
    ) -> Request:
        """A clean, and how far it comes at once; with it goes what else waits."""
        whose = EVERYONE if other == HALL else whose  # a clean of an open channel takes everyone's history
        # no two cleans of a process are accepted at the same instant
        self.go_to(self.model.now + 1)
        pair = PairKey(self.world.channel_id(user, other), whose)
        draft = self.world.draft(user, other, whose=whose, sent_at=sent_at, flag=flag, media=media, undo=undo)
        accepted = self.world.run(self.world.cleans.accept(draft))
        id_ = read_request_id(accepted.request_id)[1]
        request = journal.accept(self.model, id_, pair, sent_at=sent_at, flag=flag, media=media, undo=undo)
        assert (accepted.pair.channel_id, accepted.pair.user_id, accepted.cutoff) == (*pair, request.cutoff)
        if reaches >= Reaches.REDIS:
            self._announce(accepted, request)
        self._go_on(reaches)
        return request

    def _announce(self, accepted: Accepted, request: Request) -> None:
        self.world.run(self.world.queue.announce(accepted))
        self._announced(request)

    def _announced(self, request: Request) -> None:
        member = self.world.member(PairKey(request.channel, request.user))
        journal.announce(self.model, member, request)

    def _go_on(self, reaches: Reaches) -> None:
        if reaches >= Reaches.MARKS:
            self.apply_waiting(500)
        if reaches >= Reaches.FLOOR:
            self.count()
            self.settle()
        if reaches >= Reaches.DISK:
            self.drain()

    def cancel(self, request: Request, *, by: str | None, reason: str | None) -> bool:
        """Undo a request, or be told that it is too late."""
        cancelling = self.world.cleans.cancel(
            self.world.app_key, request.channel, request.id, by=by, reason=reason
        )
        try:
            self.world.run(cancelling)
            done = True
        except Conflict:
            done = False
        assert done == journal.cancel(self.model, request, by=by, reason=reason)
        return done

    def preview(self, wish: Wish) -> tuple[receipts.Plan, str]:
        """What the clean would do, and the hash that stands for it; nothing is done."""
        user, other = wish.pair
        whose = self._whose(wish)
        draft = self.world.draft(user, other, whose=whose, sent_at=wish.sent_at, flag=wish.flag)
        found = self.world.run(self.world.receipts.preview(draft))
        numbers = found.numbers
        plan = receipts.Plan(
            found.cutoff,
            Numbers(numbers.hidden, numbers.kept_missed, numbers.kept_compensation, numbers.kept_held),
        )
        assert found.complete
        assert plan == self._plan(wish)
        return plan, found.hash

    def clean_as_planned(self, wish: Wish, plan: receipts.Plan, plan_hash: str) -> Request | None:
        """Done where it would do what the preview said, else refused."""
        self.go_to(self.model.now + 1)
        same = self._plan(wish) == plan
        before = {request.id for request in self.model.journal}
        try:
            self.world.run(self.world.call(clean_history, self._body(wish, plan_hash)))
            done = True
        except PlanChanged:
            done = False
        assert done == same, "a plan that would differ is refused, and no other"
        if not done:
            return None
        [id_] = self._accepted().keys() - before
        return self._accepted_by_call(wish, id_)

    def batch(self, wishes: list[Wish]) -> None:
        """Each for itself, in order; the good ones are done though others fail."""
        self.go_to(self.model.now + 1)
        items = [self._body(wish, WRONG_HASH if wish.wrong == "planHash" else None) for wish in wishes]
        done = self.world.run(self.world.call(clean_batch, wire.Batch(items=items)))
        codes = {None: 0, "planHash": PLAN_CHANGED}
        assert [item.code for item in done.items] == [codes.get(wish.wrong, BAD_INPUT) for wish in wishes]
        found = self._accepted()
        for item, wish in zip(done.items, wishes, strict=True):
            assert (item.requestId is None) == (item.errorMessage is not None) == (wish.wrong is not None)
            if item.requestId is not None:
                id_ = read_request_id(item.requestId)[1]
                # those that were refused may have had an instant too
                earliest = max(self.model.now, self.model.accepted_at + 1)
                assert earliest <= found[id_] <= earliest + len(wishes)
                self._accepted_by_call(wish, id_, at=found[id_])
        assert len(found) == len(self.model.journal), "what was refused left nothing"

    def clean_user(
        self, user: str, *, sent_at: int | None, flag: bool | None, media: bool = False, undo: int | None
    ) -> None:
        """All channels of a user, as a job; one that waits is done before."""
        self.work_on_jobs()
        self.go_to(self.model.now + 1)
        before = cutoff_before(sent_at)
        starting = self.world.jobs.clean_user(
            self.world.app_key,
            user,
            before=before,
            flag=flag,
            delete_media=media,
            undo_seconds=undo,
            reason=None,
            source="test",
        )
        befores = {
            id_: min(before, channel.last + 1)
            for id_, channel in self.model.channels.items()
            if user in channel.members()
        }
        self.model.jobs.append(
            Job(
                id=self._job_id(self.world.run(starting)),
                user=user,
                before=before,
                total=len(befores),
                befores=befores,
                flag=flag,
                media=media,
                undo=undo,
            )
        )

    def recall_by_sender(self, pair: tuple[str, str], sender: str, *, before: int | None) -> None:
        """All that somebody wrote in a channel, as a job."""
        self.work_on_jobs()
        key, channel_id = self.world.key(*pair), self.world.channel_id(*pair)
        starting = self.world.jobs.recall_by_sender(
            key, [sender], before=cutoff_before(before), reason=None, source="test"
        )
        id_ = self._job_id(self.world.run(starting))
        highest = receipts.cutoff(self.model, channel_id, cutoff_before(before))
        self.model.jobs.append(Job(id=id_, user=sender, before=highest, total=None, channel=channel_id))

    def cancel_job(self, job: Job) -> None:
        """Stop it and undo what it did; a recall is final."""
        try:
            self.world.run(self.world.jobs.cancel(self.world.app_key, job.id, by=None, reason=None))
            done = True
        except Conflict:
            done = False
        undoable = any(
            request.state in ("accepted", "applied") and request.undo_until > self.model.now
            for request in job.requests
        )
        assert done == (job.total is not None and (job.state != "done" or undoable))
        if done and job.state != "cancelled":
            job.state, job.finished = "cancelled", False

    def hide(self, pair: tuple[str, str], places: list[Place]) -> None:
        """Delete messages by id for the user, of this channel or not: an outcome for each."""
        user, other = pair
        channel_id = self.world.channel_id(user, other)
        body = wire.Hide(
            userId=user,
            channelType=int(type_of(other)),
            channelId=other,
            messageIds=[place.id for place in places],
        )
        found = self.world.run(self.world.call(hide_messages, body))
        there = [
            place.channel == channel_id and self.model.hide(channel_id, user, [place.position]) == [True]
            for place in places
        ]
        assert [item.code for item in found.items] == [0 if one else NOT_THERE for one in there]

    def _whose(self, wish: Wish) -> str:
        user, other = wish.pair
        return EVERYONE if wish.everyone or other == HALL else user

    def _pair(self, wish: Wish) -> PairKey:
        return PairKey(self.world.channel_id(*wish.pair), self._whose(wish))

    def _plan(self, wish: Wish) -> receipts.Plan:
        return receipts.plan(self.model, self._pair(wish), sent_at=wish.sent_at, word=wish.flag)

    def _body(self, wish: Wish, plan_hash: str | None) -> wire.Clean:
        user, other = wish.pair
        bad_scope = wish.wrong == "scope"
        return wire.Clean(
            channelType=int(type_of(HALL))
            if bad_scope
            else 9
            if wish.wrong == "type"
            else int(type_of(other)),
            fromUserId=user,
            channelId=other,
            sentAt=1 if wish.wrong == "sentAt" else wish.sent_at,
            scope="everyone" if wish.everyone and not bad_scope else "user" if bad_scope else None,
            deleteCompensated=wish.flag,
            deleteMedia=wish.media,
            undoSeconds=wish.undo,
            planHash=plan_hash,
        )

    def _accepted(self) -> dict[UUID, int]:
        # all requests that there are, and when they were accepted
        return {at.id: at.accepted_at for at in self.world.run(self.world.all_receipts())}

    def _accepted_by_call(self, wish: Wish, id_: UUID, *, at: int | None = None) -> Request:
        request = journal.accept(
            self.model,
            id_,
            self._pair(wish),
            sent_at=wish.sent_at,
            flag=wish.flag,
            media=wish.media,
            undo=wish.undo,
            at=at,
        )
        self._announced(request)
        return request

    def _job_id(self, public_id: str) -> UUID:
        id_ = read_public_id(public_id)
        assert id_ is not None
        return id_

"""What the worker does, in both worlds."""

from __future__ import annotations

from uuid import UUID

from history.axis import NEVER
from tests.properties import journal, media, rules
from tests.properties.days import SECOND
from tests.properties.looks import Looks
from tests.properties.state import ELSEWHERE, PairKey
from worker.jobs.apply import apply_forgotten, apply_waiting

MOST_ROUNDS = 30
"""A loop that goes on for longer has no end: there are never so many pages or channels."""


class Upkeep(Looks):
    """The jobs of the worker, in any order."""

    def flush_redis(self) -> None:
        """Redis forgets everything."""
        self.world.run(self.world.forget())
        self.model.waiting.clear()

    def forge(self, member: bytes, score: float, pair: PairKey | None) -> None:
        """Somebody else writes a member into Redis; `pair` is what it stands for, if anything."""
        self.world.run(self.world.forge(member, score))
        self.model.waiting[member] = (score, pair)

    def apply_waiting(self, most: int) -> None:
        """The worker applies some of what Redis says."""
        report, strangers = self.world.run(
            apply_waiting(self.world.redis, self.world.cleans, now=self.model.now, most=most)
        )
        expected, unknown = journal.apply_waiting(self.model, most)
        assert report.applied == expected.requests
        forged = {
            PairKey(pair.channel_id if pair.app_key == self.world.app_key else ELSEWHERE, pair.user_id)
            for pair in report.forged
        }
        assert forged == expected.forged
        assert strangers == [member.decode("utf-8", "replace") for member in unknown]

    def apply_forgotten(self, after: int = 5 * SECOND) -> None:
        """The worker applies what Redis lost."""
        applied = self.world.run(apply_forgotten(self.world.cleans, self.world.clock, after=after))
        assert applied == journal.apply_forgotten(self.model, after)

    def count(self) -> None:
        """The worker counts what applied cleans did, for their receipts."""
        while self.world.run(self.world.receipts.count(until=NEVER)):
            pass
        journal.count(self.model)

    def settle(self) -> None:
        """The worker settles what is counted and past its undo window."""
        assert self.world.run(self.world.cleans.settle(now=self.model.now)) == journal.settle(self.model)

    def mark_moved(self) -> None:
        """The worker marks what a setting moved."""
        self.world.run(self.world.reclaim.mark_moved(now=self.model.now))

    def visit_due(self) -> int:
        """The worker reclaims in channels that are due; in how many. Each is reclaimed to the model's floor."""
        reports = self.world.run(self.world.reclaim.visit_due(now=self.model.now))
        told = self.world.run(self.world.media.references()) if reports else {}
        for report in reports:
            floor = rules.floor(self.model, report.channel_id)
            gone = journal.reclaim(self.model, report.channel_id, floor)
            assert (report.deleted, report.finished) == (gone, True)
            media.judge(self.model, report.channel_id, {spot: keeper for spot, (_, keeper) in told.items()})
        return len(reports)

    def look_at_files(self) -> None:
        """The worker deletes due files that nothing needs, and looks at the others later."""
        if not self.model.shelf.names:
            return
        for expected in (media.look(self.model), media.Looked(0, 0, 0)):
            found = self.world.run(self.world.media.look())
            assert (found.seen, found.files, found.bytes) == expected

    def check_files(self) -> None:
        """`tidemark media check` finds what is there, and nothing wrong."""
        shelf = self.model.shelf
        whole = [id_ for id_ in shelf.files if shelf.ready(id_)]
        found = self.world.run(self.world.media.compare(list(shelf.names.values())))
        assert found == (len(whole), shelf.files.keys() - set(whole), [])

    def visit_before_counting(self) -> None:
        """Nothing goes that a receipt still has to count; in a minute its channel is looked at again."""
        self.mark_moved()
        self.visit_due()
        self.go_to(self.model.now + 60 * SECOND)

    def work_on_jobs(self) -> None:
        """The worker takes every job to its end."""
        waiting = [job for job in self.model.jobs if not job.finished]
        while waiting and self.world.run(self.world.jobs.work()) > 0:
            pass
        for job in waiting:
            if pairs := journal.work_on(self.model, job):
                ids = self._new_ids()
                for pair in pairs:
                    request = journal.accept_before(
                        self.model,
                        ids[pair],
                        pair,
                        job.befores[pair.channel],
                        flag=job.flag,
                        media=job.media,
                        undo=job.undo,
                    )
                    job.requests.append(request)
            found = self.world.run(self.world.jobs.get(self.world.app_key, job.id))
            assert (found.state, found.done, found.total) == (job.state, job.done, job.total)
            assert found.finished_at is not None

    def _new_ids(self) -> dict[PairKey, UUID]:
        # those of requests that a job made: nobody was told of them
        known = {request.id for request in self.model.journal}
        found = self.world.run(self.world.all_receipts())
        return {PairKey(at.channel_id, at.user_id): at.id for at in found if at.id not in known}

    def drain(self) -> None:
        """The worker does all there is to do: then exactly what somebody may still be given is on disk."""
        self.work_on_jobs()
        while self.model.waiting:
            self.apply_waiting(500)
        self.apply_forgotten()
        self.count()
        self.settle()
        for _ in range(MOST_ROUNDS):
            self.mark_moved()
            if not self.visit_due():
                break
        else:
            raise AssertionError("reclaim does not come to rest")
        for channel_id, (reclaimed_to, there) in self.world.run(self.world.disk()).items():
            channel = self.model.channels[channel_id]
            floor = max(rules.floor(self.model, channel_id), channel.reclaimed_to)
            assert reclaimed_to <= floor
            # DESIGN allows nothing below the floor; the code, for a day, what others than its sender never needed
            late = [at for at in channel.messages if self.late.get((channel_id, at), 0) > self.model.now]
            most = [at for at in channel.messages if at >= min([*late, floor])]
            least = [at for at in channel.messages if at >= floor]
            assert set(least) <= set(there) <= set(most), "what nobody needs was left"
        self.look_at_files()
        left = {file.id for file in self.model.shelf.files.values() if not media.reason(self.model, file)}
        assert not left, "a file that nobody needs was left"

    def sweep(self) -> None:
        """Side tables lose what they need no more."""
        self.world.run(self.world.sweep.run(now=self.model.now))

"""One batch of messages, in one transaction: positions, rows, keys, references to files, and what lists must know.

Promises: positions in a channel are unique, increasing, and in the order of commit; after a commit whose outcome is unknown
nothing is sent again blindly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from history.axis import DAY
from history.channels.model import MADE_BY_CALL, ChannelKey, missing
from history.channels.service import Channels
from history.clock import Clock
from history.cursors import message_id
from history.database import Connection, Database
from history.errors import ClockJumped, DatabaseUnavailable, OutcomeUnknown
from history.messages import store
from history.messages.model import (
    ClientKey,
    Copy,
    Draft,
    Flags,
    MessageRow,
    Month,
    ReferenceRow,
    Sender,
    positions,
    references,
    targeted_tail,
    unknown_media,
    unseen_tail,
)

_MONTHS_AHEAD = 2
_MOST_SENDERS = 200_000


class Appends:
    """Batches on their way into the database."""

    def __init__(self, database: Database, channels: Channels, clock: Clock) -> None:
        self._database = database
        self._channels = channels
        self._clock = clock
        self.appended: Counter[str] = Counter()
        """How many messages of each app this process stored; who writes them down takes them off."""
        self._senders: dict[Sender, int] = {}

    async def commit(self, drafts: Sequence[Draft]) -> list[list[str]]:
        """The ids of each draft's messages, after the commit; what another try may put right is tried again."""
        # a jump of the clock, a missing month, a lost commit: each is put right once, then the batch is refused
        for again in (True, False):
            try:
                return await self._database.retrying(lambda: self.append(drafts))
            except store.NoMonth:
                if not again:
                    raise DatabaseUnavailable("There is no partition for this month.") from None
                await self.make_months(now=self._clock.now())
            except ClockJumped:
                if not again:
                    raise
        raise AssertionError("unreachable")

    async def append(self, drafts: Sequence[Draft]) -> list[list[str]]:
        """One try: all of them in one transaction, or none."""
        keys = {key for draft in drafts for key in draft.channels}
        ids: dict[ChannelKey, int] = {}
        copies: list[Copy] = []
        given: dict[Copy, int] = {}
        known: dict[ClientKey, int] = {}
        senders: dict[Sender, int] = {}
        transaction_id: str | None = None
        try:
            async with self._database.writing() as connection:
                now = self._clock.now()
                ids = await self._channels.ensure(connection, keys, now=now)
                copies = [Copy(draft, ids[key]) for draft in drafts for key in draft.channels]
                known = await _known(connection, copies, now=now)
                new = _first_of_each_key(copies, known)
                reserved = await self._reserve(connection, new, ids)
                transaction_id = reserved.transaction_id
                given = dict(zip(new, positions(new, reserved.ends), strict=True))
                await store.insert_messages(connection, _rows(given))
                senders = await self.note_senders(connection, _writers(given, ids))
                await _note(connection, given, reserved)
                # last: media come after conversations in the order of locks
                await refer(connection, list(_reference_rows(given)))
                claimed = {copy.client_key: at for copy, at in given.items() if copy.client_key is not None}
                if claimed:
                    await store.update_key_positions(connection, claimed)
                known |= claimed
        except OutcomeUnknown as exc:
            await self.ask(transaction_id, exc)
        self._channels.remember(ids)
        self.appended.update(copy.draft.channels[0].app_key for copy in given)
        self.remember_senders(senders)
        answers = iter(_public_id(copy, given, known) for copy in copies)
        return [list(islice(answers, len(draft.channels))) for draft in drafts]

    async def make_months(self, *, now: int) -> None:
        """Have this month and the next ones ready, so that a month's end never stops a send."""
        months = [Month.of(now)]
        for _ in range(_MONTHS_AHEAD):
            months.append(months[-1].next())
        await self.make(months)

    async def make(self, months: Sequence[Month]) -> None:
        """Make those of these months that are not there."""
        async with self._database.reading() as connection:
            there = await store.list_months(connection)
        missing = [month for month in months if month.table not in there]
        if missing:
            async with self._database.writing() as connection:
                await store.insert_months(connection, missing)

    async def ask(self, transaction_id: str | None, unknown: OutcomeUnknown) -> None:
        """After a commit whose outcome is unknown: nothing where it happened, DatabaseUnavailable where it did not."""
        committed = await self._database.committed(transaction_id) if transaction_id else None
        if committed is False:
            raise DatabaseUnavailable(
                "The database went away before the commit; send the message again."
            ) from None
        if committed is None:
            raise unknown

    async def note_senders(self, connection: Connection, last: Mapping[Sender, int]) -> dict[Sender, int]:
        """Note who wrote where, at these positions the last time, unless he was noted there within the day before; whom.

        Tell `remember_senders` when the transaction has committed. The channels are locked by the caller.
        """
        unknown = {
            sender: position
            for sender, position in last.items()
            if not 0 <= position - self._senders.get(sender, -DAY) < DAY
        }
        if unknown:
            await store.upsert_senders(connection, unknown)
        return unknown

    def remember_senders(self, noted: Mapping[Sender, int]) -> None:
        """Who is noted, and committed."""
        if len(self._senders) + len(noted) > _MOST_SENDERS:
            self._senders.clear()
        self._senders |= noted

    async def _reserve(
        self, connection: Connection, copies: Sequence[Copy], ids: Mapping[ChannelKey, int]
    ) -> store.Reserved:
        counts = Counter(copy.channel_id for copy in copies)
        asked_at, now = self._clock.mark(), self._clock.now()
        # the first instant at which time alone may let a message go that is not stored for history, or that perhaps
        # none of its recipients is there for
        due = {
            copy.channel_id: now + DAY
            for copy in copies
            if not copy.draft.flags & Flags.PERSISTED or copy.draft.recipients is not None
        }
        targeted = {id_: len(tail) for id_, tail in targeted_tail(copies).items()}
        reserved = await store.reserve_positions(
            connection, counts, due, now=now, targeted=targeted, unseen=unseen_tail(copies)
        )
        for key, id_ in ids.items():
            if id_ in counts and id_ not in reserved.ends:
                self._channels.forget([key])
                raise (
                    missing(key)
                    if key.type in MADE_BY_CALL
                    else DatabaseUnavailable(
                        "A channel has vanished from the database; send the message again."
                    )
                )
        if not self._clock.observe(reserved.clock, asked_at):
            raise ClockJumped("The database's clock jumped by more than a second; send the message again.")
        return reserved


def _writers(given: Mapping[Copy, int], ids: Mapping[ChannelKey, int]) -> dict[Sender, int]:
    """Who wrote in a group or an open channel, and where he wrote last."""
    made_by_call = {id_ for key, id_ in ids.items() if key.type in MADE_BY_CALL}
    last: dict[Sender, int] = {}
    for copy, position in given.items():
        if copy.channel_id in made_by_call:
            sender = copy.channel_id, copy.draft.sender
            last[sender] = max(position, last.get(sender, 0))
    return last


async def _known(connection: Connection, copies: Sequence[Copy], *, now: int) -> dict[ClientKey, int]:
    """Claim the senders' own ids; the positions of the messages that some of them stand for already."""
    lapses = {copy.client_key: now + copy.draft.key_kept for copy in copies if copy.client_key is not None}
    return await store.claim_keys(connection, lapses, now=now) if lapses else {}


async def refer(connection: Connection, rows: Sequence[ReferenceRow]) -> None:
    """Write which files new messages refer to; InvalidInput where one is not there, or is about to go."""
    if not rows:
        return
    there = await store.share_media(connection, {id_ for _, _, id_, *_ in rows})
    if any(there.get(id_) != app_key for _, _, id_, app_key, *_ in rows):
        raise unknown_media()
    await store.insert_references(connection, rows)


async def _note(connection: Connection, given: Mapping[Copy, int], reserved: store.Reserved) -> None:
    """Let the lists of conversations know: of messages that are not for all, and where one comes back."""
    tails: dict[tuple[int, str], int] = {}
    for copy in chain.from_iterable(targeted_tail(list(given)).values()):
        for user in (copy.draft.sender, *(copy.draft.recipients or ())):
            tails[copy.channel_id, user] = given[copy]
    back = await returning(
        connection,
        [
            (copy.channel_id, copy.draft.sender, copy.draft.recipients)
            for copy in given
            if copy.channel_id in reserved.some_removed and not copy.draft.flags & Flags.SILENT
        ],
    )
    if tails or back:
        await store.update_noted(connection, tails, back)
    if reserved.some_removed:
        await store.update_some_removed(connection, reserved.some_removed)


async def returning(
    connection: Connection, heard: Iterable[tuple[int, str, tuple[str, ...] | None]]
) -> set[tuple[int, str]]:
    """Which conversations these messages (channel, sender, recipients) bring back to their users' lists: everybody's, or those
    of whom they name and of their senders."""
    messages = list(heard)
    for_all = {channel_id for channel_id, _, recipients in messages if recipients is None}
    back = await store.list_removed(connection, for_all) if for_all else set()
    for channel_id, sender, recipients in messages:
        if channel_id not in for_all:
            back |= {(channel_id, user) for user in (sender, *(recipients or ()))}
    return back


def _first_of_each_key(copies: Sequence[Copy], known: Mapping[ClientKey, int]) -> list[Copy]:
    """What is to be written: a key that is known, or that stands earlier in the batch, brings nothing."""
    seen = set(known)
    new = []
    for copy in copies:
        key = copy.client_key
        if key is None or key not in seen:
            new.append(copy)
        if key is not None:
            seen.add(key)
    return new


def _public_id(copy: Copy, given: Mapping[Copy, int], known: Mapping[ClientKey, int]) -> str:
    key = copy.client_key
    return message_id(copy.channel_id, known[key] if key is not None else given[copy])


def _rows(given: Mapping[Copy, int]) -> Iterator[MessageRow]:
    for copy, position in given.items():
        draft = copy.draft
        yield (
            copy.channel_id,
            position,
            draft.flags,
            draft.sender,
            draft.type,
            draft.content,
            draft.recipients,
            draft.metadata,
        )


def _reference_rows(given: Mapping[Copy, int]) -> Iterator[ReferenceRow]:
    # the copies of a draft say the same: it is looked through once
    drafts = {id(copy.draft): copy.draft for copy in given}
    found = {number: references(draft.content) for number, draft in drafts.items()}
    for copy, position in given.items():
        draft = copy.draft
        for media_id in found[id(draft)]:
            yield (
                copy.channel_id,
                position,
                media_id,
                draft.channels[0].app_key,
                draft.flags,
                draft.sender,
                draft.recipients,
            )
